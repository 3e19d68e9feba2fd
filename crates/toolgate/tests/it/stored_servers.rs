//! Servers of the database beside those of the file: they come, change and go while the gateway runs.

use serde_json::{Value, json};
use toolgate_store::{Change, Secret, Server, ServerChanges};

use crate::support::people::actor;
use crate::support::{Caller, Entry, FakeMcp, People, config, script, soon};

fn row(id: &str, name: &str, url: &str) -> Server {
    Server {
        server_id: id.to_owned(),
        server_name: Some(name.to_owned()),
        url: Some(url.to_owned()),
        transport: "http".to_owned(),
        ..Server::default()
    }
}

async fn has_tools(caller: &Caller, expected: &[&str]) -> bool {
    caller.tool_names().await == expected
}

#[tokio::test]
async fn a_server_of_the_database_joins_changes_and_goes_while_the_others_stay_connected() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let gate = people.gateway(config().server("files", files.entry())).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["files-read"]);

    people.store.create_server(&actor(), row("id-maps", "maps", &maps.url())).await.unwrap();
    gate.until(async || has_tools(&admin, &["files-read", "maps-find"]).await).await;
    assert_eq!(admin.call("maps-find", json!({})).await.result()["isError"], Value::Null);
    // It is known wherever servers are: in grants, health and by its id.
    let holder = people.key("holder", json!({ "mcp_servers": ["id-maps"] })).await;
    assert_eq!(gate.holder(&holder).tool_names().await, ["maps-find"]);
    assert!(gate.admin().get("/health").await.text().contains("id-maps"));

    let changes = ServerChanges { alias: Change::Set(Some("atlas".into())), ..ServerChanges::default() };
    people.store.update_server(&actor(), "id-maps", changes).await.unwrap();
    gate.until(async || has_tools(&admin, &["files-read", "atlas-find"]).await).await;
    people.store.delete_server(&actor(), "id-maps").await.unwrap();
    gate.until(async || has_tools(&admin, &["files-read"]).await).await;
    assert_eq!(gate.holder(&holder).tool_names().await, [""; 0]);
    assert_eq!(admin.call("files-read", json!({})).await.result()["isError"], Value::Null);
    assert_eq!(files.count_of("initialize"), 1, "its session was kept all along");
}

