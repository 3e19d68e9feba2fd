//! The streams of a session that its client may take up again after it has lost them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Duration, Instant};

use super::super::outlet::Outlet;

/// Streams of one session that are kept at once; the oldest that has ended goes first.
const MAX_STREAMS: usize = 64;

/// Ended streams of one session that are kept.
const MAX_ENDED: usize = 8;

/// Bytes that the ended streams of all sessions may keep.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Of the bytes that ended streams keep.
#[derive(Default)]
pub(super) struct Budget(AtomicUsize);

#[derive(Default)]
pub(super) struct Kept {
    streams: VecDeque<Stream>,
}

struct Stream {
    number: u64,
    outlet: Arc<Outlet>,
    /// When its answer was there, and what it takes of the budget since.
    ended: Option<(Instant, usize)>,
}

impl Budget {
    fn take(&self, bytes: usize) -> bool {
        let take = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= MAX_BYTES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Kept {
    /// Keeps a stream that has begun; `false` when there are too many.
    pub(super) fn begin(&mut self, number: u64, outlet: &Arc<Outlet>, budget: &Budget) -> bool {
        if self.streams.len() >= MAX_STREAMS && !self.forget_oldest_ended(budget) {
            return false;
        }
        self.streams.push_back(Stream { number, outlet: Arc::clone(outlet), ended: None });
        true
    }

    /// The stream's answer is there. It is kept for a while, if there is room for that.
    pub(super) fn ended(&mut self, number: u64, budget: &Budget) {
        let Some(at) = self.streams.iter().position(|stream| stream.number == number) else { return };
        let bytes = self.streams[at].outlet.held_bytes();
        while !budget.take(bytes) {
            if !self.forget_oldest_ended(budget) {
                // Whoever reads it now reads it to its end.
                self.streams.retain(|stream| stream.number != number);
                return;
            }
        }
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.number == number) {
            stream.ended = Some((Instant::now(), bytes));
        }
        while self.streams.iter().filter(|stream| stream.ended.is_some()).count() > MAX_ENDED {
            self.forget_oldest_ended(budget);
        }
    }

    pub(super) fn find(&self, number: u64) -> Option<Arc<Outlet>> {
        self.streams.iter().find(|stream| stream.number == number).map(|stream| Arc::clone(&stream.outlet))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Forgets what has ended longer ago than `limit`, and what its client left longer ago than that.
    pub(super) fn sweep(&mut self, limit: Duration, budget: &Budget) {
        self.streams.retain(|stream| match stream.ended {
            Some((at, bytes)) if at.elapsed() >= limit => {
                budget.give_back(bytes);
                false
            }
            None if stream.outlet.left_since().is_some_and(|left| left.elapsed() >= limit) => {
                stream.outlet.desert();
                false
            }
            _ => true,
        });
    }

    pub(super) fn clear(&mut self, budget: &Budget) {
        while self.forget_oldest_ended(budget) {}
        self.streams.clear();
    }

    fn forget_oldest_ended(&mut self, budget: &Budget) -> bool {
        let Some(at) = self.streams.iter().position(|stream| stream.ended.is_some()) else { return false };
        if let Some((_, bytes)) = self.streams.remove(at).and_then(|stream| stream.ended) {
            budget.give_back(bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn ended(bytes: usize) -> Arc<Outlet> {
        let outlet = Outlet::new();
        outlet.finish(Some(Bytes::from(vec![b'x'; bytes])));
        outlet
    }

    #[test]
    fn a_few_ended_streams_are_kept_for_a_while() {
        let (mut kept, budget) = (Kept::default(), Budget::default());
        for number in 0..20 {
            assert!(kept.begin(number, &ended(1), &budget));
            kept.ended(number, &budget);
        }
        assert!(kept.find(11).is_none() && kept.find(12).is_some());
        kept.sweep(Duration::from_secs(60), &budget);
        assert!(kept.find(12).is_some());
        kept.sweep(Duration::ZERO, &budget);
        assert!(kept.find(19).is_none());
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn streams_that_run_are_bounded_and_not_forgotten_for_others() {
        let (mut kept, budget) = (Kept::default(), Budget::default());
        for number in 0..MAX_STREAMS as u64 {
            assert!(kept.begin(number, &Outlet::new(), &budget));
        }
        assert!(!kept.begin(1000, &Outlet::new(), &budget));
        kept.ended(5, &budget);
        assert!(kept.begin(1000, &Outlet::new(), &budget));
        assert!(kept.find(5).is_none() && kept.find(6).is_some());
    }

    #[test]
    fn bytes_are_bounded_over_all_sessions() {
        let budget = Budget::default();
        let (mut one, mut other) = (Kept::default(), Kept::default());
        assert!(one.begin(1, &ended(MAX_BYTES - 1), &budget) && other.begin(1, &ended(2), &budget));
        one.ended(1, &budget);
        other.ended(1, &budget);
        assert!(one.find(1).is_some() && other.find(1).is_none());
        one.clear(&budget);
        assert!(other.begin(2, &ended(2), &budget));
        other.ended(2, &budget);
        assert!(other.find(2).is_some());
    }
}
