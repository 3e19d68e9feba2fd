//! The load generator: many sessions that call one method, in closed loop or at a constant rate.
//!
//! In closed loop every session sends its next call when it has its answer: this shows the most that the target does.
//! At a constant rate calls are due whether or not the answers came, and latency counts from the due time: this shows
//! what users feel. Every answer is checked.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;
use toolgate_mcp::jsonrpc;

use crate::answer::{Checker, Expected};
use crate::histogram::Histogram;
use crate::pace::{Schedule, Timer};
use crate::process::{self, Memory};
use crate::session::{Endpoint, Session};

/// `load`: what to call, how often, and what the answers must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    /// Sessions, each with a connection of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Closed loop (the default): each session sends when it has its answer.
    #[arg(long, value_enum, conflicts_with = "rate")]
    mode: Option<Mode>,
    /// Calls per second of all sessions together, at fixed times.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// The method to call.
    #[arg(long, value_enum, default_value_t = CalledMethod::ToolsCall)]
    method: CalledMethod,
    /// The tool to call, by the name that the target lists it under.
    #[arg(long, default_value = "answer")]
    tool: String,
    /// Seconds to measure.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    duration: f64,
    /// Seconds of the same load before that, not counted.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    warmup: f64,
    /// Bytes of text that every answer of `tools/call` must hold; absent: any result without error.
    #[arg(long)]
    answer_bytes: Option<usize>,
    /// Tools that every answer of `tools/list` must hold; absent: any result.
    #[arg(long)]
    tools: Option<usize>,
    /// A process whose CPU time over the measured time, with its children's, is put into the summary.
    #[arg(long)]
    watch_pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Closed,
}

/// The methods that the load can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CalledMethod {
    #[value(name = "tools/call")]
    ToolsCall,
    #[value(name = "tools/list")]
    ToolsList,
}

impl CalledMethod {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ToolsCall => "tools/call",
            Self::ToolsList => "tools/list",
        }
    }
}

/// What one run came to. Latencies are in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) calls: u64,
    pub(crate) calls_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// How late calls were sent, at a constant rate: the generator's own part in the latencies.
    pub(crate) send_delay_p99_us: Option<f64>,
    /// Bytes of the last body, to see that targets were asked for the same.
    pub(crate) body_bytes: usize,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// CPU time of the watched process per call.
    pub(crate) watched_cpu_us_per_call: Option<f64>,
    /// Memory of the watched process at the end.
    pub(crate) watched_memory: Option<Memory>,
}

/// Runs the load and sums it up. A wrong answer or a lost connection is counted, not returned.
///
/// # Errors
/// When the sessions cannot be opened or the watched process cannot be measured.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Summary> {
    crate::launch::raise_open_files();
    let mut sessions = Vec::new();
    for number in 0..options.sessions {
        let opened =
            Session::open(&options.endpoint).await.with_context(|| format!("session {number} did not open"))?;
        sessions.push(opened);
    }
    let watched = options.watch_pid.map(process::tree).transpose()?;
    let clock = Clock::starting_now(options);
    let mut workers = JoinSet::new();
    for (number, session) in (0..).zip(sessions) {
        let pace = options.rate.map(|rate_per_s| Schedule { rate_per_s, sessions: options.sessions, session: number });
        workers.spawn(Worker::new(session, options, clock).run(pace));
    }
    tokio::time::sleep_until(clock.measure_from.into()).await;
    let cpu_before = watched.as_deref().map(process::cpu_ns).transpose()?;
    let mut all = Tally::default();
    while let Some(tally) = workers.join_next().await {
        all.merge(tally.context("a session's task broke down")?);
    }
    let took = clock.measure_from.elapsed();
    let cpu_after = watched.as_deref().map(process::cpu_ns).transpose()?;
    let mut summary = all.summary(took, options.rate.is_some());
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        summary.watched_cpu_us_per_call = Some((after - before) as f64 / 1e3 / summary.calls.max(1) as f64);
    }
    summary.watched_memory = watched.as_deref().map(process::memory).transpose()?;
    ensure!(summary.calls > 0 || summary.errors > 0, "not one call was made: is --duration too short?");
    Ok(summary)
}

/// When a run begins, begins to count, and ends.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    measure_from: Instant,
    end: Instant,
}

