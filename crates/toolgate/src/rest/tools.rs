//! `/mcp-rest/tools/list` and `/mcp-rest/tools/call`: LiteLLM's REST face to the same tools, names bare.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use toolgate_client::{Answer, AnswerOutcome};
use toolgate_mcp::edit::set_field;
use toolgate_mcp::method;
use toolgate_mcp::translate::errors;

use crate::auth::Caller;
use crate::body;
use crate::catalog::{CallError, Called, Kind, Scope, ToolsOfServer, Visit};
use crate::faces;
use crate::faces::admission::{Admitted, detail};
use crate::faces::rest as face;
use crate::gateway::{Gateway, Snapshot};
use crate::mcp::scope;
use crate::telemetry::calls::{self, CallLine};
use crate::telemetry::{Denial, LiteLlmRequest, OperationSpan, RequestCount, SpanFacts, Status};
use crate::upstream::{ClientSide, Reader, Rounds, Upstream};

/// LiteLLM's query of the list route.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ListQuery {
    server_id: Option<String>,
    mcp_server_name: Option<String>,
}

/// `GET /mcp-rest/tools/list`: the tools of one server, or of all.
pub async fn list(
    State(gateway): State<Gateway>,
    admitted: Admitted,
    query: Result<Query<ListQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Admitted { caller, snapshot } = admitted;
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return detail(StatusCode::BAD_REQUEST, "invalid_parameter", &error.body_text()),
    };
    let named = query.server_id.or(query.mcp_server_name).filter(|name| !name.is_empty());
    let asked = named.clone().or_else(|| scope::header(&headers));
    let Some(scope) = scope_of(&snapshot, &caller, asked.as_deref()) else {
        return access_denied(&gateway, &snapshot, asked.as_deref());
    };
    let span = OperationSpan::none();
    let client = ClientSide::none();
    let visit = visit(&gateway, &caller, &client, &scope, &span);
    let listed = snapshot.catalog.tools_by_server(visit).await;
    if let (Some(_), [ToolsOfServer { upstream, tools: None, outcome }]) = (&named, &listed[..])
        && let Err(failure) = &outcome.result
    {
        return single_failure(upstream, failure.message_for(Reader::of(&caller)), failure.status);
    }
    let mut tools = Vec::new();
    let mut outcomes = Map::new();
    for ToolsOfServer { upstream, tools: items, outcome } in &listed {
        tools.extend(items.iter().flatten().map(|item| with_mcp_info(item, upstream)));
        outcomes.insert(outcome.server.clone(), outcome.to_json(Kind::Tools, Reader::of(&caller)));
    }
    let failed = listed.iter().any(|of| of.outcome.result.is_err());
    let (error, message) = if failed {
        ("\"partial_failure\"", "Some servers did not answer; server_outcomes says which and why")
    } else {
        ("null", "Successfully retrieved tools")
    };
    let body = format!(
        "{{\"tools\":[{}],\"error\":{error},\"message\":{},\"server_outcomes\":{}}}",
        tools.join(","),
        json!(message),
        Value::Object(outcomes)
    );
    json_response(StatusCode::OK, body)
}

/// A caller of REST hears nothing of what servers say meanwhile, and cannot be asked.
pub(crate) fn visit<'a>(
    gateway: &'a Gateway,
    caller: &'a Caller,
    client: &'a ClientSide,
    scope: &'a Scope,
    span: &'a OperationSpan,
) -> Visit<'a> {
    Visit {
        caller,
        client,
        hears: None,
        given_up: None,
        rounds: Rounds::Ask,
        patience: Duration::ZERO,
        alone: None,
        scope,
        span,
        accounting: &gateway.accounting,
    }
}

/// LiteLLM answers a failure of the one server that was asked for with a status of its own.
fn single_failure(upstream: &Upstream, why: &str, status: &'static str) -> Response {
    let message = format!("Failed to list tools from server {}: {why}", upstream.settings.prefix);
    detail(face::upstream_status(status), status, &message)
}

fn with_mcp_info(item: &str, upstream: &Upstream) -> String {
    let settings = &upstream.settings;
    let mut info = settings.mcp_info.clone();
    info.entry("server_name").or_insert_with(|| json!(settings.name));
    info.insert("server_id".into(), json!(settings.id.as_str()));
    if let Some(alias) = &settings.alias {
        info.insert("alias".into(), json!(alias));
    }
    set_field(item, "mcp_info", &Value::Object(info).to_string()).unwrap_or_else(|_| item.to_owned())
}

/// The servers that `names` leads to; all without names.
fn scope_of(snapshot: &Snapshot, caller: &Caller, names: Option<&str>) -> Option<Scope> {
    let Some(names) = names else { return Some(Scope::all(&snapshot.upstreams, &caller.grant)) };
    Scope::named(&snapshot.upstreams, names, snapshot.settings.limits.names_per_scope, &caller.grant).ok()
}

/// Unknown and forbidden are one answer. Only the latter is a decision, and counted.
fn access_denied(gateway: &Gateway, snapshot: &Snapshot, names: Option<&str>) -> Response {
    let names = names.unwrap_or_default();
    if Scope::is_known(&snapshot.upstreams, names) {
        gateway.metrics.denied(Denial::ServerNotGranted);
    }
    let message = format!("The key is not allowed to access server {names}");
    detail(StatusCode::FORBIDDEN, "access_denied", &message)
}

/// LiteLLM's body of the call route, as far as it matters here.
#[derive(Deserialize, JsonSchema)]
pub struct CallBody<'a> {
    server_id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    arguments: Option<&'a RawValue>,
}

