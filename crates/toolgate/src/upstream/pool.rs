//! The connections of one server: at most one per lane, opened when first needed, healed when lost.
//!
//! * Whoever needs a connection that is not there waits for one attempt that all of them share, and all get its
//!   error. The attempt is a task of its own, so a caller who goes away does not end it for the others.
//! * A session is lost when the server says so (404), when its stream ends or when the child is gone. Only its lane
//!   opens a new one; requests that still run on the old one are let finish.
//! * A child that dies is started again after a pause that grows; see [`super::backoff`].
//! * A session that nobody uses is closed after a while, or at once when another needs its place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture, join_all};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolgate_client::{Events, HttpTarget, Limits, Options, Session, StdioTarget, Target};

use super::backoff::Backoff;
use super::connection::{Connection, Lease};
use super::deadline::Deadline;
use super::error::{UpstreamError, Wait};
use super::lane::{Key, Lane, Outfit, SessionKey, Wear};
use super::shared::{Place, Shared, close_longest_idle};
use super::status::{Stage, State, Watch};
use crate::config::settings::{HttpKind, ServerSettings, Transport};

/// Children of one server at once.
const MOST_CHILDREN: usize = 128;
/// A pause this short is waited out; a longer one is an error at once.
const LONGEST_PAUSE_WAITED_OUT: Duration = Duration::from_millis(250);
/// How long closing sessions may take in all; the client gives a child less than that.
const CLOSING: Duration = Duration::from_secs(15);
const STDERR_LINES: usize = 64;

/// The connections of one server.
pub(super) struct Pool {
    pub(super) settings: Arc<ServerSettings>,
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    /// Requests that are running, from their first wait to their answer.
    pub(super) requests: TaskTracker,
    /// Guards the connections; held for a few lines, never while another pool is locked.
    slots: Mutex<Slots>,
    numbers: AtomicU64,
    lists_revision: AtomicU64,
    /// Which transport was found, where the settings leave it open.
    found: Mutex<Option<toolgate_client::HttpKind>>,
    /// SHA-256 over what the server last said of itself.
    identity: Mutex<Option<[u8; 32]>>,
    children: Arc<AtomicUsize>,
    closing: CancellationToken,
}

#[derive(Default)]
struct Slots {
    closed: bool,
    by_key: BTreeMap<Key, Slot>,
}

#[derive(Default)]
struct Slot {
    state: SlotState,
    backoff: Backoff,
    /// A connection was lost, so the next one may be to a server with other tools.
    lost_one: bool,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Empty,
    Connecting {
        number: u64,
        flight: Flight,
    },
    Ready(Arc<Connection>),
}

/// One attempt to connect, for which any number of callers wait.
type Flight = SharedFuture<BoxFuture<'static, Result<Arc<Connection>, UpstreamError>>>;

/// What a caller who wants a connection does next.
enum Step {
    Use(Lease),
    WaitFor(Flight),
    Pause(Duration),
    Bury(Arc<Connection>),
}

/// A connection that nobody is using.
pub(super) struct Idle {
    key: Key,
    number: u64,
    pub(super) last_used: Instant,
}

impl Pool {
    pub(super) fn new(settings: Arc<ServerSettings>, shared: &Arc<Shared>) -> Arc<Self> {
        let pool = Arc::new(Self {
            settings,
            shared: Arc::clone(shared),
            watch: Watch::new(SystemTime::now()),
            requests: TaskTracker::new(),
            slots: Mutex::default(),
            numbers: AtomicU64::new(0),
            lists_revision: AtomicU64::new(0),
            found: Mutex::default(),
            identity: Mutex::default(),
            children: Arc::default(),
            closing: CancellationToken::new(),
        });
        shared.register(&pool);
        pool
    }

    pub(super) fn lists_revision(&self) -> u64 {
        self.lists_revision.load(Ordering::Acquire)
    }

