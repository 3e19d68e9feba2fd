//! Toolsets: their endpoints, and who they are there for.

use serde_json::{Value, json};
use toolgate_store::ToolsetChanges;

use crate::support::people::actor;
use crate::support::{Config, FakeMcp, Modern, People, TestGateway, config, script};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// Two servers with three tools each, with pinned ids.
async fn servers() -> (Config, [FakeMcp; 2]) {
    let files = FakeMcp::start(script().tools(&["read", "write", "stat"])).await;
    let maps = FakeMcp::start(script().tools(&["find", "route", "draw"])).await;
    let config = config()
        .server("files", files.entry().with("server_id: id-files"))
        .server("maps", maps.entry().with("server_id: id-maps"));
    (config, [files, maps])
}

async fn names(gate: &TestGateway, key: &str, path: &str) -> Vec<String> {
    gate.holder(key).names(path, "tools/list", "tools", "name").await
}

async fn status(gate: &TestGateway, key: &str, path: &str) -> u16 {
    gate.holder(key).post(path, LIST).await.status.as_u16()
}

#[tokio::test]
async fn a_toolset_has_two_endpoints_with_its_tools_and_no_others() {
    let (config, _fakes) = servers().await;
    let people = People::new().await;
    people.toolset("ts-1", "reading", &["id-files/read", "id-maps/find"]).await;
    people.toolset("ts-2", "drawing", &["id-maps/draw"]).await;
    let holder = people.key("holder", json!({ "mcp_toolsets": ["ts-1"] })).await;
    let gate = people.gateway(config).await;

    for path in ["/toolset/reading/mcp", "/toolset/reading/mcp/", "/mcp/reading", "/reading/mcp"] {
        assert_eq!(names(&gate, &holder, path).await, ["files-read", "maps-find"], "{path}");
        let master = gate.admin().names(path, "tools/list", "tools", "name").await;
        assert_eq!(master, ["files-read", "maps-find"], "{path}: an admin sees the toolset there too, not everything");
    }
    let call = |tool: &str| {
        let params = json!({ "name": tool, "arguments": {} });
        let caller = gate.holder(&holder);
        async move { caller.rpc_at("/toolset/reading/mcp", "tools/call", params).await }
    };
    assert!(call("files-read").await.result().is_object());
    assert_eq!(call("files-write").await.error_code(), -32602, "a tool that is not in the toolset does not exist");
    assert_eq!(call("maps-draw").await.error_code(), -32602);
}

#[tokio::test]
async fn a_toolset_that_the_key_does_not_hold_is_as_if_it_did_not_exist() {
    let (config, fakes) = servers().await;
    let people = People::new().await;
    people.toolset("ts-1", "reading", &["id-files/read"]).await;
    people.toolset("ts-2", "empty", &[]).await;
    let other = people.key("other", json!({ "mcp_servers": ["files"] })).await;
    let gate = people.gateway(config).await;

    for (real, unreal) in [("/toolset/reading/mcp", "/toolset/nothing/mcp"), ("/mcp/reading", "/mcp/nothing")] {
        let (real_reply, unreal_reply) =
            (gate.holder(&other).post(real, LIST).await, gate.holder(&other).post(unreal, LIST).await);
        assert_eq!(real_reply.status, 404, "{real}: {real_reply:?}");
        let alike = real_reply.text().replace("reading", "nothing");
        assert_eq!((unreal_reply.status, alike), (real_reply.status, unreal_reply.text().to_owned()));
    }
    assert_eq!(gate.holder(&other).get("/toolset/reading/mcp").await.status, 404);
    assert_eq!(fakes[0].seen().len(), 0, "nobody was asked");
    assert_eq!(names(&gate, &other, "/mcp").await, ["files-read", "files-write", "files-stat"]);
    let empty = gate.admin().names("/toolset/empty/mcp", "tools/list", "tools", "name").await;
    assert_eq!(empty, [""; 0], "who sees everything sees that it is empty");
}

#[tokio::test]
async fn a_server_of_the_same_name_goes_before_a_toolset_for_those_who_reach_it() {
    let (config, _fakes) = servers().await;
    let people = People::new().await;
    people.toolset("ts-1", "files", &["id-maps/find"]).await;
    let of_server = people.key("server", json!({ "mcp_servers": ["files"], "mcp_toolsets": ["ts-1"] })).await;
    let of_toolset = people.key("toolset", json!({ "mcp_toolsets": ["ts-1"] })).await;
    let gate = people.gateway(config).await;

    assert_eq!(names(&gate, &of_server, "/mcp/files").await, ["files-read", "files-write", "files-stat"]);
    assert_eq!(names(&gate, &of_server, "/toolset/files/mcp").await, ["maps-find"]);
    assert_eq!(names(&gate, &of_toolset, "/mcp/files").await, ["maps-find"]);
}

#[tokio::test]
async fn a_toolset_that_is_changed_or_taken_away_is_so_at_the_next_request() {
    let (config, _fakes) = servers().await;
    let people = People::new().await;
    people.toolset("ts-1", "reading", &["id-files/read"]).await;
    let holder = people.key("holder", json!({ "mcp_toolsets": ["ts-1"] })).await;
    let gate = people.gateway(config).await;
    assert_eq!(names(&gate, &holder, "/mcp/reading").await, ["files-read"]);

    let tools = vec![toolgate_store::ToolsetTool { server_id: "id-maps".into(), tool_name: "route".into() }];
    let changes = ToolsetChanges { tools: toolgate_store::Change::Set(tools), ..ToolsetChanges::default() };
    people.store.update_toolset(&actor(), "ts-1", changes).await.unwrap();
    gate.until(async || names(&gate, &holder, "/mcp/reading").await == ["maps-route"]).await;

    people.store.delete_toolset(&actor(), "ts-1").await.unwrap();
    gate.until(async || status(&gate, &holder, "/mcp/reading").await == 404).await;
}

#[tokio::test]
async fn a_session_and_a_client_without_sessions_are_served_at_a_toolset_alike() {
    let (config, _fakes) = servers().await;
    let people = People::new().await;
    people.toolset("ts-1", "reading", &["id-files/read"]).await;
    let holder = people.key("holder", json!({ "mcp_toolsets": ["ts-1"] })).await;
    let gate = people.gateway(config.general("mcp_require_explicit_server_scope: true")).await;

    let session = gate.holder(&holder).initialized_at("/toolset/reading/mcp").await;
    assert_eq!(session.names("/toolset/reading/mcp", "tools/list", "tools", "name").await, ["files-read"]);
    assert_eq!(session.delete("/toolset/reading/mcp").await.status, 200);
    let modern = Modern::new(&gate.holder(&holder));
    let reply = modern.rpc_at("/mcp/reading", "tools/list", json!({})).await;
    let listed: Vec<&Value> = reply.result()["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(listed, [&json!("files-read")]);
}
