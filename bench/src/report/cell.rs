//! One cell: one scenario on one target, with everything started anew, so that cells do not touch each other.

use anyhow::{Context, anyhow, bail, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::crowd;
use crate::idle::Held;
use crate::load::{CalledMethod, Summary};
use crate::process::{self, Memory};
use crate::report::Plan;
use crate::report::describe::{self, Described};
use crate::report::scenario::{Idle, Load, Scenario, Servers, Work, one_server};
use crate::report::stage::{self, Gateway, Idlers, Upstreams};

/// How often a program is started for the start scenario; the fastest counts, since others only waited for the machine.
const STARTS: usize = 5;

/// What the load is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// The upstream itself.
    Direct,
    /// nginx before the upstream.
    Nginx,
    /// toolgate before the upstream, or the upstreams.
    Toolgate,
}

impl Target {
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Nginx, Self::Toolgate];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Toolgate => "toolgate",
        }
    }
}

/// What one cell came to; parts that a scenario does not measure are absent.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) scenario: &'static str,
    pub(crate) target: Target,
    pub(crate) round: u32,
    pub(crate) numbers: Numbers,
    /// Why the cell is not to be believed.
    pub(crate) failure: Option<String>,
}

/// The numbers of one cell.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Numbers {
    pub(crate) low: Option<Summary>,
    pub(crate) steady: Option<Summary>,
    pub(crate) closed: Option<Summary>,
    pub(crate) idle: Option<IdleNumbers>,
    pub(crate) ready_ms: Option<f64>,
    pub(crate) crowd: Option<crowd::Summary>,
    pub(crate) described: Option<Described>,
    /// The target's memory at the end.
    pub(crate) memory: Option<Memory>,
}

/// What idle sessions cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct IdleNumbers {
    pub(crate) sessions: usize,
    pub(crate) before: Memory,
    pub(crate) after: Memory,
}

impl IdleNumbers {
    /// What was added to resident memory.
    pub(crate) fn added_bytes(&self) -> u64 {
        self.after.resident_bytes.saturating_sub(self.before.resident_bytes)
    }
}

/// Measures one cell. A failure is part of the cell, so that the others are still measured.
pub(crate) fn measure(plan: &Plan, scenario: &Scenario, target: Target, round: u32) -> Cell {
    let mut numbers = Numbers::default();
    let outcome = match &scenario.work {
        Work::Load(load) => measure_load(plan, load, target, &mut numbers),
        Work::Idle(idle) => measure_idle(plan, idle, target, &mut numbers),
        Work::Streams { sessions } => measure_crowd(plan, "streams", *sessions, target, &mut numbers),
        Work::Storm { sessions } => measure_crowd(plan, "storm", *sessions, target, &mut numbers),
        Work::Start => measure_start(plan, target, &mut numbers),
        Work::Describe(description) => describe::measure(plan, *description).map(|(described, memory)| {
            numbers.described = Some(described);
            numbers.memory = Some(memory);
        }),
    };
    let failure = outcome.err().map(|error| format!("{error:#}"));
    Cell { scenario: scenario.name, target, round, numbers, failure }
}

/// A target with all that is behind it.
struct Stage {
    gateway: Option<Gateway>,
    upstreams: Upstreams,
    key: String,
    dir: TempDir,
}

impl Stage {
    fn set(plan: &Plan, servers: &Servers, target: Target) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("toolgate-bench-").context("cannot make a directory")?;
        // Only this run's own gateway knows it, and that listens on loopback.
        let key = format!("sk-bench-{:032x}", u128::from(std::process::id()) << 64 | started_ns()?);
        let upstreams = match target {
            Target::Toolgate => Upstreams::start(plan, servers, dir.path())?,
            Target::Direct | Target::Nginx => Upstreams::start_alone(plan, servers, dir.path())?,
        };
        let gateway = match target {
            Target::Direct => None,
            Target::Nginx => Some(stage::start_nginx(plan, upstreams.ports[0], &dir)?),
            Target::Toolgate => Some(stage::start_toolgate(plan, servers, &upstreams.ports, &key, &dir)?),
        };
        Ok(Self { gateway, upstreams, key, dir })
    }

    /// Arguments that every load needs.
    fn arguments(&self, sessions: u32) -> Vec<String> {
        let port = self.gateway.as_ref().map_or(self.upstreams.ports[0], |gateway| gateway.port);
        strings(["--url", &format!("http://127.0.0.1:{port}/mcp"), "--sessions", &sessions.to_string()])
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        let gateway = self.gateway.as_ref().ok_or_else(|| anyhow!("there is no gateway to measure"))?;
        process::memory(&process::tree(gateway.running.pid())?)
    }
}

