//! The envelope as `serde_json` alone reads it: what the quicker parser must agree with.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use toolgate_mcp::depth;
use toolgate_mcp::jsonrpc::{self, Body, Message, Outcome, code};

/// A message in words, or the code of the error that refuses it.
type Verdict = Result<String, i32>;

/// Any bytes are read, or refused, as `serde_json` alone reads them; alone and as the body of a POST.
pub fn agrees(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(parsed(bytes), expected(bytes), "{text}");
    assert_eq!(parsed_alone(bytes), expected_alone(bytes), "{text}");
}

/// What `toolgate_mcp` makes of the body of a POST.
fn parsed(bytes: &[u8]) -> Verdict {
    match jsonrpc::parse_body(bytes).map_err(|error| error.code())? {
        Body::Single(message) => Ok(words(&message)),
        Body::Batch(messages) => Ok(messages.iter().map(words).collect::<Vec<_>>().join("; ")),
    }
}

/// The same of one message.
fn parsed_alone(bytes: &[u8]) -> Verdict {
    jsonrpc::parse(bytes).map(|message| words(&message)).map_err(|error| error.code())
}

fn words(message: &Message<'_>) -> String {
    match message {
        Message::Request(request) => {
            let params = request.params.map(RawValue::get);
            format!("request {} {} {params:?}", request.id, request.method)
        }
        Message::Notification(notification) => {
            format!("notification {} {:?}", notification.method, notification.params.map(RawValue::get))
        }
        Message::Response(response) => {
            let outcome = match response.outcome {
                Outcome::Result(raw) => format!("result {raw}"),
                Outcome::Error(raw) => format!("error {raw}"),
            };
            format!("response {:?} {:?} {outcome}", response.id.as_ref().map(|id| id.as_json()), response.id_text)
        }
    }
}

/// What the body of a POST is.
fn expected(bytes: &[u8]) -> Verdict {
    let text = text(bytes)?;
    if !text.trim_ascii_start().starts_with('[') {
        return one(text);
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| code::PARSE_ERROR)?;
    if items.is_empty() {
        return Err(code::INVALID_REQUEST);
    }
    let messages: Vec<String> = items.into_iter().map(|item| one(item.get())).collect::<Result<_, _>>()?;
    Ok(messages.join("; "))
}

/// What one message is.
fn expected_alone(bytes: &[u8]) -> Verdict {
    one(text(bytes)?)
}

fn text(bytes: &[u8]) -> Result<&str, i32> {
    let shallow = depth::within(bytes, depth::MAX_DEPTH);
    std::str::from_utf8(bytes).ok().filter(|_| shallow).ok_or(code::PARSE_ERROR)
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    error: Option<&'a RawValue>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn one(text: &str) -> Verdict {
    if !text.trim_ascii_start().starts_with('{') {
        let json: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
        return Err(if json.is_ok() { code::INVALID_REQUEST } else { code::PARSE_ERROR });
    }
    let wire: Wire<'_> = serde_json::from_str(text)
        .map_err(|error| if error.is_data() { code::INVALID_REQUEST } else { code::PARSE_ERROR })?;
    message(&wire).ok_or(code::INVALID_REQUEST)
}

fn message(wire: &Wire<'_>) -> Option<String> {
    let get = |raw: Option<&RawValue>| raw.map(|raw| raw.get().to_owned());
    if get(wire.jsonrpc)? != "\"2.0\"" {
        return None;
    }
    let is_id = |id: &str| id.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    let id = get(wire.id);
    let Some(method) = wire.method else {
        let outcome = match (get(wire.result), get(wire.error)) {
            (Some(result), None) => format!("result {result}"),
            (None, Some(error)) => format!("error {error}"),
            (Some(result), Some(error)) if (result == "null") == (error == "null") => return None,
            (Some(result), Some(error)) if error == "null" => format!("result {result}"),
            (Some(_), Some(error)) => format!("error {error}"),
            (None, None) => return None,
        };
        let id = id.filter(|id| id != "null");
        if id.as_deref().map_or(outcome.starts_with("result"), |id| !is_id(id)) {
            return None;
        }
        return Some(format!("response {id:?} {id:?} {outcome}"));
    };
    let method: String = serde_json::from_str(method.get()).ok()?;
    let params = get(wire.params);
    let is_parameters = params.as_ref().is_none_or(|params| params.starts_with(['{', '[']));
    if wire.result.is_some() || wire.error.is_some() || !is_parameters {
        return None;
    }
    match id {
        None => Some(format!("notification {method} {params:?}")),
        Some(id) if is_id(&id) => Some(format!("request {id} {method} {params:?}")),
        Some(_) => None,
    }
}
