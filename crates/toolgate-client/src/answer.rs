//! A server's answer, kept as the bytes it came in.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::{self, Id, Message, Outcome, Response};

/// The answer to one request. It owns the message's bytes; nothing of them is changed.
#[derive(Clone)]
pub struct Answer {
    message: Bytes,
    id: Range<usize>,
    outcome: Range<usize>,
    is_result: bool,
}

/// How a request ended, as raw JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerOutcome<'a> {
    /// The `result`.
    Result(&'a str),
    /// The `error`: an object with `code`, `message` and perhaps `data`.
    Error(&'a str),
}

impl Answer {
    /// `response` must be borrowed from `message`, and have an id.
    pub(crate) fn new(message: &Bytes, response: &Response<'_>) -> Option<Self> {
        let (raw, is_result) = match response.outcome {
            Outcome::Result(raw) => (raw.get(), true),
            Outcome::Error(raw) => (raw.get(), false),
        };
        let place = |part: &str| {
            let start = part.as_ptr() as usize - message.as_ptr() as usize;
            start..start + part.len()
        };
        Some(Self { id: place(response.id_text?), outcome: place(raw), is_result, message: message.clone() })
    }

    /// The answer of something that is no server, but is asked like one: `result`, JSON text.
    ///
    /// `None` when it is no JSON text.
    #[must_use]
    pub fn of_result(result: &str) -> Option<Self> {
        Self::made("0", "result", result)
    }

    /// The same with an error: an object with `code` and `message`.
    ///
    /// `None` when it is no such object.
    #[must_use]
    pub fn of_error(error: &str) -> Option<Self> {
        Self::made("0", "error", error)
    }

    /// The same answer with `result`, JSON text, in place of its result or error.
    ///
    /// `None` when `result` is no JSON text.
    #[must_use]
    pub fn with_result(&self, result: &str) -> Option<Self> {
        self.with("result", result)
    }

    /// The same answer with `outcome`, JSON text, in place of its result if it has one, else of its error.
    ///
    /// `None` when `outcome` is no JSON text, or is no error where it takes the place of one.
    #[must_use]
    pub fn with_outcome(&self, outcome: &str) -> Option<Self> {
        self.with(if self.is_result { "result" } else { "error" }, outcome)
    }

    fn with(&self, key: &str, outcome: &str) -> Option<Self> {
        Self::made(std::str::from_utf8(&self.message[self.id.clone()]).ok()?, key, outcome)
    }

    fn made(id: &str, key: &str, outcome: &str) -> Option<Self> {
        let message = Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{key}\":{outcome}}}"));
        match jsonrpc::parse(&message).ok()? {
            Message::Response(response) => Self::new(&message, &response),
            Message::Request(_) | Message::Notification(_) => None,
        }
    }

    /// The result or the error.
    #[must_use]
    pub fn outcome(&self) -> AnswerOutcome<'_> {
        let text = std::str::from_utf8(&self.message[self.outcome.clone()]).expect("it was parsed as JSON text");
        if self.is_result { AnswerOutcome::Result(text) } else { AnswerOutcome::Error(text) }
    }

    /// Whether the request ended with a result; says so without looking at the text.
    #[must_use]
    pub fn is_result(&self) -> bool {
        self.is_result
    }

    /// The raw bytes of the result or error.
    #[must_use]
    pub fn outcome_bytes(&self) -> &[u8] {
        &self.message[self.outcome.clone()]
    }

    /// The whole message as it came, with our id in it.
    #[must_use]
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// The whole message with `id` in place of ours; every other byte stays.
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Vec<u8> {
        let id = id.as_json().as_bytes();
        let mut out = Vec::with_capacity(self.message.len() - self.id.len() + id.len());
        out.extend_from_slice(&self.message[..self.id.start]);
        out.extend_from_slice(id);
        out.extend_from_slice(&self.message[self.id.end..]);
        out
    }

    /// [`Answer::with_id`] without copying: what is before the id, the id, and what is after it.
    #[must_use]
    pub fn pieces(&self, id: &Id) -> [Bytes; 3] {
        let own = Bytes::copy_from_slice(id.as_json().as_bytes());
        [self.message.slice(..self.id.start), own, self.message.slice(self.id.end..)]
    }

    /// The result as JSON text.
    ///
    /// # Errors
    /// [`RpcError`] when the server answered with an error.
    pub fn into_result(self) -> Result<String, RpcError> {
        match self.outcome() {
            AnswerOutcome::Result(text) => Ok(text.to_owned()),
            AnswerOutcome::Error(text) => Err(RpcError::read(text)),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer may hold anything a tool has read, so a log that prints it by chance shows only its size.
        f.debug_struct("Answer").field("is_result", &self.is_result).field("bytes", &self.message.len()).finish()
    }
}

/// A JSON-RPC error that a server sent.
#[derive(Debug, Clone, Deserialize)]
pub struct RpcError {
    /// The code; see [`toolgate_mcp::jsonrpc::code`].
    pub code: i64,
    /// The server's text.
    #[serde(default)]
    pub message: String,
    /// Details for programs.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

impl RpcError {
    /// Reads an `error` object; a malformed one keeps its text as the message and has code 0.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|_| Self { code: 0, message: json.to_owned(), data: None })
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", crate::error::excerpt(self.message.as_bytes()), self.code)
    }
}

impl std::error::Error for RpcError {}

#[cfg(test)]
mod tests {
    use super::{Answer, AnswerOutcome};
    use bytes::Bytes;
    use toolgate_mcp::jsonrpc::{self, Id, Message};

    fn answer(text: &'static str) -> Answer {
        let bytes = Bytes::from_static(text.as_bytes());
        match jsonrpc::parse(&bytes).expect("a message") {
            Message::Response(response) => Answer::new(&bytes, &response).expect("it has an id"),
            other => panic!("not a response: {other:?}"),
        }
    }

    #[test]
    fn only_the_id_changes() {
        let got = answer(r#"{ "x":1e400, "result" : {"id":7} ,"id": 7, "jsonrpc":"2.0"}"#);
        assert_eq!(got.outcome(), AnswerOutcome::Result(r#"{"id":7}"#));
        let text = String::from_utf8(got.with_id(&Id::from(1234))).expect("UTF-8");
        assert_eq!(text, r#"{ "x":1e400, "result" : {"id":7} ,"id": 1234, "jsonrpc":"2.0"}"#);
    }

    #[test]
    fn an_error_keeps_code_text_and_data() {
        let error = answer(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no","data":{"a":1}}}"#)
            .into_result()
            .expect_err("an error");
        assert_eq!((error.code, error.message.as_str()), (-32602, "no"));
        assert_eq!(error.data.expect("data").get(), r#"{"a":1}"#);
    }
}
