//! What the gate does by itself when a server fails: what it sends again, what it asks for again, what it leaves alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Caller, Entry, FakeMcp, Fault, FaultProxy, Modern, Scripted, Talk, TestGateway, config, script, soon, tool,
};

async fn one_server(fake: &FakeMcp) -> TestGateway {
    TestGateway::start(config().server("files", fake.entry())).await
}

#[tokio::test]
async fn a_call_that_was_cut_is_sent_again_only_where_the_tool_says_that_it_does_no_harm() {
    let cases = [
        (json!({"readOnlyHint": true}), true),
        (json!({"idempotentHint": true}), true),
        (json!({"readOnlyHint": false, "idempotentHint": false, "destructiveHint": false}), false),
        (Value::Null, false),
    ];
    for (annotations, is_repeated) in cases {
        let mut act = tool("act");
        if !annotations.is_null() {
            act["annotations"] = annotations.clone();
        }
        let script = script().on("tools/list", Scripted::Pages("tools", vec![vec![act]]));
        let cut_once = Scripted::InTurn(vec![Scripted::Broken, Scripted::text("done")]);
        let fake = FakeMcp::start(script.on("tools/call", cut_once)).await;
        let gate = one_server(&fake).await;
        let answer = gate.admin().initialized_at("/mcp").await.call("files-act", json!({})).await;
        if is_repeated {
            assert_eq!(answer.tool_text(), "done", "{annotations}");
        } else {
            assert_eq!(answer.error()["data"]["may_have_run"], true, "{annotations}");
        }
        assert_eq!(fake.count_of("tools/call"), if is_repeated { 2 } else { 1 }, "{annotations}");
    }
}

#[tokio::test]
async fn a_call_that_does_no_harm_is_sent_again_once_and_no_more() {
    let act = json!({"name": "act", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}});
    let script = script().on("tools/list", Scripted::Pages("tools", vec![vec![act]]));
    let fake = FakeMcp::start(script.on("tools/call", Scripted::Broken)).await;
    let gate = one_server(&fake).await;
    assert_eq!(gate.admin().call("files-act", json!({})).await.error_code(), -32010);
    assert_eq!(fake.count_of("tools/call"), 2);
}

/// What `/health` says of the only server, and `/metrics` of its gauges.
async fn seen_from_outside(gate: &TestGateway) -> (Value, String) {
    let health = gate.admin().get("/health").await.json();
    let mut endpoints: Vec<Value> = ["healthy_endpoints", "unhealthy_endpoints"]
        .into_iter()
        .flat_map(|list| health[list].as_array().unwrap().clone())
        .collect();
    assert_eq!(endpoints.len(), 1, "{health}");
    (endpoints.remove(0), gate.anonymous().get("/metrics").await.text().to_owned())
}

