//! A REST API that is described by an OpenAPI document, as a server like any other.
//!
//! There is no MCP behind it: `tools/list` and `tools/call` are answered here, by [`toolgate_openapi`], and a call is one
//! HTTP request. The description is read when it is first needed, and again on a schedule and at every reload; one that
//! cannot be read leaves the last good one in use, or the server unavailable with the reason, and nothing else.

mod answers;
mod call;
mod credentials;
mod health;
mod kept;
mod load;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use toolgate_client::{HttpClient, ServerFacts, Transport as Found};
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::version::Revision;
use toolgate_openapi::Api;

use super::deadline::Deadline;
use super::error::{UpstreamError, Wait};
use super::news::Changed;
use super::pool::Pool;
use crate::config::settings::{OpenApiSettings, ServerSettings, Transport};
use kept::Kept;
use load::Fetched;
pub(crate) use load::{preview, read_configured};
pub(super) use source::shown;

/// A REST API behind the gateway.
pub(super) struct RestApi {
    settings: Arc<ServerSettings>,
    loaded: ArcSwapOption<Loaded>,
    /// Held by whoever reads the description.
    loading: tokio::sync::Mutex<()>,
    /// Whether the task that keeps the description fresh is there.
    tended: AtomicBool,
    /// Has the description read again before its time.
    wake: Notify,
    kept: Kept,
}

/// A description that was read.
pub(super) struct Loaded {
    pub(super) api: Api,
    /// The result of `tools/list`.
    tools: String,
    facts: Arc<ServerFacts>,
    /// Connects where the API may be.
    client: HttpClient,
    fetched: Fetched,
}

impl RestApi {
    /// `None` for servers of other kinds.
    pub(super) fn of(settings: &Arc<ServerSettings>) -> Option<Arc<Self>> {
        matches!(settings.transport, Transport::OpenApi { .. }).then(|| {
            Arc::new(Self {
                settings: Arc::clone(settings),
                loaded: ArcSwapOption::empty(),
                loading: tokio::sync::Mutex::default(),
                tended: AtomicBool::new(false),
                wake: Notify::new(),
                kept: Kept::default(),
            })
        })
    }

    /// What the server is said to be.
    pub(super) async fn facts(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        deadline: Deadline,
    ) -> Result<Arc<ServerFacts>, UpstreamError> {
        Ok(Arc::clone(&self.loaded(pool, deadline).await?.facts))
    }

    /// Has the description looked at again soon.
    pub(super) fn refresh_soon(&self) {
        self.wake.notify_one();
    }

    /// The description, read now if it has not been yet. Callers wait for one reading.
    async fn loaded(self: &Arc<Self>, pool: &Arc<Pool>, deadline: Deadline) -> Result<Arc<Loaded>, UpstreamError> {
        if let Some(loaded) = self.loaded.load_full() {
            return Ok(loaded);
        }
        let name = &self.settings.name;
        deadline
            .wait(name, Wait::Connection, async {
                let _one = self.loading.lock().await;
                if let Some(loaded) = self.loaded.load_full() {
                    return Ok(loaded);
                }
                let loaded = self.read(pool, None).await.map_err(|why| self.unreadable(why))?;
                // Only an unchanged document is answered with nothing, and there was none before.
                let loaded = loaded.ok_or_else(|| self.unreadable("nothing came".to_owned()))?;
                self.loaded.store(Some(Arc::clone(&loaded)));
                self.tell_left_out(&loaded);
                self.keep_fresh(pool);
                Ok(loaded)
            })
            .await?
    }

    fn unreadable(&self, why: String) -> UpstreamError {
        let (server, spec) = (self.settings.name.clone(), source::shown(&self.of_settings().0));
        UpstreamError::Description { server, why: format!("`spec_path: {spec}` cannot be used: {why}") }
    }

    fn of_settings(&self) -> (String, &OpenApiSettings) {
        match &self.settings.transport {
            Transport::OpenApi { spec, settings, .. } => (spec.clone(), settings),
            Transport::Http { .. } | Transport::Stdio(_) => unreachable!("such a server is no REST API"),
        }
    }

