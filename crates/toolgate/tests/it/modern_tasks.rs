//! Tasks of the extension pass between clients and servers of 2026-07-28; only their ids are the gateway's.

use serde_json::{Value, json};

use crate::support::{EventStream, FakeMcp, Modern, Script, Scripted, Talk, TestGateway, config, script};

/// The master key of another gateway.
const OTHER_KEY: &str = "sk-other-4e1f0a5be2d94c3f8a6b4d1e9f20c7a8";

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

fn tasks() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}})
}

fn knowing(gate: &TestGateway) -> Modern {
    Modern::new(&gate.admin()).capable(tasks())
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

/// The same, telling of some tasks what the test has it say.
fn telling(own: &str, said: usize) -> Script {
    let acknowledged = format!(
        r#"{{"_meta":{{"io.modelcontextprotocol/subscriptionId":$id}},"notifications":{{"taskIds":["{own}"]}}}}"#
    );
    let mut talk = vec![Talk::tells("notifications/subscriptions/acknowledged", &acknowledged)];
    talk.extend(std::iter::repeat_n(Talk::Said, said));
    talk.push(Talk::Held);
    working().on("subscriptions/listen", Scripted::Talk(talk))
}

/// What a server says of a task.
fn stands(own: &str, status: &str) -> Value {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": "$id"});
    let result = json!({"content": [], "other": 1});
    let params = json!({"_meta": meta, "taskId": own, "status": status, "result": result});
    json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": params})
}

async fn begin(client: &Modern, tool: &str) -> String {
    let begun = client.call(tool, json!({})).await;
    begun.result()["taskId"].as_str().expect("the call became a task").to_owned()
}

async fn watch(client: &Modern, ids: Value) -> EventStream {
    client.open(json!("w"), "subscriptions/listen", json!({"notifications": {"taskIds": ids}})).await
}

#[tokio::test]
async fn how_tasks_of_all_servers_stand_is_told_on_one_stream_under_the_callers_ids() {
    let one = FakeMcp::start(telling("own-7", 3)).await;
    let two = FakeMcp::start(telling("own-7", 1)).await;
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let client = knowing(&gate);
    let (first, second) = (begin(&client, "one-t").await, begin(&client, "two-t").await);
    let mut stream = watch(&client, json!([first, "own-7", second])).await;
    let acknowledged = stream.message().await;
    assert_eq!(acknowledged["params"]["notifications"], json!({"taskIds": [first, second]}));
    let asked = one.only("subscriptions/listen").message;
    assert_eq!(asked["params"]["notifications"], json!({"taskIds": ["own-7"]}));
    let capabilities = &asked["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert!(capabilities["extensions"]["io.modelcontextprotocol/tasks"].is_object(), "{asked}");
    // A task of somebody else, who has the same credential at the server.
    one.say(&stands("own-8", "working"));
    one.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"taskId": "own-7"}}));
    two.say(&stands("own-7", "working"));
    let told = stream.message().await;
    assert_eq!((&told["params"]["taskId"], &told["params"]["status"]), (&json!(second), &json!("working")));
    one.say(&stands("own-7", "completed"));
    let told = stream.message().await;
    assert_eq!((&told["params"]["taskId"], &told["params"]["status"]), (&json!(first), &json!("completed")));
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "w");
    assert_eq!(told["params"]["result"], json!({"content": [], "other": 1}));
}

/// A task that asks its client three things.
fn asking(own: &str) -> Value {
    let ask = |method: &str| json!({"method": method, "params": {"message": "?"}});
    let url = json!({"method": "elicitation/create", "params": {"mode": "url", "message": "?", "url": "https://a"}});
    let mut told = stands(own, "input_required");
    told["params"]["inputRequests"] =
        json!({"form": ask("elicitation/create"), "url": url, "model": ask("sampling/createMessage")});
    told
}

