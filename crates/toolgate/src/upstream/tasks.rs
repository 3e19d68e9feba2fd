//! How the tasks of one client stand, told by a modern server: `subscriptions/listen` with `taskIds`.
//!
//! Other than changes of lists and resources ([`super::listens`]), this is asked for anew for each client: a task
//! concerns whoever began it and nobody else. What a task asks that this client cannot answer is left out of what it is
//! told.
//!
//! Source: the tasks extension (SEP-2663), Task Status Notifications.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::DropGuard;
use toolgate_client::{Call, Events, Listening, Question};
use toolgate_mcp::jsonrpc::{self, Message};
use toolgate_mcp::translate::subscriptions::Filter;

use super::client_side::Capabilities;
use super::connection::Lease;
use super::deadline::Deadline;
use super::error::UpstreamError;
use super::lane::Lane;
use super::pool::Pool;
use super::{Upstream, rounds};

/// The pauses before a subscription that ended is asked for again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// While it lives, the server is to tell of some tasks; also on another connection, when one was lost.
pub struct TaskWatch {
    _stop: DropGuard,
}

/// The subscription that runs now. The connection counts as in use meanwhile.
struct Running {
    lease: Lease,
    listening: Listening,
    /// The tasks that the server will tell of.
    taken: Vec<String>,
}

/// Hears of tasks for a client that can do this much.
struct Asked {
    hears: Arc<dyn Events>,
    capabilities: Arc<Capabilities>,
    pool: Weak<Pool>,
}

impl Events for Asked {
    fn notification(&self, method: &str, message: Bytes) {
        let (kept, is_less) = rounds::answerable(&message, &self.capabilities);
        if is_less && let Some(pool) = self.pool.upgrade() {
            pool.shared.metrics.dropped_frames(&pool.settings.name, "question_for_nobody");
        }
        if let Some(kept) = kept {
            self.hears.notification(method, kept);
        }
    }

    fn question(&self, question: Question) {
        self.hears.question(question);
    }
}

impl Upstream {
    /// Has `hears` told how the tasks stand that the server calls `ids`; gives those of which the server will tell.
    ///
    /// # Errors
    /// When the server does not say within `timeout`, or refuses. `None` when it will tell of none; one of a revision with
    /// `initialize` has no such tasks.
    pub async fn watch_tasks(
        self: &Arc<Self>,
        lane: Lane,
        ids: Vec<String>,
        hears: Arc<dyn Events>,
        timeout: Duration,
    ) -> Result<Option<(Vec<String>, TaskWatch)>, UpstreamError> {
        let filter = Filter { task_ids: ids, ..Filter::default() };
        let (capabilities, pool) = (Arc::clone(&lane.client.capabilities), Arc::downgrade(&self.pool));
        let hears: Arc<dyn Events> = Arc::new(Asked { hears, capabilities, pool });
        let Some(running) = self.watch_once(&lane, &filter, &hears, timeout).await? else { return Ok(None) };
        let (taken, stop) = (running.taken.clone(), self.pool.shared.stopping.child_token());
        let (upstream, stopped) = (Arc::clone(self), stop.clone());
        self.pool.shared.tasks.spawn(async move {
            let closing = upstream.pool.closing().clone();
            tokio::select! {
                () = upstream.keep_watching(lane, filter, hears, timeout, running) => {}
                () = closing.cancelled() => {}
                () = stopped.cancelled() => {}
            }
        });
        Ok(Some((taken, TaskWatch { _stop: stop.drop_guard() })))
    }

    async fn keep_watching(
        &self,
        lane: Lane,
        filter: Filter,
        hears: Arc<dyn Events>,
        timeout: Duration,
        running: Running,
    ) {
        let mut running = Some(running);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(Running { lease, listening, .. }) = running.take() {
                tokio::select! {
                    _ = listening.ended() => {}
                    () = lease.connection().session.closed() => {}
                }
            }
            sleep(pause).await;
            match self.watch_once(&lane, &filter, &hears, timeout).await {
                Ok(Some(again)) => {
                    running = Some(again);
                    pause = FIRST_PAUSE;
                }
                // A server that was restarted knows them no more.
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(server.name = self.settings.name, %error, "nothing is heard of tasks");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn watch_once(
        &self,
        lane: &Lane,
        filter: &Filter,
        hears: &Arc<dyn Events>,
        timeout: Duration,
    ) -> Result<Option<Running>, UpstreamError> {
        self.check_speaks_mcp()?;
        let deadline = Deadline::after(timeout);
        let entered = self.enter(deadline)?;
        let lease = self.pool.lease(lane, deadline).await?;
        drop(entered);
        let session = &lease.connection().session;
        if !session.is_modern() {
            return Ok(None);
        }
        let params = format!("{{\"notifications\":{}}}", filter.to_json());
        let mut call = Call::with_timeout(deadline.remaining());
        call.meta = Some(lane.client.capabilities.facts(None, false));
        let asked = session.subscribe_with(&params, Arc::clone(hears), &call).await;
        let listening = asked.map_err(|cause| UpstreamError::asking(&self.settings.name, cause, timeout))?;
        let taken = acknowledged(listening.acknowledged()).map(|told| filter.acknowledged_by(&told).task_ids);
        let taken = taken.unwrap_or_default();
        Ok((!taken.is_empty()).then_some(Running { lease, listening, taken }))
    }
}

fn acknowledged(message: &[u8]) -> Option<Filter> {
    match jsonrpc::parse(message) {
        Ok(Message::Notification(notification)) => Filter::read(notification.params).ok(),
        _ => None,
    }
}
