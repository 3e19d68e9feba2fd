//! What keys, teams and the log of calls cost, on both databases: `accounts`.
//!
//! A gateway is started on a database of 100 keys and on one of 100,000; rows are put in behind its back. Where counts of
//! the database itself are wanted, PostgreSQL's own are asked; SQLite keeps none.

mod database;
mod http;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::database::{Database, Engine};
use self::http::Client;
use super::machine::Machine;
use super::scenario::{Servers, one_server};
use super::stage::{self, Gateway, Upstreams};
use super::{Plan, progress};
use crate::launch;
use crate::load::Summary;

/// `accounts`: which gateway, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The gateway's binary.
    #[arg(long)]
    toolgate: PathBuf,
    /// Fewer rows and shorter loads: to see that all works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Seconds per load.
    #[arg(long)]
    seconds: Option<f64>,
    /// A PostgreSQL on which databases may be made; absent: SQLite alone is measured.
    #[arg(long, env = "TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: Option<String>,
    /// Writes every measurement to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How many keys and teams there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Size {
    keys: u32,
    teams: u32,
}

const FEW: Size = Size { keys: 100, teams: 10 };
const MANY: Size = Size { keys: 100_000, teams: 10_000 };

/// What stands behind the gateway.
const SERVERS: Servers = one_server(256);

/// Starts of which the fastest counts, since others only waited for the machine.
const STARTS: usize = 5;
/// Keys that nobody has used yet, for cold look-ups.
const COLD: usize = 100;
/// Requests with one cold key at once.
const AT_ONCE: usize = 64;
/// Keys on a page.
const PAGE: u32 = 100;
/// How often loads are repeated, by turns.
const ROUNDS: usize = 3;
/// Calls per second, of the goal for writing.
const WRITES_PER_S: u32 = 5_000;
/// Calls per second of the comparison of keys.
const WARM_PER_S: u32 = 5_000;

/// Everything measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    engines: Vec<OnEngine>,
}

#[derive(Debug, Serialize)]
struct OnEngine {
    engine: Engine,
    sizes: Vec<OfSize>,
    warm: Warm,
    writing: Writing,
}

/// With so many rows.
#[derive(Debug, Serialize)]
struct OfSize {
    size: Size,
    ready_ms: f64,
    cold_p50_us: f64,
    cold_p99_us: f64,
    warm_p50_us: f64,
    /// Index scans and sequential scans of `keys` for [`AT_ONCE`] requests at once with one cold key. PostgreSQL only.
    scans_at_once: Option<(i64, i64)>,
    first_page_ms: f64,
    middle_page_ms: f64,
    last_page_ms: f64,
}

/// CPU time per call, by the master key and by a virtual key, in each round.
#[derive(Debug, Serialize)]
struct Warm {
    master_us: Vec<f64>,
    virtual_us: Vec<f64>,
    /// Scans of `keys` during all calls of the virtual key. PostgreSQL only.
    scans: Option<i64>,
    calls: u64,
}

