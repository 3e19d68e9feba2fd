//! `subscriptions/listen`: one stream on which a client hears what changes at all servers in its scope.
//!
//! The acknowledgement comes first and says what will be told. Every message carries the id of the request that opened
//! the stream. It ends with the client, or with a result when the gateway stops. Changes of lists concern whoever
//! listens, since they come from a reload as well; resources are subscribed to at the servers that have them, and tasks
//! at those that run them ([`tasks`]).
//!
//! Source: MCP 2026-07-28, Subscriptions.

mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use toolgate_client::{Events, Question};
use toolgate_mcp::jsonrpc::{self, Id};
use toolgate_mcp::method;
use toolgate_mcp::translate::results;
use toolgate_mcp::translate::subscriptions::{self, Filter, Offer};

use super::refusal::Refusal;
use crate::auth::Caller;
use crate::catalog::{Scope, Visit};
use crate::gateway::{Gateway, Snapshot};
use crate::mcp::outlet::Outlet;
use crate::mcp::scope::Selection;
use crate::mcp::stream as events;
use crate::places::Place;
use crate::telemetry::OperationSpan;
use crate::upstream::{Capabilities, Changed, ClientSide, Hears, News, Rounds, TaskWatch};

/// Resources that one stream may tell of, and tasks.
const MAX_NAMED: usize = 1_000;

/// How long the acknowledgement waits for servers to take subscriptions; those that are late are not in it.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Servers are asked for so many subscriptions of one stream at once.
const AT_ONCE: usize = 8;

/// Messages that may come before the acknowledgement.
const MAX_EARLY: usize = 256;

/// A request to listen.
pub(super) struct Listen {
    pub(super) gateway: Gateway,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) caller: Caller,
    /// What the path or header selects, and which servers that are now.
    pub(super) selection: Selection,
    pub(super) scope: Scope,
    /// What the client can do.
    pub(super) capabilities: Arc<Capabilities>,
    /// Whether it knows tasks.
    pub(super) knows_tasks: bool,
    pub(super) id: Id,
    /// The gateway's name and version as a JSON object.
    pub(super) server_info: String,
}

/// One stream: who hears for it.
struct Ear {
    id: Id,
    outlet: Arc<Outlet>,
    /// Held for a few lines only.
    state: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// What was acknowledged; until then updates wait.
    accepted: Option<Filter>,
    early: Vec<(&'static str, Bytes)>,
}

impl Listen {
    /// Opens the stream, or says why not.
    pub(super) async fn open(self, params: Option<&RawValue>) -> Result<Response, Refusal> {
        let wanted = Filter::read(params)?;
        if wanted.resource_uris.len() > MAX_NAMED {
            return Err(Refusal::TooMany { what: "resources in one filter", max: MAX_NAMED });
        }
        if wanted.task_ids.len() > MAX_NAMED {
            return Err(Refusal::TooMany { what: "tasks in one filter", max: MAX_NAMED });
        }
        if !wanted.task_ids.is_empty() && !self.knows_tasks {
            return Err(Refusal::TasksUndeclared);
        }
        let place = self.gateway.streams.place(self.snapshot.settings.clients.streams).ok_or(Refusal::Busy)?;
        // Before anything else, so that no change is missed.
        let (news, reloads) = (self.snapshot.upstreams.news(), self.gateway.reloads.subscribe());
        let disabled = self.snapshot.settings.general.disabled;
        let mut accepted = wanted.accepted(Offer {
            tools: true,
            prompts: !disabled.prompts,
            resources: !disabled.resources,
            subscribe: !disabled.resources,
            tasks: true,
        });
        let ear = Arc::new(Ear { id: self.id.clone(), outlet: Outlet::new(), state: Mutex::default() });
        let mut listener = Listener { client: client_of(&ear), listen: self, ear, watches: Vec::new() };
        listener.hear();
        accepted.resource_uris = listener.subscribe(&accepted.resource_uris).await;
        accepted.task_ids = listener.watch_tasks(&accepted.task_ids).await;
        listener.ear.acknowledge(accepted.clone());
        let reader = listener.ear.outlet.reader();
        let gateway = listener.listen.gateway.clone();
        gateway.tasks.spawn(listener.run(accepted, news, reloads, place));
        Ok(events::response(Body::from_stream(reader)))
    }
}

/// What servers know of it: somebody who can do nothing for them and hears of changes.
fn client_of(ear: &Arc<Ear>) -> ClientSide {
    let hears: Arc<dyn Hears> = Arc::clone(ear) as Arc<dyn Hears>;
    ClientSide { hears: Some(hears), ..ClientSide::none() }
}

/// An open stream. When it is dropped, servers need not tell it of anything any more.
struct Listener {
    listen: Listen,
    client: ClientSide,
    ear: Arc<Ear>,
    /// Has servers tell of tasks.
    watches: Vec<TaskWatch>,
}

impl Listener {
    fn visit<'a>(&'a self, span: &'a OperationSpan) -> Visit<'a> {
        let Listen { caller, scope, .. } = &self.listen;
        let (hears, rounds, patience, alone) = (None, Rounds::Pass, Duration::ZERO, None);
        let accounting = &self.listen.gateway.accounting;
        Visit { caller, client: &self.client, hears, given_up: None, rounds, patience, alone, scope, span, accounting }
    }

    /// The servers in scope may say that their lists have changed.
    fn hear(&self) {
        self.listen.snapshot.catalog.hear_standalone(self.visit(&OperationSpan::none()));
    }

