//! `toolgate demo-server`: a small MCP server that needs no network, so that a first call works offline.
//!
//! [`protocol`] is pure: a message in, a [`protocol::Step`] out. [`stdio`] and [`http`] only move the bytes and keep
//! the time. It serves revisions 2024-11-05 to 2025-11-25, those that begin with `initialize`.

pub mod catalog;
pub mod http;
pub mod protocol;
pub mod stdio;
mod tools;

use std::net::SocketAddr;

/// Options of `toolgate demo-server`.
#[derive(Debug, clap::Args)]
pub struct DemoServerArgs {
    /// Serve Streamable HTTP at this address, on the path /mcp, instead of standard input and output
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:4100")]
    pub http: Option<SocketAddr>,

    /// With --http: hand out no session ids
    #[arg(long, requires = "http")]
    pub stateless: bool,
}

/// Serves until standard input ends, or until a signal to stop comes.
///
/// # Errors
/// When the address cannot be listened on, or standard input or output breaks.
pub async fn run(args: &DemoServerArgs) -> anyhow::Result<()> {
    let Some(address) = args.http else {
        return Ok(stdio::serve(tokio::io::stdin(), tokio::io::stdout()).await?);
    };
    let options = http::Options { sessions: !args.stateless };
    let server = http::start(address, options).await?;
    tracing::info!(url = %server.url(), "the demo server is ready: http://{}/mcp", server.address());
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
