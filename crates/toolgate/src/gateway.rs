//! The parts of the gateway, put together in one place.
//!
//! What a configuration decides hangs on one [`Snapshot`], swapped whole by a reload: a request takes it once and never
//! sees a mixture of two. What outlives configurations (sessions, metrics, running tasks) hangs on [`Gateway`].

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use toolgate_access::grant::Grant;
use toolgate_access::principal::{Credential, Principal};
use toolgate_store::{Store, StoreError};

use crate::accounting::Accounting;
use crate::auth::origin::FrontDoor;
use crate::auth::{Caller, Gatekeeper, Who};
use crate::catalog::Catalog;
use crate::config::Settings;
use crate::config::settings::Bind;
use crate::identity::Identity;
use crate::mcp::live::Lives;
use crate::mcp::modern::parking::Parking;
use crate::mcp::modern::slots::Slots;
use crate::mcp::session::{self, ClientSession, Sessions};
use crate::places::Places;
use crate::stored::{self, Kept, StoredServers};
use crate::telemetry::{Metrics, Traces};
use crate::upstream::Upstreams;

/// The running gateway; a handle that is cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// What all configurations share.
pub struct Parts {
    snapshot: ArcSwap<Snapshot>,
    /// What the snapshot is put together from. Held while a new one is, so that changes come one after the other.
    composition: Mutex<Composition>,
    /// Held while the servers of the database are read and put in place, so that an older reading never comes last.
    reading: tokio::sync::Mutex<()>,
    /// Whose keys are.
    pub identity: Identity,
    /// What they may use and spend, and the log of calls.
    pub accounting: Accounting,
    /// Client sessions.
    pub sessions: Sessions,
    /// The sessions that are in use.
    pub lives: Lives,
    /// Connections of clients.
    pub connections: Places,
    /// Event streams to clients.
    pub streams: Places,
    /// Calls that wait for their clients.
    pub parking: Parking,
    /// Sessions at servers for calls of clients without one.
    pub slots: Slots,
    /// How often the configuration has been replaced; tells those who listen.
    pub reloads: watch::Sender<u64>,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// OpenTelemetry, or its disabled stand-in.
    pub traces: Traces,
    /// Every task that serves a request or a connection; waited for at the end.
    pub tasks: TaskTracker,
    /// Cancelled when the gateway begins to stop: readiness turns to 503, streams end.
    pub stopping: CancellationToken,
    /// Where the gateway listens.
    pub bind: Bind,
    /// What `/openapi.json` answers, once somebody has asked.
    pub openapi: OnceLock<Bytes>,
}

/// What a configuration is put together from.
struct Composition {
    file: Arc<Settings>,
    kept: Kept,
}

/// Everything that one configuration decides.
pub struct Snapshot {
    /// The checked configuration, servers of the database included.
    pub settings: Arc<Settings>,
    /// The servers of the database, those that cannot be used as well.
    pub stored: Arc<StoredServers>,
    /// Under which names, and from which pages, the gateway is reached.
    pub front_door: FrontDoor,
    /// Who is let in.
    pub gatekeeper: Gatekeeper,
    /// The servers.
    pub upstreams: Arc<Upstreams>,
    /// Their lists.
    pub catalog: Catalog,
    /// Some server wants something of each user's own.
    pub wants_vaults: bool,
    /// Cancelled when the last request that this configuration serves has let go of it.
    released: CancellationToken,
    _release: DropGuard,
}

impl Gateway {
    /// A gateway for `settings` that listens on `bind`.
    #[must_use]
    pub fn new(settings: Settings, bind: Bind, metrics: Metrics, traces: Traces, store: Option<Store>) -> Self {
        let settings = Arc::new(settings);
        let sessions = Sessions::new(&settings.general.master_key, session::LIFETIME);
        let upstreams = Arc::new(Upstreams::new(&settings, &metrics));
        let accounting = Accounting::new(settings.general.spend.clone(), store.clone(), &metrics)
            .shared_in(settings.general.redis.clone());
        let parking = Parking::new(settings.clients.question_timeout);
        let catalog = Catalog::new(&settings, &metrics);
        metrics.offer_litellm(settings.general.litellm_metrics);
        let composition = Composition { file: Arc::clone(&settings), kept: Kept::default() };
        Self(Arc::new(Parts {
            identity: Identity::new(&settings, store, &accounting),
            accounting,
            snapshot: ArcSwap::from_pointee(Snapshot::new(catalog, settings, Arc::default(), upstreams)),
            composition: Mutex::new(composition),
            reading: tokio::sync::Mutex::default(),
            sessions,
            lives: Lives::new(&metrics),
            connections: Places::default(),
            streams: Places::default(),
            parking,
            slots: Slots::default(),
            reloads: watch::Sender::new(0),
            metrics,
            traces,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            bind,
            openapi: OnceLock::new(),
        }))
    }

