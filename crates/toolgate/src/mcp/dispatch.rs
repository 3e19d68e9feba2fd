//! What each method means.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use serde_json::json;
use serde_json::value::RawValue;
use toolgate_client::Answer;
use toolgate_mcp::edit::Fields;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Notification, Request, Response, code};
use toolgate_mcp::session::negotiate;
use toolgate_mcp::version::Revision;
use toolgate_mcp::{method, views};

use super::initialize;
use super::lists::{self, Dress};
use super::live::{Hearing, Live, Stopped};
use super::outlet::Outlet;
use super::reply::Message;
use super::session::ClientSession;
use crate::auth::Caller;
use crate::catalog::{CallError, Called, Kind, Read, Scope, Visit, is_tool_error};
use crate::config::settings::Clients;
use crate::faces::jsonrpc as face;
use crate::gateway::{Gateway, Snapshot};
use crate::telemetry::{OperationSpan, RequestCount, ServerOperation, SpanFacts, Status};
use crate::upstream::{Capabilities, ClientSide, Hears, LogLevel, Reply, Rounds, Streamed};

/// One client's side of an exchange: everything that a message needs to be answered.
pub struct Exchange {
    /// The gateway.
    pub gateway: Gateway,
    /// The configuration that serves the whole request.
    pub snapshot: Arc<Snapshot>,
    /// Who asks.
    pub caller: Caller,
    /// The client, as servers see it.
    pub client: ClientSide,
    /// Who hears what servers say while they work on this.
    pub hears: Option<Arc<dyn Hears>>,
    /// What becomes of a modern server's `input_required`.
    pub rounds: Rounds,
    /// What is kept of the session, where something of this is for a server.
    pub live: Option<Arc<Live>>,
    /// The response, if events can go there.
    pub outlet: Option<Arc<Outlet>>,
    /// The session that the client named, if it has one.
    pub session: Option<ClientSession>,
    /// What the path or header selected.
    pub scope: Scope,
    /// The revision that the client speaks.
    pub revision: Revision,
    /// The trace context of the HTTP request; empty when traces are off.
    pub trace_headers: HeaderMap,
}

/// Questions that a client may take its whole time for during one call.
const MAX_QUESTIONS_IN_A_ROW: u32 = 8;

/// The client's side of a conversation with servers.
pub(super) struct Speaking {
    /// The client, as servers see it.
    pub(super) client: ClientSide,
    /// Who hears what they say.
    pub(super) hears: Option<Arc<dyn Hears>>,
    /// What is kept of the session.
    pub(super) live: Option<Arc<Live>>,
}

impl Speaking {
    /// In `session`, whose servers may have something to say if any of this is for one of them; `outlet` is where events
    /// can go in response.
    pub(super) fn of(
        gateway: &Gateway,
        session: Option<&ClientSession>,
        for_a_server: bool,
        outlet: Option<&Arc<Outlet>>,
    ) -> Self {
        let live = session.filter(|_| for_a_server).map(|session| gateway.lives.of(session));
        let without_live = |session: Option<&ClientSession>| ClientSide {
            capabilities: session.map_or_else(Capabilities::none, ClientSession::capabilities),
            ..ClientSide::none()
        };
        let client = live.as_ref().map_or_else(|| without_live(session), Live::client);
        let hears = (live.is_some() || outlet.is_some())
            .then(|| Arc::new(Hearing { live: live.clone(), outlet: outlet.cloned() }) as Arc<dyn Hears>);
        Self { client, hears, live }
    }
}

/// Whether requests of this method are for one server, or set what servers say.
pub(super) fn is_for_a_server(method: &str) -> bool {
    method::address(method).is_some() || method == method::LOGGING_SET_LEVEL
}

/// A message for the client, and the session that it opened, if it did.
pub struct Answered {
    /// The message.
    pub message: Message,
    /// The id of a session that `initialize` opened.
    pub opened: Option<String>,
}

/// How an operation ended, for the metrics.
pub(super) struct Ended {
    pub(super) message: Message,
    pub(super) called: Option<Called>,
    pub(super) error: Option<ErrorType>,
}

/// What kind of error an answer is.
pub(super) enum ErrorType {
    /// A JSON-RPC error.
    Code(i32),
    /// A tool's result with `isError`.
    Tool,
}

impl ErrorType {
    /// As metrics and traces name it.
    pub(super) fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Owned(code.to_string()),
            Self::Tool => Cow::Borrowed("tool_error"),
        }
    }
}

/// What a call of a client in a session may take longer than usual.
pub(super) fn patience(client: &ClientSide, clients: &Clients) -> Duration {
    match client.capabilities.can_be_asked() {
        true => clients.question_timeout.saturating_mul(MAX_QUESTIONS_IN_A_ROW),
        false => Duration::ZERO,
    }
}

