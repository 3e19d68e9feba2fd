//! Servers that lie, hang or babble: the caller gets an error of the right kind in time, the other servers are not
//! disturbed, and the gate's memory stays bounded.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Entry, FakeMcp, Script, Scripted, TestGateway, chatty, config, script};

/// What the gate waits for one misbehaving server here, and what a caller may have to wait for it.
const DEADLINE: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(12);

/// Upstream messages are capped at this in these tests.
const MESSAGE_BYTES: u64 = 1024 * 1024;

/// A gate with the server `bad`, and `good` beside it.
async fn gate_with(bad: Entry) -> (TestGateway, FakeMcp) {
    let good = FakeMcp::start(script().tools(&["read"])).await;
    let config = config()
        .server("bad", bad.with(&format!("timeout: {}", DEADLINE.as_secs_f32())))
        .server("good", good.entry())
        .env("LITELLM_MCP_TOOL_LISTING_TIMEOUT", &DEADLINE.as_secs().to_string())
        .env("LITELLM_MCP_MAX_SSE_EVENT_SIZE_BYTES", &MESSAGE_BYTES.to_string());
    (TestGateway::start(config).await, good)
}

/// `bad` cannot be listed: the list comes in time, with the tools of `good` and a word about `bad`.
async fn left_out_of_the_list(bad: Entry) -> String {
    let (gate, _good) = gate_with(bad).await;
    let began = Instant::now();
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
    let names: Vec<_> = answer.result()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["good-read"]);
    let outcomes = &answer.result()["_meta"]["litellm.ai/server_outcomes"];
    assert_eq!(outcomes["good"], json!({"status": "ok", "tool_count": 1}));
    let status = outcomes["bad"]["status"].as_str().unwrap_or_else(|| panic!("no word about `bad` in {outcomes}"));
    assert_ne!(status, "ok");
    assert_eq!(gate.admin().call("good-read", json!({})).await.result().get("isError"), None);
    gate.stop().await;
    status.to_owned()
}

/// `bad` lists the tool `act`, but a call fails: in time, with an error that names the server, and `good` answers.
async fn fails_the_call(script: Script) -> (i64, FakeMcp) {
    let bad = FakeMcp::start(script.tools(&["act"])).await;
    let (gate, _good) = gate_with(bad.entry()).await;
    assert_eq!(gate.admin().tool_names().await, ["bad-act", "good-read"]);
    let began = Instant::now();
    let answer = gate.admin().call("bad-act", json!({})).await;
    assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
    assert!(answer.error_message().contains("bad"), "the error names the server: {}", answer.error_message());
    assert_eq!(gate.admin().call("good-read", json!({})).await.result().get("isError"), None);
    gate.stop().await;
    (answer.error_code(), bad)
}

const UNAVAILABLE: i64 = -32010;
const TIMED_OUT: i64 = -32001;

#[tokio::test]
async fn a_server_that_is_not_there_is_left_out() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", free.local_addr().unwrap());
    drop(free);
    assert_eq!(left_out_of_the_list(Entry::http(&url)).await, "unreachable");
}

#[tokio::test]
async fn a_server_that_greets_with_html_is_left_out() {
    let bad = FakeMcp::start(script().on("initialize", Scripted::html())).await;
    left_out_of_the_list(bad.entry()).await;
}

#[tokio::test]
async fn a_server_that_lists_in_garbage_is_left_out() {
    let garbage = Scripted::Http(200, "application/json", "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{".to_owned());
    let bad = FakeMcp::start(script().on("tools/list", garbage)).await;
    left_out_of_the_list(bad.entry()).await;
}

#[tokio::test]
async fn a_server_whose_list_is_no_list_is_left_out() {
    for result in ["[]", "{}", "{\"tools\":7}", "{\"tools\":null}", "null"] {
        let bad = FakeMcp::start(script().on("tools/list", Scripted::Result(result.to_owned()))).await;
        left_out_of_the_list(bad.entry()).await;
    }
}

#[tokio::test]
async fn a_tool_that_is_no_tool_does_not_take_the_others_with_it() {
    let page = r#"{"tools":[{"name":3},7,null,{"inputSchema":{}},{"name":"act","inputSchema":{"type":"object"}}]}"#;
    let odd = FakeMcp::start(script().on("tools/list", Scripted::Result(page.to_owned()))).await;
    let gate = TestGateway::start(config().server("odd", odd.entry())).await;
    assert_eq!(gate.admin().tool_names().await, ["odd-act"]);
}

#[tokio::test]
async fn a_server_that_fails_the_list_is_left_out() {
    let bad = FakeMcp::start(script().on("tools/list", Scripted::Error(-32603, "out of order"))).await;
    assert_eq!(left_out_of_the_list(bad.entry()).await, "upstream_error");
    let bad = FakeMcp::start(script().on("tools/list", Scripted::Http(500, "text/plain", String::new()))).await;
    left_out_of_the_list(bad.entry()).await;
}

