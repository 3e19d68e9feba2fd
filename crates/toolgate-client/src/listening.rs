//! What changes at a modern server, as a stream: `subscriptions/listen`.
//!
//! Source: MCP 2026-07-28, Subscriptions.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::DropGuard;

use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::options::Events;

pub(crate) const METHOD: &str = toolgate_mcp::method::SUBSCRIPTIONS_LISTEN;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// A running `subscriptions/listen`. Dropping it ends it, also at the server.
///
/// It is not opened again by itself: what happened between two of them has to be assumed.
pub struct Listening {
    acknowledged: Bytes,
    end: watch::Receiver<Option<Result<(), Error>>>,
    /// Ends the task that reads the stream.
    _running: DropGuard,
}

impl Listening {
    /// The server's first notification, whole: its `params.notifications` says what it will tell of.
    #[must_use]
    pub fn acknowledged(&self) -> &Bytes {
        &self.acknowledged
    }

    /// Waits until no more comes.
    ///
    /// # Errors
    /// When the server did not end it well: the stream broke, or the session was closed.
    pub async fn ended(&self) -> Result<(), Error> {
        end(self.end.clone()).await
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("ended", &self.end.borrow().is_some()).finish_non_exhaustive()
    }
}

async fn end(mut end: watch::Receiver<Option<Result<(), Error>>>) -> Result<(), Error> {
    let outcome = end.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
    // The sender is only dropped unsent when the runtime is shutting down.
    outcome.ok().flatten().unwrap_or_else(|| Err(Error::new("", Delivery::Unknown, Problem::Closed)))
}

/// Hears a subscription's notifications; the first of them is the acknowledgement.
pub(crate) struct Hearer {
    events: Arc<dyn Events>,
    /// Taken by the first notification.
    acknowledge: Mutex<Option<oneshot::Sender<Bytes>>>,
}

impl Events for Hearer {
    fn notification(&self, method: &str, message: Bytes) {
        if method == ACKNOWLEDGED {
            let sender = self.acknowledge.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Whoever stopped waiting meanwhile ends the subscription with that.
            if let Some(sender) = sender {
                let _ = sender.send(message);
            }
            return;
        }
        self.events.notification(method, message);
    }
}

/// Runs `work`, which sends the request and reads until its end, on a task of the session; waits until the server has
/// acknowledged it, and has no timeout of its own.
pub(crate) async fn start<W: Future<Output = Result<(), Error>> + Send + 'static>(
    context: &Arc<Context>,
    events: Arc<dyn Events>,
    work: impl FnOnce(Arc<Hearer>) -> W,
) -> Result<Listening, Error> {
    let (acknowledge, acknowledged) = oneshot::channel();
    let work = work(Arc::new(Hearer { events, acknowledge: Mutex::new(Some(acknowledge)) }));
    let stop = context.ended.child_token();
    let (ending, ended) = watch::channel(None);
    let server = context.server.clone();
    let stopped = stop.clone();
    context.spawn(async move {
        let outcome = tokio::select! {
            () = stopped.cancelled() => Err(Error::new(&server, Delivery::Unknown, Problem::Closed)),
            outcome = work => outcome,
        };
        // Nobody may be left to hear it.
        let _ = ending.send(Some(outcome));
    });
    let running = stop.drop_guard();
    match acknowledged.await {
        Ok(acknowledged) => Ok(Listening { acknowledged, end: ended, _running: running }),
        Err(_) => {
            let reason = "it ended without having been acknowledged".to_owned();
            let unacknowledged = || Error::new(&context.server, Delivery::Answered, Problem::StreamEnded { reason });
            Err(end(ended).await.err().unwrap_or_else(unacknowledged))
        }
    }
}
