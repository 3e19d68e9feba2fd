//! A server that cannot be reached is left alone for a while, so that callers get their errors at once.
//!
//! It opens after [`FAILURES`] failures in a row, for a pause that doubles with each further one. When the pause is
//! over, one request is let through: by it the circuit closes, or opens again. A probe of the gateway's own does the
//! same, so that a server is well again without anybody asking.
//!
//! Children have [`super::backoff`] instead, one for each environment: that one of them dies says nothing of the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use toolgate_client::Error;

const FAILURES: u32 = 5;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// The circuit of one server.
#[derive(Default)]
pub(super) struct Circuit {
    /// Whether there is anything under the lock; every request asks.
    troubled: AtomicBool,
    /// Held for a few lines only.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    failures: u32,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    pause: Duration,
    /// Somebody is finding out whether the server is well again.
    probing: bool,
    why: Error,
}

/// Whether requests reach a server, as its failures have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// They do.
    Closed,
    /// They fail at once until it is tried again.
    Open {
        /// When that is.
        retry_in: Duration,
    },
    /// One request is finding out.
    HalfOpen,
}

impl Open {
    fn put_off(&mut self, now: Instant) {
        self.pause = (self.pause * 2).min(LONGEST);
        self.until = now + self.pause;
        self.probing = false;
    }
}

impl CircuitState {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The way through.
pub(super) enum Passage {
    /// As ever.
    Free,
    /// As the one who finds out whether the server is well again; must be followed by a verdict, or [`Circuit::let_go`].
    Probe,
}

/// Why there is no way through.
pub(super) struct Shut {
    pub(super) why: Error,
    pub(super) retry_in: Duration,
}

impl Circuit {
    /// The way through, if there is one now.
    pub(super) fn pass(&self, now: Instant) -> Result<Passage, Shut> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(Passage::Free);
        }
        let mut inner = self.lock();
        let Some(open) = &mut inner.open else { return Ok(Passage::Free) };
        let retry_in = open.until.saturating_duration_since(now);
        if open.probing || !retry_in.is_zero() {
            // While somebody finds out, it may take as long again.
            let retry_in = if retry_in.is_zero() { open.pause } else { retry_in };
            return Err(Shut { why: open.why.clone(), retry_in });
        }
        open.probing = true;
        Ok(Passage::Probe)
    }

    /// The server has answered. Says whether that has closed the circuit.
    pub(super) fn succeeded(&self) -> bool {
        if !self.troubled.load(Ordering::Relaxed) {
            return false;
        }
        let mut inner = self.lock();
        self.troubled.store(false, Ordering::Relaxed);
        std::mem::take(&mut *inner).open.is_some()
    }

    /// The server could not be reached, or did not answer. Says whether that has opened the circuit.
    pub(super) fn failed(&self, why: &Error, now: Instant) -> bool {
        let mut inner = self.lock();
        self.troubled.store(true, Ordering::Relaxed);
        let failures = inner.failures.saturating_add(1);
        inner.failures = failures;
        match &mut inner.open {
            Some(open) => {
                // Requests that had been let through before it opened say nothing new.
                if open.probing {
                    open.why = why.clone();
                    open.put_off(now);
                }
                false
            }
            None if failures >= FAILURES => {
                inner.open = Some(Open { until: now + FIRST, pause: FIRST, probing: false, why: why.clone() });
                true
            }
            None => false,
        }
    }

    /// The probe has ended without a verdict; the next request may be it.
    pub(super) fn let_go(&self) {
        if let Some(open) = &mut self.lock().open {
            open.probing = false;
        }
    }

    /// A probe has ended without a verdict, and is tried again as if it had failed.
    pub(super) fn postpone(&self, now: Instant) {
        if let Some(open) = self.lock().open.as_mut().filter(|open| open.probing) {
            open.put_off(now);
        }
    }

    /// When the server is to be tried again; `None` when the circuit is closed.
    pub(super) fn until(&self) -> Option<Instant> {
        self.lock().open.as_ref().map(|open| open.until)
    }

    pub(super) fn state(&self, now: Instant) -> CircuitState {
        match &self.lock().open {
            None => CircuitState::Closed,
            Some(open) if open.probing => CircuitState::HalfOpen,
            Some(open) => CircuitState::Open { retry_in: open.until.saturating_duration_since(now) },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use toolgate_client::{Error, HttpClient, HttpKind, HttpTarget, Options, Session, Target, TlsOptions};

    use super::{Circuit, CircuitState, FAILURES, Passage};

    async fn error() -> Error {
        let target = Target::Http(HttpTarget {
            url: "ftp://127.0.0.1/".parse().unwrap(),
            headers: http::HeaderMap::new(),
            authorizer: None,
            kind: HttpKind::Streamable,
            client: HttpClient::new(&TlsOptions::default()).unwrap(),
        });
        Session::connect(target, Options::default()).await.unwrap_err()
    }

    #[tokio::test]
    async fn it_opens_after_failures_in_a_row_lets_one_through_and_closes_by_it() {
        let (why, now, circuit) = (error().await, Instant::now(), Circuit::default());
        for _ in 1..FAILURES {
            assert!(!circuit.failed(&why, now));
        }
        assert!(!circuit.succeeded() && circuit.until().is_none());
        for turn in 1..=FAILURES {
            assert_eq!(circuit.failed(&why, now), turn == FAILURES);
        }
        assert_eq!(circuit.pass(now).err().unwrap().retry_in, Duration::from_millis(250));

        let mut later = now;
        for pause in [500, 1000, 2000, 4000, 5000, 5000] {
            later = circuit.until().unwrap();
            assert!(matches!(circuit.pass(later), Ok(Passage::Probe)));
            assert_eq!(circuit.state(later), CircuitState::HalfOpen);
            assert!(circuit.pass(later).is_err(), "one is enough");
            assert!(!circuit.failed(&why, later));
            assert_eq!(circuit.state(later), CircuitState::Open { retry_in: Duration::from_millis(pause) });
        }
        later += Duration::from_secs(6);
        assert!(circuit.pass(later).is_ok());
        circuit.let_go();
        assert!(circuit.pass(later).is_ok(), "the other has said nothing");
        assert!(circuit.succeeded());
        assert!(matches!(circuit.pass(later), Ok(Passage::Free)));
        assert_eq!(circuit.state(later), CircuitState::Closed);
    }
}
