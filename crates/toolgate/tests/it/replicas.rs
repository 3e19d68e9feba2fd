//! Two gateways on one database: what is done on one is so on the other within a second.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::Store;

use crate::support::postgres::PgDatabase;
use crate::support::{Caller, Server, TestGateway, config, everything, memory, soon, within_a_second};

async fn made(caller: &Caller, path: &str, body: Value) -> Value {
    let reply = caller.post(path, body.to_string()).await;
    assert!(reply.status.is_success(), "{path}: {reply:?}");
    reply.json()
}

/// Has a change taken by a gateway whose own connections may have been cut: then it is told to come again.
async fn taken(caller: &Caller, method: Method, path: &str, body: Value) {
    let reply = soon("the change", async {
        loop {
            let reply = caller.send(method.clone(), path, body.to_string()).await;
            if reply.status != 503 {
                return reply;
            }
        }
    });
    let reply = reply.await;
    assert!(reply.status.is_success(), "{path}: {reply:?}");
}

fn url(server: &Server) -> String {
    server.direct.task("")["target"]["url"].as_str().unwrap().to_owned()
}

/// The whole life of a server that is made through the API, seen from a gateway that did not make it.
async fn a_servers_life(one: &TestGateway, other: &TestGateway, cut: impl Fn()) {
    let real = everything::streamable().await;
    let (admin, elsewhere) = (one.admin(), other.admin());
    let row = made(
        &admin,
        "/v1/mcp/server",
        json!({ "server_name": "everything", "url": url(&real), "transport": "http", "disallowed_tools": ["get-env"] }),
    )
    .await;
    let id = row["server_id"].as_str().unwrap();
    let key = made(&admin, "/key/generate", json!({ "object_permission": { "mcp_servers": [id] } })).await;
    let key = key["key"].as_str().unwrap();
    let (here, there) = (one.holder(key), other.holder(key));
    let echo = json!({ "message": "hello" });
    assert_eq!(here.call("everything-echo", echo.clone()).await.tool_text(), "Echo: hello");
    assert!(!here.tool_names().await.contains(&"everything-get-env".to_owned()));
    within_a_second("the other gateway has the server", async || !there.tool_names().await.is_empty()).await;
    assert_eq!(there.call("everything-echo", echo.clone()).await.tool_text(), "Echo: hello");

    cut();
    taken(&admin, Method::PUT, "/v1/mcp/server", json!({ "server_id": id, "alias": "all" })).await;
    let renamed = async || there.tool_names().await.iter().any(|name| name == "all-echo");
    within_a_second("the other gateway, whose connections were cut, has the change", renamed).await;
    assert_eq!(there.call("all-echo", echo).await.tool_text(), "Echo: hello");

    assert_eq!(elsewhere.delete(&format!("/v1/mcp/server/{id}")).await.status, 202);
    within_a_second("the server is gone", async || here.tool_names().await.is_empty()).await;
    assert_eq!(here.call("all-echo", json!({})).await.error_code(), -32602);
}

async fn gateway(store: Store) -> TestGateway {
    TestGateway::start_with_store(config(), store).await
}

#[tokio::test]
async fn a_real_server_lives_its_life_on_one_gateway() {
    let gate = gateway(memory().await).await;
    a_servers_life(&gate, &gate, || {}).await;
}

#[tokio::test]
async fn two_gateways_on_one_postgresql_act_as_one() {
    let Some(database) = PgDatabase::create() else { return };
    let (one, other) = (gateway(database.open().await).await, gateway(database.open().await).await);
    a_servers_life(&one, &other, || database.cut_connections()).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_key_that_is_taken_back_on_one_gateway_is_refused_on_the_other_within_a_second() {
    let Some(database) = PgDatabase::create() else { return };
    let (one, other) = (gateway(database.open().await).await, gateway(database.open().await).await);
    let refused = [("/key/block", "key"), ("/key/delete", "keys"), ("/key/regenerate", "key")];
    for are_cut in [false, true] {
        for (path, field) in refused {
            let key = made(&one.admin(), "/key/generate", json!({})).await["key"].as_str().unwrap().to_owned();
            let there = other.holder(&key);
            let answers = async |status: u16| there.get("/v1/mcp/server").await.status == status;
            within_a_second("the key is known", async || answers(200).await).await;
            if are_cut {
                database.cut_connections();
            }
            let keys = if field == "keys" { json!([key]) } else { json!(key) };
            taken(&one.admin(), Method::POST, path, json!({ field: keys })).await;
            within_a_second(path, async || answers(401).await).await;
        }
    }
    one.stop().await;
    other.stop().await;
}
