//! What LiteLLM's users type: its documentation's curl lines, paths and headers.

use serde_json::{Value, json};

use crate::support::{Caller, FakeMcp, MASTER_KEY, TestGateway, config, script};

struct Servers {
    files: FakeMcp,
    clock: FakeMcp,
    maps: FakeMcp,
}

/// Three servers, one of them with an alias.
async fn three_servers() -> (TestGateway, Servers) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let clock = FakeMcp::start(script().tools(&["now"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let config = config()
        .server("files", files.entry())
        .server("clock", clock.entry().with("alias: zeit"))
        .server("maps", maps.entry());
    (TestGateway::start(config).await, Servers { files, clock, maps })
}

/// A caller that sends what `curl` sends with the headers of LiteLLM's documentation.
fn curl(gate: &TestGateway) -> Caller {
    gate.anonymous().with("authorization", &format!("Bearer {MASTER_KEY}")).with("accept", "*/*")
}

async fn names_at(caller: &Caller, path: &str) -> Vec<String> {
    caller.names(path, "tools/list", "tools", "name").await
}

#[tokio::test]
async fn tools_are_listed_and_called_without_initialize() {
    let (gate, servers) = three_servers().await;
    let curl = curl(&gate);
    assert_eq!(curl.tool_names().await, ["files-read", "files-write", "zeit-now", "maps-find"]);
    let answer = curl.call("files-read", json!({"path": "/tmp"})).await;
    assert_eq!(answer.http.status, 200);
    assert_eq!(answer.http.header("mcp-session-id"), "", "no session was asked for");
    assert_eq!(answer.tool_text(), r#"{"name":"read","arguments":{"path":"/tmp"}}"#);
    assert_eq!(servers.files.only("tools/call").message["params"]["name"], "read");
}

#[tokio::test]
async fn a_request_without_an_accept_header_is_served() {
    let (gate, _servers) = three_servers().await;
    assert_eq!(curl(&gate).without("accept").tool_names().await.len(), 4);
}

#[tokio::test]
async fn a_path_narrows_what_is_seen() {
    let (gate, _servers) = three_servers().await;
    let curl = curl(&gate);
    let everything = ["files-read", "files-write", "zeit-now", "maps-find"];
    let cases: [(&str, &[&str]); 10] = [
        ("/mcp", &everything),
        ("/mcp/", &everything),
        ("/mcp/files", &["files-read", "files-write"]),
        ("/files/mcp", &["files-read", "files-write"]),
        ("/mcp/zeit", &["zeit-now"]),
        ("/mcp/clock", &["zeit-now"]),
        ("/zeit/mcp", &["zeit-now"]),
        ("/clock/mcp", &["zeit-now"]),
        ("/mcp/maps,files", &["files-read", "files-write", "maps-find"]),
        ("/zeit,maps/mcp", &["zeit-now", "maps-find"]),
    ];
    for (path, expected) in cases {
        let mut names = names_at(&curl, path).await;
        let mut expected = expected.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "{path}");
    }
}

#[tokio::test]
async fn a_header_narrows_what_is_seen_and_a_path_goes_before_it() {
    let (gate, _servers) = three_servers().await;
    let narrowed = |names: &str| curl(&gate).with("x-mcp-servers", names);
    assert_eq!(names_at(&narrowed("zeit"), "/mcp").await, ["zeit-now"]);
    assert_eq!(names_at(&narrowed("clock, maps"), "/mcp").await, ["zeit-now", "maps-find"]);
    assert_eq!(names_at(&narrowed("zeit"), "/mcp/maps").await, ["maps-find"]);
    assert_eq!(names_at(&narrowed(""), "/mcp").await, [""; 0]);
}

#[tokio::test]
async fn what_is_out_of_scope_cannot_be_called() {
    let (gate, servers) = three_servers().await;
    let params = json!({"name": "files-read", "arguments": {}});
    for path in ["/mcp/zeit", "/maps,zeit/mcp"] {
        let answer = curl(&gate).rpc_at(path, "tools/call", params.clone()).await;
        assert_eq!(answer.error_code(), -32602, "{path}");
    }
    let answer = curl(&gate).with("x-mcp-servers", "maps").rpc("tools/call", params.clone()).await;
    assert_eq!(answer.error_code(), -32602);
    assert_eq!(servers.files.seen_of("tools/call").len(), 0);
    curl(&gate).rpc_at("/mcp/files", "tools/call", params).await.result();
}

#[tokio::test]
async fn a_path_of_an_unknown_server_is_not_found() {
    let (gate, _servers) = three_servers().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for path in ["/nosuch/mcp", "/mcp/nosuch"] {
        let reply = curl(&gate).post(path, body).await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
        assert!(reply.text().contains("nosuch"), "{path}: {}", reply.text());
    }
    // Of a list, what is known is served.
    assert_eq!(names_at(&curl(&gate), "/nosuch,maps/mcp").await, ["maps-find"]);
}

#[tokio::test]
async fn a_header_with_only_unknown_servers_is_an_error_that_names_them() {
    let (gate, _servers) = three_servers().await;
    let answer = curl(&gate).with("x-mcp-servers", "nosuch").rpc("tools/list", json!({})).await;
    assert!(answer.error_message().contains("nosuch"), "{}", answer.error_message());
    assert_eq!(answer.raw_id(), "1", "without its id a client would wait for ever");
}

#[tokio::test]
async fn a_notification_is_accepted_without_a_body() {
    let (gate, _servers) = three_servers().await;
    let reply = curl(&gate).post("/mcp", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (202, 0));
}

#[tokio::test]
async fn ping_is_answered_by_the_gate_itself() {
    let (gate, servers) = three_servers().await;
    assert_eq!(*curl(&gate).rpc("ping", json!({})).await.result(), json!({}));
    for server in [&servers.files, &servers.clock, &servers.maps] {
        assert_eq!(server.seen_of("ping").len(), 0);
    }
}

#[tokio::test]
async fn legacy_sse_answers_on_the_stream() {
    let (gate, _servers) = three_servers().await;
    let caller = gate.admin();
    let mut stream = caller.clone().with("accept", "text/event-stream").open_stream("/sse").await;
    let endpoint = stream.next().await.expect("the stream begins with the endpoint");
    assert_eq!(endpoint.name, "endpoint");
    let path = endpoint.data.strip_prefix(&gate.url("")).unwrap_or(&endpoint.data).to_owned();

    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
        {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}});
    assert_eq!(caller.post(&path, initialize.to_string()).await.status, 202);
    let greeting: Value = serde_json::from_str(&stream.next().await.unwrap().data).unwrap();
    assert_eq!(greeting["result"]["protocolVersion"], "2024-11-05");

    let told = caller.post(&path, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!(told.status, 202);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(caller.post(&path, list).await.status, 202);
    let listed: Value = serde_json::from_str(&stream.next().await.unwrap().data).unwrap();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 4);

    let stranger = gate.anonymous().post(&path, list).await;
    assert_eq!(stranger.status, 401, "the address of a stream is no key");
}

#[tokio::test]
async fn debug_headers_are_masked_and_come_only_when_asked_for() {
    let (gate, servers) = three_servers().await;
    let quiet = curl(&gate).rpc_at("/mcp/files", "tools/list", json!({})).await;
    assert!(quiet.http.headers.keys().all(|name| !name.as_str().starts_with("x-mcp-debug")));
    let asked = curl(&gate).with("x-litellm-mcp-debug", "true").rpc_at("/mcp/files", "tools/list", json!({})).await;
    assert_eq!(asked.http.header("x-mcp-debug-outbound-url"), servers.files.url());
    assert!(asked.http.header("x-mcp-debug-inbound-auth").contains('*'), "{:?}", asked.http.headers);
    for value in asked.http.headers.values() {
        assert!(!value.to_str().unwrap().contains(MASTER_KEY), "{value:?}");
    }
}
