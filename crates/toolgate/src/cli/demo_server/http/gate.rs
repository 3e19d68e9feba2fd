//! Against DNS rebinding: a web page must not reach a server on its visitor's machine.
//!
//! Source: MCP 2025-11-25, Transports, Security Warning.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri, header};

/// Refuses a request with 403 when its `Host` or `Origin` is not one that a server at `address` answers to.
pub(super) async fn check(address: SocketAddr, request: Request, next: Next) -> Response {
    match verdict(address, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(message) => super::refuse(StatusCode::FORBIDDEN, message),
    }
}

fn verdict(address: SocketAddr, headers: &HeaderMap) -> Result<(), String> {
    if let Some(host) = headers.get(header::HOST) {
        let name = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        // Who listens on another address than loopback means to be found under names that we cannot know.
        if address.ip().is_loopback() && !name.is_some_and(|name| is_loopback(name.host())) {
            return Err(format!("this server answers to loopback names only, not to Host {host:?}"));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        if !uri.as_ref().and_then(Uri::host).is_some_and(is_loopback) {
            return Err(format!("web pages of other machines may not call this server: Origin {origin:?}"));
        }
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        let cases: [(&str, Option<&str>, bool); 9] = [
            ("127.0.0.1:4100", None, true),
            ("localhost:4100", Some("http://localhost:5173"), true),
            ("[::1]:4100", Some("http://[::1]:80"), true),
            ("evil.example:4100", None, false),
            ("localhost.evil.example", None, false),
            ("10.0.0.1", None, false),
            ("localhost", Some("https://evil.example"), false),
            ("localhost", Some("null"), false),
            ("localhost", Some("http://127.0.0.1.evil.example"), false),
        ];
        for (host, origin, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a header value"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a header value"));
            }
            let address = SocketAddr::from(([127, 0, 0, 1], 4100));
            assert_eq!(verdict(address, &headers).is_ok(), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn a_server_on_another_address_answers_to_any_host_but_not_to_any_origin() {
        let address = SocketAddr::from(([0, 0, 0, 0], 4100));
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "demo.example".parse().expect("a header value"));
        assert!(verdict(address, &headers).is_ok());
        headers.insert(header::ORIGIN, "https://evil.example".parse().expect("a header value"));
        assert!(verdict(address, &headers).is_err());
    }
}
