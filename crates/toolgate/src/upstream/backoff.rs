//! How long a child process that keeps dying is left alone: 0.1 s, doubling to 30 s, forgotten after 60 s of life.

use std::time::Duration;

use tokio::time::Instant;

use super::error::UpstreamError;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// A child that has lived this long was well.
const WELL: Duration = Duration::from_secs(60);

/// The failures of one child in a row.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Boxed, because most slots never need it.
    last: Option<Box<(Instant, UpstreamError)>>,
}

impl Backoff {
    /// The child could not be started, or is gone after it had `lived`.
    pub(super) fn failed(&mut self, lived: Duration, why: UpstreamError, now: Instant) {
        if lived >= WELL {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.last = Some(Box::new((now + pause, why)));
    }

    /// Whether the next start may be at once, with nothing to remember.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.last.as_ref().is_none_or(|last| now >= last.0 + WELL)
    }

    /// How long to wait still, and what happened last.
    pub(super) fn pause(&self, now: Instant) -> Option<(Duration, UpstreamError)> {
        let (until, why) = &**self.last.as_ref()?;
        let pause = until.checked_duration_since(now).filter(|pause| !pause.is_zero())?;
        Some((pause, why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Backoff;
    use crate::upstream::UpstreamError;

    #[test]
    fn pauses_double_up_to_a_cap_and_a_long_life_resets_them() {
        let now = Instant::now();
        let why = || UpstreamError::Closed { server: "s".to_owned() };
        let mut backoff = Backoff::default();
        assert!(backoff.pause(now).is_none());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            backoff.failed(Duration::from_secs(59), why(), now);
            pauses.push(backoff.pause(now).expect("a pause").0.as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
        assert!(backoff.pause(now + Duration::from_secs(30)).is_none());
        backoff.failed(Duration::from_secs(60), why(), now);
        assert_eq!(backoff.pause(now).expect("a pause").0.as_millis(), 100);
    }
}
