//! What is kept of a client's session while it is in use: its open streams, the questions that servers have asked it,
//! its running requests, how much it wants to be logged to.
//!
//! A session that only lists costs nothing: its [`Live`] is made when something is first called or listened to within
//! it, and goes with the session's end, or when it has not been used for a while. Whatever servers say to the session
//! comes here, and goes out on the stream that fits:
//!
//! * what comes while a request runs goes on that request's response, if the client takes streams there;
//! * the rest goes on the client's standalone stream, a question also on the newest response that is still open;
//! * what fits nowhere is dropped and counted, a question refused.

mod asked;
mod hearing;
mod kept;
mod running;
mod standalone;
mod subscribed;
mod tending;
mod told;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use moka::sync::Cache;
use tokio::time::Instant;
use toolgate_client::{AnswerOutcome, Events, Question};
use toolgate_mcp::jsonrpc::{ErrorObject, Id, Outcome, code};
use toolgate_mcp::method;

use super::event_id::behind;
use super::outlet::Outlet;
use super::scope::Selection;
use super::session::{self, ClientSession};
use crate::auth::Caller;
use crate::config::settings::ServerId;
use crate::telemetry::Metrics;
use crate::upstream::{Capabilities, ClientSide, Hears, LogLevel, ServerPlace, SessionKey};

use asked::Asked;
use kept::Kept;
use running::Running;
use subscribed::Forgotten;

pub(super) use hearing::Hearing;
pub(super) use running::Stopped;
pub(super) use standalone::{Again, Heard, Listener};
pub use tending::tend;
pub use told::{SessionFacts, end};

/// Servers of which a session remembers how far they were heard; an id has room for fewer.
const MAX_PLACES: usize = 64;

/// Bytes for what is known of forgotten sessions: some 50,000 with a log level, or fewer with subscriptions.
const MAX_FORGOTTEN_BYTES: u64 = 8 * 1024 * 1024;

/// Questions of servers that one client may have before it at once.
const MAX_QUESTIONS: usize = 64;

/// The sessions that are in use.
pub struct Lives {
    /// Guards the map alone; held for a look-up.
    by_key: RwLock<HashMap<[u8; 16], Arc<Live>>>,
    metrics: Metrics,
    /// Bytes that ended streams keep for clients who lost them, over all sessions.
    kept: kept::Budget,
    /// What clients wanted whose sessions were forgotten for want of use.
    forgotten: Cache<[u8; 16], Forgotten>,
}

/// One session that is in use.
pub struct Live {
    pub(super) session: ClientSession,
    owner: told::Owner,
    metrics: Metrics,
    /// Whether anything is in [`State::lost`], for those who need not know more.
    has_lost: AtomicBool,
    /// Held for a few lines. Streams are locked under it, never the other way round.
    state: Mutex<State>,
}

struct State {
    capabilities: Arc<Capabilities>,
    log_level: Option<LogLevel>,
    running: Vec<Running>,
    asked: HashMap<u64, Asked>,
    next_question: u64,
    standalone: Option<Standalone>,
    /// Where the streams are on which servers speak by themselves, the one last heard first.
    places: VecDeque<(ServerId, ServerPlace)>,
    kept: Kept,
    /// Resources that the client subscribed to, and that are to be asked for again.
    lost: Vec<Box<str>>,
    /// How often that is being done now.
    taking_up: u32,
    used: Instant,
}

/// The stream on which a client hears what no request of its own brings about.
#[derive(Clone)]
struct Standalone {
    outlet: Arc<Outlet>,
    /// Tells it from one that another process had.
    number: u64,
    caller: Caller,
    /// What the client selected when it opened the stream.
    selection: Selection,
    /// The servers that this means with the current configuration.
    servers: Arc<[Arc<str>]>,
}

