//! One live MCP session with an upstream, and the right to use it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use toolgate_client::{Answer, Call, Error, ServerFacts, Session, Transport};
use toolgate_mcp::edit::Fields;
use toolgate_mcp::method;

use super::ears::Ears;
use super::level::{LogLevel, Told};
use super::shared::Place;

/// How long a session that is given up waits for what is still running on it.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// One live session.
pub(super) struct Connection {
    pub(super) session: Session,
    /// Who hears what the server says here.
    pub(super) ears: Arc<Ears>,
    /// How much the server logs here.
    pub(super) told: Told,
    /// Tells it from an earlier or later one of the same lane.
    pub(super) number: u64,
    pub(super) opened: Instant,
    /// In nanoseconds after `opened`.
    last_used_ns: AtomicU64,
    in_use: AtomicUsize,
    unused: Notify,
    facts: OnceLock<Arc<ServerFacts>>,
    /// Given back when the session is given up.
    places: Mutex<Vec<Place>>,
}

impl Connection {
    pub(super) fn new(session: Session, ears: Arc<Ears>, number: u64, places: Vec<Place>) -> Arc<Self> {
        let can_log = Fields::read(session.server().capabilities.get()).is_ok_and(|all| all.get("logging").is_some());
        if !matches!(session.server().transport, Transport::Streamable) {
            ears.hear_all_on_one_stream();
        }
        Arc::new(Self {
            session,
            told: Told::nothing(can_log, ears.is_shared()),
            ears,
            number,
            opened: Instant::now(),
            last_used_ns: AtomicU64::new(0),
            in_use: AtomicUsize::new(0),
            unused: Notify::new(),
            facts: OnceLock::new(),
            places: Mutex::new(places),
        })
    }

    /// What the server said of itself, to be kept beyond the session.
    pub(super) fn facts(&self) -> Arc<ServerFacts> {
        Arc::clone(self.facts.get_or_init(|| Arc::new(self.session.server().clone())))
    }

    /// Has the server log as much as `level` says, unless it does already, or cannot.
    pub(super) async fn log_at(&self, level: LogLevel, timeout: Duration) -> Result<Option<Answer>, Error> {
        if !self.told.lacks(level) {
            return Ok(None);
        }
        let before = self.told.tell(level);
        let params = format!("{{\"level\":\"{}\"}}", level.as_str());
        let call = Call::with_timeout(timeout);
        let answer = self.session.request_with(method::LOGGING_SET_LEVEL, Some(&params), &call).await;
        if answer.is_err() {
            self.told.take_back(level, before);
        }
        answer.map(Some)
    }

    /// When it was last used; `None` while it is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.in_use.load(Ordering::Acquire) == 0;
        idle.then(|| self.opened + Duration::from_nanos(self.last_used_ns.load(Ordering::Relaxed)))
    }

    /// Makes room for another session. One that is still being closed does not count.
    pub(super) fn leave_place(&self) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Closes the session when what runs on it has ended, or after a while.
    pub(super) async fn close_when_unused(&self) {
        let unused = async {
            loop {
                let notified = self.unused.notified();
                if self.in_use.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(LAST_REQUESTS, unused).await.is_err() {
            tracing::debug!("a session with an upstream is closed while requests are still running on it");
        }
        self.session.close().await;
    }
}

/// The right to send one request; while it is held, the session counts as in use.
pub(super) struct Lease(Arc<Connection>);

impl Lease {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        connection.in_use.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(connection))
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let lived = u64::try_from(self.0.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.last_used_ns.store(lived, Ordering::Relaxed);
        if self.0.in_use.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.unused.notify_waiters();
        }
    }
}
