//! The demo server's protocol, as pure functions: a message in, a [`Step`] out.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Message, ParseError, Request, code};
use toolgate_mcp::version::Revision;

use super::{catalog, tools};

pub use super::tools::Pace;

/// What a message leads to.
#[derive(Debug)]
pub enum Step {
    /// This message goes back.
    Answer(Vec<u8>),
    /// Progress and an answer go back, in time.
    Play(Play),
    /// The running request with this id (JSON text) is to stop.
    Cancel(String),
    /// Nothing goes back: a notification, or an answer to something never asked.
    Nothing,
}

/// A call that takes its time.
#[derive(Debug)]
pub struct Play {
    /// Whose call it is.
    pub id: Id,
    /// How many steps it has, and how long each takes.
    pub pace: Pace,
    /// The caller's progress token as JSON text; without one there is no progress.
    token: Option<String>,
}

impl Play {
    /// Whether progress is sent before the answer.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        self.token.is_some()
    }

    /// The notification after `step` (from 1), if the caller asked for progress.
    #[must_use]
    pub fn progress(&self, step: u64) -> Option<Vec<u8>> {
        let token = self.token.as_ref()?;
        let steps = self.pace.steps;
        let params = format!(
            r#"{{"progressToken":{token},"progress":{step},"total":{steps},"message":"step {step} of {steps}"}}"#
        );
        Some(jsonrpc::notification("notifications/progress", Some(&params)))
    }

    /// The answer after the last step.
    #[must_use]
    pub fn answer(&self) -> Vec<u8> {
        let text = format!("done after {} steps of {} ms", self.pace.steps, self.pace.delay.as_millis());
        jsonrpc::result(&self.id, &tools::text(&text).to_string())
    }
}

/// Takes one message.
#[must_use]
pub fn take(message: &[u8]) -> Step {
    match jsonrpc::parse(message) {
        Ok(message) => take_parsed(&message),
        Err(error) => Step::Answer(refused(&error)),
    }
}

/// Takes one message that is parsed already.
#[must_use]
pub fn take_parsed(message: &Message<'_>) -> Step {
    match message {
        Message::Request(request) => take_request(request),
        Message::Notification(notification) if notification.method == "notifications/cancelled" => {
            cancelled(notification.params).map_or(Step::Nothing, Step::Cancel)
        }
        Message::Notification(_) | Message::Response(_) => Step::Nothing,
    }
}

/// The answer to bytes that are no message.
#[must_use]
pub fn refused(error: &ParseError) -> Vec<u8> {
    jsonrpc::error(None, &ErrorObject::new(error.code(), error.to_string()))
}

/// Whether `message` is an `initialize` request.
#[must_use]
pub fn is_initialize(message: &Message<'_>) -> bool {
    matches!(message, Message::Request(request) if request.method == "initialize")
}

fn take_request(request: &Request<'_>) -> Step {
    let params = match read_params(request.params) {
        Ok(params) => params,
        Err(error) => return Step::Answer(jsonrpc::error(Some(&request.id), &error)),
    };
    if request.method == "tools/call" {
        return call_tool(&request.id, &params);
    }
    Step::Answer(match answer(&request.method, &params) {
        Ok(result) => jsonrpc::result(&request.id, &result.to_string()),
        Err(error) => jsonrpc::error(Some(&request.id), &error),
    })
}

fn answer(method: &str, params: &Value) -> Result<Value, ErrorObject> {
    match method {
        "initialize" => initialize(params),
        "ping" => Ok(json!({})),
        "logging/setLevel" => set_level(params),
        "tools/list" => Ok(catalog::tools()),
        "resources/list" => Ok(catalog::resources()),
        "resources/templates/list" => Ok(catalog::resource_templates()),
        "resources/read" => catalog::read_resource(params),
        "prompts/list" => Ok(catalog::prompts()),
        "prompts/get" => catalog::get_prompt(params),
        "completion/complete" => catalog::complete(params),
        _ => Err(ErrorObject::new(code::METHOD_NOT_FOUND, format!("unknown method `{method}`"))),
    }
}

fn initialize(params: &Value) -> Result<Value, ErrorObject> {
    let Some(asked) = params.get("protocolVersion").and_then(Value::as_str) else {
        return Err(ErrorObject::new(
            code::INVALID_PARAMS,
            "`protocolVersion` must be a string such as \"2025-11-25\"",
        ));
    };
    let revision = Revision::parse(asked).filter(|revision| revision.has_handshake());
    Ok(json!({
        "protocolVersion": revision.unwrap_or(Revision::NEWEST_WITH_HANDSHAKE).name(),
        "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "completions": {}, "logging": {}},
        "serverInfo": {"name": "toolgate-demo", "title": "toolgate demo server", "version": env!("CARGO_PKG_VERSION")},
        "instructions": "A server to try things with. Nothing it says is real, least of all the weather.",
    }))
}

/// Takes any level and never logs: the demo server has nothing to say.
fn set_level(params: &Value) -> Result<Value, ErrorObject> {
    const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    match params.get("level").and_then(Value::as_str) {
        Some(level) if LEVELS.contains(&level) => Ok(json!({})),
        _ => Err(ErrorObject::new(code::INVALID_PARAMS, format!("`level` must be one of {}", LEVELS.join(", ")))),
    }
}

fn call_tool(id: &Id, params: &Value) -> Step {
    let wrong =
        |message: String| Step::Answer(jsonrpc::error(Some(id), &ErrorObject::new(code::INVALID_PARAMS, message)));
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return wrong("`name` must be a string, the name of a tool".to_owned());
    };
    let none = Map::new();
    let arguments = match params.get("arguments") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(arguments)) => arguments,
        Some(other) => return wrong(format!("`arguments` must be an object, not {other}")),
    };
    match tools::call(name, arguments) {
        Some(tools::Outcome::Now(result)) => Step::Answer(jsonrpc::result(id, &result.to_string())),
        Some(tools::Outcome::Later(pace)) => Step::Play(Play { id: id.clone(), pace, token: token(params) }),
        None => wrong(format!("unknown tool `{name}`: the tools are {}", tools::NAMES)),
    }
}

fn token(params: &Value) -> Option<String> {
    let token = params.get("_meta")?.get("progressToken")?;
    (token.is_string() || token.is_number()).then(|| token.to_string())
}

fn cancelled(params: Option<&RawValue>) -> Option<String> {
    let params: Map<String, Value> = serde_json::from_str(params?.get()).ok()?;
    let id = params.get("requestId")?;
    (id.is_string() || id.is_number()).then(|| id.to_string())
}

fn read_params(params: Option<&RawValue>) -> Result<Value, ErrorObject> {
    let Some(params) = params else { return Ok(Value::Object(Map::new())) };
    match serde_json::from_str(params.get()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ErrorObject::new(code::INVALID_PARAMS, "`params` must be an object")),
        Err(error) => Err(ErrorObject::new(code::INVALID_PARAMS, format!("`params` cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests;