impl Exchange {
    /// What a call may take longer than usual: its server may ask the client, whose time is not the server's.
    fn patience(&self) -> Duration {
        self.live.as_ref().map_or(Duration::ZERO, |_| patience(&self.client, &self.snapshot.settings.clients))
    }

    /// Answers a request; `None` when the client cancels it before that.
    pub async fn answer(&self, request: &Request<'_>) -> Option<Answered> {
        let began = Instant::now();
        if request.method == method::INITIALIZE {
            return Some(Box::pin(self.initialize(request, began)).await);
        }
        let span = self.span(request);
        let work = self.operate(request, &span);
        let ended = match &self.live {
            Some(live) => {
                let turn = (!self.patience().is_zero()).then(|| self.snapshot.catalog.longest_call(&self.scope));
                // What else is long enough to be lost has answers that are changed on their way.
                let is_resumable = request.method == method::TOOLS_CALL;
                let run = live.begin(&request.id, self.outlet.as_ref(), is_resumable);
                run.to_its_end(turn, work).await
            }
            None => Ok(work.await),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(Stopped::OutOfTime(turn)) => {
                let text = format!("no answer within {turn:?}");
                let data = json!({ "code": "timeout", "may_have_run": true });
                Ended::error(&request.id, &ErrorObject { code: code::TIMEOUT, message: text, data: Some(data) })
            }
            Err(Stopped::Cancelled) => {
                span.finish(Some("cancelled"));
                return None;
            }
        };
        self.count(&request.method, &ended, began);
        span.finish(ended.error.as_ref().map(ErrorType::label).as_deref());
        Some(Answered { message: ended.message, opened: None })
    }

    async fn operate(&self, request: &Request<'_>, span: &OperationSpan) -> Ended {
        let (id, params) = (&request.id, request.params);
        let catalog = &self.snapshot.catalog;
        match &*request.method {
            method::PING => Ended::ok(jsonrpc::result(id, "{}").into()),
            method::TOOLS_CALL => Ended::of_tool(id, catalog.call_tool(self.visit(span), params).await),
            // In a box, because the others are larger than a call, and every call would carry their size.
            _ => Box::pin(self.operate_otherwise(request, span)).await,
        }
    }

