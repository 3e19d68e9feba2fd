//! Errors as LiteLLM's REST bodies: `{"detail": {"error", "message"}}` with a status.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::admission::detail;
use crate::catalog::{CallError, FetchError, FindError};
use crate::upstream::{CredentialError, Reader, UpstreamError};

/// A call that brought no answer of the upstream.
#[must_use]
pub fn call_error(error: &CallError, reader: Reader) -> Response {
    if let Some(response) = missing_values(error) {
        return response;
    }
    let (status, word) = match error {
        CallError::BadParams(_) | CallError::Arguments(_) => (StatusCode::BAD_REQUEST, "invalid_parameter"),
        CallError::Headers(_) => (StatusCode::BAD_REQUEST, "header_mismatch"),
        CallError::Params { .. } => (StatusCode::FORBIDDEN, "params_not_allowed"),
        CallError::Find(FindError::Unknown { .. }) => (StatusCode::NOT_FOUND, "tool_not_found"),
        CallError::Find(FindError::Ambiguous { .. }) => (StatusCode::BAD_REQUEST, "ambiguous_name"),
        CallError::Find(FindError::NotAllowed { .. }) => (StatusCode::FORBIDDEN, "tool_not_allowed"),
        CallError::Find(FindError::Server(fetch)) if fetch.is_malformed_header() => {
            (StatusCode::BAD_REQUEST, "invalid_header")
        }
        CallError::Refused(refused) => (StatusCode::TOO_MANY_REQUESTS, refused.code()),
        CallError::Find(FindError::Server(fetch)) => (upstream_status(fetch.outcome_label()), fetch.outcome_label()),
        CallError::Upstream(upstream) => of_upstream(upstream),
        CallError::Called(failed) => of_upstream(&failed.error),
    };
    let mut response = detail(status, word, &error.told_to(reader));
    if let Some(after) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds(after));
    }
    response
}

/// The value of `Retry-After`.
#[must_use]
pub fn seconds(after: Duration) -> HeaderValue {
    HeaderValue::from(after.as_secs().max(1))
}

/// LiteLLM's answer to a call for which the user has not filled in the server's variables.
fn missing_values(error: &CallError) -> Option<Response> {
    let credential = match error {
        CallError::Upstream(UpstreamError::Credential(credential)) => credential,
        CallError::Called(failed) => match &failed.error {
            UpstreamError::Credential(credential) => credential,
            _ => return None,
        },
        CallError::Find(FindError::Server(fetch)) => match &**fetch {
            FetchError::Upstream(UpstreamError::Credential(credential)) => credential,
            _ => return None,
        },
        _ => return None,
    };
    let CredentialError::NoOwnValues { server, server_id, missing } = credential else { return None };
    let body = json!({ "detail": {
        "error": "missing_user_env_vars",
        "message": credential.to_string(),
        "server_id": server_id,
        "server_name": server,
        "missing": missing,
        "setup_url": format!("/v1/mcp/server/{server_id}/user-env-vars"),
    } });
    Some((StatusCode::PRECONDITION_FAILED, axum::Json(body)).into_response())
}

fn of_upstream(error: &UpstreamError) -> (StatusCode, &'static str) {
    // A value that can be sent to no server is the request's fault, as it is on the MCP face.
    if error.is_malformed_header() {
        return (StatusCode::BAD_REQUEST, "invalid_header");
    }
    (upstream_status(error.outcome_label()), error.outcome_label())
}

/// The status that goes with one of LiteLLM's outcome words.
#[must_use]
pub fn upstream_status(outcome: &str) -> StatusCode {
    match outcome {
        "auth_required" => StatusCode::UNAUTHORIZED,
        "forbidden" => StatusCode::FORBIDDEN,
        "rate_limited" => StatusCode::TOO_MANY_REQUESTS,
        "timeout" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}
