//! JSON-RPC 2.0 envelopes with raw contents.
//!
//! Only `jsonrpc`, `id`, `method`, `params`, `result` and `error` are looked at; the last three stay raw.
//! An envelope with a duplicate key, a wrong `jsonrpc`, or nesting beyond [`MAX_DEPTH`] is refused, because two parsers
//! in a row that disagree about a message are a way around every check.
//!
//! Source: <https://www.jsonrpc.org/specification>, MCP 2025-11-25 `basic`.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, de};
use serde_json::value::RawValue;

use crate::depth::{self, MAX_DEPTH};
use crate::fields;

/// Error codes that JSON-RPC and MCP define, and ours (-32000..-32019, as the specification leaves them to us).
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The JSON is not a request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// Nobody serves this method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are wrong; also an unknown tool, prompt, resource or cursor.
    pub const INVALID_PARAMS: i32 = -32602;
    /// Our own fault.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// The upstream did not answer in time.
    pub const TIMEOUT: i32 = -32001;
    /// What servers before 2026-07-28 answer for an unknown resource.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// A header does not say what the body says; since 2026-07-28.
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The request needs something that the client has not declared; since 2026-07-28.
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
    /// The request's protocol version is not served; since 2026-07-28.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
    /// The upstream cannot be reached, or its connection broke.
    pub const UPSTREAM_UNAVAILABLE: i32 = -32010;
    /// The upstream asks for credentials that the caller has not given.
    pub const UPSTREAM_AUTH: i32 = -32011;
    /// A rule of the gateway forbids this.
    pub const DENIED: i32 = -32012;
    /// Too many at once.
    pub const BUSY: i32 = -32013;
    /// No server of that name is in the caller's reach.
    pub const SERVER_NOT_FOUND: i32 = -32016;
}

/// A request id as it stood on the wire: the JSON text of a number or a string.
///
/// Kept as text, so that `1`, `1.0` and `"1"` stay what they were when the answer goes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(Box<str>);

impl Id {
    /// The id that a raw value is; `None` when it is neither a string nor a number.
    #[must_use]
    pub fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        text.starts_with(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).then(|| Self(text.into()))
    }

    /// The id as JSON text, quotes included.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id as a number of ours, if it is one.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(number.to_string().into_boxed_str())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message, borrowed from the bytes it came in.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Is one.
    Response(Response<'a>),
}

/// A request: `id` and `method` are there.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The sender's id.
    pub id: Id,
    /// The method, unescaped.
    pub method: Cow<'a, str>,
    /// The raw parameters: an object or an array.
    pub params: Option<&'a RawValue>,
    /// The id as it stands in the message, a slice of it; see [`with_id`].
    pub id_text: &'a str,
}

/// A notification: a `method` and no `id`.
#[derive(Debug, Clone)]
pub struct Notification<'a> {
    /// The method, unescaped.
    pub method: Cow<'a, str>,
    /// The raw parameters: an object or an array.
    pub params: Option<&'a RawValue>,
}

/// A response: a `result` or an `error`.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// Whose answer this is; `None` for an error about a message whose id could not be read.
    pub id: Option<Id>,
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// Where the id's JSON text stands in the message, so that it can be replaced in place.
    pub id_text: Option<&'a str>,
}

/// The two ways a request ends.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The raw `result`.
    Result(&'a RawValue),
    /// The raw `error`: an object, unless the peer is broken. It ends the call all the same.
    Error(&'a RawValue),
}

/// What the body of one POST holds.
#[derive(Debug)]
pub enum Body<'a> {
    /// One message.
    Single(Message<'a>),
    /// A batch, at least one long; only revision 2025-03-26 has them.
    Batch(Vec<Message<'a>>),
}

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON at all; JSON-RPC -32700.
    #[error("not valid JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// Nested beyond [`MAX_DEPTH`]; JSON-RPC -32700, since no parser should have to read it.
    #[error("JSON nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// JSON, but not an envelope; JSON-RPC -32600.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    NotAMessage(Cow<'static, str>),
}

impl ParseError {
    /// The JSON-RPC code that answers this.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotJson(_) | Self::TooDeep => code::PARSE_ERROR,
            Self::NotAMessage(_) => code::INVALID_REQUEST,
        }
    }
}