    /// Subscribes to resources; gives those that their servers took in time.
    async fn subscribe(&self, uris: &[String]) -> Vec<String> {
        let span = OperationSpan::none();
        let subscribe = async |uri: &String| {
            let params = RawValue::from_string(format!(r#"{{"uri":{}}}"#, jsonrpc::quote(uri))).ok()?;
            let visit = self.visit(&span);
            let asked = self.listen.snapshot.catalog.subscribe(visit, Some(&params));
            match tokio::time::timeout(SUBSCRIBE_TIMEOUT, asked).await {
                // `None`: the server was asked before, for somebody else.
                Ok(Ok(answer)) => answer.is_none_or(|answer| answer.is_result()).then(|| uri.clone()),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a resource cannot be listened to");
                    None
                }
                Err(_) => None,
            }
        };
        let taken: Vec<Option<String>> = stream::iter(uris).map(subscribe).buffered(AT_ONCE).collect().await;
        taken.into_iter().flatten().collect()
    }

    /// Tells of changes until the client goes or the gateway stops.
    async fn run(
        mut self,
        accepted: Filter,
        mut news: broadcast::Receiver<News>,
        mut reloads: watch::Receiver<u64>,
        place: Place,
    ) {
        let _held = (self.listen.gateway.metrics.stream_opened(), place);
        let gateway = self.listen.gateway.clone();
        loop {
            tokio::select! {
                () = self.ear.outlet.deserted() => return,
                () = gateway.stopping.cancelled() => break,
                heard = news.recv() => match heard {
                    Ok(news) if self.concerns(&news) => self.ear.tell(&[news.what]),
                    Ok(_) => {}
                    // Some were missed, so any list may have changed.
                    Err(RecvError::Lagged(_)) => self.ear.tell(&Changed::ALL),
                    Err(RecvError::Closed) => break,
                },
                changed = reloads.changed() => match changed {
                    Ok(()) => if !self.reloaded(&accepted).await { break },
                    Err(_) => break,
                },
            }
            for _ in 0..self.ear.outlet.take_dropped() {
                gateway.metrics.dropped_frames("_client", "stream_full");
            }
        }
        self.ear.outlet.finish(Some(self.last_message()));
    }

    fn concerns(&self, news: &News) -> bool {
        self.listen.scope.servers().iter().any(|upstream| *upstream.settings.name == *news.server)
    }

    /// Another configuration is in place: its servers are heard from now on, and any list may be another.
    ///
    /// The same when the caller may reach other things. `false` when the caller's key is not in force any more.
    async fn reloaded(&mut self, accepted: &Filter) -> bool {
        let snapshot = self.listen.gateway.snapshot();
        let Some(grant) = self.listen.gateway.granted_anew(&self.listen.caller).await else { return false };
        let scope = self.listen.selection.scope(&snapshot, &grant).unwrap_or_else(|_| Scope::nothing(&grant));
        let is_other = !scope.is_same(&self.listen.scope);
        if !is_other && Arc::ptr_eq(&snapshot, &self.listen.snapshot) {
            return true;
        }
        self.listen.caller.grant = grant;
        if is_other {
            self.leave();
            self.listen.scope = scope;
            self.listen.snapshot = snapshot;
            self.hear();
            self.subscribe(&accepted.resource_uris).await;
            self.watch_tasks(&accepted.task_ids).await;
        } else {
            self.listen.snapshot = snapshot;
        }
        self.ear.tell(&Changed::ALL);
        true
    }

    fn leave(&self) {
        self.listen.snapshot.catalog.leave(self.visit(&OperationSpan::none()));
    }

    /// The result that says that the stream has ended in order.
    fn last_message(&self) -> Bytes {
        let ended = subscriptions::ended(&self.listen.id);
        let stamped = results::to_modern(method::SUBSCRIPTIONS_LISTEN, &ended, Some(&self.listen.server_info));
        let result = stamped.map_or_else(|_| ended.clone(), std::borrow::Cow::into_owned);
        Bytes::from(jsonrpc::result(&self.listen.id, &result))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Ear {
    /// Says what will be told, and then what waited for that.
    fn acknowledge(&self, accepted: Filter) {
        // An answer always has room, and this must not be dropped.
        self.outlet.answer(Bytes::from(subscriptions::acknowledged(&self.id, &accepted)));
        let mut heard = self.lock();
        for (method, message) in std::mem::take(&mut heard.early) {
            self.put(&accepted, method, &message);
        }
        heard.accepted = Some(accepted);
    }

    /// Takes a notification that a server meant for this stream.
    fn hear(&self, method: &'static str, message: Bytes) {
        let mut heard = self.lock();
        match &heard.accepted {
            Some(accepted) => self.put(accepted, method, &message),
            None if heard.early.len() < MAX_EARLY => heard.early.push((method, message)),
            None => {}
        }
    }

    /// Tells of changed lists, as far as they were asked for.
    fn tell(&self, what: &[Changed]) {
        let heard = self.lock();
        let Some(accepted) = &heard.accepted else { return };
        for what in what {
            self.put(accepted, what.method(), &jsonrpc::notification(what.method(), None));
        }
    }

    fn put(&self, accepted: &Filter, method: &str, message: &[u8]) {
        let Ok(text) = std::str::from_utf8(message) else { return };
        let Ok(jsonrpc::Message::Notification(notification)) = jsonrpc::parse(message) else { return };
        if accepted.admits(method, notification.params.map(RawValue::get))
            && let Ok(tagged) = subscriptions::with_subscription_id(text, &self.id)
        {
            self.outlet.notify(Bytes::from(tagged));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hears for Ear {}

impl Events for Ear {
    fn notification(&self, method: &str, message: Bytes) {
        // Progress and log messages never come here in this revision; lists are told of by the news.
        if method == method::RESOURCES_UPDATED {
            self.hear(method::RESOURCES_UPDATED, message);
        }
    }

    fn question(&self, question: Question) {
        // Outside of a request nothing can be asked in this revision; dropping the question refuses it.
        drop(question);
    }
}