    /// The connection of `lane`, opened if it is not there.
    pub(super) async fn lease(self: &Arc<Self>, lane: &Lane, deadline: Deadline) -> Result<Lease, UpstreamError> {
        let name = &self.settings.name;
        loop {
            match self.step(lane)? {
                Step::Use(lease) => return Ok(lease),
                Step::WaitFor(flight) => {
                    let connection = deadline.wait(name, Wait::Connection, flight).await??;
                    return Ok(Lease::new(&connection));
                }
                Step::Pause(pause) => deadline.wait(name, Wait::Connection, tokio::time::sleep(pause)).await?,
                Step::Bury(connection) => {
                    let cause = deadline.wait(name, Wait::Connection, cause_of_death(&connection.session)).await?;
                    self.lost(&lane.key, &connection, cause.as_ref(), Stage::Idle);
                }
            }
        }
    }

    fn step(self: &Arc<Self>, lane: &Lane) -> Result<Step, UpstreamError> {
        if let Some(step) = self.look(&mut self.slots(), &lane.key)? {
            return Ok(step);
        }
        // Finding a place may lock this pool and others to make room.
        let places = self.places()?;
        let mut slots = self.slots();
        match self.look(&mut slots, &lane.key)? {
            Some(somebody_was_faster) => Ok(somebody_was_faster),
            None => Ok(Step::WaitFor(self.launch(&mut slots, lane, places))),
        }
    }

    /// What is there for `key`; `None` when a connection has to be opened.
    fn look(&self, slots: &mut Slots, key: &Key) -> Result<Option<Step>, UpstreamError> {
        if slots.closed {
            return Err(self.closed());
        }
        let Some(slot) = slots.by_key.get(key) else { return Ok(None) };
        match &slot.state {
            SlotState::Ready(connection) if connection.session.is_closed() => {
                Ok(Some(Step::Bury(Arc::clone(connection))))
            }
            SlotState::Ready(connection) => Ok(Some(Step::Use(Lease::new(connection)))),
            SlotState::Connecting { flight, .. } => Ok(Some(Step::WaitFor(flight.clone()))),
            SlotState::Empty => match slot.backoff.pause(Instant::now()) {
                None => Ok(None),
                Some((pause, _)) if pause <= LONGEST_PAUSE_WAITED_OUT => Ok(Some(Step::Pause(pause))),
                Some((pause, mut why)) => {
                    if let UpstreamError::Unavailable { retry_in, .. } = &mut why {
                        *retry_in = Some(pause);
                    }
                    Err(why)
                }
            },
        }
    }

    fn places(self: &Arc<Self>) -> Result<Vec<Place>, UpstreamError> {
        let busy = |limit: String| UpstreamError::Busy { server: self.settings.name.clone(), limit };
        let mut places = Vec::with_capacity(2);
        if matches!(self.settings.transport, Transport::Stdio(_)) {
            let child = Place::take(&self.children, MOST_CHILDREN).or_else(|| {
                close_longest_idle(std::slice::from_ref(self), 1);
                Place::take(&self.children, MOST_CHILDREN)
            });
            places.push(child.ok_or_else(|| busy(format!("all of its {MOST_CHILDREN} child processes are in use")))?);
        }
        let session = self.shared.place();
        places.push(session.ok_or_else(|| busy("all upstream sessions of the gateway are in use".to_owned()))?);
        Ok(places)
    }

    fn launch(self: &Arc<Self>, slots: &mut Slots, lane: &Lane, places: Vec<Place>) -> Flight {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        let closed = self.closed();
        let flight = told.map(move |told| told.unwrap_or(Err(closed))).boxed().shared();
        let slot = slots.by_key.entry(lane.key.clone()).or_default();
        slot.state = SlotState::Connecting { number, flight: flight.clone() };
        self.shared.keep_swept();
        let (pool, key, outfit) = (Arc::clone(self), lane.key.clone(), Arc::clone(&lane.outfit));
        self.shared.tasks.spawn(async move {
            let opened = tokio::select! {
                () = pool.closing.cancelled() => Err(pool.closed()),
                opened = pool.connect(&outfit) => opened,
            };
            let landed = pool.land(&key, number, opened, places);
            // Nobody waits any more when all callers' deadlines have passed; the connection serves the next one.
            let _ = tell.send(landed);
        });
        flight
    }

