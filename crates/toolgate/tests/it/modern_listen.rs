//! `subscriptions/listen`: what changes at all servers, on one stream.

use serde_json::{Value, json};

use crate::support::{EventStream, FakeMcp, Modern, Script, Scripted, TestGateway, config, script};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A server that speaks by itself.
fn speaking() -> Script {
    script().tools(&["t"]).resources(&["file:///a", "file:///b"]).on("GET", Scripted::Speaks)
}

fn changed(what: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": format!("notifications/{what}/list_changed")})
}

fn updated(uri: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
}

async fn listen(client: &Modern, id: Value, filter: Value) -> EventStream {
    client.open(id, "subscriptions/listen", json!({"notifications": filter})).await
}

/// The next message, which must be for the subscription `id`.
async fn next(stream: &mut EventStream, id: &Value) -> Value {
    let event = stream.next().await.expect("the stream goes on");
    let message: Value = serde_json::from_str(&event.data).unwrap();
    let holder = if message.get("result").is_some() { &message["result"] } else { &message["params"] };
    assert_eq!(&holder["_meta"][SUBSCRIPTION], id, "{message}");
    message
}

#[tokio::test]
async fn the_acknowledgement_comes_first_and_says_what_will_be_told() {
    let gate = TestGateway::start(config().general("mcp_disabled_capabilities: [prompts]")).await;
    let client = Modern::new(&gate.admin());
    for id in [json!(7), json!("seven")] {
        let filter = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": false});
        let mut stream = listen(&client, id.clone(), filter).await;
        let first = next(&mut stream, &id).await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["notifications"], json!({"toolsListChanged": true}));
    }
}

#[tokio::test]
async fn changes_of_every_server_come_to_those_who_asked_for_them() {
    let (one, two) = (FakeMcp::start(speaking()).await, FakeMcp::start(speaking()).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let client = Modern::new(&gate.admin());
    let (tools_id, all_id) = (json!(1), json!("all"));
    let mut tools = listen(&client, tools_id.clone(), json!({"toolsListChanged": true})).await;
    let everything = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
    let mut all = listen(&client, all_id.clone(), everything).await;
    next(&mut tools, &tools_id).await;
    next(&mut all, &all_id).await;
    one.came("GET", 1).await;
    two.came("GET", 1).await;
    one.say(&changed("prompts"));
    assert_eq!(next(&mut all, &all_id).await["method"], "notifications/prompts/list_changed");
    two.say(&changed("tools"));
    assert_eq!(next(&mut all, &all_id).await["method"], "notifications/tools/list_changed");
    assert_eq!(next(&mut tools, &tools_id).await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn what_an_older_server_asks_outside_of_any_call_is_refused() {
    let fake = FakeMcp::start(speaking()).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let client = Modern::new(&gate.admin()).capable(json!({"roots": {}, "elicitation": {}}));
    let id = json!(1);
    let mut stream = listen(&client, id.clone(), json!({"toolsListChanged": true})).await;
    next(&mut stream, &id).await;
    fake.has_streams(1).await;
    fake.say(&json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"}));
    fake.came("POST", 1).await;
    let answer = fake.only("POST").message;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("q"), &json!(-32601)));
    fake.say(&changed("tools"));
    assert_eq!(next(&mut stream, &id).await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn changed_resources_are_told_to_those_who_named_them() {
    let fake = FakeMcp::start(speaking().on("resources/subscribe", Scripted::Result("{}".to_owned()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let id = json!(1);
    let uris = json!(["file:///a", "file:///b"]);
    let mut stream = listen(&Modern::new(&gate.admin()), id.clone(), json!({"resourceSubscriptions": uris})).await;
    assert_eq!(next(&mut stream, &id).await["params"]["notifications"]["resourceSubscriptions"], uris);
    fake.came("GET", 1).await;
    fake.say(&changed("resources"));
    fake.say(&updated("file:///elsewhere"));
    fake.say(&updated("file:///b"));
    assert_eq!(next(&mut stream, &id).await["params"]["uri"], "file:///b");
    drop(stream);
    fake.came("resources/unsubscribe", 2).await;
}

#[tokio::test]
async fn a_resource_that_cannot_be_subscribed_to_is_not_acknowledged() {
    let fake = FakeMcp::start(speaking()).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let id = json!(1);
    let filter = json!({"resourceSubscriptions": ["file:///a"], "toolsListChanged": true});
    let mut stream = listen(&Modern::new(&gate.admin()), id.clone(), filter).await;
    assert_eq!(next(&mut stream, &id).await["params"]["notifications"], json!({"toolsListChanged": true}));
}

#[tokio::test]
async fn a_reload_changes_lists_too() {
    let fake = FakeMcp::start(script().tools(&["t"])).await;
    let gate = TestGateway::start(config().server("one", fake.entry())).await;
    let id = json!(1);
    let mut stream = listen(&Modern::new(&gate.admin()), id.clone(), json!({"toolsListChanged": true})).await;
    next(&mut stream, &id).await;
    gate.reload(&config().server("one", fake.entry()).server("two", fake.entry()));
    assert_eq!(next(&mut stream, &id).await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_stop_ends_the_stream_with_a_result() {
    let gate = TestGateway::start(config()).await;
    let id = json!("x");
    let mut stream = listen(&Modern::new(&gate.admin()), id.clone(), json!({"toolsListChanged": true})).await;
    next(&mut stream, &id).await;
    let stopping = tokio::spawn(gate.stop());
    let last = next(&mut stream, &id).await;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&id, &json!("complete")));
    assert!(stream.next().await.is_none());
    stopping.await.unwrap();
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let gate = TestGateway::start(config()).await;
    let client = Modern::new(&gate.admin());
    let many: Vec<String> = (0..1001).map(|n| format!("file:///{n}")).collect();
    for params in [
        json!({}),
        json!({"notifications": 1}),
        json!({"notifications": {"toolsListChanged": 1}}),
        json!({"notifications": {"resourceSubscriptions": many}}),
    ] {
        let answer = client.rpc("subscriptions/listen", params).await;
        assert_eq!((answer.http.status.as_u16(), answer.error_code()), (400, -32602));
    }
    let deaf = client.with("accept", "application/json");
    assert_eq!(deaf.rpc("subscriptions/listen", json!({"notifications": {}})).await.http.status, 406);
}
