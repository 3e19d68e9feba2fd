//! Real clients of revision 2026-07-28 and servers of older revisions.

use rmcp::model::CallToolRequestParams;
use serde_json::json;

use crate::support::{
    Era, FakeMcp, Fixture, Lifecycle, MASTER_KEY, Obliging, Scripted, TestGateway, config, modern_node_client, script,
    soon,
};

/// A server that asks twice before it answers.
fn asking() -> Scripted {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string", "default": "Alice"}}});
    let question = ("elicitation/create", json!({"message": "Who?", "requestedSchema": schema}));
    Scripted::Asks(vec![vec![question.clone()], vec![question]])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_answers_what_a_server_of_an_older_revision_asks() {
    let fake = FakeMcp::start(script().tools(&["t"]).on("tools/call", asking())).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    let client = Obliging.connect(&gate.url("/mcp"), Lifecycle::Discover).await.expect("discover is answered");
    let result = soon("a call", client.call_tool(CallToolRequestParams::new("s-t"))).await.expect("an answer");
    let text = serde_json::to_value(result).unwrap()["content"][0]["text"].to_string();
    assert_eq!(text.matches("accept").count(), 2, "{text}");
    assert_eq!(fake.seen_of("tools/call").len(), 1);
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_answers_a_real_server_of_an_older_revision() {
    let fixture = Fixture::start(Era::Legacy).await;
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("fixture", fixture.entry());
    let gate = TestGateway::start(config).await;
    let client = Obliging.connect(&gate.url("/mcp"), Lifecycle::Discover).await.expect("discover is answered");
    for (tool, argument, said) in [("test_elicitation", "message", "accept"), ("test_sampling", "prompt", "model")] {
        let arguments = json!({argument: "hello"}).as_object().unwrap().clone();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = soon("a call", client.call_tool(call)).await.expect("an answer");
        let text = serde_json::to_value(result).unwrap()["content"][0]["text"].to_string();
        assert!(text.contains(said), "{tool}: {text}");
    }
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_typescript_sdk_answers_what_a_server_of_an_older_revision_asks_and_listens() {
    let fake = FakeMcp::start(script().tools(&["t"]).on("tools/call", asking())).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    let headers = json!({"x-litellm-api-key": MASTER_KEY});
    let account = modern_node_client(&json!({"url": gate.url("/mcp"), "headers": headers, "tool": "s-t"})).await;
    assert_eq!((&account["version"], &account["tools"]), (&json!("2026-07-28"), &json!(["s-t"])));
    let text = account["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.matches("Alice").count(), 2, "{text}");
    assert_eq!((&account["honored"], &account["ended"]), (&json!({"toolsListChanged": true}), &json!("local")));
}
