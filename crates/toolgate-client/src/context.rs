//! What all parts of one session share: who hears of events, the caps, the tasks, and whether it still lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::{Events, Limits, Options};

/// Replies to a server's own requests that may be on their way at once; a server that asks for more gets none.
const REPLIES: usize = 16;

pub(crate) struct Context {
    /// For log lines and errors.
    pub(crate) server: Box<str>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) limits: Limits,
    /// Every task of the session is spawned here.
    tasks: TaskTracker,
    /// Dropping a future may have to spawn, and may happen outside the runtime.
    runtime: Handle,
    /// Cancelled when the session is closed or lost.
    pub(crate) ended: CancellationToken,
    replies: Arc<Semaphore>,
    strays: AtomicU64,
}

impl Context {
    /// Must be called inside a runtime.
    pub(crate) fn new(server: &str, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            server: server.into(),
            events: Arc::clone(&options.events),
            limits: options.limits,
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            ended: CancellationToken::new(),
            replies: Arc::new(Semaphore::new(REPLIES)),
            strays: AtomicU64::new(0),
        })
    }

    /// Runs `task` as one of the session's. It must end by itself, or soon after `ended`.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Waits until all tasks of the session have ended.
    pub(crate) async fn tasks_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A place among the replies on their way; `None` when the server asks faster than it takes answers.
    pub(crate) fn reply_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.replies).try_acquire_owned().ok()
    }

    pub(crate) fn notified(&self, method: &str, message: Bytes) {
        self.events.notification(method, message);
    }

    /// Counts something that came and that nobody waits for.
    pub(crate) fn stray(&self, what: &str) {
        let count = self.strays.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(server = %self.server, count, "dropped {what}");
    }
}
