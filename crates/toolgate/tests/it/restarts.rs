//! A gateway that is restarted while clients are in the middle of something: the next process, or another replica with
//! the same key, goes on with it. Here two gateways stand before one server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Caller, EventStream, FakeMcp, Resumable, Scripted, Talk, TestGateway, config, everything, script, soon,
};

const PROGRESS: &str = "notifications/progress";

async fn gate(server: &Resumable) -> TestGateway {
    TestGateway::start(config().server("files", server.entry())).await
}

/// One that gives calls no time to end when it is stopped.
async fn in_haste(server: &Resumable) -> TestGateway {
    let config = config().server("files", server.entry());
    TestGateway::start_with(config, |settings| settings.general.shutdown_grace = Duration::ZERO).await
}

/// The same client at another gateway, which comes back to the event `id`.
async fn back(gate: &TestGateway, caller: &Caller, id: &str) -> EventStream {
    at(gate, caller).with("accept", "text/event-stream").with("last-event-id", id).open_stream("/mcp").await
}

fn at(gate: &TestGateway, caller: &Caller) -> Caller {
    let version = caller.header("mcp-protocol-version");
    gate.admin().with("mcp-session-id", caller.header("mcp-session-id")).with("mcp-protocol-version", version)
}

fn progress(number: u32) -> Value {
    json!({"progressToken": "TOKEN", "progress": number})
}

/// The numbers of two messages of progress, each of which must have the client's own token.
fn told(message: &Value, token: &str) -> u64 {
    assert_eq!((&message["method"], &message["params"]["progressToken"]), (&json!(PROGRESS), &json!(token)));
    message["params"]["progress"].as_u64().unwrap()
}

#[tokio::test]
async fn a_call_goes_on_where_it_was_and_its_tool_runs_once() {
    let server = Resumable::start().await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    server.tell_of(0, PROGRESS, progress(1));
    assert_eq!(told(&stream.message().await, "token-5"), 1);
    let read = stream.last_id().to_owned();
    server.tell_of(0, PROGRESS, progress(2));
    drop(stream);
    let next = gate(&server).await;
    let mut stream = back(&next, &caller, &read).await;
    assert_eq!(told(&stream.message().await, "token-5"), 2);
    server.tell_of(0, PROGRESS, progress(3));
    assert_eq!(told(&stream.message().await, "token-5"), 3);
    drop(stream);
    // The process that goes on keeps what it said like any other.
    let mut stream = back(&next, &caller, &read).await;
    assert_eq!([told(&stream.message().await, "token-5"), told(&stream.message().await, "token-5")], [2, 3]);
    server.answer(0, "done");
    let answer = stream.message().await;
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(5), &json!("done")));
    assert_eq!(stream.next().await, None);
    assert_eq!(server.count_of("tools/call"), 1);
    // The session at the server is that of the former process, and goes on to be the client's.
    let opened = server.count_of("initialize");
    let mut stream = at(&next, &caller).call_stream(6, "files-work").await;
    server.came("tools/call", 2).await;
    server.answer(1, "again");
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "again");
    let sessions: Vec<_> = server
        .seen_of("tools/call")
        .into_iter()
        .map(|(headers, call)| (headers["mcp-session-id"].clone(), call["id"].clone()))
        .collect();
    assert_eq!(sessions[0].0, sessions[1].0);
    assert_ne!(sessions[0].1, sessions[1].1, "an id is used once in a session");
    assert_eq!(server.count_of("initialize"), opened);
}

