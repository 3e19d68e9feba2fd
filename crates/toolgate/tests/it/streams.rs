//! What servers tell clients, and the streams that it comes on: while a request runs, by itself, and after a stream was
//! lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Caller, EventStream, FakeMcp, Script, Scripted, Talk, TestGateway, config, script, soon};

const LOG: &str = r#"{"level":"info","data":"working", "x":1.50}"#;

fn tools(names: &[&str]) -> Script {
    script().tools(names)
}

/// A server whose tool tells its log and its progress, waits to be released, and answers.
fn telling() -> Scripted {
    Scripted::Talk(vec![
        Talk::tells("notifications/message", LOG),
        Talk::tells("notifications/progress", r#"{"progressToken":$token,"progress":1}"#),
        Talk::Held,
        Talk::answers("done"),
    ])
}

/// A server that says `list_changed` on its standalone stream when it is released, and nothing before.
fn changing(method: &str) -> Scripted {
    Scripted::Talk(vec![Talk::Held, Talk::tells(method, "{}"), Talk::Hears("\"never\"")])
}

async fn one_server(fake: &FakeMcp) -> TestGateway {
    TestGateway::start(config().server("files", fake.entry())).await
}

async fn listening(gate: &TestGateway, path: &str) -> (Caller, EventStream) {
    let caller = gate.admin().initialized_at(path).await;
    let stream = caller.clone().with("accept", "text/event-stream").open_stream(path).await;
    (caller, stream)
}

#[tokio::test]
async fn what_a_server_tells_while_it_works_comes_on_the_response_as_it_is() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    let gate = one_server(&fake).await;
    for caller in [gate.admin(), gate.admin().initialized_at("/mcp").await] {
        let mut stream = caller.call_stream(3, "files-work").await;
        let log = stream.next().await.unwrap();
        assert!(log.data.contains(LOG), "{}", log.data);
        let progress = stream.message().await;
        assert_eq!(progress["params"], json!({"progressToken": "token-3", "progress": 1}));
        fake.release();
        assert_eq!(stream.message().await["id"], 3);
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn a_client_sees_of_a_servers_log_what_it_wants_to_see() {
    let level = |level: &str| Talk::tells("notifications/message", &format!(r#"{{"level":"{level}","data":1}}"#));
    let talk = ["debug", "error", "info", "critical"].map(level);
    let talk = Scripted::Talk(talk.into_iter().chain([Talk::answers("done")]).collect());
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", talk)).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    assert_eq!(caller.rpc("logging/setLevel", json!({"level": "loud"})).await.error_code(), -32602);
    caller.rpc("logging/setLevel", json!({"level": "error"})).await.result();
    let mut stream = caller.call_stream(1, "files-work").await;
    let levels = [stream.message().await, stream.message().await].map(|log| log["params"]["level"].clone());
    assert_eq!(levels, ["error", "critical"]);
    assert_eq!(stream.message().await["id"], 1);
    assert_eq!(fake.only("logging/setLevel").message["params"]["level"], "error");
}

#[tokio::test]
async fn a_cancelled_request_ends_without_an_answer_and_no_other_does() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut one = caller.call_stream(1, "files-work").await;
    let mut other = caller.call_stream(2, "files-work").await;
    for stream in [&mut one, &mut other] {
        stream.message().await;
        stream.message().await;
    }
    let cancel = |id: u32| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    caller.tell("/mcp", &cancel(99)).await;
    gate.admin().initialized_at("/mcp").await.tell("/mcp", &cancel(2)).await;
    caller.tell("/mcp", &cancel(1)).await;
    assert_eq!(one.next().await, None);
    fake.came("notifications/cancelled", 1).await;
    let calls = fake.seen_of("tools/call");
    let cancelled = fake.only("notifications/cancelled").message["params"]["requestId"].clone();
    let token = |seen: &Value| seen["params"]["_meta"]["progressToken"].clone();
    let call = calls.iter().find(|call| call.message["id"] == cancelled).expect("it names a call by the upstream's id");
    assert_eq!(token(&call.message), token(&calls[0].message), "it is the first");
    fake.release();
    assert_eq!(other.message().await["id"], 2);
}

#[tokio::test]
async fn at_a_modern_server_the_stream_of_a_cancelled_request_is_closed_and_no_other() {
    let progress = r#"{"progressToken":$token,"progress":1}"#;
    let told = [Talk::tells("notifications/message", LOG), Talk::tells("notifications/progress", progress)];
    let talk = told.into_iter().chain([Talk::Said, Talk::answers("done")]).collect();
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", Scripted::Talk(talk)).modern()).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.rpc("logging/setLevel", json!({"level": "info"})).await.result();
    let mut one = caller.call_stream(1, "files-work").await;
    let mut other = caller.call_stream(2, "files-work").await;
    for (stream, token) in [(&mut one, "token-1"), (&mut other, "token-2")] {
        assert_eq!(stream.message().await["method"], "notifications/message");
        assert_eq!(stream.message().await["params"]["progressToken"], token);
    }
    for call in fake.seen_of("tools/call") {
        assert_eq!(call.message["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
    }
    fake.has_streams(2).await;
    caller
        .tell("/mcp", &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}))
        .await;
    assert_eq!(one.next().await, None);
    fake.has_streams(1).await;
    assert_eq!(fake.seen_of("notifications/cancelled").len(), 0, "the revision has no such notification over HTTP");
    fake.say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 2}}));
    assert_eq!(other.message().await["params"]["data"], 2);
    assert_eq!(other.message().await["id"], 2);
}

