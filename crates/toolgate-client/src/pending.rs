//! Requests on a shared stream, each waiting for the answer with its id.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::error::{Delivery, Error};

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Pending {
    /// Held for single map operations only.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Result<Answer, Error>>>,
    /// Why no answer will come any more.
    lost: Option<Error>,
}

/// One request that waits. Dropping it stops the waiting.
pub(crate) struct Waiter<'a> {
    pending: &'a Pending,
    id: u64,
    answer: oneshot::Receiver<Result<Answer, Error>>,
}

impl Pending {
    /// Begins to wait for the answer to `id`.
    pub(crate) fn expect(&self, id: u64) -> Result<Waiter<'_>, Error> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        if let Some(lost) = &state.lost {
            return Err(lost.with_delivery(Delivery::NotSent));
        }
        state.waiting.insert(id, sender);
        Ok(Waiter { pending: self, id, answer })
    }

    /// Hands `answer` to whom it belongs; `false` if nobody waits for it.
    pub(crate) fn answer(&self, id: u64, answer: Answer) -> bool {
        let waiting = self.lock().waiting.remove(&id);
        waiting.is_some_and(|sender| sender.send(Ok(answer)).is_ok())
    }

    /// Whether anybody waits for an answer.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Fails everyone who waits, and who will. The first reason stays.
    pub(crate) fn fail(&self, error: &Error) {
        let mut state = self.lock();
        let lost = state.lost.get_or_insert_with(|| error.clone()).clone();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for sender in waiting.into_values() {
            // Whoever stopped waiting meanwhile does not miss the news.
            let _ = sender.send(Err(lost.with_delivery(Delivery::Unknown)));
        }
    }

    /// Why no answer will come any more, if that is so.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.lock().lost.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    pub(crate) async fn answer(&mut self) -> Result<Answer, Error> {
        match (&mut self.answer).await {
            Ok(outcome) => outcome,
            // The sender is only dropped unsent when a second request took the id, and ids do not repeat.
            Err(_) => Err(Error::new("", Delivery::Unknown, crate::error::Problem::Closed)),
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.pending.lock().waiting.remove(&self.id);
    }
}
