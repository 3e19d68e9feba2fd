//! `toolgate demo-server`: a small MCP server that needs no network, so that a first call works offline.
//!
//! [`protocol`] is pure: a message in, a [`protocol::Step`] out. [`stdio`] and [`http`] only move the bytes and keep
//! the time. It serves revisions 2024-11-05 to 2025-11-25, those that begin with `initialize`.

pub mod catalog;
pub mod http;
pub mod protocol;
pub mod stdio;
mod tools;

use std::net::{SocketAddr, ToSocketAddrs};

use super::output::Output;
use super::{Exit, Failure, runtime};

/// Options of `toolgate demo-server`.
#[derive(Debug, clap::Args)]
pub struct DemoServerArgs {
    /// Serve Streamable HTTP at this address, on the path /mcp, instead of standard input and output
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:4100", value_parser = address)]
    pub http: Option<SocketAddr>,

    /// With --http: hand out no session ids
    #[arg(long, requires = "http")]
    pub stateless: bool,
}

/// Serves until standard input ends, or until a signal to stop comes. Over HTTP the URL is printed first.
///
/// # Errors
/// When the address cannot be listened on, or standard input or output breaks.
pub fn run(args: &DemoServerArgs, output: &Output) -> Result<Exit, Failure> {
    runtime::block_on(async {
        match args.http {
            Some(address) => serve_http(address, args.stateless, output).await?,
            None => stdio::serve(tokio::io::stdin(), tokio::io::stdout()).await?,
        }
        Ok(Exit::Ok)
    })
}

async fn serve_http(address: SocketAddr, stateless: bool, output: &Output) -> Result<(), Failure> {
    let options = http::Options { sessions: !stateless };
    let server = http::start(address, options).await.map_err(|error| {
        Failure::new(Exit::Unexpected, "listen", format!("cannot listen on {address}: {error}"))
            .hint("give another address: --http 127.0.0.1:PORT; port 0 takes a free one")
    })?;
    output.line(&server.url())?;
    runtime::stop_signal().await?;
    server.stop().await;
    Ok(())
}

/// `ADDRESS:PORT`, `NAME:PORT`, or a port of this machine alone.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let mut found = text.to_socket_addrs().map_err(|error| format!("write it like 127.0.0.1:4100 ({error})"))?;
    found.next().ok_or_else(|| "no address for this name".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port_or_a_name_with_one() {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(address("127.0.0.1:1"), Ok(loopback(1)));
        assert_eq!(address(":4100"), Ok(loopback(4100)));
        assert_eq!(address("0"), Ok(loopback(0)));
        assert!(address("localhost:7").expect("every machine has it").ip().is_loopback());
        assert!(address("127.0.0.1").is_err() && address("127.0.0.1:99999").is_err());
    }
}