    fn tell_left_out(&self, loaded: &Loaded) {
        let (server, tools) = (&self.settings.name, loaded.api.operations.len());
        tracing::info!(server.name = server, tools, "the description of server `{server}` was read: {tools} tools");
        if let Err(why) = &loaded.api.base {
            tracing::warn!(server.name = server, "no tool of server `{server}` can be called: {why}");
        }
        for one in loaded.api.left_out.iter().take(20) {
            tracing::debug!(server.name = server, "{} {} is no tool: {}", one.method, one.path, one.reason);
        }
        let left_out = loaded.api.left_out.len();
        if left_out > 0 {
            tracing::warn!(
                server.name = server,
                left_out,
                "{left_out} operations of server `{server}` are no tools; `toolgate openapi preview` tells why"
            );
        }
    }

    /// Begins to look after the description, once.
    fn keep_fresh(self: &Arc<Self>, pool: &Arc<Pool>) {
        if self.tended.swap(true, Ordering::Relaxed) {
            return;
        }
        let every = self.of_settings().1.refresh;
        let (api, weak) = (Arc::downgrade(self), Arc::downgrade(pool));
        let (closing, stopping) = (pool.closing().clone(), pool.shared.stopping.clone());
        pool.shared.tasks.spawn(async move {
            loop {
                let Some(api) = api.upgrade() else { return };
                tokio::select! {
                    () = api.wake.notified() => {}
                    () = tokio::time::sleep(every) => {}
                    () = closing.cancelled() => return,
                    () = stopping.cancelled() => return,
                }
                let Some(pool) = weak.upgrade() else { return };
                tokio::select! {
                    () = api.refresh(&pool) => {}
                    () = closing.cancelled() => return,
                    () = stopping.cancelled() => return,
                }
            }
        });
    }

    /// Reads the description again. One that cannot be read changes nothing.
    async fn refresh(self: &Arc<Self>, pool: &Arc<Pool>) {
        let server = &self.settings.name;
        let _one = self.loading.lock().await;
        let Some(old) = self.loaded.load_full() else { return };
        let newer = tokio::time::timeout(pool.call_timeout(), self.read(pool, Some(&old.fetched))).await;
        match newer.unwrap_or_else(|_| Err("it did not come in time".to_owned())) {
            Ok(None) => {}
            Ok(Some(new)) => {
                let changes = old.api.changes(&new.api);
                self.loaded.store(Some(Arc::clone(&new)));
                if !changes.is_empty() {
                    let (added, removed, changed) = (changes.added.len(), changes.removed.len(), changes.changed.len());
                    tracing::info!(
                        server.name = server,
                        added,
                        removed,
                        changed,
                        "the description of server `{server}` has changed: {added} tools are new, {removed} are gone, \
                         {changed} are different"
                    );
                    self.tell_left_out(&new);
                    pool.lists_changed(&[Changed::Tools]);
                }
            }
            Err(why) => {
                tracing::warn!(server.name = server, "the description of server `{server}` stays as it was: {why}");
            }
        }
    }
}

impl Loaded {
    fn new(api: Api, settings: &ServerSettings, client: HttpClient, fetched: Fetched) -> Self {
        let mut tools = String::from("{\"tools\":[");
        for (index, operation) in api.operations.iter().enumerate() {
            if index > 0 {
                tools.push(',');
            }
            tools.push_str(operation.tool());
        }
        tools.push_str("]}");
        let raw = |text: String| RawValue::from_string(text).expect("it is made of JSON texts");
        let name = api.title.as_deref().unwrap_or(&settings.name);
        let version = api.version.as_deref().unwrap_or("unknown");
        let facts = ServerFacts {
            revision: Revision::NEWEST_WITH_HANDSHAKE,
            supported_versions: vec![Revision::NEWEST_WITH_HANDSHAKE.name().to_owned()],
            capabilities: raw("{\"tools\":{\"listChanged\":true},\"resources\":{}}".to_owned()),
            server_info: Some(raw(format!("{{\"name\":{},\"version\":{}}}", quote(name), quote(version)))),
            instructions: api.description.clone(),
            has_session_id: false,
            transport: Found::Streamable,
        };
        Self { api, tools, facts: Arc::new(facts), client, fetched }
    }
}
