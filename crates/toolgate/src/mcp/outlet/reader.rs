//! The body of a response that is an event stream.

use std::any::Any;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep};
use toolgate_mcp::sse::{self, KEEP_ALIVE};

use super::queue::Next;
use super::{EventIds, Outlet, Phase, keep};

/// How often a quiet stream gets a keep-alive comment; below the minute after which proxies like to hang up.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Events from this size on are sent in pieces, and not copied for the sake of the few bytes around them.
const LARGE_BYTES: usize = 8 * 1024;

/// The events of an [`Outlet`] as bytes, with keep-alives between them.
pub struct Reader {
    outlet: Arc<Outlet>,
    /// Tells this reader from others of the same stream.
    number: u64,
    /// Comes before anything else.
    ready: VecDeque<Bytes>,
    /// Runs while nothing comes.
    quiet: Option<Pin<Box<Sleep>>>,
    held: Option<Box<dyn Any + Send + Sync>>,
}

impl Reader {
    pub(super) fn new(outlet: &Arc<Outlet>, after: Option<u64>) -> Self {
        let mut state = outlet.lock();
        if let Some(after) = after {
            state.queue.rewind(after);
        }
        state.readers += 1;
        state.left = None;
        // The reader before this one is told that it has ended.
        state.wake_reader();
        let number = state.readers;
        drop(state);
        Self { outlet: Arc::clone(outlet), number, ready: VecDeque::new(), quiet: None, held: None }
    }

    /// The same stream with an event before all others.
    #[must_use]
    pub fn after(mut self, event: Bytes) -> Self {
        self.ready.push_back(event);
        self
    }

    /// The same stream; `held` is dropped with it.
    #[must_use]
    pub fn holding(mut self, held: impl Any + Send + Sync) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.outlet.lock();
        if state.readers != self.number {
            return Poll::Ready(None);
        }
        let ids = state.ids.clone();
        if let Some(next) = state.queue.next(ids.is_some()) {
            drop(state);
            return Poll::Ready(Some(self.encode(next, ids.as_deref())));
        }
        if matches!(state.phase, Phase::Ended | Phase::Deserted) {
            return Poll::Ready(None);
        }
        keep(&mut state.reader, context);
        Poll::Pending
    }

    fn encode(&mut self, next: Next, ids: Option<&EventIds>) -> Bytes {
        let Next { number, message, behind } = next;
        let id = ids.map(|ids| ids(number, behind.as_deref()));
        if message.is_empty() {
            return Bytes::from(format!("id: {}\ndata: \n\n", id.unwrap_or_default()));
        }
        // A message with line breaks takes another form, and has to be copied.
        if message.len() < LARGE_BYTES || memchr::memchr2(b'\n', b'\r', &message).is_some() {
            return Bytes::from(sse::encode(Some("message"), id.as_deref(), &message));
        }
        self.ready.extend([message, Bytes::from_static(b"\n\n")]);
        match id {
            Some(id) => Bytes::from(format!("event: message\nid: {id}\ndata: ")),
            None => Bytes::from_static(b"event: message\ndata: "),
        }
    }

    fn poll_keep_alive(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(tokio::time::sleep(KEEP_ALIVE_EVERY)));
        if quiet.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        quiet.as_mut().reset(Instant::now() + KEEP_ALIVE_EVERY);
        Poll::Ready(Bytes::from_static(KEEP_ALIVE))
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(piece) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        match this.poll_event(context) {
            Poll::Ready(event) => {
                this.quiet = None;
                Poll::Ready(event.map(Ok))
            }
            Poll::Pending => this.poll_keep_alive(context).map(|comment| Some(Ok(comment))),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.outlet.lock();
        if state.readers != self.number {
            return;
        }
        state.left = Some(Instant::now());
        if state.ids.is_none() {
            state.desert();
        }
    }
}
