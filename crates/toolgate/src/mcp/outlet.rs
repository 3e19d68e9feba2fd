//! One stream of events to a client: what waits for it, within bounds, and who reads it.
//!
//! Whoever has something for the client puts it in and never waits; the response's body takes it out as the client
//! reads. When a slow reader lets too much wait, the oldest notifications make room and are counted. Questions and
//! answers are never dropped: a question that finds no room is refused to the one who asks, an answer always has room.
//!
//! A stream whose events have ids can be left and taken up again: the last events that were read are kept for that.
//! One without ids ends with its reader.

mod behind;
mod queue;
mod reader;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;
use toolgate_client::Events;

use behind::Behind;
use queue::{Kind, Queue};

pub use behind::Hold;
pub use reader::Reader;

/// Answers that may be promised or wait at once, on a stream that carries many.
const MAX_ANSWERS: usize = 64;

/// Makes the id of a stream's event out of its number, and of what is behind the stream there.
pub type EventIds = Box<dyn Fn(u64, Option<&[u8]>) -> String + Send + Sync>;

/// What is behind a place in a stream: where the streams are of which it is made. Only ids know how to read it.
pub type Place = Arc<[u8]>;

/// One stream of events to a client. Messages are JSON-RPC, whole, as they came.
#[derive(Default)]
pub struct Outlet {
    /// Held for a few lines, never while anything is sent.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    ids: Option<Arc<EventIds>>,
    behind: Behind,
    /// See [`Outlet::tell_places`].
    tells_places: bool,
    /// A response may begin as a stream before the answer is there.
    may_begin: bool,
    /// Answers that somebody is still at.
    promised: usize,
    phase: Phase,
    /// Tells a reader from the one that took its place.
    readers: u64,
    /// When the last reader left, while nobody reads.
    left: Option<Instant>,
    /// Wakes whoever reads, or waits for something to read.
    reader: Option<Waker>,
    /// Wakes whoever waits for the reader's leave.
    watcher: Option<Waker>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Only the answers that were promised are still taken.
    Closing,
    /// Nothing more is taken; what waits is still given out.
    Ended,
    /// Nobody reads any more.
    Deserted,
}

/// An answer that will be put in; until then the stream does not end. Dropped, it is taken back.
pub struct Promise(Arc<Outlet>);

impl Outlet {
    /// A stream that nothing is in yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Gives the events ids from now on, so that the stream can be left and taken up again.
    pub fn give_ids(&self, ids: EventIds) {
        self.lock().ids = Some(Arc::new(ids));
    }

    /// Puts a notification in; `false` when it, for want of room or of a reader, never comes to the client.
    pub fn notify(&self, message: Bytes) -> bool {
        self.put(Kind::Notification, message)
    }

    /// [`Outlet::notify`], unless the same is waiting already.
    pub fn notify_once(&self, message: Bytes) {
        let mut state = self.lock();
        if state.phase == Phase::Open && !state.queue.has_waiting(&message) {
            state.put(Kind::Notification, message);
        }
    }

    /// Puts a server's question in, which must carry the id that the client is to answer to; `None` when it is refused.
    /// What is given lives for as long as the question is before the client.
    #[must_use]
    pub fn ask(self: &Arc<Self>, message: Bytes) -> Option<Hold> {
        let mut state = self.lock();
        let placed = state.phase == Phase::Open && state.put(Kind::Question, message);
        placed.then(|| self.hold(&mut state.behind))
    }

    /// Puts in what always has room, after which more may come.
    pub fn answer(&self, message: Bytes) -> bool {
        self.put(Kind::Answer, message)
    }

    /// Promises an answer, on a stream that carries many; `None` when too many wait to be read, or the stream ends.
    #[must_use]
    pub fn promise(self: &Arc<Self>) -> Option<Promise> {
        let mut state = self.lock();
        if state.phase != Phase::Open || state.promised + state.queue.answers_waiting() >= MAX_ANSWERS {
            return None;
        }
        state.promised += 1;
        Some(Promise(Arc::clone(self)))
    }

    /// Ends the stream when what waits has been read; `last` is put in before that.
    pub fn finish(&self, last: Option<Bytes>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open | Phase::Closing) {
            if let Some(message) = last {
                // Nothing comes after it that somebody else could go on with.
                state.queue.push(Kind::Answer, message, None);
            }
            state.end();
        }
    }

    /// Takes nothing more but the answers that were promised, and ends the stream after the last of them.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
            state.end_if_done();
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
        if state.may_begin && state.queue.is_waiting() {
            return Poll::Ready(());
        }
        keep(&mut state.reader, context);
        Poll::Pending
    }

    /// Whether anything waits to be read.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.lock().queue.is_waiting()
    }

    /// Gives the stream up if nothing waits to be read; `false` when something does.
    pub fn desert_if_empty(&self) -> bool {
        let mut state = self.lock();
        let is_empty = !state.queue.is_waiting();
        if is_empty {
            state.desert();
        }
        is_empty
    }

    /// Waits until nobody reads the stream any more, nor will. One task at a time may wait.
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

    /// Whether more may be put in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Since when nobody has read the stream; `None` while somebody does.
    #[must_use]
    pub fn left_since(&self) -> Option<Instant> {
        self.lock().left
    }

    /// The number of the event that was last read; 0 before the first.
    #[must_use]
    pub fn last_read(&self) -> u64 {
        self.lock().queue.last_read()
    }

    /// Bytes of messages that are held here.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.lock().queue.bytes()
    }

    /// Gives the stream up: nobody reads it, or nobody will.
    pub fn desert(&self) {
        self.lock().desert();
    }

    /// How many notifications never came to the client; they are counted once.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        self.lock().queue.take_dropped()
    }

    /// The stream as it is sent, from the first event that was not read yet. Whoever read it before reads no more.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader::new(self, None)
    }

    /// [`Outlet::reader`], but from the event after number `after`, as far as that is still there.
    #[must_use]
    pub fn reader_after(self: &Arc<Self>, after: u64) -> Reader {
        Reader::new(self, Some(after))
    }

    fn put(&self, kind: Kind, message: Bytes) -> bool {
        let mut state = self.lock();
        state.phase == Phase::Open && state.put(kind, message)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, kind: Kind, message: Bytes) -> bool {
        let behind = self.behind.of_next(kind == Kind::Question);
        let placed = self.queue.put(kind, message, behind);
        self.wake_reader();
        placed
    }

    fn end_if_done(&mut self) {
        if self.phase == Phase::Closing && self.promised == 0 {
            self.end();
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.wake_reader();
    }

    fn desert(&mut self) {
        if self.phase == Phase::Deserted {
            return;
        }
        self.phase = Phase::Deserted;
        self.queue.clear();
        self.wake_reader();
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
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

impl Promise {
    /// Puts the answer in.
    pub fn keep(self, message: Bytes) {
        let mut state = self.0.lock();
        if matches!(state.phase, Phase::Open | Phase::Closing) {
            state.queue.push(Kind::Answer, message, None);
            state.wake_reader();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.promised -= 1;
        state.end_if_done();
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
