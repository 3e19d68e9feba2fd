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
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::origin::{Body, Origin};
use super::tcp::{DEAD_PEER, Reach, Tcp};
use super::tls::{self, TlsOptions};
use crate::error::{Delivery, Error, Problem, causes, root_cause};

/// Node and uvicorn, on which most MCP servers stand, close a connection after 5 idle seconds. A request that meets
/// the closing is lost without our knowing whether it was seen, so idle connections are given up before that.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections kept for one server.
pub(super) const IDLE_PER_HOST: usize = 128;

/// HTTP/1.1 and HTTP/2 connections, pooled and kept alive. Cloning it shares the pool.
///
/// It follows no redirects, asks for no compression and keeps no cookies.
#[derive(Clone)]
pub struct HttpClient {
    /// For `https:`, where HTTP/2 may be spoken on one connection for all.
    pool: Client<HttpsConnector<Tcp>, Full<Bytes>>,
    tcp: Tcp,
    /// Those of `http:` that somebody uses.
    origins: Arc<Mutex<HashMap<Authority, Weak<Origin>>>>,
}

impl HttpClient {
    /// A new pool. The system's root certificates are read here, which takes some milliseconds.
    ///
    /// # Errors
    /// [`Problem::CaFile`] when the CA file cannot be read or holds no certificate.
    pub fn new(options: &TlsOptions) -> Result<Self, Error> {
        Self::of(options, Tcp::new(None))
    }

    /// The same, connecting to no other addresses than `reach` lets through: those in URLs as well as those that names
    /// lead to. For URLs that somebody named who may not reach everything that this machine can.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn within(options: &TlsOptions, reach: Reach) -> Result<Self, Error> {
        Self::of(options, Tcp::new(Some(reach)))
    }

    fn of(options: &TlsOptions, tcp: Tcp) -> Result<Self, Error> {
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
        Ok(Self { pool, tcp: tcp.plain(), origins: Arc::default() })
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
