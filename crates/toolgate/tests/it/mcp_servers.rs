//! What is told of servers, and to whom.

use serde_json::{Value, json};
use toolgate_store::{TeamMembership, User};

use crate::support::people::actor;
use crate::support::{Caller, Config, Entry, FakeMcp, People, TestGateway, config, script};

async fn servers() -> (Config, FakeMcp) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let full = files
        .entry()
        .with("server_id: id-files")
        .with("auth_type: bearer_token")
        .with("authentication_token: upstream-secret-1")
        .with("static_headers: {X-Extra: upstream-secret-2}")
        .with("access_groups: [docs, tools]")
        .with("description: Files");
    let stdio = Entry::stdio("sh", &["-c", "exit 1", "--token=upstream-secret-3"])
        .with("server_id: id-shell")
        .with("env: {TOKEN: upstream-secret-4}")
        .with("access_groups: [shells]");
    (config().server("files", full).server("shell", stdio).env("LITELLM_ENABLE_MCP_STDIO", "true"), files)
}

async fn names(caller: &Caller, path: &str) -> Vec<String> {
    let reply = caller.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    let rows = reply.json();
    rows.as_array().unwrap().iter().map(|row| row["server_name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn admins_see_all_servers_and_nobody_sees_credentials() {
    let (config, fake) = servers().await;
    let people = People::new().await;
    let holder = people.key("holder", json!({ "mcp_servers": ["files", "shell"] })).await;
    let gate = people.gateway(config).await;
    for caller in [gate.admin(), gate.holder(&holder)] {
        for path in ["/v1/mcp/server", "/v1/mcp/server/id-files", "/v1/mcp/server/shell"] {
            let reply = caller.get(path).await;
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
            assert!(!reply.text().contains("upstream-secret"), "{path}: {}", reply.text());
        }
    }
    let told = gate.admin().get("/v1/mcp/server").await.json();
    let files = &told[0];
    let expected = json!({
        "server_id": "id-files", "is_config": true, "server_name": "files", "alias": null, "description": "Files",
        "transport": "http", "auth_type": "bearer_token", "credentials": null, "mcp_access_groups": ["docs", "tools"],
        "approval_status": "active", "url": fake.url(), "static_headers": null,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&files[field], value, "{field}");
    }
    assert_eq!((&told[1]["command"], &told[1]["args"], &told[1]["env"]), (&json!("sh"), &json!([]), &json!({})));
    let told = gate.holder(&holder).get("/v1/mcp/server").await.json();
    for row in told.as_array().unwrap() {
        assert_eq!((&row["url"], &row["command"], &row["mcp_access_groups"]), (&Value::Null, &Value::Null, &json!([])));
    }
}

#[tokio::test]
async fn a_server_that_is_not_reached_is_as_if_it_did_not_exist() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let holder = people.key("holder", json!({ "mcp_servers": ["files"] })).await;
    let gate = people.gateway(config).await;
    let holder = gate.holder(&holder);
    assert_eq!(names(&holder, "/v1/mcp/server").await, ["files"]);
    let (hidden, missing) = (holder.get("/v1/mcp/server/id-shell").await, holder.get("/v1/mcp/server/id-none").await);
    assert_eq!((hidden.status.as_u16(), hidden.text().replace("shell", "none")), (404, missing.text().to_owned()));
    assert_eq!(holder.get("/v1/mcp/server/id-files").await.json()["status"], json!("unknown"));
    let health = holder.get("/v1/mcp/server/health?server_ids=id-files&server_ids=id-shell").await.json();
    assert_eq!(health, json!([{ "server_id": "id-files", "status": "healthy" }]));
    assert_eq!(holder.get("/v1/mcp/access_groups").await.json(), json!({ "access_groups": ["docs", "tools"] }));
    let all = gate.admin().get("/v1/mcp/access_groups").await.json();
    assert_eq!(all, json!({ "access_groups": ["docs", "shells", "tools"] }));
    let told = holder.get("/v1/mcp/tools").await.json();
    let tools: Vec<&Value> = told["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(tools, ["files-read", "files-write"]);
    let health = gate.admin().get("/v1/mcp/server/health").await.json();
    assert_eq!(health[0], json!({ "server_id": "id-files", "status": "healthy" }));
}

#[tokio::test]
async fn what_a_team_reaches_is_told_to_its_members_and_to_admins() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    people.team("crew", json!({ "mcp_servers": ["shell"] })).await;
    people.team("others", json!({ "mcp_servers": ["files"] })).await;
    let internal = people.key_of_role("internal_user").await;
    let place =
        TeamMembership { team_id: "crew".into(), user_id: "user-internal_user".into(), ..TeamMembership::default() };
    people.store.add_team_members(&actor(), "crew", vec![(place, None)]).await.unwrap();
    people.store.create_user(&actor(), User { user_id: "loner".into(), ..User::default() }, Vec::new()).await.unwrap();
    let bare = people.key("bare", json!({ "mcp_servers": ["files"] })).await;
    let gate = people.gateway(config).await;
    assert_eq!(names(&gate.admin(), "/v1/mcp/server?team_id=crew").await, ["shell"]);
    assert_eq!(names(&gate.admin(), "/v1/mcp/server?user_id=user-internal_user").await, ["shell"]);
    assert_eq!(names(&gate.admin(), "/v1/mcp/server?user_id=loner").await, ["files", "shell"]);
    assert_eq!(names(&gate.admin(), "/v1/mcp/server?team_id=nobody").await, [""; 0]);
    let member = gate.holder(&internal);
    assert_eq!(names(&member, "/v1/mcp/server?team_id=crew").await, ["shell"]);
    assert_eq!(names(&member, "/v1/mcp/server?user_id=user-internal_user").await, ["shell"]);
    let refused = member.get("/v1/mcp/server?team_id=nobody").await;
    for query in ["team_id=others", "team_id=%20others%20"] {
        let reply = member.get(&format!("/v1/mcp/server?{query}")).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (403, refused.text()), "{query}");
    }
    assert_eq!(member.get("/v1/mcp/server?user_id=loner").await.status, 403);
    assert_eq!(gate.holder(&bare).get("/v1/mcp/server?team_id=others").await.status, 403);
}

