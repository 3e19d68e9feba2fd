//! What operators see: metrics, and traces from the client's request to the upstream's.

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use toolgate::telemetry::Traces;

use crate::support::{FakeMcp, Process, TestGateway, config, script, soon};

const KEY: &str = "sk-of-the-log-of-calls-2f9d8e7c6b5a43210fedcba987654321";

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// A collector that hands on what it is sent, and traces that go to it.
async fn collector() -> (Traces, mpsc::Receiver<Bytes>) {
    let (tx, rx) = mpsc::channel(16);
    let take = move |body: Bytes| async move { tx.send(body).await.unwrap() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    let variable = move |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    (Traces::from_variables(variable).unwrap(), rx)
}

#[tokio::test]
async fn a_call_is_one_trace_from_the_client_to_the_upstream() {
    let (traces, mut sent) = collector().await;
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start_traced(config().server("files", fake.entry()), &traces).await;
    let traceparent = format!("00-{TRACE_ID}-b7ad6b7169203331-01");
    gate.admin().with("traceparent", &traceparent).call("files-read", json!({"n": 1})).await.result();

    let seen = fake.only("tools/call");
    let header = seen.header("traceparent").unwrap();
    assert!(header.contains(TRACE_ID) && header != traceparent, "{header}");
    assert_eq!(seen.message["params"]["_meta"]["traceparent"], header);
    assert_eq!(seen.message["params"]["arguments"], json!({"n": 1}));

    gate.stop().await;
    traces.shutdown().await;
    let batch = soon("the spans", sent.recv()).await.unwrap();
    let named = ["tools/call files-read", "tools/call read", "gen_ai.tool.name", "toolgate.server.name"];
    let placed = ["network.transport", "client.address", "server.address", "server.port", "jsonrpc.request.id"];
    for name in named.into_iter().chain(placed) {
        assert!(memchr::memmem::find(&batch, name.as_bytes()).is_some(), "{name} is missing");
    }
}

#[tokio::test]
async fn spans_of_a_session_share_a_name_that_is_not_its_id() {
    let (traces, mut sent) = collector().await;
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start_traced(config().server("files", fake.entry()), &traces).await;
    let session = gate.admin().initialized_at("/mcp").await;
    session.call("files-read", json!({})).await.result();

    gate.stop().await;
    traces.shutdown().await;
    let batch = soon("the spans", sent.recv()).await.unwrap();
    assert!(memchr::memmem::find(&batch, b"mcp.session.id").is_some());
    assert!(memchr::memmem::find(&batch, session.header("mcp-session-id").as_bytes()).is_none());
}

#[tokio::test]
async fn each_call_is_one_line_of_the_log_for_those_who_want_it() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config().master_key(KEY).server("files", fake.entry()).yaml()).unwrap();
    for (level, expected) in [("info", 0), ("info,toolgate::calls=debug", 3)] {
        let mut process = Process::serve_with(&file, folder.path(), &["--log-level", level]).await;
        let admin = process.caller(KEY).with("x-request-id", "mine");
        admin.call("files-read", json!({"secret": "s3cr3t"})).await.result();
        let rest = json!({"server_id": "files", "name": "read", "arguments": {}});
        assert_eq!(admin.post("/mcp-rest/tools/call", rest.to_string()).await.status, 200);
        admin.call("made-up", json!({})).await.error();
        process.signal(Signal::TERM);
        let log = process.rest_of_the_log().await;
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let calls: Vec<&Value> = lines.iter().filter(|line| line["target"] == "toolgate::calls").collect();
        assert_eq!(calls.len(), expected, "{log}");
        assert!(!log.contains("s3cr3t") && !log.contains("made-up"), "{log}");
        for (call, (tool, status, code)) in
            calls.iter().zip([("read", "ok", None), ("read", "ok", None), ("", "error", Some(-32602))])
        {
            assert_eq!(call["request_id"], "mine", "{call}");
            assert_eq!(call["mcp.method"], "tools/call", "{call}");
            assert_eq!(call["tool.name"].as_str().unwrap_or_default(), tool, "{call}");
            assert_eq!((call["status"].as_str(), call["code"].as_i64()), (Some(status), code), "{call}");
            assert!(call["duration_ms"].as_f64().is_some_and(|took| took > 0.0), "{call}");
        }
    }
}

#[tokio::test]
async fn without_traces_nothing_is_added_to_a_call() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().with("traceparent", &format!("00-{TRACE_ID}-b7ad6b7169203331-01"));
    caller.call("files-read", json!({})).await.result();
    let seen = fake.only("tools/call");
    assert_eq!(seen.header("traceparent"), None);
    assert_eq!(seen.message["params"].get("_meta"), None);
}

#[tokio::test]
async fn metrics_name_what_is_configured_and_nothing_that_a_stranger_says() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    gate.admin().call("files-read", json!({})).await.result();
    let rest = json!({"server_id": "files", "name": "read", "arguments": {}});
    assert_eq!(gate.admin().post("/mcp-rest/tools/call", rest.to_string()).await.status, 200);
    gate.admin().call("made-up-name", json!({})).await.error();
    gate.admin().rpc("made/up", json!({})).await.error();
    let reply = gate.anonymous().get("/metrics").await;
    let metrics = reply.text();
    for line in [
        r#"toolgate_requests_total{server="files",tool="read",status="ok"} 2"#,
        r#"toolgate_upstream_up{server="files"} 1"#,
        r#"gen_ai_tool_name="files-read""#,
        r#"mcp_method_name="_OTHER""#,
        "toolgate_overhead_seconds_count 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
    assert!(!metrics.contains("made"), "{metrics}");
}