/// Calls at a constant rate, with the log and without, in each round.
#[derive(Debug, Serialize)]
struct Writing {
    with: Vec<Rate>,
    without: Vec<Rate>,
    /// What became of the calls in the log: written, and summed up for want of room.
    written: u64,
    summed: u64,
    calls: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Rate {
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    calls_per_s: f64,
}

/// Measures and prints.
///
/// # Errors
/// When something cannot be measured, or an answer was wrong.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    launch::raise_open_files();
    let toolgate = options.toolgate.canonicalize().context("no gateway there")?;
    let seconds = options.seconds.unwrap_or(if options.quick { 1.0 } else { 5.0 });
    let measure = Duration::try_from_secs_f64(seconds).context("--seconds is not a length of time")?;
    let cores = match launch::usable_cores()?[..] {
        [gateway, load, ..] => Some((gateway, load)),
        _ => None,
    };
    let warmup = measure.mul_f64(0.3);
    let plan = Plan { measure, warmup, fewer: 1, cores, toolgate: Some(toolgate), nginx: None, description: None };
    let mut report = Report { machine: Machine::look(&plan), engines: Vec::new() };
    let many = if options.quick { Size { keys: 2_000, teams: 200 } } else { MANY };
    if options.postgres.is_none() {
        progress("PostgreSQL is left out: TEST_POSTGRES_URL is not set");
    }
    for engine in Engine::ALL {
        if engine == Engine::Postgres && options.postgres.is_none() {
            continue;
        }
        report.engines.push(on_engine(&plan, engine, options.postgres.as_deref(), many)?);
    }
    report.machine.look_again();
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&report).context("the report cannot be written as JSON")?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    io::stdout().write_all(render(&report).as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn on_engine(plan: &Plan, engine: Engine, postgres: Option<&str>, many: Size) -> anyhow::Result<OnEngine> {
    let mut sizes = Vec::new();
    for size in [FEW, many] {
        progress(&format!("{}: {} keys", engine.name(), size.keys));
        let place = Place::new(plan, engine, postgres)?;
        sizes.push(of_size(&place, size)?);
        if size == many {
            progress(&format!("{}: warm calls", engine.name()));
            let warm = warm(&place)?;
            progress(&format!("{}: {WRITES_PER_S} calls/s", engine.name()));
            let writing = writing(&place)?;
            return Ok(OnEngine { engine, sizes, warm, writing });
        }
    }
    anyhow::bail!("there is no size to measure")
}

/// A database, an upstream, and a directory for gateways.
struct Place<'a> {
    plan: &'a Plan,
    database: Database,
    upstreams: Upstreams,
    key: String,
    dir: TempDir,
}

impl<'a> Place<'a> {
    fn new(plan: &'a Plan, engine: Engine, postgres: Option<&str>) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("toolgate-bench-").context("cannot make a directory")?;
        let upstreams = Upstreams::start(plan, &SERVERS, dir.path())?;
        let database = Database::new(engine, postgres, dir.path())?;
        // Only this run's own gateways know it, and they listen on loopback.
        let key = format!("sk-bench-{:032x}", u128::from(std::process::id()) << 64 | super::cell::started_ns()?);
        Ok(Self { plan, database, upstreams, key, dir })
    }

    fn start(&self, general: &str) -> anyhow::Result<(Gateway, Client)> {
        let environment = self.database.environment();
        let servers = (&SERVERS, self.upstreams.ports.as_slice());
        let gateway = stage::start_toolgate_with(self.plan, servers, &self.key, &self.dir, general, &environment)?;
        let client = Client::new(gateway.port);
        Ok((gateway, client))
    }

    /// A key that reaches the server.
    fn make_key(&self, client: &mut Client, alias: &str) -> anyhow::Result<String> {
        let reaches = json!({ "mcp_servers": [stage::server_name(0)] });
        let body = json!({ "key_alias": alias, "object_permission": reaches }).to_string();
        let made = client.post("/key/generate", &self.key, &body)?;
        ensure!(made.status == 200, "a key was not made: {}", made.body);
        let made: Value = serde_json::from_str(&made.body).context("no JSON")?;
        Ok(made["key"].as_str().context("there is no key in the answer")?.to_owned())
    }

    fn load(&self, gateway: &Gateway, key: &str, rate_per_s: u32) -> anyhow::Result<Summary> {
        let (measure, warmup) = (self.plan.measure.as_secs_f64(), self.plan.warmup.as_secs_f64());
        let text = format!(
            "--url http://127.0.0.1:{}/mcp --sessions 16 --method tools/call --tool {}-answer --answer-bytes 256 \
             --duration {measure} --warmup {warmup} --watch-pid {} --rate {rate_per_s}",
            gateway.port,
            stage::server_name(0),
            gateway.running.pid(),
        );
        let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let summary: Summary = stage::load(self.plan, &arguments, key, self.dir.path())?;
        ensure!(summary.errors == 0, "{} wrong answers: {:?}", summary.errors, summary.first_error);
        Ok(summary)
    }
}

