//! A limited number of places, such as for connections; what takes one gives it back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the places that are taken. How many there may be is said with each, since a reload may change it.
#[derive(Debug, Default)]
pub struct Places(Arc<AtomicUsize>);

/// One place.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Places {
    /// A place, unless `most` are taken.
    #[must_use]
    pub fn place(&self, most: usize) -> Option<Place> {
        let take = |taken: usize| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Place(Arc::clone(&self.0)))
    }

    /// A place, however many are taken.
    #[must_use]
    pub fn one_more(&self) -> Place {
        self.0.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.0))
    }

    /// Whether fewer than `most` are taken.
    #[must_use]
    pub fn has_room(&self, most: usize) -> bool {
        self.0.load(Ordering::Relaxed) < most
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn places_are_limited_and_given_back() {
        let places = Places::default();
        let (one, two) = (places.place(2), places.place(2));
        assert!(one.is_some() && two.is_some() && places.place(2).is_none() && !places.has_room(2));
        assert!(places.place(3).is_some(), "the limit may have been raised");
        drop(one);
        assert!(places.has_room(2));
        let (three, four) = (places.one_more(), places.one_more());
        assert!(places.place(3).is_none());
        drop((two, three, four));
        assert!(places.place(1).is_some());
    }
}
