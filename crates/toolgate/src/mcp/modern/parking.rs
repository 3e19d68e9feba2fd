//! Calls that wait for their client to answer.
//!
//! The client keeps a sealed token and nothing else. It opens for its caller only, for the same request only, once, and
//! not for long: a call that nobody comes back for is cancelled at its server. The call itself stays in this process, so
//! behind several replicas a client must come back to the same one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::Call;
use crate::auth::CallerId;
use crate::seal::{Purpose, Sealer};

/// Calls that wait at once, of all callers.
const MAX_PARKED: usize = 1_000;

/// The same of one caller.
const MAX_PARKED_OF_ONE: usize = 100;

/// Where the calls are.
pub struct Parking {
    lifetime: Duration,
    /// Held for single map operations only.
    places: Arc<Mutex<Places>>,
}

type Places = HashMap<[u8; 16], Place>;

struct Place {
    caller: CallerId,
    digest: [u8; 32],
    /// Has the task that runs the call send it here.
    fetch: oneshot::Sender<oneshot::Sender<Call>>,
}

/// A place in use, until this is dropped.
struct Taken {
    places: Arc<Mutex<Places>>,
    id: [u8; 16],
}

/// What a client's token says; nothing is there for it, perhaps.
pub(super) struct Ticket([u8; 16]);

/// The layout of a token's plain text; a change of layout is a new number.
const LAYOUT: u8 = 1;
const TOKEN_BYTES: usize = 1 + 16 + 8;

impl Parking {
    /// Nothing yet; calls wait for `lifetime`.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, places: Arc::default() }
    }

    /// Parks `call` as one of `tasks`, until it is fetched, its time is over or `stopping`. Gives the token for the
    /// client.
    ///
    /// # Errors
    /// The call, when there is no room.
    pub(super) fn park(
        &self,
        sealer: &Sealer,
        caller: &CallerId,
        mut call: Call,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Result<String, Box<Call>> {
        let mut id = [0u8; 16];
        aws_lc_rs::rand::fill(&mut id).expect("the system's random source works");
        let (fetch, mut fetched) = oneshot::channel::<oneshot::Sender<Call>>();
        {
            let mut places = self.lock();
            let own = places.values().filter(|place| place.caller == *caller).count();
            if places.len() >= MAX_PARKED || own >= MAX_PARKED_OF_ONE {
                return Err(Box::new(call));
            }
            places.insert(id, Place { caller: caller.clone(), digest: call.digest, fetch });
        }
        call.hearing.attach(None);
        let taken = Taken { places: Arc::clone(&self.places), id };
        let (lifetime, stopping) = (self.lifetime, stopping.clone());
        tasks.spawn(async move {
            let _taken = taken;
            let back = tokio::select! {
                back = &mut fetched => back.ok(),
                () = call.run() => None,
                () = tokio::time::sleep(lifetime) => None,
                () = stopping.cancelled() => None,
            };
            if let Some(back) = back {
                // Whoever fetched it may have gone meanwhile; then the call goes too.
                drop(back.send(call));
            }
        });
        let mut plain = [0u8; TOKEN_BYTES];
        plain[0] = LAYOUT;
        plain[1..17].copy_from_slice(&id);
        let expires = SystemTime::now() + self.lifetime;
        let expires_s = expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        plain[17..].copy_from_slice(&expires_s.to_be_bytes());
        Ok(sealer.seal(Purpose::RequestState, caller.as_str(), &plain))
    }

    /// The ticket that `state` is, if this gateway gave it to this caller.
    pub(super) fn ticket(sealer: &Sealer, caller: &CallerId, state: &str) -> Option<Ticket> {
        let plain = sealer.open(Purpose::RequestState, caller.as_str(), state)?;
        let plain: &[u8; TOKEN_BYTES] = plain.as_slice().try_into().ok()?;
        let expires_s = u64::from_be_bytes(plain[17..].try_into().ok()?);
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        (plain[0] == LAYOUT).then(|| {
            // One that has expired leads nowhere, and is a ticket all the same: no server has ever seen it.
            let id = if now_s < expires_s { plain[1..17].try_into().expect("sixteen bytes") } else { [0; 16] };
            Ticket(id)
        })
    }

    /// Fetches the call behind `ticket`, once, for a request about the same. `None` when it is over or about another.
    pub(super) async fn fetch(&self, ticket: &Ticket, digest: &[u8; 32]) -> Option<Call> {
        let place = {
            let mut places = self.lock();
            places.get(&ticket.0).filter(|place| place.digest == *digest)?;
            places.remove(&ticket.0)?
        };
        let (back, came) = oneshot::channel();
        place.fetch.send(back).ok()?;
        came.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        locked(&self.places)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        locked(&self.places).remove(&self.id);
    }
}

