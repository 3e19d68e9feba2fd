//! Two gateways on one database: what is done on one is so on the other within a second.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use toolgate_store::Store;

use crate::support::postgres::PgDatabase;
use crate::support::{Caller, Server, TestGateway, config, everything, memory, soon};

/// How late a replica may be.
const LATEST: Duration = Duration::from_secs(1);

/// Waits until it is so, and says how long that took.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    began.elapsed()
}

async fn made(caller: &Caller, path: &str, body: Value) -> Value {
    let reply = caller.post(path, body.to_string()).await;
    assert!(reply.status.is_success(), "{path}: {reply:?}");
    reply.json()
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
    let late = until("the other gateway has the server", async || !there.tool_names().await.is_empty()).await;
    assert!(late < LATEST, "{late:?}");
    assert_eq!(there.call("everything-echo", echo.clone()).await.tool_text(), "Echo: hello");

    cut();
    let change = json!({ "server_id": id, "alias": "all" }).to_string();
    let reply = soon("the change", async {
        loop {
            let reply = admin.send(Method::PUT, "/v1/mcp/server", change.clone()).await;
            // Its own connections were cut as well.
            if reply.status != 503 {
                return reply;
            }
        }
    })
    .await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let renamed = async || there.tool_names().await.iter().any(|name| name == "all-echo");
    let late = until("the other gateway has the change", renamed).await;
    assert!(late < LATEST, "{late:?} after the connections were cut");
    assert_eq!(there.call("all-echo", echo).await.tool_text(), "Echo: hello");

    assert_eq!(elsewhere.delete(&format!("/v1/mcp/server/{id}")).await.status, 202);
    let late = until("the server is gone", async || here.tool_names().await.is_empty()).await;
    assert!(late < LATEST, "{late:?}");
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
