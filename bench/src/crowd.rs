//! Many sessions at once: all of them listening when the upstream has news, or all of them calling after it has
//! forgotten them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use http::Uri;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use toolgate_mcp::jsonrpc;

use crate::answer::{Checker, Expected};
use crate::process::{self, Memory};
use crate::session::{Endpoint, Session};
use crate::upstream::control;

/// How many sessions are being opened at once.
const OPENING_AT_ONCE: usize = 32;
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// `streams` and `storm`: how many sessions, and what stands behind the target.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    /// The upstream itself, which is told what to do: `http://HOST:PORT`.
    #[arg(long)]
    upstream: Uri,
    /// Sessions, each with a connection of its own.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// The tool that each session calls.
    #[arg(long, default_value = "answer")]
    tool: String,
    /// The process whose CPU time and memory are measured, with all its descendants.
    #[arg(long)]
    watch_pid: Option<u32>,
}

/// Printed as one line at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) sessions: usize,
    /// Until the last session had what it waited for.
    pub(crate) took_ms: f64,
    /// Until half of them had.
    pub(crate) half_ms: f64,
    /// Sessions that did not get it, or got something else.
    pub(crate) lost: usize,
    /// `storm`: sessions that the upstream opened for those that it had forgotten.
    pub(crate) reopened: Option<u64>,
    /// CPU time of the watched process, per session.
    pub(crate) watched_cpu_us_each: Option<f64>,
    /// Memory of the watched process at the end.
    pub(crate) watched_memory: Option<Memory>,
}

/// Opens a stream per session, has the upstream say that its tools changed, and waits until every stream has heard.
///
/// # Errors
/// When a session or a stream does not open.
pub(crate) async fn streams(options: Options) -> anyhow::Result<ExitCode> {
    crate::launch::raise_open_files();
    let sessions = open_all(&options, false).await?;
    let mut listening = JoinSet::new();
    for mut session in sessions {
        let stream = session.listen().await?;
        listening.spawn(async move { hears(session, stream).await });
    }
    let open = async {
        while control::ask(&options.upstream, "/bench/counts").await?.streams == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, open).await.context("the target does not listen to the upstream")??;
    let watch = Watch::start(&options)?;
    control::ask(&options.upstream, "/bench/changed").await?;
    finish(&options, listening, watch, None).await
}

/// Opens sessions that all called once, has the upstream forget them, and lets all call again at the same time.
///
/// # Errors
/// When a session does not open.
pub(crate) async fn storm(options: Options) -> anyhow::Result<ExitCode> {
    crate::launch::raise_open_files();
    let sessions = open_all(&options, true).await?;
    let before = control::ask(&options.upstream, "/bench/forget").await?;
    let watch = Watch::start(&options)?;
    let mut calling = JoinSet::new();
    for mut session in sessions {
        let tool = options.tool.clone();
        calling.spawn(async move {
            call(&mut session, &tool).await?;
            anyhow::Ok(Instant::now())
        });
    }
    finish(&options, calling, watch, Some(before.sessions)).await
}

/// Collects when each session was done, and prints the summary.
async fn finish(
    options: &Options,
    mut waiting: JoinSet<anyhow::Result<Instant>>,
    watch: Watch,
    opened_before: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let sessions = waiting.len();
    let mut done = Vec::with_capacity(sessions);
    let mut first_problem = None;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, waiting.join_next()).await {
        match ended.context("a session's task broke down")? {
            Ok(at) => done.push(at.duration_since(watch.began)),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    if let Some(problem) = first_problem {
        eprintln_problem(&problem);
    }
    done.sort_unstable();
    let opened = control::ask(&options.upstream, "/bench/counts").await?.sessions;
    let (watched_cpu_us_each, watched_memory) = watch.end(sessions)?;
    let lost = sessions - done.len();
    crate::print_json(&Summary {
        sessions,
        took_ms: done.last().map_or(0.0, |took| took.as_secs_f64() * 1e3),
        half_ms: done.get(done.len() / 2).map_or(0.0, |took| took.as_secs_f64() * 1e3),
        lost,
        reopened: opened_before.map(|before| opened - before),
        watched_cpu_us_each,
        watched_memory,
    })?;
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The watched process from one moment to another.
struct Watch {
    began: Instant,
    processes: Option<Vec<u32>>,
    cpu_ns: u64,
}

impl Watch {
    fn start(options: &Options) -> anyhow::Result<Self> {
        let processes = options.watch_pid.map(process::tree).transpose()?;
        let cpu_ns = processes.as_deref().map(process::cpu_ns).transpose()?.unwrap_or_default();
        Ok(Self { began: Instant::now(), processes, cpu_ns })
    }

    fn end(&self, sessions: usize) -> anyhow::Result<(Option<f64>, Option<Memory>)> {
        let Some(processes) = &self.processes else { return Ok((None, None)) };
        let used_ns = process::cpu_ns(processes)? - self.cpu_ns;
        Ok((Some(used_ns as f64 / 1e3 / sessions.max(1) as f64), Some(process::memory(processes)?)))
    }
}

async fn open_all(options: &Options, calls: bool) -> anyhow::Result<Vec<Session>> {
    let mut opening = JoinSet::new();
    let mut opened = Vec::new();
    for _ in 0..options.sessions {
        if opening.len() >= OPENING_AT_ONCE {
            opened.extend(next(&mut opening).await?);
        }
        let options = options.clone();
        opening.spawn(async move {
            let mut session = Session::open(&options.endpoint).await?;
            // A target that has asked for the list once has met its upstream.
            if calls {
                call(&mut session, &options.tool).await?;
            } else {
                request(&mut session, "tools/list", None).await?;
            }
            anyhow::Ok(session)
        });
    }
    while let Some(session) = next(&mut opening).await? {
        opened.push(session);
    }
    Ok(opened)
}

async fn next(opening: &mut JoinSet<anyhow::Result<Session>>) -> anyhow::Result<Option<Session>> {
    let Some(opened) = opening.join_next().await else { return Ok(None) };
    opened.context("a session's task broke down")?.map(Some)
}

/// Reads the stream until it says that the tools changed; holds the session until then.
async fn hears(_session: Session, mut stream: Incoming) -> anyhow::Result<Instant> {
    let mut said = Vec::new();
    while let Some(frame) = stream.frame().await {
        if let Ok(data) = frame.context("the stream broke off")?.into_data() {
            said.extend_from_slice(&data);
        }
        let text = String::from_utf8_lossy(&said);
        if text.contains("notifications/tools/list_changed") {
            return Ok(Instant::now());
        }
        ensure!(said.len() < 64 * 1024, "the stream says other things: {text}");
    }
    Err(anyhow!("the stream ended without the news"))
}

async fn call(session: &mut Session, tool: &str) -> anyhow::Result<()> {
    let params = serde_json::json!({ "name": tool, "arguments": {} }).to_string();
    request(session, "tools/call", Some(&params)).await
}

async fn request(session: &mut Session, method: &str, params: Option<&str>) -> anyhow::Result<()> {
    let reply = session.post(jsonrpc::request("1", method, params).into()).await?;
    Checker::new(Expected::AnyResult)
        .check(reply.status, reply.is_sse, &reply.body, 1)
        .map_err(|problem| anyhow!("`{method}` was answered with {problem}"))
}

#[expect(clippy::print_stderr, reason = "stdout is for the program that reads the summary")]
fn eprintln_problem(problem: &anyhow::Error) {
    eprintln!("the first that was lost: {problem:#}");
}
