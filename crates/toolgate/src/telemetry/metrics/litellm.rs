//! The metrics that dashboards made for LiteLLM read, for those who switch them on (`compat_metrics`).
//!
//! Names, types, buckets and labels are those of LiteLLM 1.109 (`litellm/types/integrations/prometheus.py`), as far as
//! they say something of MCP traffic: there is no `model_id` or `api_provider` here, and a metric is no place for
//! e-mail addresses, client addresses and user agents. A call's model is `MCP: {tool}`, as in the log of calls.
//!
//! They are a page of their own behind the gateway's, bounded like it, at up to two mebibytes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use toolgate_mcp::jsonrpc::code;
use toolgate_mcp::method;

use super::series::{Label, Series};
use super::{RequestCount, Status};

/// LiteLLM's `LATENCY_BUCKETS`, in seconds.
const BUCKETS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 420.0, 600.0];

const COUNTER_BYTES: usize = 96 * 1024;
const HISTOGRAM_BYTES: usize = 384 * 1024;

/// Who calls, in LiteLLM's labels; empty where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallerLabels<'a> {
    /// The key's hash: 64 hexadecimal digits, from which the key cannot be had.
    pub hashed_api_key: &'a str,
    /// What people call the key.
    pub api_key_alias: &'a str,
    /// The team's id.
    pub team: &'a str,
    /// What people call the team.
    pub team_alias: &'a str,
    /// The user's id.
    pub user: &'a str,
    /// The customer's id.
    pub end_user: &'a str,
}

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub struct LiteLlmRequest<'a> {
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The route, as the table of routes has it.
    pub route: &'static str,
    /// Who asked.
    pub caller: CallerLabels<'a>,
    /// What is counted of it. The code is a JSON-RPC code, whatever the face.
    pub counted: RequestCount<'a>,
    /// How long the client waited.
    pub took: Duration,
    /// How much of that was for the server.
    pub upstream_took: Option<Duration>,
}

pub(super) struct LiteLlm {
    is_on: AtomicBool,
    registry: Registry,
    total_requests: Series<9, Counter>,
    failed_requests: Series<10, Counter>,
    spend: Series<8, Counter<f64, AtomicU64>>,
    total_latency: Series<7, Histogram>,
    upstream_latency: Series<7, Histogram>,
    overhead_latency: Series<3, Histogram>,
    tool_calls: Series<8, Counter>,
    tool_call_spend: Series<8, Counter<f64, AtomicU64>>,
}

