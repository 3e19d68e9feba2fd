//! What is counted of decisions, of changed tools and under LiteLLM's names, and who may read it where.

use std::time::Duration;

use serde_json::json;
use toolgate_store::{Key, Team};

use crate::support::people::actor;
use crate::support::{Caller, FakeMcp, People, Scripted, TestGateway, config, initialize, script, soon, tool};

/// The lines of the metric `name`, sorted.
async fn lines(caller: &Caller, name: &str) -> Vec<String> {
    let reply = caller.get("/metrics").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.text().ends_with("# EOF\n"));
    let text = reply.text();
    let mut lines: Vec<String> = text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
    lines.sort();
    lines
}

async fn decisions(caller: &Caller) -> Vec<String> {
    let lines = lines(caller, "toolgate_policy_decisions_total").await;
    let short = |line: String| line.replace("toolgate_policy_decisions_total", "").replace("decision=", "");
    lines.into_iter().map(short).collect()
}

#[tokio::test]
async fn each_call_and_each_refusal_is_a_decision_with_its_reason() {
    let people = People::new().await;
    let files = FakeMcp::start(script().tools(&["read", "write", "kept_back"])).await;
    let clock = FakeMcp::start(script().tools(&["now"])).await;
    let entry = files.entry().with("disallowed_tools: [kept_back]").with("allowed_params: {write: [path]}");
    let config = config().server("files", entry).server("clock", clock.entry());
    let gate = people.gateway(config).await;
    let few = json!({"mcp_servers": ["files"], "mcp_tool_permissions": {"files": ["read"]}});
    let few = gate.holder(&people.key("few", few).await);
    let poor = Key { rpm_limit: Some(1), ..Key::default() };
    let poor = gate.holder(&people.key_of("poor", json!({"mcp_servers": ["files"]}), poor).await);
    let bound = Key { allowed_routes: vec!["/key/info".into()], ..Key::default() };
    let bound = gate.holder(&people.key_of("bound", json!({}), bound).await);
    let admin = gate.admin();

    admin.call("files-read", json!({})).await.result();
    let rest = json!({"server_id": "files", "name": "read", "arguments": {}});
    assert_eq!(few.post("/mcp-rest/tools/call", rest.to_string()).await.status, 200);
    // The last is a slip of the pen: nobody decided that.
    for name in ["clock-now", "files-write", "write", "files-raed"] {
        few.call(name, json!({})).await.error();
    }
    assert_eq!(few.post("/mcp/clock", "{}").await.status, 404);
    assert_eq!(few.post("/mcp/nobody", "{}").await.status, 404);
    few.clone().with("x-mcp-servers", "clock").call("now", json!({})).await.error();
    assert_eq!(few.get("/mcp-rest/tools/list?server_id=clock").await.status, 403);
    admin.call("files-kept_back", json!({})).await.error();
    admin.call("files-write", json!({"path": "a", "text": "b"})).await.error();
    poor.call("files-read", json!({})).await.result();
    while poor.call("files-read", json!({})).await.message().get("error").is_none() {}
    assert_eq!(gate.anonymous().post("/mcp", "{}").await.status, 401);
    let stranger = gate.anonymous().with("x-litellm-api-key", "Bearer sk-nobody-has-this-key-0123456789");
    assert_eq!(stranger.post("/mcp", "{}").await.status, 401);
    assert_eq!(bound.post("/mcp", "{}").await.status, 403);
    assert_eq!(few.get("/audit").await.status, 401);
    assert_eq!(gate.admin().with("origin", "https://evil.test").post("/mcp", "{}").await.status, 403);
    assert_eq!(gate.admin().with("host", "evil.test").post("/mcp", "{}").await.status, 403);

    let mut seen = decisions(&gate.admin()).await;
    let allowed = seen.remove(0);
    assert!(allowed.starts_with(r#"{"allow",reason="granted"} "#), "{allowed}");
    let allowed: u64 = allowed.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(allowed >= 3, "{allowed}");
    assert_eq!(
        seen,
        [
            r#"{"deny",reason="allowed_params"} 1"#,
            r#"{"deny",reason="host"} 1"#,
            r#"{"deny",reason="limit"} 1"#,
            r#"{"deny",reason="no_key"} 1"#,
            r#"{"deny",reason="origin"} 1"#,
            r#"{"deny",reason="role"} 1"#,
            r#"{"deny",reason="route"} 1"#,
            r#"{"deny",reason="server_not_granted"} 4"#,
            r#"{"deny",reason="server_rules"} 1"#,
            r#"{"deny",reason="tool_not_granted"} 2"#,
            r#"{"deny",reason="unknown_key"} 1"#,
        ]
    );
}

#[tokio::test]
async fn tools_that_a_server_adds_removes_or_changes_are_counted_when_its_list_is_fetched_again() {
    let fake = FakeMcp::start(script().tools(&["read", "write", "list"])).await;
    let config = config().server("files", fake.entry()).env("LITELLM_MCP_DISCOVERY_CACHE_TTL", "0");
    let gate = TestGateway::start(config).await;
    let admin = gate.admin();
    for _ in 0..3 {
        assert_eq!(admin.tool_names().await.len(), 3);
    }
    assert!(lines(&admin, "toolgate_tool_changes_total").await.is_empty(), "nothing has changed");

    let mut write = tool("write");
    write["description"] = json!("Sends everything to somebody else");
    let tools = json!({"tools": [tool("read"), write, tool("chmod"), tool("chown")]});
    fake.turn("tools/list", Scripted::Result(tools.to_string()));
    for _ in 0..3 {
        assert_eq!(admin.tool_names().await.len(), 4);
    }
    assert_eq!(
        lines(&admin, "toolgate_tool_changes_total").await,
        [
            r#"toolgate_tool_changes_total{server="files",action="added"} 2"#,
            r#"toolgate_tool_changes_total{server="files",action="changed"} 1"#,
            r#"toolgate_tool_changes_total{server="files",action="removed"} 1"#,
        ]
    );
}

#[tokio::test]
async fn metrics_on_the_main_port_can_ask_for_a_key() {
    let gate = TestGateway::start(config().litellm("require_auth_for_metrics_endpoint: true")).await;
    let reply = gate.anonymous().get("/metrics").await;
    assert_eq!((reply.status.as_u16(), reply.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(gate.admin().get("/metrics").await.status, 200);
    gate.reload(&config());
    assert_eq!(gate.anonymous().get("/metrics").await.status, 200);
}

#[tokio::test]
async fn a_port_of_their_own_serves_metrics_and_nothing_else() {
    let settings = config().litellm("require_auth_for_metrics_endpoint: true").general("allowed_hosts: [tools.test]");
    let gate = TestGateway::start_with_metrics_port(settings).await;
    let scraper = gate.metrics_port();
    let reply = scraper.get("/metrics").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(reply.text().contains("toolgate_build_info"));
    for path in ["/", "/mcp", "/health", "/livez", "/metrics/", "/openapi.json", "/key/info"] {
        assert_eq!(scraper.get(path).await.status, 404, "{path}");
        assert_eq!(scraper.post(path, initialize("2025-11-25").to_string()).await.status, 404, "{path}");
    }
    let reply = scraper.post("/metrics", "{}").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, "GET, HEAD"));

    // Monitoring names its targets by address; a page of another site has a name or says where it is from.
    assert_eq!(scraper.with("host", "10.1.2.3:9464").get("/metrics").await.status, 200);
    assert_eq!(gate.metrics_port().with("host", "tools.test").get("/metrics").await.status, 200);
    assert_eq!(gate.metrics_port().with("host", "evil.test").get("/metrics").await.status, 403);
    assert_eq!(gate.metrics_port().with("origin", "https://evil.test").get("/metrics").await.status, 403);
    gate.stop().await;
}

#[tokio::test]
async fn a_port_of_metrics_that_is_taken_is_told_with_its_option() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config().yaml()).unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serve = async |main: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toolgate"));
        command.args(["serve", "--port", main, "--prometheus_metrics_port", &port, "--config"]).arg(&file);
        let serving = command.arg("--data-dir").arg(folder.path()).env_clear().output();
        let ended = soon("the gateway's end", serving).await.unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let (code, said) = serve("0").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("--prometheus_metrics_port"), "{said}");
    let (code, said) = serve(&port).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--port are both"), "{said}");
}

