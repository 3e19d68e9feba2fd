//! Somebody who remembers what was said.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use toolgate_client::{Events, Question};

use crate::upstream::{Capabilities, ClientSide, Hears, SessionKey};

/// Remembers notifications, and answers each question with its name.
pub(super) struct Heard {
    name: &'static str,
    said: Mutex<Vec<(String, Value)>>,
    arrived: Semaphore,
}

impl Heard {
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, said: Mutex::default(), arrived: Semaphore::new(0) })
    }

    /// The methods and what is in them of `field`, in order.
    pub(super) fn of(&self, field: &str) -> Vec<(String, Value)> {
        let said = self.said.lock().unwrap();
        said.iter().map(|(method, message)| (method.clone(), message["params"][field].clone())).collect()
    }

    /// Waits until one more has come than was waited for before.
    pub(super) async fn next(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

impl Hears for Heard {}

impl Events for Heard {
    fn notification(&self, method: &str, message: Bytes) {
        self.said.lock().unwrap().push((method.to_owned(), serde_json::from_slice(&message).unwrap()));
        self.arrived.add_permits(1);
    }

    fn question(&self, question: Question) {
        let message = serde_json::from_slice(question.message()).unwrap();
        self.said.lock().unwrap().push((question.method().to_owned(), message));
        question.answer(&format!(r#"{{"action":"accept","content":{{"who":"{}"}}}}"#, self.name));
        self.arrived.add_permits(1);
    }
}

pub(super) fn hears(heard: &Arc<Heard>) -> Arc<dyn Hears> {
    Arc::clone(heard) as Arc<dyn Hears>
}

/// A client with session number `session` and these capabilities, for which `heard` hears.
pub(super) fn client(session: Option<u8>, capabilities: &str, heard: &Arc<Heard>) -> ClientSide {
    ClientSide {
        session: session.map(|session| SessionKey([session; 16])),
        capabilities: Capabilities::read(Some(serde_json::from_str(capabilities).unwrap())).unwrap(),
        hears: Some(hears(heard)),
        log_level: None,
        speaks_for_itself: false,
    }
}
