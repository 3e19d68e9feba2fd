//! `toolgate serve --health`: for the health checks of containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::cli::output::Output;
use crate::cli::{Exit, Failure};

const TIMEOUT: Duration = Duration::from_secs(5);

const MAX_BODY_BYTES: usize = 64 * 1024;

/// Asks the gateway at `address` whether it is ready, and prints what it says.
pub(super) async fn ask(address: SocketAddr, output: &Output) -> Result<Exit, Failure> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let unreachable = |why: String| {
        Failure::new(Exit::Unreachable, "unreachable", format!("no gateway answers at {address}: {why}"))
            .hint("give the address it listens on: --host and --port")
    };
    let (status, body) = match tokio::time::timeout(TIMEOUT, get(address)).await {
        Ok(answer) => answer.map_err(|error| unreachable(format!("{error:#}")))?,
        Err(_) => return Err(unreachable(format!("nothing within {TIMEOUT:?}"))),
    };
    if status != StatusCode::OK {
        return Err(Failure::new(Exit::Unexpected, "not-ready", format!("the gateway is not ready: HTTP {status}")));
    }
    output.line(String::from_utf8_lossy(&body).trim())?;
    Ok(Exit::Ok)
}

async fn get(address: SocketAddr) -> anyhow::Result<(StatusCode, Bytes)> {
    let uri = format!("http://{address}/health/readiness");
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.request(Request::get(uri).body(Empty::new())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((status, body.to_bytes()))
}

/// Who listens on every address is found on loopback.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}