    async fn operate_otherwise(&self, request: &Request<'_>, span: &OperationSpan) -> Ended {
        let (id, method, params) = (&request.id, &*request.method, request.params);
        let visit = self.visit(span);
        let disabled = self.snapshot.settings.general.disabled;
        let catalog = &self.snapshot.catalog;
        match method {
            method::TOOLS_LIST => self.list(Kind::Tools, visit, id, params).await,
            method::PROMPTS_LIST if disabled.prompts => Ended::ok(lists::empty(Kind::Prompts, id)),
            method::PROMPTS_LIST => self.list(Kind::Prompts, visit, id, params).await,
            method::PROMPTS_GET if !disabled.prompts => {
                Ended::of_call(id, catalog.get_prompt(visit, params).await.map(|(reply, _)| reply))
            }
            method::RESOURCES_LIST if disabled.resources => Ended::ok(lists::empty(Kind::Resources, id)),
            method::RESOURCES_LIST => self.list(Kind::Resources, visit, id, params).await,
            method::RESOURCES_TEMPLATES_LIST if disabled.resources => Ended::ok(lists::empty(Kind::Templates, id)),
            method::RESOURCES_TEMPLATES_LIST => self.list(Kind::Templates, visit, id, params).await,
            method::RESOURCES_READ if !disabled.resources => self.read(visit, id, params).await,
            method::RESOURCES_SUBSCRIBE if !disabled.resources => {
                Ended::of_told(id, catalog.subscribe(visit, params).await)
            }
            method::RESOURCES_UNSUBSCRIBE if !disabled.resources => {
                Ended::of_told(id, catalog.unsubscribe(visit, params).await)
            }
            method::LOGGING_SET_LEVEL => self.set_log_level(visit, id, params).await,
            method::COMPLETION_COMPLETE => Ended::of_call(id, catalog.complete(visit, params).await.map(Reply::Whole)),
            _ => Ended::error(id, &ErrorObject::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))),
        }
    }

    pub(super) fn visit<'a>(&'a self, span: &'a OperationSpan) -> Visit<'a> {
        Visit {
            caller: &self.caller,
            client: &self.client,
            hears: self.hears.as_ref(),
            rounds: self.rounds,
            patience: self.patience(),
            alone: None,
            scope: &self.scope,
            span,
        }
    }

    /// The server span of `request`; nothing is looked at when traces are off.
    pub(super) fn span(&self, request: &Request<'_>) -> OperationSpan {
        let traces = &self.gateway.traces;
        if !traces.is_on() {
            return OperationSpan::none();
        }
        let named = views::Named::read(request.params).ok();
        let located = views::Located::read(request.params).ok();
        let meta = views::meta(request.params).ok().flatten();
        let facts = SpanFacts {
            method: &request.method,
            name: named.as_ref().map(|named| &*named.name),
            resource_uri: located.as_ref().map(|located| &*located.uri),
            request_id: Some(request.id.as_json()),
            version: Some(self.revision.name()),
            session: None,
            transport: Some("tcp"),
            peer: None,
        };
        traces.server_span(facts, meta.map(RawValue::get), &self.trace_headers)
    }

    async fn list(&self, kind: Kind, visit: Visit<'_>, id: &Id, params: Option<&RawValue>) -> Ended {
        let sealer = self.gateway.sessions.sealer();
        match lists::list(&self.snapshot.catalog, sealer, kind, visit, id, params, Dress::default()).await {
            Ok(message) => Ended::ok(message),
            Err(error) => Ended::error(id, &face::list_error(&error)),
        }
    }

    async fn read(&self, visit: Visit<'_>, id: &Id, params: Option<&RawValue>) -> Ended {
        match self.snapshot.catalog.read_resource(visit, params).await {
            Ok(Read::Known(reply)) => Ended::of_call(id, Ok(reply)),
            Ok(Read::Renamed { answer, own, listed }) => {
                Ended::of_answer(&answer, Read::renamed(&answer, &own, &listed, id).into())
            }
            Err(error) => Ended::error(id, &face::call_error(&error)),
        }
    }

    /// Takes what the client tells.
    pub fn notified(&self, notification: &Notification<'_>) {
        let live = self.session.as_ref().and_then(|session| self.gateway.lives.find(&session.key));
        let of_use = match (&*notification.method, live) {
            (method::INITIALIZED, _) => true,
            (method::CANCELLED, Some(live)) => {
                views::Cancelled::read(notification.params).is_ok_and(|cancelled| live.cancel(&cancelled.request_id))
            }
            (method::PROGRESS, Some(live)) => live.progressed(notification.params),
            (method::ROOTS_LIST_CHANGED, Some(live)) => {
                let (snapshot, key) = (Arc::clone(&self.snapshot), live.session.key);
                let params = notification.params.map(|params| params.get().to_owned());
                self.gateway.tasks.spawn(async move {
                    let tell = snapshot.upstreams.tell(&key, method::ROOTS_LIST_CHANGED, params.as_deref());
                    tell.await;
                });
                true
            }
            _ => false,
        };
        if !of_use {
            self.gateway.metrics.dropped_frames("_client", "notification_of_nothing");
        }
    }

    /// Takes the client's answer to a server's question.
    pub fn answered(&self, response: &Response<'_>) {
        let live = self.session.as_ref().and_then(|session| self.gateway.lives.find(&session.key));
        let was_asked = response.id.as_ref().zip(live).is_some_and(|(id, live)| live.answer(id, response.outcome));
        if !was_asked {
            self.gateway.metrics.dropped_frames("_client", "answer_to_nothing");
        }
    }

    /// Levels are kept with the session, so servers that are connected to later hear of it too.
    async fn set_log_level(&self, visit: Visit<'_>, id: &Id, params: Option<&RawValue>) -> Ended {
        let Some(level) = views::log_level(params).and_then(|name| LogLevel::parse(&name)) else {
            let levels = LogLevel::ALL.map(LogLevel::name).join(", ");
            return Ended::error(
                id,
                &ErrorObject::new(code::INVALID_PARAMS, format!("`level` must be one of {levels}")),
            );
        };
        if let Some(live) = &self.live {
            live.set_log_level(level);
            self.snapshot.catalog.set_level(Visit { client: &live.client(), ..visit }).await;
        }
        Ended::ok(jsonrpc::result(id, "{}").into())
    }

    async fn initialize(&self, request: &Request<'_>, began: Instant) -> Answered {
        let settings = &self.snapshot.settings;
        let read = views::Initialize::read(request.params)
            .and_then(|asked| Ok((Capabilities::read(asked.capabilities)?, asked)));
        let (capabilities, asked) = match read {
            Ok(read) => read,
            Err(error) => {
                let ended = Ended::error(&request.id, &ErrorObject::new(code::INVALID_PARAMS, error.to_string()));
                self.count(&request.method, &ended, began);
                return Answered { message: ended.message, opened: None };
            }
        };
        let revision = negotiate(&asked.protocol_version, &settings.general.advertised_versions);
        let span = self.span(request);
        let client = ClientSide { capabilities: Arc::clone(&capabilities), ..ClientSide::none() };
        let offer = self.snapshot.catalog.offer(Visit { client: &client, ..self.visit(&span) }).await;
        span.finish(None);
        let result = initialize::result(settings, revision, &offer, self.scope.the_one().map(AsRef::as_ref));
        if let Some(live) = &self.live {
            // Over HTTP+SSE the session begins with its stream, and only now servers can be told of the client.
            live.declare(Arc::clone(&capabilities));
            live.hear(&self.caller, &self.scope);
        }
        let (_, token) = self.gateway.sessions.open(&self.caller.id, revision, &capabilities, SystemTime::now());
        let ended = Ended::ok(jsonrpc::result(&request.id, &result).into());
        self.count(&request.method, &ended, began);
        Answered { message: ended.message, opened: Some(token) }
    }

    pub(super) fn count(&self, method: &str, ended: &Ended, began: Instant) {
        let error_type = ended.error.as_ref().map(ErrorType::label);
        let called = ended.called.as_ref();
        let metrics = &self.gateway.metrics;
        let took = began.elapsed();
        if let Some(called) = called {
            metrics.overhead(took.saturating_sub(called.upstream_took));
        }
        metrics.server_operation(
            ServerOperation {
                method,
                tool: called.map(|called| called.listed.as_str()),
                error_type: error_type.as_deref(),
                version: self.revision.name(),
                transport: "tcp",
            },
            took,
        );
        metrics.request(RequestCount {
            server: called.map(|called| called.server.as_str()),
            tool: called.map(|called| called.name.as_str()),
            status: match ended.error {
                None => Status::Ok,
                Some(ErrorType::Tool) => Status::ToolError,
                Some(ErrorType::Code(_)) => Status::Error,
            },
            code: if let Some(ErrorType::Code(code)) = ended.error { code } else { 0 },
        });
    }
}

