//! What clients send by mistake or on purpose: each gets the error of its kind, and the next request is served.

use serde_json::{Value, json};

use crate::support::{Answer, FakeMcp, Reply, TestGateway, config, script};

/// Posts `body`, checks the status, and that the gate still serves the same caller.
async fn refused(body: impl Into<bytes::Bytes>, status: u16) -> Reply {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let admin = gate.admin();
    let reply = admin.post("/mcp", body).await;
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(fake.seen_of("tools/call").len(), 0, "nothing of it reached the server");
    assert_eq!(admin.tool_names().await, ["files-read"], "the gate goes on");
    reply
}

async fn refused_as(body: impl Into<bytes::Bytes>, status: u16, code: i64) -> Answer {
    let answer = Answer::new(refused(body, status).await);
    assert_eq!(answer.error_code(), code, "{:?}", answer.message());
    answer
}

#[tokio::test]
async fn broken_json_is_a_parse_error_with_a_null_id() {
    for body in ["{nope", "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"", "\u{feff}{}", "{}{}"] {
        let reply = refused(body, 400).await;
        let answer = Answer::new(reply);
        assert_eq!(answer.message()["id"], Value::Null, "{body:?}");
    }
    refused_as("{nope", 400, -32700).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_parse_error() {
    refused_as(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xff\"}"[..], 400, -32700).await;
}

#[tokio::test]
async fn an_envelope_of_the_wrong_form_is_an_invalid_request() {
    let bodies = [
        json!({"jsonrpc": "1.0", "id": 1, "method": "ping"}),
        json!({"id": 1, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": 7}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": 3}),
        json!({"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 1}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}}),
        json!("ping"),
        json!(17),
    ];
    for body in bodies {
        refused_as(body.to_string(), 400, -32600).await;
    }
}

#[tokio::test]
async fn an_envelope_with_a_key_twice_is_an_invalid_request() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"files-read"}}"#;
    refused_as(body, 400, -32600).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#;
    refused_as(body, 400, -32600).await;
}

#[tokio::test]
async fn a_tool_that_is_named_twice_reaches_no_server() {
    // One parser would take the first name and the next one the last: a way around every rule on names.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files-read","name":"files-delete"}}"#;
    let reply = refused(body, 200).await;
    assert_eq!(Answer::new(reply).error_code(), -32602);
}

#[tokio::test]
async fn a_hundred_thousand_nested_brackets_are_a_parse_error() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    refused_as(deep.clone(), 400, -32700).await;
    let inside = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{deep}}}}}"#);
    refused_as(inside, 400, -32700).await;
    refused_as("{\"a\":".repeat(100_000), 400, -32700).await;
}

#[tokio::test]
async fn a_body_of_five_mebibytes_is_too_large() {
    let text = "x".repeat(5 * 1024 * 1024);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "files-read", "arguments": {"text": text}}});
    refused(body.to_string(), 413).await;
}

#[tokio::test]
async fn an_unknown_method_is_not_found() {
    let answer = refused_as(r#"{"jsonrpc":"2.0","id":"a","method":"foo/bar","params":{}}"#, 200, -32601).await;
    assert_eq!(answer.message()["id"], "a");
}

#[tokio::test]
async fn a_batch_is_served_in_the_one_revision_that_has_them_and_refused_in_others() {
    let gate = TestGateway::start(config()).await;
    let body = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#;
    let in_revision = |version: &str| gate.admin().with("mcp-protocol-version", version);
    let reply = in_revision("2025-03-26").post("/mcp", body).await;
    let ids: Vec<_> = reply.json().as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [1, 2]);
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let reply = in_revision(version).post("/mcp", body).await;
        assert_eq!((reply.status.as_u16(), reply.json()["error"]["code"].as_i64()), (400, Some(-32600)), "{version}");
    }
    refused_as("[]", 400, -32600).await;
}

#[tokio::test]
async fn a_call_without_a_name_is_told_what_is_missing() {
    let answer = refused_as(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 200, -32602).await;
    assert!(answer.error_message().contains("name"), "{}", answer.error_message());
}

#[tokio::test]
async fn an_unknown_revision_in_the_header_is_a_bad_request_that_names_the_known_ones() {
    let gate = TestGateway::start(config()).await;
    let caller = gate.admin().with("mcp-protocol-version", "1999-01-01");
    let reply = caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("2025-11-25"), "{}", reply.text());
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let gate = TestGateway::start(config()).await;
    let caller = gate.admin().with("content-type", "text/plain");
    assert_eq!(caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status, 415);
}

#[tokio::test]
async fn a_method_that_the_endpoint_has_not_is_not_allowed() {
    let gate = TestGateway::start(config()).await;
    let reply = gate.admin().send(http::Method::PUT, "/mcp", "{}").await;
    assert_eq!(reply.status, 405);
    assert!(reply.header("allow").contains("POST"), "{reply:?}");
}

#[tokio::test]
async fn a_scope_of_more_than_sixteen_names_is_refused() {
    let gate = TestGateway::start(config()).await;
    let names: Vec<String> = (0..17).map(|number| format!("s{number}")).collect();
    let path = format!("/{}/mcp", names.join(","));
    let reply = gate.admin().post(&path, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert!(reply.status.is_client_error(), "{reply:?}");
}

#[tokio::test]
async fn a_cursor_that_the_gate_did_not_give_is_invalid() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    for cursor in ["1", "", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "../../etc/passwd"] {
        let answer = gate.admin().rpc("tools/list", json!({"cursor": cursor})).await;
        assert_eq!(answer.error_code(), -32602, "{cursor:?}");
    }
}
