//! `/v1/mcp/server`: servers are made, changed, tried and deleted over LiteLLM's routes.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::{AuditFilter, PageOf};

use crate::support::{Caller, FakeMcp, People, Reply, Scripted, TestGateway, config, script, tool};

async fn put(caller: &Caller, body: &Value) -> Reply {
    caller.send(Method::PUT, "/v1/mcp/server", body.to_string()).await
}

async fn post(caller: &Caller, body: &Value) -> Reply {
    caller.post("/v1/mcp/server", body.to_string()).await
}

fn made(reply: &Reply) -> Value {
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

#[tokio::test]
async fn a_server_is_made_changed_and_deleted() {
    let fake = FakeMcp::start(script().tools(&["find", "lose"])).await;
    let people = People::new().await;
    let gate = people.gateway(config()).await;
    let admin = gate.admin();
    let body = json!({
        "server_name": "city maps", "url": fake.url(), "transport": "http", "description": "Maps",
        "auth_type": "bearer_token", "credentials": { "auth_value": "upstream-secret-1" },
        "static_headers": { "X-Extra": "upstream-secret-2" }, "allowed_tools": ["find"],
        "mcp_access_groups": ["geo"], "mcp_info": { "logo_url": "https://example.com/logo.png" },
    });
    let reply = post(&admin, &body).await;
    let row = made(&reply);
    assert!(!reply.text().contains("upstream-secret"), "{}", reply.text());
    let id = row["server_id"].as_str().unwrap().to_owned();
    for (field, expected) in [
        ("is_config", json!(false)),
        ("alias", json!("city_maps")),
        ("credentials", json!({ "auth_value": "********" })),
        ("static_headers", json!({ "X-Extra": "********" })),
        ("approval_status", json!("active")),
        ("created_by", json!("default_user_id")),
        ("submitted_by", Value::Null),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    assert_eq!(admin.tool_names().await, ["city_maps-find"], "it counts at once");
    assert_eq!(admin.call("city_maps-find", json!({})).await.result()["isError"], Value::Null);
    let seen = fake.only("tools/call");
    let sent = (seen.header("authorization"), seen.header("x-extra"));
    assert_eq!(sent, (Some("Bearer upstream-secret-1"), Some("upstream-secret-2")));

    // The whole row sent back changes nothing, secrets least of all.
    let told = admin.get(&format!("/v1/mcp/server/{id}")).await.json();
    let reply = put(&admin, &told).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(admin.call("city_maps-find", json!({})).await.result()["isError"], Value::Null);
    assert_eq!(fake.seen_of("tools/call")[1].header("authorization"), Some("Bearer upstream-secret-1"));

    let reply = put(&admin, &json!({ "server_id": id, "alias": "atlas", "allowed_tools": null })).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["alias"]), (202, &json!("atlas")));
    assert_eq!(admin.tool_names().await, ["atlas-find", "atlas-lose"]);
    let told = admin.get(&format!("/v1/mcp/server/{id}")).await.json();
    assert_eq!((&told["description"], &told["mcp_access_groups"]), (&json!("Maps"), &json!(["geo"])), "{told}");

    assert_eq!(admin.delete(&format!("/v1/mcp/server/{id}")).await.status, 202);
    assert_eq!(admin.tool_names().await, [""; 0]);
    let reply = admin.delete(&format!("/v1/mcp/server/{id}")).await;
    let text = format!("MCP Server not found, passed server_id={id}");
    assert_eq!((reply.status.as_u16(), reply.json()), (404, json!({ "detail": { "error": text } })));
    assert_eq!(put(&admin, &json!({ "server_id": id, "alias": "x" })).await.status, 404);
    let filter = AuditFilter { object_id: Some(id), ..AuditFilter::default() };
    let log = people.store.audit_log(&filter, PageOf::new(1, 10)).await.unwrap().items;
    let actions: Vec<_> = log.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["created", "updated", "updated", "deleted"]);
    assert!(!format!("{log:?}").contains("upstream-secret"));
}

