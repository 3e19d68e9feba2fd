//! Opens many sessions and holds them, so that the caller can measure what they cost the target.
//!
//! A session needs no open socket: it is opened, used once if asked, and its connection closed. When stdin ends, some
//! of the sessions are used again, which proves that they were held and not dropped.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;
use toolgate_mcp::jsonrpc;

use crate::answer::{Checker, Expected};
use crate::session::{Endpoint, Session};

/// How many sessions are being opened at once.
const OPENING_AT_ONCE: u32 = 32;
/// How many sessions are used again at the end.
const USED_AGAIN: usize = 100;

/// `idle`: how many sessions, and what they did before they fell silent.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    /// Sessions to open.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Calls this tool once in each session, so that upstream sessions hang on it.
    #[arg(long)]
    call_tool: Option<String>,
    /// Keeps each session's connection open.
    #[arg(long)]
    keep_connections: bool,
}

/// Printed as one line when all sessions are open, and again after the last check.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) sessions: usize,
    pub(crate) took_ms: u64,
}

/// Opens, prints [`Held`], waits for the end of stdin, uses some again, prints [`Held`] for those.
///
/// # Errors
/// When a session does not open, or is gone at the end.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    crate::launch::raise_open_files();
    let start = Instant::now();
    let held = open_all(&options).await?;
    crate::print_json(&Held { sessions: held.len(), took_ms: elapsed_ms(start) })?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.context("cannot read stdin")?;
    let start = Instant::now();
    let every = (held.len() / USED_AGAIN).max(1);
    let mut used = 0;
    for holder in held.iter().step_by(every) {
        use_again(&options, holder.id.clone()).await.context("a session that was held idle is gone")?;
        used += 1;
    }
    crate::print_json(&Held { sessions: used, took_ms: elapsed_ms(start) })?;
    Ok(ExitCode::SUCCESS)
}

/// What is kept of an open session.
struct Holder {
    id: Option<HeaderValue>,
    _connection: Option<Session>,
}

async fn open_all(options: &Options) -> anyhow::Result<Vec<Holder>> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENING_AT_ONCE.min(options.sessions) {
        let share = options.sessions / OPENING_AT_ONCE + u32::from(opener < options.sessions % OPENING_AT_ONCE);
        let options = options.clone();
        openers.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..share {
                held.push(open_one(&options).await?);
            }
            anyhow::Ok(held)
        });
    }
    let mut held = Vec::new();
    while let Some(share) = openers.join_next().await {
        held.extend(share.context("a session's task broke down")??);
    }
    Ok(held)
}

async fn open_one(options: &Options) -> anyhow::Result<Holder> {
    let mut session = Session::open(&options.endpoint).await?;
    if let Some(tool) = &options.call_tool {
        let params = serde_json::json!({ "name": tool, "arguments": {} }).to_string();
        request(&mut session, "tools/call", Some(&params)).await?;
    }
    let id = session.id().cloned();
    Ok(Holder { id, _connection: options.keep_connections.then_some(session) })
}

async fn use_again(options: &Options, id: Option<HeaderValue>) -> anyhow::Result<()> {
    let mut session = Session::resume(&options.endpoint, id).await?;
    request(&mut session, "ping", None).await
}

async fn request(session: &mut Session, method: &str, params: Option<&str>) -> anyhow::Result<()> {
    let reply = session.post(jsonrpc::request("1", method, params).into()).await?;
    Checker::new(Expected::AnyResult)
        .check(reply.status, reply.is_sse, &reply.body, 1)
        .map_err(|problem| anyhow!("`{method}` was answered with {problem}"))
}

fn elapsed_ms(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
