//! Tokens that were opened lately, so that a busy session's is not deciphered at every request.

use std::sync::{Mutex, PoisonError};

use super::ClientSession;
use crate::auth::CallerId;

/// Slots; a token has one of them, and shares it with others. About 300 bytes each when in use.
const SLOTS: usize = 4096;

/// The token that came last in each slot.
pub(super) struct Opened(Box<[Mutex<Option<Entry>>]>);

struct Entry {
    caller: CallerId,
    token: Box<str>,
    session: ClientSession,
}

impl Opened {
    pub(super) fn none() -> Self {
        Self((0..SLOTS).map(|_| Mutex::default()).collect())
    }

    /// The session that `token` opened for `caller`. Whether it is still open is another question.
    ///
    /// Tokens are compared byte by byte, and how long that takes tells a caller about tokens of its own only.
    pub(super) fn find(&self, caller: &CallerId, token: &str) -> Option<ClientSession> {
        let slot = self.slot(token)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = slot.as_ref().filter(|entry| entry.caller == *caller && *entry.token == *token)?;
        Some(entry.session.clone())
    }

    pub(super) fn keep(&self, caller: &CallerId, token: &str, session: &ClientSession) {
        let Some(slot) = self.slot(token) else { return };
        let entry = Entry { caller: caller.clone(), token: token.into(), session: session.clone() };
        let former = slot.lock().unwrap_or_else(PoisonError::into_inner).replace(entry);
        drop(former);
    }

    /// A token ends with its seal, which is as good as random; its last characters choose the slot.
    fn slot(&self, token: &str) -> Option<&Mutex<Option<Entry>>> {
        let end = token.as_bytes().last_chunk::<8>()?;
        let mixed = u64::from_le_bytes(*end).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0.get((mixed >> (u64::BITS - SLOTS.ilog2())) as usize)
    }
}
