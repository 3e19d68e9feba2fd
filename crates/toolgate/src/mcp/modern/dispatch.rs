//! What each method means, and how its answer goes back.

use std::borrow::Cow;
use std::time::Instant;

use axum::response::Response;
use http::StatusCode;
use serde_json::value::RawValue;
use toolgate_client::{Answer, AnswerOutcome};
use toolgate_mcp::jsonrpc::{self, ErrorObject, Request, code};
use toolgate_mcp::translate::{errors, request, results};
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::{Located, META_SERVER_INFO, ViewError};
use toolgate_mcp::{edit, method};

use super::refusal::{Refusal, status_of};
use super::{Arrived, discover};
use crate::catalog::{CallError, Called, Kind, Read, Scope, is_tool_error, with_uri};
use crate::faces::jsonrpc as face;
use crate::mcp::dispatch::{Ended, ErrorType, Exchange};
use crate::mcp::head::Accepts;
use crate::mcp::lists::{self, Dress};
use crate::mcp::reply::Framing;
use crate::telemetry::OperationSpan;

/// One request of this revision, admitted.
struct Modern<'r> {
    exchange: Exchange,
    request: &'r Request<'r>,
    /// The parameters without what they say of the client.
    params: Option<Box<RawValue>>,
    /// The gateway's name and version as a JSON object.
    server_info: String,
}

/// Serves an admitted request.
pub(super) async fn serve(arrived: Arrived, request: &Request<'_>, scope: Scope) -> Response {
    let began = Instant::now();
    let accepts = Accepts::of(&arrived.headers);
    let Arrived { gateway, snapshot, caller, trace_headers, .. } = arrived;
    let server_info = discover::server_info(&snapshot.settings, &scope);
    let revision = Revision::V2026_07_28;
    let exchange = Exchange { gateway, snapshot, caller, session: None, scope, revision, trace_headers };
    let params = match request.params.map(without_client).transpose() {
        Ok(params) => params,
        Err(error) => return Refusal::Params(error).into_response(Some(&request.id)),
    };
    let modern = Modern { exchange, request, params, server_info };
    let span = modern.exchange.span(request);
    let ended = Box::pin(modern.operate(&span)).await;
    modern.exchange.count(&request.method, &ended, began);
    span.finish(ended.error.as_ref().map(ErrorType::label).as_deref());
    let status = match ended.error {
        Some(ErrorType::Code(code)) => status_of(code),
        Some(ErrorType::Tool) | None => StatusCode::OK,
    };
    match accepts.framing {
        Framing::Sse if status == StatusCode::OK => Box::pin(ended.message.whole()).await.into_sse(),
        Framing::Json | Framing::Sse => ended.message.into_json(status),
    }
}

/// The parameters as a server of an older revision may see them: else it would take the request for one of this one.
fn without_client(params: &RawValue) -> Result<Box<RawValue>, ViewError> {
    let kept = request::without_client(params.get())?.into_owned();
    RawValue::from_string(kept).map_err(|error| ViewError::Json(error.to_string()))
}