#[tokio::test]
async fn a_task_asks_its_client_only_for_what_that_declared() {
    let all = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}});
    let cases = [
        (json!({}), vec![]),
        (json!({"elicitation": {}}), vec!["form"]),
        // The server may not ask for completions.
        (all, vec!["form", "url"]),
    ];
    for (mut capabilities, expected) in cases {
        let fake = FakeMcp::start(telling("own-7", 2)).await;
        let gate = TestGateway::start(config().server("jobs", fake.entry().with("allow_sampling: false"))).await;
        capabilities["extensions"] = tasks()["extensions"].clone();
        let client = Modern::new(&gate.admin()).capable(capabilities.clone());
        let id = begin(&client, "jobs-t").await;
        let mut stream = watch(&client, json!([id])).await;
        stream.message().await;
        fake.say(&asking("own-7"));
        let told = stream.message().await;
        let asked = told["params"]["inputRequests"].as_object().expect("an object").keys().cloned();
        assert_eq!(asked.collect::<Vec<_>>(), expected, "{capabilities}");
        assert_eq!((&told["params"]["status"], &told["params"]["taskId"]), (&json!("input_required"), &json!(id)));
        fake.say(&stands("own-7", "working"));
        assert_eq!(stream.message().await["params"]["status"], "working");
        let metrics = gate.admin().get("/metrics").await;
        let line = r#"toolgate_dropped_frames_total{server="jobs",why="question_for_nobody"} 1"#;
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}

#[tokio::test]
async fn an_answer_asks_its_client_only_for_what_that_declared() {
    let asking = asking("own-7")["params"]["inputRequests"].clone();
    let asks = json!({"resultType": "input_required", "inputRequests": {"form": asking["form"]}}).to_string();
    let script = working().on("tools/call", Scripted::Result(asks.clone())).on("tasks/get", Scripted::Result(asks));
    let fake = FakeMcp::start(script).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let answer = Modern::new(&gate.admin()).call("jobs-t", json!({})).await;
    assert!(answer.error_message().contains("not declared"), "{}", answer.error_message());
    let able = Modern::new(&gate.admin()).capable(json!({"elicitation": {}}));
    assert_eq!(able.call("jobs-t", json!({})).await.result()["inputRequests"]["form"], asking["form"]);
}

#[tokio::test]
async fn a_task_that_the_caller_was_not_given_is_not_told_of() {
    let fake = FakeMcp::start(telling("own-7", 1)).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let other = TestGateway::start(config().master_key(OTHER_KEY).server("jobs", fake.entry())).await;
    let theirs = Modern::new(&other.anonymous().with("x-litellm-api-key", OTHER_KEY)).capable(tasks());
    let foreign = begin(&theirs, "jobs-t").await;
    let mut stream = watch(&knowing(&gate), json!([foreign])).await;
    assert_eq!(stream.message().await["params"]["notifications"], json!({}));
    assert!(fake.seen_of("subscriptions/listen").is_empty());
}

#[tokio::test]
async fn a_server_that_ends_its_stream_is_asked_for_its_tasks_again() {
    let acknowledged =
        r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":$id},"notifications":{"taskIds":["own-7"]}}"#;
    // It ends after each message.
    let talk = vec![Talk::tells("notifications/subscriptions/acknowledged", acknowledged), Talk::Said];
    let fake = FakeMcp::start(working().on("subscriptions/listen", Scripted::Talk(talk))).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let client = knowing(&gate);
    let id = begin(&client, "jobs-t").await;
    let mut stream = watch(&client, json!([id])).await;
    stream.message().await;
    for (times, status) in [(1, "working"), (2, "completed")] {
        fake.came("subscriptions/listen", times).await;
        fake.say(&stands("own-7", status));
        assert_eq!(stream.message().await["params"]["status"], status);
    }
}

#[tokio::test]
async fn a_client_that_does_not_know_tasks_cannot_listen_for_them() {
    let gate = TestGateway::start(config()).await;
    let params = json!({"notifications": {"taskIds": ["x"]}});
    let answer = Modern::new(&gate.admin()).rpc("subscriptions/listen", params).await;
    assert_eq!((answer.http.status.as_u16(), answer.error_code()), (400, -32021));
}