fn locked(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    // No code that can panic runs under the lock, so a poisoned one still holds a whole map.
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use secrecy::SecretString;
    use toolgate_mcp::session::ClientCapabilities;

    use super::super::answer::Done;
    use super::super::hearing::{Hearing, Open};
    use super::*;
    use crate::mcp::outlet::Outlet;

    struct Lot {
        parking: Parking,
        sealer: Sealer,
        tasks: TaskTracker,
        stopping: CancellationToken,
    }

    /// A call that never ends; the token is cancelled when it is dropped.
    fn call(digest: [u8; 32]) -> (Call, CancellationToken) {
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let work = async move {
            let _guard = guard;
            pending::<Done>().await
        };
        let open = Open { outlet: Outlet::new(), log_level: None, token: None };
        let hearing = Hearing::new(ClientCapabilities::default(), open);
        (Call::new(Box::pin(work), hearing, Duration::from_secs(1), digest), gone)
    }

    impl Lot {
        fn new(lifetime: Duration) -> Self {
            Self {
                parking: Parking::new(lifetime),
                sealer: Sealer::new(&SecretString::from("a secret")),
                tasks: TaskTracker::new(),
                stopping: CancellationToken::new(),
            }
        }

        fn park(&self, caller: &str, call: Call) -> Result<String, Box<Call>> {
            self.parking.park(&self.sealer, &CallerId::named(caller), call, &self.tasks, &self.stopping)
        }

        async fn fetch(&self, caller: &str, token: &str, digest: [u8; 32]) -> bool {
            let Some(ticket) = Parking::ticket(&self.sealer, &CallerId::named(caller), token) else { return false };
            self.parking.fetch(&ticket, &digest).await.is_some()
        }
    }

    #[tokio::test]
    async fn a_call_is_fetched_once_by_its_caller_for_the_same_request() {
        let lot = Lot::new(Duration::from_secs(60));
        let (call, gone) = call([1; 32]);
        let token = lot.park("alice", call).ok().expect("there is room");
        assert!(!lot.fetch("bob", &token, [1; 32]).await);
        assert!(!lot.fetch("alice", &token, [2; 32]).await);
        assert!(!lot.fetch("alice", "deadbeef", [1; 32]).await);
        assert!(!gone.is_cancelled());
        assert!(lot.fetch("alice", &token, [1; 32]).await);
        assert!(!lot.fetch("alice", &token, [1; 32]).await);
        gone.cancelled().await;
    }

    #[tokio::test]
    async fn a_call_that_nobody_comes_back_for_is_dropped() {
        let lot = Lot::new(Duration::from_millis(20));
        let (call, gone) = call([1; 32]);
        let token = lot.park("alice", call).ok().expect("there is room");
        gone.cancelled().await;
        assert!(!lot.fetch("alice", &token, [1; 32]).await);
        lot.tasks.close();
        lot.tasks.wait().await;
    }

    #[tokio::test]
    async fn one_caller_cannot_take_all_places_and_a_stop_frees_them() {
        let lot = Lot::new(Duration::from_secs(60));
        for _ in 0..MAX_PARKED_OF_ONE {
            assert!(lot.park("alice", call([0; 32]).0).is_ok());
        }
        assert!(lot.park("alice", call([0; 32]).0).is_err());
        assert!(lot.park("bob", call([0; 32]).0).is_ok());
        lot.stopping.cancel();
        lot.tasks.close();
        lot.tasks.wait().await;
        assert!(lot.parking.lock().is_empty());
    }
}
