use super::*;

fn kind(json: &str) -> String {
    match parse(json.as_bytes()) {
        Ok(Message::Request(request)) => format!("request {} {}", request.id, request.method),
        Ok(Message::Notification(notification)) => format!("notification {}", notification.method),
        Ok(Message::Response(response)) => match response.outcome {
            Outcome::Result(raw) => format!("result {raw}"),
            Outcome::Error(raw) => format!("error {raw}"),
        },
        Err(error) => format!("{}", error.code()),
    }
}

#[test]
fn tells_the_kinds_of_message_apart_and_refuses_the_rest() {
    let cases = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
        (r#"{"jsonrpc":"2.0","id":"a","method":"tools\/call","params":{}}"#, "request \"a\" tools/call"),
        (r#"{"method":"x","jsonrpc":"2.0"}"#, "notification x"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"big":12345678901234567890}}"#, r#"result {"big":12345678901234567890}"#),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, "result null"),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, r#"error {"code":1}"#),
        (r#"{"jsonrpc":"2.0","error":{"code":1}}"#, r#"error {"code":1}"#),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping","vendor":1}"#, "request 1.5 ping"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, "result {}"),
        (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1}}"#, r#"error {"code":1}"#),
        (r#"{"jsonrpc":"2.0","id":1,"error":"boom"}"#, r#"error "boom""#),
        // Not JSON.
        ("{nope", "-32700"),
        ("[nope", "-32700"),
        ("", "-32700"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, "-32700"),
        ("\u{feff}{}", "-32700"),
        // JSON, but no message.
        (r#"["2.0",1,"ping"]"#, "-32600"),
        (r#" ["2.0",1,"ping"]"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":null}"#, "-32600"),
        ("7", "-32600"),
        ("[]", "-32600"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600"),
        (r#"{"id":1,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "-32600"),
    ];
    for (json, expected) in cases {
        assert_eq!(kind(json), expected, "{json}");
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}}}"#, "[".repeat(100_000));
    assert!(matches!(parse(deep.as_bytes()), Err(ParseError::TooDeep)));
}

#[test]
fn a_batch_is_told_from_a_single_message() {
    let batch = br#" [{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"}]"#;
    assert!(matches!(parse_body(batch), Ok(Body::Batch(messages)) if messages.len() == 2));
    assert!(matches!(parse_body(b"[]"), Err(ParseError::NotAMessage(_))));
    assert!(matches!(parse_body(b"[7]"), Err(ParseError::NotAMessage(_))));
    assert!(matches!(parse_body(br#"[["2.0",1,"ping"]]"#), Err(ParseError::NotAMessage(_))));
}

#[test]
fn an_answer_changes_nothing_but_its_id() {
    let message = br#"{ "vendor" : 1.0, "id" : 7 , "result":{"x":1e400,"id":7}, "jsonrpc":"2.0"}"#;
    let Ok(Message::Response(response)) = parse(message) else { panic!("not a response") };
    let id = Id(r#""abc""#.into());
    let answer = with_id(message, response.id_text.expect("it has an id"), &id);
    assert_eq!(
        String::from_utf8(answer).expect("UTF-8"),
        r#"{ "vendor" : 1.0, "id" : "abc" , "result":{"x":1e400,"id":7}, "jsonrpc":"2.0"}"#
    );
}

#[test]
fn what_we_write_is_what_we_read() {
    let id = Id::from(9);
    assert_eq!(kind(&String::from_utf8(request("9", "a\"b", Some("{}"))).expect("UTF-8")), "request 9 a\"b");
    assert_eq!(kind(&String::from_utf8(notification("n", None)).expect("UTF-8")), "notification n");
    assert_eq!(kind(&String::from_utf8(result(&id, "{}")).expect("UTF-8")), "result {}");
    assert_eq!(
        kind(&String::from_utf8(error(None, &ErrorObject::new(code::DENIED, "no"))).expect("UTF-8")),
        r#"error {"code":-32012,"message":"no"}"#
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_wherever_they_stand() {
    let mut message = br#"{"jsonrpc":"2.0","id":1,"method":"ping","vendor":"?"}"#.to_vec();
    assert!(parse(&message).is_ok());
    let at = message.iter().position(|byte| *byte == b'?').expect("it is there");
    message[at] = 0xff;
    assert_eq!(parse(&message).map(drop).map_err(|error| error.code()), Err(code::PARSE_ERROR));
}
