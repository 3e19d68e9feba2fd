//! One log line for each operation of a client, for those who switch it on: level `debug`, target `toolgate::calls`.
//!
//! A line costs more than all else that the gateway does for a call, so it is not among what is logged by default. It
//! names what is known and never what was said: no arguments, no results, no names that a stranger made up.

use std::time::Duration;

use toolgate_access::principal::{Credential, Principal};

use super::metrics::{RequestCount, method_label};

/// The target of the lines.
const TARGET: &str = "toolgate::calls";

/// An operation that has ended.
#[derive(Debug, Clone, Copy)]
pub struct CallLine<'a> {
    /// The JSON-RPC method as it was sent.
    pub method: &'a str,
    /// What the metrics count of it.
    pub counted: RequestCount<'a>,
    /// Who asked.
    pub principal: &'a Principal,
    /// How long the client waited.
    pub took: Duration,
    /// How much of that was for the server.
    pub upstream_took: Option<Duration>,
    /// The ids of the trace and of its server span, where there is one.
    pub trace: Option<&'a (String, String)>,
}

/// Writes the line, if anybody wants it.
pub fn log(line: CallLine<'_>) {
    if !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        return;
    }
    let CallLine { method, counted, principal, took, upstream_took, trace } = line;
    let key = match &principal.credential {
        Credential::Key(key) => key.key_alias.as_deref().or(key.key_name.as_deref()),
        _ => None,
    };
    let code = Some(counted.code).filter(|code| *code != 0);
    tracing::debug!(
        target: TARGET,
        {
            mcp.method = method_label(method),
            server.name = counted.server,
            tool.name = counted.tool,
            status = counted.status.label(),
            code,
            duration_ms = millis(took),
            upstream_ms = upstream_took.map(millis),
            key.alias = key,
            team.alias = principal.team.row().and_then(|team| team.team_alias.as_deref()),
            trace_id = trace.map(|(trace, _)| trace.as_str()),
            span_id = trace.map(|(_, span)| span.as_str()),
        },
        "a request has ended"
    );
}

/// To the microsecond.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}
