//! Tasks of the extension pass between clients and servers of 2026-07-28; only their ids are the gateway's.

use serde_json::{Value, json};

use crate::support::{FakeMcp, Modern, Script, Scripted, TestGateway, config, script};

/// A server of 2026-07-28 whose tool begins a task.
fn working() -> Script {
    let discovered = json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}},
        "ttlMs": 0,
        "cacheScope": "private",
    });
    let task = |kind: &str| json!({"resultType": kind, "taskId": "own-7", "status": "working"}).to_string();
    script()
        .without_sessions()
        .tools(&["t"])
        .on("server/discover", Scripted::Result(discovered.to_string()))
        .on("tools/call", Scripted::Result(task("task")))
        .on("tasks/get", Scripted::Result(task("complete")))
        .on("tasks/cancel", Scripted::Result(r#"{"resultType":"complete"}"#.to_owned()))
}

fn knowing(gate: &TestGateway) -> Modern {
    let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    Modern::new(&gate.admin()).capable(tasks)
}

#[tokio::test]
async fn a_task_is_found_under_the_id_that_its_caller_was_given() {
    let fake = FakeMcp::start(working()).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let client = knowing(&gate);
    let begun = client.call("jobs-t", json!({})).await;
    let id = begun.result()["taskId"].as_str().expect("the call became a task").to_owned();
    assert!(begun.result()["resultType"] == "task" && id != "own-7");
    let got = client.rpc("tasks/get", json!({"taskId": id})).await;
    assert_eq!((&got.result()["taskId"], &got.result()["status"]), (&json!(id), &json!("working")));
    let sent = fake.only("tasks/get");
    assert_eq!((&sent.message["params"]["taskId"], sent.header("mcp-name")), (&json!("own-7"), Some("own-7")));
    client.rpc("tasks/cancel", json!({"taskId": id})).await.result();
    assert_eq!(fake.only("tasks/cancel").message["params"]["taskId"], "own-7");
}

#[tokio::test]
async fn an_unknown_task_is_not_found_and_no_server_is_asked() {
    let fake = FakeMcp::start(working()).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let client = knowing(&gate);
    for id in [json!("own-7"), json!(""), json!("deadbeef")] {
        assert_eq!(client.rpc("tasks/get", json!({"taskId": id})).await.error_code(), -32602, "{id}");
    }
    let wrong = client.clone().with("mcp-name", "other").rpc("tasks/get", json!({"taskId": "x"})).await;
    assert_eq!((wrong.http.status.as_u16(), wrong.error_code()), (400, -32020));
    assert!(fake.seen_of("tasks/get").is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_know_tasks_is_told_so() {
    let gate = TestGateway::start(config()).await;
    let answer = Modern::new(&gate.admin()).rpc("tasks/get", json!({"taskId": "x"})).await;
    assert_eq!((answer.http.status.as_u16(), answer.error_code()), (400, -32021));
    let required: &Value = &answer.error()["data"]["requiredCapabilities"]["extensions"];
    assert!(required["io.modelcontextprotocol/tasks"].is_object());
    for gone in ["tasks/result", "tasks/list"] {
        assert_eq!(knowing(&gate).rpc(gone, json!({"taskId": "x"})).await.http.status, 404);
    }
}
