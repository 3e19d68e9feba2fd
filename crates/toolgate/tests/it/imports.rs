//! Servers are taken over from clients' files and registries, shown to everybody, and sessions are seen and ended.

use serde_json::{Value, json};

use crate::support::{Caller, FakeMcp, People, Reply, config, script};

async fn import(caller: &Caller, query: &str, document: &Value) -> Reply {
    caller.post(&format!("/v1/mcp/server/import{query}"), document.to_string()).await
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_clients_file_is_taken_over_and_what_cannot_be_is_told_with_its_reason() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let gate = people.gateway(config().env("LITELLM_ENABLE_MCP_STDIO", "true")).await;
    let admin = gate.admin();
    let document = json!({ "mcpServers": {
        "city-maps": { "url": fake.url(), "headers": { "Authorization": "Bearer upstream-secret-1", "X-Team": "geo" } },
        "windsurf": { "serverUrl": fake.url() },
        "bridged": { "command": "npx", "args": ["-y", "mcp-remote", fake.url(), "--header", "X-Key: upstream-secret-2"] },
        "py": { "command": "python3", "args": ["-c", "pass"], "env": { "A": "b" }, "alwaysAllow": ["x"] },
        "off": { "url": fake.url(), "disabled": true },
        "shell": { "command": "sh", "args": ["-c", "id"] },
        "both": { "url": fake.url(), "command": "npx" },
        "neither": { "type": "http" },
        "pigeon": { "type": "pigeon", "url": fake.url() },
        "environment": { "url": fake.url(), "headers": { "X-Key": "${env:KEY}" } },
        "elsewhere": { "command": "python3", "cwd": "/home/somebody" },
        "nonsense": { "url": 5 },
        "--": { "url": fake.url() },
    } });
    let preview = import(&admin, "?preview=true", &document).await;
    assert_eq!(preview.status, 200, "{preview:?}");
    assert_eq!(names(&preview.json()["preview"]), ["city-maps", "windsurf", "bridged", "py"]);
    assert_eq!(people.store.servers().await.unwrap().len(), 0, "nothing is kept by a preview");

    let told = import(&admin, "", &document).await;
    let answer = told.json();
    assert_eq!(names(&answer["imported"]), ["city-maps", "windsurf", "bridged", "py"], "{answer}");
    assert_eq!(names(&answer["skipped"]), ["off"]);
    let reason = |name: &str| {
        let found = answer["errors"].as_array().unwrap().iter().find(|error| error["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {answer}"))["error"].as_str().unwrap().to_owned()
    };
    for (name, words) in [
        ("shell", "not a program that servers of the database may be"),
        ("both", "both a url and a command"),
        ("neither", "either a url or a command"),
        ("pigeon", "Unsupported connector type 'pigeon'"),
        ("environment", "its own environment"),
        ("elsewhere", "on the client's machine"),
        ("nonsense", "`url`"),
        ("--", "no letter or digit"),
    ] {
        assert!(reason(name).contains(words), "{name}: {}", reason(name));
    }
    assert!(!format!("{}{}", preview.text(), told.text()).contains("upstream-secret"));
    admin.call("city_maps-find", json!({})).await.result();
    admin.call("bridged-find", json!({})).await.result();
    let calls = fake.seen_of("tools/call");
    let sent = (calls[0].header("authorization"), calls[0].header("x-team"), calls[1].header("x-key"));
    assert_eq!(sent, (Some("Bearer upstream-secret-1"), Some("geo"), Some("upstream-secret-2")));
    // A second time, they are there.
    let again = import(&admin, "", &document).await.json();
    assert_eq!((names(&again["imported"]).len(), names(&again["skipped"]).len()), (0, 5), "{again}");
    for refused in [json!({}), json!({ "mcpServers": {} }), json!({ "servers": "x" })] {
        assert_eq!(import(&admin, "", &refused).await.status, 400, "{refused}");
    }
}

#[tokio::test]
async fn what_an_editor_asks_its_user_for_becomes_a_value_of_each_users_own() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let gate = People::new().await.gateway(config()).await;
    let admin = gate.admin();
    let document = json!({
        "inputs": [{ "id": "api-key", "type": "promptString", "description": "Your key", "password": true }],
        "servers": { "maps": { "type": "http", "url": fake.url(), "headers": { "X-Key": "key ${input:api-key}" } } },
    });
    let told = import(&admin, "", &document).await.json();
    let id = told["imported"][0]["server_id"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    let path = format!("/v1/mcp/server/{id}/user-env-vars");
    let wanted = admin.get(&path).await.json();
    assert_eq!(wanted["env_vars"], json!([{ "name": "API_KEY", "description": "Your key", "is_set": false }]));
    admin.post(&path, json!({ "values": { "API_KEY": "abc" } }).to_string()).await;
    admin.call("maps-find", json!({})).await.result();
    assert_eq!(fake.only("tools/call").header("x-key"), Some("key abc"));
}

