//! Who hears what a server says by itself on one connection: notifications, and questions for the client.
//!
//! What comes on the stream of a request (Streamable HTTP) is for that request's caller. On the transports with one
//! stream for all (stdio, HTTP+SSE), and on the stream that Streamable HTTP has for the purpose, the message itself does
//! not say whose it is, except for progress, whose token is a number that we gave out. Then it goes
//!
//! * on a connection that one client session has to itself: to the only request that runs, else to that client;
//! * on a connection that clients share, and only where all comes on one stream: to the only request that runs, unless
//!   an earlier one was given up and may be what the server is still speaking of;
//! * else to nobody: notifications are dropped and counted, questions refused. Never to another caller.
//!
//! Changes of lists concern everybody and become [`super::News`]; a changed resource goes to those who subscribed to it.

mod lasting;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use toolgate_client::{Events, Question, StreamPlace};
use toolgate_mcp::jsonrpc::{ErrorObject, code};
use toolgate_mcp::method;
use toolgate_mcp::translate::subscriptions;

use super::client_side::Capabilities;
use super::hears::{Hears, RunningRequest, ServerPlace};
use super::lane::Key;
use super::news::Changed;
use super::pool::Pool;
use super::progress::{self, Replaced};

pub use lasting::Lasting;

/// The ears of one connection.
pub(super) struct Ears {
    pool: Weak<Pool>,
    key: Key,
    /// What the server was told that the client can do.
    offered: Arc<Capabilities>,
    /// Whether all comes on one stream; known when the connection is there.
    one_stream: AtomicBool,
    /// The session was opened by another process, so that what was asked for in it is not known here.
    adopted: AtomicBool,
    /// Places in its streams have been told.
    has_places: AtomicBool,
    /// Who hears for the client session that the connection belongs to.
    owner: Mutex<Option<Arc<dyn Hears>>>,
    /// Held for single map operations only.
    running: Mutex<Running>,
}

/// The requests that are running on the connection, as far as somebody must know of them.
#[derive(Default)]
struct Running {
    /// On one stream: all of them. Else none.
    requests: HashMap<u64, Option<Arc<dyn Hears>>>,
    /// Those with a progress token.
    tokens: HashMap<u64, Token>,
    /// On one stream: a request of ours ended without an answer, so the server may still be at it.
    given_up: bool,
}

struct Token {
    /// The client's own, as JSON text.
    own: Box<str>,
    hears: Option<Arc<dyn Hears>>,
}

/// A request whose caller hears what is said for it. Dropped when it is over.
pub(super) struct Attended {
    ears: Arc<Ears>,
    number: u64,
    token: bool,
    on_one_stream: bool,
    answered: bool,
}

/// Hears what comes on one request's own stream.
struct OwnStream {
    ears: Arc<Ears>,
    hears: Arc<dyn Hears>,
    /// The request's progress token.
    token: Option<u64>,
}

impl Ears {
    pub(super) fn new(pool: &Arc<Pool>, key: &Key, offered: &Arc<Capabilities>) -> Arc<Self> {
        Arc::new(Self {
            pool: Arc::downgrade(pool),
            key: key.clone(),
            offered: Arc::clone(offered),
            one_stream: AtomicBool::new(false),
            adopted: AtomicBool::new(false),
            has_places: AtomicBool::new(false),
            owner: Mutex::default(),
            running: Mutex::default(),
        })
    }

    /// The connection has one stream for everything.
    pub(super) fn hear_all_on_one_stream(&self) {
        self.one_stream.store(true, Ordering::Relaxed);
    }

    pub(super) fn hears_all_on_one_stream(&self) -> bool {
        self.one_stream.load(Ordering::Relaxed)
    }

    /// The session was opened by another process.
    pub(super) fn adopted(&self) {
        self.adopted.store(true, Ordering::Relaxed);
    }

    /// Whether several clients may be using the connection.
    pub(super) fn is_shared(&self) -> bool {
        self.key.session.is_none()
    }

    /// Whether the server was told that the client can do nothing.
    pub(super) fn offered_nothing(&self) -> bool {
        self.offered.digest() == Capabilities::none().digest()
    }

