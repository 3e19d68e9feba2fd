//! How one server is doing, learnt from real traffic.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::circuit::CircuitState;

/// How one server is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What is known now.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// The last failure, also when all is well again.
    pub last_failure: Option<Failure>,
    /// Whether requests reach it.
    pub circuit: CircuitState,
}

impl Status {
    /// At which stage it is that the server cannot be used; `None` when it can.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let failure = self.last_failure.as_ref().filter(|_| self.state == State::Down)?;
        Some(failure.stage)
    }
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: it has not been asked yet, or all its connections were closed for want of use.
    Idle,
    /// The last request, or the last handshake, worked.
    Up,
    /// The last attempt to connect failed, or the last connection broke.
    Down,
}

impl State {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened, in one line.
    pub message: String,
    /// When in the life of the connection.
    pub stage: Stage,
    /// When.
    pub at: SystemTime,
}

/// When in the life of a connection a failure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// While it was opened: name, network, TLS, start of the child, handshake.
    Connect,
    /// While it was used.
    Request,
    /// While nothing was asked: a child process went away.
    Idle,
}

impl Stage {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Request => "request",
            Self::Idle => "idle",
        }
    }
}

/// Keeps the status. The state is kept beside the lock as well, since every request confirms it.
pub(super) struct Watch {
    state: AtomicU8,
    /// Guards the whole status; held for a few lines only.
    status: Mutex<Status>,
    /// When it was last found to be down.
    down: Mutex<Option<Instant>>,
}

/// A server that was well within this time may be restarting.
const LATELY: Duration = Duration::from_secs(2);

impl Watch {
    pub(super) fn new(now: SystemTime) -> Self {
        let status = Status { state: State::Idle, since: now, last_failure: None, circuit: CircuitState::Closed };
        Self { state: AtomicU8::new(State::Idle as u8), status: Mutex::new(status), down: Mutex::default() }
    }

    pub(super) fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Moves to `state`, and says from which other one, if that is news.
    pub(super) fn moved_to(&self, state: State) -> Option<State> {
        if self.state.load(Ordering::Relaxed) == state as u8 {
            return None;
        }
        let mut status = self.lock();
        if status.state == state {
            return None;
        }
        self.state.store(state as u8, Ordering::Relaxed);
        if state == State::Down {
            *self.down.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        status.since = SystemTime::now();
        Some(std::mem::replace(&mut status.state, state))
    }

    /// Whether the server is well, or was a moment ago.
    pub(super) fn was_well_lately(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let down = || self.down.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < LATELY);
        state == State::Up as u8 || (state == State::Down as u8 && down())
    }

    pub(super) fn failed(&self, message: String, stage: Stage) {
        self.lock().last_failure = Some(Failure { message, stage, at: SystemTime::now() });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
