use super::{Response, Rest};
use crate::limits::Limits;
use crate::{Documents, Options, read};

/// The result of a response of this kind.
fn result(method: &str, status: u16, headers: &[(&str, &str)], body: &[u8], rest: Option<Rest<'_>>) -> String {
    let text = format!(r#"{{"openapi":"3.0.0","paths":{{"/p":{{"{method}":{{"operationId":"op"}}}}}}}}"#);
    let documents = Documents::new("a.json", text.as_bytes(), Limits::default()).unwrap();
    let api = read(&documents, &Options::default()).unwrap();
    let result = api.operations[0].result(&Response { status, headers, body, rest }, false);
    serde_json::from_str::<serde_json::Value>(&result).unwrap();
    result
}

fn of_type(kind: &str, body: &[u8]) -> String {
    result("get", 200, &[("Content-Type", kind)], body, None)
}

#[test]
fn json_is_text_and_structure_as_it_came() {
    let body = br#" { "n": 1.50, "big": 12345678901234567890 } "#;
    let expected = r#"{"content":[{"type":"text","text":"{ \"n\": 1.50, \"big\": 12345678901234567890 }"}],"structuredContent":{ "n": 1.50, "big": 12345678901234567890 }}"#;
    assert_eq!(of_type("application/json; charset=utf-8", body), expected);
    assert_eq!(of_type("application/problem+json", b"[1]"), r#"{"content":[{"type":"text","text":"[1]"}]}"#);
    assert_eq!(of_type("", b"{}"), r#"{"content":[{"type":"text","text":"{}"}],"structuredContent":{}}"#);
    // What says that it is JSON and is not, is text.
    assert_eq!(of_type("application/json", b"{oops"), r#"{"content":[{"type":"text","text":"{oops"}]}"#);
}

#[test]
fn any_json_is_structure_where_the_revision_takes_it() {
    let text = r#"{"openapi":"3.0.0","paths":{"/p":{"get":{}}}}"#;
    let documents = Documents::new("a.json", text.as_bytes(), Limits::default()).unwrap();
    let api = read(&documents, &Options::default()).unwrap();
    let headers = [("content-type", "application/json")];
    let response = Response { status: 200, headers: &headers, body: b"[1]", rest: None };
    let expected = r#"{"content":[{"type":"text","text":"[1]"}],"structuredContent":[1]}"#;
    assert_eq!(api.operations[0].result(&response, true), expected);
}

#[test]
fn other_content_is_what_it_is() {
    assert_eq!(of_type("text/plain", "grüß\n".as_bytes()), r#"{"content":[{"type":"text","text":"grüß\n"}]}"#);
    assert_eq!(of_type("text/html; charset=ISO-8859-1", b"gr\xfc"), r#"{"content":[{"type":"text","text":"grü"}]}"#);
    assert_eq!(of_type("image/png", b"hi"), r#"{"content":[{"type":"image","data":"aGk=","mimeType":"image/png"}]}"#);
    assert_eq!(of_type("audio/wav", b"hi"), r#"{"content":[{"type":"audio","data":"aGk=","mimeType":"audio/wav"}]}"#);
    let blob = r#"{"content":[{"type":"resource","resource":{"uri":"openapi:op","mimeType":"application/pdf","blob":"aGk="}}]}"#;
    assert_eq!(of_type("application/pdf", b"hi"), blob);
}

#[test]
fn failures_say_everything_that_the_api_said() {
    let headers = [("content-type", "application/json"), ("Retry-After", "5")];
    let expected = r#"{"content":[{"type":"text","text":"HTTP 429 Too Many Requests\nRetry-After: 5\n\n{\"why\":\"slow down\"}"}],"isError":true}"#;
    assert_eq!(result("get", 429, &headers, br#"{"why":"slow down"}"#, None), expected);
    let empty = r#"{"content":[{"type":"text","text":"HTTP 500 Internal Server Error"}],"isError":true}"#;
    assert_eq!(result("get", 500, &[], b"", None), empty);
    let moved = r#"{"content":[{"type":"text","text":"HTTP 302 Found\nLocation: https://x.test/"}],"isError":true}"#;
    assert_eq!(result("get", 302, &[("location", "https://x.test/")], b"", None), moved);
}

#[test]
fn an_empty_answer_says_so() {
    let nothing = r#"{"content":[{"type":"text","text":"HTTP 204 No Content; the answer is empty"}]}"#;
    assert_eq!(result("delete", 204, &[], b"", None), nothing);
    let created = r#"{"content":[{"type":"text","text":"HTTP 201 Created; the answer is empty\nLocation: /p/1"}]}"#;
    assert_eq!(result("post", 201, &[("Location", "/p/1")], b"", None), created);
    let head = r#"{"content":[{"type":"text","text":"HTTP 200 OK\netag: x"}]}"#;
    assert_eq!(result("head", 200, &[("etag", "x")], b"", None), head);
}

#[test]
fn a_large_answer_is_cut_and_leads_to_the_rest() {
    let rest = Some(Rest { bytes: Some(900), uri: Some("openapi-answer://x/1") });
    let cut = result(
        "get",
        200,
        &[("content-type", "application/json")],
        "{\"a\":\"ü".as_bytes().split_last().unwrap().1,
        rest,
    );
    insta::assert_snapshot!(cut, @r#"{"content":[{"type":"text","text":"{\"a\":\""},{"type":"text","text":"The answer was cut after 7 of 900 bytes; read the resource below for all of it."},{"type":"resource_link","uri":"openapi-answer://x/1","name":"the whole answer","mimeType":"application/json","size":900}]}"#);
    let image = result("get", 200, &[("content-type", "image/png")], b"half", Some(Rest { bytes: None, uri: None }));
    insta::assert_snapshot!(image, @r#"{"content":[{"type":"text","text":"The answer is of the type image/png and too large to be shown."},{"type":"text","text":"The answer was cut after 4 of more bytes; ask for less, by pages or filters if there are any."}]}"#);
}