/// Parses one message.
///
/// # Errors
/// [`ParseError`] as its variants say. A batch is [`ParseError::NotAMessage`]; see [`parse_body`].
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    match quick(bytes) {
        Some(wire) => wire.into_message(),
        None => parse_one(shallow_text(bytes)?),
    }
}

/// Parses the body of a POST: one message, or a batch.
///
/// # Errors
/// [`ParseError`] as its variants say; one bad message in a batch fails the batch.
pub fn parse_body(bytes: &[u8]) -> Result<Body<'_>, ParseError> {
    if let Some(wire) = quick(bytes) {
        return wire.into_message().map(Body::Single);
    }
    let text = shallow_text(bytes)?;
    if !text.trim_ascii_start().starts_with('[') {
        return parse_one(text).map(Body::Single);
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(ParseError::NotJson)?;
    if items.is_empty() {
        return Err(ParseError::NotAMessage("an empty batch".into()));
    }
    items.into_iter().map(|item| parse_one(item.get())).collect::<Result<_, _>>().map(Body::Batch)
}

/// Most messages are one well-formed object, and need no more than this one look. Fields that nobody reads are checked
/// for UTF-8 as well.
fn quick(bytes: &[u8]) -> Option<Wire<'_>> {
    Wire::quick(std::str::from_utf8(bytes).ok()?)
}

/// The bytes as text that is safe to parse and to pass on.
fn shallow_text(bytes: &[u8]) -> Result<&str, ParseError> {
    if !depth::within(bytes, MAX_DEPTH) {
        return Err(ParseError::TooDeep);
    }
    std::str::from_utf8(bytes).map_err(|error| ParseError::NotJson(de::Error::custom(error)))
}

fn parse_one(text: &str) -> Result<Message<'_>, ParseError> {
    if !text.trim_ascii_start().starts_with('{') {
        let json: Result<de::IgnoredAny, _> = serde_json::from_str(text);
        return Err(json.map_or_else(ParseError::NotJson, |_| ParseError::NotAMessage("expected an object".into())));
    }
    Wire::read(text).map_err(refusal)?.into_message()
}

fn refusal(error: serde_json::Error) -> ParseError {
    if error.is_data() { ParseError::NotAMessage(plain(&error).into()) } else { ParseError::NotJson(error) }
}

/// `serde_json` says «at line 1 column 7», which nobody who sends one line of JSON wants to read.
pub(crate) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The fields of an envelope. `"result": null` is an answer and `"id": null` is not a notification, so `null` is there.
struct Wire<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