/// `POST /mcp-rest/tools/call`: calls one tool of one server; the answer is the tool's result.
pub async fn call(State(gateway): State<Gateway>, admitted: Admitted, request: Request<Body>) -> Response {
    let Admitted { caller, snapshot } = admitted;
    let (parts, body) = request.into_parts();
    let bytes = match body::read_json(&parts.headers, body, (&snapshot.settings.limits).into()).await {
        Ok(bytes) => bytes,
        Err(error) => return detail(error.status(), "invalid_body", &error.to_string()),
    };
    if !toolgate_mcp::depth::within(&bytes, toolgate_mcp::depth::MAX_DEPTH) {
        return detail(StatusCode::BAD_REQUEST, "invalid_json", "the body is nested too deeply");
    }
    let call: CallBody<'_> = match serde_json::from_slice(&bytes) {
        Ok(call) => call,
        Err(error) => return detail(StatusCode::BAD_REQUEST, "invalid_json", &error.to_string()),
    };
    let Some(server) = call.server_id.filter(|server| !server.is_empty()) else {
        return missing("server_id");
    };
    let Some(name) = call.name.filter(|name| !name.is_empty()) else {
        return missing("name");
    };
    let Some(scope) = scope_of(&snapshot, &caller, Some(&server)) else {
        return access_denied(&gateway, &snapshot, Some(&server));
    };
    let arguments = call.arguments.map_or("{}", RawValue::get);
    let params = format!("{{\"name\":{},\"arguments\":{arguments}}}", json!(name));
    let params = match RawValue::from_string(params) {
        Ok(params) => params,
        Err(error) => return detail(StatusCode::BAD_REQUEST, "invalid_json", &error.to_string()),
    };
    let began = Instant::now();
    let from = caller.from.map(|from| from.to_string());
    let facts = SpanFacts {
        method: method::TOOLS_CALL,
        name: Some(&name),
        transport: Some("tcp"),
        peer: from.as_deref().map(|from| (from, None)),
        ..SpanFacts::default()
    };
    let span = gateway.traces.server_span(facts, None, &parts.headers);
    let client = ClientSide::none();
    let visit = visit(&gateway, &caller, &client, &scope, &span);
    let called = snapshot.catalog.call_tool::<Answer>(visit, Some(&params)).await;
    count(&gateway, &caller, &called, began, &span);
    span.finish(error_type(&called).as_deref());
    match called {
        Ok((answer, _)) => match answer.outcome() {
            AnswerOutcome::Result(result) => json_response(StatusCode::OK, result.to_owned()),
            AnswerOutcome::Error(error) => json_response(
                StatusCode::BAD_GATEWAY,
                format!(
                    "{{\"detail\":{{\"error\":\"upstream_error\",\"message\":\"the server answered with an error\",\"upstream\":{error}}}}}"
                ),
            ),
        },
        Err(error) => face::call_error(&error, Reader::of(&caller)),
    }
}

/// Counts a call as the MCP face does; a call that brought no answer is an error.
fn count(
    gateway: &Gateway,
    caller: &Caller,
    called: &Result<(Answer, Called), CallError>,
    began: Instant,
    span: &OperationSpan,
) {
    let of = called.as_ref().map_or_else(CallError::called, |(_, called)| Some(called));
    let status = match called {
        Ok((_, called)) if called.is_tool_error => Status::ToolError,
        Ok((answer, _)) if answer.is_result() => Status::Ok,
        _ => Status::Error,
    };
    let counted = RequestCount {
        server: of.map(|called| called.server.as_str()),
        tool: of.map(|called| called.name.as_str()),
        status,
        code: 0,
    };
    gateway.metrics.request(counted);
    let (took, upstream_took) = (began.elapsed(), of.map(|called| called.upstream_took));
    gateway.metrics.litellm_request(LiteLlmRequest {
        method: method::TOOLS_CALL,
        route: "/mcp-rest/tools/call",
        caller: caller.payers.labels(),
        counted: RequestCount { code: rpc_code(called), ..counted },
        took,
        upstream_took,
    });
    calls::log(CallLine {
        method: method::TOOLS_CALL,
        counted,
        principal: &caller.principal,
        took,
        upstream_took,
        trace: span.ids().as_ref(),
    });
}

/// The JSON-RPC code that the MCP face would have answered; 0 for none.
fn rpc_code(called: &Result<(Answer, Called), CallError>) -> i32 {
    match called {
        Ok((answer, _)) => match answer.outcome() {
            AnswerOutcome::Result(_) => 0,
            AnswerOutcome::Error(error) => errors::code_of(error).unwrap_or_default(),
        },
        Err(error) => faces::jsonrpc::call_error(error, Reader::Caller).code,
    }
}

/// As the MCP face names it.
fn error_type(called: &Result<(Answer, Called), CallError>) -> Option<Cow<'static, str>> {
    match called {
        Ok((_, called)) if called.is_tool_error => Some(Cow::Borrowed("tool_error")),
        Ok((answer, _)) => match answer.outcome() {
            AnswerOutcome::Result(_) => None,
            AnswerOutcome::Error(error) => {
                Some(errors::code_of(error).map_or(Cow::Borrowed("upstream_error"), |code| code.to_string().into()))
            }
        },
        Err(error) => Some(faces::jsonrpc::call_error(error, Reader::Caller).code.to_string().into()),
    }
}

fn missing(parameter: &str) -> Response {
    detail(StatusCode::BAD_REQUEST, "missing_parameter", &format!("{parameter} is required in request body"))
}

fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.into())).into_response()
}
