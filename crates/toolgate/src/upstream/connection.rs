//! One live MCP session with an upstream, and the right to use it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
use crate::telemetry::{Metrics, SessionGuard};

/// How long a session that is given up waits for what is still running on it.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// A connection that nobody has used for this long is not trusted blindly.
const QUIET: Duration = Duration::from_secs(60);

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
    /// For tests, which cannot wait: by how much later it is than the clock says.
    #[cfg(test)]
    aged_ns: AtomicU64,
    in_use: AtomicUsize,
    unused: Notify,
    /// Told when other things are wanted of a modern server than before.
    pub(super) wishes_changed: Arc<Notify>,
    /// Held by whoever makes sure that the server is still there.
    pub(super) checking: tokio::sync::Mutex<()>,
    /// The server gave no sign of life when it was last asked for one.
    doubtful: AtomicBool,
    facts: OnceLock<Arc<ServerFacts>>,
    _lasts: SessionGuard,
    /// Given back when the session is given up.
    places: Mutex<Vec<Place>>,
}

impl Connection {
    pub(super) fn new(
        session: Session,
        ears: Arc<Ears>,
        number: u64,
        places: Vec<Place>,
        metrics: &Metrics,
    ) -> Arc<Self> {
        // A modern server is told with each request.
        let can_log = !session.is_modern()
            && Fields::read(session.server().capabilities.get()).is_ok_and(|all| all.get("logging").is_some());
        if !matches!(session.server().transport, Transport::Streamable) {
            ears.hear_all_on_one_stream();
        }
        let facts = session.server();
        let transport = if matches!(facts.transport, Transport::Stdio) { "pipe" } else { "tcp" };
        let lasts = metrics.client_session(facts.revision, transport);
        Arc::new(Self {
            session,
            _lasts: lasts,
            told: Told::nothing(can_log, ears.is_shared()),
            ears,
            number,
            opened: Instant::now(),
            last_used_ns: AtomicU64::new(0),
            #[cfg(test)]
            aged_ns: AtomicU64::new(0),
            in_use: AtomicUsize::new(0),
            unused: Notify::new(),
            wishes_changed: Arc::default(),
            checking: tokio::sync::Mutex::default(),
            doubtful: AtomicBool::new(false),
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
        let params = format!("{{\"level\":\"{}\"}}", level.name());
        let call = Call::with_timeout(timeout);
        let answer = self.session.request_with(method::LOGGING_SET_LEVEL, Some(&params), &call).await;
        if answer.is_err() {
            self.told.take_back(level, before);
        }
        answer.map(Some)
    }

    /// Asks the server for a sign of life; an error is one too.
    pub(super) async fn sign_of_life(&self, timeout: Duration) -> Result<(), Error> {
        let ask = if self.session.is_modern() { method::SERVER_DISCOVER } else { method::PING };
        self.session.request_with(ask, None, &Call::with_timeout(timeout)).await.map(drop)
    }

    /// Whether nothing was asked for so long that the connection may be dead without anybody knowing.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        #[cfg(test)]
        let now = now + Duration::from_nanos(self.aged_ns.load(Ordering::Relaxed));
        self.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= QUIET)
    }

    pub(super) fn touch(&self) {
        #[cfg(test)]
        self.aged_ns.store(0, Ordering::Relaxed);
        let lived = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_used_ns.store(lived, Ordering::Relaxed);
    }

    /// As if nobody had used it for `long`.
    #[cfg(test)]
    pub(super) fn age(&self, long: Duration) {
        self.aged_ns.fetch_add(u64::try_from(long.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is known to be dead, now that a request got no answer in time.
    pub(super) fn is_past_hope(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed) && self.ears.hears_all_on_one_stream()
    }

    /// The server has answered.
    pub(super) fn answered(&self) {
        if self.doubtful.load(Ordering::Relaxed) {
            self.doubtful.store(false, Ordering::Relaxed);
        }
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
        self.0.touch();
        if self.0.in_use.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.unused.notify_waiters();
        }
    }
}
