//! The connections of one server: at most one per lane, opened when first needed, healed when lost.
//!
//! * Whoever needs a connection that is not there waits for one attempt that all of them share, and all get its
//!   error. The attempt is a task of its own, so a caller who goes away does not end it for the others.
//! * A session is lost when the server says so (404), when its stream ends or when the child is gone. Only its lane
//!   opens a new one; requests that still run on the old one are let finish.
//! * A child that dies is started again after a pause that grows; see [`super::backoff`].
//! * A session that nobody uses is closed after a while, or at once when another needs its place.

mod adopt;
mod close;
mod heal;
mod open;
mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, Shared as SharedFuture};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolgate_client::{Authorizer, Session};

use super::aws::AwsSigner;
use super::backoff::Backoff;
use super::circuit::Circuit;
use super::connection::{Connection, Lease};
use super::deadline::Deadline;
use super::error::{UpstreamError, Wait};
use super::lane::{Key, Lane};
use super::news::{Changed, Desk};
use super::shared::{Place, Shared, close_longest_idle};
use super::standing::Standing;
use super::status::{Stage, State, Watch};
use super::tokens::MachineTokens;
use crate::config::settings::{ServerSettings, Transport, UpstreamAuth};

pub(super) use adopt::Adoption;

/// Children of one server at once.
const MOST_CHILDREN: usize = 128;
/// A pause this short is waited out; a longer one is an error at once.
const LONGEST_PAUSE_WAITED_OUT: Duration = Duration::from_millis(250);

/// The connections of one server.
pub(super) struct Pool {
    pub(super) settings: Arc<ServerSettings>,
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    pub(super) circuit: Circuit,
    /// Requests that were answered.
    answers: AtomicU64,
    /// Requests that are running, from their first wait to their answer.
    pub(super) requests: TaskTracker,
    /// Guards the connections; held for a few lines, never while another pool is locked.
    slots: Mutex<Slots>,
    numbers: AtomicU64,
    lists_revision: AtomicU64,
    desk: Desk,
    /// What clients want beyond single requests. Never held while the connections are locked.
    standing: Mutex<Standing>,
    /// Which kind of revisions was found.
    era: AtomicU8,
    /// Which transport was found, where the settings leave it open.
    found: Mutex<Option<toolgate_client::HttpKind>>,
    version: Mutex<Version>,
    /// Of a server that the gateway uses in its own name.
    pub(super) authorizer: Option<Authorizer>,
    children: Arc<AtomicUsize>,
    closing: CancellationToken,
}

