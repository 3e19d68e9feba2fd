//! Is the process alive, does it take requests, how do its servers do, and its metrics. Nothing that a load balancer asks
//! depends on an upstream: one that is down must not take the gateway out.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{self, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::catalog::Scope;
use crate::config::settings::ServerSettings;
use crate::faces::admission::{Admitted, NotAdmitted};
use crate::gateway::Gateway;
use crate::identity::DatabaseState;
use crate::telemetry::metrics;
use crate::upstream::{CircuitState, Reader, Stage, State, Status};

/// `GET /health/liveliness` and its spellings: LiteLLM's body.
pub async fn liveliness() -> Response {
    axum::Json(json!("I'm alive!")).into_response()
}

/// `GET /health/readiness`: 503 from the moment the gateway begins to stop, and when the database has not answered for so
/// long that keys are refused.
pub async fn readiness(extract::State(gateway): extract::State<Gateway>) -> Response {
    let database = gateway.identity.database();
    let (status, word) = if gateway.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if database == DatabaseState::Gone {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    } else {
        (StatusCode::OK, "healthy")
    };
    // LiteLLM's words; its third state is ours.
    let db = match database {
        DatabaseState::Connected => "connected",
        DatabaseState::Absent => "Not connected",
        DatabaseState::Lost | DatabaseState::Gone => "disconnected",
    };
    let mut body = json!({ "status": word, "db": db, "cache": null, "version": env!("CARGO_PKG_VERSION") });
    if let Some(is_shared) = gateway.accounting.is_shared() {
        body["cache"] = "redis".into();
        body["limits"] = if is_shared { "shared" } else { "each replica for itself" }.into();
    }
    (status, axum::Json(body)).into_response()
}

/// `GET /health`: how each server does, as real requests and MCP pings have shown. Nobody is asked for it.
///
/// The body is in the spirit of LiteLLM's: those that can be used, which a server is that nobody has needed yet, and
/// those that cannot. 200 in any case, for the gateway itself is well.
pub async fn servers(admitted: Admitted) -> Response {
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    let reader = Reader::of(&admitted.caller);
    for upstream in Scope::all(&admitted.snapshot.upstreams, &admitted.caller.grant).servers() {
        let status = upstream.status();
        let of = if status.state == State::Down { &mut unhealthy } else { &mut healthy };
        of.push(server(&upstream.settings, &status, reader));
    }
    let (healthy_count, unhealthy_count) = (healthy.len(), unhealthy.len());
    axum::Json(json!({
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
        "healthy_count": healthy_count,
        "unhealthy_count": unhealthy_count,
    }))
    .into_response()
}

fn server(settings: &ServerSettings, status: &Status, reader: Reader) -> Value {
    let retry_in_ms = match status.circuit {
        CircuitState::Open { retry_in } => Some(retry_in.as_millis()),
        CircuitState::Closed | CircuitState::HalfOpen => None,
    };
    let last_failure = status.last_failure.as_ref().map(|failure| {
        // What the server said is for administrators.
        let message = (reader == Reader::Administrator).then_some(&failure.message);
        json!({ "message": message, "stage": failure.stage.as_str(), "at_ms": milliseconds(failure.at) })
    });
    json!({
        "server_id": settings.id.as_str(),
        "server_name": settings.name,
        "alias": settings.alias,
        "state": status.state.as_str(),
        "stage": status.stage().map(Stage::as_str),
        "since_ms": milliseconds(status.since),
        "last_failure": last_failure,
        "circuit": { "state": status.circuit.as_str(), "retry_in_ms": retry_in_ms },
    })
}

/// Since 1970.
fn milliseconds(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// `GET /mcp/enabled`, which LiteLLM's dashboard asks.
pub async fn mcp_enabled() -> Response {
    axum::Json(json!({ "enabled": true })).into_response()
}

/// `GET /metrics`, in Prometheus's text format.
pub async fn metrics(extract::State(gateway): extract::State<Gateway>, _reader: MetricsReader) -> Response {
    metrics_page(&gateway)
}

/// The metrics, for whoever may read them.
pub(crate) fn metrics_page(gateway: &Gateway) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], gateway.metrics.encode()).into_response()
}

/// Somebody who may read the metrics: everybody, or whoever has a key where `require_auth_for_metrics_endpoint` is set.
pub struct MetricsReader(());

impl FromRequestParts<Gateway> for MetricsReader {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, NotAdmitted> {
        if gateway.snapshot().settings.general.metrics_need_key {
            Admitted::from_request_parts(parts, gateway).await?;
        }
        Ok(Self(()))
    }
}
