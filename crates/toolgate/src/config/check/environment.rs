//! Settings that LiteLLM takes from environment variables alone.

use std::time::Duration;

use super::super::environment::Environment;
use super::super::report::{At, Report};
use super::super::settings::{Identity, Limits, Naming, PrefixMode, RateLimitRetries, Timeouts};

/// The longest deadline that can be set, in seconds: a day.
pub(super) const MAX_SECONDS: f64 = 86_400.0;

/// The most often that a server that answers 429 can be asked again for one list.
const MAX_RETRIES: u32 = 100;

/// Deadlines towards upstreams.
pub(super) fn timeouts(environment: &Environment, report: &mut Report) -> Timeouts {
    let mut seconds = |name: &str, default: f64| duration(name, default, false, environment, report);
    let call = seconds("LITELLM_MCP_CLIENT_TIMEOUT", 60.0);
    let listing = seconds("LITELLM_MCP_TOOL_LISTING_TIMEOUT", 30.0);
    let metadata = seconds("LITELLM_MCP_METADATA_TIMEOUT", 10.0);
    let health = seconds("LITELLM_MCP_HEALTH_CHECK_TIMEOUT", 10.0);
    let list_cache = duration("LITELLM_MCP_DISCOVERY_CACHE_TTL", 60.0, true, environment, report);
    Timeouts { call, listing, metadata, health, list_cache, rate_limit: rate_limit(environment, report) }
}

fn rate_limit(environment: &Environment, report: &mut Report) -> RateLimitRetries {
    const MOST: &str = "LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES";
    let default = RateLimitRetries::default();
    let most = environment.get(MOST).map(|text| text.trim().parse().ok().filter(|most| *most <= MAX_RETRIES));
    let most = most.unwrap_or(Some(default.most)).unwrap_or_else(|| {
        let message = format!("not a whole number between 0 and {MAX_RETRIES}");
        let _ = report.error("config.out_of_range", &At::variable(MOST), message);
        default.most
    });
    let mut seconds = |name: &str, default: Duration| duration(name, default.as_secs_f64(), true, environment, report);
    let first = seconds("LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS", default.first);
    let longest = seconds("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_DELAY_SECONDS", default.longest);
    RateLimitRetries { most, first, longest }
}

/// Caps on what one peer can make the gateway hold.
pub(super) fn limits(environment: &Environment, report: &mut Report) -> Limits {
    const VARIABLE: &str = "LITELLM_MCP_MAX_SSE_EVENT_SIZE_BYTES";
    const MIB: usize = 1024 * 1024;
    let range = 64 * 1024..=1024 * MIB;
    let message_bytes = match environment.get(VARIABLE).map(|text| text.trim().parse::<usize>()) {
        None => 64 * MIB,
        Some(Ok(bytes)) if range.contains(&bytes) => bytes,
        Some(_) => {
            let range = format!("{} and {}", range.start(), range.end());
            let _ = report.error(
                "config.out_of_range",
                &At::variable(VARIABLE),
                format!("not a whole number of bytes between {range}"),
            );
            64 * MIB
        }
    };
    Limits {
        head_time: Duration::from_secs(75),
        body_time: Duration::from_secs(30),
        request_bytes: 4 * MIB,
        message_bytes,
        names_per_scope: 16,
        pages_per_list: 1000,
        upstream_sessions: 20_000,
        session_idle: Duration::from_secs(30 * 60),
        without_database: Duration::from_secs(5 * 60),
    }
}

/// How the gateway presents itself.
pub(super) fn identity(environment: &Environment) -> Identity {
    let text = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    Identity {
        name: text("LITELLM_MCP_SERVER_NAME", "litellm-mcp-server"),
        description: text("LITELLM_MCP_SERVER_DESCRIPTION", "MCP Server for LiteLLM"),
    }
}

/// How listed names are made.
pub(super) fn naming(prefix: PrefixMode, environment: &Environment, report: &mut Report) -> Naming {
    const VARIABLE: &str = "MCP_TOOL_PREFIX_SEPARATOR";
    let separator = environment.get(VARIABLE).unwrap_or("-").to_owned();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if separator.len() > 8 || !separator.chars().all(allowed) {
        report
            .error(
                "config.bad_separator",
                &At::variable(VARIABLE),
                format!("`{separator}` cannot stand in a tool's name"),
            )
            .help("use one to eight letters, digits, `_`, `-`, `.`, `/` or `:`");
    }
    Naming { separator, prefix }
}

fn duration(name: &str, default: f64, zero: bool, environment: &Environment, report: &mut Report) -> Duration {
    let Some(text) = environment.get(name) else { return Duration::from_secs_f64(default) };
    match text.trim().parse::<f64>().ok().and_then(|seconds| in_range(seconds, zero)) {
        Some(duration) => duration,
        None => {
            let message = format!("`{text}` is not a number of seconds between 0 and {MAX_SECONDS}");
            let _ = report.error("config.out_of_range", &At::variable(name), message);
            Duration::from_secs_f64(default)
        }
    }
}

/// `seconds` as a duration, when it is above 0 (or 0, where that has a meaning) and at most a day.
pub(super) fn in_range(seconds: f64, zero: bool) -> Option<Duration> {
    let enough = if zero { seconds >= 0.0 } else { seconds > 0.0 };
    (enough && seconds <= MAX_SECONDS).then(|| Duration::from_secs_f64(seconds))
}