    async fn connect(self: &Arc<Self>, outfit: &Outfit) -> Result<Session, UpstreamError> {
        let (limit, message_bytes) = {
            let current = self.shared.current();
            (self.settings.timeout.unwrap_or(current.timeouts.call), current.limits.message_bytes)
        };
        let failed = |cause| UpstreamError::connecting(&self.settings.name, cause, limit);
        let target = self.target(outfit).map_err(failed)?;
        let options = Options {
            client_name: "toolgate".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            timeout: limit,
            connect_timeout: limit,
            limits: Limits { message_bytes, stderr_lines: STDERR_LINES },
            events: Arc::new(ListChanges(Arc::downgrade(self))),
            ..Options::default()
        };
        match Session::connect(target, options).await {
            Ok(session) => {
                *lock(&self.found) = match session.server().transport {
                    toolgate_client::Transport::Streamable => Some(toolgate_client::HttpKind::Streamable),
                    toolgate_client::Transport::Sse => Some(toolgate_client::HttpKind::Sse),
                    toolgate_client::Transport::Stdio => None,
                };
                Ok(session)
            }
            Err(cause) => {
                // Perhaps the server now speaks the other transport.
                *lock(&self.found) = None;
                Err(failed(cause))
            }
        }
    }

    fn target(&self, outfit: &Outfit) -> Result<Target, toolgate_client::Error> {
        match (&self.settings.transport, &outfit.wear) {
            (Transport::Http { url, kind }, Wear::Headers(headers)) => Ok(Target::Http(HttpTarget {
                url: url.clone(),
                headers: headers.clone(),
                kind: match kind {
                    HttpKind::Streamable => toolgate_client::HttpKind::Streamable,
                    HttpKind::Sse => toolgate_client::HttpKind::Sse,
                    HttpKind::Detect => lock(&self.found).unwrap_or(toolgate_client::HttpKind::Detect),
                },
                client: self.shared.http_client(&self.settings.tls)?,
            })),
            (Transport::Stdio(command), Wear::Environment(environment)) => Ok(Target::Stdio(StdioTarget {
                command: command.command.clone(),
                args: command.args.clone(),
                env: environment.clone(),
                cwd: None,
            })),
            _ => unreachable!("a lane wears what its server's transport wants, and nobody connects without"),
        }
    }

    /// Puts what came of an attempt into its slot, unless the slot was cleared in the meantime.
    fn land(
        self: &Arc<Self>,
        key: &Key,
        number: u64,
        opened: Result<Session, UpstreamError>,
        places: Vec<Place>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let opened = opened.map(|session| Connection::new(session, number, places));
        let mut slots = self.slots();
        let slot = slots.by_key.get_mut(key);
        let slot = slot.filter(|slot| matches!(slot.state, SlotState::Connecting { number: n, .. } if n == number));
        let Some(slot) = slot else {
            drop(slots);
            if let Ok(connection) = opened {
                self.give_up(connection);
            }
            return Err(self.closed());
        };
        match opened {
            Ok(connection) => {
                slot.state = SlotState::Ready(Arc::clone(&connection));
                let after_loss = std::mem::take(&mut slot.lost_one);
                drop(slots);
                self.note_connected(&connection, after_loss);
                self.watch_child(key, &connection);
                Ok(connection)
            }
            Err(why) => {
                slot.state = SlotState::Empty;
                if matches!(self.settings.transport, Transport::Stdio(_)) {
                    slot.backoff.failed(Duration::ZERO, why.clone(), Instant::now());
                } else {
                    slots.by_key.remove(key);
                }
                drop(slots);
                self.note_failure(&why, Stage::Connect);
                Err(why)
            }
        }
    }

