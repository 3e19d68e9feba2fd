//! Teams, organizations, users, budgets and access groups over the management API: what they give, who may manage them,
//! and that what is another tenant's is not there.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::Key;

use crate::support::{Caller, Reply, Tenants, key_of, soon};

async fn send(caller: &Caller, path: &str, body: Value) -> Reply {
    caller.post(path, body.to_string()).await
}

/// The status and the text of an error.
fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_teams_key_sees_what_the_team_may_and_a_blocked_teams_key_nothing() {
    let tenants = Tenants::start().await;
    let permission = json!({ "mcp_tool_permissions": { "files": ["read", "write"] } });
    tenants.did("/team/update", json!({ "team_id": "red-crew", "object_permission": permission })).await;
    key_of(&tenants.store, "sk-of-red-crew", Key { team_id: Some("red-crew".into()), ..Key::default() }).await;
    let holder = tenants.holder("sk-of-red-crew");
    assert_eq!(holder.tool_names().await, ["files-read", "files-write"]);

    let narrower = json!({ "mcp_tool_permissions": { "files": ["read"] } });
    tenants.did("/team/update", json!({ "team_id": "red-crew", "object_permission": narrower })).await;
    soon("the team's new bound", async { while holder.tool_names().await != ["files-read"] {} }).await;

    let blocked = tenants.did("/team/block", json!({ "team_id": "red-crew" })).await;
    assert_eq!(blocked["blocked"], true);
    soon("the team's end", async { while holder.rpc("tools/list", json!({})).await.http.status != 401 {} }).await;
    tenants.did("/team/unblock", json!({ "team_id": "red-crew" })).await;
    soon("the team's return", async { while holder.rpc("tools/list", json!({})).await.http.status != 200 {} }).await;

    let info = holder.get("/team/info?team_id=red-crew").await.json();
    assert_eq!(info["team_info"]["object_permission"]["mcp_tool_permissions"]["files"], json!(["read"]));
    assert!(info["keys"][0].get("token").is_none(), "{info}");
    assert_eq!(holder.get("/team/info?team_id=blue-crew").await.status, 404);
    tenants.gate.stop().await;
}

#[tokio::test]
async fn what_is_another_tenants_answers_like_what_is_not_there() {
    let tenants = Tenants::start().await;
    let callers = [tenants.user("bob").await, tenants.user("max").await];
    let other = [["red-crew", "red", "tina"], ["blue-crew", "blue", "bob"]];
    for (caller, [team, house, user]) in callers.iter().zip(other) {
        for path in [
            format!("/team/info?team_id={team}"),
            format!("/organization/info?organization_id={house}"),
            format!("/user/info?user_id={user}"),
        ] {
            let (there, not) = (caller.get(&path).await, caller.get(&format!("{path}-not")).await);
            let name = path.rsplit('=').next().unwrap();
            let text = refusal(&not).1.replace(&format!("{name}-not"), name);
            assert_eq!(refusal(&there), (refusal(&not).0, text), "{path}");
            assert!(matches!(there.status.as_u16(), 403 | 404), "{path}: {there:?}");
        }
        for (path, field) in [
            ("/team/update", "team_id"),
            ("/team/block", "team_id"),
            ("/team/unblock", "team_id"),
            ("/user/update", "user_id"),
        ] {
            let mut body = json!({});
            body[field] = if field == "team_id" { team.into() } else { user.into() };
            let there = send(caller, path, body.clone()).await;
            let name = body[field].as_str().unwrap().to_owned();
            body[field] = format!("{name}-not").into();
            let not = send(caller, path, body).await;
            let text = refusal(&not).1.replace(&format!("{name}-not"), &name);
            assert_eq!(refusal(&there), (refusal(&not).0, text), "{path}");
            assert!(matches!(there.status.as_u16(), 403 | 404), "{path}: {there:?}");
        }
        let member = json!({ "team_id": team, "member": { "user_id": "max", "role": "admin" } });
        assert_eq!(send(caller, "/team/member_add", member).await.status, 403);
        let gone = json!({ "team_id": team, "user_id": "max" });
        assert_eq!(send(caller, "/team/member_delete", gone).await.status, 403);
        let teams = json!({ "team_ids": [team] });
        assert_eq!(send(caller, "/team/delete", teams).await.status, 403);
    }
    tenants
        .did("/team/member_add", json!({ "team_id": "blue-crew", "member": { "user_id": "max", "role": "user" } }))
        .await;
    let of_blue = Key { user_id: Some("max".into()), team_id: Some("blue-crew".into()), ..Key::default() };
    key_of(&tenants.store, "sk-of-max-in-blue", of_blue).await;
    let seen = tenants.user("tina").await.get("/user/info?user_id=max").await.json();
    assert_eq!(seen["user_info"]["teams"], json!(["red-crew"]), "{seen}");
    assert_eq!((&seen["teams"].as_array().unwrap().len(), &seen["keys"]), (&1, &json!([])), "{seen}");
    tenants.did("/team/member_delete", json!({ "team_id": "blue-crew", "user_id": "max" })).await;
    let [bob, max] = callers;
    let names = |reply: Reply, field: &str| -> Vec<String> {
        reply.json().as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(bob.get("/team/list").await, "team_id"), ["blue-crew"]);
    assert_eq!(names(max.get("/team/list").await, "team_id"), ["red-crew"]);
    assert_eq!(names(max.get("/team/list?organization_id=blue").await, "team_id"), [""; 0]);
    assert_eq!(names(bob.get("/organization/list").await, "organization_id"), ["blue"]);
    assert_eq!(names(bob.get("/organization/list?org_id=red").await, "organization_id"), [""; 0]);
    let users = bob.get("/user/list?organization_ids=red,blue").await.json();
    assert_eq!((&users["total"], &users["users"][0]["user_id"]), (&json!(1), &json!("bob")));
    assert_eq!(max.get("/user/list").await.status, 403);
    tenants.gate.stop().await;
}

