//! The subscriptions that share a child's output: each notification names the one it belongs to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use toolgate_mcp::jsonrpc::{self, Message};
use toolgate_mcp::method::CANCELLED;

use super::{Queue, lines};
use crate::answer::{AnswerOutcome, RpcError};
use crate::error::{Delivery, Error, Problem};
use crate::listening::{Hearer, METHOD};
use crate::message;
use crate::options::Events as _;
use crate::pending::Pending;

/// Who hears which subscription.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// By the id of the `subscriptions/listen`; guards the map only.
    hearers: Mutex<HashMap<u64, Subscription>>,
}

#[derive(Clone)]
struct Subscription {
    hearer: Arc<Hearer>,
    /// Cancelled when the server takes it down by a notification.
    taken_down: CancellationToken,
}

impl Subscriptions {
    /// Takes a notification that belongs to a subscription; `false` leaves it to others.
    pub(super) fn heard(&self, method: &str, message: &Bytes) -> bool {
        if self.lock().is_empty() {
            return false;
        }
        let Ok(Message::Notification(notification)) = jsonrpc::parse(message) else { return false };
        let Some(id) = notification.params.and_then(|params| subscription_of(method, params.get())) else {
            return false;
        };
        let Some(subscription) = self.lock().get(&id).cloned() else { return false };
        if method == CANCELLED {
            subscription.taken_down.cancel();
        } else {
            subscription.hearer.notification(method, message.clone());
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Subscription>> {
        self.hearers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the subscription that a notification names.
fn subscription_of(method: &str, params: &str) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        request_id: Option<&'a RawValue>,
        #[serde(borrow, rename = "_meta")]
        meta: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, rename = "io.modelcontextprotocol/subscriptionId")]
        subscription_id: Option<&'a RawValue>,
    }
    let wire: Wire<'_> = serde_json::from_str(params).ok()?;
    let named = match (method, wire.request_id) {
        (CANCELLED, Some(id)) => id,
        _ => serde_json::from_str::<Meta<'_>>(wire.meta?.get()).ok()?.subscription_id?,
    };
    named.get().parse().ok()
}

/// What it takes to run one subscription.
pub(super) struct Run {
    pub(super) server: Box<str>,
    pub(super) queue: Queue,
    pub(super) pending: Arc<Pending>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) id: u64,
}

impl Run {
    /// Sends `message` and waits for its answer, which is the end. Dropped before that, it tells the child.
    pub(super) async fn serve(self, message: Bytes, hearer: Arc<Hearer>) -> Result<(), Error> {
        let mut waiter = self.pending.expect(self.id)?;
        let taken_down = CancellationToken::new();
        let subscription = Subscription { hearer, taken_down: taken_down.clone() };
        self.subscriptions.lock().insert(self.id, subscription);
        let mut running = Running { run: &self, told: true };
        let failed = |delivery, problem| Error::new(&self.server, delivery, problem);
        self.queue.push(lines::framed(message)).map_err(|problem| failed(Delivery::NotSent, problem))?;
        running.told = false;
        let answer = tokio::select! {
            answer = waiter.answer() => answer,
            () = taken_down.cancelled() => {
                running.told = true;
                return Ok(());
            }
        };
        running.told = true;
        match answer?.outcome() {
            AnswerOutcome::Result(_) => Ok(()),
            AnswerOutcome::Error(error) => {
                let problem = Problem::Refused { method: METHOD.into(), error: RpcError::read(error) };
                Err(failed(Delivery::Answered, problem))
            }
        }
    }
}

struct Running<'a> {
    run: &'a Run,
    /// Whether the child knows that this is over, or never knew of it.
    told: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.run.subscriptions.lock().remove(&self.run.id);
        if !self.told && self.run.pending.lost().is_none() {
            // A child that does not read will not miss it.
            let _ = self.run.queue.push(lines::framed(message::cancelled(self.run.id, None)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CANCELLED, subscription_of};

    #[test]
    fn a_notification_names_its_subscription() {
        let meta = r#"{"uri":"a","_meta":{"io.modelcontextprotocol/subscriptionId":7,"x":1}}"#;
        let cases = [
            ("notifications/resources/updated", meta, Some(7)),
            (CANCELLED, r#"{"requestId":8}"#, Some(8)),
            (CANCELLED, meta, Some(7)),
            ("notifications/progress", r#"{"requestId":8}"#, None),
            ("x", r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":"7"}}"#, None),
            ("x", r#"{"_meta":null}"#, None),
            ("x", "[]", None),
        ];
        for (method, params, id) in cases {
            assert_eq!(subscription_of(method, params), id, "{method} {params}");
        }
    }
}
