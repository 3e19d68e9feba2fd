//! Messages on their way out and in, for every transport.

use bytes::Bytes;
use serde_json::value::RawValue;
use toolgate_mcp::edit;
use toolgate_mcp::jsonrpc::{self, Id, Message, ParseError};
use toolgate_mcp::method::CANCELLED;

use crate::answer::Answer;
use crate::question::Asked;

/// The bytes of a request, in one allocation.
pub(crate) fn request(id: u64, method: &str, params: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(64 + method.len() + params.map_or(0, str::len));
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_number(&mut out, id);
    write_call(&mut out, method, params);
    Bytes::from(out)
}

/// The bytes of a notification, in one allocation.
pub(crate) fn notification(method: &str, params: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(40 + method.len() + params.map_or(0, str::len));
    out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
    write_call(&mut out, method, params);
    Bytes::from(out)
}

/// That nobody waits for the answer to `id` any more, in the words of `params` if there are any.
pub(crate) fn cancelled(id: u64, params: Option<&str>) -> Bytes {
    let given = params.and_then(|params| edit::set_field(params, "requestId", &id.to_string()).ok());
    let params = given.unwrap_or_else(|| format!(r#"{{"requestId":{id},"reason":"the caller gave up"}}"#));
    notification(CANCELLED, Some(&params))
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    write!(out, "{number}").expect("writing to a Vec does not fail");
}

fn write_call(out: &mut Vec<u8>, method: &str, params: Option<&str>) {
    out.extend_from_slice(br#","method":"#);
    if method.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(method.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(jsonrpc::quote(method).as_bytes());
    }
    if let Some(params) = params {
        out.extend_from_slice(br#","params":"#);
        out.extend_from_slice(params.as_bytes());
    }
    out.push(b'}');
}

/// One message from the server.
pub(crate) enum Incoming {
    /// The answer to the request of ours with this id.
    Answer(u64, Answer),
    /// An answer to nothing that we asked; `is_error` tells an error without id, which is about what we sent last.
    Stray { is_error: bool },
    /// A request of the server.
    Request(Asked),
    /// A notification.
    Notification { method: String, message: Bytes },
}

impl Incoming {
    /// Reads one message.
    pub(crate) fn read(message: &Bytes) -> Result<Self, ParseError> {
        Ok(match jsonrpc::parse(message)? {
            Message::Response(response) => {
                let ours = response.id.as_ref().and_then(Id::as_u64);
                match ours.zip(Answer::new(message, &response)) {
                    Some((id, answer)) => Self::Answer(id, answer),
                    None => Self::Stray { is_error: response.id.is_none() },
                }
            }
            Message::Request(request) => Self::Request(Asked::new(message, request)),
            Message::Notification(notification) => {
                Self::Notification { method: notification.method.into_owned(), message: message.clone() }
            }
        })
    }
}

/// The messages in one body or line: itself, or the parts of a batch. Nothing is copied.
pub(crate) fn split(body: Bytes) -> Result<Vec<Bytes>, ParseError> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        return Ok(vec![body]);
    }
    if !toolgate_mcp::depth::within(&body, toolgate_mcp::depth::MAX_DEPTH) {
        return Err(ParseError::TooDeep);
    }
    let items: Vec<&RawValue> = serde_json::from_slice(&body).map_err(ParseError::NotJson)?;
    Ok(items.into_iter().map(|item| body.slice_ref(item.get().as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use super::{Incoming, cancelled, notification, request, split};
    use bytes::Bytes;

    #[test]
    fn messages_are_written_as_the_protocol_has_them() {
        let cases = [
            (request(7, "ping", None), r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#),
            (request(0, "a\"b", Some("[]")), r#"{"jsonrpc":"2.0","id":0,"method":"a\"b","params":[]}"#),
            (notification("n", Some("{}")), r#"{"jsonrpc":"2.0","method":"n","params":{}}"#),
        ];
        for (got, expected) in cases {
            assert_eq!(got, expected);
        }
        assert!(
            cancelled(3, None)
                .starts_with(br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3"#)
        );
    }

    #[test]
    fn an_answer_with_a_foreign_id_is_a_stray() {
        for (text, is_error_without_id) in [
            (r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":-1,"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#, true),
        ] {
            let got = Incoming::read(&Bytes::from_static(text.as_bytes())).expect("a message");
            assert!(matches!(got, Incoming::Stray { is_error } if is_error == is_error_without_id), "{text}");
        }
    }

    #[test]
    fn a_batch_is_split_without_copying() {
        let body = Bytes::from_static(b" [ {\"a\":1} , 2 ]");
        assert_eq!(split(body).expect("a batch"), [&b"{\"a\":1}"[..], b"2"]);
        assert!(split(Bytes::from_static(b"[1,")).is_err());
    }
}
