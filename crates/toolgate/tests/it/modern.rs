//! Revision 2026-07-28 on the same endpoint: which requests are taken, and what they are answered.

use serde_json::{Value, json};

use crate::support::{
    Answer, Caller, Era, FakeMcp, Fixture, MODERN, Modern, Scripted, TestGateway, config, initialize, script, tool,
};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

async fn gate() -> TestGateway {
    let fake = FakeMcp::start(script().tools(&["read"]).resources(&["file:///a"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    // It lives as long as the test's runtime.
    std::mem::forget(fake);
    gate
}

/// Fails unless the answer is this error, for this request.
fn refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!((answer.http.status.as_u16(), answer.error_code()), (status, code), "{:?}", answer.http);
    assert_eq!(answer.raw_id(), "1");
    assert!(answer.http.headers.get("mcp-session-id").is_none());
}

#[tokio::test]
async fn discover_names_every_revision_and_what_is_on_offer() {
    let gate = gate().await;
    let answer = Modern::new(&gate.admin()).rpc("server/discover", json!({})).await;
    let result = answer.result();
    let versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
    assert_eq!(result["supportedVersions"], json!(versions));
    assert!(result["capabilities"]["tools"].is_object() && result["capabilities"]["resources"].is_object());
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(result["ttlMs"].is_u64());
    assert!(result["_meta"][SERVER_INFO]["name"].is_string());
    assert!(answer.http.headers.get("mcp-session-id").is_none());
}

#[tokio::test]
async fn results_say_what_they_are_and_how_long_they_may_be_kept() {
    let gate = gate().await;
    let client = Modern::new(&gate.admin());
    let cacheable = [
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "file:///a"})),
    ];
    for (method, params) in cacheable {
        let answer = client.rpc(method, params).await;
        let result = answer.result();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "private", "{method}: {result}");
        assert!(result["_meta"][SERVER_INFO]["version"].is_string(), "{method}: {result}");
    }
    let call = client.call("files-read", json!({"a": 1})).await;
    assert_eq!(call.result()["resultType"], "complete");
    assert!(call.result().get("ttlMs").is_none());
    assert!(call.tool_text().contains("read"));
}