fn of_size(place: &Place<'_>, size: Size) -> anyhow::Result<OfSize> {
    let (gateway, mut client) = place.start("")?;
    place.make_key(&mut client, "template")?;
    let team = client.post("/team/new", &place.key, r#"{"team_alias": "template"}"#)?;
    ensure!(team.status == 200, "a team was not made: {}", team.body);
    drop(gateway);
    place.database.fill(size.keys, size.teams)?;

    let mut ready_ms = f64::MAX;
    for _ in 0..STARTS {
        let (gateway, _) = place.start("")?;
        ready_ms = ready_ms.min(gateway.ready_after.as_secs_f64() * 1e3);
    }
    let (gateway, mut client) = place.start("")?;
    let keys: Vec<String> =
        (0..=COLD).map(|key| place.make_key(&mut client, &format!("cold-{key}"))).collect::<Result<_, _>>()?;
    drop(gateway);

    let (gateway, mut client) = place.start("")?;
    client.ping(&place.key)?;
    let (shared, alone) = keys.split_last().context("there are keys")?;
    let mut cold = alone.iter().map(|key| client.ping(key)).collect::<Result<Vec<_>, _>>()?;
    let mut warm = alone.iter().map(|key| client.ping(key)).collect::<Result<Vec<_>, _>>()?;
    cold.sort();
    warm.sort();
    let us = |times: &[Duration], at: f64| times[((times.len() - 1) as f64 * at) as usize].as_secs_f64() * 1e6;

    let before = place.database.scans()?;
    let port = gateway.port;
    let together = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| Client::new(port).ping(shared).map(drop))).collect();
        asking.into_iter().try_for_each(|asking| asking.join().unwrap_or_else(|_| anyhow::bail!("it panicked")))
    });
    together?;
    let scans_at_once =
        before.zip(place.database.scans()?).map(|(before, after)| (after.0 - before.0, after.1 - before.1));

    let last = (size.keys / PAGE).max(1);
    let mut page = |number: u32| -> anyhow::Result<f64> {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let list =
                client.get(&format!("/key/list?page={number}&size={PAGE}&return_full_object=true"), &place.key)?;
            best = best.min(began.elapsed().as_secs_f64() * 1e3);
            ensure!(list.status == 200, "{}", list.body);
        }
        Ok(best)
    };
    Ok(OfSize {
        size,
        ready_ms,
        cold_p50_us: us(&cold, 0.5),
        cold_p99_us: us(&cold, 0.99),
        warm_p50_us: us(&warm, 0.5),
        scans_at_once,
        first_page_ms: page(1)?,
        middle_page_ms: page(last.div_ceil(2))?,
        last_page_ms: page(last)?,
    })
}

fn warm(place: &Place<'_>) -> anyhow::Result<Warm> {
    let (gateway, mut client) = place.start("disable_spend_logs: true")?;
    let key = place.make_key(&mut client, "warm")?;
    let mut warm = Warm { master_us: Vec::new(), virtual_us: Vec::new(), scans: None, calls: 0 };
    // So that nothing of its first look-up is counted.
    place.load(&gateway, &key, 100)?;
    for _ in 0..ROUNDS {
        warm.master_us.extend(place.load(&gateway, &place.key, WARM_PER_S)?.watched_cpu_us_per_call);
        let before = place.database.scans()?;
        let summary = place.load(&gateway, &key, WARM_PER_S)?;
        warm.calls += summary.calls;
        warm.virtual_us.extend(summary.watched_cpu_us_per_call);
        if let (Some(before), Some(after)) = (before, place.database.scans()?) {
            *warm.scans.get_or_insert(0) += after.0 - before.0 + after.1 - before.1;
        }
    }
    Ok(warm)
}

