//! Errors as JSON-RPC error objects, for MCP clients.
//!
//! `data` carries what a program can use: a stable `code` word, the `server`, whether the call may have run.

use serde_json::json;
use toolgate_mcp::jsonrpc::{ErrorObject, code};

use crate::catalog::{CallError, FetchError, FindError, ListError, Outcome};
use crate::upstream::{Reader, UpstreamError};

/// A list that could not be given.
#[must_use]
pub fn list_error(error: &ListError, reader: Reader) -> ErrorObject {
    match error {
        ListError::Cursor(_) => with_data(code::INVALID_PARAMS, error, json!({ "code": "invalid_cursor" })),
        ListError::NoneAnswered { outcomes, .. } => with_data(
            code::INTERNAL_ERROR,
            error,
            json!({ "code": "upstream_unavailable", "servers": servers(outcomes, reader) }),
        ),
    }
}

/// A call that brought no answer of the upstream.
#[must_use]
pub fn call_error(error: &CallError, reader: Reader) -> ErrorObject {
    match error {
        CallError::BadParams(_) | CallError::Arguments(_) => {
            with_data(code::INVALID_PARAMS, error, json!({ "code": "invalid_params" }))
        }
        CallError::Params { tool, refused, .. } => {
            with_data(code::DENIED, error, json!({ "code": "params_not_allowed", "tool": tool, "params": refused }))
        }
        CallError::Headers(mismatch) => with_data(mismatch.code(), error, json!({ "code": "header_mismatch" })),
        CallError::Find(find) => find_error(find, reader),
        CallError::Refused(refused) => {
            let mut data = json!({ "code": refused.code(), "limit": refused.limit(), "of": refused.of() });
            if let Some(after) = refused.retry_after() {
                data["retry_after_ms"] = json!(after.as_millis());
            }
            with_data(code::BUSY, refused, data)
        }
        CallError::Upstream(upstream) => upstream_error(upstream, reader),
        CallError::Called(failed) => upstream_error(&failed.error, reader),
    }
}

fn find_error(error: &FindError, reader: Reader) -> ErrorObject {
    match error {
        FindError::Unknown { name, .. } => {
            with_data(code::INVALID_PARAMS, error, json!({ "code": "not_found", "name": name }))
        }
        FindError::Ambiguous { choices, .. } => {
            with_data(code::INVALID_PARAMS, error, json!({ "code": "ambiguous_name", "choices": choices }))
        }
        FindError::NotAllowed { tool, server } => {
            with_data(code::DENIED, error, json!({ "code": "tool_not_allowed", "tool": tool, "server": server }))
        }
        FindError::Server(fetch) => fetch_error(fetch, reader),
    }
}

fn fetch_error(error: &FetchError, reader: Reader) -> ErrorObject {
    match error {
        FetchError::Upstream(upstream) => upstream_failure(upstream, false, reader),
        FetchError::Refused { server, .. } | FetchError::Unreadable { server, .. } => with_data(
            code::UPSTREAM_UNAVAILABLE,
            &error.told_to(reader),
            json!({ "code": error.outcome_label(), "server": server, "may_have_run": false }),
        ),
    }
}

/// A server that did not answer.
#[must_use]
pub fn upstream_error(error: &UpstreamError, reader: Reader) -> ErrorObject {
    upstream_failure(error, error.may_have_run(), reader)
}

/// The same, and whether what the client asked for may have run; it has not when the server was only asked for a list.
fn upstream_failure(error: &UpstreamError, may_have_run: bool, reader: Reader) -> ErrorObject {
    let code = match error {
        UpstreamError::TimedOut { .. } => code::TIMEOUT,
        UpstreamError::Credential(_) | UpstreamError::AuthRequired { .. } => code::UPSTREAM_AUTH,
        UpstreamError::Busy { .. } | UpstreamError::RateLimited { .. } => code::BUSY,
        UpstreamError::Unfulfilled { .. } => code::INTERNAL_ERROR,
        UpstreamError::NotActiveYet { .. }
        | UpstreamError::Unavailable { .. }
        | UpstreamError::Description { .. }
        | UpstreamError::NotSignedIn { .. }
        | UpstreamError::Closed { .. }
        | UpstreamError::Failed { .. } => code::UPSTREAM_UNAVAILABLE,
    };
    let told = error.told_to(reader);
    let mut data = json!({ "code": error.outcome_label(), "server": error.server(), "may_have_run": may_have_run });
    if let Some(after) = error.retry_after() {
        data["retry_after_ms"] = json!(after.as_millis());
    }
    with_data(code, &told, data)
}

fn with_data(code: i32, error: &dyn std::fmt::Display, data: serde_json::Value) -> ErrorObject {
    ErrorObject { code, message: error.to_string(), data: Some(data) }
}

fn servers(outcomes: &[Outcome], reader: Reader) -> serde_json::Map<String, serde_json::Value> {
    outcomes
        .iter()
        .map(|outcome| {
            let value = match &outcome.result {
                Ok(_) => json!({ "status": "ok" }),
                Err(failure) => failure.to_json(reader),
            };
            (outcome.server.clone(), value)
        })
        .collect()
}
