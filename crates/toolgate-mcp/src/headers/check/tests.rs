use serde_json::value::RawValue;

use super::{Mismatch, Received, check, check_params};
use crate::headers::{ParamHeaders, ValueError};
use crate::jsonrpc::code;

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect("valid JSON")
}

fn received<'a>(headers: &[(&'a str, &'a str)]) -> Received<'a> {
    Received::new(headers.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn outcome(result: Result<(), Mismatch>) -> String {
    result.map_or_else(|mismatch| mismatch.to_string(), |()| "fits".to_owned())
}

#[test]
fn method_and_name_must_be_the_bodys() {
    let cases: [(&[(&str, &str)], &str, &str, &str); 12] = [
        (&[("mcp-method", "tools/list")], "tools/list", "{}", "fits"),
        (&[("MCP-Method", " tools/list ")], "tools/list", "{}", "fits"),
        (
            &[("Mcp-Method", "TOOLS/LIST")],
            "tools/list",
            "{}",
            "the header `Mcp-Method` says `TOOLS/LIST`; the body says `tools/list`",
        ),
        (&[], "tools/list", "{}", "the header `Mcp-Method` is missing; the body says `tools/list`"),
        (&[("mcp-method", "a"), ("mcp-method", "a")], "a", "{}", "the header `Mcp-Method` is there more than once"),
        (&[("mcp-method", "tools/call"), ("mcp-name", "a")], "tools/call", r#"{"name":"a"}"#, "fits"),
        (&[("mcp-method", "tools/call"), ("mcp-name", "=?base64?w6k=?=")], "tools/call", r#"{"name":"é"}"#, "fits"),
        (
            &[("mcp-method", "tools/call"), ("mcp-name", "b")],
            "tools/call",
            r#"{"name":"a"}"#,
            "the header `Mcp-Name` says `b`; the body says `a`",
        ),
        (
            &[("mcp-method", "tools/call")],
            "tools/call",
            r#"{"name":"a"}"#,
            "the header `Mcp-Name` is missing; the body says `a`",
        ),
        (
            &[("mcp-method", "resources/read"), ("mcp-name", "a"), ("Mcp-Name", "b")],
            "resources/read",
            r#"{"uri":"a"}"#,
            "the header `Mcp-Name` is there more than once",
        ),
        (&[("mcp-method", "tools/call"), ("mcp-name", "a")], "tools/call", "{}", "fits"),
        (
            &[("mcp-method", "tools/call"), ("mcp-name", "a")],
            "tools/call",
            r#"{"name":"a","name":"b"}"#,
            "duplicate field `name`",
        ),
    ];
    for (headers, method, params, expected) in cases {
        assert_eq!(outcome(check(&received(headers), method, Some(raw(params)))), expected, "{headers:?}");
    }
}

#[test]
fn marked_arguments_must_be_in_their_headers() {
    let schema = r#"{"properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "count":{"type":"integer","x-mcp-header":"Count"},
        "dry":{"type":"boolean","x-mcp-header":"Dry"}}}"#;
    let known = ParamHeaders::read(raw(schema)).expect("valid marks");
    let cases: [(&[(&str, &str)], &str, &str); 18] = [
        (&[], "{}", "fits"),
        (&[], r#"{"region":null}"#, "fits"),
        (&[("mcp-param-region", "Hello")], r#"{"region":"Hello"}"#, "fits"),
        (&[("mcp-param-region", "=?base64?SGVsbG8=?=")], r#"{"region":"Hello"}"#, "fits"),
        (&[("mcp-param-region", "SGVsbG8=")], r#"{"region":"SGVsbG8="}"#, "fits"),
        (&[("mcp-param-region", "=?base64?SGVsbG8=")], r#"{"region":"=?base64?SGVsbG8="}"#, "fits"),
        (
            &[("mcp-param-region", "=?base64?SGVsbG8?=")],
            r#"{"region":"Hello"}"#,
            "the header `Mcp-Param-Region` is marked as base64 and is not",
        ),
        (
            &[("mcp-param-region", "=?base64?SGVs!!!bG8=?=")],
            r#"{"region":"Hello"}"#,
            "the header `Mcp-Param-Region` is marked as base64 and is not",
        ),
        (&[], r#"{"region":"a"}"#, "the header `Mcp-Param-Region` is missing; the body says `a`"),
        (&[("mcp-param-region", "a")], "{}", "the header `Mcp-Param-Region` is there, but the body has no `region`"),
        (
            &[("mcp-param-region", "a"), ("Mcp-Param-Region", "a")],
            "{}",
            "the header `Mcp-Param-Region` is there more than once",
        ),
        (&[("mcp-param-count", "42.0")], r#"{"count":42}"#, "fits"),
        (&[("mcp-param-count", "42")], r#"{"count":4.2e1}"#, "fits"),
        (&[("mcp-param-count", "43")], r#"{"count":42}"#, "the header `Mcp-Param-Count` says `43`; the body says `42`"),
        (&[], r#"{"count":9007199254740993}"#, "fits"),
        (
            &[("mcp-param-count", "9007199254740992")],
            r#"{"count":9007199254740993}"#,
            "the header `Mcp-Param-Count` says `9007199254740992`; the body says `9007199254740993`",
        ),
        (
            &[("mcp-param-dry", "True")],
            r#"{"dry":true}"#,
            "the header `Mcp-Param-Dry` says `True`; the body says `true`",
        ),
        (&[("mcp-param-other", "a"), ("mcp-param-other", "b")], "{}", "fits"),
    ];
    for (headers, arguments, expected) in cases {
        assert_eq!(outcome(check_params(&received(headers), &known, Some(raw(arguments)))), expected, "{headers:?}");
    }
}

#[test]
fn headers_for_no_known_argument_are_passed_on() {
    let known = ParamHeaders::read(raw(r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}"#)).expect("valid");
    let headers = received(&[("mcp-param-a", "1"), ("mcp-param-b", "2"), ("mcp-name", "n"), ("accept", "x")]);
    assert_eq!(headers.unknown_params(&known).collect::<Vec<_>>(), [("mcp-param-b", &b"2"[..])]);
}

#[test]
fn only_a_broken_body_is_no_header_mismatch() {
    let malformed = Mismatch::Malformed { header: "Mcp-Name".to_owned(), why: ValueError::NotPlain };
    assert_eq!(malformed.code(), code::HEADER_MISMATCH);
    let error =
        check(&received(&[("mcp-method", "tools/call")]), "tools/call", Some(raw("[]"))).expect_err("no object");
    assert_eq!(error.code(), code::INVALID_PARAMS);
}
