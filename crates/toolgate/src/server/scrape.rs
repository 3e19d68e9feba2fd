//! What the port for metrics answers: `/metrics`, and nothing else. No key is asked for: whoever reaches it may read.

use axum::response::{IntoResponse as _, Response};
use http::{Method, Request, StatusCode, header};

use crate::auth::origin;
use crate::faces::admission;
use crate::gateway::Gateway;
use crate::rest::health;

/// Answers a request on that port; its body is not looked at.
pub fn respond<B>(gateway: &Gateway, request: &Request<B>) -> Response {
    let snapshot = gateway.snapshot();
    let general = &snapshot.settings.general;
    if let Err(why) = origin::check_scraper(request.uri(), request.headers(), general, &gateway.bind) {
        gateway.metrics.denied(why.denial());
        return admission::refused(&why);
    }
    if request.uri().path() != "/metrics" {
        let text = "only /metrics is served on this port";
        return admission::detail(StatusCode::NOT_FOUND, "not_found", text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "metrics are read with GET";
        let response = admission::detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        return ([(header::ALLOW, "GET, HEAD")], response).into_response();
    }
    health::metrics_page(gateway)
}
