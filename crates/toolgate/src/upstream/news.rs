//! That a server's lists have changed, told to whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolgate_mcp::method;

/// News that a listener may be behind; one that is further behind is told that it missed some.
const KEPT: usize = 1024;

/// Equal news within this time are told once more at its end, however many they are.
const QUIET: Duration = Duration::from_millis(100);

/// A list of a server has changed, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The server's configured name.
    pub server: Arc<str>,
    /// Which of its lists.
    pub what: Changed,
}

/// The lists whose changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list` and `resources/templates/list`
    Resources,
}

impl Changed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// The notification that tells of it.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => method::TOOLS_LIST_CHANGED,
            Self::Prompts => method::PROMPTS_LIST_CHANGED,
            Self::Resources => method::RESOURCES_LIST_CHANGED,
        }
    }

    /// What the notification `method` tells of.
    #[must_use]
    pub fn told_by(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.method() == method)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Where the news of all servers go out.
pub(super) fn channel() -> broadcast::Sender<News> {
    broadcast::Sender::new(KEPT)
}

/// The news of one server, so that one that changes its lists all the time is not told of all the time.
pub(super) struct Desk {
    server: Arc<str>,
    out: broadcast::Sender<News>,
    /// What has not been told yet, and whether somebody is at it.
    pending: Arc<AtomicU8>,
}

/// In `pending`: a task is running that tells what comes.
const TELLING: u8 = 1 << 7;

impl Desk {
    pub(super) fn new(server: &str, out: broadcast::Sender<News>) -> Self {
        Self { server: server.into(), out, pending: Arc::default() }
    }

    /// Tells of `what`: at once if it has been quiet, else soon.
    pub(super) fn changed(&self, what: &[Changed], tasks: &TaskTracker, stopping: &CancellationToken) {
        let bits = what.iter().fold(TELLING, |bits, what| bits | what.bit());
        if self.pending.fetch_or(bits, Ordering::AcqRel) & TELLING != 0 {
            return;
        }
        let (server, out, pending) = (Arc::clone(&self.server), self.out.clone(), Arc::clone(&self.pending));
        let stopping = stopping.clone();
        tasks.spawn(async move {
            loop {
                let bits = pending.fetch_and(TELLING, Ordering::AcqRel);
                for what in Changed::ALL.into_iter().filter(|what| bits & what.bit() != 0) {
                    // Nobody may be listening.
                    let _ = out.send(News { server: Arc::clone(&server), what });
                }
                tokio::select! {
                    () = tokio::time::sleep(QUIET) => {}
                    () = stopping.cancelled() => return,
                }
                if pending.compare_exchange(TELLING, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::{Changed, Desk, channel};

    #[tokio::test]
    async fn many_changes_are_told_at_once_and_once_more() {
        let out = channel();
        let mut heard = out.subscribe();
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let desk = Desk::new("up", out.clone());
        for _ in 0..3 {
            desk.changed(&[Changed::Tools], &tasks, &stopping);
        }
        assert_eq!(heard.recv().await.unwrap().what, Changed::Tools);
        for _ in 0..50 {
            desk.changed(&[Changed::Tools], &tasks, &stopping);
        }
        desk.changed(&[Changed::Resources], &tasks, &stopping);
        assert_eq!(heard.recv().await.unwrap().what, Changed::Tools);
        assert_eq!(heard.recv().await.unwrap().what, Changed::Resources);
        tasks.close();
        tasks.wait().await;
        assert!(heard.is_empty());
        desk.changed(&[Changed::Prompts], &tasks, &stopping);
        assert_eq!(heard.recv().await.unwrap().what, Changed::Prompts);
    }
}
