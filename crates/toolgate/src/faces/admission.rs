//! The extractor that every guarded route takes, and what a caller who is not let in is told.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::sync::Arc;

use crate::auth::origin::Refused;
use crate::auth::{AuthError, Caller};
use crate::gateway::{Gateway, Snapshot};

/// A caller who was let in, with the configuration that let it in. A handler that takes this is guarded.
pub struct Admitted {
    /// Who.
    pub caller: Caller,
    /// The configuration that the whole request is served by.
    pub snapshot: Arc<Snapshot>,
}

/// Why a request was not let in, as a response.
#[derive(Debug)]
pub struct NotAdmitted(AuthError);

impl FromRequestParts<Gateway> for Admitted {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, NotAdmitted> {
        let snapshot = gateway.snapshot();
        let caller = snapshot.gatekeeper.admit(&parts.headers, parts.uri.query()).map_err(NotAdmitted)?;
        Ok(Self { caller, snapshot })
    }
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match &self.0 {
            AuthError::Missing => unauthorized("Bearer"),
            AuthError::Invalid { .. } => unauthorized(r#"Bearer error="invalid_token""#),
            AuthError::Malformed(what) => detail(StatusCode::BAD_REQUEST, "malformed_credential", &what.to_string()),
        }
    }
}

/// The same words whether the key is missing, unknown or, later, expired: LiteLLM's, with the fix.
fn unauthorized(challenge: &'static str) -> Response {
    let mut response = detail(
        StatusCode::UNAUTHORIZED,
        "authentication_required",
        "Authenticate with the gateway to use the MCP endpoint: send a valid key as `x-litellm-api-key: Bearer <key>` or `Authorization: Bearer <key>`.",
    );
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// A request that was refused for its `Host` or `Origin`.
#[must_use]
pub fn refused(why: &Refused) -> Response {
    match why {
        Refused::MalformedHost => detail(StatusCode::BAD_REQUEST, "invalid_host", &why.to_string()),
        Refused::HostNotAllowed(_) => detail(StatusCode::FORBIDDEN, "host_not_allowed", &why.to_string()),
        Refused::OriginNotAllowed(_) => detail(StatusCode::FORBIDDEN, "origin_not_allowed", &why.to_string()),
    }
}

/// A path that no route has.
pub async fn not_found() -> Response {
    detail(
        StatusCode::NOT_FOUND,
        "not_found",
        "nothing is served here; MCP clients connect to /mcp, or to /{server}/mcp for one server",
    )
}

/// A path that a route has, with another method; the router adds `Allow`.
pub async fn method_not_allowed() -> Response {
    detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path is served with the methods in `Allow` only")
}

/// LiteLLM's error body outside JSON-RPC: `{"detail": {"error", "message"}}`.
#[must_use]
pub fn detail(status: StatusCode, error: &str, message: &str) -> Response {
    (status, axum::Json(json!({ "detail": { "error": error, "message": message } }))).into_response()
}