    fn note_connected(&self, connection: &Connection, after_loss: bool) {
        let facts = connection.session.server();
        let told = format!("{:?} {:?} {:?}", facts.server_info, facts.capabilities, facts.instructions);
        let mut identity = [0; 32];
        identity.copy_from_slice(digest(&SHA256, told.as_bytes()).as_ref());
        let before = lock(&self.identity).replace(identity);
        if after_loss || before.is_some_and(|before| before != identity) {
            self.lists_revision.fetch_add(1, Ordering::AcqRel);
        }
        self.note_up();
    }

    pub(super) fn note_up(&self) {
        if self.watch.is(State::Up) {
            self.shared.metrics.upstream_up(&self.settings.name, true);
            tracing::info!(server.name = self.settings.name, "server `{}` is up", self.settings.name);
        }
    }

    /// A failure that says something about the server as a whole takes it down; others are only remembered.
    pub(super) fn note_failure(&self, why: &UpstreamError, stage: Stage) {
        let message = why.to_string();
        if why.outcome_label() == "unreachable" && self.watch.is(State::Down) {
            self.shared.metrics.upstream_up(&self.settings.name, false);
            tracing::warn!(server.name = self.settings.name, "server `{}` is down: {message}", self.settings.name);
        }
        self.watch.failed(message, stage);
    }

