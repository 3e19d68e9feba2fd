use serde_json::value::RawValue;

use super::{ClientFacts, describe};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn client(log_level: Option<&str>) -> ClientFacts {
    ClientFacts {
        capabilities: raw(r#"{"roots":{}}"#),
        client_info: Some(raw(r#"{"name":"c"}"#)),
        log_level: log_level.map(str::to_owned),
    }
}

#[test]
fn metadata_is_added_and_every_other_byte_stays() {
    let cases = [
        (None, "{", "}"),
        (Some("{}"), "{", "}"),
        (Some(" { \"a\" : 1e400 } "), " { \"a\" : 1e400", " } "),
        (Some(r#"{"a":1.0,"_meta":{ "progressToken" : "t"}}"#), r#"{"a":1.0,"_meta":{ "progressToken" : "t""#, "}}"),
    ];
    for (params, begins, ends) in cases {
        let got = describe("tools/list", params, &client(None)).expect("an object").params;
        assert!(got.starts_with(begins) && got.ends_with(ends), "{got}");
        for ours in [
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#,
            r#""io.modelcontextprotocol/clientCapabilities":{"roots":{}}"#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"c"}"#,
        ] {
            assert!(got.contains(ours), "{got}");
        }
    }
}

#[test]
fn ours_replaces_what_stands_there_and_leaves_the_rest() {
    let params = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"1999","io.modelcontextprotocol/logLevel":"debug","k":2}}"#;
    for level in [None, Some("error")] {
        let got = describe("x", Some(params), &client(level)).expect("an object").params;
        let read: serde_json::Value = serde_json::from_str(&got).expect("JSON");
        let meta = &read["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "c");
        assert_eq!(meta["io.modelcontextprotocol/logLevel"].as_str(), level);
        assert_eq!(meta["k"], 2);
    }
}

#[test]
fn parameters_that_are_no_object_are_refused() {
    for params in ["[]", "7", "{", r#"{"a":1,"a":2}"#, r#"{"_meta":{"a":1,"a":2}}"#] {
        assert!(describe("x", Some(params), &client(None)).is_err(), "{params}");
    }
}

#[test]
fn headers_repeat_the_method_and_the_name() {
    let cases = [
        ("tools/call", r#"{"name":"sum"}"#, Some("sum")),
        ("tools/call", r#"{"name":"s\u00fcm"}"#, Some("=?base64?c8O8bQ==?=")),
        ("prompts/get", r#"{"name":" p"}"#, Some("=?base64?IHA=?=")),
        ("resources/read", r#"{"uri":"file:///a%20b","name":"no"}"#, Some("file:///a%20b")),
        ("tasks/get", r#"{"taskId":"t-1"}"#, Some("t-1")),
        ("tasks/update", r#"{"taskId":"t-1"}"#, Some("t-1")),
        ("tasks/cancel", r#"{"taskId":"t-1"}"#, Some("t-1")),
        ("tools/call", r#"{"name":7}"#, None),
        ("tools/list", r#"{"name":"sum"}"#, None),
        ("completion/complete", r#"{"ref":{"name":"sum"}}"#, None),
    ];
    for (method, params, name) in cases {
        let repeats = describe(method, Some(params), &client(None)).expect("an object").repeats;
        assert_eq!(repeats.method, method);
        assert_eq!(repeats.name.as_ref().map(|name| name.to_str().expect("ASCII")), name, "{method} {params}");
    }
}