#[tokio::test]
async fn a_server_that_wants_a_login_is_left_out_as_such() {
    let bad = FakeMcp::start(script().on("initialize", Scripted::Http(401, "text/plain", "who?".to_owned()))).await;
    assert_eq!(left_out_of_the_list(bad.entry()).await, "auth_required");
    let bad = FakeMcp::start(script().on("initialize", Scripted::Http(403, "text/plain", "no".to_owned()))).await;
    assert_eq!(left_out_of_the_list(bad.entry()).await, "forbidden");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_out_at_its_deadline() {
    let bad = FakeMcp::start(script().on("initialize", Scripted::Silence)).await;
    assert_eq!(left_out_of_the_list(bad.entry()).await, "timeout");
    let bad = FakeMcp::start(script().on("tools/list", Scripted::Silence)).await;
    assert_eq!(left_out_of_the_list(bad.entry()).await, "timeout");
}

#[tokio::test]
async fn a_server_with_endless_pages_is_left_out() {
    let page = r#"{"tools":[],"nextCursor":"more"}"#.to_owned();
    let bad = FakeMcp::start(script().on("tools/list", Scripted::Result(page))).await;
    left_out_of_the_list(bad.entry()).await;
    assert!(bad.seen_of("tools/list").len() <= 1001, "it was asked {} times", bad.seen_of("tools/list").len());
}

#[tokio::test]
async fn when_no_server_can_be_listed_the_list_is_an_error() {
    let bad = FakeMcp::start(script().on("tools/list", Scripted::html())).await;
    let gate = TestGateway::start(config().server("bad", bad.entry())).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    assert!(answer.error_message().contains("bad") || answer.error()["data"].to_string().contains("bad"));
}

#[tokio::test]
async fn a_call_that_is_answered_with_html_fails() {
    fails_the_call(script().on("tools/call", Scripted::html())).await;
}

#[tokio::test]
async fn a_call_that_is_answered_with_garbage_fails() {
    let garbage = Scripted::Http(200, "application/json", "\u{1}\u{2}{{{{".to_owned());
    fails_the_call(script().on("tools/call", garbage)).await;
}

#[tokio::test]
async fn a_call_that_is_answered_with_an_endless_line_fails_before_it_fills_the_memory() {
    for content_type in ["application/json", "text/event-stream"] {
        let (_, bad) = fails_the_call(script().on("tools/call", Scripted::Endless(content_type))).await;
        let taken = bad.endless_bytes();
        assert!(taken > MESSAGE_BYTES / 2, "the answer was read: {taken} bytes");
        // Beside what the gate reads stands what the sockets between hold.
        assert!(taken < 32 * MESSAGE_BYTES, "{content_type}: {taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_times_out() {
    let (code, bad) = fails_the_call(script().on("tools/call", Scripted::Silence)).await;
    assert_eq!(code, TIMED_OUT);
    bad.only("tools/call");
}

#[tokio::test]
async fn a_call_whose_stream_ends_without_an_answer_fails_and_is_not_repeated() {
    let nothing = Scripted::Http(200, "text/event-stream", ": good bye\n\n".to_owned());
    let (code, bad) = fails_the_call(script().on("tools/call", nothing)).await;
    assert_eq!(code, UNAVAILABLE);
    bad.only("tools/call");
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_taken_for_this_one() {
    let foreign = r#"{"jsonrpc":"2.0","id":"somebody-else","result":{"content":[]}}"#.to_owned();
    fails_the_call(script().on("tools/call", Scripted::Http(200, "application/json", foreign))).await;
}

#[tokio::test]
async fn a_servers_own_error_passes_as_it_is() {
    let bad = FakeMcp::start(script().tools(&["act"]).on("tools/call", Scripted::Error(-32077, "out of paper"))).await;
    let (gate, _good) = gate_with(bad.entry()).await;
    let answer = gate.admin().call("bad-act", json!({})).await;
    assert_eq!(*answer.error(), json!({"code": -32077, "message": "out of paper"}));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_callers_credentials() {
    let elsewhere = FakeMcp::start(script()).await;
    let moved = axum::Router::new().fallback({
        let to = elsewhere.url();
        move || async move { axum::response::Redirect::temporary(&to) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, moved).await });
    left_out_of_the_list(Entry::http(&url).with("auth_type: bearer_token").with("auth_value: secret")).await;
    assert_eq!(elsewhere.seen().len(), 0);
    server.abort();
}

#[tokio::test]
async fn a_child_that_prints_garbage_is_left_out() {
    left_out_of_the_list(Entry::shell("while read line; do echo 'Traceback (most recent call last)'; done")).await;
}

#[tokio::test]
async fn a_child_that_prints_an_endless_line_is_left_out() {
    left_out_of_the_list(Entry::shell("yes | tr -d '\\n'")).await;
}

#[tokio::test]
async fn a_child_that_says_nothing_is_left_out() {
    left_out_of_the_list(Entry::shell("cat > /dev/null")).await;
}

#[tokio::test]
async fn a_child_that_ends_at_once_is_left_out() {
    left_out_of_the_list(Entry::shell("echo 'no licence found' >&2; exit 3")).await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_left_out() {
    left_out_of_the_list(Entry::stdio("no-such-command-anywhere", &[])).await;
}

#[tokio::test]
async fn a_child_that_prints_more_than_messages_still_works() {
    let gate = TestGateway::start(config().server("sh", chatty())).await;
    assert_eq!(gate.admin().tool_names().await, ["sh-who"]);
    gate.stop().await;
}

#[tokio::test]
async fn a_slow_server_does_not_slow_a_call_to_another() {
    let bad = FakeMcp::start(script().tools(&["act"]).on("tools/call", Scripted::Silence)).await;
    let (gate, good) = gate_with(bad.entry()).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["bad-act", "good-read"]);
    let hanging = tokio::spawn({
        let admin = admin.clone();
        async move { admin.call("bad-act", json!({})).await.error_code() }
    });
    bad.came("tools/call", 1).await;
    let answer = admin.call("good-read", json!({})).await;
    assert_eq!(answer.result()["isError"], Value::Null);
    assert!(!hanging.is_finished(), "the other call still waits");
    good.only("tools/call");
    assert_eq!(hanging.await.unwrap(), TIMED_OUT);
}
