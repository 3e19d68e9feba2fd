//! Closing connections: idle ones, those of a client's session, all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Idle, Pool, Slot, SlotState, lock};
use crate::upstream::lane::{Key, SessionKey};
use crate::upstream::status::State;

/// How long closing sessions may take in all; the client gives a child less than that.
const CLOSING: Duration = Duration::from_secs(15);

impl Pool {
    /// The connections that nobody is using, and of which nobody wants to hear.
    pub(in crate::upstream) fn idle(&self) -> Vec<Idle> {
        let idle = self.unused();
        let standing = lock(&self.standing);
        idle.into_iter().filter(|idle| !standing.concerns(&idle.key)).collect()
    }

    fn unused(&self) -> Vec<Idle> {
        let slots = self.slots();
        slots
            .by_key
            .iter()
            .filter_map(|(key, slot)| {
                let SlotState::Ready(connection) = &slot.state else { return None };
                Some(Idle { key: key.clone(), number: connection.number, last_used: connection.idle_since()? })
            })
            .collect()
    }

    pub(in crate::upstream) fn close_if_idle(&self, idle: &Idle) {
        let mut slots = self.slots();
        let Some(slot) = slots.by_key.get(&idle.key).filter(|slot| slot.holds(idle.number)) else { return };
        let SlotState::Ready(connection) = &slot.state else { return };
        // Somebody may have taken it up since `idle` was made.
        if connection.idle_since().is_some() {
            let connection = Arc::clone(connection);
            slots.by_key.remove(&idle.key);
            drop(slots);
            self.give_up(connection);
            self.note_emptied();
        }
    }

    /// Closes what has been idle for `idle_for`, and forgets slots that hold nothing any more.
    pub(in crate::upstream) fn sweep(&self, now: Instant, idle_for: Duration) {
        for idle in self.idle() {
            if now.saturating_duration_since(idle.last_used) >= idle_for {
                self.close_if_idle(&idle);
            }
        }
        self.slots().by_key.retain(|_, slot| {
            let is_empty = matches!(slot.state, SlotState::Empty);
            !(is_empty && slot.backoff.is_over(now))
        });
    }

    fn note_emptied(&self) {
        // A server that is down stays so until it has answered.
        let was_up = self.watch.status().state == State::Up;
        if was_up && self.slots().by_key.is_empty() && self.watch.moved_to(State::Idle).is_some() {
            tracing::debug!(server.name = self.settings.name, "the last session was closed for want of use");
        }
    }

    /// Closes what hangs on a client's session, and ends what it wanted of connections that it shared.
    pub(in crate::upstream) async fn close_session(self: &Arc<Self>, session: SessionKey) {
        let orphans = lock(&self.standing).end(session);
        self.drop_subscriptions(orphans);
        let first = Key { session: Some(session), caller: None, capabilities: [0; 16], fingerprint: [0; 32] };
        let slots = {
            let mut slots = self.slots();
            let keys: Vec<_> = slots
                .by_key
                .range(first..)
                .map(|(key, _)| key)
                .take_while(|key| key.session == Some(session))
                .cloned()
                .collect();
            keys.iter().filter_map(|key| slots.by_key.remove(key)).collect()
        };
        close_all(slots).await;
    }

    /// Waits up to `grace` for requests that are running, then closes everything and stays closed. With `leaving`,
    /// sessions stay open at the server to whose streams clients may come back by way of another process.
    pub(in crate::upstream) async fn close(&self, grace: Duration, leaving: bool) {
        self.requests.close();
        if tokio::time::timeout(grace, self.requests.wait()).await.is_err() {
            tracing::warn!(
                server.name = self.settings.name,
                "{} requests to `{}` did not end within {grace:?} and are cut off",
                self.requests.len(),
                self.settings.name
            );
        }
        let slots: BTreeMap<Key, Slot> = {
            let mut slots = self.slots();
            slots.closed = true;
            std::mem::take(&mut slots.by_key)
        };
        if leaving {
            self.leave(&slots);
        }
        lock(&self.standing).clear();
        self.closing.cancel();
        close_all(slots.into_values().collect()).await;
    }

    /// Ends our part of those sessions of which a client has ids of events that it has not seen the end of.
    fn leave(&self, slots: &BTreeMap<Key, Slot>) {
        let standing = lock(&self.standing);
        for (key, slot) in slots {
            if let SlotState::Ready(connection) = &slot.state
                && connection.ears.has_places()
                && (connection.idle_since().is_none() || standing.wants_listening(key))
            {
                connection.session.leave();
            }
        }
    }
}

async fn close_all(slots: Vec<Slot>) {
    let sessions: Vec<_> = slots
        .into_iter()
        .filter_map(|slot| match slot.state {
            SlotState::Ready(connection) => Some(connection),
            SlotState::Connecting { .. } | SlotState::Empty => None,
        })
        .collect();
    let closing = join_all(sessions.iter().map(|connection| connection.session.close()));
    if tokio::time::timeout(CLOSING, closing).await.is_err() {
        tracing::warn!("some sessions with upstreams could not be closed within {CLOSING:?}");
    }
}
