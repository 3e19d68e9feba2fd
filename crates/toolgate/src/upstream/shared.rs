//! What all upstreams of a gateway have in common, and keep over reloads: the HTTP connection pools, the count of live
//! sessions, the task that closes idle ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use toolgate_client::{HttpClient, TlsOptions};

use super::addressing::Addressing;
use super::news::{self, News};
use super::pool::{Idle, Pool};
use crate::config::settings::{Limits, Settings, Timeouts, TlsSettings};
use crate::egress::Reach;
use crate::telemetry::Metrics;

/// Idle sessions are looked for at least this often.
const LONGEST_SWEEP_PAUSE: Duration = Duration::from_secs(30);
const SHORTEST_SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// One per gateway.
pub(super) struct Shared {
    current: ArcSwap<Current>,
    /// Connection pools by TLS settings and what they may connect to; guards the map only.
    clients: Mutex<HashMap<(TlsSettings, Reach), HttpClient>>,
    /// Every pool that may hold sessions; guards the list only.
    pools: Mutex<Vec<Weak<Pool>>>,
    live: Arc<AtomicUsize>,
    sweeping: AtomicBool,
    /// For progress tokens, and whatever else needs a number that no other request of the gateway has.
    pub(super) numbers: AtomicU64,
    /// Where changes of lists are told.
    pub(super) news: broadcast::Sender<News>,
    pub(super) metrics: Metrics,
    pub(super) tasks: TaskTracker,
    /// Cancelled when the gateway stops, or when the last user of this is gone.
    pub(super) stopping: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// What a reload may change for servers that it leaves alone.
pub(super) struct Current {
    pub(super) addressing: Addressing,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

/// A connection pool that nobody shares yet.
pub(super) fn http_client(tls: &TlsSettings, reach: Reach) -> Result<HttpClient, toolgate_client::Error> {
    let options = TlsOptions { verify: tls.verify, ca_file: tls.ca_file.clone() };
    match reach.allowed() {
        None => HttpClient::new(&options),
        Some(allowed) => HttpClient::within(&options, allowed),
    }
}

impl Current {
    fn new(settings: &Settings) -> Self {
        Self {
            addressing: Addressing::new(settings),
            limits: settings.limits.clone(),
            timeouts: settings.timeouts.clone(),
        }
    }
}

impl Shared {
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Arc<Self> {
        let stopping = CancellationToken::new();
        Arc::new(Self {
            current: ArcSwap::from_pointee(Current::new(settings)),
            clients: Mutex::default(),
            pools: Mutex::default(),
            live: Arc::default(),
            sweeping: AtomicBool::new(false),
            numbers: AtomicU64::new(first_number()),
            news: news::channel(),
            metrics: metrics.clone(),
            tasks: TaskTracker::new(),
            _stop_when_dropped: stopping.clone().drop_guard(),
            stopping,
        })
    }

    pub(super) fn reload(&self, settings: &Settings) {
        self.current.store(Arc::new(Current::new(settings)));
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Current>> {
        self.current.load()
    }

    pub(super) fn register(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    /// The connection pool for these TLS settings that connects within `reach`, made when first asked for.
    pub(super) fn http_client(&self, tls: &TlsSettings, reach: Reach) -> Result<HttpClient, toolgate_client::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tls.clone(), reach);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = http_client(tls, reach)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// A place for one more session; the ones that have been idle longest make room. `None` when all are in use.
    ///
    /// Takes the locks of pools, so no pool may be locked by the caller.
    pub(super) fn place(&self) -> Option<Place> {
        let most = self.current().limits.upstream_sessions;
        Place::take(&self.live, most).or_else(|| {
            // Some more than needed are closed, so that a gateway at its cap does not search for every new session.
            close_longest_idle(&self.pools(), most / 50 + 1);
            Place::take(&self.live, most)
        })
    }

    /// Starts the task that closes idle sessions, once there is something to close.
    pub(super) fn keep_swept(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shared, stopping) = (Arc::downgrade(self), self.stopping.clone());
        self.tasks.spawn(async move {
            while let Some(pause) = shared.upgrade().map(|shared| shared.sweep_pause()) {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let Some(shared) = shared.upgrade() else { return };
                let idle_for = shared.current().limits.session_idle;
                for pool in shared.pools() {
                    pool.sweep(Instant::now(), idle_for);
                }
            }
        });
    }

    fn sweep_pause(&self) -> Duration {
        (self.current().limits.session_idle / 4).clamp(SHORTEST_SWEEP_PAUSE, LONGEST_SWEEP_PAUSE)
    }
}

/// Somewhere below 2^51, so that no client can pass a number off as the gateway's, and every server can read it.
fn first_number() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    u64::from_le_bytes(bytes) >> 13
}

/// Closes up to `most` sessions that nobody is using, the longest unused first.
pub(super) fn close_longest_idle(pools: &[Arc<Pool>], most: usize) {
    let mut idle: Vec<(Idle, &Arc<Pool>)> =
        pools.iter().flat_map(|pool| pool.idle().into_iter().map(move |idle| (idle, pool))).collect();
    idle.sort_by_key(|(idle, _)| idle.last_used);
    for (idle, pool) in idle.into_iter().take(most) {
        pool.close_if_idle(&idle);
    }
}

/// One of a limited number of places, given back when dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    pub(super) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < most).then_some(count + 1))
            .is_ok()
            .then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
