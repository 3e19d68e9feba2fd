//! What each method means.

mod calls;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::response::Response;
use http::HeaderMap;
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Request, code};
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::translate::log_level::LogLevel;
use toolgate_mcp::translate::request::{self, Client};
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::{
    META_CLIENT_CAPABILITIES, META_LOG_LEVEL, META_PROTOCOL_VERSION, META_SERVER_INFO, ViewError,
};
use toolgate_mcp::{edit, method, translate};

use super::answer::{self, Done};
use super::listen::Listen;
use super::refusal::Refusal;
use super::respond::respond;
use super::{Arrived, discover, tasks};
use crate::catalog::{Kind, Scope, Visit};
use crate::faces::jsonrpc as face;
use crate::mcp::dispatch::Exchange;
use crate::mcp::ended::{Ended, ErrorType};
use crate::mcp::head::Accepts;
use crate::mcp::lists::{self, Dress};
use crate::mcp::outlet::Outlet;
use crate::mcp::scope::Selection;
use crate::mcp::why_empty;
use crate::telemetry::OperationSpan;
use crate::upstream::{Capabilities, ClientSide, Reader, Rounds};

/// One request of this revision, admitted.
struct Modern {
    exchange: Exchange,
    /// What the path or header selects.
    selection: Selection,
    method: Box<str>,
    /// The parameters without what they say of the client.
    params: Option<Box<RawValue>>,
    /// The headers of the HTTP request.
    headers: HeaderMap,
    can: ClientCapabilities,
    /// Whether the client knows tasks.
    knows_tasks: bool,
    log_level: Option<LogLevel>,
    /// The gateway's name and version as a JSON object.
    server_info: String,
}

/// Serves an admitted request.
pub(super) async fn serve(arrived: Arrived, request: &Request<'_>, client: Client<'_>, scope: Scope) -> Response {
    let accepts = Accepts::of(&arrived.headers);
    let id = request.id.clone();
    let modern = match Modern::new(arrived, request, client, scope) {
        Ok(modern) => Arc::new(modern),
        Err(error) => return Refusal::Params(error).into_response(Some(&id)),
    };
    let gateway = modern.exchange.gateway.clone();
    if *modern.method == *method::SUBSCRIPTIONS_LISTEN {
        let opened = if accepts.streams { modern.listen(id.clone()).await } else { Err(Refusal::NotAStream) };
        return opened.unwrap_or_else(|refusal| refusal.into_response(Some(&id)));
    }
    let outlet = Outlet::new();
    outlet.let_begin();
    let span = modern.exchange.span(request);
    let work = Box::pin(modern.serve(id.clone(), span, Arc::clone(&outlet)));
    respond(&gateway, work, id, outlet, accepts).await
}

impl Modern {
    fn new(arrived: Arrived, request: &Request<'_>, client: Client<'_>, scope: Scope) -> Result<Self, ViewError> {
        let Arrived { gateway, snapshot, caller, selection, headers, trace_headers, .. } = arrived;
        let server_info = discover::server_info(&snapshot.settings, &scope);
        let capabilities = Capabilities::of_request(client.capabilities)?;
        let can = capabilities.flags();
        let as_seen =
            ClientSide { capabilities, log_level: client.log_level, speaks_for_itself: true, ..ClientSide::none() };
        let revision = Revision::V2026_07_28;
        let exchange = Exchange {
            gateway,
            snapshot,
            caller,
            client: as_seen,
            hears: None,
            rounds: Rounds::Pass,
            live: None,
            outlet: None,
            session: None,
            scope,
            revision,
            trace_headers,
        };
        let params = request.params.map(|params| without_client(params, client.client_info.is_some())).transpose()?;
        let method = request.method.as_ref().into();
        let knows_tasks = tasks::is_declared(client.capabilities);
        Ok(Self {
            exchange,
            selection,
            method,
            params,
            headers,
            can,
            knows_tasks,
            log_level: client.log_level,
            server_info,
        })
    }

    async fn serve(self: Arc<Self>, id: Id, span: OperationSpan, outlet: Arc<Outlet>) -> Ended {
        let began = Instant::now();
        let trace = span.ids();
        let is_call = matches!(
            &*self.method,
            method::TOOLS_CALL | method::PROMPTS_GET | method::RESOURCES_READ | method::COMPLETION_COMPLETE
        );
        let ended = if is_call {
            self.clone().call(&id, span, outlet).await
        } else {
            let ended = self.operate(&id, &span).await;
            span.finish(ended.error.as_ref().map(ErrorType::label).as_deref());
            ended
        };
        self.exchange.count_traced(&self.method, &ended, began, trace);
        ended
    }

    fn visit<'a>(&'a self, span: &'a OperationSpan) -> Visit<'a> {
        // A question of a server of this revision is for the client itself.
        Visit { rounds: Rounds::Pass, ..self.exchange.visit(span) }
    }