const FIELDS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl<'a> Wire<'a> {
    fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        fields::pick(text, FIELDS).map(Self::of)
    }

    /// As [`Wire::read`], for well-formed text that is not too deep; `None` says nothing about why.
    fn quick(text: &'a str) -> Option<Self> {
        fields::quick(text, FIELDS).map(Self::of)
    }

    fn of([jsonrpc, id, method, params, result, error]: [Option<&'a RawValue>; 6]) -> Self {
        Self { jsonrpc, id, method, params, result, error }
    }

    fn into_message(self) -> Result<Message<'a>, ParseError> {
        if self.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
            return Err(ParseError::NotAMessage(r#"`jsonrpc` must be "2.0""#.into()));
        }
        let Some(method) = self.method else {
            return self.into_response().map(Message::Response);
        };
        if self.result.is_some() || self.error.is_some() {
            return Err(ParseError::NotAMessage("both a request and a response".into()));
        }
        let method = string(method).ok_or(ParseError::NotAMessage("`method` must be a string".into()))?;
        if let Some(params) = self.params
            && !params.get().starts_with(['{', '['])
        {
            return Err(ParseError::NotAMessage("`params` must be an object".into()));
        }
        let Some(id) = self.id else {
            return Ok(Message::Notification(Notification { method, params: self.params }));
        };
        Ok(Message::Request(Request { id: read_id(id)?, method, params: self.params, id_text: id.get() }))
    }

    fn into_response(self) -> Result<Response<'a>, ParseError> {
        let outcome = match (self.result, self.error) {
            (Some(result), None) => Outcome::Result(result),
            (None, Some(error)) => Outcome::Error(error),
            // Servers with a JSON-RPC 1.0 library write both, and `null` for the one that is not meant.
            (Some(result), Some(error)) if is_null(error) && !is_null(result) => Outcome::Result(result),
            (Some(result), Some(error)) if is_null(result) && !is_null(error) => Outcome::Error(error),
            (Some(_), Some(_)) => return Err(ParseError::NotAMessage("both `result` and `error`".into())),
            (None, None) => return Err(ParseError::NotAMessage("no `method`, `result` or `error`".into())),
        };
        let raw = self.id.filter(|id| !is_null(id));
        let id = raw.map(read_id).transpose()?;
        if id.is_none() && matches!(outcome, Outcome::Result(_)) {
            return Err(ParseError::NotAMessage("a result without an `id`".into()));
        }
        Ok(Response { id, outcome, id_text: raw.map(RawValue::get) })
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

fn read_id(raw: &RawValue) -> Result<Id, ParseError> {
    Id::read(raw).ok_or(ParseError::NotAMessage("`id` must be a string or a number".into()))
}

/// The string that a raw value holds, borrowed when it has no escapes; `None` if it is no string.
#[must_use]
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// An error of our own making.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject {
    /// See [`code`].
    pub code: i32,
    /// One sentence for the person who reads it.
    pub message: String,
    /// Details for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl ErrorObject {
    /// An error without `data`.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

/// The bytes of a request; `params` must be JSON text.
#[must_use]
pub fn request(id: &str, method: &str, params: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + method.len() + params.map_or(0, str::len));
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    write_call(&mut out, method, params);
    out
}

/// The bytes of a notification; `params` must be JSON text.
#[must_use]
pub fn notification(method: &str, params: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + method.len() + params.map_or(0, str::len));
    out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
    write_call(&mut out, method, params);
    out
}

fn write_call(out: &mut Vec<u8>, method: &str, params: Option<&str>) {
    out.extend_from_slice(br#","method":"#);
    serde_json::to_writer(&mut *out, method).expect("a string always serializes");
    if let Some(params) = params {
        out.extend_from_slice(br#","params":"#);
        out.extend_from_slice(params.as_bytes());
    }
    out.push(b'}');
}

/// The bytes of a successful response; `result` must be JSON text.
#[must_use]
pub fn result(id: &Id, result: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + id.0.len() + result.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.0.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.push(b'}');
    out
}

/// The bytes of an error response; `id` is `None` where the request's could not be read.
#[must_use]
pub fn error(id: Option<&Id>, error: &ErrorObject) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + error.message.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or("null", Id::as_json).as_bytes());
    out.extend_from_slice(br#","error":"#);
    serde_json::to_writer(&mut out, error).expect("an error object always serializes");
    out.push(b'}');
    out
}

/// The bytes of an error response that somebody else made; `error` must be the JSON text of an error object.
#[must_use]
pub fn raw_error(id: &Id, error: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + id.0.len() + error.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.0.as_bytes());
    out.extend_from_slice(br#","error":"#);
    out.extend_from_slice(error.as_bytes());
    out.push(b'}');
    out
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string always serializes")
}

/// `message`, a response or a request, with the id that its receiver is to know it by; everything else stays byte for
/// byte.
///
/// `id_text` is [`Response::id_text`] or [`Request::id_text`], borrowed from `message`.
#[must_use]
pub fn with_id(message: &[u8], id_text: &str, id: &Id) -> Vec<u8> {
    let start = id_text.as_ptr() as usize - message.as_ptr() as usize;
    let end = start + id_text.len();
    let mut out = Vec::with_capacity(message.len() - id_text.len() + id.0.len());
    out.extend_from_slice(&message[..start]);
    out.extend_from_slice(id.0.as_bytes());
    out.extend_from_slice(&message[end..]);
    out
}

#[cfg(test)]
mod tests;
