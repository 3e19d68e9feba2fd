//! What runs when the gate stops or takes another configuration runs to its end.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{FakeMcp, MASTER_KEY, Scripted, TestGateway, config, script, soon};

fn held() -> Scripted {
    Scripted::Held(json!({"content": [{"type": "text", "text": "done"}]}).to_string())
}

#[tokio::test]
async fn an_answer_on_its_way_reaches_an_event_stream_before_the_gate_stops() {
    let fake = FakeMcp::start(script().tools(&["slow"]).on("tools/call", held())).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let admin = gate.admin();
    let mut stream = admin.open_stream("/sse").await;
    let endpoint = stream.next().await.unwrap().data;
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "files-slow"}});
    assert_eq!(admin.post(&endpoint, call.to_string()).await.status, 202);
    fake.came("tools/call", 1).await;

    // A connection that is kept may be closed by the gate just when it is used.
    let admin = gate.admin().with("connection", "close");
    let stopped = tokio::spawn(gate.stop());
    soon("readiness turning", async { while admin.get("/readyz").await.status != 503 {} }).await;
    assert_eq!(admin.post(&endpoint, call.to_string()).await.status, 503, "nothing new is begun");
    assert_eq!(admin.get("/health-server/mcp").await.status, 503, "only health is still told");
    fake.release();
    let answer: Value = serde_json::from_str(&stream.next().await.expect("the answer comes").data).unwrap();
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(7), &json!("done")));
    assert_eq!(stream.next().await, None, "and then the stream ends");
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_stream_without_a_running_call_ends_when_the_gate_stops() {
    let gate = TestGateway::start(config()).await;
    let session = gate.admin().with("accept", "text/event-stream").initialized_at("/mcp").await;
    let mut standalone = session.open_stream("/mcp").await;
    let mut sse = gate.admin().open_stream("/sse").await;
    sse.next().await.unwrap();
    gate.stop().await;
    assert_eq!(standalone.next().await, None);
    assert_eq!(sse.next().await, None);
}

/// The head of a call, sent with the promise of a body; comes back when the gate has let the caller in.
async fn admitted(gate: &TestGateway, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate.url("").trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-litellm-api-key: {MASTER_KEY}\r\nexpect: 100-continue\r\n\
         connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    soon("leave to send the body", stream.read_exact(&mut told)).await.unwrap();
    assert!(told.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&told));
    stream
}

#[tokio::test]
async fn a_request_that_came_before_a_reload_still_reaches_a_server_that_the_reload_takes_away() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    gate.admin().call("files-read", json!({})).await.result();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files-read","arguments":{"n":2}}}"#;
    let mut stream = admitted(&gate, body).await;

    gate.reload(&config());
    assert_eq!(gate.admin().call("files-read", json!({})).await.error_code(), -32602, "it is gone for new requests");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("200 OK") && answer.contains(r#"\"n\":2"#), "{answer}");
    gate.stop().await;
}