fn measure_load(plan: &Plan, load: &Load, target: Target, numbers: &mut Numbers) -> anyhow::Result<()> {
    let stage = Stage::set(plan, &load.servers, target)?;
    let mut arguments = stage.arguments(load.sessions);
    arguments.extend(strings(["--method", load.method.name()]));
    arguments.extend(match load.method {
        CalledMethod::ToolsCall => {
            let bytes = load.servers.answer_bytes.to_string();
            strings(["--tool", &tool_name(target), "--answer-bytes", &bytes])
        }
        CalledMethod::ToolsList => {
            let tools = u32::from(load.servers.count) * u32::from(load.servers.tools_each);
            strings(["--tools", &tools.to_string()])
        }
    });
    let duration = plan.measure.as_secs_f64().to_string();
    arguments.extend(strings(["--duration", &duration, "--warmup", &plan.warmup.as_secs_f64().to_string()]));
    if let Some(gateway) = &stage.gateway {
        arguments.extend(strings(["--watch-pid", &gateway.running.pid().to_string()]));
    }
    let mut low = arguments.clone();
    low.extend(strings(["--rate", &load.low_rate_per_s.to_string()]));
    let low: Summary = stage::load(plan, &low, &stage.key, stage.dir.path()).context("at the low rate")?;
    if let Some(rate) = load.steady_rate_per_s {
        let steady = [arguments.clone(), strings(["--rate", &rate.to_string()])].concat();
        let steady = stage::load(plan, &steady, &stage.key, stage.dir.path()).context("at the steady rate")?;
        numbers.steady = Some(steady);
    }
    let closed: Summary = stage::load(plan, &arguments, &stage.key, stage.dir.path()).context("in closed loop")?;
    numbers.memory = closed.watched_memory;
    let wrong = [Some(&low), numbers.steady.as_ref(), Some(&closed)]
        .into_iter()
        .flatten()
        .find(|summary| summary.errors > 0)
        .cloned();
    numbers.low = Some(low);
    numbers.closed = Some(closed);
    match wrong {
        None => Ok(()),
        Some(wrong) => bail!("{} wrong answers: {}", wrong.errors, wrong.first_error.unwrap_or_default()),
    }
}

fn measure_idle(plan: &Plan, idle: &Idle, target: Target, numbers: &mut Numbers) -> anyhow::Result<()> {
    let servers = one_server(256);
    let stage = Stage::set(plan, &servers, target)?;
    // A first session makes the target allocate what it needs once, which no idle session is to be charged with.
    let tool = tool_name(target);
    open_idle(plan, &stage, &idle_arguments(&stage, 1, Some(&tool)))?.1.finish::<Held>()?;
    let before = stage.memory()?;
    let sessions = idle.sessions / plan.fewer;
    let (held, idlers) = open_idle(plan, &stage, &idle_arguments(&stage, sessions, idle.called.then_some(&tool)))?;
    let after = stage.memory()?;
    let used: Held = idlers.finish()?;
    ensure!(used.sessions > 0, "no session was used again");
    numbers.idle = Some(IdleNumbers { sessions: held.sessions, before, after });
    numbers.memory = Some(after);
    Ok(())
}

/// Starts `idle` and waits until all its sessions are open.
fn open_idle(plan: &Plan, stage: &Stage, arguments: &[String]) -> anyhow::Result<(Held, Idlers)> {
    let mut idlers = Idlers::start(plan, arguments, &stage.key, stage.dir.path())?;
    Ok((idlers.opened()?, idlers))
}

fn idle_arguments(stage: &Stage, sessions: u32, tool: Option<&String>) -> Vec<String> {
    let mut arguments = stage.arguments(sessions.max(1));
    arguments.extend(tool.into_iter().flat_map(|tool| strings(["--call-tool", tool])));
    arguments
}

/// `streams` or `storm`: many sessions that wait for the same.
fn measure_crowd(
    plan: &Plan,
    subcommand: &str,
    sessions: u32,
    target: Target,
    numbers: &mut Numbers,
) -> anyhow::Result<()> {
    let servers = one_server(256);
    let stage = Stage::set(plan, &servers, target)?;
    let mut arguments = stage.arguments((sessions / plan.fewer).max(1));
    arguments.extend(strings(["--upstream", &format!("http://127.0.0.1:{}", stage.upstreams.ports[0])]));
    arguments.extend(strings(["--tool", &tool_name(target)]));
    if let Some(gateway) = &stage.gateway {
        arguments.extend(strings(["--watch-pid", &gateway.running.pid().to_string()]));
    }
    let summary: crowd::Summary = stage::run_own(plan, subcommand, &arguments, &stage.key, stage.dir.path())?;
    numbers.memory = summary.watched_memory;
    let (lost, reopened, sessions) = (summary.lost, summary.reopened, summary.sessions);
    numbers.crowd = Some(summary);
    ensure!(lost == 0, "{lost} of {sessions} sessions were lost");
    // One session of the upstream for each, and one for the list.
    ensure!(reopened.is_none_or(|opened| opened <= sessions as u64 + 1), "{reopened:?} sessions were opened again");
    Ok(())
}

fn measure_start(plan: &Plan, target: Target, numbers: &mut Numbers) -> anyhow::Result<()> {
    let servers = one_server(256);
    for _ in 0..STARTS {
        let stage = Stage::set(plan, &servers, target)?;
        let gateway = stage.gateway.as_ref().ok_or_else(|| anyhow!("there is no gateway to start"))?;
        let ready_ms = gateway.ready_after.as_secs_f64() * 1e3;
        numbers.ready_ms = Some(numbers.ready_ms.map_or(ready_ms, |best| best.min(ready_ms)));
        numbers.memory = Some(stage.memory()?);
    }
    Ok(())
}

/// The tool's name as the target lists it.
fn tool_name(target: Target) -> String {
    match target {
        Target::Direct | Target::Nginx => "answer".to_owned(),
        Target::Toolgate => format!("{}-answer", stage::server_name(0)),
    }
}

fn strings<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).into()
}

pub(super) fn started_ns() -> anyhow::Result<u128> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(now.context("the clock stands before 1970")?.as_nanos())
}
