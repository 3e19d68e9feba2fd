//! One stream of events to a client: what waits for it, within bounds, and who reads it.
//!
//! Whoever has something for the client puts it in and never waits; the response's body takes it out as the client
//! reads. When a slow reader lets too much wait, the oldest notifications make room and are counted. Questions and
//! answers are never dropped: a question that finds no room is refused to the one who asks, an answer always has room.

mod reader;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use toolgate_client::Events;

pub use reader::Reader;

/// Events that may wait for a slow reader, the answer apart.
const MAX_WAITING: usize = 256;

/// The same in bytes of messages. One event may wait alone however large it is: messages have their own cap.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// One stream of events to a client. Messages are JSON-RPC, whole, as they came.
#[derive(Default)]
pub struct Outlet {
    /// Held for a few lines, never while anything is sent.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Event>,
    waiting_bytes: usize,
    /// Notifications that made room, or found none.
    dropped: u64,
    /// A response may begin as a stream before the answer is there.
    may_begin: bool,
    phase: Phase,
    /// Wakes whoever reads, or waits for something to read.
    reader: Option<Waker>,
    /// Wakes whoever waits for the reader's leave.
    watcher: Option<Waker>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Nothing more is taken; what waits is still given out.
    Ended,
    /// Nobody reads any more.
    Deserted,
}

struct Event {
    kind: Kind,
    message: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Notification,
    Question,
    Answer,
}

impl Outlet {
    /// A stream that nothing is in yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts a notification in; `false` when it, for want of room or of a reader, never comes to the client.
    pub fn notify(&self, message: Bytes) -> bool {
        self.put(Kind::Notification, message)
    }

    /// Puts a server's question in, which must carry the id that the client is to answer to; `false` when it is
    /// refused.
    #[must_use]
    pub fn ask(&self, message: Bytes) -> bool {
        self.put(Kind::Question, message)
    }

    /// Puts an answer in, after which more may come: one of a batch, or of the HTTP+SSE transport.
    pub fn answer(&self, message: Bytes) -> bool {
        self.put(Kind::Answer, message)
    }

    /// Ends the stream when what waits has been read; `last` is put in before that.
    pub fn finish(&self, last: Option<Bytes>) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            if let Some(message) = last {
                state.push(Kind::Answer, message);
            }
            state.phase = Phase::Ended;
            state.wake_reader();
        }
    }

    /// Lets the response begin as a stream at the first event; until then everything waits for the answer.
    pub fn let_begin(&self) {
        let mut state = self.lock();
        state.may_begin = true;
        state.wake_reader();
    }

    /// Whether [`Outlet::let_begin`] was called.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.lock().may_begin
    }

    /// Ready when the response may begin as a stream and there is something to stream.
    pub fn poll_begin(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.may_begin && !state.waiting.is_empty() {
            return Poll::Ready(());
        }
        keep(&mut state.reader, context);
        Poll::Pending
    }

    /// Whether anything waits to be read.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Waits until nobody reads the stream any more. One task at a time may wait.
    pub async fn deserted(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            if state.phase == Phase::Deserted {
                return Poll::Ready(());
            }
            keep(&mut state.watcher, context);
            Poll::Pending
        })
        .await;
    }

    /// Whether the client is gone, so that nothing put in here reaches it.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.lock().phase == Phase::Deserted
    }

    /// Gives the stream up: nobody reads it, or nobody will.
    pub fn desert(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Deserted {
            return;
        }
        state.phase = Phase::Deserted;
        state.waiting = VecDeque::new();
        state.waiting_bytes = 0;
        state.wake_reader();
        if let Some(watcher) = state.watcher.take() {
            watcher.wake();
        }
    }

    /// How many notifications never came to the client; they are counted once.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// The stream as it is sent. There is one reader; when it goes, the stream is deserted.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader::new(Arc::clone(self))
    }

    fn put(&self, kind: Kind, message: Bytes) -> bool {
        let mut state = self.lock();
        let placed = state.phase == Phase::Open && (kind == Kind::Answer || state.make_room(message.len()));
        if placed {
            state.push(kind, message);
            state.wake_reader();
        } else if kind == Kind::Notification {
            state.dropped += 1;
        }
        placed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, kind: Kind, message: Bytes) {
        if kind != Kind::Answer {
            self.waiting_bytes += message.len();
        }
        self.waiting.push_back(Event { kind, message });
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        if event.kind != Kind::Answer {
            self.waiting_bytes -= event.message.len();
        }
        Some(event)
    }

    /// Drops notifications, the oldest first, until one more event of this size has room.
    fn make_room(&mut self, bytes: usize) -> bool {
        while !self.has_room(bytes) {
            let oldest = self.waiting.iter().position(|event| event.kind == Kind::Notification);
            let Some(dropped) = oldest.and_then(|at| self.waiting.remove(at)) else { return false };
            self.waiting_bytes -= dropped.message.len();
            self.dropped += 1;
        }
        true
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < MAX_WAITING
            && (self.waiting_bytes == 0 || self.waiting_bytes.saturating_add(bytes) <= MAX_WAITING_BYTES)
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Remembers whom to wake, without cloning a waker that is there already.
fn keep(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

/// What a server says while it works goes to the client as it is. Its questions are not asked here: they need the
/// client's session, which the stream does not know.
impl Events for Outlet {
    fn notification(&self, _method: &str, message: Bytes) {
        self.notify(message);
    }
}

#[cfg(test)]
mod tests;