fn writing(place: &Place<'_>) -> anyhow::Result<Writing> {
    let mut writing = Writing { with: Vec::new(), without: Vec::new(), written: 0, summed: 0, calls: 0 };
    let mut key = None;
    for _ in 0..ROUNDS {
        for (general, rates) in
            [("disable_spend_logs: false", &mut writing.with), ("disable_spend_logs: true", &mut writing.without)]
        {
            let (gateway, mut client) = place.start(general)?;
            let key = match &key {
                Some(key) => key,
                None => key.insert(place.make_key(&mut client, "writing")?),
            };
            let summary = place.load(&gateway, key, WRITES_PER_S)?;
            rates.push(Rate {
                cpu_us: summary.watched_cpu_us_per_call.context("CPU time is measured")?,
                p50_us: summary.p50_us,
                p99_us: summary.p99_us,
                calls_per_s: summary.calls_per_s,
            });
            if general.ends_with("false") {
                writing.calls += summary.calls;
                let metrics = client.get("/metrics", &place.key)?.body;
                writing.summed += counted(&metrics, "toolgate_spend_rows_total{result=\"summed\"}");
                writing.written += counted(&metrics, "toolgate_spend_rows_total{result=\"written\"}");
            }
        }
    }
    Ok(writing)
}

fn counted(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn render(report: &Report) -> String {
    let mut text = String::from("# Keys, teams and the log of calls\n\n");
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "{}, {} cores, Linux {}; load average {} before, {} after\n",
        machine.cpu, machine.cores, machine.kernel, machine.busy_before, machine.busy_after
    );
    text.push_str(
        "| database | keys | teams | ready ms | cold key p50 / p99 µs | known key p50 µs | scans of `keys` for 64 at once: \
         index / all rows | page 1 / middle / last ms |\n|---|---|---|---|---|---|---|---|\n",
    );
    for engine in &report.engines {
        for of in &engine.sizes {
            let scans = of.scans_at_once.map_or("–".to_owned(), |(index, all)| format!("{index} / {all}"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.1} | {:.0} / {:.0} | {:.0} | {scans} | {:.1} / {:.1} / {:.1} |",
                engine.engine.name(),
                of.size.keys,
                of.size.teams,
                of.ready_ms,
                of.cold_p50_us,
                of.cold_p99_us,
                of.warm_p50_us,
                of.first_page_ms,
                of.middle_page_ms,
                of.last_page_ms,
            );
        }
    }
    text.push_str("\n| database | CPU µs/call: master key | virtual key | more | scans of `keys` | calls |\n|---|---|---|---|---|---|\n");
    for engine in &report.engines {
        let warm = &engine.warm;
        let more = median(warm.master_us.iter().zip(&warm.virtual_us).map(|(master, own)| own - master));
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {more:.1} | {} | {} |",
            engine.engine.name(),
            median(warm.master_us.iter().copied()),
            median(warm.virtual_us.iter().copied()),
            warm.scans.map_or("–".to_owned(), |scans| scans.to_string()),
            warm.calls,
        );
    }
    text.push_str(
        "\n| database | calls/s | CPU µs/call: with the log | without | the log's share of a core | p50 / p99 µs with | without | \
         calls: written / summed up |\n|---|---|---|---|---|---|---|---|\n",
    );
    for engine in &report.engines {
        let Writing { with, without, written, summed, calls } = &engine.writing;
        let more = median(with.iter().zip(without).map(|(with, without)| with.cpu_us - without.cpu_us));
        let rate = median(with.iter().map(|rate| rate.calls_per_s));
        let of = |rates: &[Rate], number: fn(&Rate) -> f64| median(rates.iter().map(number));
        let _ = writeln!(
            text,
            "| {} | {rate:.0} | {:.1} | {:.1} | {:.1} % | {:.0} / {:.0} | {:.0} / {:.0} | {calls}: {written} / {summed} |",
            engine.engine.name(),
            of(with, |rate| rate.cpu_us),
            of(without, |rate| rate.cpu_us),
            more * rate / 1e4,
            of(with, |rate| rate.p50_us),
            of(with, |rate| rate.p99_us),
            of(without, |rate| rate.p50_us),
            of(without, |rate| rate.p99_us),
        );
    }
    text
}
