use super::{MAX_KEY_BYTES, Piece, Scanner, StreamError, Translation};
use crate::jsonrpc::Id;
use crate::translate::results;
use bytes::Bytes;
use serde_json::Value;

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

const INFO: &str = r#"{"name":"gate"}"#;

/// An answer to 7 with this `result`, translated in chunks of `size` bytes, of which the first `early` are not passed on
/// at once; and whether it wants to be read as a whole.
fn translate(result: &str, to: &Translation, size: usize, early: usize) -> Result<(String, bool), StreamError> {
    let whole = Bytes::from(format!(r#"{{"jsonrpc":"2.0","result":{result},"id":7}}"#));
    let mut scanner = Scanner::translating(&Id::from(7), to.clone());
    let mut out = Vec::new();
    for from in (0..whole.len()).step_by(size) {
        if from >= early {
            if scanner.wants_whole() {
                break;
            }
            scanner.is_passed_on();
        }
        scanner.feed(&whole.slice(from..(from + size).min(whole.len())), |piece| match piece {
            Piece::Text(bytes) => out.extend_from_slice(&bytes),
            Piece::Id => out.extend_from_slice(b"7"),
        })?;
    }
    if scanner.wants_whole() {
        return Ok((String::new(), true));
    }
    scanner.finish()?;
    let out = String::from_utf8(out).expect("UTF-8");
    let result = out.strip_prefix(r#"{"jsonrpc":"2.0","result":"#).and_then(|out| out.strip_suffix(r#","id":7}"#));
    Ok((result.expect("the envelope stays").to_owned(), false))
}

fn translated(result: &str, to: &Translation, expected: &str) {
    for size in (1..result.len() + 40).chain([4096]) {
        let late = 30;
        assert_eq!(translate(result, to, size, late), Ok((expected.to_owned(), false)), "{result} in pieces of {size}");
    }
}

#[test]
fn a_modern_clients_result_has_what_it_lacked() {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gate"}}"#;
    let call = Translation::to_modern("tools/call", INFO, true);
    let read = Translation::to_modern("resources/read", INFO, false);
    let cases = [
        (&call, "{}", format!(r#"{{"resultType":"complete",{META}}}"#)),
        (
            &call,
            r#"{ "a" : [1, {"ttlMs":[]}] }"#,
            format!(r#"{{ "a" : [1, {{"ttlMs":[]}}] ,"resultType":"complete",{META}}}"#),
        ),
        (&read, "{}", format!(r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private",{META}}}"#)),
        (
            &read,
            r#"{"_meta":{"x":1},"cacheScope" : "public", "ttlMs":null ,"contents":[],"resultType":"complete"}"#,
            concat!(
                r#"{"_meta":{"x":1,"io.modelcontextprotocol/serverInfo":{"name":"gate"}},"cacheScope" : "private", "#,
                r#""ttlMs":0 ,"contents":[],"resultType":"complete"}"#
            )
            .to_owned(),
        ),
        (
            &call,
            r#"{"\u005fmeta": {"io.modelcontextprotocol\/serverInfo":{"a":[]} },"resultType":null,"taskI":1}"#,
            r#"{"\u005fmeta": {"io.modelcontextprotocol\/serverInfo":{"a":[]} },"resultType":"complete","taskI":1}"#
                .to_owned(),
        ),
        (&call, r#"{"_meta":{}}"#, format!(r#"{{{META},"resultType":"complete"}}"#)),
        (&call, r#"{"_meta":null,"n":-1.50}"#, format!(r#"{{{META},"n":-1.50,"resultType":"complete"}}"#)),
    ];
    for (to, result, expected) in cases {
        translated(result, to, &expected);
        let method = if std::ptr::eq(to, &call) { "tools/call" } else { "resources/read" };
        let whole = results::to_modern(method, result, Some(INFO)).expect("an object");
        let value = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
        assert_eq!(value(&expected), value(&whole), "{result}");
    }
}

#[test]
fn a_legacy_clients_result_has_nothing_that_only_modern_ones_say() {
    let to = Translation::to_legacy();
    let cases = [
        ("{}", "{}"),
        (r#"{"resultType":"complete"}"#, "{}"),
        (r#"{"resultType":"compl\u0065te", "content":[] }"#, r#"{ "content":[] }"#),
        (r#"{"content":[1],"resultType" : "complete"}"#, r#"{"content":[1]}"#),
        (
            r#"{"ttlMs":{"a":[]},"a":1 , "cacheScope":"public","resultType":"complete","b":2,"ttl":3}"#,
            r#"{"a":1 ,"b":2,"ttl":3}"#,
        ),
        (r#"{"resultType":"other","resultTyp":1}"#, r#"{"resultType":"other","resultTyp":1}"#),
        (r#"{"resultType":null,"_meta":7}"#, r#"{"resultType":null,"_meta":7}"#),
        (
            r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a"},"x":{"ttlMs":1}},"a":1}"#,
            r#"{"_meta":{"x":{"ttlMs":1}},"a":1}"#,
        ),
        (r#"{"_meta":{"x":1,"io.modelcontextprotocol/serverInfo":1 },"a":1}"#, r#"{"_meta":{"x":1 },"a":1}"#),
    ];
    for (result, expected) in cases {
        translated(result, &to, expected);
    }
    let long = format!(r#"{{"resultType":"{}","{}":1,"resultType2":1}}"#, "x".repeat(5000), "y".repeat(5000));
    for size in [1, 7, 100, 4096, 20_000] {
        assert_eq!(translate(&long, &to, size, 30), Ok((long.clone(), false)), "a long kind and a long key");
    }
}

#[test]
fn a_result_that_asks_for_something_is_read_whole_or_refused() {
    let (modern, legacy) = (Translation::to_modern("tools/call", INFO, true), Translation::to_legacy());
    let others = Translation::to_modern("tools/call", INFO, false);
    let cases = [
        ("inputRequests", &modern, true),
        ("inputRequests", &legacy, true),
        ("taskId", &modern, true),
        ("taskId", &others, false),
        ("taskId", &legacy, false),
        ("requestState", &legacy, true),
    ];
    for (key, to, asks) in cases {
        let result = format!(r#"{{"content":"0123456789","{key}":{{}}}}"#);
        for size in [1, 5, 200] {
            let early = translate(&result, to, size, 200).expect("it is read").1;
            assert_eq!(early, asks, "{key}");
            let late = translate(&result, to, size.min(5), 50);
            assert_eq!(late.is_err_and(|error| matches!(error, StreamError::Late(_))), asks, "{key}");
        }
    }
    let state = r#"{"resultType":"input_required","requestState":"x"}"#;
    assert!(translate(state, &modern, 10, 200).expect("it is read").1);
    for result in ["[]", "1", r#""x""#, "null"] {
        assert!(translate(result, &modern, 10, 200).expect("it is read").1, "{result} has no members");
    }
}

#[test]
fn what_cannot_be_translated_is_refused() {
    let (modern, legacy) = (Translation::to_modern("resources/read", INFO, true), Translation::to_legacy());
    let blank = format!(r#"{{"a":1,{}"cacheScope":"public"}}"#, " ".repeat(5 * MAX_KEY_BYTES));
    let cases = [
        (r#"{"ttlMs":1,"ttlMs":2}"#, &modern, StreamError::Duplicate("ttlMs")),
        (r#"{"resultType":"complete","resultType":"complete"}"#, &legacy, StreamError::Duplicate("resultType")),
        (r#"{"_meta":[]}"#, &modern, StreamError::NotAnObject("_meta")),
        (&blank, &modern, StreamError::Blank),
        (r#"{"a":1,}"#, &modern, StreamError::NotJson),
        (r#"{"a" 1}"#, &legacy, StreamError::NotJson),
    ];
    for (result, to, expected) in cases {
        for size in [1, 3, 1000] {
            assert_eq!(translate(result, to, size, 30), Err(expected), "{result}");
        }
    }
}
