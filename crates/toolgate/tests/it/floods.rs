//! Servers that send without end or reason: they are dropped at a bound, the caller hears of it, and the gate's memory
//! does not grow with what they send.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Config, Entry, FakeMcp, MASTER_KEY, Process, Scripted, TestGateway, config, script};

const MIB: usize = 1024 * 1024;

/// What one message of a server may have.
const MESSAGE_BYTES: usize = 64 * MIB;

/// What a gate may hold of one message: a buffer that doubles as it grows, and what stood in it before.
const AT_MOST_BYTES: usize = 4 * MESSAGE_BYTES;

/// Frames that no server has reason to send.
const JUNK_FRAMES: usize = 50_000;

/// A gate as a process of its own, so that its memory can be seen.
async fn process(config: Config, folder: &Path) -> Process {
    let file = folder.join("config.yaml");
    std::fs::write(&file, config.general("mcp_tool_prefix: when_ambiguous").yaml()).unwrap();
    Process::serve(&file, folder).await
}

/// Calls `act`, which ends with an error before it has filled the memory.
async fn ends_with_an_error(entry: Entry) {
    let folder = tempfile::tempdir().unwrap();
    let gate = process(config().server("flood", entry), folder.path()).await;
    let caller = gate.caller(MASTER_KEY);
    assert_eq!(caller.tool_names().await, ["act"]);
    let before = gate.peak_bytes();
    let answer = caller.call("act", json!({})).await;
    assert!(answer.error_message().contains("flood"), "{}", answer.message());
    let grown = gate.peak_bytes() - before;
    assert!(grown < AT_MOST_BYTES, "it grew by {} MiB", grown / MIB);
}

#[tokio::test]
async fn a_gibibyte_without_a_line_end_over_http_is_broken_off() {
    for content_type in ["application/json", "text/event-stream"] {
        let fake = FakeMcp::start(script().tools(&["act"]).on("tools/call", Scripted::Endless(content_type))).await;
        ends_with_an_error(fake.entry()).await;
        assert!(fake.endless_bytes() < 2 * MESSAGE_BYTES as u64, "{} bytes were taken", fake.endless_bytes());
    }
}

/// A server on stdio that does `$1` when it is called.
fn child(deed: &str) -> Entry {
    const SERVER: &str = r#"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
    case "$line" in
        *'"initialize"'*) answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *'"tools/list"'*) answer '{"tools":[{"name":"act","inputSchema":{"type":"object"}}]}' ;;
        *'"tools/call"'*) DEED ;;
        *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
    esac
done"#;
    Entry::shell(&SERVER.replace("DEED", deed))
}

#[tokio::test]
async fn a_gibibyte_without_a_line_end_from_a_child_is_broken_off() {
    ends_with_an_error(child("head -c 1073741824 /dev/zero | tr '\\0' x")).await;
}

#[tokio::test]
async fn fifty_thousand_lines_of_junk_from_a_child_end_with_an_error() {
    let junk = format!("yes 'Traceback (most recent call last)' | head -n {JUNK_FRAMES}; answer '{{}}'");
    ends_with_an_error(child(&junk)).await;
}

#[tokio::test]
async fn some_lines_of_junk_from_a_child_do_not_cost_its_answer() {
    let junk = "yes 'Traceback (most recent call last)' | head -n 500; answer '{\"content\":[]}'";
    let gate = TestGateway::start(config().server("sh", child(junk))).await;
    let answer = gate.admin().call("sh-act", json!({})).await;
    assert_eq!(answer.result()["content"], json!([]));
    gate.stop().await;
}

#[tokio::test]
async fn fifty_thousand_events_of_junk_end_with_an_error_and_harm_nobody() {
    let frames = [
        "data: no message\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":\"of nobody\",\"result\":{}}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/of/nobody\"}\n\n",
        "id: 7\nretry: 9\ndata:\n\n",
        ":\n\n",
    ];
    let good = FakeMcp::start(script().tools(&["read"])).await;
    for frame in frames {
        let stream = Scripted::Http(200, "text/event-stream", frame.repeat(JUNK_FRAMES));
        let junk = FakeMcp::start(script().tools(&["act"]).on("tools/call", stream)).await;
        let entry = junk.entry().with("timeout: 5");
        let gate = TestGateway::start(config().server("junk", entry).server("good", good.entry())).await;
        let began = Instant::now();
        let answer = gate.admin().call("junk-act", json!({})).await;
        assert!(answer.error_message().contains("junk"), "{frame:?}: {}", answer.message());
        assert!(began.elapsed() < Duration::from_secs(20), "{frame:?}: {:?}", began.elapsed());
        gate.admin().call("good-read", json!({})).await.result();
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_stream_of_messages_that_never_ends_ends_at_the_calls_deadline() {
    let message = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n";
    let endless = Scripted::Repeated("text/event-stream", message.to_owned());
    let fake = FakeMcp::start(script().tools(&["act"]).on("tools/call", endless)).await;
    ends_with_an_error(fake.entry().with("timeout: 2")).await;
}
