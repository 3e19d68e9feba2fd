//! Every metric: its name, what it says, its labels, and how many bytes its series may take.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::litellm::LiteLlm;
use super::series::{Label, Series};

/// In seconds, as the OpenTelemetry conventions for MCP give them.
const OPERATION_BUCKETS: [f64; 14] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// In seconds; the gateway's own share of a call is far below the first bucket of an operation.
const OVERHEAD_BUCKETS: [f64; 13] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// In seconds.
const SPEND_WRITE_BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

/// All of them, and the registry that writes them out.
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) server_operation: Series<5, Histogram>,
    pub(super) client_operation: Series<3, Histogram>,
    pub(super) server_session: Series<2, Histogram>,
    pub(super) client_session: Series<2, Histogram>,
    pub(super) requests: Series<4, Counter>,
    pub(super) policy_decisions: Series<2, Counter>,
    /// One of them, which every call counts in.
    pub(super) policy_allowed: Counter,
    pub(super) tool_changes: Series<2, Counter>,
    pub(super) overhead: Histogram,
    pub(super) upstream_up: Series<1, Gauge>,
    pub(super) upstream_circuit_open: Series<1, Gauge>,
    pub(super) upstream_failures: Series<2, Counter>,
    pub(super) upstream_since: Series<1, Gauge>,
    pub(super) active_streams: Gauge,
    pub(super) dropped_frames: Series<2, Counter>,
    pub(super) config_reloads: Series<1, Counter>,
    pub(super) limit_refusals: Series<2, Counter>,
    pub(super) spend: Series<1, Counter<f64, AtomicU64>>,
    pub(super) spend_rows: Series<1, Counter>,
    pub(super) spend_queue: Gauge,
    pub(super) spend_write: Histogram,
    pub(super) spend_write_failures: Counter,
    pub(super) shared_limits_up: Gauge,
    pub(super) limits_counted_alone: Counter,
    /// Only read with LiteLLM's.
    pub(super) in_flight: Gauge,
    pub(super) litellm: LiteLlm,
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
const SESSION_LABELS: [Label; 2] = [Label::closed("network_transport"), Label::closed("mcp_protocol_version")];
const REQUEST_LABELS: [Label; 4] =
    [Label::open("server"), Label::open("tool"), Label::closed("status"), Label::open("code")];

/// Together, with the quarter on top that a full family may still take, these stay below a mebibyte. A histogram writes
/// 17 lines for each series, a counter one.
const SERVER_OPERATION_BYTES: usize = 336 * 1024;
const CLIENT_OPERATION_BYTES: usize = 96 * 1024;
/// Room for every transport and revision.
const SESSION_BYTES: usize = 24 * 1024;
const REQUEST_BYTES: usize = 176 * 1024;
const SMALL_BYTES: usize = 16 * 1024;
/// Room for every reason.
const DECISION_BYTES: usize = 4 * 1024;
const TOOL_CHANGE_BYTES: usize = 12 * 1024;

impl Families {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let operation: fn() -> Histogram = || Histogram::new(OPERATION_BUCKETS);
        let lines = OPERATION_BUCKETS.len() + 3;
        let server_operation = Series::new(SERVER_OPERATION_LABELS, lines, SERVER_OPERATION_BYTES, operation);
        let client_operation = Series::new(CLIENT_OPERATION_LABELS, lines, CLIENT_OPERATION_BYTES, operation);
        let sessions = || Series::new(SESSION_LABELS, lines, SESSION_BYTES, operation);
        let (server_session, client_session) = (sessions(), sessions());
        let requests = Series::new(REQUEST_LABELS, 1, REQUEST_BYTES, Counter::default);
        let decision_labels = [Label::closed("decision"), Label::closed("reason")];
        let policy_decisions = Series::new(decision_labels, 1, DECISION_BYTES, Counter::default);
        let policy_allowed = policy_decisions.made(["allow", "granted"]);
        let change_labels = [Label::open("server"), Label::closed("action")];
        let tool_changes = Series::new(change_labels, 1, TOOL_CHANGE_BYTES, Counter::default);
        let overhead = Histogram::new(OVERHEAD_BUCKETS);
        let upstream_up = Series::new([Label::open("server")], 1, SMALL_BYTES, Gauge::default);
        let upstream_circuit_open = Series::new([Label::open("server")], 1, SMALL_BYTES, Gauge::default);
        let failure_labels = [Label::open("server"), Label::closed("stage")];
        let upstream_failures = Series::new(failure_labels, 1, SMALL_BYTES, Counter::default);
        let upstream_since = Series::new([Label::open("server")], 1, SMALL_BYTES, Gauge::default);
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
        let about = "How long clients' sessions lasted";
        registry.register_with_unit("mcp_server_session_duration", about, Unit::Seconds, server_session.clone());
        let about = "How long sessions with upstream servers lasted";
        registry.register_with_unit("mcp_client_session_duration", about, Unit::Seconds, client_session.clone());
        let ours = registry.sub_registry_with_prefix("toolgate");
        ours.register("requests", "Requests by server, tool and outcome", requests.clone());
        let about = "Requests refused, by reason, and calls of tools that were not";
        ours.register("policy_decisions", about, policy_decisions.clone());
        let about = "Tools in which a server's list differed from its last good one when it was fetched again";
        ours.register("tool_changes", about, tool_changes.clone());
        ours.register_with_unit("overhead", "The gateway's own share of a call", Unit::Seconds, overhead.clone());
        ours.register("upstream_up", "Whether the upstream server answers", upstream_up.clone());
        let about = "Whether the upstream server is left alone because it could not be reached";
        ours.register("upstream_circuit_open", about, upstream_circuit_open.clone());
        let about = "Failures of upstream servers, by stage";
        ours.register("upstream_failures", about, upstream_failures.clone());
        let about = "Since when the upstream server answers or does not, in seconds since 1970";
        ours.register("upstream_since_seconds", about, upstream_since.clone());
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
            server_session,
            client_session,
            requests,
            policy_decisions,
            policy_allowed,
            tool_changes,
            overhead,
            upstream_up,
            upstream_circuit_open,
            upstream_failures,
            upstream_since,
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
            in_flight: Gauge::default(),
            litellm: LiteLlm::new(),
        }
    }
}