#[tokio::test]
async fn admins_of_teams_and_organizations_manage_what_is_theirs_and_not_its_bounds() {
    let tenants = Tenants::start().await;
    let (ann, tina, max) = (tenants.user("ann").await, tenants.user("tina").await, tenants.user("max").await);

    let made =
        send(&ann, "/team/new", json!({ "team_id": "red-two", "organization_id": "red", "max_budget": 5.0 })).await;
    assert_eq!(made.status, 200, "{made:?}");
    for body in [
        json!({ "team_id": "stray" }),
        json!({ "team_id": "stray", "organization_id": "blue" }),
        json!({ "team_id": "stray", "organization_id": "nowhere" }),
        json!({ "team_id": "stray", "organization_id": "red", "object_permission": { "mcp_servers": ["files"] } }),
        json!({ "team_id": "stray", "organization_id": "red", "access_group_ids": ["g"] }),
        json!({ "team_id": "stray", "organization_id": "red", "max_budget": 101.0 }),
    ] {
        let refused = send(&ann, "/team/new", body.clone()).await;
        assert!(matches!(refused.status.as_u16(), 400 | 403), "{body}: {refused:?}");
    }
    assert_eq!(tenants.store.team("stray").await.unwrap(), None);

    let renamed = send(&tina, "/team/update", json!({ "team_id": "red-crew", "team_alias": "Crew" })).await;
    assert_eq!(renamed.json()["data"]["team_alias"], "Crew", "{renamed:?}");
    for bound in [
        json!({ "max_budget": 1000.0 }),
        json!({ "organization_id": "blue" }),
        json!({ "organization_id": null }),
        json!({ "metadata": {} }),
        json!({ "blocked": false }),
        json!({ "models": [] }),
        json!({ "mcp_rpm_limit": { "files": 9 } }),
        json!({ "object_permission": { "mcp_servers": ["files"] } }),
        json!({ "object_permission": { "mcp_servers": ["all-proxy-mcpservers"] } }),
    ] {
        let mut body = bound.clone();
        body["team_id"] = "red-crew".into();
        let refused = send(&tina, "/team/update", body).await;
        assert_eq!(refused.status, 403, "{bound}: {refused:?}");
    }
    assert_eq!(send(&tina, "/team/unblock", json!({ "team_id": "red-crew" })).await.status, 403);

    let ann_too = json!({ "team_id": "red-crew", "member": [{ "user_id": "ann", "role": "user" }] });
    let added = send(&tina, "/team/member_add", ann_too.clone()).await.json();
    assert_eq!(added["updated_team_memberships"][0]["user_id"], "ann", "{added}");
    assert_eq!(send(&tina, "/team/member_add", ann_too).await.status, 400);
    for stranger in ["bob", "nobody-yet"] {
        let body = json!({ "team_id": "red-crew", "member": { "user_id": stranger, "role": "user" } });
        let refused = send(&tina, "/team/member_add", body).await;
        assert!(refusal(&refused).1.contains("does not exist yet"), "{refused:?}");
    }
    let role = json!({ "team_id": "red-crew", "user_id": "max", "role": "admin" });
    assert_eq!(send(&max, "/team/member_update", role.clone()).await.status, 403);
    assert_eq!(send(&tina, "/team/member_update", role).await.status, 200);
    let budget = json!({ "team_id": "red-crew", "user_id": "max", "max_budget_in_team": 2.0, "budget_duration": "7d" });
    assert_eq!(send(&max, "/team/member_update", budget.clone()).await.status, 403, "one's own budget");
    assert_eq!(send(&tina, "/team/member_update", budget).await.json()["max_budget_in_team"], 2.0);
    let gone = json!({ "team_id": "red-crew", "user_id": "max" });
    let rest = send(&tina, "/team/member_delete", gone.clone()).await.json();
    assert_eq!(rest["members_with_roles"].as_array().unwrap().len(), 2, "{rest}");
    assert_eq!(refusal(&send(&tina, "/team/member_delete", gone).await), (400, "User not found in team".into()));

    let alias = json!({ "organization_id": "red", "organization_alias": "Reds" });
    let reply = ann.send(Method::PATCH, "/organization/update", alias.to_string()).await;
    assert_eq!(reply.json()["organization_alias"], "Reds", "{reply:?}");
    for bound in [json!({ "max_budget": 1e6 }), json!({ "models": [] }), json!({ "object_permission": {} })] {
        let mut body = bound.clone();
        body["organization_id"] = "red".into();
        let reply = ann.send(Method::PATCH, "/organization/update", body.to_string()).await;
        assert_eq!(reply.status, 403, "{bound}: {reply:?}");
    }
    tenants.gate.stop().await;
}