impl Clock {
    fn starting_now(options: &Options) -> Self {
        let start = Instant::now();
        let measure_from = start + Duration::from_secs_f64(options.warmup);
        Self { start, measure_from, end: measure_from + Duration::from_secs_f64(options.duration) }
    }
}

/// One session at work.
struct Worker {
    session: Session,
    checker: Checker,
    method: &'static str,
    params: String,
    clock: Clock,
    next_id: u64,
    tally: Tally,
}

impl Worker {
    fn new(session: Session, options: &Options, clock: Clock) -> Self {
        let (expected, params) = match options.method {
            CalledMethod::ToolsCall => {
                (options.answer_bytes.map(|bytes| Expected::Text { bytes }), call(&options.tool))
            }
            CalledMethod::ToolsList => (options.tools.map(|count| Expected::Tools { count }), "{}".to_owned()),
        };
        let checker = Checker::new(expected.unwrap_or(Expected::AnyResult));
        let method = options.method.name();
        Self { session, checker, method, params, clock, next_id: 1, tally: Tally::default() }
    }

    async fn run(mut self, pace: Option<Schedule>) -> Tally {
        let outcome = match pace {
            None => self.closed_loop().await,
            Some(schedule) => self.constant_rate(schedule).await,
        };
        // A session that lost its connection has nothing to go on with; the run fails by this error.
        if let Err(error) = outcome {
            self.tally.error(format!("{error:#}"));
        }
        self.tally
    }

    async fn closed_loop(&mut self) -> anyhow::Result<()> {
        loop {
            let sent = Instant::now();
            if sent >= self.clock.end {
                return Ok(());
            }
            self.call_once(sent, sent).await?;
        }
    }

    async fn constant_rate(&mut self, schedule: Schedule) -> anyhow::Result<()> {
        let timer = Timer::new().context("cannot make a timer")?;
        for turn in 0.. {
            let due = self.clock.start + schedule.due(turn);
            if due >= self.clock.end {
                break;
            }
            timer.until(due).await.context("the timer failed")?;
            self.call_once(due, Instant::now()).await?;
        }
        Ok(())
    }

    /// Calls and counts; a wrong answer is counted, a broken connection returned.
    async fn call_once(&mut self, due: Instant, sent: Instant) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        let message = Bytes::from(jsonrpc::request(&id.to_string(), self.method, Some(&self.params)));
        let reply = self.session.post(message).await?;
        let answered = Instant::now();
        if let Err(problem) = self.checker.check(reply.status, reply.is_sse, &reply.body, id) {
            self.tally.error(problem);
        } else if due >= self.clock.measure_from {
            self.tally.latency.record(answered - due);
            self.tally.send_delay.record(sent - due);
        }
        self.tally.body_bytes = reply.body.len();
        Ok(())
    }
}

/// Arguments of the size that agents send.
fn call(tool: &str) -> String {
    let arguments = json!({ "query": "is:open label:bug sort:updated-desc", "limit": 20, "include_body": false });
    json!({ "name": tool, "arguments": arguments }).to_string()
}

#[derive(Debug, Default)]
struct Tally {
    latency: Histogram,
    send_delay: Histogram,
    body_bytes: usize,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    fn error(&mut self, problem: String) {
        self.errors += 1;
        self.first_error.get_or_insert(problem);
    }

    fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        self.send_delay.merge(&other.send_delay);
        self.body_bytes = self.body_bytes.max(other.body_bytes);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn summary(self, took: Duration, constant_rate: bool) -> Summary {
        let latency = &self.latency;
        Summary {
            calls: latency.count(),
            calls_per_s: latency.count() as f64 / took.as_secs_f64(),
            p50_us: latency.quantile_us(0.5),
            p99_us: latency.quantile_us(0.99),
            p999_us: latency.quantile_us(0.999),
            max_us: latency.max_us(),
            send_delay_p99_us: constant_rate.then(|| self.send_delay.quantile_us(0.99)),
            body_bytes: self.body_bytes,
            errors: self.errors,
            first_error: self.first_error,
            watched_cpu_us_per_call: None,
            watched_memory: None,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("`{text}` is not a number of seconds between 0 and 86400")),
    }
}

#[cfg(test)]
mod tests;
