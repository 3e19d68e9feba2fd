//! What each method means.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use serde_json::json;
use serde_json::value::RawValue;
use toolgate_client::GivenUp;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Notification, Request, Response, code};
use toolgate_mcp::session::negotiate;
use toolgate_mcp::version::Revision;
use toolgate_mcp::{method, views};

use super::ended::{Ended, ErrorType};
use super::initialize;
use super::lists::{self, Dress};
use super::live::{Live, Stopped};
use super::outlet::Outlet;
use super::reply::Message;
use super::session::ClientSession;
use super::why_empty;
use crate::auth::Caller;
use crate::catalog::{Kind, Scope, Visit};
use crate::config::settings::Clients;
use crate::faces::jsonrpc as face;
use crate::gateway::{Gateway, Snapshot};
use crate::telemetry::{OperationSpan, SpanFacts};
use crate::upstream::{Capabilities, ClientSide, Hears, LogLevel, Reader, Reply, Rounds};

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
    /// When to come again, where a limit is used up.
    pub retry_after: Option<Duration>,
}

impl From<Message> for Answered {
    fn from(message: Message) -> Self {
        Self { message, opened: None, retry_after: None }
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
        // Pinned here, because a future that is handed on by value is in memory twice.
        let ended = match &self.live {
            Some(live) => {
                live.subscribe_again(&self.gateway, &self.snapshot, &self.caller, &self.scope);
                let turn = (!self.patience().is_zero()).then(|| self.snapshot.catalog.longest_call(&self.scope));
                // What else is long enough to be lost has answers that are changed on their way.
                let is_resumable = request.method == method::TOOLS_CALL;
                let run = live.begin(&request.id, self.outlet.as_ref(), is_resumable);
                run.to_its_end(turn, pin!(self.operate(request, &span, Some(run.given_up())))).await
            }
            None => Ok(self.operate(request, &span, None).await),
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
        self.count(&request.method, &ended, began, &span);
        span.finish(ended.error.as_ref().map(ErrorType::label).as_deref());
        let retry_after = ended.limited.and_then(|limited| limited.retry_after);
        Some(Answered { retry_after, ..Answered::from(ended.message) })
    }

    async fn operate(&self, request: &Request<'_>, span: &OperationSpan, given_up: Option<&Arc<dyn GivenUp>>) -> Ended {
        let (id, params) = (&request.id, request.params);
        let visit = Visit { given_up, ..self.visit(span) };
        let catalog = &self.snapshot.catalog;
        match &*request.method {
            method::PING => Ended::ok(jsonrpc::result(id, "{}").into()),
            method::TOOLS_CALL => Ended::of_tool(&self.caller, id, catalog.call_tool(visit, params).await),
            // In a box, because the others are larger than a call, and every call would carry their size.
            _ => Box::pin(self.operate_otherwise(request, visit)).await,
        }
    }

    async fn operate_otherwise(&self, request: &Request<'_>, visit: Visit<'_>) -> Ended {
        let (id, method, params) = (&request.id, &*request.method, request.params);
        let disabled = self.snapshot.settings.general.disabled;
        let catalog = &self.snapshot.catalog;
        match method {
            method::TOOLS_LIST => self.list(Kind::Tools, visit, id, params).await,
            method::PROMPTS_LIST if disabled.prompts => Ended::ok(lists::empty(Kind::Prompts, id)),
            method::PROMPTS_LIST => self.list(Kind::Prompts, visit, id, params).await,
            method::PROMPTS_GET if !disabled.prompts => {
                Ended::of_call(&self.caller, id, catalog.get_prompt(visit, params).await.map(|(reply, _)| reply))
            }
            method::RESOURCES_LIST if disabled.resources => Ended::ok(lists::empty(Kind::Resources, id)),
            method::RESOURCES_LIST => self.list(Kind::Resources, visit, id, params).await,
            method::RESOURCES_TEMPLATES_LIST if disabled.resources => Ended::ok(lists::empty(Kind::Templates, id)),
            method::RESOURCES_TEMPLATES_LIST => self.list(Kind::Templates, visit, id, params).await,
            method::RESOURCES_READ if !disabled.resources => {
                Ended::of_call(&self.caller, id, catalog.read_resource(visit, params).await)
            }
            method::RESOURCES_SUBSCRIBE if !disabled.resources => {
                Ended::of_told(&self.caller, id, catalog.subscribe(visit, params).await)
            }
            method::RESOURCES_UNSUBSCRIBE if !disabled.resources => {
                Ended::of_told(&self.caller, id, catalog.unsubscribe(visit, params).await)
            }
            method::LOGGING_SET_LEVEL => self.set_log_level(visit, id, params).await,
            method::COMPLETION_COMPLETE => {
                Ended::of_call(&self.caller, id, catalog.complete(visit, params).await.map(Reply::Whole))
            }
            _ => Ended::error(id, &ErrorObject::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))),
        }
    }

    pub(super) fn visit<'a>(&'a self, span: &'a OperationSpan) -> Visit<'a> {
        Visit {
            caller: &self.caller,
            client: &self.client,
            hears: self.hears.as_ref(),
            given_up: None,
            rounds: self.rounds,
            patience: self.patience(),
            alone: None,
            scope: &self.scope,
            span,
            accounting: &self.gateway.accounting,
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
        let session = self.session.as_ref().map(|session| session.key.to_string());
        let from = self.caller.from.map(|from| from.to_string());
        let facts = SpanFacts {
            method: &request.method,
            name: named.as_ref().map(|named| &*named.name),
            resource_uri: located.as_ref().map(|located| &*located.uri),
            request_id: Some(request.id.as_json()),
            version: Some(self.revision.name()),
            session: session.as_deref(),
            transport: Some("tcp"),
            peer: from.as_deref().map(|from| (from, None)),
        };
        traces.server_span(facts, meta.map(RawValue::get), &self.trace_headers)
    }

    async fn list(&self, kind: Kind, visit: Visit<'_>, id: &Id, params: Option<&RawValue>) -> Ended {
        let sealer = self.gateway.sessions.sealer();
        let why_empty = why_empty::meta(&self.gateway, &self.caller, kind, &self.scope);
        let dress = Dress { result: "", meta: &why_empty };
        match lists::list(&self.snapshot.catalog, sealer, kind, visit, id, params, dress).await {
            Ok(message) => Ended::ok(message),
            Err(error) => Ended::error(id, &face::list_error(&error, Reader::of(&self.caller))),
        }
    }

    /// Takes what the client tells.
    pub fn notified(&self, notification: &Notification<'_>) {
        let live = self.session.as_ref().and_then(|session| self.gateway.lives.find(&session.key));
        let of_use = match (&*notification.method, live) {
            (method::INITIALIZED, _) => true,
            (method::CANCELLED, Some(live)) => {
                let cancelled = views::Cancelled::read(notification.params);
                cancelled.is_ok_and(|cancelled| live.cancel(&cancelled.request_id, notification.params))
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
                self.count(&request.method, &ended, began, &OperationSpan::none());
                return ended.message.into();
            }
        };
        let revision = negotiate(&asked.protocol_version, &settings.general.advertised_versions);
        let span = self.span(request);
        let client = ClientSide { capabilities: Arc::clone(&capabilities), ..ClientSide::none() };
        let offer = self.snapshot.catalog.offer(Visit { client: &client, ..self.visit(&span) }).await;
        let result = initialize::result(settings, revision, &offer, self.scope.the_one().map(AsRef::as_ref));
        if let Some(live) = &self.live {
            // Over HTTP+SSE the session begins with its stream, and only now servers can be told of the client.
            live.declare(Arc::clone(&capabilities));
            live.hear(&self.caller, &self.scope);
        }
        let (_, token) = self.gateway.sessions.open(&self.caller.id, revision, &capabilities, SystemTime::now());
        let ended = Ended::ok(jsonrpc::result(&request.id, &result).into());
        self.count(&request.method, &ended, began, &span);
        span.finish(None);
        Answered { opened: Some(token), ..Answered::from(ended.message) }
    }
}