#[tokio::test]
async fn a_registrys_description_is_taken_over() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let gate = people
        .gateway(config().env("LITELLM_ENABLE_MCP_STDIO", "true").env("LITELLM_MCP_STDIO_EXTRA_COMMANDS", "sh"))
        .await;
    let admin = gate.admin();
    let remote = json!({
        "name": "com.example/city-maps", "description": "Maps", "version": "1.0.0",
        "remotes": [
            { "type": "sse", "url": "https://example.com/sse" },
            { "type": "streamable-http", "url": fake.url(), "headers": [
                { "name": "X-Key", "isRequired": true, "isSecret": true, "description": "Your key" },
                { "name": "X-Fixed", "value": "yes" },
                { "name": "X-Optional" },
            ] },
        ],
    });
    let told = import(&admin, "?preview=true", &remote).await.json();
    let row = &told["preview"][0]["server"];
    assert_eq!(
        (&row["alias"], &row["transport"], &row["url"]),
        (&json!("city_maps"), &json!("http"), &json!(fake.url()))
    );
    assert_eq!(row["static_headers"], json!({ "X-Fixed": "********", "X-Key": "********" }));
    assert_eq!(row["env_vars"][0]["name"], "X_KEY");
    let package = |kind: &str| {
        json!({ "name": "com.example/packed", "packages": [{
            "registryType": kind, "identifier": "packed", "version": "1.2.3", "transport": { "type": "stdio" },
            "packageArguments": [{ "type": "named", "name": "--mode", "value": "fast" }],
            "environmentVariables": [{ "name": "LEVEL", "default": "info" }, { "name": "TOKEN", "isRequired": true }],
        }] })
    };
    let told = import(&admin, "?preview=true", &json!({ "servers": [{ "server": package("npm") }] })).await.json();
    let row = &told["preview"][0]["server"];
    assert_eq!(
        (&row["command"], &row["args"]),
        (&json!("npx"), &json!(["-y", "packed@1.2.3", "--mode", "fast"])),
        "{told}"
    );
    assert_eq!(row["env"], json!({ "LEVEL": "********", "TOKEN": "********" }));
    let told = import(&admin, "?preview=true", &package("mcpb")).await.json();
    assert!(told["errors"][0]["error"].as_str().unwrap().contains("no package that can be run"), "{told}");
    let templated =
        json!({ "name": "x/y", "remotes": [{ "type": "streamable-http", "url": "https://{tenant}.example.com" }] });
    let told = import(&admin, "", &templated).await.json();
    assert!(told["errors"][0]["error"].as_str().unwrap().contains("whole URL"), "{told}");
    assert_eq!(people.store.servers().await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_made_public_is_shown_to_everybody_and_nothing_else() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let config = || {
        let inside = fake.entry().with("server_id: id-in").with("available_on_public_internet: false");
        config().server("inside", inside).server("outside", fake.entry().with("server_id: id-out"))
    };
    let gate = people.gateway(config()).await;
    let hub = async || gate.anonymous().get("/public/mcp_hub").await.json();
    assert_eq!(hub().await, json!([]));
    let body = json!({ "mcp_server_ids": ["id-in"] }).to_string();
    let reply = gate.admin().post("/v1/mcp/make_public", body).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["public_mcp_servers"]), (202, &json!(["id-in"])), "{reply:?}");
    let shown = hub().await;
    assert_eq!((names(&shown), &shown[0]["url"]), (vec!["inside"], &json!("/inside/mcp")));
    assert!(!shown.to_string().contains(&fake.url()), "where it is is not told");
    let told = gate.admin().get("/v1/mcp/server/id-in").await.json();
    assert_eq!(told["mcp_info"]["is_public"], true);
    let unknown = gate.admin().post("/v1/mcp/make_public", r#"{"mcp_server_ids":["id-in","nobody"]}"#).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(names(&hub().await), ["inside"], "a wrong list changes nothing");
    gate.admin().post("/v1/mcp/make_public", r#"{"mcp_server_ids":[]}"#).await;
    assert_eq!(hub().await, json!([]));
    let viewer = people.key_of_role("proxy_admin_viewer").await;
    let found = gate.holder(&viewer).get("/v1/mcp/discover?query=github").await.json();
    assert_eq!(names(&found["servers"]), ["github"]);
    assert!(found["categories"].as_array().unwrap().len() > 1);
}

#[tokio::test]
async fn sessions_in_use_are_seen_and_ended_by_admins() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let user = people.key_of_role("internal_user").await;
    let gate = people.gateway(config().server("maps", fake.entry().with("allow_all_keys: true"))).await;
    let session = gate.holder(&user).initialized_at("/mcp").await;
    let other = gate.admin().initialized_at("/mcp").await;
    for caller in [&session, &other] {
        caller.call("maps-find", json!({})).await.result();
    }
    let told = gate.admin().get("/v1/mcp/sessions").await;
    assert_eq!(told.json()["total"], 2, "{told:?}");
    assert!(!told.text().contains(session.header("mcp-session-id")), "the token is the client's alone");
    let of_user = gate.admin().get("/v1/mcp/sessions?user_id=user-internal_user").await.json();
    let found = &of_user["sessions"][0];
    assert_eq!((&of_user["total"], &found["protocol_version"]), (&json!(1), &json!("2025-11-25")), "{of_user}");
    assert!(matches!(session.get("/v1/mcp/sessions").await.status.as_u16(), 401 | 403));
    assert!(matches!(session.delete("/v1/mcp/sessions?user_id=x").await.status.as_u16(), 401 | 403));
    assert_eq!(gate.admin().delete("/v1/mcp/sessions").await.status, 400);
    assert_eq!(gate.admin().delete("/v1/mcp/sessions?session_id_prefix=abc").await.status, 422);
    let prefix = &found["session_id"].as_str().unwrap()[..8];
    let ended = gate.admin().delete(&format!("/v1/mcp/sessions?session_id_prefix={prefix}")).await.json();
    assert_eq!(ended["terminated"], 1);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(session.post("/mcp", list).await.status, 404);
    assert_eq!(other.post("/mcp", list).await.status, 200);
}