    /// What is answered without a server, or by all of them.
    async fn operate(&self, id: &Id, span: &OperationSpan) -> Ended {
        match &*self.method {
            method::SERVER_DISCOVER => self.discover(id, span).await,
            method::TOOLS_LIST => self.list(Kind::Tools, id, span).await,
            method::PROMPTS_LIST => self.list(Kind::Prompts, id, span).await,
            method::RESOURCES_LIST => self.list(Kind::Resources, id, span).await,
            method::RESOURCES_TEMPLATES_LIST => self.list(Kind::Templates, id, span).await,
            method if tasks::is_about_one(method) => self.task(span).await.ended(id),
            method => Ended::error(id, &not_found(method)),
        }
    }

    async fn discover(&self, id: &Id, span: &OperationSpan) -> Ended {
        let snapshot = &self.exchange.snapshot;
        let offer = snapshot.catalog.offer(self.visit(span)).await;
        let result = discover::result(&snapshot.settings, &offer, &self.server_info);
        Ended::ok(jsonrpc::result(id, &result).into())
    }

    async fn list(&self, kind: Kind, id: &Id, span: &OperationSpan) -> Ended {
        let snapshot = &self.exchange.snapshot;
        let disabled = snapshot.settings.general.disabled;
        let is_off = match kind {
            Kind::Tools => false,
            Kind::Prompts => disabled.prompts,
            Kind::Resources | Kind::Templates => disabled.resources,
        };
        if is_off {
            return Done::result(self.request(None), &format!("{{\"{}\":[]}}", kind.field())).ended(id);
        }
        let sealer = self.exchange.gateway.sessions.sealer();
        let why_empty = why_empty::meta(&self.exchange.gateway, &self.exchange.caller, kind, &self.exchange.scope);
        let dress = Dress {
            // A reload, or a server that comes back, changes the list, and what one caller sees another does not.
            result: r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#,
            meta: &format!(r#""{META_SERVER_INFO}":{},{why_empty}"#, self.server_info),
        };
        let visit = self.visit(span);
        match lists::list(&snapshot.catalog, sealer, kind, visit, id, self.params.as_deref(), dress).await {
            Ok(message) => Ended::ok(message),
            Err(error) => Ended::error(id, &face::list_error(&error, Reader::of(&self.exchange.caller))),
        }
    }

    async fn listen(&self, id: Id) -> Result<Response, Refusal> {
        let Exchange { gateway, snapshot, caller, scope, .. } = &self.exchange;
        let listen = Listen {
            gateway: gateway.clone(),
            snapshot: Arc::clone(snapshot),
            caller: caller.clone(),
            selection: self.selection.clone(),
            scope: scope.clone(),
            capabilities: Arc::clone(&self.exchange.client.capabilities),
            knows_tasks: self.knows_tasks,
            id,
            server_info: self.server_info.clone(),
        };
        listen.open(self.params.as_deref()).await
    }

    /// A request about a task that some server runs for this caller.
    async fn task(&self, span: &OperationSpan) -> Done {
        if !self.knows_tasks {
            return Done::refused(&tasks::undeclared());
        }
        let Exchange { gateway, snapshot, caller, .. } = &self.exchange;
        let params = self.params.as_deref();
        let task = match tasks::find(gateway.sessions.sealer(), &caller.id, params) {
            Ok(task) => task,
            Err(error) => return Done::refused(&error),
        };
        let own = match translate::tasks::with_id(params.map_or("{}", RawValue::get), &task.own) {
            Ok(own) => own,
            Err(error) => return Done::refused(&ErrorObject::new(code::INVALID_PARAMS, error.to_string())),
        };
        match snapshot.catalog.ask_server(self.visit(span), &task.server, &self.method, &own).await {
            Ok(Some(answer)) => Done::answered(self.request(None), &answer).about_task(|_| Some(task.listed.clone())),
            Ok(None) => Done::refused(&tasks::unknown(&task.listed)),
            Err(error) => Done::refused(&face::call_error(&error, Reader::of(caller))),
        }
    }

    fn request<'r>(&'r self, uri: Option<&'r str>) -> answer::Request<'r> {
        answer::Request { method: &self.method, uri, can: self.can, server_info: &self.server_info }
    }
}

/// The parameters without what they say of the client, or a server of an older revision would take the request for one
/// of this one. The client's name stays for those of this one.
fn without_client(params: &RawValue, is_named: bool) -> Result<Box<RawValue>, ViewError> {
    let mut kept = Cow::Borrowed(params.get());
    if !is_named {
        kept = request::without_client(params.get())?;
    }
    for key in [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_LOG_LEVEL] {
        if let Cow::Owned(without) = edit::remove_at(&kept, &["_meta", key])? {
            kept = Cow::Owned(without);
        }
    }
    Ok(RawValue::from_string(kept.into_owned())?)
}

fn not_found(method: &str) -> ErrorObject {
    ErrorObject::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))
}
