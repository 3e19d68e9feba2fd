//! What the client library says, as the command line shows it.

use http::StatusCode;
use toolgate_client::{Error, Problem, RpcError};
use toolgate_mcp::jsonrpc::code;

use crate::cli::{Exit, Failure};

/// The failure of a connection or a request.
pub(super) fn of_client(error: &Error, has_key: bool) -> Failure {
    if let Problem::Refused { error: rpc, .. } = error.problem() {
        return of_rpc(rpc, has_key);
    }
    let (exit, code) = match error.status() {
        Some(StatusCode::UNAUTHORIZED) => (Exit::Auth, "unauthorized"),
        Some(StatusCode::FORBIDDEN) => (Exit::Denied, "forbidden"),
        Some(StatusCode::NOT_FOUND) => (Exit::NotFound, "not-found"),
        _ if error.is_timeout() => (Exit::Unreachable, "timeout"),
        _ if error.is_connect() || error.session_lost() => (Exit::Unreachable, "unreachable"),
        Some(status) if status.is_server_error() => (Exit::Unreachable, "unreachable"),
        _ => (Exit::Unexpected, "server"),
    };
    let failure = Failure::new(exit, code, error.to_string());
    match code {
        "unauthorized" => failure.hint(key_hint(has_key)),
        "forbidden" => failure.hint("what the key reaches and why: toolgate explain"),
        "not-found" => failure.hint("is the path right? the gateway's is /mcp"),
        "timeout" => failure.hint("wait longer with --timeout SECONDS"),
        "unreachable" if matches!(error.problem(), Problem::Connect { .. }) => {
            failure.hint("is it running? name another server with --url or GW_URL")
        }
        _ => failure,
    }
}

/// The failure of a request that the server answered with a JSON-RPC error.
pub(super) fn of_rpc(error: &RpcError, has_key: bool) -> Failure {
    let known = i32::try_from(error.code).unwrap_or_default();
    let (exit, word) = match known {
        code::INVALID_PARAMS => (Exit::NotFound, "invalid-params"),
        code::METHOD_NOT_FOUND => (Exit::NotFound, "method-not-found"),
        code::SERVER_NOT_FOUND => (Exit::NotFound, "server-not-found"),
        code::UPSTREAM_AUTH => (Exit::Auth, "upstream-auth"),
        code::DENIED => (Exit::Denied, "denied"),
        code::TIMEOUT => (Exit::Unreachable, "timeout"),
        code::UPSTREAM_UNAVAILABLE => (Exit::Unreachable, "upstream-unavailable"),
        _ => (Exit::Unexpected, "server-error"),
    };
    let failure = Failure::new(exit, word, format!("the server answered: {error}"));
    match known {
        code::INVALID_PARAMS => failure.hint("list the tools and their arguments: toolgate tools ls --json"),
        code::METHOD_NOT_FOUND => failure.hint("this server has no tools"),
        code::UPSTREAM_AUTH => failure.hint(key_hint(has_key)),
        code::DENIED => failure.hint("which rule it was: toolgate explain SERVER TOOL"),
        code::UPSTREAM_UNAVAILABLE => failure.hint("how each server does: GET /health of the gateway, with a key"),
        _ => failure,
    }
}

fn key_hint(has_key: bool) -> &'static str {
    if has_key {
        "the key was refused: is it the right one for this server?"
    } else {
        "give a key with --key or GW_API_KEY"
    }
}
