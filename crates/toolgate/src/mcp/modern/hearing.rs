//! What a server says to the client while it works on one call.
//!
//! Notifications go to the stream of the request that is open now: the call may be parked between two of them, and
//! then nobody hears. Questions wait here until the call is parked for them.
//!
//! Source: MCP 2026-07-28, Multi Round-Trip Requests; Logging; Progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use toolgate_client::{Events, Question};
use toolgate_mcp::edit;
use toolgate_mcp::jsonrpc::{ErrorObject, code};
use toolgate_mcp::method;
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::translate::log_level::{self, LogLevel};
use toolgate_mcp::translate::tokens;
use toolgate_mcp::views::Cancelled;

use crate::mcp::outlet::Outlet;
use crate::upstream::Hears;

/// Questions of one call that may wait for answers at once.
const MAX_QUESTIONS: usize = 16;

/// Hears for one call.
pub(super) struct Hearing {
    /// What the client can be asked; nothing where the method has no `input_required`.
    can: ClientCapabilities,
    /// The progress token under which the server was asked, as JSON text.
    token: Option<Box<str>>,
    /// Held for a few lines only.
    state: Mutex<State>,
    /// Told when a question comes.
    came: Notify,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    waiting: Vec<Asked>,
    asked: u32,
}

/// The request that is open now.
pub(super) struct Open {
    pub(super) outlet: Arc<Outlet>,
    /// What of the server's log it wants.
    pub(super) log_level: Option<LogLevel>,
    /// Its own progress token as JSON text.
    pub(super) token: Option<Box<str>>,
}

/// A question, and what its answer is called.
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) question: Question,
}

impl Hearing {
    /// Hears for a call of a client that can do this, whose first request is `open`.
    pub(super) fn new(can: ClientCapabilities, open: Open) -> Arc<Self> {
        let token = open.token.clone();
        let state = Mutex::new(State { open: Some(open), ..State::default() });
        Arc::new(Self { can, token, state, came: Notify::new() })
    }

    /// Another request is open now, or none.
    pub(super) fn attach(&self, open: Option<Open>) {
        self.lock().open = open;
    }

    /// Waits for a question.
    pub(super) async fn asked(&self) {
        loop {
            let came = self.came.notified();
            if !self.lock().waiting.is_empty() {
                return;
            }
            came.await;
        }
    }

    /// Takes the questions that wait.
    pub(super) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hears for Hearing {}

impl Events for Hearing {
    fn notification(&self, method: &str, message: Bytes) {
        let mut state = self.lock();
        if method == method::CANCELLED {
            // The server does not want to know any more.
            if let Some(id) = cancelled_id(&message) {
                state.waiting.retain(|asked| asked.question.id_text() != id);
            }
            return;
        }
        let Some(open) = &state.open else { return };
        let message = match method {
            method::PROGRESS => match (&open.token, &self.token) {
                (Some(now), Some(first)) if now == first => message,
                (Some(now), Some(_)) => match renamed(&message, now) {
                    Some(renamed) => renamed,
                    None => return,
                },
                _ => return,
            },
            method::LOG_MESSAGE if !is_wanted(open.log_level, &message) => return,
            // What the older revisions say of elicitations is for the server to see when it is asked again.
            method::ELICITATION_COMPLETE => return,
            _ => message,
        };
        open.outlet.notify(message);
    }

    fn question(&self, question: Question) {
        // A server that was told what the client can do may ask for other things all the same. Dropping a question
        // refuses it, in words of the client library.
        if !self.can.can_answer(question.method(), question.params().unwrap_or("{}")) {
            return;
        }
        let mut state = self.lock();
        if state.waiting.len() >= MAX_QUESTIONS {
            drop(state);
            let text = format!("{MAX_QUESTIONS} questions of this call wait for answers already");
            question.refuse(&ErrorObject::new(code::BUSY, text));
            return;
        }
        state.asked += 1;
        let key = format!("q{}", state.asked);
        state.waiting.push(Asked { key, question });
        drop(state);
        self.came.notify_one();
    }
}

fn is_wanted(wanted: Option<LogLevel>, message: &Bytes) -> bool {
    let level = std::str::from_utf8(message).ok().and_then(log_level::of_message);
    // A level that is none is nothing that the client could have asked for.
    wanted.zip(level).is_some_and(|(wanted, level)| wanted.admits(level))
}

fn renamed(message: &Bytes, token: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(message).ok()?;
    tokens::progress_with_token(text, token).ok().map(|renamed| Bytes::from(renamed.into_owned()))
}

fn cancelled_id(message: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let params = edit::get_at(text, &["params"]).ok()??;
    Cancelled::read(Some(params)).ok().map(|cancelled| cancelled.request_id_text.to_owned())
}