#[tokio::test]
async fn the_registry_is_there_for_everybody_where_it_is_switched_on() {
    let (config, fake) = servers().await;
    let gate = TestGateway::start(config).await;
    let reply = gate.admin().get("/v1/mcp/registry.json").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (404, json!({ "detail": "MCP registry is not enabled" })));

    let config = crate::support::config()
        .general("enable_mcp_registry: true")
        .general("mcp_internal_ip_ranges: [10.0.0.0/8]")
        .server("files", fake.entry())
        .server("inner", fake.entry().with("available_on_public_internet: false"));
    let gate = TestGateway::start(config).await;
    let told = gate.anonymous().get("/v1/mcp/registry.json").await.json();
    let urls: Vec<&Value> =
        told["servers"].as_array().unwrap().iter().map(|entry| &entry["server"]["remotes"][0]["url"]).collect();
    assert_eq!(urls, [&json!(gate.url("/mcp")), &json!(gate.url("/files/mcp"))]);
}

#[tokio::test]
async fn toolsets_are_made_by_admins_and_seen_by_those_who_hold_them() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let viewer = people.key_of_role("proxy_admin_viewer").await;
    let gate = people.gateway(config).await;
    let path = "/v1/mcp/toolset";
    let body = json!({ "toolset_name": "reading", "tools": [{ "server_id": "id-files", "tool_name": "read" }] });
    let reply = gate.admin().post(path, body.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let made = reply.json();
    let id = made["toolset_id"].as_str().unwrap().to_owned();
    assert_eq!((&made["toolset_name"], &made["tools"]), (&json!("reading"), &body["tools"]));
    let taken = gate.admin().post(path, body.to_string()).await;
    assert_eq!(
        (taken.status.as_u16(), taken.json()),
        (409, json!({ "detail": { "error": "A toolset named 'reading' already exists." } }))
    );

    let holder = people.key("holder", json!({ "mcp_toolsets": [id] })).await;
    let other = people.key("other", json!({ "mcp_servers": ["files"] })).await;
    let listed = |caller: Caller| async move { caller.get(path).await.json().as_array().unwrap().len() };
    for (caller, expected) in
        [(gate.admin(), 1), (gate.holder(&viewer), 1), (gate.holder(&holder), 1), (gate.holder(&other), 0)]
    {
        assert_eq!(listed(caller.clone()).await, expected);
        let one = caller.get(&format!("{path}/{id}")).await;
        assert_eq!(one.status.as_u16(), if expected == 1 { 200 } else { 404 }, "{one:?}");
    }
    assert_eq!(gate.holder(&holder).names("/mcp/reading", "tools/list", "tools", "name").await, ["files-read"]);

    for (caller, status) in [(gate.holder(&holder), 401), (gate.holder(&viewer), 403)] {
        assert_eq!(caller.post(path, body.to_string()).await.status.as_u16(), status);
        assert_eq!(caller.delete(&format!("{path}/{id}")).await.status.as_u16(), status);
    }
    let put = async |body: Value| gate.admin().send(http::Method::PUT, path, body.to_string()).await;
    let changed = put(json!({ "toolset_id": id, "description": "for readers" })).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["description"]), (200, &json!("for readers")), "{changed:?}");
    assert_eq!(changed.json()["tools"], body["tools"], "what is absent stays");
    let changed = put(
        json!({ "toolset_id": id, "description": null, "tools": [{ "server_id": "id-files", "tool_name": "write" }] }),
    )
    .await;
    assert_eq!(changed.json()["description"], Value::Null);
    assert_eq!(gate.holder(&holder).names("/mcp/reading", "tools/list", "tools", "name").await, ["files-write"]);
    assert_eq!(put(json!({ "toolset_id": "none" })).await.status, 404);

    for wrong in
        [json!({ "toolset_name": "a/b" }), json!({ "toolset_name": " " }), json!({ "toolset_nam": "a" }), json!({})]
    {
        let reply = gate.admin().post(path, wrong.to_string()).await;
        assert_eq!(reply.status, 422, "{wrong}: {reply:?}");
    }
    assert_eq!(gate.admin().delete(&format!("{path}/{id}")).await.status, 202);
    assert_eq!(gate.admin().delete(&format!("{path}/{id}")).await.status, 404);
    let gone = gate.holder(&holder).post("/mcp/reading", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
    assert_eq!(gone.status, 404);
}
