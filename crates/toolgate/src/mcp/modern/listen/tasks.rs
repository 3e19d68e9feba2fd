//! `taskIds`: how a caller's tasks stand, told by the servers that run them.
//!
//! The ids in the filter are those that the caller was given. What it was not given is left out of the acknowledgement,
//! like what no server tells of.
//!
//! Source: the tasks extension (SEP-2663), Task Status Notifications.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use toolgate_client::Events;
use toolgate_mcp::translate::tasks as wire;
use toolgate_mcp::{edit, jsonrpc, method};

use super::super::tasks;
use super::{Ear, Listener, SUBSCRIBE_TIMEOUT};
use crate::catalog::Visit;
use crate::telemetry::OperationSpan;
use crate::upstream::{ClientSide, TaskWatch};

/// By the server's own id, the ids under which the client named the task.
type Listed = HashMap<String, Vec<String>>;

/// Hears one server, and tells it to the stream under the ids that the client knows.
struct TaskEar {
    ear: Arc<Ear>,
    listed: Listed,
}

impl Listener {
    /// Has servers tell of the tasks that the caller knows as `ids`, in place of those before; gives those that will be
    /// told of.
    pub(super) async fn watch_tasks(&mut self, ids: &[String]) -> Vec<String> {
        let mut by_server: BTreeMap<String, Listed> = BTreeMap::new();
        let sealer = self.listen.gateway.sessions.sealer();
        for listed in ids {
            if let Some(task) = tasks::open(sealer, &self.listen.caller.id, listed) {
                by_server.entry(task.server).or_default().entry(task.own).or_default().push(task.listed);
            }
        }
        let asked = by_server.into_iter().map(|(server, listed)| self.watch_server(server, listed));
        let mut taken: HashSet<String> = HashSet::new();
        let mut watches = Vec::new();
        for (listed, watch) in join_all(asked).await.into_iter().flatten() {
            taken.extend(listed);
            watches.push(watch);
        }
        self.watches = watches;
        ids.iter().filter(|id| taken.contains(*id)).cloned().collect()
    }

    async fn watch_server(&self, server: String, listed: Listed) -> Option<(Vec<String>, TaskWatch)> {
        let span = OperationSpan::none();
        let client = ClientSide { capabilities: Arc::clone(&self.listen.capabilities), ..ClientSide::none() };
        let visit = Visit { client: &client, ..self.visit(&span) };
        let own = listed.keys().cloned().collect();
        let hears = Arc::new(TaskEar { ear: Arc::clone(&self.ear), listed: listed.clone() });
        let catalog = &self.listen.snapshot.catalog;
        match catalog.watch_tasks(visit, &server, own, hears, SUBSCRIBE_TIMEOUT).await {
            Ok(Some((own, watch))) => {
                let taken = own.iter().filter_map(|own| listed.get(own)).flatten().cloned().collect();
                Some((taken, watch))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(server.name = server, %error, "a server does not tell of its tasks");
                None
            }
        }
    }
}

impl Events for TaskEar {
    fn notification(&self, method: &str, message: Bytes) {
        if method != method::TASKS {
            return;
        }
        let Ok(text) = std::str::from_utf8(&message) else { return };
        let Ok(Some(params)) = edit::get_at(text, &["params"]) else { return };
        let own = wire::id(params.get()).ok().flatten();
        for listed in own.and_then(|own| self.listed.get(&*own)).into_iter().flatten() {
            if let Ok(renamed) = edit::set_at(text, &["params", "taskId"], &jsonrpc::quote(listed)) {
                self.ear.hear(method::TASKS, Bytes::from(renamed));
            }
        }
    }
}