    /// Notices when a child dies while nobody asks it anything.
    fn watch_child(self: &Arc<Self>, key: &Key, connection: &Arc<Connection>) {
        if !matches!(self.settings.transport, Transport::Stdio(_)) {
            return;
        }
        let (pool, key, connection) = (Arc::downgrade(self), key.clone(), Arc::downgrade(connection));
        let (closing, stopping) = (self.closing.clone(), self.shared.stopping.clone());
        let Some(session) = connection.upgrade().map(|connection| connection.session.clone()) else { return };
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = session.closed() => {}
                () = closing.cancelled() => return,
                () = stopping.cancelled() => return,
            }
            let cause = cause_of_death(&session).await;
            if let (Some(pool), Some(connection)) = (pool.upgrade(), connection.upgrade()) {
                pool.lost(&key, &connection, cause.as_ref(), Stage::Idle);
            }
        });
    }

    /// Forgets a connection whose session is gone; does nothing when that has been done already.
    pub(super) fn lost(
        self: &Arc<Self>,
        key: &Key,
        connection: &Arc<Connection>,
        cause: Option<&toolgate_client::Error>,
        stage: Stage,
    ) {
        let is_child = matches!(self.settings.transport, Transport::Stdio(_));
        let why = || match cause {
            Some(cause) => {
                UpstreamError::Unavailable { server: self.settings.name.clone(), cause: cause.clone(), retry_in: None }
            }
            None => self.closed(),
        };
        {
            let mut slots = self.slots();
            let slot = slots.by_key.get_mut(key).filter(|slot| slot.holds(connection.number));
            let Some(slot) = slot else { return };
            slot.state = SlotState::Empty;
            slot.lost_one = true;
            if is_child {
                slot.backoff.failed(connection.opened.elapsed(), why(), Instant::now());
            }
        }
        if is_child {
            self.note_failure(&why(), stage);
        }
        self.give_up(Arc::clone(connection));
    }

    fn give_up(&self, connection: Arc<Connection>) {
        connection.leave_place();
        self.shared.tasks.spawn(async move { connection.close_when_unused().await });
    }

    /// The connections that nobody is using.
    pub(super) fn idle(&self) -> Vec<Idle> {
        let slots = self.slots();
        slots
            .by_key
            .iter()
            .filter_map(|(key, slot)| {
                let SlotState::Ready(connection) = &slot.state else { return None };
                Some(Idle { key: key.clone(), number: connection.number, last_used: connection.idle_since()? })
            })
            .collect()
    }

    pub(super) fn close_if_idle(&self, idle: &Idle) {
        let mut slots = self.slots();
        let Some(slot) = slots.by_key.get(&idle.key).filter(|slot| slot.holds(idle.number)) else { return };
        let SlotState::Ready(connection) = &slot.state else { return };
        // Somebody may have taken it up since `idle` was made.
        if connection.idle_since().is_some() {
            let connection = Arc::clone(connection);
            slots.by_key.remove(&idle.key);
            drop(slots);
            self.give_up(connection);
            self.note_emptied();
        }
    }

    /// Closes what has been idle for `idle_for`, and forgets slots that hold nothing any more.
    pub(super) fn sweep(&self, now: Instant, idle_for: Duration) {
        for idle in self.idle() {
            if now.saturating_duration_since(idle.last_used) >= idle_for {
                self.close_if_idle(&idle);
            }
        }
        self.slots().by_key.retain(|_, slot| {
            let empty = matches!(slot.state, SlotState::Empty);
            !(empty && slot.backoff.is_over(now))
        });
    }

    fn note_emptied(&self) {
        if self.slots().by_key.is_empty() && self.watch.is(State::Idle) {
            tracing::debug!(server.name = self.settings.name, "the last session was closed for want of use");
        }
    }

    /// Closes what hangs on a client's session.
    pub(super) async fn close_session(&self, session: SessionKey) {
        let first = Key { session: Some(session), caller: None, fingerprint: [0; 32] };
        let slots = {
            let mut slots = self.slots();
            let keys: Vec<_> = slots
                .by_key
                .range(first..)
                .map(|(key, _)| key)
                .take_while(|key| key.session == Some(session))
                .cloned()
                .collect();
            keys.iter().filter_map(|key| slots.by_key.remove(key)).collect()
        };
        close_all(slots).await;
    }

    /// Waits up to `grace` for requests that are running, then closes everything and stays closed.
    pub(super) async fn close(&self, grace: Duration) {
        self.requests.close();
        if tokio::time::timeout(grace, self.requests.wait()).await.is_err() {
            tracing::warn!(
                server.name = self.settings.name,
                "{} requests to `{}` did not end within {grace:?} and are cut off",
                self.requests.len(),
                self.settings.name
            );
        }
        let slots = {
            let mut slots = self.slots();
            slots.closed = true;
            std::mem::take(&mut slots.by_key).into_values().collect()
        };
        self.closing.cancel();
        close_all(slots).await;
    }

    fn closed(&self) -> UpstreamError {
        UpstreamError::Closed { server: self.settings.name.clone() }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Slot {
    fn holds(&self, number: u64) -> bool {
        matches!(&self.state, SlotState::Ready(connection) if connection.number == number)
    }
}

async fn close_all(slots: Vec<Slot>) {
    let sessions: Vec<_> = slots
        .into_iter()
        .filter_map(|slot| match slot.state {
            SlotState::Ready(connection) => Some(connection),
            SlotState::Connecting { .. } | SlotState::Empty => None,
        })
        .collect();
    let closing = join_all(sessions.iter().map(|connection| connection.session.close()));
    if tokio::time::timeout(CLOSING, closing).await.is_err() {
        tracing::warn!("some sessions with upstreams could not be closed within {CLOSING:?}");
    }
}

/// Why a closed session is closed. A session that is closed answers at once, without a word to the server.
async fn cause_of_death(session: &Session) -> Option<toolgate_client::Error> {
    session.request("ping", None).await.err()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hears that a server's lists have changed.
struct ListChanges(Weak<Pool>);

impl Events for ListChanges {
    fn notification(&self, method: &str, _message: Bytes) {
        if method.starts_with("notifications/")
            && method.ends_with("/list_changed")
            && let Some(pool) = self.0.upgrade()
        {
            pool.lists_revision.fetch_add(1, Ordering::AcqRel);
        }
    }
}