#[tokio::test]
async fn clients_that_listen_hear_of_a_server_that_comes() {
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let gate = people.gateway(config()).await;
    let session = gate.admin().initialized_at("/mcp").await;
    let mut stream = session.open_stream("/mcp").await;
    people.store.create_server(&actor(), row("id-maps", "maps", &maps.url())).await.unwrap();
    let heard = soon("a notification", async {
        loop {
            let message = stream.message().await;
            if message["method"] == "notifications/tools/list_changed" {
                return message;
            }
        }
    });
    heard.await;
    assert_eq!(session.tool_names().await, ["maps-find"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_left_out_alone_and_admins_are_told_why() {
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let damaged = [
        Server { transport: "pigeon".into(), ..row("id-1", "pigeon", &maps.url()) },
        row("id-2", "nowhere", "not a url"),
        Server { credentials: Some(Secret::new("no JSON")), ..row("id-3", "garbled", &maps.url()) },
        Server { url: None, command: Some("python3".into()), transport: "stdio".into(), ..row("id-4", "program", "") },
        Server { approval_status: Some("pending_review".into()), ..row("id-5", "waiting", &maps.url()) },
        Server { approval_status: Some("of some later release".into()), ..row("id-6", "later", &maps.url()) },
    ];
    for row in damaged {
        people.store.create_server(&actor(), row).await.unwrap();
    }
    people.store.create_server(&actor(), row("id-maps", "maps", &maps.url())).await.unwrap();
    let holder = people.key("holder", json!({ "mcp_servers": ["id-1", "id-5", "id-maps"] })).await;
    let gate = people.gateway(config()).await;
    assert_eq!(gate.admin().tool_names().await, ["maps-find"]);
    let told = gate.admin().get("/v1/mcp/server").await.json();
    let why = |id: &str| {
        let row = told.as_array().unwrap().iter().find(|row| row["server_id"] == id);
        row.map(|row| (row["status"].clone(), row["health_check_error"].as_str().unwrap_or_default().to_owned()))
    };
    for (id, words) in [
        ("id-1", "transport: unknown value `pigeon`"),
        ("id-2", "url: not a URL"),
        ("id-3", "`credentials` holds what cannot be read"),
        ("id-4", "transport: servers on stdio cannot be made through the API"),
    ] {
        let (status, text) = why(id).unwrap();
        assert!(status == "unhealthy" && text.contains(words), "{id}: {status} {text}");
    }
    assert_eq!((why("id-5"), why("id-6")), (None, None), "what is not approved is not in this list");
    assert_eq!(gate.admin().get("/v1/mcp/server/id-5").await.json()["approval_status"], "pending_review");
    let holder = gate.holder(&holder);
    let told = holder.get("/v1/mcp/server").await.json();
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    for id in ["id-1", "id-5"] {
        assert_eq!(holder.get(&format!("/v1/mcp/server/{id}")).await.status, 404, "{id}");
    }
    assert_eq!(maps.count_of("initialize"), 1);
}

#[tokio::test]
async fn the_file_goes_before_the_database_and_the_older_row_before_the_younger() {
    let file = FakeMcp::start(script().tools(&["read"])).await;
    let other = FakeMcp::start(script().tools(&["write"])).await;
    let people = People::new().await;
    people.store.create_server(&actor(), row("id-1", "files", &other.url())).await.unwrap();
    people.store.create_server(&actor(), row("id-files", "unlike", &other.url())).await.unwrap();
    people.store.create_server(&actor(), row("id-2", "maps", &other.url())).await.unwrap();
    let aliased = Server { alias: Some("maps".into()), ..row("id-3", "atlas", &other.url()) };
    people.store.create_server(&actor(), aliased).await.unwrap();
    let gate = people.gateway(config().server("files", file.entry().with("server_id: id-files"))).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read", "maps-write"]);
    let told = gate.admin().get("/v1/mcp/server").await.json();
    let left_out: Vec<&Value> = told.as_array().unwrap().iter().filter(|row| row["status"] == "unhealthy").collect();
    assert_eq!(left_out.len(), 3, "{told}");
    assert!(left_out[0]["health_check_error"].as_str().unwrap().contains("of the configuration file"), "{told}");
}

#[tokio::test]
async fn servers_are_kept_in_the_database_only_where_the_configuration_lets_them() {
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    people.store.create_server(&actor(), row("id-maps", "maps", &maps.url())).await.unwrap();
    for (line, expected) in [
        ("store_model_in_db: false", 0),
        ("supported_db_objects: [models]", 0),
        ("supported_db_objects: [models, mcp]", 1),
        ("store_model_in_db: true", 1),
    ] {
        let gate = people.gateway(config().general(line)).await;
        assert_eq!(gate.admin().tool_names().await.len(), expected, "{line}");
        let body = json!({ "server_name": "more", "url": maps.url(), "transport": "http" }).to_string();
        let reply = gate.admin().post("/v1/mcp/server", body).await;
        let refused = reply.status == 403 && reply.text().contains("store_model_in_db");
        assert_eq!(refused, expected == 0, "{line}: {reply:?}");
        people.store.delete_server(&actor(), reply.json()["server_id"].as_str().unwrap_or_default()).await.unwrap();
    }
    let gate = people.gateway(config().env("STORE_MODEL_IN_DB", "False")).await;
    assert_eq!(gate.admin().tool_names().await.len(), 0);
}

#[tokio::test]
async fn a_reload_of_the_file_keeps_the_servers_of_the_database() {
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let people = People::new().await;
    people.store.create_server(&actor(), row("id-maps", "maps", &maps.url())).await.unwrap();
    let gate = people.gateway(config()).await;
    assert_eq!(gate.admin().tool_names().await, ["maps-find"]);
    gate.reload(&config().server("files", files.entry()));
    assert_eq!(gate.admin().tool_names().await, ["files-read", "maps-find"]);
    // The file takes the name, and gives it back.
    gate.reload(&config().server("maps", Entry::http(&files.url())));
    assert_eq!(gate.admin().tool_names().await, ["maps-read"]);
    gate.reload(&config());
    assert_eq!(gate.admin().tool_names().await, ["maps-find"]);
}
