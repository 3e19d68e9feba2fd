//! Is the process alive, does it take requests, and its metrics. Nothing here depends on an upstream: one that is down
//! must not take the gateway out of a load balancer.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::gateway::Gateway;

/// `GET /health/liveliness` and its spellings: LiteLLM's body.
pub async fn liveliness() -> Response {
    axum::Json(json!("I'm alive!")).into_response()
}

/// `GET /health/readiness`: 503 from the moment the gateway begins to stop.
pub async fn readiness(State(gateway): State<Gateway>) -> Response {
    let (status, word) = if gateway.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        (StatusCode::OK, "healthy")
    };
    // `db` is LiteLLM's field; this gateway has no database yet.
    let body = json!({ "status": word, "db": "Not connected", "cache": null, "version": env!("CARGO_PKG_VERSION") });
    (status, axum::Json(body)).into_response()
}

/// `GET /mcp/enabled`, which LiteLLM's dashboard asks.
pub async fn mcp_enabled() -> Response {
    axum::Json(json!({ "enabled": true })).into_response()
}

/// `GET /metrics`, in Prometheus's text format.
pub async fn metrics(State(gateway): State<Gateway>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], gateway.metrics.encode()).into_response()
}