impl Ended {
    pub(super) fn ok(message: Message) -> Self {
        Self { message, called: None, error: None }
    }

    pub(super) fn error(id: &Id, error: &ErrorObject) -> Self {
        let message = jsonrpc::error(Some(id), error).into();
        Self { message, called: None, error: Some(ErrorType::Code(error.code)) }
    }

    fn of_tool(id: &Id, answer: Result<(Reply, Called), CallError>) -> Self {
        let (reply, called) = match answer {
            Ok(answered) => answered,
            Err(error) => return Self::error(id, &face::call_error(&error)),
        };
        let mut ended = match reply {
            Reply::Whole(answer) => {
                let mut ended = Self::of_answer(&answer, message(id, &answer));
                if is_tool_error(&answer) {
                    ended.error = Some(ErrorType::Tool);
                }
                ended
            }
            Reply::Streamed(streamed) => Self::of_streamed(id, *streamed),
        };
        ended.called = Some(called);
        ended
    }

    fn of_call(id: &Id, answer: Result<Reply, CallError>) -> Self {
        match answer {
            Ok(Reply::Whole(answer)) => Self::of_answer(&answer, message(id, &answer)),
            Ok(Reply::Streamed(streamed)) => Self::of_streamed(id, *streamed),
            Err(error) => Self::error(id, &face::call_error(&error)),
        }
    }

    /// What came of telling a server something; it may have known already.
    fn of_told(id: &Id, told: Result<Option<Answer>, CallError>) -> Self {
        match told {
            Ok(None) => Self::ok(jsonrpc::result(id, "{}").into()),
            Ok(Some(answer)) => Self::of_answer(&answer, message(id, &answer)),
            Err(error) => Self::error(id, &face::call_error(&error)),
        }
    }

    /// An answer that nobody reads on its way is counted by its kind: a code or `isError` in it is not seen.
    fn of_streamed(id: &Id, streamed: Streamed) -> Self {
        let error = if streamed.is_result() { None } else { Some(ErrorType::Code(0)) };
        Self { message: Message::streamed(id, streamed), called: None, error }
    }

    fn of_answer(answer: &Answer, message: Message) -> Self {
        let error = match answer.is_result() {
            true => None,
            false => Some(ErrorType::Code(error_code(answer.outcome_bytes()))),
        };
        Self { message, called: None, error }
    }
}

/// Answers from this size on are not copied for the sake of their id; below it, one small copy is cheaper than three
/// pieces.
const LARGE_BYTES: usize = 8 * 1024;

fn message(id: &Id, answer: &Answer) -> Message {
    if answer.message().len() < LARGE_BYTES {
        return answer.with_id(id).into();
    }
    answer.pieces(id).into_iter().collect()
}

/// The code of a raw error object; 0 when it has none that fits.
fn error_code(error: &[u8]) -> i32 {
    let error = std::str::from_utf8(error).unwrap_or_default();
    Fields::read(error).ok().and_then(|fields| fields.get("code")?.get().parse().ok()).unwrap_or_default()
}
