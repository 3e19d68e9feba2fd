//! `GET /v1/mcp/calls`: who called what, how that ended and what it cost, as pages and as a stream.

mod live;

use std::fmt;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_store::{SpendFilter, SpendRow};

use super::body::{FieldError, QueryOf};
use super::spend::{hash_of, visible};
use super::{AdminError, Allowed};

/// Calls on a page: as many as are given where nothing is said, and the most.
const PAGE: (u32, u32) = (50, 500);

/// Which calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CallsQuery {
    /// A key's hash.
    key: Option<String>,
    team_id: Option<String>,
    user_id: Option<String>,
    organization_id: Option<String>,
    /// A customer.
    end_user: Option<String>,
    session_id: Option<String>,
    /// A server's id, name or alias.
    server: Option<String>,
    /// A tool by the server's own name.
    tool: Option<String>,
    /// How it ended: `success`, `tool_error`, `input_required`, `error`, `cancelled`, `limited`.
    outcome: Option<String>,
    /// Begun then or later.
    since: Option<DateTime<Utc>>,
    /// Begun before.
    until: Option<DateTime<Utc>>,
    /// Where the page before ended.
    cursor: Option<String>,
    limit: Option<u32>,
    /// `true`: calls as they end, as server-sent events.
    stream: Option<bool>,
}

/// `GET /v1/mcp/calls`
///
/// # Errors
/// [`AdminError`].
pub async fn list(
    allowed: Allowed,
    QueryOf(query): QueryOf<CallsQuery>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    let takes_events = headers.get_all(header::ACCEPT).iter().any(|accept| {
        let wanted = accept.to_str().unwrap_or_default();
        wanted.contains("text/event-stream") && !wanted.contains("application/json")
    });
    let cursor = query.cursor.as_deref().map(Cursor::read).transpose()?;
    let limit = query.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(FieldError::wrong("limit", format_args!("a page has 1 to {} calls", PAGE.1)).into());
    }
    let is_stream = query.stream.unwrap_or(takes_events);
    let filter = query.filter(&allowed);
    if is_stream {
        return live::stream(allowed, filter).await;
    }
    let cursor = cursor.map(|Cursor(time, id)| (time, id));
    // One more than is given tells whether there is another page.
    let mut rows = allowed.store.calls_before(&filter, cursor.as_ref(), limit + 1).await?;
    let is_last = rows.len() <= limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().filter(|_| !is_last);
    let next = last.map(|row| Cursor(row.start_time, row.request_id.clone()).to_string());
    let calls: Vec<Value> = rows.iter().map(shown).collect();
    Ok(Json(json!({ "calls": calls, "next_cursor": next })).into_response())
}

impl CallsQuery {
    fn filter(self, allowed: &Allowed) -> SpendFilter {
        let servers = &allowed.snapshot.settings.servers;
        // A server that is gone is still known by its id.
        let id_of = |named: String| {
            let found = servers.iter().find(|server| server.names().any(|name| name == named));
            found.map_or(named, |server| server.id.as_str().to_owned())
        };
        SpendFilter {
            api_key: self.key.map(hash_of),
            team_id: self.team_id,
            user_id: self.user_id,
            organization_id: self.organization_id,
            end_user: self.end_user,
            session_id: self.session_id,
            mcp_server_id: self.server.map(id_of),
            model: self.tool.map(|tool| format!("MCP: {tool}")),
            call_type: Some("call_mcp_tool".to_owned()),
            outcome: self.outcome,
            since: self.since,
            until: self.until,
            visible: visible(allowed),
            ..SpendFilter::default()
        }
    }
}

/// Where a page ends: when its last call began, and that call's id.
struct Cursor(DateTime<Utc>, String);

impl Cursor {
    fn read(text: &str) -> Result<Self, FieldError> {
        let read = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (micros, id) = plain.split_once(' ')?;
            Some(Self(DateTime::from_timestamp_micros(micros.parse().ok()?)?, id.to_owned()))
        };
        read().ok_or_else(|| FieldError::wrong("cursor", "this is no `next_cursor` of an earlier page"))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{} {}", self.0.timestamp_micros(), self.1)))
    }
}

/// A call as it is told.
fn shown(row: &SpendRow) -> Value {
    let of = |key: &str| row.metadata.as_ref().and_then(|metadata| metadata.get(key)).cloned().unwrap_or_default();
    let call = of("mcp_tool_call_metadata");
    let of_call = |key: &str| call.get(key).cloned().unwrap_or_default();
    json!({
        "id": row.request_id,
        "started_at": row.start_time,
        "ended_at": row.end_time,
        "duration_ms": row.request_duration_ms,
        "outcome": of("outcome"),
        "error": of("error_message"),
        "cost": row.spend,
        "server_id": row.mcp_server_id,
        "server": of_call("mcp_server_name"),
        "tool": of_call("name"),
        // Names, types and sizes; `request` and `response` only where bodies are kept.
        "arguments": of_call("arguments"),
        "request": row.messages,
        "response": row.response,
        "key": row.api_key,
        "key_alias": of("user_api_key_alias"),
        "user_id": row.user_id,
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "end_user": row.end_user,
        "session_id": row.session_id,
        "client_ip": row.requester_ip_address,
        "request_id": of("x_request_id"),
        // More than one only where calls were summed up for want of room.
        "calls": row.metadata.as_ref().and_then(|metadata| metadata.get("calls")).cloned().unwrap_or(json!(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_cursor_leads_back_to_where_it_was_made_and_nothing_else_is_one() {
        let made = Cursor("2026-12-01T08:00:00.123456Z".parse().unwrap(), "r 1".to_owned());
        let read = Cursor::read(&made.to_string()).unwrap();
        assert_eq!((read.0, read.1), (made.0, made.1));
        for text in ["", "x", "MTIz", "%%%"] {
            assert!(Cursor::read(text).is_err(), "{text}");
        }
    }
}