impl Lives {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            by_key: RwLock::default(),
            metrics: metrics.clone(),
            kept: kept::Budget::default(),
            forgotten: Cache::builder()
                .max_capacity(MAX_FORGOTTEN_BYTES)
                .weigher(|_, forgotten: &Forgotten| forgotten.bytes())
                .time_to_live(session::LIFETIME)
                .build(),
        }
    }

    /// What is kept of `session`, if it is in use.
    #[must_use]
    pub fn find(&self, key: &SessionKey) -> Option<Arc<Live>> {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        let live = by_key.get(&key.0)?;
        // Under the lock, so that it is not forgotten for want of use between the two.
        live.lock().used = Instant::now();
        Some(Arc::clone(live))
    }

    /// What is kept of `session`, which is `caller`'s and in use from now on.
    #[must_use]
    pub fn of(&self, session: &ClientSession, caller: &Caller) -> Arc<Live> {
        if let Some(live) = self.find(&session.key) {
            return live;
        }
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        let live = by_key.entry(session.key.0).or_insert_with(|| {
            let live = Live::new(session, caller, &self.metrics);
            if let Some(Forgotten { log_level, resources }) = self.forgotten.remove(&session.key.0) {
                live.lock().log_level = log_level;
                live.lost(resources.iter().cloned());
            }
            Arc::new(live)
        });
        Arc::clone(live)
    }

    /// The session is over: its streams end, and servers that wait for its client are told.
    pub fn end(&self, key: &SessionKey) {
        let ended = self.by_key.write().unwrap_or_else(PoisonError::into_inner).remove(&key.0);
        self.forgotten.invalidate(&key.0);
        if let Some(live) = ended {
            live.end(&self.kept);
        }
    }

    fn all(&self) -> Vec<Arc<Live>> {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Live {
    fn new(session: &ClientSession, caller: &Caller, metrics: &Metrics) -> Self {
        let mut start = [0u8; 8];
        aws_lc_rs::rand::fill(&mut start).expect("the system's random source works");
        Self {
            session: session.clone(),
            owner: told::Owner::of(caller),
            metrics: metrics.clone(),
            has_lost: AtomicBool::new(false),
            state: Mutex::new(State {
                capabilities: session.capabilities(),
                log_level: None,
                running: Vec::new(),
                asked: HashMap::new(),
                // An answer to a question of a former process must not fit one of this. Numbers from 2^53 on are not
                // safe with clients in JavaScript.
                next_question: u64::from_ne_bytes(start) >> 12,
                standalone: None,
                places: VecDeque::new(),
                kept: Kept::default(),
                lost: Vec::new(),
                taking_up: 0,
                used: Instant::now(),
            }),
        }
    }

    /// The client as servers see it.
    #[must_use]
    pub fn client(self: &Arc<Self>) -> ClientSide {
        let mut state = self.lock();
        state.used = Instant::now();
        ClientSide {
            session: Some(self.session.key),
            capabilities: Arc::clone(&state.capabilities),
            hears: Some(Arc::clone(self) as Arc<dyn Hears>),
            log_level: state.log_level,
            speaks_for_itself: false,
        }
    }

    /// The client says what it can do, on a transport whose session begins before that.
    pub fn declare(&self, capabilities: Arc<Capabilities>) {
        self.lock().capabilities = capabilities;
    }

    /// The client says how much it wants to be logged to.
    pub fn set_log_level(&self, level: LogLevel) {
        self.lock().log_level = Some(level);
    }

    /// The client's answer to a question of a server; `false` when there is no such question.
    pub fn answer(&self, id: &Id, outcome: Outcome<'_>) -> bool {
        let asked = id.as_u64().and_then(|number| self.lock().asked.remove(&number));
        let Some(asked) = asked else { return false };
        asked.question.relay(match outcome {
            Outcome::Result(result) => AnswerOutcome::Result(result.get()),
            Outcome::Error(error) => AnswerOutcome::Error(error.get()),
        });
        true
    }

    /// Puts a server's question before the client: on `via`, the response to the request that it came with, or
    /// wherever the client can be asked.
    fn ask(&self, question: Question, via: Option<&Arc<Outlet>>) {
        let mut state = self.lock();
        if !asked::is_declared(&state.capabilities, &question) {
            drop(state);
            self.metrics.dropped_frames("_client", "question_not_declared");
            // Dropping it refuses it: the client does not serve that.
            return drop(question);
        }
        if state.asked.len() >= MAX_QUESTIONS {
            drop(state);
            let text = format!("the client has {MAX_QUESTIONS} questions before it");
            return question.refuse(&ErrorObject::new(code::BUSY, text));
        }
        let returned = state.put_before_client(question, via);
        drop(state);
        if let Some(question) = returned {
            let text = "the client has no stream open on which it could be asked";
            question.refuse(&ErrorObject::new(code::INTERNAL_ERROR, text));
        }
    }

    /// A server's notification that belongs to no request.
    fn tell(&self, message: Bytes) {
        let standalone = self.lock().standalone.as_ref().map(|standalone| Arc::clone(&standalone.outlet));
        if !standalone.is_some_and(|outlet| outlet.notify(message)) {
            self.metrics.dropped_frames("_client", "no_stream");
        }
    }

    /// Whether the client wants to see this message of a server's log.
    fn wants_logged(&self, message: &Bytes) -> bool {
        let wanted = self.lock().log_level;
        wanted.is_none_or(|wanted| hearing::level_of(message).is_none_or(|level| level >= wanted))
    }

    fn end(&self, budget: &kept::Budget) {
        let mut state = self.lock();
        if let Some(standalone) = state.standalone.take() {
            standalone.outlet.finish(None);
        }
        state.kept.clear(budget);
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        let over = ErrorObject::new(code::INTERNAL_ERROR, "the client's session is over");
        for asked in asked.into_values() {
            asked.question.refuse(&over);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Finds a stream for `question`; gives it back when there is none.
    fn put_before_client(&mut self, question: Question, via: Option<&Arc<Outlet>>) -> Option<Question> {
        let number = self.next_question;
        let (message, token) = asked::with_number(&question, number);
        let standalone = self.standalone.as_ref().map(|standalone| &standalone.outlet);
        let responses = self.running.iter().rev().filter_map(|running| running.outlet.as_ref());
        let mut streams = via.into_iter().chain(standalone).chain(responses);
        let asked = streams.find_map(|outlet| Some((outlet.ask(message.clone())?, Arc::clone(outlet))));
        let Some((hold, outlet)) = asked else { return Some(question) };
        self.next_question += 1;
        self.asked.insert(number, Asked { question, outlet, token, since: Instant::now(), _hold: hold });
        None
    }
}

/// Hears what servers say to the session outside of requests.
impl Hears for Live {
    fn passed_at(&self, server: &ServerId, place: Option<ServerPlace>, has_message: bool) {
        let mut state = self.lock();
        state.places.retain(|(known, _)| known != server);
        state.places.truncate(MAX_PLACES - 1);
        if let Some(place) = place {
            state.places.push_front((server.clone(), place));
        }
        if let Some(standalone) = &state.standalone {
            standalone.outlet.passed(behind::servers(state.places.iter()), has_message);
        }
    }
}

impl Events for Live {
    fn notification(&self, method: &str, message: Bytes) {
        match method {
            method::CANCELLED => self.cancelled_by_server(&message, None),
            method::LOG_MESSAGE if !self.wants_logged(&message) => {}
            _ => self.tell(message),
        }
    }

    fn question(&self, question: Question) {
        self.ask(question, None);
    }
}