/// Waits until the only server's circuit is in this state; gives what else is known then.
async fn circuit_is(gate: &TestGateway, state: &str) -> (Value, String) {
    soon(&format!("a circuit that is {state}"), async {
        loop {
            let seen = seen_from_outside(gate).await;
            if seen.0["circuit"]["state"] == state {
                return seen;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_circuit_opens_is_tried_and_closes_in_the_sight_of_operators() {
    let fake = FakeMcp::start(script().tools(&["act"])).await;
    let network = FaultProxy::start(&fake.url()).await;
    let entry = Entry::http(&network.url(&fake.url())).with("timeout: 3");
    let gate = TestGateway::start(config().server("files", entry)).await;
    let call = || async { gate.admin().call("files-act", json!({})).await };
    call().await.result();
    let (well, metrics) = seen_from_outside(&gate).await;
    assert_eq!((&well["state"], &well["circuit"]["state"]), (&json!("up"), &json!("closed")));
    assert!(metrics.contains("toolgate_upstream_up{server=\"files\"} 1"), "{metrics}");

    network.set(Fault::Reset);
    soon("the circuit being open", async {
        while seen_from_outside(&gate).await.0["circuit"]["state"] == "closed" {
            call().await.error();
        }
    })
    .await;
    let (ill, metrics) = circuit_is(&gate, "open").await;
    assert_eq!(ill["state"], "down", "{ill}");
    assert!(ill["stage"].is_string() && ill["last_failure"]["message"].is_string(), "{ill}");
    assert!(ill["circuit"]["retry_in_ms"].as_u64().unwrap() <= 5000, "{ill}");
    for line in [
        "toolgate_upstream_circuit_open{server=\"files\"} 1",
        "toolgate_upstream_up{server=\"files\"} 0",
        "toolgate_upstream_failures_total{server=\"files\",stage=",
        "toolgate_upstream_since_seconds{server=\"files\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }

    // Whoever tries it now waits, so that it can be seen trying.
    network.set(Fault::Hang);
    let (tried, _) = circuit_is(&gate, "half-open").await;
    assert_eq!((&tried["state"], &tried["circuit"]["retry_in_ms"]), (&json!("down"), &Value::Null));
    let reached = fake.seen().len();
    assert!(call().await.error_message().contains("tried again"), "others fail at once");
    assert_eq!(fake.seen().len(), reached);

    network.set(Fault::None);
    let (well, metrics) = circuit_is(&gate, "closed").await;
    assert_eq!((&well["state"], &well["stage"]), (&json!("up"), &Value::Null));
    assert!(well["last_failure"]["message"].is_string(), "what happened stays to be read: {well}");
    for line in ["toolgate_upstream_circuit_open{server=\"files\"} 0", "toolgate_upstream_up{server=\"files\"} 1"] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
    call().await.result();
}

#[tokio::test]
async fn a_new_session_at_a_server_has_the_log_level_and_the_subscriptions_of_the_one_before() {
    let script = script().tools(&["act"]).resources(&["note://a", "note://b"]);
    let taken = || Scripted::Result("{}".to_owned());
    let script = script.on("resources/subscribe", taken()).on("resources/unsubscribe", taken());
    let fake = FakeMcp::start(script).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.rpc("logging/setLevel", json!({"level": "error"})).await.result();
    for (method, uri) in [
        ("resources/subscribe", "note://a"),
        ("resources/subscribe", "note://b"),
        ("resources/unsubscribe", "note://b"),
    ] {
        caller.rpc(method, json!({"uri": uri})).await.result();
    }
    fake.restart();
    caller.call("files-act", json!({})).await.result();
    let anew = |method: &str| {
        let seen = fake.seen_of(method).into_iter().filter(|seen| seen.header("mcp-session-id") == Some("session-2"));
        seen.map(|seen| seen.message["params"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(anew("logging/setLevel"), [json!({"level": "error"})]);
    assert_eq!(anew("resources/subscribe"), [json!({"uri": "note://a"})]);
    let before_the_call = fake.seen().iter().rposition(|seen| seen.method() == "resources/subscribe").unwrap();
    assert!(fake.seen()[before_the_call..].iter().any(|seen| seen.method() == "tools/call"), "first of all");
}

fn logged(number: u32) -> String {
    let params = json!({"level": "info", "data": number});
    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params}).to_string()
}

#[tokio::test]
async fn a_stream_that_a_server_drops_is_taken_up_where_it_ended_and_says_the_rest() {
    let first = vec![Talk::Numbered("event-1", logged(1))];
    let rest = vec![Talk::Says(logged(2)), Talk::Hears("\"never\"")];
    let fake = FakeMcp::start(script().tools(&["act"]).on("GET", Scripted::Resumable(first, rest))).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut stream = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    caller.call("files-act", json!({})).await.result();
    for number in [1, 2] {
        assert_eq!(stream.message().await["params"]["data"], number);
    }
    let taken_up = fake.seen_of("GET").into_iter().find_map(|get| get.header("last-event-id").map(str::to_owned));
    assert_eq!(taken_up.as_deref(), Some("event-1"));
    assert_eq!(fake.count_of("tools/call"), 1);
}

/// A server that asks about a call on its own stream, as soon as the call is there, and answers when it was answered.
fn asking_aside() -> crate::support::Script {
    let question = Talk::asks("5", "elicitation/create", r#"{"message":"Your name?","requestedSchema":{}}"#);
    script()
        .tools(&["ask"])
        .on("GET", Scripted::Talk(vec![Talk::Awaits("tools/call"), question, Talk::Hears("\"never\"")]))
        .on("tools/call", Scripted::Talk(vec![Talk::Hears("5"), Talk::answers_what_was_heard()]))
}

#[tokio::test]
async fn a_server_that_asks_about_the_first_call_on_its_own_stream_is_heard() {
    let fake = FakeMcp::start(asking_aside()).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_with("/mcp", json!({"elicitation": {}})).await;
    let mut stream = caller.call_stream(1, "files-ask").await;
    let question = stream.message().await;
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    caller.tell("/mcp", &answer).await;
    let answer = stream.message().await;
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("decline"), "{answer}");
    let own = fake.seen().into_iter().filter(|seen| seen.header("mcp-session-id").is_some());
    let (mut gets, mut calls) = (0, 0);
    for seen in own {
        gets += usize::from(seen.method() == "GET");
        calls += usize::from(seen.method() == "tools/call");
        assert!(calls == 0 || gets > 0, "the stream is open before the call is sent");
    }
}

#[tokio::test]
async fn for_a_client_that_cannot_be_asked_no_stream_of_its_own_is_opened() {
    let fake = FakeMcp::start(script().tools(&["act"])).await;
    let gate = one_server(&fake).await;
    gate.admin().tool_names().await;
    fake.came("GET", 1).await;
    let caller: Caller = gate.admin().initialized_at("/mcp").await;
    caller.call("files-act", json!({})).await.result();
    assert_eq!(fake.count_of("GET"), 1, "the one on which lists are heard of");
}

#[tokio::test]
async fn a_session_that_was_forgotten_for_want_of_use_comes_back_with_its_log_level() {
    let level = |level: &str| Talk::tells("notifications/message", &format!(r#"{{"level":"{level}","data":1}}"#));
    let talk = Scripted::Talk(vec![level("info"), level("error"), Talk::answers("done")]);
    let fake = FakeMcp::start(script().tools(&["act"]).on("tools/call", talk)).await;
    let gate = TestGateway::start_with(config().server("files", fake.entry()), |settings| {
        settings.clients.tend_every = Duration::from_millis(5);
        settings.clients.replay_for = Duration::from_millis(1);
        settings.limits.session_idle = Duration::from_millis(20);
    })
    .await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.rpc("logging/setLevel", json!({"level": "error"})).await.result();
    caller.call("files-act", json!({})).await;
    // Its session at the server is closed for the same reason and a moment later.
    fake.came("DELETE", 1).await;
    let mut stream = caller.call_stream(1, "files-act").await;
    assert_eq!(stream.message().await["params"]["level"], "error");
    assert_eq!(stream.message().await["id"], 1);
}

fn updated() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "file:///a"}})
}

#[tokio::test]
async fn a_session_that_was_forgotten_for_want_of_use_comes_back_with_its_subscriptions() {
    let script = script().tools(&["act"]).resources(&["file:///a"]).on("GET", Scripted::Speaks);
    let fake = FakeMcp::start(script.on("resources/subscribe", Scripted::Result("{}".to_owned()))).await;
    let gate = TestGateway::start_with(config().server("files", fake.entry()), |settings| {
        settings.clients.tend_every = Duration::from_millis(5);
        settings.limits.session_idle = Duration::from_millis(20);
    })
    .await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.rpc("resources/subscribe", json!({"uri": "file:///a"})).await.result();
    // The server is told when the session is forgotten.
    fake.came("resources/unsubscribe", 1).await;
    // Whatever is done for it at a server brings it back; so does its stream.
    caller.call("files-act", json!({})).await.result();
    fake.came("resources/subscribe", 2).await;
    fake.came("resources/unsubscribe", 2).await;
    let mut stream = caller.open_stream("/mcp").await;
    fake.came("resources/subscribe", 3).await;
    fake.came("GET", 1).await;
    fake.say(&updated());
    while stream.message().await["method"] != "notifications/resources/updated" {}
}

#[tokio::test]
async fn subscriptions_outlive_a_change_of_their_servers_entry() {
    let script = script().resources(&["file:///a"]).on("GET", Scripted::Speaks);
    let fake = FakeMcp::start(script.on("resources/subscribe", Scripted::Result("{}".to_owned()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut stream = caller.open_stream("/mcp").await;
    caller.rpc("resources/subscribe", json!({"uri": "file:///a"})).await.result();
    let quiet = gate.admin().initialized_at("/mcp").await;
    quiet.rpc("resources/subscribe", json!({"uri": "file:///a"})).await.result();
    gate.reload(&config().server("files", fake.entry().with("description: another")));
    fake.came("resources/subscribe", 3).await;
    // The other one has no stream, and is asked for with its next request.
    quiet.rpc("resources/read", json!({"uri": "file:///a"})).await.result();
    fake.came("resources/subscribe", 4).await;
    fake.say(&updated());
    while stream.message().await["method"] != "notifications/resources/updated" {}
}

#[tokio::test]
async fn a_client_that_does_not_say_who_it_is_is_not_called_something_else() {
    const INFO: &str = "io.modelcontextprotocol/clientInfo";
    let fake = FakeMcp::start(script().tools(&["act"]).modern()).await;
    let gate = one_server(&fake).await;
    let client = Modern::new(&gate.admin());
    client.call("files-act", json!({})).await.result();
    client.silent_about(INFO).call("files-act", json!({})).await.result();
    gate.admin().call("files-act", json!({})).await.result();
    let told = fake.seen_of("tools/call").into_iter().map(|seen| seen.message["params"]["_meta"][INFO]["name"].clone());
    assert_eq!(told.collect::<Vec<_>>(), [json!("toolgate-tests"), Value::Null, json!("toolgate")]);
    let lists = fake.only("tools/list").message["params"]["_meta"][INFO]["name"].clone();
    assert_eq!(lists, "toolgate", "lists are the gate's own affair");
}

#[tokio::test]
async fn a_call_that_fails_is_counted_for_its_server_and_tool() {
    let fake = FakeMcp::start(script().tools(&["act"]).on("tools/call", Scripted::Broken)).await;
    let gate = one_server(&fake).await;
    gate.admin().call("files-act", json!({})).await.error();
    let rest = json!({"server_id": "files", "name": "act", "arguments": {}});
    assert_eq!(gate.admin().post("/mcp-rest/tools/call", rest.to_string()).await.status, 502);
    let metrics = gate.anonymous().get("/metrics").await.text().to_owned();
    for line in [
        r#"toolgate_requests_total{server="files",tool="act",status="error",code="-32010"} 1"#,
        r#"toolgate_requests_total{server="files",tool="act",status="error"} 1"#,
        r#"gen_ai_tool_name="files-act",error_type="-32010""#,
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
}
