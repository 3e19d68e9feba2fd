//! Prometheus metrics: OpenTelemetry's `mcp.*` histograms, and our own `toolgate_*`.
//!
//! Label values that a peer chooses are bounded twice: methods come from a closed set, and each family stops making
//! new series at a byte budget, after which first the open labels and then all read `_OTHER`. So `/metrics` stays below
//! a mebibyte whatever anybody sends. Recording takes a read lock and a hash, and allocates only for a series never seen before.
//!
//! Source: OpenTelemetry semantic conventions for MCP (status: development), with the dots of OpenTelemetry's names
//! as underscores.

mod series;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use toolgate_mcp::version::Revision;

use self::series::{Label, Series};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a label reads when its value is not one of those that we count apart.
pub const OTHER: &str = "_OTHER";

/// In seconds, as the OpenTelemetry conventions for MCP give them.
const OPERATION_BUCKETS: [f64; 14] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// In seconds; the gateway's own share of a call is far below the first bucket of an operation.
const OVERHEAD_BUCKETS: [f64; 13] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// In seconds.
const SPEND_WRITE_BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Methods that are counted under their own name.
const METHODS: [&str; 27] = [
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

struct Families {
    registry: Registry,
    server_operation: Series<5, Histogram>,
    client_operation: Series<3, Histogram>,
    requests: Series<4, Counter>,
    overhead: Histogram,
    upstream_up: Series<1, Gauge>,
    upstream_circuit_open: Series<1, Gauge>,
    active_streams: Gauge,
    dropped_frames: Series<2, Counter>,
    config_reloads: Series<1, Counter>,
    limit_refusals: Series<2, Counter>,
    spend: Series<1, Counter<f64, AtomicU64>>,
    spend_rows: Series<1, Counter>,
    spend_queue: Gauge,
    spend_write: Histogram,
    spend_write_failures: Counter,
    shared_limits_up: Gauge,
    limits_counted_alone: Counter,
}

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
    fn label(self) -> &'static str {
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
        text::encode(&mut out, &self.0.registry).expect("writing into a string cannot fail");
        out
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

    /// Says whether an upstream server answers.
    pub fn upstream_up(&self, server: &str, up: bool) {
        self.0.upstream_up.with([server], |gauge| {
            gauge.set(i64::from(up));
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

    /// Adds what a call of a server's tool cost, in USD.
    pub fn spent(&self, server: &str, cost: f64) {
        self.0.spend.with([server], |counter| {
            counter.inc_by(cost);
        });
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

const SERVER_OPERATION_LABELS: [Label; 5] = [
    Label::closed("mcp_method_name"),
    Label::open("gen_ai_tool_name"),
    Label::open("error_type"),
    Label::closed("network_transport"),
    Label::closed("mcp_protocol_version"),
];
const CLIENT_OPERATION_LABELS: [Label; 3] =
    [Label::open("server"), Label::closed("mcp_method_name"), Label::open("error_type")];
const REQUEST_LABELS: [Label; 4] =
    [Label::open("server"), Label::open("tool"), Label::closed("status"), Label::open("code")];

/// Together, with the quarter on top that a full family may still take, these stay below a mebibyte. A histogram writes
/// 17 lines for each series, a counter one.
const SERVER_OPERATION_BYTES: usize = 352 * 1024;
const CLIENT_OPERATION_BYTES: usize = 176 * 1024;
const REQUEST_BYTES: usize = 176 * 1024;
const SMALL_BYTES: usize = 16 * 1024;

impl Families {
    fn new() -> Self {
        let mut registry = Registry::default();
        let operation: fn() -> Histogram = || Histogram::new(OPERATION_BUCKETS);
        let lines = OPERATION_BUCKETS.len() + 3;
        let server_operation = Series::new(SERVER_OPERATION_LABELS, lines, SERVER_OPERATION_BYTES, operation);
        let client_operation = Series::new(CLIENT_OPERATION_LABELS, lines, CLIENT_OPERATION_BYTES, operation);
        let requests = Series::new(REQUEST_LABELS, 1, REQUEST_BYTES, Counter::default);
        let overhead = Histogram::new(OVERHEAD_BUCKETS);
        let upstream_up = Series::new([Label::open("server")], 1, SMALL_BYTES, Gauge::default);
        let upstream_circuit_open = Series::new([Label::open("server")], 1, SMALL_BYTES, Gauge::default);
        let active_streams = Gauge::default();
        let dropped_labels = [Label::open("server"), Label::closed("why")];
        let dropped_frames = Series::new(dropped_labels, 1, SMALL_BYTES, Counter::default);
        let config_reloads = Series::new([Label::closed("result")], 1, SMALL_BYTES, Counter::default);
        let refusal_labels = [Label::closed("limit"), Label::closed("of")];
        let limit_refusals = Series::new(refusal_labels, 1, SMALL_BYTES, Counter::default);
        let spend = Series::new([Label::open("server")], 1, SMALL_BYTES, Counter::default);
        let spend_rows = Series::new([Label::closed("result")], 1, SMALL_BYTES, Counter::default);
        let spend_queue = Gauge::default();
        let spend_write = Histogram::new(SPEND_WRITE_BUCKETS);
        let spend_write_failures = Counter::default();
        let (shared_limits_up, limits_counted_alone) = (Gauge::default(), Counter::default());

        let (server, client) = ("mcp_server_operation_duration", "mcp_client_operation_duration");
        registry.register_with_unit(
            server,
            "Duration of a client's operation with the gateway",
            Unit::Seconds,
            server_operation.clone(),
        );
        registry.register_with_unit(
            client,
            "Duration of the gateway's operation with an upstream server",
            Unit::Seconds,
            client_operation.clone(),
        );
        let ours = registry.sub_registry_with_prefix("toolgate");
        ours.register("requests", "Requests by server, tool and outcome", requests.clone());
        ours.register_with_unit("overhead", "The gateway's own share of a call", Unit::Seconds, overhead.clone());
        ours.register("upstream_up", "Whether the upstream server answers", upstream_up.clone());
        let about = "Whether the upstream server is left alone because it could not be reached";
        ours.register("upstream_circuit_open", about, upstream_circuit_open.clone());
        ours.register("active_streams", "Streams that are open to clients", active_streams.clone());
        ours.register("dropped_frames", "Messages of upstream servers that reached nobody", dropped_frames.clone());
        ours.register("config_reloads", "Reloads of the configuration", config_reloads.clone());
        ours.register("limit_refusals", "Calls refused because a limit or budget is used up", limit_refusals.clone());
        ours.register("spend_dollars", "What calls cost, in USD", spend.clone());
        ours.register("spend_rows", "Calls by what became of their rows in the log", spend_rows.clone());
        ours.register("spend_queue", "Calls that wait to be written down", spend_queue.clone());
        let about = "How long a batch of calls took to be written down";
        ours.register_with_unit("spend_write", about, Unit::Seconds, spend_write.clone());
        let about = "Batches of calls that the database did not take and that are tried again";
        ours.register("spend_write_failures", about, spend_write_failures.clone());
        let about = "Whether limits and budgets are counted for all replicas, in Redis; 0 where there is none";
        ours.register("shared_limits_up", about, shared_limits_up.clone());
        let about = "Calls whose limits one replica counted for itself because Redis could not be asked";
        ours.register("limits_counted_alone", about, limits_counted_alone.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "The running gateway", build);
        Self {
            registry,
            server_operation,
            client_operation,
            requests,
            overhead,
            upstream_up,
            upstream_circuit_open,
            active_streams,
            dropped_frames,
            config_reloads,
            limit_refusals,
            spend,
            spend_rows,
            spend_queue,
            spend_write,
            spend_write_failures,
            shared_limits_up,
            limits_counted_alone,
        }
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
