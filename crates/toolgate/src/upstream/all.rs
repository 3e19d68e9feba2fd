//! All servers of one configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;

use super::news::News;
use super::shared::Shared;
use super::{SessionKey, Upstream};
use crate::config::settings::{ServerSettings, Settings};
use crate::telemetry::Metrics;

/// How long the gateway waits for its own tasks after everything was closed.
const LAST_TASKS: Duration = Duration::from_secs(10);

/// All servers of one configuration, in the file's order.
pub struct Upstreams {
    all: Arc<[Arc<Upstream>]>,
    by_name: HashMap<String, Arc<Upstream>>,
    shared: Arc<Shared>,
}

impl Upstreams {
    /// The servers of a gateway that starts. Nothing is connected until somebody asks.
    #[must_use]
    pub fn new(settings: &Arc<Settings>, metrics: &Metrics) -> Self {
        let shared = Shared::new(settings, metrics);
        Self::of(settings.servers.iter().map(|server| Arc::new(Upstream::new(server, &shared))).collect(), shared)
    }

    /// The servers of a changed configuration. Those that did not change are the same objects, with their connections
    /// and children; whoever still holds the old set may go on using it until it is closed.
    #[must_use]
    pub fn reloaded(&self, settings: &Arc<Settings>) -> Self {
        self.shared.reload(settings);
        let kept = |server: &ServerSettings| self.all.iter().find(|old| is_same(&old.settings, server)).cloned();
        let all = settings
            .servers
            .iter()
            .map(|server| match kept(server) {
                Some(kept) => {
                    kept.refresh_soon();
                    kept
                }
                None => Arc::new(Upstream::new(server, &self.shared)),
            })
            .collect();
        Self::of(all, Arc::clone(&self.shared))
    }

    /// Servers that are only looked at, beside these: nobody else finds them, and they are to be closed.
    #[must_use]
    pub fn preview(&self, servers: &[Arc<ServerSettings>]) -> Self {
        let all = servers.iter().map(|server| Arc::new(Upstream::new(server, &self.shared))).collect();
        Self::of(all, Arc::clone(&self.shared))
    }

    fn of(all: Arc<[Arc<Upstream>]>, shared: Arc<Shared>) -> Self {
        let mut by_name = HashMap::new();
        // An alias goes before a name, and a name before an id, whichever server comes first in the file.
        for rank in 0..RANKS {
            for server in &*all {
                for name in names(&server.settings, rank) {
                    by_name.entry(name.to_owned()).or_insert_with(|| Arc::clone(server));
                }
            }
        }
        Self { all, by_name, shared }
    }

    /// All of them, in the file's order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// The same, to be kept.
    #[must_use]
    pub fn all_shared(&self) -> &Arc<[Arc<Upstream>]> {
        &self.all
    }

    /// The server with this alias, name, prefix or id.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.by_name.get(name)
    }

    /// Tells of changed lists, of these servers and of those that take their place in a reload.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.shared.news.subscribe()
    }

    /// Tells the servers that a client's session is connected to something that has no answer.
    pub async fn tell(&self, session: &SessionKey, method: &str, params: Option<&str>) {
        join_all(self.all.iter().map(|server| server.pool.tell(*session, method, params))).await;
    }

    /// Closes what a client's session has open on every server.
    pub async fn close_session(&self, session: &SessionKey) {
        join_all(self.all.iter().map(|server| server.close_session(session))).await;
    }

    /// Closes the servers that are not in `keep`, each when its running requests have ended or after `grace`. Without
    /// `keep`, the gateway is stopping, and all that ever was of it is gone when this returns.
    pub async fn close(&self, keep: Option<&Self>, grace: Duration) {
        let is_kept =
            |server: &&Arc<Upstream>| keep.is_some_and(|keep| keep.all.iter().any(|kept| Arc::ptr_eq(kept, server)));
        let going: Vec<_> = self.all.iter().filter(|server| !is_kept(server)).collect();
        join_all(going.iter().map(|server| server.pool.close(grace, keep.is_none()))).await;
        for server in going {
            if keep.is_none_or(|keep| keep.find(&server.settings.name).is_none()) {
                self.shared.metrics.upstream_gone(&server.settings.name);
            }
        }
        if keep.is_none() {
            self.shared.stopping.cancel();
            self.shared.tasks.close();
            if tokio::time::timeout(LAST_TASKS, self.shared.tasks.wait()).await.is_err() {
                tracing::warn!("{} tasks of upstreams did not end within {LAST_TASKS:?}", self.shared.tasks.len());
            }
        }
    }
}

const RANKS: usize = 4;

fn names(server: &ServerSettings, rank: usize) -> Vec<&str> {
    match rank {
        0 => server.alias.as_deref().into_iter().collect(),
        1 => vec![&server.name],
        2 => vec![&server.prefix],
        _ => std::iter::once(&server.id).chain(&server.other_ids).map(|id| id.as_str()).collect(),
    }
}

/// The fingerprint covers the entry as it was read. What is derived for it from elsewhere in the file is compared here.
fn is_same(old: &ServerSettings, new: &ServerSettings) -> bool {
    old.fingerprint == new.fingerprint
        && old.id == new.id
        && old.name == new.name
        && old.alias == new.alias
        && old.prefix == new.prefix
        && old.tls == new.tls
}
