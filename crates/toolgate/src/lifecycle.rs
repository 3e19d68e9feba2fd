//! From start to end: bind, serve, reload, drain, exit.
//!
//! Stopping, in this order: readiness turns to 503 and new calls are sent elsewhere; streams end and running calls go
//! on; when the last call is done or the grace time is over, upstream sessions are closed and children ended.

mod accept;
mod metrics_port;
mod process;
mod stall;

pub use process::serve;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolgate_store::Store;

use crate::config::Settings;
use crate::config::settings::Bind;
use crate::gateway::Gateway;
use crate::server::serve::Server;
use crate::telemetry::{Metrics, Traces};

/// How long closing upstream sessions and ending children may take after the last call.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last calls may take to be written down.
const LAST_CALLS_TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway that serves.
pub struct Running {
    gateway: Gateway,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    accepting: JoinSet<()>,
    /// The connections that were there when stopping began; they are waited for.
    connections: TaskTracker,
    /// Ends the accept loop and every connection that is still open.
    ended: CancellationToken,
}

/// Starts a gateway inside this process, without logs, traces, signals or reloads; for tests and embedding.
///
/// # Errors
/// When the address cannot be bound.
pub async fn start(settings: Settings, bind: Bind) -> anyhow::Result<Running> {
    start_with(settings, bind, Metrics::new(), Traces::disabled(), None).await
}

/// [`start`] with telemetry of the caller's, and a database for keys; without one there is only the master key.
///
/// # Errors
/// When the address cannot be bound.
pub async fn start_with(
    settings: Settings,
    bind: Bind,
    metrics: Metrics,
    traces: Traces,
    store: Option<Store>,
) -> anyhow::Result<Running> {
    let (listener, address) = listen(SocketAddr::new(bind.host, bind.port), "--port").await?;
    let metrics_port = match bind.metrics_port {
        Some(port) => Some(listen(SocketAddr::new(bind.host, port), "--prometheus_metrics_port").await?),
        None => None,
    };
    let metrics_address = metrics_port.as_ref().map(|(_, address)| *address);
    let bind = Bind { port: address.port(), metrics_port: metrics_address.map(|address| address.port()), ..bind };
    let gateway = Gateway::new(settings, bind, metrics, traces, store);
    gateway.identity.begin().await;
    gateway.begin_servers().await;
    let connections = TaskTracker::new();
    let ended = CancellationToken::new();
    let server = Server::new(gateway.clone());
    gateway.tasks.spawn(crate::mcp::live::tend(gateway.clone()));
    gateway.tasks.spawn(crate::identity::follow(gateway.clone()));
    gateway.tasks.spawn(crate::identity::tell_of_refusals(gateway.clone()));
    gateway.accounting.start();
    let mut accepting = JoinSet::new();
    accepting.spawn(accept::run(listener, server, gateway.clone(), connections.clone(), ended.clone()));
    if let Some((listener, _)) = metrics_port {
        accepting.spawn(metrics_port::run(listener, gateway.clone(), ended.clone()));
    }
    Ok(Running { gateway, address, metrics_address, accepting, connections, ended })
}

/// Listens on `wanted`, which `option` chose; gives back the address that it got.
async fn listen(wanted: SocketAddr, option: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await.with_context(|| {
        format!("cannot listen on {wanted}; is another program using the port? choose one with {option}")
    })?;
    let address = listener.local_addr().context("the bound address cannot be read")?;
    Ok((listener, address))
}

impl Running {
    /// Where it listens; the port is the real one when 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics alone are served, if anywhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The parts.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Stops: lets running calls finish for at most the configured grace time, then closes everything.
    pub async fn stop(mut self) {
        let grace = self.gateway.snapshot().settings.general.shutdown_grace;
        self.gateway.stopping.cancel();
        self.gateway.tasks.close();
        self.connections.close();
        let drained = async {
            self.gateway.tasks.wait().await;
            self.connections.wait().await;
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!(
                grace_s = grace.as_secs(),
                "calls were still running when the grace time ended; they are cut off"
            );
        }
        self.ended.cancel();
        let closing = async {
            self.gateway.snapshot().upstreams.close(None, Duration::ZERO).await;
            while let Some(Err(error)) = self.accepting.join_next().await {
                tracing::error!(%error, "the accept loop panicked");
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!(timeout_s = CLOSE_TIMEOUT.as_secs(), "not every upstream could be closed in time");
        }
        self.gateway.accounting.close(LAST_CALLS_TIMEOUT).await;
        if let Some(store) = self.gateway.identity.store() {
            store.close().await;
        }
    }
}
