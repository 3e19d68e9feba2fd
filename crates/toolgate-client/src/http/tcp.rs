//! TCP connections, to no other addresses than may be reached.
//!
//! A name is resolved once; every address that comes of it is looked at, and one of those is connected to. So a name that
//! leads elsewhere the next time it is asked for gains nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

/// Says of an address whether it may be connected to.
pub type Reach = fn(IpAddr) -> bool;

/// A connection may take this long to come about, TLS not counted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that vanished without a word is noticed within about this time.
pub(super) const DEAD_PEER: Duration = Duration::from_secs(10);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Tcp {
    connector: HttpConnector<Resolver>,
    reach: Option<Reach>,
}

#[derive(Clone)]
struct Resolver {
    system: GaiResolver,
    reach: Option<Reach>,
}

/// Why nobody was connected to. It does not say what address was found: that would tell what names there are inside.
#[derive(Debug)]
struct OutOfReach;

impl Tcp {
    /// `reach`: all addresses where there is none.
    pub(super) fn new(reach: Option<Reach>) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver { system: GaiResolver::new(), reach });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(Duration::from_secs(15)));
        connector.set_keepalive_interval(Some(Duration::from_secs(5)));
        connector.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(DEAD_PEER));
        Self { connector, reach }
    }

    /// The same for `http:` alone.
    pub(super) fn plain(&self) -> Self {
        let mut plain = self.clone();
        plain.connector.enforce_http(true);
        plain
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Boxed<TokioIo<TcpStream>, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // What is an address already is not resolved.
        let literal = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        let is_out = matches!((self.reach, literal), (Some(reach), Some(address)) if !reach(address));
        let connecting = self.connector.call(uri);
        Box::pin(async move { if is_out { Err(OutOfReach.into()) } else { connecting.await.map_err(Into::into) } })
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Boxed<Self::Response, io::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looked_up, reach) = (self.system.call(name), self.reach);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = looked_up.await?.collect();
            match reach {
                Some(reach) if !addresses.iter().all(|address| reach(address.ip())) => {
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, OutOfReach))
                }
                _ => Ok(addresses.into_iter()),
            }
        })
    }
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host's address may not be reached for this server")
    }
}

impl std::error::Error for OutOfReach {}
