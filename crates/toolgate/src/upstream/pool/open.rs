//! Opening connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::FutureExt;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::Instant;
use toolgate_client::{Delivery, Era, Events, HttpTarget, Limits, Options, Session, StdioTarget, Target};

use super::adopt::Adoption;
use super::{Flight, Pool, SlotState, Slots, Version, cause_of_death, lock};
use crate::config::settings::{HttpKind, Transport};
use crate::upstream::client_side::Capabilities;
use crate::upstream::connection::Connection;
use crate::upstream::ears::Ears;
use crate::upstream::error::UpstreamError;
use crate::upstream::lane::{Key, Lane, Outfit, Wear};
use crate::upstream::listens;
use crate::upstream::news::Changed;
use crate::upstream::shared::Place;
use crate::upstream::status::Stage;
use crate::upstream::tries::Tries;

const STDERR_LINES: usize = 64;

/// How [`Pool`] keeps the era.
const UNKNOWN: u8 = 0;
const LEGACY: u8 = 1;
const MODERN: u8 = 2;

impl Pool {
    /// Begins an attempt to connect, as a task of its own.
    pub(super) fn launch(
        self: &Arc<Self>,
        slots: &mut Slots,
        lane: &Lane,
        places: Vec<Place>,
        adoption: Option<Adoption>,
    ) -> Flight {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        let closed = self.closed();
        let flight = told.map(move |told| told.unwrap_or(Err(closed))).boxed().shared();
        let slot = slots.by_key.entry(lane.key.clone()).or_default();
        slot.state = SlotState::Connecting { number, flight: flight.clone() };
        self.shared.keep_swept();
        let (pool, lane) = (Arc::clone(self), lane.clone());
        self.shared.tasks.spawn(async move {
            let opened = tokio::select! {
                () = pool.closing.cancelled() => Err(pool.closed()),
                opened = pool.connect(&lane, number, places, adoption) => opened,
            };
            let landed = pool.land(&lane, number, opened);
            // Nobody waits any more when all callers' deadlines have passed; the connection serves the next one.
            let _ = tell.send(landed);
        });
        flight
    }

    pub(super) async fn connect(
        self: &Arc<Self>,
        lane: &Lane,
        number: u64,
        places: Vec<Place>,
        adoption: Option<Adoption>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let (limit, message_bytes) = (self.call_timeout(), self.shared.current().limits.message_bytes);
        let failed = |cause| UpstreamError::connecting(&self.settings.name, cause, limit);
        let target = self.target(&lane.outfit).map_err(failed)?;
        let ears = Ears::new(self, &lane.key, &lane.offered);
        ears.belong_to(lane.client.hears.as_ref());
        let options = Options {
            era: self.era().unwrap_or(Era::Detect),
            revision: self.settings.revision.filter(|revision| revision.has_handshake()),
            client_name: "toolgate".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            timeout: limit,
            connect_timeout: limit,
            limits: Limits { message_bytes, stderr_lines: STDERR_LINES },
            capabilities: lane.offered.raw().to_owned(),
            events: Arc::clone(&ears) as Arc<dyn Events>,
            listen: self.listens_from_the_start(lane),
        };
        let opened = match adoption {
            Some(adoption) => {
                return self
                    .adopted(adoption, lane, &target, &options, |session| {
                        Connection::new(session, ears, number, places, &self.shared.metrics)
                    })
                    .await;
            }
            None => self.session(target, options).await,
        };
        match opened {
            Ok(session) => {
                *lock(&self.found) = match session.server().transport {
                    toolgate_client::Transport::Streamable => Some(toolgate_client::HttpKind::Streamable),
                    toolgate_client::Transport::Sse => Some(toolgate_client::HttpKind::Sse),
                    toolgate_client::Transport::Stdio => None,
                };
                self.note_era(Some(if session.is_modern() { Era::Modern } else { Era::Legacy }));
                let connection = Connection::new(session, ears, number, places, &self.shared.metrics);
                self.restore(lane, &connection, limit).await;
                Ok(connection)
            }
            Err(cause) => {
                if may_speak_another_transport(&cause) {
                    *lock(&self.found) = None;
                }
                self.connect_failed(lane, &cause);
                Err(failed(cause))
            }
        }
    }

    /// Connects; while the server may be restarting, more than once.
    async fn session(&self, target: Target, mut options: Options) -> Result<Session, toolgate_client::Error> {
        let mut tries = Tries::default();
        loop {
            let cause = match Session::connect(target.clone(), options.clone()).await {
                Ok(session) => return Ok(session),
                Err(cause) => cause,
            };
            let is_open = self.settings.revision.is_none() && options.era != Era::Detect;
            if is_open && (cause.is_wrong_era() || may_speak_another_transport(&cause)) {
                // The server is not what it was.
                self.note_era(None);
                options.era = Era::Detect;
                continue;
            }
            // A child that cannot be started will not be a moment later.
            let is_there = matches!(self.settings.transport, Transport::Http { .. });
            match tries.again(&cause, false, is_there && self.watch.was_well_lately()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(cause),
            }
        }
    }

    /// One listener per credential hears when lists change. One per client session would be a connection each, so it is
    /// opened for those alone who want to hear what the server says by itself, or who can be asked: there are servers
    /// that ask on this stream alone, also what a call is about.
    fn listens_from_the_start(&self, lane: &Lane) -> bool {
        self.hears_of_lists(&lane.key) || is_asked_there(lane) || lock(&self.standing).wants_listening(&lane.key)
    }