#[tokio::test]
async fn a_client_that_has_read_nothing_yet_comes_back_by_the_first_event() {
    let server = Resumable::start().await;
    let former = in_haste(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    let beginning = stream.first_id().await;
    assert!(stream.has_begun_without_data());
    drop(stream);
    former.stop().await;
    assert_eq!(server.count_of("DELETE"), 1, "only the session on which lists were fetched is over");
    let next = gate(&server).await;
    let mut stream = back(&next, &caller, &beginning).await;
    server.answer(0, "done");
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
    assert_eq!(server.count_of("tools/call"), 1);
    assert_eq!(server.count_of("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_call_that_goes_on_can_be_cancelled() {
    let server = Resumable::start().await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let beginning = caller.call_stream(5, "files-work").await.first_id().await;
    let next = gate(&server).await;
    let mut stream = back(&next, &caller, &beginning).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    at(&next, &caller).tell("/mcp", &cancel).await;
    assert_eq!(stream.next().await, None);
    server.came("notifications/cancelled", 1).await;
    let call = server.seen_of("tools/call").remove(0).1;
    assert_eq!(server.seen_of("notifications/cancelled")[0].1["params"]["requestId"], call["id"]);
}

#[tokio::test]
async fn a_question_that_was_not_answered_is_asked_again() {
    let server = Resumable::start().await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_with("/mcp", json!({"roots": {}})).await;
    let mut stream = caller.call_stream(5, "files-work").await;
    server.tell_of(0, PROGRESS, progress(1));
    stream.message().await;
    server.ask(0, 77, "roots/list", &json!({}));
    let first = stream.message().await;
    server.tell_of(0, PROGRESS, progress(2));
    stream.message().await;
    let read = stream.last_id().to_owned();
    drop(stream);
    let next = gate(&server).await;
    let mut stream = back(&next, &caller, &read).await;
    let again = stream.message().await;
    assert_eq!(again["method"], "roots/list");
    assert_ne!(again["id"], first["id"], "an answer to the former process's question fits no other");
    assert_eq!(told(&stream.message().await, "token-5"), 2);
    let answered = json!({"jsonrpc": "2.0", "id": again["id"], "result": {"roots": []}});
    at(&next, &caller).tell("/mcp", &answered).await;
    server.came("response", 1).await;
    assert_eq!(server.seen_of("response")[0].1, json!({"jsonrpc": "2.0", "id": 77, "result": {"roots": []}}));
    server.answer(0, "done");
    assert_eq!(stream.message().await["id"], 5);
}

#[tokio::test]
async fn what_a_server_says_by_itself_goes_on_too() {
    let server = Resumable::start().await;
    let former = in_haste(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let mut standalone = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    let mut call = caller.call_stream(5, "files-work").await;
    server.came("tools/call", 1).await;
    server.answer(0, "done");
    assert_eq!(call.message().await["id"], 5);
    server.listened_to().await;
    let log = |number: u32| json!({"level": "info", "data": number});
    server.tell("notifications/message", &log(1));
    assert_eq!(standalone.message().await["params"]["data"], 1);
    let read = standalone.last_id().to_owned();
    let running = caller.call_stream(6, "files-work").await.first_id().await;
    former.stop().await;
    server.tell("notifications/message", &log(2));
    let next = gate(&server).await;
    // A call that goes on first has the session adopted, and leaves this stream where it was.
    let mut rest = back(&next, &caller, &running).await;
    let mut standalone = back(&next, &caller, &read).await;
    let mut told = Vec::new();
    while !told.contains(&json!("notifications/message")) {
        let message = standalone.message().await;
        assert!(message["params"]["data"].is_null() || message["params"]["data"] == 2);
        told.push(message["method"].clone());
    }
    for list in ["tools", "prompts", "resources"] {
        if !told.contains(&json!(format!("notifications/{list}/list_changed"))) {
            told.push(standalone.message().await["method"].clone());
        }
    }
    assert_eq!(told.len(), 4, "what became of lists meanwhile nobody knows: {told:?}");
    server.tell("notifications/message", &log(3));
    assert_eq!(standalone.message().await["params"]["data"], 3);
    server.answer(1, "done");
    assert_eq!(rest.message().await["id"], 6);
    assert_eq!(server.seen_of("GET").iter().filter(|(headers, _)| headers.contains_key("last-event-id")).count(), 2);
}

#[tokio::test]
async fn a_call_whose_stream_the_server_has_forgotten_is_answered_with_an_error() {
    let server = Resumable::start().await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let beginning = caller.call_stream(5, "files-work").await.first_id().await;
    server.forget();
    let next = gate(&server).await;
    for _ in 0..2 {
        let mut stream = back(&next, &caller, &beginning).await;
        let answer = stream.message().await;
        assert_eq!((&answer["id"], &answer["error"]["data"]["may_have_run"]), (&json!(5), &json!(true)), "{answer}");
        assert_eq!(stream.next().await, None);
    }
    // The next call opens a session of its own.
    let mut stream = at(&next, &caller).call_stream(6, "files-work").await;
    server.came("tools/call", 2).await;
    server.answer(1, "done");
    assert_eq!(stream.message().await["id"], 6);
}

#[tokio::test]
async fn a_place_is_of_one_caller_in_one_session_and_of_a_server_in_its_scope() {
    let server = Resumable::start().await;
    let other = FakeMcp::start(script()).await;
    let both = || config().server("files", server.entry()).server("maps", other.entry());
    let former = TestGateway::start(both()).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let beginning = caller.call_stream(5, "files-work").await.first_id().await;
    let next = TestGateway::start(both()).await;
    let gets = server.count_of("GET");
    let stranger = at(&next, &former.admin().initialized_at("/mcp").await);
    let mine = at(&next, &caller);
    let refused = [
        (stranger, "/mcp", beginning.clone()),
        (mine.clone(), "/mcp/maps", beginning.clone()),
        (mine.clone(), "/mcp", beginning[1..].to_owned()),
    ];
    for (caller, path, id) in refused {
        let caller = caller.with("accept", "text/event-stream").with("last-event-id", &id);
        assert_eq!(caller.get(path).await.status, 400, "{path}");
    }
    assert_eq!(server.count_of("GET"), gets, "the server heard nothing of it");
    let elsewhere = TestGateway::start(config().server("files", other.entry())).await;
    let moved = at(&elsewhere, &caller).with("accept", "text/event-stream").with("last-event-id", &beginning);
    assert_eq!(moved.get("/mcp").await.status, 400, "the name leads to another server now");
}

#[tokio::test]
async fn a_call_at_a_server_without_ids_cannot_be_gone_on_with_and_its_ids_are_short() {
    let telling =
        Scripted::Talk(vec![Talk::tells("notifications/message", r#"{"level":"info","data":1}"#), Talk::Held]);
    let server = FakeMcp::start(script().tools(&["work"]).on("tools/call", telling)).await;
    let former = TestGateway::start(config().server("files", server.entry())).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    stream.message().await;
    let read = stream.last_id().to_owned();
    assert!(read.len() < 100, "{read}");
    let next = TestGateway::start(config().server("files", server.entry())).await;
    let again = at(&next, &caller).with("accept", "text/event-stream").with("last-event-id", &read);
    assert_eq!(again.get("/mcp").await.status, 400);
}

#[tokio::test]
async fn a_servers_long_ids_are_left_out() {
    let server = Resumable::start_with_ids_of(4000).await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let mut stream = caller.call_stream(5, "files-work").await;
    server.tell_of(0, PROGRESS, progress(1));
    stream.message().await;
    assert!(stream.last_id().len() < 100, "{}", stream.last_id());
    server.answer(0, "done");
    assert_eq!(stream.message().await["id"], 5);
}

#[tokio::test]
async fn two_calls_go_on_in_one_session_and_a_new_one_in_another_does_not_matter() {
    let server = Resumable::start().await;
    let former = gate(&server).await;
    let caller = former.admin().initialized_at("/mcp").await;
    let first = caller.call_stream(1, "files-work").await.first_id().await;
    let second = caller.call_stream(2, "files-work").await.first_id().await;
    let next = gate(&server).await;
    let mut new = at(&next, &caller).call_stream(3, "files-work").await;
    server.came("tools/call", 3).await;
    let (mut one, mut two) = (back(&next, &caller, &first).await, back(&next, &caller, &second).await);
    for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
        server.answer(number, text);
    }
    for (stream, id, text) in [(&mut one, 1, "one"), (&mut two, 2, "two"), (&mut new, 3, "three")] {
        let answer = stream.message().await;
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(id), &json!(text)));
    }
    soon("the end of all work", next.stop()).await;
}

/// Its store of events is the one that the SDK's examples have: it gives the stream anew what was said on it so far, and
/// what is said later to the one after that.
#[tokio::test]
async fn server_everything_goes_on_with_a_call() {
    let server = everything::streamable().await;
    let gate = || TestGateway::start(config().server("everything", server.entry.clone()));
    let former = gate().await;
    let caller = former.admin().initialized_at("/mcp").await;
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {
        "name": "everything-trigger-long-running-operation", "arguments": {"duration": 2, "steps": 8},
        "_meta": {"progressToken": "token-5"}}});
    let mut stream = caller.open_post("/mcp", call.to_string()).await;
    assert_eq!(told(&stream.message().await, "token-5"), 1);
    let read = stream.last_id().to_owned();
    drop(stream);
    drop(former);
    let next = gate().await;
    let mut stream = back(&next, &caller, &read).await;
    for number in 2..=8 {
        assert_eq!(told(&stream.message().await, "token-5"), number);
    }
    let answer = stream.message().await;
    let text = "Long running operation completed. Duration: 2 seconds, Steps: 8.";
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(5), &json!(text)));
}