#[tokio::test]
async fn nobody_gives_themselves_or_others_more_than_they_have() {
    let tenants = Tenants::start().await;
    let (ann, max) = (tenants.user("ann").await, tenants.user("max").await);
    for field in [
        json!({ "user_role": "proxy_admin" }),
        json!({ "max_budget": 1e6 }),
        json!({ "object_permission": { "mcp_servers": ["files"] } }),
        json!({ "user_email": "boss@example.com" }),
        json!({ "sso_user_id": "boss" }),
        json!({ "metadata": {} }),
        json!({ "spend": 0.0 }),
    ] {
        let mut body = field.clone();
        body["user_id"] = "max".into();
        assert_eq!(send(&max, "/user/update", body).await.status, 403, "{field}");
    }
    let named = send(&max, "/user/update", json!({ "user_id": "max", "user_alias": "Max" })).await;
    assert_eq!(named.json()["data"]["user_alias"], "Max", "{named:?}");
    assert_eq!(max.get("/user/info").await.json()["user_info"]["user_alias"], "Max");

    for body in [
        json!({ "user_id": "eve", "organizations": ["red"], "user_role": "proxy_admin" }),
        json!({ "user_id": "eve", "organizations": ["red", "blue"] }),
        json!({ "user_id": "eve" }),
        json!({ "user_id": "eve", "organizations": ["red"], "teams": ["blue-crew"] }),
    ] {
        assert_eq!(send(&ann, "/user/new", body.clone()).await.status, 403, "{body}");
    }
    assert_eq!(tenants.store.user("eve").await.unwrap(), None);
    let made = send(&ann, "/user/new", json!({ "user_id": "eve", "organizations": ["red"] })).await.json();
    assert_eq!(made["user_role"], "internal_user", "{made}");
    let eve = tenants.holder(made["key"].as_str().unwrap());
    assert_eq!(eve.get("/user/info").await.json()["user_id"], "eve");
    assert_eq!(send(&ann, "/user/new", json!({ "user_id": "eve", "organizations": ["red"] })).await.status, 409);

    for (path, body) in [
        ("/team/new", json!({ "team_id": "t", "allowed_routes": ["/*"] })),
        ("/team/update", json!({ "team_id": "red-crew", "user_role": "proxy_admin" })),
        ("/user/new", json!({ "user_id": "u", "is_admin": true })),
        ("/user/update", json!({ "user_id": "max", "organizations": ["blue"] })),
        ("/customer/new", json!({ "user_id": "c", "max_budgets": 1.0 })),
        ("/budget/new", json!({ "budget_id": "b", "max_budgt": 1.0 })),
        ("/v1/access_group", json!({ "access_group_name": "g", "mcp_servers": [] })),
    ] {
        let refused = send(&tenants.gate.admin(), path, body).await;
        assert_eq!(refused.status, 422, "{path}: {refused:?}");
        assert!(refusal(&refused).1.contains("unknown field"), "{refused:?}");
    }
    assert_eq!(send(&ann, "/user/delete", json!({ "user_ids": ["bob"] })).await.status, 404);
    assert_eq!(send(&ann, "/user/delete", json!({ "user_ids": ["eve"] })).await.json(), 1);
    soon("the end of the user's key", async { while eve.get("/user/info").await.status != 401 {} }).await;
    tenants.gate.stop().await;
}

