//! When calls are meant to be sent: a constant rate, cut into one schedule per session.
//!
//! Latency is counted from the intended time. A generator that waits for a slow answer before it sends the next call
//! otherwise leaves out exactly the waiting that its users would have felt (coordinated omission).

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// One session's share of a constant rate: all sessions together send evenly, each in its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Calls per second of all sessions together; above 0.
    pub(crate) rate_per_s: u32,
    /// How many sessions share the rate.
    pub(crate) sessions: u32,
    /// Which of them this is, from 0.
    pub(crate) session: u32,
}

impl Schedule {
    /// When the session's `turn`th call (from 0) is due, counted from the start.
    ///
    /// Computed from the turn and not from the call before it, so that rounding never adds up.
    pub(crate) fn due(self, turn: u64) -> Duration {
        let position = u128::from(self.session) + u128::from(turn) * u128::from(self.sessions);
        let ns = position * 1_000_000_000 / u128::from(self.rate_per_s);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// A timer that wakes within microseconds of its time; tokio's has steps of a millisecond.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<std::os::fd::OwnedFd>,
}

impl Timer {
    #[expect(deprecated, reason = "what `new` trusts its argument with, `OwnedFd` guarantees; `register` is unsafe")]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { fd: AsyncFd::new(fd)? })
    }

    /// Waits until `due`; returns at once when that is past. Not cancel safe: a cancelled wait leaves the timer armed.
    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.fd.readable().await?;
            let mut expirations = [0_u8; 8];
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut expirations)?)) {
                Ok(read) => return read.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_due(rate_per_s: u32, sessions: u32, turns: u64) -> Vec<Duration> {
        let mut due: Vec<_> = (0..sessions)
            .flat_map(|session| (0..turns).map(move |turn| Schedule { rate_per_s, sessions, session }.due(turn)))
            .collect();
        due.sort();
        due
    }

    #[test]
    fn sessions_together_send_evenly() {
        let due = all_due(1_000, 8, 50);
        for (position, due) in due.iter().enumerate() {
            assert_eq!(*due, Duration::from_millis(position as u64));
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let schedule = Schedule { rate_per_s: 3, sessions: 1, session: 0 };
        assert_eq!(schedule.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.due(3), Duration::from_secs(1));
        assert_eq!(schedule.due(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn more_sessions_than_calls_per_second_still_take_turns() {
        let due = all_due(10, 40, 1);
        assert_eq!(due[0], Duration::ZERO);
        assert_eq!(due[39], Duration::from_millis(3_900));
    }

    #[tokio::test]
    async fn the_timer_waits_until_its_time_and_can_be_used_again() {
        let timer = Timer::new().unwrap();
        for _ in 0..3 {
            let due = Instant::now() + Duration::from_millis(3);
            timer.until(due).await.unwrap();
            assert!(Instant::now() >= due);
        }
        timer.until(Instant::now()).await.unwrap();
    }
}