    /// Says who hears for the client session that has this connection to itself.
    pub(super) fn belong_to(&self, hears: Option<&Arc<dyn Hears>>) {
        let (Some(hears), Some(_)) = (hears, self.key.session) else { return };
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if !owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, hears)) {
            *owner = Some(Arc::clone(hears));
        }
    }

    /// A request with `params` begins. They are given back with a progress token of the gateway's in place of the
    /// client's, out of `numbers`; and, unless nobody need know that the request runs, what tells when it is over.
    pub(super) fn attend<'p>(
        self: &Arc<Self>,
        numbers: &AtomicU64,
        params: Option<&'p str>,
        hears: Option<&Arc<dyn Hears>>,
    ) -> (Option<Cow<'p, str>>, Option<Attended>) {
        let on_one_stream = self.one_stream.load(Ordering::Relaxed);
        let may_have_token = params.filter(|params| progress::may_be_in(params));
        if !on_one_stream && may_have_token.is_none() {
            return (params.map(Cow::Borrowed), None);
        }
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let replaced = may_have_token.and_then(|params| progress::replace(params, number));
        if !on_one_stream && replaced.is_none() {
            return (params.map(Cow::Borrowed), None);
        }
        let token = replaced.is_some();
        let mut running = self.running();
        if on_one_stream {
            running.requests.insert(number, hears.cloned());
        }
        let params = match replaced {
            Some(Replaced { params, token: own }) => {
                running.tokens.insert(number, Token { own, hears: hears.cloned() });
                Some(params)
            }
            None => params.map(Cow::Borrowed),
        };
        drop(running);
        (params, Some(Attended { ears: Arc::clone(self), number, token, on_one_stream, answered: false }))
    }

    /// A request that somebody else has sent goes on here: its progress `token`, and the client's own, are known again.
    pub(super) fn attend_again(
        self: &Arc<Self>,
        token: Option<&(u64, Box<str>)>,
        hears: &Arc<dyn Hears>,
    ) -> Option<Attended> {
        let (number, own) = token?;
        self.running().tokens.insert(*number, Token { own: own.clone(), hears: Some(Arc::clone(hears)) });
        Some(Attended { ears: Arc::clone(self), number: *number, token: true, on_one_stream: false, answered: false })
    }

    /// Who is to hear what comes on a request's own stream.
    pub(super) fn on_own_stream(
        self: &Arc<Self>,
        hears: &Arc<dyn Hears>,
        attended: Option<&Attended>,
    ) -> Option<Arc<dyn Events>> {
        let own = || {
            let token = attended.filter(|attended| attended.token).map(|attended| attended.number);
            Arc::new(OwnStream { ears: Arc::clone(self), hears: Arc::clone(hears), token }) as Arc<dyn Events>
        };
        (!self.one_stream.load(Ordering::Relaxed)).then(own)
    }

    /// What every stream may carry for others than those it belongs to; `false` if it is not such.
    fn heard_by_all(&self, method: &str, message: &Bytes) -> bool {
        if let Some(what) = Changed::told_by(method) {
            if let Some(pool) = self.pool.upgrade() {
                pool.lists_changed(&[what]);
            }
            return true;
        }
        match method {
            method::PROGRESS => self.progressed(message),
            method::RESOURCES_UPDATED => self.updated(message),
            _ => return false,
        }
        true
    }

    fn progressed(&self, message: &Bytes) {
        let number = progress::number(message);
        let token = number.and_then(|number| {
            let running = self.running();
            running.tokens.get(&number).map(|token| (token.own.clone(), token.hears.clone()))
        });
        match token {
            Some((own, Some(hears))) => hears.notification(method::PROGRESS, progress::put_back(message, &own)),
            // Whoever asked does not want to hear of it.
            Some((_, None)) => {}
            None => self.dropped("progress_of_nothing"),
        }
    }

    fn updated(&self, message: &Bytes) {
        // The id is of the gateway's own subscription, and of no client's.
        let text = std::str::from_utf8(message).unwrap_or_default();
        let plain = match subscriptions::without_subscription_id(text) {
            Ok(Cow::Owned(plain)) => Bytes::from(plain),
            _ => message.clone(),
        };
        if self.pool.upgrade().is_some_and(|pool| pool.tell_subscribers(&self.key, &plain)) {
            return;
        }
        // The client has subscribed to it in the former process, and nobody else uses the session.
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match owner.filter(|_| self.adopted.load(Ordering::Relaxed)) {
            Some(owner) => owner.notification(method::RESOURCES_UPDATED, plain),
            None => self.dropped("update_of_nothing"),
        }
    }

    /// Tells `hears` how far a stream has come, where the session at the server is the client's own.
    fn passed_at(&self, hears: &dyn Hears, place: StreamPlace<'_>, token: Option<u64>) {
        let Some(pool) = self.pool.upgrade().filter(|_| !self.is_shared()) else { return };
        let own = |token: u64| self.running().tokens.get(&token).map(|known| (token, known.own.clone()));
        let request = place.request.map(|id| RunningRequest { id, token: token.and_then(own) });
        let has_message = place.has_message;
        let place = place.last_event_id.map(|last_event_id| ServerPlace {
            session_id: place.session_id.map(Box::from),
            revision: place.revision,
            last_event_id: last_event_id.into(),
            request,
        });
        self.has_places.store(true, Ordering::Relaxed);
        hears.passed_at(&pool.settings.id, place, has_message);
    }

    /// Whether a client may come back to a stream of this connection when the gateway is another.
    pub(super) fn has_places(&self) -> bool {
        self.has_places.load(Ordering::Relaxed)
    }

    /// Whose a message is that does not say so itself.
    fn whose(&self) -> Option<Arc<dyn Hears>> {
        let one_stream = self.one_stream.load(Ordering::Relaxed);
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_owned = !self.is_shared();
        if one_stream {
            let running = self.running();
            if running.requests.len() == 1
                && (is_owned || !running.given_up)
                && let Some(Some(hears)) = running.requests.values().next()
            {
                return Some(Arc::clone(hears));
            }
        }
        owner
    }

    /// Nobody can be asked this. Dropping the question refuses it, unless there is more to say.
    fn refuse(&self, question: Question) {
        self.dropped("question_for_nobody");
        let Some(pool) = self.pool.upgrade() else { return };
        if let Some(key) = pool.settings.forbids(question.method()) {
            let text = format!("`{}` is switched off for this server (`{key}: false`)", question.method());
            question.refuse(&ErrorObject::new(code::METHOD_NOT_FOUND, text));
        }
    }

    fn dropped(&self, why: &'static str) {
        if let Some(pool) = self.pool.upgrade() {
            pool.shared.metrics.dropped_frames(&pool.settings.name, why);
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Ears {
    fn notification(&self, method: &str, message: Bytes) {
        if self.heard_by_all(method, &message) {
            return;
        }
        match self.whose() {
            Some(hears) => hears.notification(method, message),
            None => self.dropped("notification_for_nobody"),
        }
    }

    fn question(&self, question: Question) {
        match self.whose().filter(|_| self.offered.allow(question.method())) {
            Some(hears) => hears.question(question),
            None => self.refuse(question),
        }
    }

    fn passed(&self, place: StreamPlace<'_>) {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(owner) = owner {
            self.passed_at(&*owner, place, None);
        }
    }
}

impl Events for OwnStream {
    fn notification(&self, method: &str, message: Bytes) {
        if !self.ears.heard_by_all(method, &message) {
            self.hears.notification(method, message);
        }
    }

    fn question(&self, question: Question) {
        if self.ears.offered.allow(question.method()) {
            self.hears.question(question);
        } else {
            self.ears.refuse(question);
        }
    }

    fn passed(&self, place: StreamPlace<'_>) {
        self.ears.passed_at(&*self.hears, place, self.token);
    }
}

impl Attended {
    /// The server has answered, so it speaks no more of this request.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }

    /// The request is answered, and the server speaks of it all the same.
    fn go_on(&mut self) {
        if self.on_one_stream {
            self.ears.running().requests.remove(&self.number);
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let mut running = self.ears.running();
        if self.token {
            running.tokens.remove(&self.number);
        }
        if self.on_one_stream {
            running.requests.remove(&self.number);
            running.given_up |= !self.answered;
        }
    }
}