impl LiteLlm {
    pub(super) fn new() -> Self {
        let [hashed_api_key, api_key_alias, team, team_alias, user, end_user] =
            ["hashed_api_key", "api_key_alias", "team", "team_alias", "user", "end_user"].map(Label::open);
        let (model, requested_model) = (Label::open("model"), Label::open("requested_model"));
        let (route, status_code) = (Label::closed("route"), Label::closed("status_code"));
        let (exception_status, exception_class) = (Label::closed("exception_status"), Label::closed("exception_class"));
        let of_spend = [end_user, hashed_api_key, api_key_alias, model, requested_model, team, team_alias, user];
        let of_total =
            [end_user, hashed_api_key, api_key_alias, requested_model, team, team_alias, user, status_code, route];
        let of_failed = [
            end_user,
            hashed_api_key,
            api_key_alias,
            requested_model,
            team,
            team_alias,
            user,
            exception_status,
            exception_class,
            route,
        ];
        // A histogram writes twenty lines for each series, so the key's hash, the longest of all, is left out.
        let of_latency = [end_user, api_key_alias, model, requested_model, team, team_alias, user];
        let of_overhead = [Label::open("model_group"), Label::open("litellm_model_name"), api_key_alias];
        let (tool, server) = (Label::open("mcp_tool_name"), Label::open("mcp_server_name"));
        let of_tool = [tool, server, hashed_api_key, api_key_alias, team, team_alias, user, end_user];
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let lines = BUCKETS.len() + 3;
        let mut all = Self {
            is_on: AtomicBool::new(false),
            registry: Registry::default(),
            total_requests: Series::new(of_total, 1, COUNTER_BYTES, Counter::default),
            failed_requests: Series::new(of_failed, 1, COUNTER_BYTES, Counter::default),
            spend: Series::new(of_spend, 1, COUNTER_BYTES, Counter::default),
            total_latency: Series::new(of_latency, lines, HISTOGRAM_BYTES, histogram),
            upstream_latency: Series::new(of_latency, lines, HISTOGRAM_BYTES, histogram),
            overhead_latency: Series::new(of_overhead, lines, HISTOGRAM_BYTES / 2, histogram),
            tool_calls: Series::new(of_tool, 1, COUNTER_BYTES, Counter::default),
            tool_call_spend: Series::new(of_tool, 1, COUNTER_BYTES, Counter::default),
        };
        all.register();
        all
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let about = "Requests that clients made";
        registry.register("litellm_proxy_total_requests_metric", about, self.total_requests.clone());
        let about = "Requests to which the client got no success";
        registry.register("litellm_proxy_failed_requests_metric", about, self.failed_requests.clone());
        registry.register("litellm_spend_metric", "What calls cost, in USD", self.spend.clone());
        let about = "How long clients waited, in seconds";
        registry.register("litellm_request_total_latency_metric", about, self.total_latency.clone());
        let about = "How long the gateway waited for servers, in seconds";
        registry.register("litellm_llm_api_latency_metric", about, self.upstream_latency.clone());
        let about = "The gateway's own share of calls, in seconds";
        registry.register("litellm_overhead_latency_metric", about, self.overhead_latency.clone());
        registry.register("litellm_mcp_tool_calls", "Calls of tools that succeeded", self.tool_calls.clone());
        let about = "What calls of tools cost, in USD";
        registry.register("litellm_mcp_tool_call_spend_metric", about, self.tool_call_spend.clone());
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn switch(&self, on: bool) {
        self.is_on.store(on, Ordering::Relaxed);
    }

    /// LiteLLM logs calls and lists of tools, and nothing else of MCP.
    pub(super) fn request(&self, request: LiteLlmRequest<'_>) {
        let LiteLlmRequest { method, route, caller, counted, took, upstream_took } = request;
        let model = match (method, counted.tool) {
            (method::TOOLS_LIST, _) => "MCP: list_tools",
            (method::TOOLS_CALL, Some(tool)) => &*format!("MCP: {tool}"),
            // What nobody knows is a stranger's text.
            (method::TOOLS_CALL, None) => "",
            _ => return,
        };
        let CallerLabels { hashed_api_key, api_key_alias, team, team_alias, user, end_user } = caller;
        let failure = Failure::of(counted);
        let status = failure.map_or("200", |failure| failure.status);
        let labels = [end_user, hashed_api_key, api_key_alias, model, team, team_alias, user, status, route];
        self.total_requests.with(labels, count);
        if let Some(Failure { status, class }) = failure {
            let labels = [end_user, hashed_api_key, api_key_alias, model, team, team_alias, user, status, class, route];
            self.failed_requests.with(labels, count);
            return;
        }
        let labels = [end_user, api_key_alias, model, model, team, team_alias, user];
        self.total_latency.with(labels, |histogram| histogram.observe(took.as_secs_f64()));
        let Some(upstream_took) = upstream_took else { return };
        self.upstream_latency.with(labels, |histogram| histogram.observe(upstream_took.as_secs_f64()));
        let own = took.saturating_sub(upstream_took);
        self.overhead_latency.with([model, model, api_key_alias], |histogram| histogram.observe(own.as_secs_f64()));
        if let (Some(tool), Some(server)) = (counted.tool, counted.server) {
            let labels = [tool, server, hashed_api_key, api_key_alias, team, team_alias, user, end_user];
            self.tool_calls.with(labels, count);
        }
    }

    pub(super) fn spent(&self, caller: CallerLabels<'_>, server: &str, tool: &str, cost: f64) {
        let CallerLabels { hashed_api_key, api_key_alias, team, team_alias, user, end_user } = caller;
        let model = &*format!("MCP: {tool}");
        let add = |counter: &Counter<f64, AtomicU64>| {
            counter.inc_by(cost);
        };
        self.spend.with([end_user, hashed_api_key, api_key_alias, model, model, team, team_alias, user], add);
        let labels = [tool, server, hashed_api_key, api_key_alias, team, team_alias, user, end_user];
        self.tool_call_spend.with(labels, add);
    }

    /// Appends all of them, with so many requests being worked on.
    pub(super) fn encode(&self, out: &mut String, in_flight: i64) -> std::fmt::Result {
        prometheus_client::encoding::text::encode_registry(out, &self.registry)?;
        let mut one = Registry::default();
        one.register("litellm_in_flight_requests", "Requests that are being worked on", ConstGauge::new(in_flight));
        prometheus_client::encoding::text::encode_registry(out, &one)
    }
}

fn count(counter: &Counter) {
    counter.inc();
}

/// What went wrong, in LiteLLM's words.
#[derive(Debug, Clone, Copy)]
struct Failure {
    /// An HTTP status; empty where the response had none of its own.
    status: &'static str,
    /// One of LiteLLM's exceptions.
    class: &'static str,
}

impl Failure {
    fn of(counted: RequestCount<'_>) -> Option<Self> {
        let (status, class) = match (counted.status, counted.code) {
            (Status::Ok, _) => return None,
            (Status::ToolError, _) => ("", "MCPToolResultError"),
            (
                Status::Error,
                code::PARSE_ERROR | code::INVALID_REQUEST | code::INVALID_PARAMS | code::HEADER_MISMATCH,
            ) => ("400", "BadRequestError"),
            (Status::Error, code::UPSTREAM_AUTH) => ("401", "AuthenticationError"),
            (Status::Error, code::DENIED) => ("403", "PermissionDeniedError"),
            (Status::Error, code::METHOD_NOT_FOUND) => ("404", "NotFoundError"),
            (Status::Error, code::BUSY) => ("429", "RateLimitError"),
            (Status::Error, code::UPSTREAM_UNAVAILABLE) => ("502", "BadGatewayError"),
            (Status::Error, code::TIMEOUT) => ("504", "Timeout"),
            (Status::Error, _) => ("500", "InternalServerError"),
        };
        Some(Self { status, class })
    }
}
