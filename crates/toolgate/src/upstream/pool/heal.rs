//! Finding out that a server is in trouble, and that it is well again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use toolgate_client::{Delivery, Error, Problem};

use super::{Pool, lock};
use crate::config::settings::Transport;
use crate::upstream::circuit::CircuitState;
use crate::upstream::connection::Connection;
use crate::upstream::deadline::Deadline;
use crate::upstream::error::UpstreamError;
use crate::upstream::lane::Lane;
use crate::upstream::status::{Stage, State, Status};

/// How long a sign of life is waited for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The pauses before a connection is opened again of which somebody wants to hear.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Pool {
    pub(in crate::upstream) fn status(&self) -> Status {
        Status { circuit: self.circuit.state(Instant::now()), ..self.watch.status() }
    }

    /// A request on `lane` has failed that was sent when `answers` had been counted. Says whether the circuit can tell
    /// from it how the server is.
    ///
    /// One slow tool is no outage, nor is one that the server does not survive: a request that ran out of time or was
    /// broken off counts only when nothing else was answered meanwhile.
    pub(in crate::upstream) fn request_failed(self: &Arc<Self>, lane: &Lane, cause: &Error, answers: u64) -> bool {
        let nothing_heard = answers == self.answers();
        if cause.is_connect() || ((cause.is_timeout() || is_broken_off(cause)) && nothing_heard) {
            self.count_failure(lane, cause);
            return true;
        }
        if cause.delivery() == Delivery::Answered {
            self.circuit.succeeded();
            return true;
        }
        false
    }

    /// A connection of `lane` could not be opened.
    pub(super) fn connect_failed(self: &Arc<Self>, lane: &Lane, cause: &Error) {
        let is_broken = cause.status().is_some_and(|status| status.is_server_error());
        if cause.is_connect() || cause.is_timeout() || is_broken_off(cause) || is_broken {
            self.count_failure(lane, cause);
        } else if cause.delivery() == Delivery::Answered {
            self.circuit.succeeded();
        }
    }

    fn count_failure(self: &Arc<Self>, lane: &Lane, cause: &Error) {
        if matches!(self.settings.transport, Transport::Stdio(_)) || !self.circuit.failed(cause, Instant::now()) {
            return;
        }
        if self.watch.moved_to(State::Down).is_some() {
            self.shared.metrics.upstream_up(&self.settings.name, false);
        }
        self.shared.metrics.upstream_circuit(&self.settings.name, true);
        tracing::warn!(server.name = self.settings.name, "a server is left alone for a while: {cause}");
        self.keep_probing(lane.clone());
    }

    /// The server has answered.
    pub(super) fn close_circuit(&self) {
        if self.circuit.succeeded() {
            self.shared.metrics.upstream_circuit(&self.settings.name, false);
        }
    }

    /// Tries the server whenever its circuit lets somebody through, until it is closed.
    fn keep_probing(self: &Arc<Self>, lane: Lane) {
        // Nothing is known that may be asked of any REST API; the next request finds out.
        if matches!(self.settings.transport, Transport::OpenApi { .. }) {
            return;
        }
        let (weak, closing, stopping) = (Arc::downgrade(self), self.closing.clone(), self.shared.stopping.clone());
        self.shared.tasks.spawn(async move {
            loop {
                let Some(until) = weak.upgrade().and_then(|pool| pool.circuit.until()) else { return };
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = closing.cancelled() => return,
                    () = stopping.cancelled() => return,
                }
                let Some(pool) = weak.upgrade() else { return };
                if pool.circuit.pass(Instant::now()).is_ok() {
                    pool.probe(&lane).await;
                    pool.circuit.postpone(Instant::now());
                } else {
                    // A request finds out just now.
                    sleep(FIRST_PAUSE).await;
                }
            }
        });
    }

    /// Finds out whether the server is well; the circuit learns of it.
    async fn probe(self: &Arc<Self>, lane: &Lane) {
        let deadline = Deadline::after(self.call_timeout());
        // Opening a connection tells by itself how it went.
        let was_open = self.ready(&lane.key).is_some();
        let Ok(lease) = self.lease(lane, deadline).await else { return };
        if !was_open {
            return;
        }
        match lease.connection().sign_of_life(SIGN_OF_LIFE).await {
            Ok(()) => self.note_up(),
            Err(cause) => {
                if cause.session_lost() {
                    self.lost(&lane.key, lease.connection(), Some(&cause), Stage::Idle);
                } else {
                    self.connect_failed(lane, &cause);
                }
            }
        }
    }

    /// Has the server give a sign of life on `lane`, over a connection that is opened if there is none. A connection that
    /// turns out to be lost is opened once more: the server may have been restarted.
    pub(in crate::upstream) async fn sign_of_life(
        self: &Arc<Self>,
        lane: &Lane,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        loop {
            let was_open = self.ready(&lane.key).is_some();
            let lease = self.lease(lane, deadline).await?;
            if !was_open {
                return Ok(());
            }
            let Err(cause) = lease.connection().sign_of_life(deadline.remaining()).await else {
                self.note_up();
                return Ok(());
            };
            if cause.session_lost() {
                self.lost(&lane.key, lease.connection(), Some(&cause), Stage::Idle);
            } else {
                self.connect_failed(lane, &cause);
                return Err(UpstreamError::asking(&self.settings.name, cause, deadline.limit()));
            }
        }
    }

    /// Makes sure of a connection that has been quiet for long. One that gives no sign of life is used all the same, for
    /// some servers do not know the question; if the request then gets no answer either, it is given up.
    pub(super) async fn make_sure(self: &Arc<Self>, lane: &Lane, connection: &Arc<Connection>) {
        let _one = connection.checking.lock().await;
        if !connection.is_quiet(Instant::now()) {
            return;
        }
        match connection.sign_of_life(SIGN_OF_LIFE.min(self.call_timeout())).await {
            Ok(()) => {}
            Err(cause) if cause.session_lost() => self.lost(&lane.key, connection, Some(&cause), Stage::Idle),
            Err(cause) => {
                tracing::debug!(server.name = self.settings.name, %cause, "a quiet connection gives no sign of life");
                connection.doubt();
            }
        }
        connection.touch();
    }

    /// Opens the connection of `lane` again for as long as somebody wants to hear of it.
    pub(super) fn revive(self: &Arc<Self>, lane: Lane) {
        let (weak, closing, stopping) = (Arc::downgrade(self), self.closing.clone(), self.shared.stopping.clone());
        self.shared.tasks.spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                {
                    let Some(pool) = weak.upgrade() else { return };
                    if !lock(&pool.standing).concerns(&lane.key) {
                        return;
                    }
                    let deadline = Deadline::after(pool.call_timeout());
                    if pool.circuit.state(Instant::now()) == CircuitState::Closed
                        && pool.lease(&lane, deadline).await.is_ok()
                    {
                        return;
                    }
                }
                tokio::select! {
                    () = sleep(pause) => {}
                    () = closing.cancelled() => return,
                    () = stopping.cancelled() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }
}

/// Whether the connection ended before there was an answer, as with a balancer that has nobody behind it.
fn is_broken_off(cause: &Error) -> bool {
    matches!(cause.problem(), Problem::Broken { .. })
}
