//! Projects: between a team and its keys, made and changed by the team's admins within what the team has.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Caller, Reply, Tenants, soon};

async fn send(caller: &Caller, path: &str, body: Value) -> Reply {
    caller.post(path, body.to_string()).await
}

async fn delete(caller: &Caller, ids: &[&str]) -> Reply {
    caller.send(Method::DELETE, "/project/delete", json!({ "project_ids": ids }).to_string()).await
}

fn message(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_teams_admin_makes_a_project_whose_keys_reach_less_than_the_team() {
    let tenants = Tenants::start().await;
    let permission = json!({ "mcp_tool_permissions": { "files": ["read", "write"] } });
    tenants.did("/team/update", json!({ "team_id": "red-crew", "object_permission": permission })).await;
    let tina = tenants.user("tina").await;

    let body = json!({
        "project_id": "flights", "project_alias": "Flights", "team_id": "red-crew", "max_budget": 5.0,
        "tags": ["travel"], "object_permission": { "mcp_tool_permissions": { "files": ["read"] } },
    });
    let made = send(&tina, "/project/new", body.clone()).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!(made["litellm_budget_table"]["max_budget"], 5.0);
    assert_eq!(made["metadata"]["tags"], json!(["travel"]));
    let again = send(&tina, "/project/new", body).await;
    assert_eq!((again.status.as_u16(), message(&again).contains("already exists")), (400, true), "{again:?}");

    let key = json!({ "team_id": "red-crew", "project_id": "flights", "user_id": "tina" });
    let key = send(&tina, "/key/generate", key).await;
    assert_eq!(key.status, 200, "{key:?}");
    let holder = tenants.holder(key.json()["key"].as_str().unwrap());
    assert_eq!(holder.tool_names().await, ["files-read"]);

    let has_keys = delete(&tenants.gate.admin(), &["flights"]).await;
    assert_eq!(has_keys.status, 400, "{has_keys:?}");
    assert!(message(&has_keys).contains("1 key(s) are associated"), "{has_keys:?}");

    tenants.did("/project/update", json!({ "project_id": "flights", "blocked": true })).await;
    soon("the project's block", async { while holder.rpc("tools/list", json!({})).await.http.status != 401 {} }).await;
    let lifted = send(&tina, "/project/update", json!({ "project_id": "flights", "blocked": false })).await;
    assert_eq!(lifted.status, 403, "{lifted:?}");
}

#[tokio::test]
async fn a_project_has_at_most_what_its_team_has() {
    let tenants = Tenants::start().await;
    let bounds = json!({ "team_id": "red-crew", "max_budget": 10.0, "rpm_limit": 100, "models": ["small"] });
    tenants.did("/team/update", bounds).await;
    let tina = tenants.user("tina").await;
    let cases = [
        (json!({ "max_budget": 10.5 }), "exceeds team's max_budget (10)"),
        (json!({ "rpm_limit": 101 }), "Project rpm_limit (101) exceeds team's rpm_limit (100)"),
        (json!({ "models": ["large"] }), "Model 'large' not in team's allowed models"),
        (json!({ "max_budget": 5.0, "soft_budget": 5.0 }), "strictly lower than max_budget"),
        (json!({ "max_budget": -1.0 }), "non-negative"),
    ];
    for (bounds, words) in cases {
        let mut body = json!({ "project_id": "p", "team_id": "red-crew" });
        body.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
        let reply = send(&tina, "/project/new", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}: {reply:?}");
        assert!(message(&reply).contains(words), "{body}: {reply:?}");
    }
    let within = json!({ "project_id": "p", "team_id": "red-crew", "max_budget": 10.0, "models": ["small"] });
    assert_eq!(send(&tina, "/project/new", within).await.status, 200);
    let later = send(&tina, "/project/update", json!({ "project_id": "p", "max_budget": 11.0 })).await;
    assert_eq!(later.status, 400, "{later:?}");
    let less = send(&tina, "/project/update", json!({ "project_id": "p", "max_budget": 4.0 })).await;
    assert_eq!(less.json()["litellm_budget_table"]["max_budget"], 4.0, "{less:?}");
}

#[tokio::test]
async fn another_tenants_project_is_not_there() {
    let tenants = Tenants::start().await;
    tenants.did("/project/new", json!({ "project_id": "flights", "team_id": "red-crew" })).await;
    let (bob, max) = (tenants.user("bob").await, tenants.user("max").await);

    for caller in [&bob, &max] {
        for body in [json!({ "project_id": "flights" }), json!({ "project_id": "none" })] {
            let reply = send(caller, "/project/update", body).await;
            assert!([403, 404].contains(&reply.status.as_u16()), "{reply:?}");
        }
    }
    let (there, none) = (
        send(&bob, "/project/update", json!({ "project_id": "flights" })).await,
        send(&bob, "/project/update", json!({ "project_id": "none" })).await,
    );
    assert_eq!(there.status, none.status);
    assert_eq!(message(&there).replace("flights", "none"), message(&none));
    let (there, none) =
        (bob.get("/project/info?project_id=flights").await, bob.get("/project/info?project_id=none").await);
    assert_eq!(there.status, 404);
    assert_eq!(message(&there).replace("flights", "none"), message(&none));
    assert_eq!(bob.get("/project/list").await.json(), json!([]));
    assert_eq!(max.get("/project/list").await.json()[0]["project_id"], "flights");
    assert_eq!(max.get("/project/info?project_id=flights").await.status, 200);

    let key = json!({ "team_id": "blue-crew", "project_id": "flights" });
    let (theirs, none) = (
        send(&bob, "/key/generate", key.clone()).await,
        send(&bob, "/key/generate", json!({ "team_id": "blue-crew", "project_id": "none" })).await,
    );
    assert_eq!(theirs.status, 400, "{theirs:?}");
    assert_eq!(message(&theirs).replace("flights", "none"), message(&none));
    let admins = send(&tenants.gate.admin(), "/key/generate", key).await;
    assert!(message(&admins).contains("give it the same team_id"), "{admins:?}");
}

#[tokio::test]
async fn a_shared_budget_is_not_changed_through_a_project() {
    let tenants = Tenants::start().await;
    tenants.did("/budget/new", json!({ "budget_id": "everybodys", "max_budget": 100.0 })).await;
    let shared = json!({ "project_id": "p", "team_id": "red-crew", "budget_id": "everybodys" });
    let tina = tenants.user("tina").await;
    assert_eq!(send(&tina, "/project/new", shared.clone()).await.status, 403);
    tenants.did("/project/new", shared).await;
    let raised = send(&tina, "/project/update", json!({ "project_id": "p", "max_budget": 1000.0 })).await;
    assert_eq!(raised.status, 403, "{raised:?}");
    let other = send(&tina, "/project/update", json!({ "project_id": "p", "budget_id": null })).await;
    assert_eq!(other.status, 403, "{other:?}");
    assert_eq!(send(&tina, "/project/update", json!({ "project_id": "p", "description": "d" })).await.status, 200);
    let deleted = delete(&tenants.gate.admin(), &["p"]).await;
    assert_eq!(deleted.json()[0]["description"], "d", "{deleted:?}");
    assert_eq!(delete(&tina, &["p"]).await.status, 401);
}
