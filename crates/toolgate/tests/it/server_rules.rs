//! What a server's entry says of the protocol: which revision is spoken with it, and what it may ask clients.

use serde_json::{Value, json};

use crate::support::{FakeMcp, MODERN, Modern, Script, Scripted, Talk, TestGateway, config, script};

fn everything() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}})
}

/// A server whose tool asks this, and answers with what the client answered.
fn asking(method: &str) -> Script {
    let talk = vec![Talk::asks("5", method, "{}"), Talk::Hears("5"), Talk::answers_what_was_heard()];
    script().tools(&["ask"]).on("tools/call", Scripted::Talk(talk))
}

/// A server of 2026-07-28.
fn modern() -> Script {
    let discovered = json!({
        "resultType": "complete", "supportedVersions": [MODERN], "ttlMs": 0, "cacheScope": "private",
        "capabilities": {"tools": {}},
    });
    script().without_sessions().tools(&["ask"]).on("server/discover", Scripted::Result(discovered.to_string()))
}

#[tokio::test]
async fn a_server_is_told_only_of_what_it_may_ask_for_and_refused_the_rest() {
    for (key, forbidden, method) in [
        ("allow_sampling", "sampling", "sampling/createMessage"),
        ("allow_elicitation", "elicitation", "elicitation/create"),
    ] {
        let fake = FakeMcp::start(asking(method)).await;
        let entry = fake.entry().with(&format!("{key}: false"));
        let gate = TestGateway::start(config().server("files", entry)).await;
        let legacy = gate.admin().initialized_with("/mcp", everything()).await;
        let modern = Modern::new(&gate.admin()).capable(everything());
        for answer in [legacy.call("files-ask", json!({})).await, modern.call("files-ask", json!({})).await] {
            let heard: Value = serde_json::from_str(&answer.tool_text()).unwrap();
            assert_eq!(heard["error"]["code"], -32601);
            let message = heard["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("{key}: false")), "{message}");
        }
        let mut others = everything();
        others.as_object_mut().unwrap().shift_remove(forbidden);
        for began in fake.seen_of("initialize") {
            let told = &began.message["params"]["capabilities"];
            // Lists are fetched for nobody in particular.
            assert!(*told == others || *told == json!({}), "{told}");
        }
    }
}

#[tokio::test]
async fn a_modern_server_may_not_ask_for_it_in_a_result_either() {
    let question = json!({"q": {"method": "sampling/createMessage", "params": {}}});
    let asks = json!({"resultType": "input_required", "inputRequests": question});
    let fake = FakeMcp::start(modern().on("tools/call", Scripted::Result(asks.to_string()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry().with("allow_sampling: false"))).await;
    let legacy = gate.admin().initialized_with("/mcp", everything()).await;
    let modern = Modern::new(&gate.admin()).capable(everything());
    for answer in [legacy.call("files-ask", json!({})).await, modern.call("files-ask", json!({})).await] {
        assert!(answer.error_message().contains("allow_sampling: false"), "{}", answer.error_message());
    }
    for call in fake.seen_of("tools/call") {
        let told = &call.message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!((told.get("sampling"), told["elicitation"].is_object()), (None, true), "{told}");
    }
}

#[tokio::test]
async fn only_the_revision_that_the_entry_names_is_spoken() {
    let fake = FakeMcp::start(script().tools(&["t"])).await;
    let old = fake.entry().with("protocol_version: 2025-06-18");
    let gate = TestGateway::start(config().server("files", old)).await;
    gate.admin().call("files-t", json!({})).await.result();
    assert_eq!(fake.count_of("server/discover"), 0);
    for began in fake.seen_of("initialize") {
        assert_eq!(began.message["params"]["protocolVersion"], "2025-06-18");
    }

    let fake = FakeMcp::start(modern()).await;
    let new = fake.entry().with("protocol_version: 2026-07-28");
    let gate = TestGateway::start(config().server("files", new)).await;
    gate.admin().call("files-ask", json!({})).await.result();
    assert_eq!(fake.count_of("initialize"), 0);
}

#[tokio::test]
async fn a_server_that_does_not_speak_the_revision_is_not_used_and_the_error_says_why() {
    let begun =
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {"name": "f", "version": "1"}});
    let older = FakeMcp::start(script().on("initialize", Scripted::Result(begun.to_string()))).await;
    let legacy = FakeMcp::start(script().tools(&["t"])).await;
    for (fake, version, said) in [(older, "2025-11-25", "only `2025-11-25`"), (legacy, MODERN, MODERN)] {
        let entry = fake.entry().with(&format!("protocol_version: {version}"));
        let gate = TestGateway::start(config().server("files", entry)).await;
        let answer = gate.admin().call("files-t", json!({})).await;
        assert!(answer.error_message().contains(said), "{}", answer.error_message());
        assert_eq!(fake.count_of("tools/call"), 0);
    }
}
