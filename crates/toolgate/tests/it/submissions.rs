//! Servers that users propose: what they may propose, who decides, and that nothing is reached before.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::{Key, User};

use crate::support::people::actor;
use crate::support::{Caller, People, Reply, TestGateway, config};

async fn register(caller: &Caller, more: Value) -> Reply {
    // A public address that is not asked: nothing connects to a server that waits.
    let mut body = json!({ "server_name": "maps", "url": "https://1.1.1.1/mcp", "transport": "http" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.post("/v1/mcp/server/register", body.to_string()).await
}

async fn decide(caller: &Caller, id: &str, decision: &str, body: Value) -> Reply {
    caller.send(Method::PUT, &format!("/v1/mcp/server/{id}/{decision}"), body.to_string()).await
}

/// A user of a team with a key of it.
async fn member(people: &People) -> String {
    people.team("crew", json!({})).await;
    let user = User { user_id: "alice".into(), user_role: Some("internal_user".into()), ..User::default() };
    people.store.create_user(&actor(), user, Vec::new()).await.unwrap();
    let key = Key { user_id: Some("alice".into()), team_id: Some("crew".into()), ..Key::default() };
    people.key_of("alice", Value::Null, key).await
}

async fn gate(people: &People) -> TestGateway {
    people.gateway(config().env("LITELLM_ENABLE_MCP_STDIO", "true")).await
}

#[tokio::test]
async fn what_is_proposed_is_reached_only_once_it_is_approved() {
    let people = People::new().await;
    let alice = member(&people).await;
    let gate = gate(&people).await;
    let (alice, admin) = (gate.holder(&alice), gate.admin());
    let reply = register(&alice, json!({})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let row = reply.json();
    let id = row["server_id"].as_str().unwrap();
    assert_eq!((&row["approval_status"], &row["submitted_by"]), (&json!("pending_review"), &json!("alice")));
    let servers = async |caller: &Caller| caller.get("/v1/mcp/server").await.json().as_array().unwrap().len();
    assert_eq!((servers(&alice).await, servers(&admin).await), (0, 0));

    let queue = admin.get("/v1/mcp/server/submissions").await.json();
    assert_eq!((&queue["total"], &queue["pending_review"], &queue["active"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(queue["items"][0]["url"], "https://1.1.1.1/mcp");
    for (method, path) in [(Method::GET, "/v1/mcp/server/submissions".to_owned())]
        .into_iter()
        .chain(["approve", "reject"].map(|word| (Method::PUT, format!("/v1/mcp/server/{id}/{word}"))))
    {
        let reply = alice.send(method, &path, "{}").await;
        assert!(matches!(reply.status.as_u16(), 401 | 403), "{path}: {reply:?}");
    }
    let reply = decide(&admin, id, "reject", json!({ "review_notes": "why?" })).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["review_notes"]), (200, &json!("why?")), "{reply:?}");
    assert_eq!(decide(&admin, id, "reject", json!({})).await.status, 400);
    assert_eq!(servers(&alice).await, 0);
    let reply = decide(&admin, id, "approve", json!({})).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["approval_status"]), (200, &json!("active")), "{reply:?}");
    assert_eq!(decide(&admin, id, "approve", json!({})).await.status, 400);
    assert_eq!(decide(&admin, "none", "approve", json!({})).await.status, 404);
    assert_eq!((servers(&alice).await, servers(&admin).await), (1, 1), "who proposed it reaches it");
    assert_eq!(decide(&admin, id, "reject", json!({})).await.status, 200);
    assert_eq!((servers(&alice).await, servers(&admin).await), (0, 0));
}

#[tokio::test]
async fn what_would_harm_others_or_lead_inside_cannot_be_proposed() {
    let people = People::new().await;
    let alice = member(&people).await;
    let nobody = people.key("nobody", Value::Null).await;
    let config =
        config().general("mcp_required_fields: [description, auth_type]").env("LITELLM_ENABLE_MCP_STDIO", "true");
    let gate = people.gateway(config).await;
    let alice = gate.holder(&alice);
    let full = |more: Value| {
        let mut body = json!({ "description": "Maps", "auth_type": "bearer_token" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (full(json!({ "allow_all_keys": true })), 403, "for an admin to set"),
        (full(json!({ "mcp_access_groups": ["everybody"] })), 403, "for an admin to set"),
        (full(json!({ "transport": "stdio", "command": "python3" })), 400, "stdio MCP servers cannot be submitted"),
        (full(json!({ "url": null, "transport": null, "command": "python3" })), 400, "cannot be submitted"),
        (full(json!({ "url": "http://127.0.0.1:9901/mcp" })), 422, "not a public address"),
        (full(json!({ "url": "http://0x7f000001/" })), 422, "not a public address"),
        (full(json!({ "url": "http://[::ffff:169.254.169.254]/" })), 422, "not a public address"),
        (full(json!({ "url": "http://localhost/mcp" })), 422, "not a public address"),
        (full(json!({ "token_url": "http://10.0.0.1/token" })), 422, "not a public address"),
        (full(json!({ "spec_path": "https://192.168.0.1/openapi.json" })), 422, "not a public address"),
        (full(json!({ "spec_path": "/etc/passwd" })), 422, "cannot name a file"),
        (json!({ "description": "Maps", "auth_type": "none" }), 400, "missing required fields: ['auth_type']"),
    ];
    for (more, status, words) in cases {
        let reply = register(&alice, more.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.text().contains(words)), (status, true), "{more}: {reply:?}");
    }
    assert_eq!(register(&gate.admin(), full(json!({}))).await.status, 403);
    let reply = register(&gate.holder(&nobody), full(json!({}))).await;
    assert_eq!((reply.status.as_u16(), reply.text().contains("team")), (400, true), "{reply:?}");
    assert_eq!(people.store.servers().await.unwrap().len(), 0);
    assert_eq!(register(&alice, full(json!({}))).await.status, 201);
}
