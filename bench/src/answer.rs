//! Checks that an answer is the right one: status, id, and every byte of the result.
//!
//! The first answer is parsed and held against what the upstream is known to say. From then on the same bytes around
//! the id are right without parsing, so that checking costs one comparison and the load stays cheap.

use http::StatusCode;
use serde::Deserialize;
use toolgate_mcp::jsonrpc::{self, Message, Outcome};
use toolgate_mcp::sse;

/// No answer that the bench asks for is larger.
const EVENT_CAP_BYTES: usize = 64 << 20;

/// What a right result holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One text of that many bytes, as [`text`] makes it.
    Text { bytes: usize },
    /// So many tools, each with a name of its own, and no further page.
    Tools { count: usize },
    /// Any result that is no tool error; for servers that are not ours.
    AnyResult,
}

/// The text that the bench's upstream answers: readable, not the same everywhere, without escapes.
pub(crate) fn text(bytes: usize) -> String {
    const WORDS: &str = "The quick brown fox jumps over the lazy dog while 0123456789 issues wait for a review. ";
    WORDS.chars().cycle().take(bytes).collect()
}

/// Judges the answers that one session gets.
#[derive(Debug)]
pub(crate) struct Checker {
    expected: Expected,
    right: Option<Known>,
}

/// A message that was found right, but for its id.
#[derive(Debug)]
struct Known {
    before_id: Vec<u8>,
    after_id: Vec<u8>,
}

impl Checker {
    pub(crate) fn new(expected: Expected) -> Self {
        Self { expected, right: None }
    }

    /// Judges one answer to the request `id`; the error says what is wrong with it.
    pub(crate) fn check(&mut self, status: StatusCode, is_sse: bool, body: &[u8], id: u64) -> Result<(), String> {
        if status != StatusCode::OK {
            return Err(format!("status {status}: {}", excerpt(body)));
        }
        if !is_sse {
            return self.check_message(body, id);
        }
        let mut decoder = sse::Decoder::new(EVENT_CAP_BYTES);
        decoder.push(body);
        while let Some(event) = decoder.next_event().map_err(|error| error.to_string())? {
            if is_response(&event.data) {
                return self.check_message(&event.data, id);
            }
        }
        Err("the event stream ended without an answer".to_owned())
    }

    fn check_message(&mut self, message: &[u8], id: u64) -> Result<(), String> {
        if self.right.as_ref().is_some_and(|known| known.fits(message, id)) {
            return Ok(());
        }
        let Ok(Message::Response(response)) = jsonrpc::parse(message) else {
            return Err(format!("not a JSON-RPC response: {}", excerpt(message)));
        };
        if response.id.as_ref().and_then(jsonrpc::Id::as_u64) != Some(id) {
            let got = response.id.as_ref().map_or("none", jsonrpc::Id::as_json);
            return Err(format!("an answer to request {got} where {id} was asked"));
        }
        match response.outcome {
            Outcome::Error(error) => return Err(format!("a JSON-RPC error: {}", excerpt(error.get().as_bytes()))),
            Outcome::Result(result) => check_result(result.get(), self.expected)?,
        }
        self.right = response.id_text.map(|id_text| Known::around(message, id_text));
        Ok(())
    }
}

impl Known {
    /// `id_text` is borrowed from `message`.
    fn around(message: &[u8], id_text: &str) -> Self {
        let start = id_text.as_ptr() as usize - message.as_ptr() as usize;
        Self { before_id: message[..start].to_vec(), after_id: message[start + id_text.len()..].to_vec() }
    }

    fn fits(&self, message: &[u8], id: u64) -> bool {
        let Some(rest) = message.strip_prefix(&self.before_id[..]) else { return false };
        let Some(between) = rest.strip_suffix(&self.after_id[..]) else { return false };
        std::str::from_utf8(between).is_ok_and(|digits| digits.parse() == Ok(id))
    }
}

fn is_response(data: &[u8]) -> bool {
    matches!(jsonrpc::parse(data), Ok(Message::Response(_)))
}

fn check_result(result: &str, expected: Expected) -> Result<(), String> {
    match expected {
        Expected::Text { bytes } => check_text(result, bytes),
        Expected::Tools { count } => check_tools(result, count),
        Expected::AnyResult => read::<CallResult>(result).and_then(|call| call.no_error(result)),
    }
}

#[derive(Deserialize)]
struct CallResult {
    #[serde(default)]
    content: Vec<Content>,
    #[serde(default, rename = "isError")]
    is_error: bool,
}

#[derive(Deserialize)]
struct Content {
    text: Option<String>,
}

#[derive(Deserialize)]
struct ListResult {
    tools: Vec<Tool>,
    #[serde(rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
}

impl CallResult {
    fn no_error(&self, result: &str) -> Result<(), String> {
        if self.is_error { Err(format!("the tool failed: {}", excerpt(result.as_bytes()))) } else { Ok(()) }
    }
}

fn check_text(result: &str, bytes: usize) -> Result<(), String> {
    let call: CallResult = read(result)?;
    call.no_error(result)?;
    let [Content { text: Some(got) }] = &call.content[..] else {
        return Err(format!("not one text: {}", excerpt(result.as_bytes())));
    };
    if got.len() != bytes {
        return Err(format!("{} bytes of text where {bytes} were expected", got.len()));
    }
    if *got != text(bytes) {
        return Err("a text of the right length with other contents".to_owned());
    }
    Ok(())
}

fn check_tools(result: &str, count: usize) -> Result<(), String> {
    let list: ListResult = read(result)?;
    if list.next_cursor.is_some() {
        return Err(format!("a first page of {} tools where all {count} were expected", list.tools.len()));
    }
    let mut names: Vec<_> = list.tools.iter().map(|tool| &tool.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != count || list.tools.len() != count {
        let (all, different) = (list.tools.len(), names.len());
        return Err(format!("{all} tools with {different} names where {count} were expected"));
    }
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(result: &'a str) -> Result<T, String> {
    serde_json::from_str(result)
        .map_err(|error| format!("not the expected result ({error}): {}", excerpt(result.as_bytes())))
}

/// The beginning of a body, for an error message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    const SHOWN_BYTES: usize = 300;
    let cut = &body[..body.len().min(SHOWN_BYTES)];
    let dots = if cut.len() < body.len() { "…" } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(cut).escape_debug())
}

#[cfg(test)]
mod tests;
