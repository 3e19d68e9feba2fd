//! The parts of the gateway, put together in one place.
//!
//! What a configuration decides hangs on one [`Snapshot`], swapped whole by a reload: a request takes it once and never
//! sees a mixture of two. What outlives configurations (sessions, metrics, running tasks) hangs on [`Gateway`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Gatekeeper;
use crate::catalog::Catalog;
use crate::config::Settings;
use crate::config::settings::Bind;
use crate::mcp::legacy_sse::SseStreams;
use crate::mcp::session::{self, Sessions};
use crate::telemetry::{Metrics, Traces};
use crate::upstream::Upstreams;

/// The running gateway; a handle that is cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// What all configurations share.
pub struct Parts {
    snapshot: ArcSwap<Snapshot>,
    /// Client sessions.
    pub sessions: Sessions,
    /// Open streams of the HTTP+SSE transport.
    pub sse_streams: SseStreams,
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
}

/// Everything that one configuration decides.
pub struct Snapshot {
    /// The checked configuration.
    pub settings: Arc<Settings>,
    /// Who is let in.
    pub gatekeeper: Gatekeeper,
    /// The servers.
    pub upstreams: Upstreams,
    /// Their lists.
    pub catalog: Catalog,
}

impl Gateway {
    /// A gateway for `settings` that listens on `bind`.
    #[must_use]
    pub fn new(settings: Settings, bind: Bind, metrics: Metrics, traces: Traces) -> Self {
        let settings = Arc::new(settings);
        let sessions = Sessions::new(&settings.general.master_key, session::LIFETIME);
        let upstreams = Upstreams::new(&settings, &metrics);
        Self(Arc::new(Parts {
            snapshot: ArcSwap::from_pointee(Snapshot::new(settings, upstreams)),
            sessions,
            sse_streams: SseStreams::default(),
            metrics,
            traces,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            bind,
        }))
    }

    /// The configuration of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Puts `settings` in place of the current ones.
    ///
    /// Servers whose entry did not change keep their connections and children. The others are closed once the calls
    /// that run on them have ended, by a task that the gateway waits for.
    pub fn reload(&self, settings: Settings) {
        let settings = Arc::new(settings);
        let old = self.snapshot();
        let upstreams = old.upstreams.reloaded(&settings);
        let new = Arc::new(Snapshot::new(settings, upstreams));
        self.0.snapshot.store(Arc::clone(&new));
        let grace = new.settings.general.shutdown_grace;
        self.0.tasks.spawn(async move { old.upstreams.close(Some(&new.upstreams), grace).await });
    }
}

impl std::ops::Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Snapshot {
    fn new(settings: Arc<Settings>, upstreams: Upstreams) -> Self {
        Self { gatekeeper: Gatekeeper::new(&settings.general), catalog: Catalog::new(&settings), upstreams, settings }
    }
}
