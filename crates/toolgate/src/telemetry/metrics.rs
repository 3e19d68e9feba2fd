//! Prometheus metrics: OpenTelemetry's `mcp.*` histograms, and our own `toolgate_*`.
//!
//! Label values that a peer chooses are bounded twice: methods come from a closed set, and each family stops making
//! new series at a byte budget, after which first the open labels and then all read `_OTHER`. So `/metrics` stays below
//! a mebibyte whatever anybody sends. Recording takes a read lock and a hash, and allocates only for a series never seen before.
//!
//! Source: OpenTelemetry semantic conventions for MCP (status: development), with the dots of OpenTelemetry's names
//! as underscores.

mod denial;
mod families;
mod litellm;
mod series;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::Gauge;
use toolgate_mcp::version::Revision;

pub use self::denial::Denial;
use self::families::Families;
pub use self::litellm::{CallerLabels, LiteLlmRequest};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a label reads when its value is not one of those that we count apart.
pub const OTHER: &str = "_OTHER";

/// Methods that are counted under their own name.
const METHODS: [&str; 36] = [
    "completion/complete",
    "elicitation/create",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/initialized",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/roots/list_changed",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// `method` if MCP has it, else [`OTHER`].
#[must_use]
pub fn method_label(method: &str) -> &'static str {
    METHODS.binary_search(&method).map_or(OTHER, |at| METHODS[at])
}

/// The gateway's metrics. Clones share the same numbers; two values made by [`Metrics::new`] share nothing.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// One finished operation of a client with the gateway.
#[derive(Debug, Clone, Copy)]
pub struct ServerOperation<'a> {
    /// The JSON-RPC method as it was sent.
    pub method: &'a str,
    /// The tool's listed name, only when the catalog knows it: anything else is a stranger's text.
    pub tool: Option<&'a str>,
    /// What went wrong: a JSON-RPC code, `tool_error`, or one of our words. `None` for success.
    pub error_type: Option<&'a str>,
    /// The protocol revision.
    pub version: &'a str,
    /// `tcp` or `pipe`.
    pub transport: &'static str,
}

/// One request as `toolgate_requests_total` counts it.
#[derive(Debug, Clone, Copy)]
pub struct RequestCount<'a> {
    /// The configured server's name; `None` when the request reached none.
    pub server: Option<&'a str>,
    /// The tool's listed name, only when the catalog knows it.
    pub tool: Option<&'a str>,
    /// How it ended.
    pub status: Status,
    /// The JSON-RPC code or HTTP status of an error; 0 for none.
    pub code: i32,
}

/// In how many tools two lists of one server differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolChanges {
    /// Only the newer has them.
    pub added: usize,
    /// Only the older had them.
    pub removed: usize,
    /// Both have them, and not with the same text.
    pub changed: usize,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With a result.
    Ok,
    /// With a result that says `isError`.
    ToolError,
    /// With an error.
    Error,
}

impl Status {
    /// As metrics and logs name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Error => "error",
        }
    }
}

