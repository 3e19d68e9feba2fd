//! Keeps web pages from reaching the gateway through the user's browser (DNS rebinding, cross-site requests).
//!
//! A page of `evil.test` whose name is made to point at 127.0.0.1 still says `Host: evil.test`, and a page elsewhere
//! says so in `Origin`. Both are checked on every route, before the key is looked at.
//!
//! MCP 2025-11-25 `basic/transports`: servers must validate `Origin` and answer 403 when it is present and wrong.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use http::uri::{Authority, Uri};

use crate::config::settings::{AllowedOrigins, Bind, General};
use crate::telemetry::Denial;

/// What a request from a browser may be told in `Access-Control-Allow-Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginVerdict {
    /// The request came from no page; no CORS headers are needed.
    NoOrigin,
    /// Every page may read the answer: `*`.
    Any,
    /// This page may: its origin is echoed, with `Vary: Origin`.
    Echo(HeaderValue),
}

impl OriginVerdict {
    /// The value of `Access-Control-Allow-Origin`, if one is due.
    #[must_use]
    pub fn allow_origin(&self) -> Option<HeaderValue> {
        match self {
            Self::NoOrigin => None,
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Echo(origin) => Some(origin.clone()),
        }
    }
}

/// Why a request was refused before anybody asked who sends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No `Host`, two of them, or one that is not `host[:port]`. A 400.
    #[error("the request needs exactly one Host header of the form host[:port]")]
    MalformedHost,
    /// A name under which the gateway is not known. A 403.
    #[error("host `{0}` is not served here; add it to `general_settings.allowed_hosts`")]
    HostNotAllowed(String),
    /// A page of another site, `null`, or two origins. A 403.
    #[error("origin `{0}` may not call this gateway; add it to `general_settings.allowed_origins`")]
    OriginNotAllowed(String),
}

impl Refused {
    /// As the metrics name it.
    #[must_use]
    pub fn denial(&self) -> Denial {
        match self {
            Self::MalformedHost | Self::HostNotAllowed(_) => Denial::Host,
            Self::OriginNotAllowed(_) => Denial::Origin,
        }
    }
}

/// The check, with the first `Host` that passed it kept: nearly all requests send the same one, and it need not be taken
/// apart again. Good for one configuration.
#[derive(Debug, Default)]
pub struct FrontDoor {
    served: OnceLock<HeaderValue>,
}

impl FrontDoor {
    /// Checks `Host` (or HTTP/2's `:authority`, which is in `uri`) and `Origin`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn check(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        general: &General,
        bind: &Bind,
    ) -> Result<OriginVerdict, Refused> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none() && uri.authority().is_none());
        let host = host.filter(|_| !headers.contains_key(ORIGIN));
        if host.is_some() && host == self.served.get() {
            return Ok(OriginVerdict::NoOrigin);
        }
        let verdict = check(uri, headers, general, bind)?;
        if let Some(host) = host {
            self.served.get_or_init(|| host.clone());
        }
        Ok(verdict)
    }
}

fn check(uri: &Uri, headers: &HeaderMap, general: &General, bind: &Bind) -> Result<OriginVerdict, Refused> {
    let host = host(uri, headers)?;
    if !is_served(&host, general, bind) {
        return Err(Refused::HostNotAllowed(host.name));
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(OriginVerdict::NoOrigin) };
    if origins.next().is_some() {
        return Err(Refused::OriginNotAllowed("(sent twice)".to_owned()));
    }
    match &general.allowed_origins {
        AllowedOrigins::Any => Ok(OriginVerdict::Any),
        AllowedOrigins::Listed(listed) if may_call(origin, &host, listed) => Ok(OriginVerdict::Echo(origin.clone())),
        AllowedOrigins::Listed(_) => {
            Err(Refused::OriginNotAllowed(String::from_utf8_lossy(origin.as_bytes()).into_owned()))
        }
    }
}

/// Checks a request for metrics on their own port. As everywhere, a page of another site is kept out; an address is good
/// besides the names that are served, since that is how monitoring finds its targets, and no page is under one that is
/// not its own.
///
/// # Errors
/// See [`Refused`].
pub fn check_scraper(uri: &Uri, headers: &HeaderMap, general: &General, bind: &Bind) -> Result<(), Refused> {
    let host = host(uri, headers)?;
    if let Some(origin) = headers.get(ORIGIN) {
        return Err(Refused::OriginNotAllowed(String::from_utf8_lossy(origin.as_bytes()).into_owned()));
    }
    match host.name.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) if is_served(&host, general, bind) => Ok(()),
        Err(_) => Err(Refused::HostNotAllowed(host.name)),
    }
}

/// A name and, if given, a port; the name in lower case, without brackets and without a final dot.
struct Site {
    name: String,
    port: Option<u16>,
}

impl Site {
    fn parse(text: &str) -> Option<Self> {
        // `Authority` would also take `user@host`, which no client may send here.
        if text.is_empty() || text.contains('@') {
            return None;
        }
        let authority: Authority = text.parse().ok()?;
        let name = authority.host();
        let port = match text.get(name.len()..)? {
            "" => None,
            rest => Some(rest.strip_prefix(':')?.parse().ok()?),
        };
        let name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok()?.to_string(),
            None => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        };
        (!name.is_empty()).then_some(Self { name, port })
    }

    fn is_loopback(&self) -> bool {
        self.name == "localhost"
            || self.name.ends_with(".localhost")
            || self.name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// The one authority of a request. A target and a `Host` that disagree are two requests in one, so they are refused.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Site, Refused> {
    let mut values = headers.get_all(HOST).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Refused::MalformedHost);
    }
    let of_header =
        first.map(|value| value.to_str().ok().and_then(Site::parse).ok_or(Refused::MalformedHost)).transpose()?;
    let of_target =
        uri.authority().map(|target| Site::parse(target.as_str()).ok_or(Refused::MalformedHost)).transpose()?;
    match (of_header, of_target) {
        (Some(header), Some(target)) if header.name != target.name || header.port != target.port => {
            Err(Refused::MalformedHost)
        }
        (Some(site), _) | (None, Some(site)) => Ok(site),
        (None, None) => Err(Refused::MalformedHost),
    }
}

fn is_served(host: &Site, general: &General, bind: &Bind) -> bool {
    if host.is_loopback() || general.allowed_hosts.contains(&host.name) {
        return true;
    }
    let is_bind_address = host.name.parse::<IpAddr>().is_ok_and(|address| address == bind.host);
    let bound_to_loopback = bind.host.to_canonical().is_loopback();
    is_bind_address || (!bound_to_loopback && general.allowed_hosts.is_empty())
}

fn may_call(origin: &HeaderValue, host: &Site, listed: &[String]) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let lower = origin.to_ascii_lowercase();
    if listed.contains(&lower) {
        return true;
    }
    let Some((scheme, rest)) = lower.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Some(site) = Site::parse(rest) else { return false };
    // A proxy in front may have taken TLS off, so the scheme of our own origin is not known; it only gives the port.
    let port = |site: &Site| site.port.unwrap_or(default_port);
    site.is_loopback() || (site.name == host.name && port(&site) == port(host))
}

#[cfg(test)]
mod tests;
