//! One call as it is written down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use http::HeaderValue;
use serde_json::{Map, Value, json};
use toolgate_store::SpendRow;

use super::payers::Payers;
use super::shape::shape;
use crate::config::settings::ServerSettings;
use crate::upstream::SessionKey;

/// Arguments up to this size are kept as they are until their shape is taken, off the path of the call.
const SMALL_BYTES: usize = 1024;

/// More of what was asked or answered is not kept.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Longer texts of errors are cut.
const MAX_ERROR_CHARS: usize = 512;

/// A call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The server.
    pub server: &'a Arc<ServerSettings>,
    /// The server's own name for the tool.
    pub tool: &'a str,
    /// The arguments as JSON text.
    pub arguments: Option<&'a str>,
    /// The client's session.
    pub session: Option<SessionKey>,
    /// Where the client is.
    pub from: Option<IpAddr>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Success,
    /// With a result that says `isError`.
    ToolError,
    /// With questions for the client, which then asks again; only the last of these calls costs anything.
    InputRequired,
    /// With an error, of the server or on the way to it.
    Error,
    /// The client did not wait for its end.
    Cancelled,
    /// It was not made: a limit or budget was used up.
    Limited,
}

impl Outcome {
    /// As the log has it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ToolError => "tool_error",
            Self::InputRequired => "input_required",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Limited => "limited",
        }
    }

    /// LiteLLM's `status`.
    fn status(self) -> &'static str {
        match self {
            Self::Success | Self::InputRequired => "success",
            Self::ToolError | Self::Error | Self::Cancelled | Self::Limited => "failure",
        }
    }
}

/// What is kept of a call until it is written. In a box on its way.
pub(super) struct Record {
    pub(super) payers: Arc<Payers>,
    server: Arc<ServerSettings>,
    tool: Box<str>,
    started: DateTime<Utc>,
    began: Instant,
    took: Duration,
    pub(super) cost: f64,
    outcome: Outcome,
    session: Option<SessionKey>,
    from: Option<IpAddr>,
    request_id: Option<HeaderValue>,
    arguments: Arguments,
    answer: Option<Body>,
    error: Option<Box<str>>,
}

enum Arguments {
    None,
    /// Their shape is still to be taken.
    Small(Box<str>),
    Shape(Value),
    /// Bodies are kept.
    Whole(Body),
}

/// What was asked or answered, as JSON text; only its size where it is too large.
enum Body {
    Text(Box<str>),
    TooLarge(usize),
}

impl Body {
    fn of(text: &str) -> Self {
        if text.len() > MAX_BODY_BYTES { Self::TooLarge(text.len()) } else { Self::Text(text.into()) }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::TooLarge(_) => 0,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::TooLarge(bytes) => json!({ "truncated": true, "bytes": bytes }),
            // No database keeps a NUL in a text.
            Self::Text(text) if text.contains("\\u0000") => json!({ "truncated": true, "bytes": text.len() }),
            Self::Text(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }
}

impl Record {
    /// A call that begins now.
    pub(super) fn begin(payers: &Arc<Payers>, call: &Call<'_>, with_bodies: bool, started: DateTime<Utc>) -> Self {
        let arguments = match call.arguments {
            None => Arguments::None,
            Some(text) if with_bodies => Arguments::Whole(Body::of(text)),
            Some(text) if text.len() <= SMALL_BYTES => Arguments::Small(text.into()),
            Some(text) => Arguments::Shape(shape(text)),
        };
        Self {
            payers: Arc::clone(payers),
            server: Arc::clone(call.server),
            tool: call.tool.into(),
            started,
            began: Instant::now(),
            took: Duration::ZERO,
            cost: 0.0,
            outcome: Outcome::Cancelled,
            session: call.session,
            from: call.from,
            request_id: crate::telemetry::request_id::current(),
            arguments,
            answer: None,
            error: None,
        }
    }

