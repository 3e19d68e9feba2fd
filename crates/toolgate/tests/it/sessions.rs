//! Sessions of legacy clients: the handshake, whose session it is, and what becomes of it when a server restarts.

use serde_json::json;

use crate::support::{FakeMcp, Scripted, TestGateway, config, initialize, script};

#[tokio::test]
async fn every_legacy_revision_is_spoken_and_an_unknown_one_gets_the_newest() {
    let gate = TestGateway::start(config()).await;
    let cases = [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ];
    for (asked, agreed) in cases {
        let answer = gate.admin().rpc("initialize", initialize(asked)).await;
        assert_eq!(answer.result()["protocolVersion"], agreed, "{asked}");
        assert!(answer.result()["capabilities"].is_object());
        assert!(answer.result()["serverInfo"]["name"].is_string());
    }
}

#[tokio::test]
async fn a_session_lists_and_calls() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    assert_eq!(caller.tool_names().await, ["files-read"]);
    assert!(caller.call("files-read", json!({"a": 1})).await.tool_text().contains("read"));
}

#[tokio::test]
async fn a_session_keeps_the_scope_it_was_opened_with() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let gate = TestGateway::start(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let caller = gate.admin().initialized_at("/mcp/maps").await;
    assert_eq!(caller.names("/mcp/maps", "tools/list", "tools", "name").await, ["maps-find"]);
}

#[tokio::test]
async fn an_unknown_or_forged_session_is_not_found() {
    let gate = TestGateway::start(config()).await;
    let real = gate.admin().initialized_at("/mcp").await.header("mcp-session-id").to_owned();
    let mut forged = real.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for session in ["deadbeef", "", &forged, &real[..real.len() - 4], &"A".repeat(2000)] {
        let caller = gate.admin().with("mcp-session-id", session);
        let reply = caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
        assert_eq!(reply.status, 404, "{session:?}: {reply:?}");
    }
}

#[tokio::test]
async fn a_session_is_open_to_every_gate_with_the_same_keys_and_to_no_other() {
    const OTHER_KEY: &str = "sk-test-another-one-6d1c2f70b8e94a35";
    let one = TestGateway::start(config()).await;
    let replica = TestGateway::start(config()).await;
    let stranger = TestGateway::start(config().master_key(OTHER_KEY)).await;
    let session = one.admin().initialized_at("/mcp").await.header("mcp-session-id").to_owned();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(replica.admin().with("mcp-session-id", &session).post("/mcp", ping).await.status, 200);
    let caller = stranger.anonymous().with("x-litellm-api-key", OTHER_KEY);
    assert_eq!(caller.post("/mcp", ping).await.status, 200);
    assert_eq!(caller.with("mcp-session-id", &session).post("/mcp", ping).await.status, 404);
}

#[tokio::test]
async fn a_session_is_no_key() {
    let gate = TestGateway::start(config()).await;
    let caller = gate.admin().initialized_at("/mcp").await.without("x-litellm-api-key");
    assert_eq!(caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status, 401);
}

#[tokio::test]
async fn a_session_that_its_client_ended_is_not_found() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.call("files-read", json!({})).await.result();
    let ended = caller.delete("/mcp").await;
    assert!(ended.status.is_success(), "{ended:?}");
    assert_eq!(caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status, 404);
}

#[tokio::test]
async fn a_stream_needs_a_session() {
    let gate = TestGateway::start(config()).await;
    let listener = gate.admin().with("accept", "text/event-stream");
    let reply = listener.get("/mcp").await;
    assert!(matches!(reply.status.as_u16(), 400 | 405), "{reply:?}");
    let session = listener.initialized_at("/mcp").await;
    session.open_stream("/mcp").await;
}

#[tokio::test]
async fn a_server_that_restarts_costs_its_callers_nothing() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.call("files-read", json!({"n": 1})).await.result();
    let greetings = fake.seen_of("initialize").len();
    fake.restart();
    // The server answers 404 before it does anything, so the call is safe to send once more.
    assert!(caller.call("files-read", json!({"n": 2})).await.tool_text().contains("\"n\":2"));
    assert_eq!(fake.seen_of("initialize").len(), greetings + 1);
}

#[tokio::test]
async fn many_calls_after_a_restart_share_one_new_session() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.call("files-read", json!({})).await.result();
    let greetings = fake.seen_of("initialize").len();
    fake.restart();
    let calls: Vec<_> = (0..16)
        .map(|n| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call("files-read", json!({ "n": n })).await.tool_text() })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert!(call.await.unwrap().contains(&format!("\"n\":{n}")));
    }
    assert_eq!(fake.seen_of("initialize").len(), greetings + 1);
}

#[tokio::test]
async fn a_server_without_sessions_is_served_as_well() {
    let fake = FakeMcp::start(script().tools(&["read"]).without_sessions()).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.call("files-read", json!({})).await.result();
    assert!(fake.seen().iter().all(|seen| seen.header("mcp-session-id").is_none()));
}

#[tokio::test]
async fn instructions_of_the_only_server_in_scope_reach_the_client() {
    let greeting = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
        "serverInfo": {"name": "f", "version": "1"}, "instructions": "Read before you write."});
    let fake = FakeMcp::start(script().on("initialize", crate::support::Scripted::Result(greeting.to_string()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let answer = gate.admin().rpc_at("/mcp/files", "initialize", initialize("2025-11-25")).await;
    assert_eq!(answer.result()["instructions"], "Read before you write.");
}

#[tokio::test]
async fn what_a_client_says_with_a_cancellation_is_passed_on() {
    let silent = script().tools(&["slow"]).on("tools/call", Scripted::Silence);
    let fake = FakeMcp::start(silent).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "files-slow"}}).to_string();
    let said = json!({"requestId": 5, "reason": "the user has left", "_meta": {"a": 1}});
    let cancelled = async {
        fake.came("tools/call", 1).await;
        let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": said});
        caller.tell("/mcp", &message).await;
        fake.came("notifications/cancelled", 1).await;
    };
    tokio::join!(caller.post("/mcp", call), cancelled);
    let told = fake.only("notifications/cancelled").message["params"].clone();
    let asked = fake.only("tools/call").message["id"].clone();
    assert_eq!(told, json!({"requestId": asked, "reason": "the user has left", "_meta": {"a": 1}}));
}
