//! The demo server's sessions: which there are, and what runs in each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

/// When there are more, the oldest ends.
const MAX_SESSIONS: usize = 1_024;

/// All sessions, oldest first.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<IndexMap<String, Arc<Session>>>);

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    ended: CancellationToken,
    /// Calls that run, by request id as JSON text.
    running: Mutex<HashMap<String, CancellationToken>>,
}

/// One call that runs; it is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    /// Cancelled when the client says so, or when the session ends.
    pub(super) cancel: CancellationToken,
    place: Option<(Arc<Session>, String)>,
}

impl Sessions {
    /// Begins a session and returns its id.
    pub(super) fn begin(&self) -> String {
        let mut random = [0u8; 18];
        aws_lc_rs::rand::fill(&mut random).expect("the system has randomness");
        let id = URL_SAFE_NO_PAD.encode(random);
        let session = Session { id: id.clone(), ended: CancellationToken::new(), running: Mutex::default() };
        let mut sessions = lock(&self.0);
        if sessions.len() >= MAX_SESSIONS
            && let Some((_, oldest)) = sessions.shift_remove_index(0)
        {
            oldest.ended.cancel();
        }
        sessions.insert(id.clone(), Arc::new(session));
        id
    }

    /// The session with this id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(id).cloned()
    }

    /// Ends a session and what runs in it.
    pub(super) fn end(&self, id: &str) {
        if let Some(session) = lock(&self.0).shift_remove(id) {
            session.ended.cancel();
        }
    }
}

impl Session {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Notes that a call runs, in a session or in none.
    pub(super) fn running(session: Option<&Arc<Self>>, request_id: &str) -> Running {
        let Some(session) = session else {
            return Running { cancel: CancellationToken::new(), place: None };
        };
        let cancel = session.ended.child_token();
        lock(&session.running).insert(request_id.to_owned(), cancel.clone());
        Running { cancel, place: Some((Arc::clone(session), request_id.to_owned())) }
    }

    /// Cancels the call with this request id, if it runs.
    pub(super) fn cancel(&self, request_id: &str) {
        if let Some(cancel) = lock(&self.running).get(request_id) {
            cancel.cancel();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((session, request_id)) = &self.place {
            lock(&session.running).remove(request_id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.begin();
        let kept = sessions.find(&first).expect("it has begun");
        for _ in 0..MAX_SESSIONS {
            sessions.begin();
        }
        assert!(sessions.find(&first).is_none() && kept.ended.is_cancelled());
    }

    #[test]
    fn a_call_is_forgotten_when_it_is_over() {
        let sessions = Sessions::default();
        let session = sessions.find(&sessions.begin()).expect("it has begun");
        let running = Session::running(Some(&session), "1");
        session.cancel("2");
        assert!(!running.cancel.is_cancelled());
        session.cancel("1");
        assert!(running.cancel.is_cancelled());
        drop(running);
        assert!(lock(&session.running).is_empty());
    }
}