    /// Whether lists are fetched on the connection with `key`.
    pub(in crate::upstream) fn hears_of_lists(&self, key: &Key) -> bool {
        key.session.is_none() && key.capabilities == Capabilities::none().digest()
    }

    /// Which kind of revisions the server speaks, if that is known or the settings say so.
    pub(in crate::upstream) fn era(&self) -> Option<Era> {
        if let Some(revision) = self.settings.revision {
            return Some(if revision.has_handshake() { Era::Legacy } else { Era::Modern });
        }
        match self.era.load(Ordering::Relaxed) {
            LEGACY => Some(Era::Legacy),
            MODERN => Some(Era::Modern),
            _ => None,
        }
    }

    /// The server turned out to speak another kind of revisions.
    pub(in crate::upstream) fn forget_era(&self) {
        self.note_era(None);
    }

    fn note_era(&self, era: Option<Era>) {
        let number = match era {
            Some(Era::Legacy) => LEGACY,
            Some(Era::Modern) => MODERN,
            Some(Era::Detect) | None => UNKNOWN,
        };
        self.era.store(number, Ordering::Relaxed);
    }

    fn target(&self, outfit: &Outfit) -> Result<Target, toolgate_client::Error> {
        match (&self.settings.transport, &outfit.wear) {
            (Transport::Http { url, kind }, wear @ (Wear::Headers(headers) | Wear::Authorized(headers))) => {
                Ok(Target::Http(HttpTarget {
                    url: url.clone(),
                    headers: headers.clone(),
                    authorizer: self.authorizer.clone().filter(|_| matches!(wear, Wear::Authorized(_))),
                    kind: match kind {
                        HttpKind::Streamable => toolgate_client::HttpKind::Streamable,
                        HttpKind::Sse => toolgate_client::HttpKind::Sse,
                        HttpKind::Detect => lock(&self.found).unwrap_or(toolgate_client::HttpKind::Detect),
                    },
                    client: self.shared.http_client(&self.settings.tls, self.settings.origin.reach())?,
                }))
            }
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
        lane: &Lane,
        number: u64,
        opened: Result<Arc<Connection>, UpstreamError>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let key = &lane.key;
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
                let lost = slot.lost.take();
                drop(slots);
                self.note_connected(&connection, lost);
                self.watch_over(lane, &connection);
                self.keep_listening(key, &connection);
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

    fn note_connected(&self, connection: &Connection, lost: Option<Instant>) {
        if lock(&self.version).is_news(connection, lost) {
            self.lists_changed(&Changed::ALL);
        }
        self.note_up();
    }

    /// Has a modern server tell of what is wanted.
    fn keep_listening(self: &Arc<Self>, key: &Key, connection: &Arc<Connection>) {
        if connection.session.is_modern() {
            let keep = listens::keep(Arc::downgrade(self), key.clone(), Arc::downgrade(connection));
            let (closing, stopping) = (self.closing.clone(), self.shared.stopping.clone());
            self.shared.tasks.spawn(async move {
                tokio::select! {
                    () = keep => {}
                    () = closing.cancelled() => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
    }

    /// Notices when a child dies, or a stream that somebody listens to, while nobody asks anything.
    fn watch_over(self: &Arc<Self>, lane: &Lane, connection: &Arc<Connection>) {
        let is_child = matches!(self.settings.transport, Transport::Stdio(_));
        if !is_child && !self.listens_from_the_start(lane) {
            return;
        }
        let session = connection.session.clone();
        let (pool, key, connection) = (Arc::downgrade(self), lane.key.clone(), Arc::downgrade(connection));
        let (closing, stopping) = (self.closing.clone(), self.shared.stopping.clone());
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
}

impl Version {
    /// Whether `connection` may lead to other lists than the ones before: to a server that says other things of
    /// itself, or to one that was restarted. A restart costs many callers their sessions, one after the other, and is
    /// news only once: a loss tells of a new one if the lost session was opened since the last.
    fn is_news(&mut self, connection: &Connection, lost: Option<Instant>) -> bool {
        let restarted = lost.is_some_and(|lost| self.since.is_none_or(|since| lost >= since));
        if restarted {
            self.since = Some(connection.opened);
        }
        // What a server says of itself may differ with what the client can do.
        if !connection.ears.offered_nothing() {
            return restarted;
        }
        let facts = connection.session.server();
        let told = format!("{:?} {:?} {:?}", facts.server_info, facts.capabilities, facts.instructions);
        let mut facts = [0; 32];
        facts.copy_from_slice(digest(&SHA256, told.as_bytes()).as_ref());
        let other_facts = self.facts.replace(facts).is_some_and(|before| before != facts);
        other_facts || restarted
    }
}

/// Whether the connection of `lane` has a client to itself that a server may ask something.
fn is_asked_there(lane: &Lane) -> bool {
    lane.key.session.is_some() && lane.offered.can_be_asked()
}

/// The server is there and did not understand us; credentials and rate limits are another matter.
fn may_speak_another_transport(cause: &toolgate_client::Error) -> bool {
    cause.delivery() == Delivery::Answered
        && !matches!(
            cause.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
        )
}