#[tokio::test]
async fn what_breaks_a_rule_is_told_by_its_field_and_nothing_is_kept() {
    let fake = FakeMcp::start(script()).await;
    let gate = People::new().await.gateway(config().server("files", fake.entry().with("server_id: id-files"))).await;
    let admin = gate.admin();
    let with = |more: Value| {
        let mut body = json!({ "server_name": "maps", "url": "https://example.com/mcp", "transport": "http" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({ "url": "example.com/mcp" }), "url", "no scheme"),
        (json!({ "url": "ftp://example.com" }), "url", "only http and https"),
        (json!({ "url": "https://u:p@example.com/" }), "url", "user name or password"),
        (json!({ "url": null }), "url", "no `url`"),
        (json!({ "server_name": "a-b" }), "server_name", "`-`"),
        (json!({ "server_name": null }), "server_name", "name or an alias"),
        (json!({ "server_name": "files" }), "server_name", "of the configuration file"),
        (json!({ "server_name": "all-team-mcpservers", "alias": "x" }), "server_name", "meaning of its own"),
        (json!({ "alias": "files" }), "alias", "of the configuration file"),
        (json!({ "transport": "pigeon" }), "transport", "pigeon"),
        (json!({ "auth_type": "token", "credentials": { "auth_value": "a\nb" } }), "credentials.auth_value", "control"),
        (json!({ "static_headers": { "Host": "x" } }), "static_headers.Host", "belongs to the connection"),
        (json!({ "static_headers": { "X-A": "********" } }), "static_headers.X-A", "covered"),
        (json!({ "credentials": { "auth_value": "********" } }), "credentials.auth_value", "covered"),
        // What is covered when it is told is no place for what an admin must see.
        (json!({ "credentials": { "command": "python3" } }), "credentials.command", "no such credential"),
        (json!({ "credentials": { "access_groups": ["all"] } }), "credentials.access_groups", "no such credential"),
        (json!({ "env_vars": [{ "name": "1A" }] }), "env_vars[0].name", "not a variable's name"),
        (json!({ "timeout": -1.0 }), "timeout", "-1"),
        (json!({ "server_id": "a/b" }), "server_id", "part of paths"),
        (json!({ "urll": "x" }), "urll", "did you mean `url`"),
        // Files and the environment are the file's alone.
        (json!({ "spec_path": "/etc/passwd" }), "spec_path", "cannot name a file"),
        (json!({ "spec_path": "file:///etc/passwd" }), "spec_path", "cannot name a file"),
        (
            json!({ "auth_type": "token", "credentials": { "auth_value": "os.environ/PATH" } }),
            "credentials.auth_value",
            "in the file only",
        ),
        (json!({ "description": "os.environ/PATH" }), "description", "in the file only"),
    ];
    for (more, param, words) in cases {
        let reply = post(&admin, &with(more.clone())).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (422, &json!(param)), "{more}: {reply:?}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(words), "{more}: {}", reply.text());
    }
    let reply = post(&admin, &with(json!({ "server_id": "id-files" }))).await;
    assert_eq!((reply.status.as_u16(), reply.text().contains("already exists")), (400, true), "{reply:?}");
    assert_eq!(admin.get("/v1/mcp/server").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn servers_of_the_file_are_changed_in_the_file_alone() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = People::new().await.gateway(config().server("files", fake.entry().with("server_id: id-files"))).await;
    let admin = gate.admin();
    let replies = [
        put(&admin, &json!({ "server_id": "id-files", "alias": "x" })).await,
        admin.delete("/v1/mcp/server/id-files").await,
    ];
    for reply in replies {
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.text().contains("mcp_servers.files"), "{}", reply.text());
    }
    assert_eq!(admin.tool_names().await, ["files-read"]);
}

#[tokio::test]
async fn only_admins_make_servers_and_only_they_are_told_where_one_is() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let user = people.key_of_role("internal_user").await;
    let viewer = people.key_of_role("proxy_admin_viewer").await;
    let gate = people.gateway(config()).await;
    let url = format!("{}?key=upstream-secret-1", fake.url());
    let body = json!({
        "server_id": "id-maps", "server_name": "maps", "url": url, "transport": "http", "allow_all_keys": true,
        "static_headers": { "X-A": "upstream-secret-2" },
    });
    for key in [&user, &viewer] {
        let caller = gate.holder(key);
        assert!(matches!(post(&caller, &body).await.status.as_u16(), 401 | 403));
        assert!(matches!(put(&caller, &body).await.status.as_u16(), 401 | 403));
        assert!(matches!(caller.delete("/v1/mcp/server/id-maps").await.status.as_u16(), 401 | 403));
    }
    made(&post(&gate.admin(), &body).await);
    assert_eq!(gate.holder(&user).tool_names().await, ["maps-find"]);
    let path = "/v1/mcp/server/id-maps";
    let (seen, viewed) = (gate.holder(&user).get(path).await, gate.holder(&viewer).get(path).await);
    assert_eq!((&seen.json()["url"], &seen.json()["static_headers"]), (&Value::Null, &Value::Null));
    assert_eq!(viewed.json()["url"], json!(fake.url()));
    assert_eq!(gate.admin().get(path).await.json()["url"], json!(url));
    assert!(!format!("{}{}", seen.text(), viewed.text()).contains("upstream-secret"));
}