impl Metrics {
    /// Metrics that start at nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Families::new()))
    }

    /// All metrics as OpenMetrics text; see [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        self.write(&mut out).expect("writing into a string cannot fail");
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        text::encode_registry(out, &self.0.registry)?;
        if self.0.litellm.is_on() {
            // Whoever reads a stream still waits for its end.
            self.0.litellm.encode(out, self.0.in_flight.get() + self.0.active_streams.get())?;
        }
        text::encode_eof(out)
    }

    /// Counts an operation of a client with the gateway.
    pub fn server_operation(&self, operation: ServerOperation<'_>, took: Duration) {
        let version = Revision::parse(operation.version).map_or(OTHER, Revision::name);
        let labels = [
            method_label(operation.method),
            operation.tool.unwrap_or_default(),
            operation.error_type.unwrap_or_default(),
            operation.transport,
            if operation.version.is_empty() { "" } else { version },
        ];
        self.0.server_operation.with(labels, |histogram| histogram.observe(took.as_secs_f64()));
    }

    /// Counts an operation of the gateway with an upstream server.
    pub fn client_operation(&self, server: &str, method: &str, error_type: Option<&str>, took: Duration) {
        let labels = [server, method_label(method), error_type.unwrap_or_default()];
        self.0.client_operation.with(labels, |histogram| histogram.observe(took.as_secs_f64()));
    }

    /// Counts a session of a client that has ended: by its client, an admin or the end of its HTTP+SSE stream. Nothing
    /// tells of one whose client just went away.
    pub fn server_session(&self, revision: Revision, lasted: Duration) {
        let labels = ["tcp", revision.name()];
        self.0.server_session.with(labels, |histogram| histogram.observe(lasted.as_secs_f64()));
    }

    /// Counts a session with an upstream server when the guard goes.
    #[must_use]
    pub fn client_session(&self, revision: Revision, transport: &'static str) -> SessionGuard {
        SessionGuard { metrics: self.clone(), labels: [transport, revision.name()], began: Instant::now() }
    }

    /// Counts a request.
    pub fn request(&self, request: RequestCount<'_>) {
        let mut digits = [0u8; 11];
        let code = decimal(request.code, &mut digits);
        let labels =
            [request.server.unwrap_or_default(), request.tool.unwrap_or_default(), request.status.label(), code];
        self.0.requests.with(labels, |counter| {
            counter.inc();
        });
    }

    /// Counts a call of a tool that everybody agreed to who has a say.
    pub fn allowed(&self) {
        self.0.policy_allowed.inc();
    }

    /// Counts a request or call that was refused.
    pub fn denied(&self, why: Denial) {
        self.0.policy_decisions.with(["deny", why.label()], |counter| {
            counter.inc();
        });
    }

    /// Counts in how many tools a list that was fetched differs from the one that it replaces.
    pub fn tools_changed(&self, server: &str, changes: ToolChanges) {
        let ToolChanges { added, removed, changed } = changes;
        for (action, count) in [("added", added), ("removed", removed), ("changed", changed)] {
            if count > 0 {
                self.0.tool_changes.with([server, action], |counter| {
                    counter.inc_by(count as u64);
                });
            }
        }
    }

    /// Whether the metrics that LiteLLM's dashboards read are there too.
    pub fn offer_litellm(&self, on: bool) {
        self.0.litellm.switch(on);
    }

    /// Counts a request in those.
    pub fn litellm_request(&self, request: LiteLlmRequest<'_>) {
        if self.0.litellm.is_on() {
            self.0.litellm.request(request);
        }
    }

    /// Counts an HTTP request as being worked on for as long as the guard lives, where those metrics are there.
    #[must_use]
    pub fn in_flight(&self) -> Option<InFlightGuard> {
        self.0.litellm.is_on().then(|| {
            self.0.in_flight.inc();
            InFlightGuard(self.0.in_flight.clone())
        })
    }

    /// Says whether an upstream server answers, which is news.
    pub fn upstream_up(&self, server: &str, up: bool) {
        self.0.upstream_up.with([server], |gauge| {
            gauge.set(i64::from(up));
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.upstream_since.with([server], |gauge| {
            gauge.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        });
    }

    /// Counts a failure of an upstream server, by the stage at which it failed.
    pub fn upstream_failed(&self, server: &str, stage: &'static str) {
        self.0.upstream_failures.with([server, stage], |counter| {
            counter.inc();
        });
    }

    /// Says whether an upstream server is left alone because it could not be reached.
    pub fn upstream_circuit(&self, server: &str, open: bool) {
        self.0.upstream_circuit_open.with([server], |gauge| {
            gauge.set(i64::from(open));
        });
    }

    /// Leaves out a server that the configuration no longer has.
    pub fn upstream_gone(&self, server: &str) {
        self.0.upstream_up.remove([server]);
        self.0.upstream_circuit_open.remove([server]);
        self.0.upstream_since.remove([server]);
    }

    /// Counts a stream as active for as long as the guard lives.
    #[must_use]
    pub fn stream_opened(&self) -> StreamGuard {
        self.0.active_streams.inc();
        StreamGuard(self.0.active_streams.clone())
    }

    /// Records the gateway's own share of one call: what it took, less the time spent waiting for the upstream.
    pub fn overhead(&self, took: Duration) {
        self.0.overhead.observe(took.as_secs_f64());
    }

    /// Counts a message of an upstream that reached nobody.
    pub fn dropped_frames(&self, server: &str, why: &'static str) {
        self.0.dropped_frames.with([server, why], |counter| {
            counter.inc();
        });
    }

    /// Counts a call that was refused because `limit` of a caller's `of` (key, team, ...) is used up.
    pub fn limit_refused(&self, limit: &'static str, of: &'static str) {
        self.0.limit_refusals.with([limit, of], |counter| {
            counter.inc();
        });
    }

    /// Adds what a call of a server's tool cost somebody, in USD.
    pub fn spent(&self, caller: CallerLabels<'_>, server: &str, tool: &str, cost: f64) {
        self.0.spend.with([server], |counter| {
            counter.inc_by(cost);
        });
        if self.0.litellm.is_on() {
            self.0.litellm.spent(caller, server, tool, cost);
        }
    }

    /// Counts calls by what became of their rows in the log: `written`, `summed` for want of room, `refused` by the
    /// database.
    pub fn spend_rows(&self, result: &'static str, count: usize) {
        self.0.spend_rows.with([result], |counter| {
            counter.inc_by(count as u64);
        });
    }

    /// Says whether limits and budgets are counted for all replicas. Nobody asks where no Redis is configured.
    pub fn shared_limits(&self, are_up: bool) {
        self.0.shared_limits_up.set(i64::from(are_up));
    }

    /// Counts a call whose limits this replica counted for itself, because Redis could not be asked.
    pub fn counted_alone(&self) {
        self.0.limits_counted_alone.inc();
    }

    /// Says how many calls wait to be written down.
    pub fn spend_queue(&self, waiting: usize) {
        self.0.spend_queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Records how long a batch of calls took to be written down, failures included.
    pub fn spend_write(&self, took: Duration) {
        self.0.spend_write.observe(took.as_secs_f64());
    }

    /// Counts a batch of calls that the database did not take and that is tried again.
    pub fn spend_write_failed(&self) {
        self.0.spend_write_failures.inc();
    }

    /// Counts a reload of the configuration, taken or refused.
    pub fn config_reload(&self, taken: bool) {
        self.0.config_reloads.with([if taken { "ok" } else { "error" }], |counter| {
            counter.inc();
        });
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Keeps one stream counted as active; see [`Metrics::stream_opened`].
#[derive(Debug)]
pub struct StreamGuard(Gauge);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Keeps one request counted as being worked on; see [`Metrics::in_flight`].
#[derive(Debug)]
pub struct InFlightGuard(Gauge);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts one session with a server, once it has ended; see [`Metrics::client_session`].
#[derive(Debug)]
pub struct SessionGuard {
    metrics: Metrics,
    labels: [&'static str; 2],
    began: Instant,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let lasted = self.began.elapsed().as_secs_f64();
        self.metrics.0.client_session.with(self.labels, |histogram| histogram.observe(lasted));
    }
}

/// `number` as text without an allocation; nothing for 0, so that the label is left out.
fn decimal(number: i32, buffer: &mut [u8; 11]) -> &str {
    if number == 0 {
        return "";
    }
    let size = buffer.len();
    let mut rest = &mut buffer[..];
    write!(rest, "{number}").expect("eleven bytes hold every i32");
    let used = size - rest.len();
    std::str::from_utf8(&buffer[..used]).expect("digits are ASCII")
}

#[cfg(test)]
mod tests;
