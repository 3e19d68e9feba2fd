//! A request of which the server speaks on after it has answered: a call that goes on as a task.
//!
//! Source: MCP 2025-11-25, Tasks: a progress token is good for as long as the task lives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Attended, Ears};
use crate::upstream::hears::Hears;

/// Keeps a request's progress token known beyond the request, on whatever connection the next ones go.
#[derive(Default)]
pub struct Lasting {
    /// `None` until the first request is answered. Held for a few lines only.
    kept: Mutex<Option<Arc<Attended>>>,
}

impl Lasting {
    /// The request that began it has been answered, and the server goes on; what is answered later is over.
    pub(in crate::upstream) fn answered(&self, mut attended: Attended) {
        let mut kept = self.lock();
        if kept.is_some() {
            return attended.answered();
        }
        attended.go_on();
        *kept = Some(Arc::new(attended));
    }

    /// What is known of it, on a connection with these `ears`: the one before may have been lost.
    pub(in crate::upstream) fn on(&self, ears: &Arc<Ears>, hears: Option<&Arc<dyn Hears>>) -> Option<Arc<Attended>> {
        let mut kept = self.lock();
        let known = kept.as_ref().filter(|known| known.token)?;
        if !Arc::ptr_eq(&known.ears, ears) {
            let own = known.ears.running().tokens.get(&known.number).map(|token| token.own.clone())?;
            let again = ears.attend_again(Some(&(known.number, own)), hears?);
            *kept = again.map(Arc::new);
        }
        kept.clone()
    }

    /// The server has nothing more to say of it.
    pub(in crate::upstream) fn is_over(&self) {
        let kept = self.lock().take();
        if let Some(attended) = kept.and_then(Arc::into_inner) {
            attended.answered();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Attended>>> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