#[tokio::test]
async fn a_program_is_started_through_the_api_only_where_that_is_on_and_it_is_an_allowed_one() {
    let directory = tempfile::tempdir().unwrap();
    let trick = directory.path().join("python3");
    std::fs::write(&trick, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&trick, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mark = directory.path().join("mark");
    let program = format!("open({:?}, 'w')", mark.display().to_string());
    let body = |command: &str, env: Value| {
        json!({
            "server_name": "py", "transport": "stdio", "command": command, "args": ["-c", program], "env": env,
        })
    };
    let off = People::new().await.gateway(config()).await;
    let on = People::new().await.gateway(config().env("LITELLM_ENABLE_MCP_STDIO", "true")).await;
    let refused = [
        (&off, body("python3", json!({})), "transport"),
        (&on, body(&trick.display().to_string(), json!({})), "command"),
        (&on, body("sh", json!({})), "command"),
        (&on, body("../python3", json!({})), "command"),
        (&on, body("python3", json!({ "LD_PRELOAD": "x.so" })), "env.LD_PRELOAD"),
        (&on, body("python3", json!({ "PATH": "/tmp" })), "env.PATH"),
    ];
    for (gate, body, param) in refused {
        for path in ["/v1/mcp/server", "/mcp-rest/test/connection", "/mcp-rest/test/tools/list"] {
            let reply = gate.admin().post(path, body.to_string()).await;
            let found = (reply.status.as_u16(), reply.json()["error"]["param"].clone());
            assert_eq!(found, (422, json!(param)), "{path} {body}: {reply:?}");
        }
    }
    assert!(!mark.exists());
    let row = made(&post(&on.admin(), &body("python3", json!({}))).await);
    assert_eq!((&row["command"], &row["transport"]), (&json!("python3"), &json!("stdio")));
    // It is started, and is no MCP server.
    on.admin().rpc("tools/list", json!({})).await.error();
    assert!(mark.exists());
}

#[tokio::test]
async fn a_server_is_tried_before_it_is_kept() {
    let fake = FakeMcp::start(script().tools(&["find", "lose"])).await;
    let people = People::new().await;
    let user = people.key_of_role("internal_user").await;
    let gate = people.gateway(config()).await;
    let body = json!({ "url": fake.url(), "disallowed_tools": ["lose"], "auth_type": "api_key",
                       "credentials": { "auth_value": "upstream-secret-1" } });
    let reply = gate.admin().post("/mcp-rest/test/connection", body.to_string()).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["status"]), (200, &json!("ok")), "{reply:?}");
    assert_eq!(fake.only("initialize").header("x-api-key"), Some("upstream-secret-1"));
    let told = gate.admin().post("/mcp-rest/test/tools/list", body.to_string()).await.json();
    let names: Vec<&Value> = told["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!((names, &told["error"]), (vec![&json!("find")], &Value::Null));
    let dead = json!({ "url": "http://127.0.0.1:9/mcp", "transport": "http" }).to_string();
    for path in ["/mcp-rest/test/connection", "/mcp-rest/test/tools/list"] {
        let reply = gate.admin().post(path, dead.clone()).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (200, &json!(true)), "{path}: {reply:?}");
        assert!(matches!(gate.holder(&user).post(path, dead.clone()).await.status.as_u16(), 401 | 403), "{path}");
    }
    assert_eq!(gate.admin().get("/v1/mcp/server").await.json(), json!([]), "nothing was kept");
    // Of a server that is kept, covered values are those that are kept.
    let kept = json!({ "server_id": "id-maps", "server_name": "maps", "url": fake.url(), "auth_type": "api_key",
                       "credentials": { "auth_value": "upstream-secret-2" } });
    made(&post(&gate.admin(), &kept).await);
    let told = gate.admin().get("/v1/mcp/server/id-maps").await.text().to_owned();
    let before = fake.count_of("initialize");
    assert_eq!(gate.admin().post("/mcp-rest/test/connection", told).await.json()["status"], "ok");
    assert_eq!(fake.seen_of("initialize")[before].header("x-api-key"), Some("upstream-secret-2"));
}

