//! A client's requests that are running, so that it can cancel one by its id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use toolgate_mcp::jsonrpc::Id;

use super::super::outlet::Outlet;
use super::Live;

pub(super) struct Running {
    id: Id,
    stop: Arc<Stop>,
    /// Its response, if the client takes streams there.
    pub(super) outlet: Option<Arc<Outlet>>,
}

#[derive(Default)]
struct Stop {
    stopped: AtomicBool,
    waker: AtomicWaker,
}

/// A request that is running; it is over when this is dropped.
pub(in super::super) struct Run {
    live: Arc<Live>,
    stop: Arc<Stop>,
}

impl Live {
    /// A request of the client begins.
    pub(in super::super) fn begin(self: &Arc<Self>, id: &Id, outlet: Option<&Arc<Outlet>>) -> Run {
        let stop = Arc::new(Stop::default());
        let running = Running { id: id.clone(), stop: Arc::clone(&stop), outlet: outlet.cloned() };
        self.lock().running.push(running);
        Run { live: Arc::clone(self), stop }
    }

    /// The client has cancelled its request `id`; `false` when none of that id is running.
    pub(in super::super) fn cancel(&self, id: &Id) -> bool {
        let state = self.lock();
        let named = state.running.iter().filter(|running| running.id == *id);
        named.map(|running| running.stop.stop()).count() > 0
    }
}

impl Stop {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Run {
    /// Does the work; `None` when the client cancels it first.
    pub(in super::super) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            if self.stop.stopped.load(Ordering::Acquire) {
                return Poll::Ready(None);
            }
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            self.stop.waker.register(context.waker());
            // It may have been stopped before the waker was there.
            if self.stop.stopped.load(Ordering::Acquire) { Poll::Ready(None) } else { Poll::Pending }
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