/// What is known of the version of the server that is running, to tell when its lists may be others.
#[derive(Default)]
struct Version {
    /// SHA-256 over what the server last said of itself.
    facts: Option<[u8; 32]>,
    /// When the first connection was opened to what runs since the last known restart.
    since: Option<Instant>,
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
    /// When the connection was opened that was lost since.
    lost: Option<Instant>,
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
    MakeSure(Arc<Connection>),
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
        let desk = Desk::new(&settings.name, shared.news.clone());
        let authorizer = authorizer(&settings, shared);
        let pool = Arc::new(Self {
            settings,
            shared: Arc::clone(shared),
            watch: Watch::new(SystemTime::now()),
            circuit: Circuit::default(),
            answers: AtomicU64::new(0),
            requests: TaskTracker::new(),
            slots: Mutex::default(),
            numbers: AtomicU64::new(0),
            lists_revision: AtomicU64::new(0),
            desk,
            standing: Mutex::default(),
            era: AtomicU8::new(0),
            found: Mutex::default(),
            version: Mutex::default(),
            authorizer,
            children: Arc::default(),
            closing: CancellationToken::new(),
        });
        shared.register(&pool);
        pool
    }

    /// How long one exchange with the server may take.
    pub(super) fn call_timeout(&self) -> Duration {
        self.settings.timeout.unwrap_or_else(|| self.shared.current().timeouts.call)
    }

    /// Cancelled when all connections are closed for good.
    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    pub(super) fn lists_revision(&self) -> u64 {
        self.lists_revision.load(Ordering::Acquire)
    }

    /// The connection of `lane`, opened if it is not there.
    pub(super) async fn lease(self: &Arc<Self>, lane: &Lane, deadline: Deadline) -> Result<Lease, UpstreamError> {
        let name = &self.settings.name;
        loop {
            match self.step(lane, deadline.began())? {
                Step::Use(lease) => {
                    lease.connection().ears.belong_to(lane.client.hears.as_ref());
                    return Ok(lease);
                }
                Step::WaitFor(flight) => {
                    let connection = deadline.wait(name, Wait::Connection, flight).await??;
                    return Ok(Lease::new(&connection));
                }
                Step::MakeSure(connection) => {
                    // In a box, since it is rare and every request would carry its size.
                    let make_sure = Box::pin(self.make_sure(lane, &connection));
                    deadline.wait(name, Wait::Connection, make_sure).await?;
                }
                Step::Pause(pause) => deadline.wait(name, Wait::Connection, tokio::time::sleep(pause)).await?,
                Step::Bury(connection) => {
                    // In a box, since it is rare and every request would carry its size.
                    let cause_of_death = Box::pin(cause_of_death(&connection.session));
                    let cause = deadline.wait(name, Wait::Connection, cause_of_death).await?;
                    self.lost(&lane.key, &connection, cause.as_ref(), Stage::Idle);
                }
            }
        }
    }

    fn step(self: &Arc<Self>, lane: &Lane, now: Instant) -> Result<Step, UpstreamError> {
        if let Some(step) = self.look(&mut self.slots(), &lane.key, now)? {
            return Ok(step);
        }
        // Finding a place may lock this pool and others to make room.
        let places = self.places()?;
        let mut slots = self.slots();
        match self.look(&mut slots, &lane.key, now)? {
            Some(somebody_was_faster) => Ok(somebody_was_faster),
            None => Ok(Step::WaitFor(self.launch(&mut slots, lane, places, None))),
        }
    }

    /// What is there for `key`; `None` when a connection has to be opened.
    fn look(&self, slots: &mut Slots, key: &Key, now: Instant) -> Result<Option<Step>, UpstreamError> {
        if slots.closed {
            return Err(self.closed());
        }
        let Some(slot) = slots.by_key.get(key) else { return Ok(None) };
        match &slot.state {
            SlotState::Ready(connection) if connection.session.is_closed() => {
                Ok(Some(Step::Bury(Arc::clone(connection))))
            }
            SlotState::Ready(connection) if connection.is_quiet(now) => {
                Ok(Some(Step::MakeSure(Arc::clone(connection))))
            }
            SlotState::Ready(connection) => Ok(Some(Step::Use(Lease::new(connection)))),
            // An attempt clears its slot before it tells its failure, unless it panicked.
            SlotState::Connecting { flight, .. } if flight.peek().is_some_and(Result::is_err) => Ok(None),
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

    /// How many requests have been answered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// A request was answered on `connection`.
    pub(super) fn note_answer(&self, connection: &Connection) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        connection.answered();
        self.note_up();
    }

    pub(super) fn note_up(&self) {
        self.close_circuit();
        let Some(before) = self.watch.moved_to(State::Up) else { return };
        if before == State::Down {
            // It may have come back with other tools.
            self.lists_changed(&Changed::ALL);
        }
        self.shared.metrics.upstream_up(&self.settings.name, true);
        tracing::info!(server.name = self.settings.name, "server `{}` is up", self.settings.name);
    }

    /// A failure that says something about the server as a whole takes it down; others are only remembered. One that
    /// asks for other credentials is well, and one slow call is no outage.
    pub(super) fn note_failure(&self, why: &UpstreamError, stage: Stage) {
        let message = why.to_string();
        let is_down = match (stage, why) {
            (_, UpstreamError::AuthRequired { .. } | UpstreamError::Closed { .. }) => false,
            (Stage::Connect | Stage::Idle, _) => true,
            (Stage::Request, _) => why.outcome_label() == "unreachable",
        };
        if is_down && self.watch.moved_to(State::Down).is_some() {
            self.shared.metrics.upstream_up(&self.settings.name, false);
            tracing::warn!(server.name = self.settings.name, "a server is down: {message}");
        }
        self.shared.metrics.upstream_failed(&self.settings.name, stage.as_str());
        self.watch.failed(message, stage);
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
            slot.lost = Some(connection.opened);
            if is_child {
                slot.backoff.failed(connection.opened.elapsed(), why(), Instant::now());
            }
        }
        if is_child {
            self.note_failure(&why(), stage);
        }
        self.give_up(Arc::clone(connection));
        let wanted = lock(&self.standing).lane(key);
        if let Some(lane) = wanted {
            self.revive(lane);
        }
    }

    fn give_up(&self, connection: Arc<Connection>) {
        connection.leave_place();
        self.shared.tasks.spawn(async move { connection.close_when_unused().await });
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

/// What authorizes requests to a server that the gateway uses in its own name; `None` for others.
fn authorizer(settings: &Arc<ServerSettings>, shared: &Arc<Shared>) -> Option<Authorizer> {
    match &settings.auth {
        UpstreamAuth::ClientCredentials(_) => Some(Authorizer::Tokens(MachineTokens::new(settings, shared))),
        UpstreamAuth::AwsSigv4(aws) => Some(Authorizer::Signer(AwsSigner::new(&settings.name, aws, shared))),
        UpstreamAuth::None
        | UpstreamAuth::Static { .. }
        | UpstreamAuth::Incomplete { .. }
        | UpstreamAuth::NotActiveYet { .. } => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a closed session is closed. A session that is closed answers at once, without a word to the server.
async fn cause_of_death(session: &Session) -> Option<toolgate_client::Error> {
    session.request("ping", None).await.err()
}
