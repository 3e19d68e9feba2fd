//! What each method means.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use axum::response::Response;
use http::HeaderMap;
use serde_json::value::RawValue;
use toolgate_client::Answer;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Request, code};
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::translate::log_level::LogLevel;
use toolgate_mcp::translate::questions::{self, Answers};
use toolgate_mcp::translate::request::{self, Client};
use toolgate_mcp::translate::{self, tokens};
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::{
    Located, META_CLIENT_CAPABILITIES, META_LOG_LEVEL, META_PROTOCOL_VERSION, META_SERVER_INFO, Named, ViewError,
};
use toolgate_mcp::{edit, method};

use super::answer::{self, Done};
use super::call::{Call, Turn};
use super::hearing::{Hearing, Open};
use super::listen::Listen;
use super::parking::Parking;
use super::refusal::Refusal;
use super::respond::respond;
use super::{Arrived, discover, tasks};
use crate::catalog::{Alone, CallError, Called, Kind, Scope, Visit, is_tool_error};
use crate::faces::jsonrpc as face;
use crate::mcp::dispatch::{Ended, ErrorType, Exchange};
use crate::mcp::head::Accepts;
use crate::mcp::lists::{self, Dress};
use crate::mcp::outlet::Outlet;
use crate::mcp::scope::Selection;
use crate::telemetry::OperationSpan;
use crate::upstream::{Capabilities, ClientSide, Hears, Rounds};

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
        self.exchange.count(&self.method, &ended, began);
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
        let dress = Dress {
            // A reload, or a server that comes back, changes the list, and what one caller sees another does not.
            result: r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#,
            meta: &format!(r#""{META_SERVER_INFO}":{},"#, self.server_info),
        };
        let visit = self.visit(span);
        match lists::list(&snapshot.catalog, sealer, kind, visit, id, self.params.as_deref(), dress).await {
            Ok(message) => Ended::ok(message),
            Err(error) => Ended::error(id, &face::list_error(&error)),
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
            Err(error) => Done::refused(&face::call_error(&error)),
        }
    }

    /// A request to one server, which may ask something before it answers.
    async fn call(self: Arc<Self>, id: &Id, span: OperationSpan, outlet: Arc<Outlet>) -> Ended {
        match self.begin_or_resume(span, outlet).await {
            Ok(mut call) => loop {
                match call.turn().await {
                    Turn::Done(done) => return done.ended(id),
                    Turn::Asked => match self.park(call, id) {
                        Ok(ended) => return ended,
                        Err(back) => call = *back,
                    },
                }
            },
            Err(error) => Ended::error(id, &error),
        }
    }

    async fn begin_or_resume(self: &Arc<Self>, span: OperationSpan, outlet: Arc<Outlet>) -> Result<Call, ErrorObject> {
        let params = self.params.as_deref();
        let invalid = |error: &ViewError| ErrorObject::new(code::INVALID_PARAMS, error.to_string());
        let answers = Answers::read(params).map_err(|error| invalid(&error))?;
        let token = params.and_then(|params| tokens::progress_token(params.get()).ok().flatten()).map(Box::from);
        let open = Open { outlet, log_level: self.log_level, token };
        let Some(state) = answers.request_state.as_deref() else { return Ok(self.begin(span, open)) };
        let Exchange { gateway, caller, .. } = &self.exchange;
        if let Some(ticket) = Parking::ticket(gateway.sessions.sealer(), &caller.id, state) {
            let call = gateway.parking.fetch(&ticket, &self.digest()).await;
            let mut call = call.ok_or_else(bad_state)?;
            call.hearing.attach(Some(open));
            call.deliver(&answers);
            return Ok(call);
        }
        let is_servers = self.exchange.snapshot.catalog.keeps_state(self.visit(&span), &self.method, params);
        if !is_servers.await.map_err(|error| face::call_error(&error))? {
            return Err(bad_state());
        }
        Ok(self.begin(span, open))
    }

    fn begin(self: &Arc<Self>, span: OperationSpan, open: Open) -> Call {
        let can = if questions::may_ask(&self.method) { self.can } else { ClientCapabilities::default() };
        let may_be_asked = can.roots || can.sampling || can.elicitation_form || can.elicitation_url;
        let hearing = Hearing::new(can, open);
        let hears: Arc<dyn Hears> = hearing.clone();
        let modern = Arc::clone(self);
        let work = async move {
            let done = modern.ask(&span, &hears, may_be_asked).await;
            span.finish(done.error.as_ref().map(ErrorType::label).as_deref());
            done
        };
        Call::new(
            Box::pin(work),
            hearing,
            self.exchange.snapshot.catalog.longest_call(&self.exchange.scope),
            self.digest(),
        )
    }

    /// Asks the server, and waits however often it asks back.
    async fn ask(&self, span: &OperationSpan, hears: &Arc<dyn Hears>, may_be_asked: bool) -> Done {
        let Exchange { gateway, caller, client, .. } = &self.exchange;
        let slot = if may_be_asked { gateway.slots.take(&caller.id, &client.capabilities) } else { None };
        let mut client = client.clone();
        if let Some(slot) = &slot {
            client.session = Some(slot.key);
            client.hears = Some(Arc::clone(hears));
        }
        let patience = if may_be_asked { PATIENCE } else { Duration::ZERO };
        let alone = Some(Alone { headers: &self.headers });
        let visit = Visit { client: &client, hears: Some(hears), patience, alone, ..self.visit(span) };
        let catalog = &self.exchange.snapshot.catalog;
        let disabled = self.exchange.snapshot.settings.general.disabled;
        let params = self.params.as_deref();
        match &*self.method {
            method::TOOLS_CALL => self.of_tool(catalog.call_tool(visit, params).await),
            method::PROMPTS_GET if !disabled.prompts => {
                self.of_call(catalog.get_prompt(visit, params).await.map(|(answer, _)| answer))
            }
            method::RESOURCES_READ if !disabled.resources => self.of_call(catalog.read_resource(visit, params).await),
            method::COMPLETION_COMPLETE => self.of_call(catalog.complete(visit, params).await),
            method => Done::refused(&not_found(method)),
        }
    }

    fn of_tool(&self, answer: Result<(Answer, Called), CallError>) -> Done {
        let (answer, called) = match answer {
            Ok(answered) => answered,
            Err(error) => {
                let mut done = Done::refused(&face::call_error(&error));
                done.called = error.called().cloned();
                return done;
            }
        };
        let Exchange { gateway, caller, .. } = &self.exchange;
        let listed = |own: &str| Some(tasks::listed(gateway.sessions.sealer(), &caller.id, &called.server, own));
        let mut done = Done::answered(self.request(None), &answer);
        if self.knows_tasks {
            done = done.about_task(listed);
        }
        if is_tool_error(&answer) {
            done.error = Some(ErrorType::Tool);
        }
        done.called = Some(called);
        done
    }

    fn of_call(&self, answer: Result<Answer, CallError>) -> Done {
        let located = match &*self.method {
            method::RESOURCES_READ => Located::read(self.params.as_deref()).ok(),
            _ => None,
        };
        match answer {
            Ok(answer) => Done::answered(self.request(located.as_ref().map(|located| &*located.uri)), &answer),
            Err(error) => Done::refused(&face::call_error(&error)),
        }
    }

    fn request<'r>(&'r self, uri: Option<&'r str>) -> answer::Request<'r> {
        answer::Request { method: &self.method, uri, can: self.can, server_info: &self.server_info }
    }

    /// Parks the call, and answers with its questions. Without room the questions are refused and the call comes back.
    fn park(&self, call: Call, id: &Id) -> Result<Ended, Box<Call>> {
        let Exchange { gateway, caller, .. } = &self.exchange;
        // Written before the call is gone, and completed with the token.
        let asking = match call.input_required() {
            Ok(asking) => asking,
            Err(error) => {
                let text = format!("the server's question cannot be read: {error}");
                return Ok(Ended::error(id, &ErrorObject::new(code::UPSTREAM_UNAVAILABLE, text)));
            }
        };
        let sealer = gateway.sessions.sealer();
        match gateway.parking.park(sealer, &caller.id, call, &gateway.tasks, &gateway.stopping) {
            Ok(state) => {
                let asking = edit::set_field(&asking, "requestState", &jsonrpc::quote(&state)).unwrap_or(asking);
                Ok(Done::result(self.request(None), &asking).ended(id))
            }
            Err(mut back) => {
                back.refuse("too many calls wait for their clients already");
                Err(back)
            }
        }
    }

    /// What the request is about: the same in every request of one call, and different in all others.
    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut part = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        part(&self.method);
        let params = self.params.as_deref();
        match &*self.method {
            method::RESOURCES_READ => part(Located::read(params).map_or("", |located| located.uri_text)),
            _ => {
                let named = Named::read(params).ok();
                part(named.as_ref().map_or("", |named| &named.name));
                part(named.and_then(|named| named.arguments).map_or("{}", RawValue::get));
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
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

/// What a call may take longer because its client may be asked: each turn of the server's own has the usual limit.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

fn not_found(method: &str) -> ErrorObject {
    ErrorObject::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))
}

/// One that is over and one that is forged are refused alike.
fn bad_state() -> ErrorObject {
    let why = "it is over, or none that this gateway gave to this caller for this request";
    ErrorObject::new(code::INVALID_PARAMS, format!("`requestState` cannot be used: {why}; send the request anew"))
}