    /// The configuration of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Puts `settings`, what the file says now, in place of the current ones.
    ///
    /// Servers whose entry did not change keep their connections and children. The others are closed once the calls
    /// that run on them have ended, by a task that the gateway waits for.
    pub fn reload(&self, settings: Settings) {
        let mut composition = self.0.composition.lock().unwrap_or_else(PoisonError::into_inner);
        composition.file = Arc::new(settings);
        self.put(&composition);
    }

    /// Takes in the servers that the database has now, in the same way.
    ///
    /// # Errors
    /// [`StoreError`]; what was known stays.
    pub async fn read_servers(&self, store: &Store) -> Result<(), StoreError> {
        let _reading = self.0.reading.lock().await;
        let kept = Kept::read(store).await?;
        let mut composition = self.0.composition.lock().unwrap_or_else(PoisonError::into_inner);
        if composition.kept != kept {
            composition.kept = kept;
            self.put(&composition);
        }
        Ok(())
    }

    /// Reads them before the first request comes. A database that does not answer holds nothing up.
    pub async fn begin_servers(&self) {
        if let Some(store) = self.0.identity.store()
            && let Err(error) = self.read_servers(store).await
        {
            tracing::error!(%error, "the servers of the database cannot be read yet");
        }
    }

    /// The file's settings, without the servers of the database.
    #[must_use]
    pub fn file_settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.composition.lock().unwrap_or_else(PoisonError::into_inner).file)
    }

    fn put(&self, composition: &Composition) {
        let (settings, stored) = stored::compose(&composition.file, &composition.kept);
        let settings = Arc::new(settings);
        let grace = settings.general.shutdown_grace;
        self.0.identity.reloaded(&settings);
        self.0.accounting.reloaded(&settings);
        self.0.metrics.offer_litellm(settings.general.litellm_metrics);
        let current = self.snapshot();
        let upstreams = Arc::new(current.upstreams.reloaded(&settings));
        let catalog = current.catalog.reloaded(&settings);
        stored.log(&current.stored);
        drop(current);
        let new = Arc::new(Snapshot::new(catalog, settings, Arc::new(stored), Arc::clone(&upstreams)));
        let old = self.0.snapshot.swap(Arc::clone(&new));
        self.0.lives.reloaded(self, &old, &new);
        drop(new);
        self.0.reloads.send_modify(|count| *count += 1);
        let (released, going) = (old.released.clone(), Arc::clone(&old.upstreams));
        self.0.tasks.spawn(async move {
            // A request that came before may still be about to ask.
            if tokio::time::timeout(grace, released.cancelled()).await.is_err() {
                tracing::debug!("requests of the former configuration still run; they have had the grace time");
            }
            going.close(Some(&upstreams), grace).await;
        });
    }
}

impl Gateway {
    /// Ends a client's session here: its id is unknown from now on. Its connections to servers are closed apart.
    pub fn end_session(&self, session: &ClientSession) {
        self.sessions.end(session);
        self.lives.end(&session.key);
        self.metrics.server_session(session.revision, session.age(SystemTime::now()));
    }

    /// The rows behind `caller` as they are now; `None` when the key is not in force any more.
    pub async fn principal_anew(&self, caller: &Caller) -> Option<Arc<Principal>> {
        Some(self.again(caller).await?.principal)
    }

    async fn again(&self, caller: &Caller) -> Option<Who> {
        let (identity, from) = (&self.0.identity, caller.from);
        match &caller.principal.credential {
            Credential::Master => Some(identity.master(from)),
            Credential::Key(key) => identity.again(key.hash, from, chrono::Utc::now()).await,
            Credential::Token(_) => identity.bearer_again(&caller.id, from, chrono::Utc::now()).await,
            Credential::Session(_) | Credential::Anonymous => None,
        }
    }

    /// What `caller` reaches now, for what goes on longer than a request; `None` when the key is not in force any more.
    pub async fn granted_anew(&self, caller: &Caller) -> Option<Arc<Grant>> {
        let (identity, from) = (&self.0.identity, caller.from);
        let mut who = self.again(caller).await?;
        if let Some(customer) = &caller.principal.customer {
            who = identity.for_customer(who, customer.user_id.as_str(), from).await.ok()?;
        }
        Some(match &caller.toolset {
            Some(toolset) => identity.at_toolset(caller, &who.principal, toolset),
            None => who.grant,
        })
    }

    /// Keys, or what they may reach, have changed: those who listen hear what they reach from now on, and nothing more.
    pub async fn reach_changed(&self) {
        self.0.lives.regrant(self).await;
        self.0.reloads.send_modify(|count| *count += 1);
    }
}

impl std::ops::Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Snapshot {
    fn new(catalog: Catalog, settings: Arc<Settings>, stored: Arc<StoredServers>, upstreams: Arc<Upstreams>) -> Self {
        let released = CancellationToken::new();
        Self {
            front_door: FrontDoor::default(),
            gatekeeper: Gatekeeper::new(&settings.general),
            catalog,
            upstreams,
            wants_vaults: settings.servers.iter().any(|server| !server.own.is_empty()),
            settings,
            stored,
            _release: released.clone().drop_guard(),
            released,
        }
    }
}
