//! The pool of connections to HTTP servers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::tls::{self, TlsOptions};
use crate::error::{Delivery, Error, Problem, causes, root_cause};

/// A connection may take this long to come about, TLS not counted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Node and uvicorn, on which most MCP servers stand, close a connection after 5 idle seconds. A request that meets
/// the closing is lost without our knowing whether it was seen, so idle connections are given up before that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections kept for one server.
const IDLE_PER_HOST: usize = 128;

/// A peer that vanished without a word is noticed within about this time.
const DEAD_PEER: Duration = Duration::from_secs(10);

/// HTTP/1.1 and HTTP/2 connections, pooled and kept alive. Cloning it shares the pool.
///
/// It follows no redirects, asks for no compression and keeps no cookies.
#[derive(Clone)]
pub struct HttpClient {
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A new pool. The system's root certificates are read here, which takes some milliseconds.
    ///
    /// # Errors
    /// [`Problem::CaFile`] when the CA file cannot be read or holds no certificate.
    pub fn new(options: &TlsOptions) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(Duration::from_secs(15)));
        tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(DEAD_PEER));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(options)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http2_keep_alive_interval(DEAD_PEER)
            .http2_keep_alive_timeout(DEAD_PEER)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends `request` to `server`, which is only the name for errors.
    pub(crate) async fn send(&self, server: &str, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.pool.request(request).await.map_err(|error| explain(server, &error))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

fn explain(server: &str, error: &hyper_util::client::legacy::Error) -> Error {
    let reason = root_cause(error);
    if !error.is_connect() {
        return Error::new(server, Delivery::Unknown, Problem::Broken { reason });
    }
    let of_tls = causes(error).any(|cause| cause.is::<rustls::Error>());
    let problem = if of_tls { Problem::Tls { reason } } else { Problem::Connect { reason } };
    Error::new(server, Delivery::NotSent, problem)
}