    /// It has ended.
    pub(super) fn end(&mut self, outcome: Outcome, cost: f64) {
        (self.outcome, self.cost, self.took) = (outcome, cost, self.began.elapsed());
    }

    pub(super) fn fail(&mut self, error: &dyn std::fmt::Display) {
        let text: String = error.to_string().chars().filter(|c| *c != '\0').take(MAX_ERROR_CHARS).collect();
        self.error = Some(text.into());
    }

    pub(super) fn answer(&mut self, result: &str) {
        self.answer = Some(Body::of(result));
    }

    /// What bodies it holds.
    pub(super) fn body_bytes(&self) -> usize {
        let arguments = match &self.arguments {
            Arguments::Whole(body) => body.bytes(),
            Arguments::None | Arguments::Small(_) | Arguments::Shape(_) => 0,
        };
        arguments + self.answer.as_ref().map_or(0, Body::bytes)
    }

    /// Leaves bodies out, for want of room.
    pub(super) fn without_bodies(&mut self) {
        for body in [&mut self.answer].into_iter().flatten() {
            *body = Body::TooLarge(body.bytes());
        }
        if let Arguments::Whole(body) = &mut self.arguments {
            *body = Body::TooLarge(body.bytes());
        }
    }

    pub(super) fn server(&self) -> &ServerSettings {
        &self.server
    }

    /// The server's own name for it.
    pub(super) fn tool(&self) -> &str {
        &self.tool
    }

    /// The row, under this id.
    pub(super) fn into_row(self, id: String) -> SpendRow {
        let ids = &self.payers.ids;
        let tool = self.tool.replace('\0', "");
        let namespaced = format!("{}/{tool}", self.server.name);
        let mut tool_call = Map::new();
        tool_call.insert("name".into(), tool.as_str().into());
        tool_call.insert("mcp_server_name".into(), self.server.name.as_str().into());
        tool_call.insert("namespaced_tool_name".into(), namespaced.as_str().into());
        let messages = match self.arguments {
            Arguments::None => None,
            Arguments::Small(text) => {
                tool_call.insert("arguments".into(), shape(&text));
                None
            }
            Arguments::Shape(shape) => {
                tool_call.insert("arguments".into(), shape);
                None
            }
            Arguments::Whole(body) => Some(json!({ "name": tool, "arguments": body.into_value() })),
        };
        let mut metadata = Map::new();
        metadata.insert("outcome".into(), self.outcome.label().into());
        let text = |id: &Option<String>| id.as_deref().map(Value::from);
        for (name, value) in [
            ("user_api_key_alias", text(&ids.key_alias)),
            ("user_api_key_team_alias", text(&ids.team_alias)),
            ("error_message", self.error.as_deref().map(Value::from)),
            ("x_request_id", self.request_id.as_ref().and_then(|id| id.to_str().ok()).map(Value::from)),
        ] {
            metadata.extend(value.map(|value| (name.to_owned(), value)));
        }
        metadata.insert("mcp_tool_call_metadata".into(), Value::Object(tool_call));
        let started = self.started.trunc_subsecs(6);
        let took = TimeDelta::from_std(self.took).unwrap_or_default();
        let mut row = SpendRow {
            request_id: id,
            call_type: "call_mcp_tool".into(),
            spend: self.cost,
            start_time: started,
            end_time: (started + took).trunc_subsecs(6),
            request_duration_ms: Some(took.num_milliseconds()),
            model: format!("MCP: {tool}"),
            requester_ip_address: self.from.map(|address| address.to_string()),
            session_id: self.session.map(|session| session.to_string()),
            status: Some(self.outcome.status().into()),
            mcp_namespaced_tool_name: Some(namespaced),
            mcp_server_id: Some(self.server.id.as_str().to_owned()),
            metadata: Some(Value::Object(metadata)),
            messages,
            response: self.answer.map(Body::into_value),
            ..SpendRow::default()
        };
        ids.put_into(&mut row);
        row
    }
}