impl Modern<'_> {
    async fn operate(&self, span: &OperationSpan) -> Ended {
        let visit = self.exchange.visit(span);
        let catalog = &self.exchange.snapshot.catalog;
        let disabled = self.exchange.snapshot.settings.general.disabled;
        let params = self.params.as_deref();
        match &*self.request.method {
            method::SERVER_DISCOVER => self.discover(span).await,
            method::TOOLS_CALL => self.of_tool(catalog.call_tool(visit, params).await),
            method::PROMPTS_GET if !disabled.prompts => {
                self.of_call(catalog.get_prompt(visit, params).await.map(|(answer, _)| answer))
            }
            method::RESOURCES_READ if !disabled.resources => self.read(span).await,
            method::COMPLETION_COMPLETE => self.of_call(catalog.complete(visit, params).await),
            method::TOOLS_LIST => self.list(Kind::Tools, span).await,
            method::PROMPTS_LIST => self.list(Kind::Prompts, span).await,
            method::RESOURCES_LIST => self.list(Kind::Resources, span).await,
            method::RESOURCES_TEMPLATES_LIST => self.list(Kind::Templates, span).await,
            method => self.refused(&ErrorObject::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))),
        }
    }

    async fn discover(&self, span: &OperationSpan) -> Ended {
        let snapshot = &self.exchange.snapshot;
        let offer = snapshot.catalog.offer(self.exchange.visit(span)).await;
        let result = discover::result(&snapshot.settings, &offer, &self.server_info);
        Ended::ok(jsonrpc::result(&self.request.id, &result).into())
    }

    async fn list(&self, kind: Kind, span: &OperationSpan) -> Ended {
        let (id, snapshot) = (&self.request.id, &self.exchange.snapshot);
        let disabled = snapshot.settings.general.disabled;
        let is_off = match kind {
            Kind::Tools => false,
            Kind::Prompts => disabled.prompts,
            Kind::Resources | Kind::Templates => disabled.resources,
        };
        if is_off {
            return self.result(&format!("{{\"{}\":[]}}", kind.field()));
        }
        let sealer = self.exchange.gateway.sessions.sealer();
        let dress = Dress {
            // A reload, or a server that comes back, changes the list, and what one caller sees another does not.
            result: r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#,
            meta: &format!(r#""{META_SERVER_INFO}":{},"#, self.server_info),
        };
        let visit = self.exchange.visit(span);
        match lists::list(&snapshot.catalog, sealer, kind, visit, id, self.params.as_deref(), dress).await {
            Ok(message) => Ended::ok(message),
            Err(error) => self.refused(&face::list_error(&error)),
        }
    }

    async fn read(&self, span: &OperationSpan) -> Ended {
        let catalog = &self.exchange.snapshot.catalog;
        match catalog.read_resource(self.exchange.visit(span), self.params.as_deref()).await {
            Ok(Read::Known(answer)) => self.of_call(Ok(answer)),
            Ok(Read::Renamed { answer, own, listed }) => match answer.outcome() {
                AnswerOutcome::Result(result) => self.result(&with_uri(result, &own, &listed)),
                AnswerOutcome::Error(_) => self.of_call(Ok(answer)),
            },
            Err(error) => self.refused(&face::call_error(&error)),
        }
    }

    fn of_tool(&self, answer: Result<(Answer, Called), CallError>) -> Ended {
        let (answer, called) = match answer {
            Ok(answered) => answered,
            Err(error) => return self.refused(&face::call_error(&error)),
        };
        let mut ended = self.of_call(Ok(answer.clone()));
        if is_tool_error(&answer) {
            ended.error = Some(ErrorType::Tool);
        }
        ended.called = Some(called);
        ended
    }

    fn of_call(&self, answer: Result<Answer, CallError>) -> Ended {
        match answer {
            Ok(answer) => match answer.outcome() {
                AnswerOutcome::Result(result) => self.result(result),
                AnswerOutcome::Error(error) => self.error(error),
            },
            Err(error) => self.refused(&face::call_error(&error)),
        }
    }

    /// The answer that is a server's `result`.
    fn result(&self, result: &str) -> Ended {
        match results::to_modern(&self.request.method, result, Some(&self.server_info)) {
            Ok(result) => Ended::ok(jsonrpc::result(&self.request.id, &result).into()),
            Err(error) => self.unreadable(&error),
        }
    }

    /// The answer that is a server's `error`.
    fn error(&self, error: &str) -> Ended {
        let translated = errors::to_modern(error).and_then(|translated| self.with_uri(error, translated));
        match translated {
            Ok(error) => Ended {
                message: jsonrpc::raw_error(&self.request.id, &error).into(),
                called: None,
                error: Some(ErrorType::Code(errors::code_of(&error).unwrap_or_default())),
            },
            Err(error) => self.unreadable(&error),
        }
    }

    /// `translated` with the URI that was asked for, if the server's `error` says that there is no such resource.
    fn with_uri<'e>(&self, error: &str, translated: Cow<'e, str>) -> Result<Cow<'e, str>, ViewError> {
        if errors::code_of(error) != Some(code::RESOURCE_NOT_FOUND) || self.request.method != method::RESOURCES_READ {
            return Ok(translated);
        }
        let data = format!(r#"{{"uri":{}}}"#, jsonrpc::quote(&Located::read(self.request.params)?.uri));
        Ok(Cow::Owned(edit::add_missing(&translated, &[("data", &data)])?.into_owned()))
    }

    /// The answer in place of one of a server that is no object.
    fn unreadable(&self, error: &ViewError) -> Ended {
        let text = format!("the server's answer cannot be read: {error}");
        self.refused(&ErrorObject::new(code::UPSTREAM_UNAVAILABLE, text))
    }

    /// The answer that is an error of ours.
    fn refused(&self, error: &ErrorObject) -> Ended {
        Ended::error(&self.request.id, error)
    }
}
