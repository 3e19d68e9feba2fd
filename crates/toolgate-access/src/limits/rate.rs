//! How often and how many at once: LiteLLM's minute windows (`rpm_limit`, `tpm_limit`) and `max_parallel_requests`.
//!
//! Windows are minutes of the clock, so that replicas count into the same one without talking of its beginning.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// What was used of a limit in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Which minute since 1970.
    pub minute: i64,
    /// How much was used in it.
    pub used: u64,
}

/// A limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit of {limit} in a minute reached, try again in {} s", .retry_after.as_secs())]
pub struct RateExceeded {
    /// The limit.
    pub limit: u64,
    /// When there is more: 1 to 60 seconds, for `Retry-After`.
    pub retry_after: Duration,
}

impl Window {
    /// The window that is open now.
    ///
    /// After the clock went back, what was used is taken along into the minute that it is now: the limit is not
    /// opened by it, and not locked until the clock is back where it was either.
    pub fn at(self, now: DateTime<Utc>) -> Self {
        let minute = now.timestamp().div_euclid(60);
        if minute > self.minute { Self { minute, used: 0 } } else { Self { minute, ..self } }
    }

    /// Uses some of a limit, a request or tokens.
    ///
    /// # Errors
    /// [`RateExceeded`] when there is not that much left; nothing is used then.
    pub fn take(self, amount: u64, limit: u64, now: DateTime<Utc>) -> Result<Self, RateExceeded> {
        let open = self.at(now);
        let used = open.used.saturating_add(amount);
        if used <= limit {
            return Ok(Self { used, ..open });
        }
        Err(RateExceeded { limit, retry_after: until_next_minute(now) })
    }

    /// Uses what was used whether or not there was that much: tokens are known only afterwards.
    pub fn add(self, amount: u64, now: DateTime<Utc>) -> Self {
        let open = self.at(now);
        Self { used: open.used.saturating_add(amount), ..open }
    }

    /// Gives back what was taken for a request that another limit refused.
    pub fn give_back(self, amount: u64, now: DateTime<Utc>) -> Self {
        let open = self.at(now);
        Self { used: open.used.saturating_sub(amount), ..open }
    }

    /// Whether anything is left, for what is counted afterwards.
    ///
    /// # Errors
    /// [`RateExceeded`] when nothing is.
    pub fn check(self, limit: u64, now: DateTime<Utc>) -> Result<(), RateExceeded> {
        if self.at(now).used < limit {
            return Ok(());
        }
        Err(RateExceeded { limit, retry_after: until_next_minute(now) })
    }
}

fn until_next_minute(now: DateTime<Utc>) -> Duration {
    Duration::from_secs(60 - now.timestamp().rem_euclid(60).unsigned_abs())
}

/// How many requests run at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parallel {
    /// Running now.
    pub running: u64,
}

/// As many run as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit of {limit} requests at the same time reached")]
pub struct ParallelExceeded {
    /// The limit.
    pub limit: u64,
}

impl Parallel {
    /// Begins one.
    ///
    /// # Errors
    /// [`ParallelExceeded`] when as many run as may.
    pub fn begin(self, limit: u64) -> Result<Self, ParallelExceeded> {
        if self.running < limit { Ok(Self { running: self.running + 1 }) } else { Err(ParallelExceeded { limit }) }
    }

    /// Ends one that was begun.
    pub fn end(self) -> Self {
        Self { running: self.running.saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_minute_has_its_limit_and_the_next_one_another() {
        let two = Window::default().take(1, 2, at(100)).unwrap().take(1, 2, at(119)).unwrap();

        assert_eq!(two.take(1, 2, at(119)), Err(RateExceeded { limit: 2, retry_after: Duration::from_secs(1) }));
        assert_eq!(two.take(1, 2, at(120)), Ok(Window { minute: 2, used: 1 }));
        assert_eq!(Window::default().take(1, 0, at(120)).unwrap_err().retry_after, Duration::from_secs(60));
        assert!(Window::default().take(u64::MAX, u64::MAX, at(0)).unwrap().take(1, 5, at(0)).is_err());
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_in_its_minute_only() {
        let used_up = Window::default().take(1, 1, at(100)).unwrap();

        assert!(used_up.take(1, 1, at(100)).is_err());
        assert!(used_up.give_back(1, at(100)).take(1, 1, at(100)).is_ok());
        assert_eq!(used_up.give_back(5, at(130)), Window { minute: 2, used: 0 });
    }

    #[test]
    fn what_is_counted_afterwards_closes_the_minute_when_it_is_used_up() {
        let used = Window::default().add(1_000, at(100));

        assert!(used.check(1_001, at(100)).is_ok());
        assert!(used.check(1_000, at(100)).is_err());
        assert!(used.check(1_000, at(120)).is_ok());
    }

    #[test]
    fn a_clock_that_went_back_neither_opens_nor_locks() {
        let used_up = Window { minute: 1_000_000, used: 5 };

        assert!(used_up.take(1, 5, at(120)).is_err(), "not opened");
        let seen = used_up.at(at(120));
        assert!(seen.take(1, 5, at(180)).is_ok(), "not locked for longer than a minute");
    }

    #[test]
    fn as_many_run_as_may() {
        let two = Parallel::default().begin(2).unwrap().begin(2).unwrap();

        assert_eq!(two.begin(2), Err(ParallelExceeded { limit: 2 }));
        assert!(two.end().begin(2).is_ok());
        assert_eq!(Parallel::default().end(), Parallel::default());
    }

    proptest! {
        #[test]
        fn no_minute_of_any_clock_sees_more_than_the_limit(limit in 0u64..5, seconds in proptest::collection::vec(0i64..400, 0..60)) {
            let mut window = Window::default();
            let mut seen = std::collections::HashMap::new();
            let mut last = i64::MIN;
            for second in seconds {
                let minute = second / 60;
                if minute != last {
                    seen.insert(minute, 0u64);
                    last = minute;
                }
                match window.take(1, limit, at(second)) {
                    Ok(next) => {
                        window = next;
                        *seen.get_mut(&minute).unwrap() += 1;
                    }
                    Err(_) => window = window.at(at(second)),
                }
                prop_assert!(seen[&minute] <= limit);
            }
        }
    }
}
