//! What is behind a stream: the places in servers' streams to which its events have come.
//!
//! An event's id is to lead to what has not been said when the client has read that event. So it carries the place that
//! was told last before it was put in; but while a server's question is before the client, the place before that
//! question: whoever goes on from there has it asked again, since only the process that asked can take the answer.

use std::sync::Arc;

use bytes::Bytes;

use super::queue::Kind;
use super::{Outlet, Phase, Place};

#[derive(Default)]
pub(super) struct Behind {
    now: Option<Place>,
    /// The one before it.
    before: Option<Place>,
    /// `now` is that of a message that was not put in yet.
    is_fresh: bool,
    /// What was behind the stream before its first event.
    beginning: Option<Place>,
    has_begun: bool,
    /// Questions that are before the client, and the place before the first of them.
    holds: usize,
    held: Option<Place>,
    /// The client has an id that leads on from here, or need not have one.
    is_known: bool,
}

/// As long as it lives, events lead back to before the question for which it was made.
pub struct Hold(Arc<Outlet>);

impl Behind {
    /// What goes with the next event.
    pub(super) fn of_next(&mut self, is_question: bool) -> Option<Place> {
        let before = if std::mem::take(&mut self.is_fresh) { self.before.clone() } else { self.now.clone() };
        if !std::mem::replace(&mut self.has_begun, true) {
            self.beginning.clone_from(&before);
        }
        self.is_known |= self.now.is_some() && self.holds == 0;
        match (self.holds, is_question) {
            (0, false) => self.now.clone(),
            (0, true) => {
                self.held.clone_from(&before);
                before
            }
            _ => self.held.clone(),
        }
    }

    fn passed(&mut self, place: Option<Place>, has_message: bool) {
        self.before = std::mem::replace(&mut self.now, place);
        self.is_fresh = has_message;
    }

    /// What was behind the stream before its first event.
    fn beginning(&self) -> Option<Place> {
        if self.has_begun { self.beginning.clone() } else { self.now.clone() }
    }
}

impl Outlet {
    /// A server's stream has come to `place`; `None` if nobody else could go on from there. With `has_message`, what the
    /// server says there is put in next, else it is nothing.
    pub fn passed(&self, place: Option<Place>, has_message: bool) {
        let mut state = self.lock();
        let can_be_told = place.is_some() && !has_message && state.behind.holds == 0;
        state.behind.passed(place, has_message);
        if can_be_told && state.tells_places && !state.behind.is_known && state.phase == Phase::Open {
            state.put(Kind::Notification, Bytes::new());
        }
    }

    /// Tells the client by an event without data as soon as it can come back from here to another process: it may be
    /// that nothing else is said for long. For revisions that have such events.
    pub fn tell_places(&self) {
        let mut state = self.lock();
        state.tells_places = true;
        state.behind.is_known |= state.behind.now.is_some();
    }

    /// What was behind the stream before its first event.
    #[must_use]
    pub fn behind_beginning(&self) -> Option<Place> {
        self.lock().behind.beginning()
    }

    /// What was behind the stream at the event that was last read, as far as is known.
    #[must_use]
    pub fn behind_last_read(&self) -> Option<Place> {
        let state = self.lock();
        match state.queue.behind_last_read() {
            Some(place) => Some(place),
            None if state.queue.is_waiting() => None,
            None => state.behind.now.clone().filter(|_| state.behind.holds == 0),
        }
    }

    /// A question was put in just now.
    pub(super) fn hold(self: &Arc<Self>, behind: &mut Behind) -> Hold {
        behind.holds += 1;
        Hold(Arc::clone(self))
    }

    /// A stream that goes on with what another process has begun, after its event `number`, at `place`.
    #[must_use]
    pub fn going_on(number: u64, place: Place) -> Arc<Self> {
        let outlet = Self::new();
        {
            let mut state = outlet.lock();
            state.queue.go_on_after(number);
            state.behind = Behind { now: Some(place), is_known: true, ..Behind::default() };
        }
        outlet
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.behind.holds -= 1;
        if state.behind.holds == 0 {
            state.behind.held = None;
        }
    }
}
