//! A client's requests that are running, so that it can cancel one by its id.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use serde_json::value::RawValue;
use tokio::time::{Instant, Sleep};
use toolgate_client::GivenUp;
use toolgate_mcp::jsonrpc::Id;

use super::super::outlet::Outlet;
use super::Live;

/// What a client may say with a cancellation.
const MAX_SAID_BYTES: usize = 16 * 1024;

pub(super) struct Running {
    id: Id,
    /// Another process could go on with it.
    is_resumable: bool,
    stop: Arc<Stop>,
    /// Its response, if the client takes streams there.
    pub(super) outlet: Option<Arc<Outlet>>,
}

#[derive(Default)]
struct Stop {
    stopped: AtomicBool,
    /// What the client said of it: the parameters of its `notifications/cancelled`.
    said: OnceLock<Box<RawValue>>,
    waker: AtomicWaker,
}

/// Why a request has no end of its own.
pub(in super::super) enum Stopped {
    /// The client has cancelled it.
    Cancelled,
    /// The server had this long for its turn.
    OutOfTime(Duration),
}

/// A request that is running; it is over when this is dropped.
pub(in super::super) struct Run {
    live: Arc<Live>,
    stop: Arc<Stop>,
    given_up: Arc<dyn GivenUp>,
}

impl Live {
    /// A request of the client begins.
    pub(in super::super) fn begin(self: &Arc<Self>, id: &Id, outlet: Option<&Arc<Outlet>>, is_resumable: bool) -> Run {
        let stop = Arc::new(Stop::default());
        let running = Running { id: id.clone(), is_resumable, stop: Arc::clone(&stop), outlet: outlet.cloned() };
        self.lock().running.push(running);
        let given_up: Arc<dyn GivenUp> = stop.clone();
        Run { live: Arc::clone(self), stop, given_up }
    }

    /// The request whose response is `outlet`, if it is the only one there, and another process could go on with it.
    pub(super) fn resumable(&self, outlet: &Arc<Outlet>) -> Option<Id> {
        let state = self.lock();
        let is_there = |running: &&Running| running.outlet.as_ref().is_some_and(|own| Arc::ptr_eq(own, outlet));
        let mut there = state.running.iter().filter(is_there);
        match (there.next(), there.next()) {
            (Some(running), None) if running.is_resumable => Some(running.id.clone()),
            _ => None,
        }
    }

    /// Whether the client has a question before it.
    fn is_asked(&self) -> bool {
        !self.lock().asked.is_empty()
    }

    /// The client has cancelled its request `id` with these parameters; `false` when none of that id is running.
    pub(in super::super) fn cancel(&self, id: &Id, said: Option<&RawValue>) -> bool {
        let state = self.lock();
        let named = state.running.iter().filter(|running| running.id == *id);
        named.map(|running| running.stop.stop(said)).count() > 0
    }
}

impl Stop {
    fn stop(&self, said: Option<&RawValue>) {
        // More than this is no reason, and would be sent to the server once more.
        if let Some(said) = said.filter(|said| said.get().len() <= MAX_SAID_BYTES) {
            // The first word counts.
            let _ = self.said.set(said.to_owned());
        }
        self.stopped.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl GivenUp for Stop {
    fn params(&self) -> Option<&str> {
        self.said.get().map(|said| said.get())
    }
}

impl Run {
    /// Knows what the client said when it cancelled the request.
    pub(in super::super) fn given_up(&self) -> &Arc<dyn GivenUp> {
        &self.given_up
    }

    /// Does the work, unless something ends it first: its client, or the time of the server's `turn`, which begins anew
    /// when it ends while the client has a question before it.
    pub(in super::super) async fn to_its_end<T>(
        &self,
        turn: Option<Duration>,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Stopped> {
        let mut timer = pin!(None::<Sleep>);
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            self.stop.waker.register(context.waker());
            // Only now, since it may have been stopped before the waker was there.
            if self.stop.stopped.load(Ordering::Acquire) {
                return Poll::Ready(Err(Stopped::Cancelled));
            }
            let Some(turn) = turn else { return Poll::Pending };
            if timer.is_none() {
                timer.set(Some(tokio::time::sleep(turn)));
            }
            while timer.as_mut().as_pin_mut().is_some_and(|timer| timer.poll(context).is_ready()) {
                if !self.live.is_asked() {
                    return Poll::Ready(Err(Stopped::OutOfTime(turn)));
                }
                timer.set(Some(tokio::time::sleep(turn)));
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        state.used = Instant::now();
        if let Some(at) = state.running.iter().rposition(|running| Arc::ptr_eq(&running.stop, &self.stop)) {
            state.running.remove(at);
        }
    }
}
