//! The pool of connections to HTTP servers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::origin::{Body, Origin};
use super::tls::{self, TlsOptions};
use crate::error::{Delivery, Error, Problem, causes, root_cause};

/// A connection may take this long to come about, TLS not counted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Node and uvicorn, on which most MCP servers stand, close a connection after 5 idle seconds. A request that meets
/// the closing is lost without our knowing whether it was seen, so idle connections are given up before that.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections kept for one server.
pub(super) const IDLE_PER_HOST: usize = 128;

/// A peer that vanished without a word is noticed within about this time.
const DEAD_PEER: Duration = Duration::from_secs(10);

/// HTTP/1.1 and HTTP/2 connections, pooled and kept alive. Cloning it shares the pool.
///
/// It follows no redirects, asks for no compression and keeps no cookies.
#[derive(Clone)]
pub struct HttpClient {
    /// For `https:`, where HTTP/2 may be spoken on one connection for all.
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    tcp: HttpConnector,
    /// Those of `http:` that somebody uses.
    origins: Arc<Mutex<HashMap<Authority, Weak<Origin>>>>,
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
            .wrap_connector(tcp.clone());
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http2_keep_alive_interval(DEAD_PEER)
            .http2_keep_alive_timeout(DEAD_PEER)
            .build(connector);
        tcp.enforce_http(true);
        Ok(Self { pool, tcp, origins: Arc::default() })
    }

    /// Sends `request` to `server`, which is only the name for errors.
    pub(crate) async fn send(&self, server: &str, request: Request<Full<Bytes>>) -> Result<Response<Body>, Error> {
        let sent = self.pool.request(request).await;
        sent.map(|response| response.map(Body::of_a_task)).map_err(|error| explain(server, &error))
    }

    /// The origin of `uri`, shared by all who talk to it; `None` unless its scheme is `http`.
    pub(crate) fn origin(&self, uri: &Uri) -> Option<Arc<Origin>> {
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP))?;
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = origins.get(authority).and_then(Weak::upgrade) {
            return Some(origin);
        }
        origins.retain(|_, origin| origin.strong_count() > 0);
        let origin = Arc::new(Origin::new(self.tcp.clone(), uri.clone()));
        origins.insert(authority.clone(), Arc::downgrade(&origin));
        Some(origin)
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
