//! Answers that are too large to hold: they pass as they come, and break where they break.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{
    Entry, FakeMcp, MASTER_KEY, Modern, Process, Script, Scripted, TestGateway, config, script, soon,
};

const MIB: usize = 1024 * 1024;

/// A tool's result of about `size` bytes, with all that could confuse whoever looks for its end.
fn result(size: usize) -> String {
    let text = r#"}],{[\"\\\u00e4 id:7 "#.repeat(size / 21);
    format!(r#"{{"content":[{{"type":"text","text":"{text}"}}],"id":7,"x":1e400}}"#)
}

async fn gate_of(script: Script, with: impl Fn(Entry) -> Entry) -> (TestGateway, FakeMcp) {
    let fake = FakeMcp::start(script.tools(&["read"])).await;
    (TestGateway::start(config().server("big", with(fake.entry()))).await, fake)
}

fn halves(breaks: bool) -> Script {
    script().on("tools/call", Scripted::Halves { result: result(2 * MIB), breaks })
}

#[tokio::test]
async fn twenty_mebibytes_pass_with_nothing_changed_but_the_id() {
    let result = result(20 * MIB);
    let (gate, _fake) = gate_of(script().on("tools/call", Scripted::Result(result.clone())), |entry| entry).await;
    let expected = format!(r#"{{"jsonrpc":"2.0","id":"a\u0062","result":{result}}}"#);
    let response = gate.admin().begin_call("big-read", r#""a\u0062""#).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = soon("the answer", response.into_body().collect()).await.unwrap().to_bytes();
    assert!(body == expected, "{} bytes came of {}", body.len(), expected.len());

    let streams = gate.admin().with("accept", "text/event-stream");
    let answer = streams.call("big-read", json!({})).await;
    assert!(answer.raw_result() == result, "as an event too");

    let body = json!({"server_id": "big", "name": "read", "arguments": {}}).to_string();
    let rest = gate.admin().post("/mcp-rest/tools/call", body).await;
    assert!(rest.text() == result, "over REST too: {} bytes", rest.body.len());
    gate.stop().await;
}

#[tokio::test]
async fn a_large_resource_passes_as_well() {
    let script = script().resources(&["file:///big"]).on("resources/read", Scripted::Result(result(2 * MIB)));
    let (gate, _fake) = gate_of(script, |entry| entry).await;
    let answer = gate.admin().rpc("resources/read", json!({"uri": "file:///big"})).await;
    assert!(answer.raw_result() == result(2 * MIB));
}

#[tokio::test]
async fn an_answer_begins_before_the_upstream_has_ended_and_keeps_its_turn_until_then() {
    let (gate, fake) = gate_of(halves(false), |entry| entry.with("max_concurrent_requests: 1")).await;
    assert_eq!(gate.admin().tool_names().await, ["big-read"]);
    let response = gate.admin().begin_call("big-read", "5").await;
    let admin = gate.admin();
    let mut second = tokio::spawn(async move { admin.call("big-read", json!({})).await });
    // Nothing tells that it waits for its turn; this is long enough for one that does not wait.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_err());
    fake.only("tools/call");
    fake.release();
    let body = soon("the rest", response.into_body().collect()).await.unwrap().to_bytes();
    assert!(body == format!(r#"{{"jsonrpc":"2.0","id":5,"result":{}}}"#, result(2 * MIB)));
    assert!(soon("the second call", second).await.unwrap().raw_result() == result(2 * MIB));
}

#[tokio::test]
async fn a_client_that_goes_away_gives_the_turn_back_and_the_upstream_is_told() {
    let (gate, fake) = gate_of(halves(false), |entry| entry.with("max_concurrent_requests: 1")).await;
    drop(gate.admin().begin_call("big-read", "5").await);
    fake.came("notifications/cancelled", 1).await;
    fake.release();
    assert!(gate.admin().call("big-read", json!({})).await.raw_result() == result(2 * MIB));
    assert!(gate.admin().get("/metrics").await.text().contains(r#"error_type="cancelled""#));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_the_answer() {
    let (gate, fake) = gate_of(halves(true), |entry| entry).await;
    let response = gate.admin().begin_call("big-read", "5").await;
    assert_eq!(response.status(), 200);
    fake.release();
    let broken = soon("the end", response.into_body().collect()).await;
    assert!(broken.is_err(), "half an answer must not look like a whole one");
    let metrics = gate.admin().get("/metrics").await;
    let counted = metrics.text().lines().find(|line| {
        line.starts_with("mcp_client_operation_duration_seconds_count")
            && line.contains("tools/call")
            && line.contains("unreachable")
    });
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{}", metrics.text());

    // Where nothing has been said yet, it can be said what happened.
    let answer = gate.admin().with("accept", "text/event-stream").call("big-read", json!({})).await;
    assert_eq!(answer.error_code(), -32010);
    assert!(answer.error_message().contains("big"), "{}", answer.error_message());
}

/// A result of a modern server, of about 2 MiB, with these members before and behind its content.
fn modern_result(before: &str, behind: &str) -> String {
    let text = "text ".repeat(2 * MIB / 5);
    format!(r#"{{{before}"content":[{{"type":"text","text":"{text}"}}]{behind}}}"#)
}

#[tokio::test]
async fn for_a_modern_client_a_result_is_completed_as_it_passes() {
    let own = result(2 * MIB);
    let (gate, fake) = gate_of(script().on("tools/call", Scripted::Result(own.clone())), |entry| entry).await;
    let answer = Modern::new(&gate.admin()).call("big-read", json!({})).await;
    assert_eq!(answer.http.header("content-length"), "", "it came while it was read");
    let ours = answer.raw_result().strip_prefix(own.strip_suffix('}').unwrap()).expect("the server's own comes first");
    let ours: Value = serde_json::from_str(&format!("{{{}", ours.strip_prefix(',').unwrap())).unwrap();
    assert_eq!(ours["resultType"], "complete");
    assert!(ours["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string(), "{ours}");

    let own = modern_result(r#""_meta":{"a":1},"cacheScope":"public","#, r#","ttlMs":5000"#);
    fake.turn("resources/read", Scripted::Result(own));
    let answer = Modern::new(&gate.admin()).rpc("resources/read", json!({"uri": "file:///big"})).await;
    let result = answer.result();
    let said = ["cacheScope", "ttlMs", "resultType"].map(|key| result[key].clone());
    assert_eq!(said, [json!("private"), json!(5000), json!("complete")]);
    assert_eq!(result["_meta"]["a"], 1);
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"].is_object());
}

#[tokio::test]
async fn for_an_older_client_a_modern_servers_words_are_left_out_as_they_pass() {
    let before = r#""resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"a":1},"#;
    for (before, behind) in [(before, r#","ttlMs":1"#), ("", r#","_meta":{"a":1},"resultType":"complete""#)] {
        let script = script().on("tools/call", Scripted::Result(modern_result(before, behind))).modern();
        let (gate, _fake) = gate_of(script, |entry| entry).await;
        let answer = gate.admin().call("big-read", json!({})).await;
        let mut result = answer.result().clone();
        assert!(result["content"][0]["text"].as_str().unwrap().len() > MIB);
        result.as_object_mut().unwrap().remove("content");
        assert_eq!(result, json!({"_meta": {"a": 1}}));
    }
}

#[tokio::test]
async fn a_question_is_found_however_large_its_result_and_one_that_comes_too_late_breaks_it_off() {
    let asks = r#""inputRequests":{"a":{"method":"elicitation/create","params":{"message":"?"}}},"#;
    let early = modern_result(&format!(r#"{asks}"resultType":"input_required","#), "");
    let late = modern_result("", &format!(r#",{}"resultType":"input_required""#, asks));
    let (gate, fake) = gate_of(script().on("tools/call", Scripted::Result(early)).modern(), |entry| entry).await;
    let able = Modern::new(&gate.admin()).capable(json!({"elicitation": {}}));
    assert!(able.call("big-read", json!({})).await.result()["inputRequests"]["a"].is_object());
    let unable = Modern::new(&gate.admin()).call("big-read", json!({})).await;
    assert!(unable.error_message().contains("not declared"), "{}", unable.error_message());
    let older = gate.admin().call("big-read", json!({})).await;
    assert!(older.error_message().contains("not declared"), "{}", older.error_message());

    fake.turn("tools/call", Scripted::Result(late));
    let (caller, body) = able.request(json!(1), "tools/call", json!({"name": "big-read", "arguments": {}}));
    for response in [caller.begin(body.to_string()).await, gate.admin().begin_call("big-read", "1").await] {
        assert_eq!(response.status(), 200);
        assert!(soon("the end", response.into_body().collect()).await.is_err(), "it is no whole answer");
    }
}

#[tokio::test]
async fn memory_does_not_grow_with_an_answer() {
    let script = script().tools(&["read"]).on("tools/call", Scripted::Result(result(40 * MIB)));
    let fake = FakeMcp::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config().master_key(MASTER_KEY).server("big", fake.entry()).yaml()).unwrap();
    let gate = Process::serve(&file, folder.path()).await;
    let caller = gate.caller(MASTER_KEY);
    assert_eq!(caller.tool_names().await, ["big-read"]);
    let before = gate.peak_bytes();
    let modern = Modern::new(&caller).request(json!(1), "tools/call", json!({"name": "big-read", "arguments": {}}));
    let legacy = async || caller.begin_call("big-read", "1").await;
    for is_modern in [false, true, false, true] {
        let response = if is_modern { modern.0.begin(modern.1.to_string()).await } else { legacy().await };
        let mut body = response.into_body();
        let mut came = 0;
        while let Some(frame) = soon("a piece", body.frame()).await {
            came += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        assert!(came > 39 * MIB, "{came} bytes came");
    }
    let grown = gate.peak_bytes() - before;
    assert!(grown < 12 * MIB, "it grew by {grown} bytes");
}