#[tokio::test]
async fn a_request_that_is_cancelled_before_it_has_a_stream_ends_without_an_answer_too() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", Scripted::Silence)).await;
    let gate = one_server(&fake).await;
    for (accept, status, content_type) in
        [("application/json, text/event-stream", 200, "text/event-stream"), ("application/json", 202, "")]
    {
        let caller = gate.admin().initialized_at("/mcp").await.with("accept", accept);
        let called = fake.seen_of("tools/call").len();
        let call = {
            let caller = caller.clone();
            let call = json!({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": {"name": "files-work"}});
            tokio::spawn(async move { caller.post("/mcp", call.to_string()).await })
        };
        fake.came("tools/call", called + 1).await;
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x"}});
        caller.tell("/mcp", &cancel).await;
        let ended = soon("the end of the call", call).await.unwrap();
        assert_eq!((ended.status.as_u16(), ended.header("content-type"), ended.text()), (status, content_type, ""));
    }
}

#[tokio::test]
async fn an_answer_that_takes_long_becomes_a_stream_for_those_who_take_streams() {
    let held = Scripted::Held(json!({"content": [{"type": "text", "text": "done"}]}).to_string());
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", held)).await;
    let gate = TestGateway::start_with(config().server("files", fake.entry()), |settings| {
        settings.clients.stream_after = Duration::from_millis(10);
        settings.clients.resumable_after = Duration::from_millis(10);
    })
    .await;
    let mut stream = gate.admin().call_stream(4, "files-work").await;
    let plain = {
        let caller = gate.admin().with("accept", "application/json");
        tokio::spawn(async move { caller.call("files-work", json!({})).await })
    };
    fake.came("tools/call", 2).await;
    fake.release();
    assert_eq!(stream.message().await["id"], 4);
    assert_eq!(stream.next().await, None);
    let plain = soon("the plain answer", plain).await.unwrap();
    assert_eq!((plain.http.header("content-type"), plain.tool_text().as_str()), ("application/json", "done"));
}

#[tokio::test]
async fn changed_lists_are_told_to_those_whose_scope_the_server_is_in() {
    let change = changing("notifications/tools/list_changed");
    let files = FakeMcp::start(tools(&["read"]).on("GET", change)).await;
    let maps = FakeMcp::start(tools(&["find"])).await;
    let gate = TestGateway::start(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let (_, mut all) = listening(&gate, "/mcp").await;
    let (_, mut only_maps) = listening(&gate, "/mcp/maps").await;
    files.came("GET", 1).await;
    files.release();
    assert_eq!(all.message().await, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    gate.stop().await;
    assert_eq!(only_maps.next().await, None, "nothing was told there");
}

#[tokio::test]
async fn a_reload_that_changes_what_a_client_sees_is_told_to_it_and_another_is_not() {
    let files = FakeMcp::start(tools(&["read"])).await;
    let maps = FakeMcp::start(tools(&["find"])).await;
    let before = || config().server("files", files.entry());
    let gate = TestGateway::start(before()).await;
    let (caller, mut all) = listening(&gate, "/mcp").await;
    let (_, mut only_files) = listening(&gate, "/mcp/files").await;
    assert_eq!(caller.tool_names().await, ["files-read"]);
    gate.reload(&before());
    gate.reload(&before().server("maps", maps.entry()));
    let told = [all.message().await, all.message().await, all.message().await].map(|told| told["method"].clone());
    assert_eq!(told, ["tools", "prompts", "resources"].map(|list| format!("notifications/{list}/list_changed")));
    assert_eq!(caller.tool_names().await, ["files-read", "maps-find"]);
    gate.reload(&before().server("maps", maps.entry()).general("mcp_tool_prefix: never"));
    assert_eq!(only_files.message().await["method"], "notifications/tools/list_changed", "names are others now");
    gate.stop().await;
}

#[tokio::test]
async fn what_a_server_says_by_itself_comes_on_the_standalone_stream() {
    let talk = Scripted::Talk(vec![
        Talk::tells("notifications/message", LOG),
        Talk::asks("9", "roots/list", "{}"),
        Talk::Hears("9"),
        Talk::tells("notifications/x/vendor", r#"{"n":1}"#),
        Talk::Hears("\"never\""),
    ]);
    let fake = FakeMcp::start(tools(&["read"]).on("GET", talk)).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_with("/mcp", json!({"roots": {}})).await;
    let mut stream = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    // The session's own connection is opened by its first call.
    caller.call("files-read", json!({})).await.result();
    let mut seen = Vec::new();
    while !seen.contains(&json!("notifications/x/vendor")) {
        let message = stream.message().await;
        if message["method"] == "roots/list" {
            caller.tell("/mcp", &json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": []}})).await;
        }
        seen.push(message["method"].clone());
    }
    assert_eq!(seen, ["notifications/message", "roots/list", "notifications/x/vendor"]);
}

#[tokio::test]
async fn a_changed_resource_is_told_under_the_uri_that_the_client_knows() {
    let talk = |uri: &str| {
        let updated = format!(r#"{{"uri":"{uri}"}}"#);
        Scripted::Talk(vec![Talk::Held, Talk::tells("notifications/resources/updated", &updated), Talk::Hears("0")])
    };
    let taken = || Scripted::Result("{}".to_owned());
    let notes = || {
        let script = script().resources(&["note://a"]);
        script.on("resources/subscribe", taken()).on("resources/unsubscribe", taken())
    };
    let one = FakeMcp::start(notes()).await;
    let two = FakeMcp::start(notes().on("GET", talk("note://a"))).await;
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let (caller, mut stream) = listening(&gate, "/mcp").await;
    caller.rpc("resources/subscribe", json!({"uri": "two+note://a"})).await.result();
    assert_eq!(two.only("resources/subscribe").message["params"]["uri"], "note://a");
    assert_eq!(one.seen_of("resources/subscribe").len(), 0);
    soon("the session's own stream", async {
        while !two.seen_of("GET").iter().any(|get| get.header("mcp-session-id").is_some()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    two.release();
    assert_eq!(stream.message().await["params"]["uri"], "two+note://a");
    caller.rpc("resources/unsubscribe", json!({"uri": "two+note://a"})).await.result();
    two.came("resources/unsubscribe", 1).await;
    assert!(caller.rpc("resources/subscribe", json!({"uri": 7})).await.error_code() == -32602);
}

#[tokio::test]
async fn a_second_standalone_stream_takes_over_and_the_end_of_the_session_ends_it() {
    let gate = TestGateway::start(config()).await;
    let (caller, mut first) = listening(&gate, "/mcp").await;
    let mut second = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    assert_eq!(first.next().await, None);
    assert!(caller.delete("/mcp").await.status.is_success());
    assert_eq!(second.next().await, None);
}

#[tokio::test]
async fn a_lost_response_is_taken_up_again_after_the_event_that_was_read_last() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    let beginning = stream.first_id().await;
    let log = stream.next().await.unwrap();
    assert_eq!(log.message()["method"], "notifications/message");
    drop(stream);
    let again = |id: &str| caller.clone().with("accept", "text/event-stream").with("last-event-id", id);
    let mut stream = again(&log.id).open_stream("/mcp").await;
    assert_eq!(stream.message().await["method"], "notifications/progress");
    drop(stream);
    fake.release();
    let mut stream = again(&beginning).open_stream("/mcp").await;
    let methods = [stream.message().await, stream.message().await].map(|message| message["method"].clone());
    assert_eq!(methods, ["notifications/message", "notifications/progress"]);
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done", "nothing was run twice");
    assert_eq!(stream.next().await, None);
    assert_eq!(fake.seen_of("tools/call").len(), 1);
    assert!(fake.seen_of("notifications/cancelled").is_empty(), "hanging up is not cancelling");
}

#[tokio::test]
async fn a_stream_begins_with_an_event_to_come_back_to_where_the_revision_has_it() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    let gate = one_server(&fake).await;
    for (version, has_ids, begins_with_one) in [
        ("2024-11-05", false, false),
        ("2025-03-26", true, false),
        ("2025-06-18", true, false),
        ("2025-11-25", true, true),
    ] {
        let answer = gate.admin().rpc("initialize", crate::support::initialize(version)).await;
        let caller = gate.admin().with("mcp-session-id", answer.http.header("mcp-session-id"));
        let mut stream = caller.call_stream(1, "files-work").await;
        let first = stream.next().await.unwrap();
        assert_eq!(!first.id.is_empty(), has_ids, "{version}");
        assert_eq!(stream.has_begun_without_data(), begins_with_one, "{version}");
    }
}

#[tokio::test]
async fn an_event_id_that_is_forged_or_anothers_is_refused_and_no_server_hears_of_it() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin().initialized_at("/mcp").await.with("accept", "application/json, text/event-stream");
    let mut stream = caller.call_stream(5, "files-work").await;
    let id = stream.first_id().await;
    let mut flipped = id.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let session = caller.header("mcp-session-id").to_owned();
    let before = fake.seen().len();
    for wrong in [flipped.as_str(), &id[1..], "1", "", &session] {
        let reply = caller.clone().with("last-event-id", wrong).get("/mcp").await;
        assert_eq!(reply.status, 400, "{wrong:?}: {reply:?}");
    }
    let other = gate.admin().initialized_at("/mcp").await.with("accept", "text/event-stream");
    assert_eq!(other.with("last-event-id", &id).get("/mcp").await.status, 400);
    assert_eq!(fake.seen().len(), before, "{:#?}", fake.seen());
}

#[tokio::test]
async fn a_standalone_stream_that_was_lost_goes_on_with_what_came_meanwhile() {
    let fake = FakeMcp::start(tools(&["read"])).await;
    let gate = one_server(&fake).await;
    let (caller, mut stream) = listening(&gate, "/mcp").await;
    let id = stream.first_id().await;
    drop(stream);
    gate.reload(&config());
    let again = caller.clone().with("accept", "text/event-stream").with("last-event-id", &id);
    let mut stream = again.open_stream("/mcp").await;
    assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
    let read = stream.last_id().to_owned();
    drop(stream);
    let mut stream = again.with("last-event-id", &read).open_stream("/mcp").await;
    assert_eq!(stream.message().await["method"], "notifications/prompts/list_changed");
}

#[tokio::test]
async fn an_ended_stream_is_kept_for_a_while_only() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", telling())).await;
    fake.release();
    let gate = TestGateway::start_with(config().server("files", fake.entry()), |settings| {
        settings.clients.replay_for = Duration::ZERO;
        settings.clients.tend_every = Duration::from_millis(5);
    })
    .await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    let id = stream.first_id().await;
    while stream.next().await.is_some() {}
    let again = caller.with("accept", "text/event-stream").with("last-event-id", &id);
    soon("the stream being forgotten", async {
        loop {
            let reply = again.get("/mcp").await;
            if reply.status == 400 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_leaves_answers_unread_is_given_no_more_work() {
    let fake = FakeMcp::start(tools(&["work"]).on("tools/call", Scripted::Held("{}".to_owned()))).await;
    let gate = one_server(&fake).await;
    let caller = gate.admin();
    let mut stream = caller.open_stream("/sse").await;
    let endpoint = stream.next().await.unwrap().data;
    let call = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "files-work"}});
    for id in 0..64 {
        caller.tell(&endpoint, &call(id)).await;
    }
    let full = caller.post(&endpoint, call(64).to_string()).await;
    assert_eq!((full.status.as_u16(), &full.json()["detail"]["error"]), (429, &json!("stream_full")));
    caller.tell(&endpoint, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    fake.release();
    for _ in 0..64 {
        assert!(stream.message().await.get("result").is_some());
    }
    caller.tell(&endpoint, &call(65)).await;
    assert_eq!(stream.message().await["id"], 65);
}

#[tokio::test]
async fn more_streams_than_may_be_open_are_refused() {
    let gate = TestGateway::start_with(config(), |settings| settings.clients.streams = 2).await;
    let (caller, stream) = listening(&gate, "/mcp").await;
    let sse = gate.admin().open_stream("/sse").await;
    let caller = caller.with("accept", "text/event-stream");
    for path in ["/mcp", "/sse"] {
        let refused = caller.get(path).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "5"), "{refused:?}");
    }
    drop((stream, sse));
    soon("a place", async { while caller.get_status("/sse").await == 503 {} }).await;
}

#[tokio::test]
async fn more_connections_than_may_be_open_are_refused() {
    let gate = TestGateway::start_with(config(), |settings| settings.clients.connections = 1).await;
    let first = gate.anonymous();
    assert_eq!(first.get("/healthz").await.status, 200);
    let refused = gate.anonymous().get("/healthz").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "5"), "{refused:?}");
    assert_eq!(refused.json()["detail"]["error"], "too_many_connections");
    assert_eq!(first.get("/healthz").await.status, 200);
}
