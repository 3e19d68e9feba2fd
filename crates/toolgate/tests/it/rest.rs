//! `/mcp-rest`: tools over plain HTTP, as LiteLLM answers.

use serde_json::{Value, json};

use crate::support::{Entry, FakeMcp, Reply, Scripted, TestGateway, config, script};

/// `files` with two tools, and `clock`, known as `zeit`.
async fn two_servers() -> (TestGateway, [FakeMcp; 2]) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let clock = FakeMcp::start(script().tools(&["now"]).on("tools/call", Scripted::text("noon"))).await;
    let config = config()
        .server("files", files.entry().with("disallowed_tools: [write]"))
        .server("clock", clock.entry().with("alias: zeit"));
    (TestGateway::start(config).await, [files, clock])
}

async fn call(gate: &TestGateway, body: Value) -> Reply {
    gate.admin().post("/mcp-rest/tools/call", body.to_string()).await
}

#[tokio::test]
async fn one_servers_tools_are_listed_under_their_own_names() {
    let (gate, _servers) = two_servers().await;
    for id in ["clock", "zeit"] {
        let reply = gate.admin().get(&format!("/mcp-rest/tools/list?server_id={id}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let listed = reply.json();
        assert_eq!(listed["error"], Value::Null);
        assert_eq!(listed["message"], "Successfully retrieved tools");
        let tools = listed["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1);
        assert_eq!(tools[0]["name"], "now");
        assert_eq!(tools[0]["mcp_info"]["server_name"], "clock");
        assert_eq!(tools[0]["mcp_info"]["alias"], "zeit");
        assert_eq!(tools[0]["mcp_info"]["server_id"].as_str().unwrap().len(), 32);
    }
}

#[tokio::test]
async fn health_tells_how_each_server_does() {
    let (gate, _servers) = two_servers().await;
    let idle = gate.admin().get("/health").await.json();
    assert_eq!((&idle["healthy_count"], &idle["unhealthy_count"]), (&json!(2), &json!(0)));
    assert_eq!(idle["healthy_endpoints"][0]["state"], "idle");
    gate.admin().tool_names().await;
    let up = gate.admin().get("/health").await.json();
    let server = &up["healthy_endpoints"][1];
    let told = json!({ "server_name": "clock", "alias": "zeit", "state": "up", "stage": null, "last_failure": null,
        "circuit": { "state": "closed", "retry_in_ms": null } });
    for (key, value) in told.as_object().unwrap() {
        assert_eq!(server[key], *value, "{key}");
    }
    assert!(server["since_ms"].as_u64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unhealthy_and_health_says_why() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", free.local_addr().unwrap());
    drop(free);
    let gate = TestGateway::start(config().server("gone", Entry::http(&url))).await;
    gate.admin().get("/mcp-rest/tools/list?server_id=gone").await;
    let told = gate.admin().get("/health").await.json();
    let server = &told["unhealthy_endpoints"][0];
    assert_eq!((&server["state"], &server["stage"]), (&json!("down"), &json!("connect")));
    assert!(server["last_failure"]["message"].as_str().unwrap().contains("cannot connect"), "{server}");
}

#[tokio::test]
async fn all_servers_tools_are_listed_without_those_that_are_not_allowed() {
    let (gate, _servers) = two_servers().await;
    let listed = gate.admin().get("/mcp-rest/tools/list").await.json();
    let names: Vec<_> = listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["read", "now"]);
}

#[tokio::test]
async fn an_unknown_server_is_denied_as_one_that_is_not_permitted() {
    let (gate, _servers) = two_servers().await;
    let reply = gate.admin().get("/mcp-rest/tools/list?server_id=nosuch").await;
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.json()["detail"],
        json!({"error": "access_denied", "message": "The key is not allowed to access server nosuch"})
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_a_bad_gateway() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", free.local_addr().unwrap());
    drop(free);
    let gate = TestGateway::start(config().server("dead", Entry::http(&url))).await;
    let reply = gate.admin().get("/mcp-rest/tools/list?server_id=dead").await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert_eq!(reply.json()["detail"]["error"], "unreachable");
}

#[tokio::test]
async fn a_tool_is_called_by_its_own_or_its_prefixed_name() {
    let (gate, [_files, clock]) = two_servers().await;
    for name in ["now", "zeit-now"] {
        let reply = call(&gate, json!({"server_id": "clock", "name": name, "arguments": {"zone": "UTC"}})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json()["content"][0]["text"], "noon");
    }
    let calls = clock.seen_of("tools/call");
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call.message["params"]["name"], "now");
        assert_eq!(call.message["params"]["arguments"], json!({"zone": "UTC"}));
    }
}

#[tokio::test]
async fn a_call_without_a_server_is_told_so() {
    let (gate, _servers) = two_servers().await;
    let reply = call(&gate, json!({"name": "now", "arguments": {}})).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["detail"],
        json!({"error": "missing_parameter", "message": "server_id is required in request body"})
    );
}

#[tokio::test]
async fn a_tool_that_is_not_allowed_is_not_called() {
    let (gate, [files, _clock]) = two_servers().await;
    let reply = call(&gate, json!({"server_id": "files", "name": "write", "arguments": {}})).await;
    assert!(reply.status.is_client_error(), "{reply:?}");
    assert_eq!(files.seen_of("tools/call").len(), 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_bad_request() {
    let (gate, _servers) = two_servers().await;
    for body in ["{nope", "[]", "", "7"] {
        let reply = gate.admin().post("/mcp-rest/tools/call", body).await;
        assert!(matches!(reply.status.as_u16(), 400 | 422), "{body}: {reply:?}");
    }
}

#[tokio::test]
async fn nothing_is_served_without_a_key() {
    let (gate, [files, clock]) = two_servers().await;
    let body = json!({"server_id": "clock", "name": "now", "arguments": {}}).to_string();
    assert_eq!(gate.anonymous().post("/mcp-rest/tools/call", body).await.status, 401);
    assert_eq!(gate.anonymous().get("/mcp-rest/tools/list").await.status, 401);
    assert_eq!(files.seen_of("tools/call").len() + clock.seen_of("tools/call").len(), 0);
}

#[tokio::test]
async fn fields_that_mean_nothing_here_are_passed_over() {
    let (gate, _servers) = two_servers().await;
    let mut body = json!({"server_id": "files", "name": "read", "arguments": {}});
    body["litellm_trace_id"] = json!({"a": [1, null, "x"]});
    let escaped = body.to_string().replace("\"arguments\"", "\"\\u0061rguments\"");
    let reply = gate.admin().post("/mcp-rest/tools/call", escaped).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}
