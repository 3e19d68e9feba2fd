//! Keys that were refused: how often from each address, so that a flood of bad keys is slowed and told of, and never a key
//! that is good.
//!
//! An address with too many is told 429 instead of 401, and its keys that are not known here are looked up a few at a
//! time. Keys that are known pass as ever, so nobody is locked out by a neighbour. What is told of in the audit log is
//! counted: a row for each address and key in a minute, and no more than [`MOST_ROWS`] in all.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use serde_json::json;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use toolgate_access::key::KeyHash;
use toolgate_store::{Action, Actor, Noun, Occurrence, Store, StoreError};

use crate::gateway::Gateway;
use crate::telemetry::request_id as ids;

/// Addresses and keys remembered at once.
const MAX_SUBJECTS: u64 = 20_000;

/// How long one is remembered that is refused no more.
const IDLE: Duration = Duration::from_secs(600);

/// Bad keys of one address that are let pass as such at once; people's programs try again and again.
const BURST: f64 = 300.0;

/// How many more each second.
const PER_SECOND: f64 = 5.0;

/// Look-ups at the same time for addresses with too many bad keys.
const LOOKUPS: usize = 4;

/// How long such a look-up waits for its turn.
const TURN: Duration = Duration::from_secs(1);

/// How often one that goes on being refused is told of.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Rows of the audit log in that time.
const MOST_ROWS: usize = 20;

/// What was refused, as far as it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// Something that is no key, from this address. Where many share a network of IPv6, the network.
    Address(Option<IpAddr>),
    /// A key that is there and not in force.
    Key(KeyHash),
}

/// How often, and what was said of it.
#[derive(Debug)]
struct Tally {
    /// How many more are let pass.
    left: f64,
    counted: Instant,
    /// Not told of yet.
    untold: u64,
    told: Option<Instant>,
    /// Of the last one.
    why: String,
    from: Option<IpAddr>,
    request_id: String,
}

/// All that were refused.
pub(super) struct Refusals {
    tallies: Cache<Subject, Arc<Mutex<Tally>>>,
    turns: Semaphore,
    /// Somebody new was refused.
    news: Notify,
    /// Refusals that were told of nowhere, since there were too many.
    others: AtomicU64,
}

/// A turn of looking a key up.
pub(super) struct Turn<'a>(#[expect(dead_code, reason = "held")] Option<SemaphorePermit<'a>>);

impl Refusals {
    pub(super) fn none() -> Self {
        Self {
            tallies: Cache::builder().max_capacity(MAX_SUBJECTS).time_to_idle(IDLE).build(),
            turns: Semaphore::new(LOOKUPS),
            news: Notify::new(),
            others: AtomicU64::new(0),
        }
    }

    /// Waits until a key from this address, which is not known here, may be looked up. `None`: too many wait already.
    pub(super) async fn turn(&self, from: Option<IpAddr>) -> Option<Turn<'_>> {
        if !self.is_over(from, Instant::now()) {
            return Some(Turn(None));
        }
        let permit = tokio::time::timeout(TURN, self.turns.acquire()).await.ok()?.ok()?;
        Some(Turn(Some(permit)))
    }

    /// Something from this address was refused. Whether there were too many.
    pub(super) fn address(&self, from: Option<IpAddr>, why: &str) -> bool {
        let now = Instant::now();
        self.note(Subject::Address(network(from)), from, why, now);
        self.is_over(from, now)
    }

    /// A key that is there was refused. Whether there were too many from its address.
    pub(super) fn key(&self, hash: KeyHash, from: Option<IpAddr>, why: &str) -> bool {
        let now = Instant::now();
        self.note(Subject::Key(hash), from, why, now);
        let tally = self.tally(Subject::Address(network(from)), from, now);
        locked(&tally).spend(now);
        self.is_over(from, now)
    }

    fn is_over(&self, from: Option<IpAddr>, now: Instant) -> bool {
        self.tallies.get(&Subject::Address(network(from))).is_some_and(|tally| locked(&tally).refilled(now) < 1.0)
    }

    fn note(&self, subject: Subject, from: Option<IpAddr>, why: &str, now: Instant) {
        let tally = self.tally(subject, from, now);
        let is_new = {
            let mut tally = locked(&tally);
            tally.spend(now);
            tally.untold += 1;
            tally.from = from;
            if tally.why != why {
                why.clone_into(&mut tally.why);
            }
            tally.request_id = request_id();
            tally.told.is_none() && tally.untold == 1
        };
        if is_new {
            self.news.notify_one();
        }
    }

    fn tally(&self, subject: Subject, from: Option<IpAddr>, now: Instant) -> Arc<Mutex<Tally>> {
        let fresh = || {
            Arc::new(Mutex::new(Tally {
                left: BURST,
                counted: now,
                untold: 0,
                told: None,
                why: String::new(),
                from,
                request_id: String::new(),
            }))
        };
        self.tallies.get_with(subject, fresh)
    }

    /// What is to be told now: those of whom nothing was told for a while, the most refused first, and how many others
    /// there were.
    fn due(&self, now: Instant, most: usize) -> Vec<Row> {
        let mut due: Vec<(u64, Subject, Arc<Mutex<Tally>>)> = self
            .tallies
            .iter()
            .filter_map(|(subject, tally)| {
                let untold = {
                    let tally = locked(&tally);
                    let may = tally.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
                    if may { tally.untold } else { 0 }
                };
                (untold > 0).then(|| (untold, *subject, tally))
            })
            .collect();
        due.sort_by_key(|(untold, ..)| std::cmp::Reverse(*untold));
        let mut rows = Vec::new();
        for (at, (_, subject, tally)) in due.into_iter().enumerate() {
            let mut tally = locked(&tally);
            let count = std::mem::take(&mut tally.untold);
            if at >= most {
                self.others.fetch_add(count, Ordering::Relaxed);
                continue;
            }
            tally.told = Some(now);
            let (why, request_id) = (tally.why.clone(), tally.request_id.clone());
            rows.push(Row { subject, count, why, from: tally.from, request_id });
        }
        rows
    }
}

