//! Customers: whom a request is made for narrows what its key reaches, and a blocked one is refused.

use serde_json::json;
use toolgate_access::permission::ObjectPermission;
use toolgate_store::Key;

use crate::support::{Caller, FakeMcp, TestGateway, config, key_of, memory, script, soon};

const KEY: &str = "sk-of-the-shop";

async fn start(general: &str) -> (TestGateway, FakeMcp, Caller) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let store = memory().await;
    let all = ObjectPermission { mcp_servers: Some(vec!["files".into()]), ..ObjectPermission::default() };
    key_of(&store, KEY, Key { object_permission: Some(all), ..Key::default() }).await;
    let config = config().server("files", files.entry()).general(general);
    let gate = TestGateway::start_with_store(config, store).await;
    let shop = gate.anonymous().with("authorization", &format!("Bearer {KEY}"));
    (gate, files, shop)
}

async fn did(gate: &TestGateway, path: &str, body: serde_json::Value) -> serde_json::Value {
    let reply = gate.admin().post(path, body.to_string()).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

#[tokio::test]
async fn a_customer_narrows_keys_and_the_master_key_and_its_changes_hold_at_once() {
    let (gate, _files, shop) = start("user_header_name: X-Shopper").await;
    let headers = ["x-litellm-customer-id", "x-litellm-end-user-id", "x-shopper"];
    for header in headers {
        assert_eq!(shop.clone().with(header, "carl").tool_names().await.len(), 2, "nobody knows carl");
    }
    let permission = json!({ "mcp_tool_permissions": { "files": ["read"] } });
    let made = did(&gate, "/customer/new", json!({ "user_id": "carl", "object_permission": permission })).await;
    assert!(made["object_permission_id"].is_string(), "{made}");
    for header in headers {
        let carl = shop.clone().with(header, "carl");
        soon("carl's bound", async { while carl.tool_names().await != ["files-read"] {} }).await;
        assert_eq!(carl.call("files-write", json!({})).await.error_code(), -32602);
    }
    assert_eq!(gate.admin().with("x-litellm-end-user-id", "carl").tool_names().await, ["files-read"]);
    assert_eq!(shop.tool_names().await.len(), 2);
    assert_eq!(shop.clone().with("x-litellm-end-user-id", "dora").tool_names().await.len(), 2);

    let carl = shop.clone().with("x-litellm-end-user-id", "carl");
    let none = json!({ "mcp_tool_permissions": { "files": [] } });
    did(&gate, "/customer/update", json!({ "user_id": "carl", "object_permission": none })).await;
    soon("carl's narrower bound", async { while !carl.tool_names().await.is_empty() {} }).await;

    did(&gate, "/end_user/block", json!({ "user_ids": ["carl", "erna"] })).await;
    for blocked in ["carl", "erna"] {
        let caller = shop.clone().with("x-litellm-end-user-id", blocked);
        soon("the block", async { while caller.rpc("tools/list", json!({})).await.http.status != 403 {} }).await;
    }
    assert_eq!(did(&gate, "/customer/unblock", json!({ "user_ids": ["carl"] })).await["blocked_users"], json!([]));
    soon("the return", async { while carl.rpc("tools/list", json!({})).await.http.status != 200 {} }).await;
    did(&gate, "/customer/delete", json!({ "user_ids": ["carl", "erna"] })).await;
    soon("the end of carl", async { while carl.tool_names().await.len() != 2 {} }).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_blocked_customers_open_stream_ends() {
    let (gate, _files, shop) = start("").await;
    did(&gate, "/customer/new", json!({ "user_id": "carl" })).await;
    let carl = shop.with("x-litellm-end-user-id", "carl").initialized_at("/mcp").await;
    let mut stream = carl.open_stream("/mcp").await;
    did(&gate, "/customer/block", json!({ "user_ids": ["carl"] })).await;
    soon("the end of the stream", async { while stream.next().await.is_some() {} }).await;
    gate.stop().await;
}

#[tokio::test]
async fn an_open_stream_is_a_customers_also_when_there_were_none_when_it_was_opened() {
    let (gate, _files, shop) = start("").await;
    let carl = shop.with("x-litellm-end-user-id", "carl").initialized_at("/mcp").await;
    let mut stream = carl.open_stream("/mcp").await;
    did(&gate, "/customer/new", json!({ "user_id": "carl", "blocked": true })).await;
    soon("the end of the stream", async { while stream.next().await.is_some() {} }).await;
    gate.stop().await;
}

#[tokio::test]
async fn where_a_customer_must_have_a_permission_one_without_reaches_nothing() {
    let (gate, _files, shop) = start("require_end_user_mcp_access_defined: true").await;
    assert_eq!(shop.tool_names().await.len(), 2);
    assert_eq!(shop.clone().with("x-litellm-end-user-id", "dora").tool_names().await, [""; 0]);
    gate.stop().await;
}

#[tokio::test]
async fn ids_of_customers_are_one_short_text() {
    let (gate, _files, shop) = start("").await;
    did(&gate, "/customer/new", json!({ "user_id": "carl" })).await;
    let long = "c".repeat(257);
    for caller in [
        shop.clone().with("x-litellm-end-user-id", &long),
        shop.clone().with("x-litellm-end-user-id", "carl").with_another("x-litellm-end-user-id", "dora"),
    ] {
        soon("the refusal", async { while caller.rpc("tools/list", json!({})).await.http.status != 400 {} }).await;
    }
    for id in ["' OR 1=1 --", "carl; DROP TABLE customers", " "] {
        assert_eq!(shop.clone().with("x-litellm-end-user-id", id).tool_names().await.len(), 2, "{id}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn customers_are_listed_in_pages_with_their_budgets() {
    let (gate, _files, _) = start("").await;
    for number in 0..7 {
        let body = json!({ "user_id": format!("c{number}"), "max_budget": 1.5, "budget_duration": "1d" });
        let made = did(&gate, "/customer/new", body).await;
        assert_eq!(made["litellm_budget_table"]["max_budget"], 1.5, "{made}");
    }
    let page = gate.admin().get("/customer/list?page=2&page_size=5").await.json();
    assert_eq!((&page[0]["user_id"], page.as_array().unwrap().len()), (&json!("c5"), 2), "{page}");
    assert_eq!(page[0]["litellm_budget_table"]["max_budget"], 1.5, "{page}");
    let one = gate.admin().get("/end_user/info?end_user_id=c3").await.json();
    assert_eq!(one["user_id"], "c3");
    let changed = did(&gate, "/customer/update", json!({ "user_id": "c3", "max_budget": 9.0, "alias": "Carl" })).await;
    assert_eq!((&changed["litellm_budget_table"]["max_budget"], &changed["alias"]), (&json!(9.0), &json!("Carl")));
    assert_eq!(changed["budget_id"], one["budget_id"]);
    for (path, body) in [
        ("/customer/update", json!({ "user_id": "nobody" })),
        ("/customer/delete", json!({ "user_ids": ["c1", "nobody"] })),
    ] {
        let reply = gate.admin().post(path, body.to_string()).await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
    assert_eq!(gate.admin().get("/customer/info?end_user_id=c1").await.status, 200, "nothing was deleted");
    gate.stop().await;
}