#[tokio::test]
async fn budgets_are_made_changed_listed_and_deleted() {
    let tenants = Tenants::start().await;
    let made =
        tenants.did("/budget/new", json!({ "budget_id": "b", "max_budget": 3.0, "budget_duration": "1d" })).await;
    assert!(made["budget_reset_at"].is_string(), "{made}");
    let admin = tenants.gate.admin();
    let again = send(&admin, "/budget/new", json!({ "budget_id": "b" })).await;
    assert_eq!(refusal(&again), (400, "Budget with id 'b' already exists.".to_owned()));
    let changed = tenants.did("/budget/update", json!({ "budget_id": "b", "budget_duration": null })).await;
    assert_eq!((&changed["budget_reset_at"], &changed["max_budget"]), (&json!(null), &json!(3.0)));
    for wrong in [json!({ "max_budget": -1.0 }), json!({ "budget_duration": "soon" }), json!({ "rpm_limit": -1 })] {
        assert!(send(&admin, "/budget/new", wrong.clone()).await.status.is_client_error(), "{wrong}");
    }
    assert_eq!(tenants.did("/budget/info", json!({ "budgets": ["b", "none"] })).await.as_array().unwrap().len(), 1);
    let all = admin.get("/budget/list").await.json();
    assert!(all.as_array().unwrap().iter().any(|budget| budget["budget_id"] == "b"), "{all}");
    tenants.did("/budget/delete", json!({ "id": "b" })).await;
    assert_eq!(send(&admin, "/budget/delete", json!({ "id": "b" })).await.status, 404);
    tenants.gate.stop().await;
}

#[tokio::test]
async fn an_access_group_opens_its_servers_to_its_teams_until_it_is_deleted() {
    let tenants = Tenants::start().await;
    key_of(&tenants.store, "sk-of-red-crew", Key { team_id: Some("red-crew".into()), ..Key::default() }).await;
    let holder = tenants.holder("sk-of-red-crew");
    assert_eq!(holder.tool_names().await, [""; 0]);
    let files = tenants.gate.admin().get("/mcp-rest/tools/list").await.json();
    let server_id = files["tools"][0]["mcp_info"]["server_id"].as_str().unwrap_or("files").to_owned();
    let group = json!({
        "access_group_name": "readers", "access_mcp_server_ids": [server_id], "assigned_team_ids": ["red-crew"],
    });
    let made = send(&tenants.gate.admin(), "/v1/access_group", group.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!(made["assigned_teams"], json!([{ "id": "red-crew", "name": null }]), "{made}");
    assert_eq!(made["access_mcp_servers"][0]["name"], "files", "{made}");
    soon("the group's tools", async { while holder.tool_names().await.len() != 3 {} }).await;
    assert_eq!(send(&tenants.gate.admin(), "/v1/access_group", group).await.status, 409);
    let id = made["access_group_id"].as_str().unwrap();
    let path = format!("/v1/access_group/{id}");
    let described = tenants.done(Method::PUT, &path, json!({ "description": "may read" })).await;
    assert_eq!(described["assigned_team_ids"], json!(["red-crew"]), "what is not sent stays");
    assert_eq!(tenants.gate.admin().get(&path).await.json()["description"], "may read");
    assert_eq!(tenants.gate.admin().delete(&path).await.status, 204);
    assert_eq!(tenants.gate.admin().get(&path).await.status, 404);
    soon("the end of the group", async { while !holder.tool_names().await.is_empty() {} }).await;
    assert_eq!(tenants.store.team("red-crew").await.unwrap().unwrap().access_group_ids, [""; 0]);
    tenants.gate.stop().await;
}

#[tokio::test]
async fn an_organization_goes_with_its_teams_and_lists_come_in_pages() {
    let tenants = Tenants::start().await;
    for number in 0..12 {
        tenants.did("/team/new", json!({ "team_id": format!("t{number:02}"), "organization_id": "blue" })).await;
    }
    let admin = tenants.gate.admin();
    let page = admin.get("/v2/team/list?organization_id=blue&page=2&page_size=5&sort_by=created_at").await.json();
    assert_eq!((&page["total"], &page["total_pages"]), (&json!(13), &json!(3)), "{page}");
    assert_eq!(page["teams"].as_array().unwrap().len(), 5);
    assert_eq!(admin.get("/v2/team/list?page_size=0").await.status, 422);
    assert_eq!(admin.get("/team/list").await.json().as_array().unwrap().len(), 14);
    let body = json!({ "organization_ids": ["blue"] });
    let gone = tenants.done(Method::DELETE, "/organization/delete", body.clone()).await;
    assert_eq!(gone[0]["organization_id"], "blue", "{gone}");
    assert_eq!(admin.send(Method::DELETE, "/organization/delete", body.to_string()).await.status, 404);
    assert_eq!(admin.get("/team/list").await.json().as_array().unwrap().len(), 1);
    tenants.gate.stop().await;
}
