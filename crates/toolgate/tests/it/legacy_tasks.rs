//! Tools that only run as tasks of 2025-11-25: to clients of the gate they are tools like any other.

use serde_json::{Value, json};

use crate::support::{
    FakeMcp, Lifecycle, Modern, Obliging, Script, Scripted, Talk, TestGateway, config, everything, script, soon,
};

/// A server that runs its tool as a task and as nothing else.
fn working() -> Script {
    let serves = json!({"requests": {"tools": {"call": {}}}, "cancel": {}});
    let begun = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}, "tasks": serves},
        "serverInfo": {"name": "fake", "version": "1"},
    });
    let tool = json!({
        "name": "t", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}, "title": "T",
    });
    let origin = json!({"io.modelcontextprotocol/related-task": {"taskId": "own-7"}, "kept": true});
    let result = json!({"content": [{"type": "text", "text": "done"}], "_meta": origin});
    script()
        .on("initialize", Scripted::Result(begun.to_string()))
        .on("tools/list", Scripted::Pages("tools", vec![vec![tool]]))
        .on("tools/call", Scripted::Result(json!({"task": {"taskId": "own-7", "status": "working"}}).to_string()))
        .on("tasks/result", Scripted::Result(result.to_string()))
        .on("tasks/cancel", Scripted::Result("{}".to_owned()))
}

#[tokio::test]
async fn a_tool_that_only_runs_as_a_task_is_run_as_one_for_clients_of_either_era() {
    let fake = FakeMcp::start(working()).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let legacy = gate.admin().initialized_at("/mcp").await;
    let tool = &legacy.rpc("tools/list", json!({})).await.result()["tools"][0].clone();
    assert_eq!((&tool["title"], tool.get("execution")), (&json!("T"), None), "{tool}");
    let modern = Modern::new(&gate.admin());
    for answer in [legacy.call("jobs-t", json!({"a": 1})).await, modern.call("jobs-t", json!({"a": 1})).await] {
        assert_eq!(answer.tool_text(), "done");
        assert_eq!(answer.result()["_meta"].get("io.modelcontextprotocol/related-task"), None);
        assert_eq!(answer.result()["_meta"]["kept"], true);
    }
    for call in fake.seen_of("tools/call") {
        assert_eq!(call.message["params"]["task"], json!({}));
        assert_eq!(call.message["params"]["arguments"], json!({"a": 1}));
    }
    for result in fake.seen_of("tasks/result") {
        assert_eq!(result.message["params"], json!({"taskId": "own-7"}));
    }
    assert_eq!((fake.count_of("tools/call"), fake.count_of("tasks/result")), (2, 2));
    assert_eq!(fake.count_of("tasks/cancel"), 0);
}

#[tokio::test]
async fn progress_of_the_task_reaches_the_client_under_its_own_token() {
    let on_own_stream = Scripted::Talk(vec![Talk::Said, Talk::Said, Talk::Held, Talk::answers("done")]);
    let held = Scripted::Held(json!({"content": [{"type": "text", "text": "done"}]}).to_string());
    let on_own_stream = working().on("tasks/result", on_own_stream);
    let on_the_standalone = working().on("tasks/result", held).on("GET", Scripted::Speaks);
    for (script, streams) in [(on_own_stream, 0), (on_the_standalone, 1)] {
        let fake = FakeMcp::start(script).await;
        let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
        // For clients that can be asked, the gateway listens to what the server says by itself.
        let caller = gate.admin().initialized_with("/mcp", json!({"elicitation": {}})).await;
        let told = async {
            fake.came("tasks/result", 1).await;
            fake.came("GET", streams).await;
            let token = fake.only("tools/call").message["params"]["_meta"]["progressToken"].clone();
            let tell = |token: Value| {
                let params = json!({"progressToken": token, "progress": 1});
                fake.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
            };
            tell(json!(token.as_u64().expect("a number of the gateway's") + 1));
            tell(token);
        };
        let (mut stream, ()) = tokio::join!(caller.call_stream(5, "jobs-t"), told);
        let progress = stream.message().await;
        assert_eq!(progress["params"], json!({"progressToken": "token-5", "progress": 1}));
        fake.release();
        assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn what_the_server_does_at_once_or_refuses_is_the_answer() {
    for (scripted, is_result) in [(Scripted::text("at once"), true), (Scripted::Error(-32602, "no"), false)] {
        let fake = FakeMcp::start(working().on("tools/call", scripted)).await;
        let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
        let answer = gate.admin().call("jobs-t", json!({})).await;
        assert_eq!(answer.message().get("result").is_some(), is_result);
        assert_eq!(fake.count_of("tasks/result"), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_cancels_its_task() {
    let fake = FakeMcp::start(working().on("tasks/result", Scripted::Silence)).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "jobs-t"}}).to_string();
    let cancelled = async {
        fake.came("tasks/result", 1).await;
        let params = json!({"requestId": 5});
        caller.tell("/mcp", &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
        fake.came("tasks/cancel", 1).await;
    };
    tokio::join!(caller.post("/mcp", call), cancelled);
    assert_eq!(fake.only("tasks/cancel").message["params"], json!({"taskId": "own-7"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_asks_the_client_of_a_call_that_runs_as_a_task() {
    let server = everything::streamable().await;
    let gate = TestGateway::start(config().server("peer", server.entry.clone())).await;
    for lifecycle in [Lifecycle::Handshake, Lifecycle::Discover] {
        let client = Obliging.connect(&gate.url("/mcp"), lifecycle).await.expect("the gate answers");
        let arguments = json!({"topic": "python", "ambiguous": true}).as_object().unwrap().clone();
        let call = rmcp::model::CallToolRequestParams::new("peer-simulate-research-query").with_arguments(arguments);
        let result: Value =
            serde_json::to_value(soon("a call", client.call_tool(call)).await.expect("an answer")).unwrap();
        let text = result["content"][0]["text"].as_str().expect("a report");
        assert!(text.contains("Research Report: python (") && !text.contains("unavailable"), "{text}");
        client.cancel().await.unwrap();
    }
    gate.stop().await;
}