#[tokio::test]
async fn a_tools_answer_stays_byte_for_byte_but_for_what_the_revision_adds() {
    let fake = FakeMcp::start(script().tools(&["odd"]).on("tools/call", Scripted::Mirror { streamed: false })).await;
    let gate = TestGateway::start(config().server("fake", fake.entry())).await;
    let result = r#"{ "content" : [],"n":1e400,"structuredContent":[1.0],  "é":null }"#;
    let answer = Modern::new(&gate.admin()).call("fake-odd", json!({"result": result})).await;
    let kept = result.strip_suffix(" }").unwrap();
    let rest = answer.raw_result().strip_prefix(kept).unwrap_or_else(|| panic!("{}", answer.raw_result()));
    assert!(rest.starts_with(r#","resultType":"complete""#) && rest.ends_with(" }"), "{rest}");
    let own = r#"{"resultType":"complete","_meta":{"x":1,"io.modelcontextprotocol/serverInfo":{"name":"n"}}}"#;
    assert_eq!(Modern::new(&gate.admin()).call("fake-odd", json!({"result": own})).await.raw_result(), own);
}

#[tokio::test]
async fn what_a_request_says_of_its_client_does_not_reach_a_server_of_an_older_revision() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let client = Modern::new(&gate.admin()).saying(LEVEL, json!("info"));
    client.clone().saying("vendor/x", json!(1)).call("files-read", json!({})).await.result();
    assert_eq!(fake.only("tools/call").message["params"]["_meta"], json!({"vendor/x": 1}));
    client.call("files-read", json!({})).await.result();
    assert_eq!(fake.seen_of("tools/call")[1].message["params"], json!({"name": "read", "arguments": {}}));
    assert_eq!(fake.seen_of("tools/call")[1].header("mcp-method"), None);
}

#[tokio::test]
async fn a_request_must_say_its_revision_and_what_its_client_can_do() {
    let gate = gate().await;
    let client = Modern::new(&gate.admin());
    for (missing, status, code) in [(VERSION, 400, -32602), (CAPABILITIES, 400, -32602)] {
        refused(&client.clone().silent_about(missing).rpc("server/discover", json!({})).await, status, code);
    }
    for (key, value) in [(CAPABILITIES, json!([])), (INFO, json!("me")), (LEVEL, json!("loud")), (LEVEL, json!(1))] {
        refused(&client.clone().saying(key, value).rpc("tools/list", json!({})).await, 400, -32602);
    }
    let much = json!({"experimental": {"x": {"y": "z".repeat(16 * 1024)}}});
    refused(&client.clone().capable(much).rpc("tools/list", json!({})).await, 400, -32602);
    let bare = gate.admin().with("mcp-protocol-version", MODERN).with("mcp-method", "tools/list");
    refused(&bare.rpc("tools/list", json!({})).await, 400, -32602);
    client.silent_about(INFO).rpc("server/discover", json!({})).await.result();
}

#[tokio::test]
async fn a_revision_that_is_not_offered_is_refused_with_those_that_are() {
    let gate = gate().await;
    let client = Modern::new(&gate.admin());
    for version in ["v999.0.0", "2025-11-25"] {
        let other = client.clone().saying(VERSION, json!(version)).with("mcp-protocol-version", version);
        let answer = other.rpc("server/discover", json!({})).await;
        refused(&answer, 400, -32022);
        let data = &answer.error()["data"];
        assert_eq!(data["requested"], version);
        assert!(data["supported"].as_array().unwrap().contains(&json!(MODERN)));
    }
    let older = config().general("mcp_advertised_versions: [2025-11-25]");
    let gate = TestGateway::start(older).await;
    let answer = Modern::new(&gate.admin()).rpc("server/discover", json!({})).await;
    refused(&answer, 400, -32022);
    assert_eq!(answer.error()["data"], json!({"requested": MODERN, "supported": ["2025-11-25"]}));
}

#[tokio::test]
async fn where_only_this_revision_is_offered_the_others_are_refused_as_its_servers_do() {
    let gate = TestGateway::start(config().general("mcp_advertised_versions: [2026-07-28]")).await;
    let admin = gate.admin();
    let answer = admin.rpc("initialize", initialize("2025-11-25")).await;
    refused(&answer, 400, -32022);
    assert_eq!(answer.error()["data"], json!({"requested": "2025-11-25", "supported": [MODERN]}));
    assert_eq!(answer.message()["id"], 1);
    let fixture = Fixture::start(Era::Modern).await;
    let direct = Caller::new(fixture.url().trim_end_matches("/mcp"));
    let theirs = direct.rpc("initialize", initialize("2025-11-25")).await;
    assert_eq!((theirs.error_code(), &theirs.error()["data"]), (-32022, &answer.error()["data"]));
    refused(&admin.rpc("tools/list", json!({})).await, 400, -32602);
    let named = admin.clone().with("mcp-protocol-version", "2025-11-25");
    refused(&named.rpc("tools/list", json!({})).await, 400, -32602);
    assert_eq!((admin.get_status("/mcp").await, admin.get_status("/sse").await), (405, 404));
    Modern::new(&admin).rpc("tools/list", json!({})).await.result();
}

#[tokio::test]
async fn what_only_this_revision_has_is_not_offered_to_those_with_a_handshake() {
    let extensions = json!({"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {"a": 1}});
    let discovered = json!({
        "resultType": "complete", "supportedVersions": [MODERN], "ttlMs": 0, "cacheScope": "private",
        "capabilities": {"tools": {}, "extensions": extensions},
    });
    let fake = script().without_sessions().on("server/discover", Scripted::Result(discovered.to_string()));
    let fake = FakeMcp::start(fake).await;
    let gate = TestGateway::start(config().server("jobs", fake.entry())).await;
    let begun = gate.admin().rpc("initialize", initialize("2025-11-25")).await;
    let offered = &begun.result()["capabilities"]["extensions"];
    assert_eq!(offered, &json!({"io.modelcontextprotocol/ui": {"a": 1}}));
    let answer = Modern::new(&gate.admin()).rpc("server/discover", json!({})).await;
    assert_eq!(answer.result()["capabilities"]["extensions"], extensions);
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let gate = gate().await;
    let client = Modern::new(&gate.admin());
    let call = json!({"name": "files-read", "arguments": {}});
    for (header, value) in [
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-method", "prompts/list"),
        ("mcp-method", "TOOLS/CALL"),
        ("mcp-name", "other"),
        ("mcp-name", "FILES-READ"),
        ("mcp-name", "=?base64?!!?="),
    ] {
        refused(&client.clone().with(header, value).rpc("tools/call", call.clone()).await, 400, -32020);
    }
    let (caller, body) = client.request(json!(1), "tools/call", call.clone());
    for header in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
        let reply = caller.clone().without(header).post("/mcp", body.to_string()).await;
        refused(&Answer::new(reply), 400, -32020);
    }
    for name in ["files-read", "  files-read  ", "=?base64?ZmlsZXMtcmVhZA==?="] {
        client.clone().with("mcp-name", name).rpc("tools/call", call.clone()).await.result();
    }
}

#[tokio::test]
async fn methods_that_the_revision_does_not_have_are_not_found() {
    let gate = gate().await;
    let client = Modern::new(&gate.admin());
    let gone = ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list"];
    for method in gone.into_iter().chain(["unknown/method"]) {
        let answer = client.rpc(method, json!({"uri": "file:///a", "level": "info"})).await;
        refused(&answer, 404, -32601);
    }
}

#[tokio::test]
async fn sessions_and_event_ids_mean_nothing() {
    let gate = gate().await;
    let stray = gate.admin().with("mcp-session-id", "deadbeef").with("last-event-id", "7");
    let answer = Modern::new(&stray).rpc("tools/list", json!({})).await;
    assert!(answer.result()["tools"].is_array());
    assert!(answer.http.headers.get("mcp-session-id").is_none());
    let stray = stray.with("mcp-protocol-version", MODERN);
    assert_eq!(stray.get("/mcp").await.status, 405);
    assert_eq!(stray.delete("/mcp").await.status, 405);
}

#[tokio::test]
async fn only_single_requests_and_notifications_are_taken() {
    let gate = gate().await;
    let caller = gate.admin().with("mcp-protocol-version", MODERN).with("mcp-method", "notifications/cancelled");
    let note = caller.post("/mcp", r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#).await;
    assert_eq!((note.status.as_u16(), note.body.len()), (202, 0));
    for body in [r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#] {
        let reply = caller.post("/mcp", body).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (400, &json!(-32600)), "{body}");
    }
}

#[tokio::test]
async fn the_older_revisions_are_served_beside_it() {
    let gate = gate().await;
    let answer = gate.admin().rpc("initialize", initialize(MODERN)).await;
    assert_eq!(answer.result()["protocolVersion"], "2025-11-25");
    let named = gate.admin().with("mcp-protocol-version", MODERN).rpc("initialize", initialize("2025-11-25")).await;
    assert_eq!(named.result()["protocolVersion"], "2025-11-25");
    // The words in an argument do not make a request one of this revision.
    let quoting = gate.admin().call("files-read", json!({"text": VERSION})).await;
    assert!(quoting.result().get("resultType").is_none());
}

#[tokio::test]
async fn an_unknown_resource_is_told_as_the_revision_tells_it() {
    let gate = gate().await;
    let answer = Modern::new(&gate.admin()).rpc("resources/read", json!({"uri": "file:///none"})).await;
    assert_eq!(answer.error_code(), -32602);
    assert_eq!(answer.error()["data"]["uri"], "file:///none");
}

#[tokio::test]
async fn a_client_without_a_key_is_told_nothing() {
    let gate = gate().await;
    let reply = Modern::new(&gate.anonymous()).rpc("server/discover", json!({})).await;
    assert_eq!(reply.http.status, 401);
}

#[tokio::test]
async fn a_scope_that_names_nobody_is_refused_with_the_requests_id() {
    let gate = gate().await;
    let answer = Modern::new(&gate.admin()).with("x-mcp-servers", "nobody").rpc("tools/list", json!({})).await;
    refused(&answer, 403, -32600);
    let narrowed = Modern::new(&gate.admin()).rpc_at("/mcp/files", "server/discover", json!({})).await;
    assert_eq!(narrowed.result()["_meta"][SERVER_INFO]["name"], "files");
}

#[tokio::test]
async fn pages_are_turned_without_a_session() {
    let tools: Vec<Value> = (0..1500).map(|n| tool(&format!("t{n}"))).collect();
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Pages("tools", vec![tools]))).await;
    let gate = TestGateway::start(config().server("many", fake.entry())).await;
    let client = Modern::new(&gate.admin());
    let first = client.rpc("tools/list", json!({})).await;
    let cursor = first.result()["nextCursor"].as_str().expect("there is more");
    let second = client.rpc("tools/list", json!({"cursor": cursor})).await;
    assert_eq!(second.result()["tools"].as_array().unwrap().len(), 500);
    refused(&client.rpc("tools/list", json!({"cursor": "forged"})).await, 200, -32602);
}