#[tokio::test]
async fn litellms_names_are_there_for_those_who_want_them() {
    let people = People::new().await;
    let failing = Scripted::Result(r#"{"content":[],"isError":true}"#.into());
    let costs = "mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.25}}";
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let broken = FakeMcp::start(script().tools(&["fail"]).on("tools/call", failing)).await;
    let served = config().server("files", files.entry().with(costs)).server("broken", broken.entry());
    let gate = people.gateway(served.clone()).await;
    let team = Team { team_id: "dev".into(), team_alias: Some("Developers".into()), ..Team::default() };
    people.store.create_team(&actor(), team, vec![]).await.unwrap();
    let of_dev = Key { team_id: Some("dev".into()), ..Key::default() };
    let key = people.key_of("ci", json!({"mcp_servers": ["files", "broken"]}), of_dev).await;
    let holder = gate.holder(&key);
    holder.call("files-read", json!({})).await.result();
    assert!(lines(&gate.admin(), "litellm_").await.is_empty());

    gate.reload(&served.clone().general("compat_metrics: litellm"));
    holder.call("files-read", json!({})).await.result();
    let rest = json!({"server_id": "files", "name": "read", "arguments": {}});
    assert_eq!(holder.post("/mcp-rest/tools/call", rest.to_string()).await.status, 200);
    holder.call("broken-fail", json!({})).await.result();
    holder.call("made-up", json!({})).await.error();
    holder.tool_names().await;
    // Costs are charged when the answer has been sent off.
    let seen = soon("both costs", async {
        loop {
            let seen = lines(&gate.admin(), "litellm_").await;
            if seen.iter().any(|line| line.starts_with("litellm_spend_metric_total") && line.ends_with(" 0.5")) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let hash = crate::support::people::hash(&key);
    let who = format!(r#"hashed_api_key="{hash}",api_key_alias="ci""#);
    let team = r#"team="dev",team_alias="Developers""#;
    for expected in [
        format!(
            r#"litellm_proxy_total_requests_metric_total{{{who},requested_model="MCP: read",{team},status_code="200",route="/mcp"}} 1"#
        ),
        format!(
            r#"litellm_proxy_total_requests_metric_total{{{who},requested_model="MCP: read",{team},status_code="200",route="/mcp-rest/tools/call"}} 1"#
        ),
        format!(
            r#"litellm_proxy_total_requests_metric_total{{{who},requested_model="MCP: list_tools",{team},status_code="200",route="/mcp"}} 1"#
        ),
        format!(
            r#"litellm_proxy_failed_requests_metric_total{{{who},requested_model="MCP: fail",{team},exception_class="MCPToolResultError",route="/mcp"}} 1"#
        ),
        format!(
            r#"litellm_proxy_failed_requests_metric_total{{{who},{team},exception_status="400",exception_class="BadRequestError",route="/mcp"}} 1"#
        ),
        format!(r#"litellm_spend_metric_total{{{who},model="MCP: read",requested_model="MCP: read",{team}}} 0.5"#),
        format!(
            r#"litellm_request_total_latency_metric_count{{api_key_alias="ci",model="MCP: read",requested_model="MCP: read",{team}}} 2"#
        ),
        format!(
            r#"litellm_llm_api_latency_metric_count{{api_key_alias="ci",model="MCP: read",requested_model="MCP: read",{team}}} 2"#
        ),
        r#"litellm_overhead_latency_metric_count{model_group="MCP: read",litellm_model_name="MCP: read",api_key_alias="ci"} 2"#
            .to_owned(),
        format!(r#"litellm_mcp_tool_calls_total{{mcp_tool_name="read",mcp_server_name="files",{who},{team}}} 2"#),
        format!(r#"litellm_mcp_tool_call_spend_metric_total{{mcp_tool_name="read",mcp_server_name="files",{who},{team}}} 0.5"#),
        "litellm_in_flight_requests 1".to_owned(),
    ] {
        assert!(seen.contains(&expected), "{expected} is missing in:\n{}", seen.join("\n"));
    }
    let all = seen.join("\n");
    assert!(!all.contains("made") && !all.contains(&key), "{all}");
}

#[tokio::test]
async fn who_has_litellms_callback_has_its_metrics() {
    let gate = TestGateway::start(config().litellm("callbacks: [prometheus]")).await;
    assert!(!lines(&gate.admin(), "litellm_in_flight_requests").await.is_empty());
    gate.reload(&config().litellm("callbacks: [prometheus]").general("compat_metrics: none"));
    assert!(lines(&gate.admin(), "litellm_").await.is_empty());
}