#[tokio::test]
async fn health_asks_each_server_and_is_kept_with_those_of_the_database() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let gate: TestGateway = people.gateway(config().server("files", fake.entry().with("server_id: id-files"))).await;
    let admin = gate.admin();
    for (id, url, auth) in [
        ("id-maps", fake.url(), Value::Null),
        ("id-dead", "http://127.0.0.1:9/mcp".to_owned(), Value::Null),
        ("id-later", fake.url(), json!("oauth2")),
    ] {
        let body = json!({ "server_id": id, "server_name": id, "alias": id, "url": url, "transport": "http",
                           "auth_type": auth });
        made(&post(&admin, &body).await);
    }
    let health = admin.get("/v1/mcp/server/health").await.json();
    let expected = [("id-files", "healthy"), ("id-maps", "healthy"), ("id-dead", "unhealthy"), ("id-later", "unknown")];
    let expected: Value = expected.iter().map(|(id, status)| json!({ "server_id": id, "status": status })).collect();
    assert_eq!(health, expected);
    let one = admin.get("/v1/mcp/server/health?server_ids=id-dead").await.json();
    assert_eq!(one, json!([{ "server_id": "id-dead", "status": "unhealthy" }]));
    let row = people.store.server("id-dead").await.unwrap().unwrap();
    assert_eq!(row.status.as_deref(), Some("unhealthy"));
    assert!(row.last_health_check.is_some() && row.health_check_error.unwrap().contains("id-dead"));
    // A connection that is there is asked over MCP, too.
    assert_eq!(fake.count_of("ping"), 0);
    admin.get("/v1/mcp/server/health?server_ids=id-maps").await;
    assert_eq!(fake.count_of("ping"), 1);
}

#[tokio::test]
async fn tools_are_pinned_as_they_are_and_what_comes_later_is_kept_out() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let gate = People::new().await.gateway(config().server("files", fake.entry().with("server_id: id-files"))).await;
    let admin = gate.admin();
    let body = json!({ "server_id": "id-maps", "server_name": "maps", "url": fake.url(), "transport": "http",
                       "tool_name_to_display_name": { "find": "seek" } });
    made(&post(&admin, &body).await);
    let reply = admin.post("/v1/mcp/server/id-maps/pin", "").await;
    assert_eq!((reply.status.as_u16(), reply.json()["pinned_tools"]["find"].is_object()), (200, true), "{reply:?}");
    fake.turn("tools/list", Scripted::Result(json!({ "tools": [tool("find"), tool("lose")] }).to_string()));
    fake.restart();
    admin.get("/v1/mcp/server/health").await;
    gate.until(async || admin.tool_names().await == ["files-find", "files-lose", "seek"]).await;
    assert_eq!(admin.call("maps-lose", json!({})).await.error_code(), -32012);
    let reply = admin.delete("/v1/mcp/server/id-maps/pin").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["pinned_tools"]), (200, &Value::Null), "{reply:?}");
    gate.until(async || admin.tool_names().await.contains(&"maps-lose".to_owned())).await;
    assert_eq!(admin.post("/v1/mcp/server/id-files/pin", "").await.status, 400);
    assert_eq!(admin.post("/v1/mcp/server/none/pin", "").await.status, 404);
}
