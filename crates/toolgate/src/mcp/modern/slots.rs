//! Sessions at servers of older revisions for the calls of clients that can be asked.
//!
//! Such a server may ask on the stream that belongs to its session and to no call. The client has no session, so each of
//! its calls borrows one while it runs: whatever is asked there is about that call. A session is used again by the same
//! caller's next call, so that calls one after the other need one only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::auth::CallerId;
use crate::upstream::{Capabilities, SessionKey};

/// Sessions of one caller and one set of capabilities at once; further calls go without.
const MAX_OF_ONE: usize = 100;

/// Callers, each with one set of capabilities, that are remembered while none of their calls runs.
const MAX_IDLE: usize = 10_000;

/// The sessions that there are.
#[derive(Default)]
pub struct Slots {
    /// Held for a few lines only.
    slots: Arc<Mutex<Owned>>,
}

type Owned = HashMap<Owner, Vec<Slot>>;

/// Who may use a session: a caller, with what its client declared.
type Owner = (CallerId, [u8; 32]);

struct Slot {
    key: SessionKey,
    is_taken: bool,
}

/// A session that is one call's, until this is dropped.
pub(super) struct Taken {
    slots: Arc<Mutex<Owned>>,
    owner: Owner,
    pub(super) key: SessionKey,
}

impl Slots {
    /// A session for one call. `None` when the caller has too many already.
    pub(super) fn take(&self, caller: &CallerId, capabilities: &Capabilities) -> Option<Taken> {
        let mut declared = [0; 32];
        declared.copy_from_slice(digest(&SHA256, capabilities.raw().get().as_bytes()).as_ref());
        let owner = (caller.clone(), declared);
        let mut slots = locked(&self.slots);
        if slots.len() >= MAX_IDLE && !slots.contains_key(&owner) {
            slots.retain(|_, own| own.iter().any(|slot| slot.is_taken));
        }
        let own = slots.entry(owner.clone()).or_default();
        let key = match own.iter().position(|slot| !slot.is_taken) {
            Some(at) => {
                own[at].is_taken = true;
                own[at].key
            }
            None if own.len() >= MAX_OF_ONE => return None,
            None => {
                let mut key = [0u8; 16];
                aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
                own.push(Slot { key: SessionKey(key), is_taken: true });
                SessionKey(key)
            }
        };
        drop(slots);
        Some(Taken { slots: Arc::clone(&self.slots), owner, key })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut slots = locked(&self.slots);
        let own = slots.get_mut(&self.owner).into_iter().flatten();
        own.filter(|slot| slot.key == self.key).for_each(|slot| slot.is_taken = false);
    }
}

fn locked(slots: &Mutex<Owned>) -> MutexGuard<'_, Owned> {
    // No code that can panic runs under the lock, so a poisoned one still holds a whole map.
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_calls_and_then_the_next_ones_of_the_same_caller() {
        let slots = Slots::default();
        let none = Capabilities::none();
        let take = |name: &str| slots.take(&CallerId::named(name), &none).expect("there is room");
        let (one, two, other) = (take("alice"), take("alice"), take("bob"));
        assert!(one.key != two.key && one.key != other.key && two.key != other.key);
        let first = one.key;
        drop(one);
        assert_eq!(take("alice").key, first);
        let all: Vec<_> = (0..MAX_OF_ONE).map_while(|_| slots.take(&CallerId::named("alice"), &none)).collect();
        assert_eq!(all.len(), MAX_OF_ONE - 1, "one is still in use");
    }
}
