//! The HTTP headers of MCP, and how values travel in them.
//!
//! From 2026-07-28 on a request repeats its method, its name and some arguments in headers, so that intermediaries need
//! not read bodies. A value that a header cannot carry as it is becomes `=?base64?{UTF-8 bytes in base64}?=`.
//!
//! Here is how one value travels; in `params` which arguments of a tool do; in `check` whether what came
//! in headers is what the body says.
//!
//! Source: MCP 2026-07-28, Streamable HTTP, Request Metadata (SEP-2243).

mod check;
mod number;
mod params;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::method;
use crate::views::{ViewError, object, optional_string};

pub use check::{Mismatch, Received, check, check_params};
pub use params::{AnnotationError, ParamHeaders};

/// Names the session; until 2025-11-25.
pub const SESSION_ID: &str = "mcp-session-id";
/// Names the revision of a request; since 2025-06-18.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// Repeats the body's `method`; since 2026-07-28.
pub const METHOD: &str = "mcp-method";
/// Repeats the body's `params.name` or `params.uri`; since 2026-07-28.
pub const NAME: &str = "mcp-name";
/// Begins the headers that repeat tool arguments marked `x-mcp-header`; since 2026-07-28.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// Says after which event a stream is taken up again; until 2025-11-25.
pub const LAST_EVENT_ID: &str = "last-event-id";

const OPENING: &str = "=?base64?";
const CLOSING: &str = "?=";

/// What the `Mcp-Name` header of a request says, not yet encoded; `None` when its method has no such header, or its
/// parameters lack the value.
///
/// # Errors
/// [`ViewError`] when the parameters are no object, or have the value twice or as something other than a string.
pub fn mcp_name<'a>(method: &str, params: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, ViewError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        name: Option<&'a RawValue>,
        #[serde(borrow)]
        uri: Option<&'a RawValue>,
        #[serde(borrow)]
        task_id: Option<&'a RawValue>,
    }
    let field = match method {
        method::TOOLS_CALL | method::PROMPTS_GET => "name",
        method::RESOURCES_READ => "uri",
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => "taskId",
        _ => return Ok(None),
    };
    let Some(params) = params else { return Ok(None) };
    let wire: Wire<'a> = object(params.get())?;
    let value = match field {
        "name" => wire.name,
        "uri" => wire.uri,
        _ => wire.task_id,
    };
    Ok(optional_string(field, value)?.map(|(_, text)| text))
}

/// Why the value of a header is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Bytes that may only travel in base64.
    #[error("holds characters other than visible ASCII; they must be sent as `=?base64?...?=`")]
    NotPlain,
    /// Marked as base64, but not padded, canonical base64 in the standard alphabet.
    #[error("is marked as base64 and is not")]
    NotBase64,
    /// The decoded bytes are no UTF-8.
    #[error("is base64 of bytes that are not UTF-8")]
    NotUtf8,
}

/// `text` as a header carries it.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    let blank_at_an_end = text.starts_with(' ') || text.ends_with(' ');
    // A text that only begins like the mark is marked as well: not every reader looks at both ends.
    if is_plain(text.as_bytes()) && !blank_at_an_end && !text.starts_with(OPENING) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{OPENING}{}{CLOSING}", STANDARD.encode(text)))
}

/// The text that a header's value stands for, to compare with the body.
///
/// # Errors
/// [`ValueError`] as its variants say; the request must then be refused.
pub fn decode(value: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    // A tab may stand inside a value (RFC 9110 section 5.5), and some clients do not encode it.
    let is_clean = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let text = std::str::from_utf8(value).ok().filter(|_| is_clean).ok_or(ValueError::NotPlain)?;
    // Blanks around a value are the header's, not the value's (RFC 9110 section 5.5).
    let text = text.trim_matches([' ', '\t']);
    let Some(encoded) = text.strip_prefix(OPENING).and_then(|rest| rest.strip_suffix(CLOSING)) else {
        return Ok(Cow::Borrowed(text));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| ValueError::NotBase64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| ValueError::NotUtf8)
}

fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::{ValueError, decode, encode, mcp_name};

    #[test]
    fn a_value_travels_plain_or_marked_and_comes_back() {
        let cases = [
            ("us-west1", "us-west1"),
            ("two words", "two words"),
            ("", ""),
            ("=?base64", "=?base64"),
            ("x=?base64?eA==?=", "x=?base64?eA==?="),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("a\tb", "=?base64?YQli?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
        ];
        for (text, expected) in cases {
            assert_eq!(encode(text), expected, "{text:?}");
            assert_eq!(decode(expected.as_bytes()).as_deref(), Ok(text), "{expected}");
        }
    }

    #[test]
    fn the_name_of_a_request_is_what_it_is_for() {
        let cases = [
            ("tools/call", r#"{"name":"a","uri":"b"}"#, Ok(Some("a"))),
            ("prompts/get", r#"{"name":"a\u00e9"}"#, Ok(Some("aé"))),
            ("resources/read", r#"{"name":"a","uri":"file:///b"}"#, Ok(Some("file:///b"))),
            ("tasks/get", r#"{"taskId":"t"}"#, Ok(Some("t"))),
            ("tasks/update", r#"{"taskId":"t"}"#, Ok(Some("t"))),
            ("tasks/cancel", r#"{"taskId":"t"}"#, Ok(Some("t"))),
            ("tools/list", r#"{"name":"a"}"#, Ok(None)),
            ("tools/call", "{}", Ok(None)),
            ("tools/call", r#"{"name":1}"#, Err(())),
            ("tools/call", r#"{"name":"a","name":"b"}"#, Err(())),
            ("tools/call", "[]", Err(())),
        ];
        for (method, params, expected) in cases {
            let raw = serde_json::from_str(params).expect("valid JSON");
            let name = mcp_name(method, Some(raw));
            assert_eq!(name.as_ref().map(|name| name.as_deref()).map_err(|_| ()), expected, "{method} {params}");
        }
        assert_eq!(mcp_name("tools/call", None), Ok(None));
    }

    #[test]
    fn only_the_exact_mark_is_decoded() {
        let cases = ["=?base64?YQ==", "YQ==?=", "=?BASE64?YQ==?=", "=?base64?=", "=?utf-8?q?a?="];
        for value in cases {
            assert_eq!(decode(value.as_bytes()).as_deref(), Ok(value));
        }
        assert_eq!(decode(b"  a b ").as_deref(), Ok("a b"));
        assert_eq!(decode(b"=?base64??=").as_deref(), Ok(""));
        assert_eq!(decode(b"\ta\tb").as_deref(), Ok("a\tb"));
    }

    #[test]
    fn a_value_that_is_no_text_is_refused() {
        let cases: [(&[u8], ValueError); 7] = [
            ("é".as_bytes(), ValueError::NotPlain),
            (b"\xff", ValueError::NotPlain),
            (b"a\x7f", ValueError::NotPlain),
            (b"=?base64?YQ?=", ValueError::NotBase64),
            (b"=?base64?YR==?=", ValueError::NotBase64),
            (b"=?base64?_-8=?=", ValueError::NotBase64),
            (b"=?base64?//8=?=", ValueError::NotUtf8),
        ];
        for (value, expected) in cases {
            assert_eq!(decode(value), Err(expected), "{value:?}");
        }
    }
}
