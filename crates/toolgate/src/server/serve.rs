//! Every request passes here: `Host` and `Origin` are checked, it gets an id for the log, and browsers of allowed
//! pages get their CORS headers.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use tower::Service;

use super::routes::{self, Access};
use crate::auth::origin::OriginVerdict;
use crate::faces::admission;
use crate::gateway::Gateway;
use crate::telemetry::request_id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's own request id is kept up to this length.
const MAX_REQUEST_ID: usize = 128;

/// What browsers of allowed pages may read of a response.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("mcp-session-id, mcp-protocol-version, www-authenticate, x-request-id");

/// The gateway as one function from request to response.
#[derive(Clone)]
pub struct Server {
    gateway: Gateway,
    router: Router,
    ids: std::sync::Arc<RequestIds>,
}

impl Server {
    /// A server of all routes.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        let router = routes::router(gateway.clone());
        Self { gateway, router, ids: std::sync::Arc::default() }
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request<Body>) -> Response {
        let _in_flight = self.gateway.metrics.in_flight();
        let id = self.ids.of(request.headers());
        let mut response = request_id::scope(id.clone(), self.guarded(request)).await;
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    async fn guarded(&self, request: Request<Body>) -> Response {
        let snapshot = self.gateway.snapshot();
        let general = &snapshot.settings.general;
        let verdict = snapshot.front_door.check(request.uri(), request.headers(), general, &self.gateway.bind);
        drop(snapshot);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(why) => {
                self.gateway.metrics.denied(why.denial());
                return admission::refused(&why);
            }
        };
        let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ORIGIN);
        let mut response = if preflight {
            preflight_answer(request.headers())
        } else if self.gateway.stopping.is_cancelled() && !is_public(request.uri().path()) {
            stopping()
        } else if routes::is_straight(&request) {
            routes::straight(self.gateway.clone(), request).await
        } else {
            let Ok(response) = self.router.clone().call(request).await;
            response
        };
        add_cors(&verdict, response.headers_mut());
        response
    }
}

/// Health tells the truth while the gateway stops; everything else is sent elsewhere.
fn is_public(path: &str) -> bool {
    routes::ROUTES.iter().any(|route| route.access == Access::Public && route.path == path)
}

fn stopping() -> Response {
    let mut response = admission::detail(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the gateway is stopping; send the request again",
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn preflight_answer(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let allow = response.headers_mut();
    allow.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
    allow.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        allow.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

fn add_cors(verdict: &OriginVerdict, headers: &mut HeaderMap) {
    let Some(origin) = verdict.allow_origin() else { return };
    if matches!(verdict, OriginVerdict::Echo(_)) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Request ids: the client's own, or a random start that counts up.
struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        let mut start = [0u8; 8];
        aws_lc_rs::rand::fill(&mut start).expect("the system's random source works");
        Self { start: u64::from_ne_bytes(start), count: AtomicU64::new(0) }
    }
}

impl RequestIds {
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let clean = |value: &&HeaderValue| {
            value.len() <= MAX_REQUEST_ID
                && !value.is_empty()
                && value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
        };
        if let Some(own) = headers.get(REQUEST_ID).filter(clean) {
            return own.clone();
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = hexadecimal(self.start.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        HeaderValue::from_bytes(&id).expect("hexadecimal digits")
    }
}

/// As `{:016x}` writes it, at a tenth of the price.
fn hexadecimal(number: u64) -> [u8; 16] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at) & 0xf) as usize])
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn an_id_is_the_number_in_sixteen_digits() {
        for number in [0, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(hexadecimal(number), *format!("{number:016x}").as_bytes());
        }
    }
}