impl Tally {
    fn refilled(&mut self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.left = (self.left + passed * PER_SECOND).min(BURST);
        self.counted = now;
        self.left
    }

    fn spend(&mut self, now: Instant) {
        self.left = (self.refilled(now) - 1.0).max(0.0);
    }
}

/// The id of the request that is being served.
pub(super) fn request_id() -> String {
    ids::current().and_then(|id| Some(id.to_str().ok()?.to_owned())).unwrap_or_default()
}

fn locked(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever has one address of IPv6 has a network of them.
fn network(from: Option<IpAddr>) -> Option<IpAddr> {
    from.map(|from| match from.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    })
}

/// A row of the audit log.
struct Row {
    subject: Subject,
    count: u64,
    why: String,
    from: Option<IpAddr>,
    request_id: String,
}

impl Row {
    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let address = |from: Option<IpAddr>| from.map_or_else(|| "unknown".to_owned(), |from| from.to_string());
        let object_id = match self.subject {
            Subject::Address(network) => address(network),
            Subject::Key(hash) => hash.to_hex(),
        };
        let values = json!({"count": self.count, "address": address(self.from), "reason": self.why});
        let actor = Actor { request_id: self.request_id.clone(), ..Actor::default() };
        let occurrence =
            Occurrence { noun: Noun::Key, object_id: &object_id, action: Action::SignInFailed, values: Some(values) };
        store.audit(&actor, occurrence).await
    }
}

/// Tells the audit log of what is refused, until the gateway stops.
pub async fn tell(gateway: Gateway) {
    let Some(store) = gateway.identity.store().cloned() else { return };
    let refusals = &gateway.identity.refusals;
    let mut window = (Instant::now(), 0);
    loop {
        let is_last = tokio::select! {
            () = gateway.stopping.cancelled() => true,
            () = refusals.news.notified() => false,
            () = tokio::time::sleep(TOLD_EVERY) => false,
        };
        let now = Instant::now();
        if now.duration_since(window.0) >= TOLD_EVERY {
            tell_of_others(refusals, &store).await;
            window = (now, 0);
        }
        for row in refusals.due(now, MOST_ROWS.saturating_sub(window.1)) {
            window.1 += 1;
            told(row.write(&store).await);
        }
        if is_last {
            tell_of_others(refusals, &store).await;
            return;
        }
    }
}

async fn tell_of_others(refusals: &Refusals, store: &Store) {
    let count = refusals.others.swap(0, Ordering::Relaxed);
    if count == 0 {
        return;
    }
    let values = Some(json!({"count": count, "reason": "keys from more addresses than are told of one by one"}));
    let occurrence = Occurrence { noun: Noun::Key, object_id: "others", action: Action::SignInFailed, values };
    told(store.audit(&Actor::default(), occurrence).await);
}

/// A key is refused whether it can be written down or not.
fn told(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "refused keys could not be written into the audit log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn an_address_with_too_many_bad_keys_has_its_own_bound_and_gets_over_it() {
        let (refusals, now) = (Refusals::none(), Instant::now());
        for _ in 0..300 {
            assert!(!refusals.is_over(address(1), now));
            refusals.note(Subject::Address(network(address(1))), address(1), "unknown", now);
        }
        assert!(refusals.is_over(address(1), now));
        assert!(!refusals.is_over(address(2), now));
        assert!(!refusals.is_over(address(1), now + Duration::from_secs(1)));
    }

    #[test]
    fn neighbours_in_a_network_of_ipv6_are_one() {
        let network_of = |text: &str| network(Some(text.parse().unwrap())).unwrap().to_string();
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network_of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network(None), None);
    }

    #[test]
    fn each_is_told_of_once_in_a_while_and_the_rest_are_counted() {
        let (refusals, now) = (Refusals::none(), Instant::now());
        for last in 0..5 {
            for _ in 0..=last {
                refusals.note(Subject::Address(address(last)), address(last), "unknown", now);
            }
        }
        let counts = |rows: Vec<Row>| rows.iter().map(|row| row.count).collect::<Vec<_>>();
        assert_eq!(counts(refusals.due(now, 3)), [5, 4, 3]);
        assert_eq!(refusals.others.load(Ordering::Relaxed), 3);
        refusals.note(Subject::Address(address(4)), address(4), "unknown", now);
        assert_eq!(counts(refusals.due(now, 3)), [0; 0], "not so soon again");
        assert_eq!(counts(refusals.due(now + TOLD_EVERY, 3)), [1]);
    }
}
