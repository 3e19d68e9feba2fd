use super::{MAX_KEY_BYTES, Piece, Scanner, StreamError};
use crate::jsonrpc::Id;
use bytes::Bytes;

/// `message`, an answer to 7, passed through in chunks of `size` bytes, with `"new"` as its id; and whether it is a
/// result.
fn pass(message: &str, size: usize) -> Result<(String, Option<bool>), StreamError> {
    let whole = Bytes::copy_from_slice(message.as_bytes());
    let mut scanner = Scanner::new(&Id::from(7));
    let mut out = Vec::new();
    for from in (0..whole.len()).step_by(size) {
        scanner.feed(&whole.slice(from..(from + size).min(whole.len())), |piece| match piece {
            Piece::Text(bytes) => out.extend_from_slice(&bytes),
            Piece::Id => out.extend_from_slice(b"\"new\""),
        })?;
    }
    scanner.finish()?;
    Ok((String::from_utf8(out).expect("UTF-8"), scanner.is_result()))
}

#[test]
fn only_the_id_changes_however_the_message_is_cut() {
    let cases = [
        (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, r#"{"jsonrpc":"2.0","id":"new","result":{}}"#, Some(true)),
        (
            " {\"result\":{\"id\":7,\"a\":\"}]\\\"{\"},\n\"jsonrpc\":\"2.0\",\"id\": 7 } \r\n",
            " {\"result\":{\"id\":7,\"a\":\"}]\\\"{\"},\n\"jsonrpc\":\"2.0\",\"id\": \"new\" } \r\n",
            Some(true),
        ),
        (r#"{"\u0069d":7,"jsonrpc":"2.0","error":[]}"#, r#"{"\u0069d":"new","jsonrpc":"2.0","error":[]}"#, Some(false)),
        (
            r#"{"error":null,"x":[1,-0.5e+3,true,"ä€😀\ud800"],"id":7,"jsonrpc":"2.0","result":0}"#,
            r#"{"error":null,"x":[1,-0.5e+3,true,"ä€😀\ud800"],"id":"new","jsonrpc":"2.0","result":0}"#,
            Some(true),
        ),
        (r#"{"jsonrpc":"2.0","id":7,"result":null}"#, r#"{"jsonrpc":"2.0","id":"new","result":null}"#, None),
    ];
    for (message, expected, is_result) in cases {
        for size in 1..message.len() + 1 {
            assert_eq!(pass(message, size), Ok((expected.to_owned(), is_result)), "{message} in pieces of {size}");
        }
    }
}

#[test]
fn what_is_no_answer_to_the_request_is_refused() {
    let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(MAX_KEY_BYTES));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{}"#, "[".repeat(127));
    let not = StreamError::NotAResponse;
    let cases = [
        (r#"{"jsonrpc":"2.0","result":{}}"#, not("no `id`")),
        (r#"{"id":7,"result":{}}"#, not(r#"`jsonrpc` must be "2.0""#)),
        (r#"{"jsonrpc":"1.0","id":7,"result":{}}"#, not(r#"`jsonrpc` must be "2.0""#)),
        (r#"{"jsonrpc":"2.0","id":7}"#, not("no `result` or `error`")),
        (r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{}}"#, not("both `result` and `error`")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#, not("a request")),
        (r#"{"jsonrpc":"2.0","id":8,"result":{}}"#, StreamError::OtherId),
        (r#"{"jsonrpc":"2.0","id":77,"result":{}}"#, StreamError::OtherId),
        (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, StreamError::OtherId),
        (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, StreamError::OtherId),
        (r#"{"jsonrpc":"2.0","id":[7],"result":{}}"#, StreamError::OtherId),
        (r#"{"id":7,"\u0069d":7,"jsonrpc":"2.0","result":{}}"#, StreamError::Duplicate("id")),
        (r#"{"jsonrpc":"2.0","id":7,"result":{}"#, StreamError::Truncated),
        (r#"{"jsonrpc":"2.0","id":7"#, StreamError::Truncated),
        ("", StreamError::Truncated),
        (r#"{"jsonrpc":"2.0","id":7,"result":{}}x"#, StreamError::NotJson),
        (r#"{"jsonrpc":"2.0","id":7,"result":[}}"#, StreamError::NotJson),
        (r#"{"jsonrpc":"2.0","id":7,"result":nul }"#, StreamError::NotJson),
        (r#"{"jsonrpc":"2.0","id":7,"result":01}"#, StreamError::NotJson),
        (r#"[{"jsonrpc":"2.0","id":7,"result":1}]"#, StreamError::NotJson),
        ("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"\n\"}", StreamError::NotJson),
        (&long_key, StreamError::LongKey),
        (&deep, StreamError::TooDeep),
    ];
    for (message, expected) in cases {
        for size in [1, 2, 3, 7, message.len().max(1)] {
            assert_eq!(pass(message, size), Err(expected), "{message} in pieces of {size}");
        }
    }
}

#[test]
fn nothing_is_copied_but_the_id() {
    let message = Bytes::from_static(br#"{"id":7,"jsonrpc":"2.0","result":"long"}"#);
    let mut pieces = Vec::new();
    Scanner::new(&Id::from(7)).feed(&message, |piece| pieces.push(piece)).expect("an answer");
    let [Piece::Text(before), Piece::Id, Piece::Text(after)] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!(before.as_ptr(), message.as_ptr());
    assert_eq!(after.as_ptr(), message[7..].as_ptr());
}

#[test]
fn bytes_that_are_not_text_are_refused_even_when_cut_apart() {
    for bad in [&b"\xc3\x28"[..], b"\xf0\x9f\x98\"", b"\xff"] {
        let mut scanner = Scanner::new(&Id::from(7));
        scanner.feed(&Bytes::from_static(b"{\"a\":\""), drop).expect("a beginning");
        let mut fed = bad.iter().map(|byte| scanner.feed(&Bytes::copy_from_slice(&[*byte]), drop));
        assert!(fed.any(|fed| fed == Err(StreamError::NotJson)), "{bad:?}");
    }
}
