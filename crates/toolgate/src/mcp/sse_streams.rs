//! The open streams of the HTTP+SSE transport: where the answer to a posted message goes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::upstream::SessionKey;

/// The open streams, by the session that each is.
#[derive(Default)]
pub struct SseStreams {
    /// Guards the map alone; held for a look-up.
    open: Mutex<HashMap<[u8; 16], mpsc::Sender<Bytes>>>,
}

impl SseStreams {
    pub(super) fn insert(&self, key: &SessionKey, sender: mpsc::Sender<Bytes>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key.0, sender);
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<mpsc::Sender<Bytes>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&key.0).cloned()
    }

    pub(super) fn remove(&self, key: &SessionKey) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.0);
    }
}
