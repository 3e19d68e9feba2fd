//! LiteLLM's routes for many things at once, and what was used on each day.

use http::Method;
use serde_json::{Value, json};
use toolgate_store::User;

use crate::support::people::actor;
use crate::support::{Caller, People, Tenants, config};

async fn ask(caller: &Caller, method: Method, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = caller.send(method, path, body).await;
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

async fn post(caller: &Caller, path: &str, body: Value) -> (u16, Value) {
    ask(caller, Method::POST, path, body).await
}

async fn get(caller: &Caller, path: &str) -> (u16, Value) {
    ask(caller, Method::GET, path, Value::Null).await
}

async fn key(tenants: &Tenants, alias: &str, more: Value) -> String {
    let mut body = json!({"key_alias": alias});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tenants.did("/key/generate", body).await["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn keys_are_changed_in_bulk_each_as_if_it_were_sent_alone() {
    let tenants = Tenants::start().await;
    let (red, blue) = (json!({"team_id": "red-crew"}), json!({"team_id": "blue-crew"}));
    let (one, two) = (key(&tenants, "one", red.clone()).await, key(&tenants, "two", red).await);
    let other = key(&tenants, "other", blue).await;
    let admin = tenants.gate.admin();
    let items = json!({"keys": [
        {"key": one, "max_budget": 5.0, "tags": ["a"]},
        {"key": two, "max_budget": -1.0},
        {"key": "0".repeat(64)},
    ]});
    let (status, told) = post(&admin, "/key/bulk_update", items).await;
    assert_eq!((status, &told["total_requested"]), (200, &json!(3)), "{told}");
    assert_eq!(told["successful_updates"][0]["key"], json!(one), "{told}");
    assert_eq!(told["successful_updates"][0]["key_info"]["max_budget"], 5.0);
    assert_eq!(told["failed_updates"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(told["failed_updates"][1]["failed_reason"], "Key not found.");
    for keys in [json!([]), json!(vec![json!({"key": one}); 501])] {
        assert_eq!(post(&admin, "/key/bulk_update", json!({"keys": keys})).await.0, 422);
    }

    // A team's admin changes bounds of the team's keys, and no others.
    let tina = tenants.user("tina").await;
    let update = |ids: Value| json!({"team_id": "red-crew", "key_ids": ids, "update_fields": {"rpm_limit": 7}});
    let (status, told) = post(&tina, "/team/key/bulk_update", update(json!([one, other]))).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["successful_updates"][0]["key_info"]["rpm_limit"], 7);
    assert_eq!(told["failed_updates"][0]["failed_reason"], "Key not found in the team.");
    let all = json!({"team_id": "red-crew", "all_keys_in_team": true, "update_fields": {"rpm_limit": 8}});
    assert_eq!(post(&tina, "/team/key/bulk_update", all).await.1["total_requested"], 2);
    let rights = json!({"team_id": "red-crew", "all_keys_in_team": true, "update_fields": {"allowed_routes": ["/*"]}});
    assert_eq!(post(&tina, "/team/key/bulk_update", rights).await.0, 422);
    for team in ["blue-crew", "nowhere"] {
        let body = json!({"team_id": team, "all_keys_in_team": true, "update_fields": {"rpm_limit": 8}});
        assert_eq!(post(&tina, "/team/key/bulk_update", body).await.0, 403, "{team}");
    }

    // Several are looked at, and of others' nothing is told.
    let (status, told) = post(&tina, "/v2/key/info", json!({"keys": [one, other, "sk-nobody-knows-this"]})).await;
    assert_eq!((status, &told["key"]), (200, &json!([one])), "{told}");
    assert_eq!(told["info"][0]["rpm_limit"], 8);
    assert_eq!(post(&tina, "/v2/key/info", json!({"keys": [other]})).await.0, 404);
    assert_eq!(get(&tina, "/key/aliases").await.1["aliases"], json!(["one", "two"]));
    assert_eq!(get(&admin, "/key/aliases?search=O&size=1").await.1["total_count"], 3);
    assert_eq!(get(&admin, "/key/aliases?size=0").await.0, 422);
}

#[tokio::test]
async fn what_a_key_has_spent_is_lowered_by_its_admins_alone() {
    let tenants = Tenants::start().await;
    let spent = json!({"team_id": "red-crew", "user_id": "max", "spend": 3.0, "max_budget": 2.0});
    let hash = key(&tenants, "spent", spent).await;
    let path = format!("/key/{hash}/reset_spend");
    for user in ["max", "bob"] {
        let caller = tenants.user(user).await;
        let (status, told) = post(&caller, &path, json!({"reset_to": 0.0})).await;
        assert!(matches!(status, 401 | 403 | 404), "{user}: {status} {told}");
    }
    let tina = tenants.user("tina").await;
    for (to, words) in [(json!(-1.0), ">= 0"), (json!(4.0), "<= current spend")] {
        let (status, told) = post(&tina, &path, json!({"reset_to": to})).await;
        assert_eq!(status, 400);
        assert!(told["error"]["message"].as_str().unwrap().contains(words), "{told}");
    }
    assert_eq!(post(&tina, &path, json!({"reset_to": true})).await.0, 422);
    let (status, told) = post(&tina, &path, json!({"reset_to": 0.5})).await;
    assert_eq!(
        (status, &told["spend"], &told["previous_spend"], &told["max_budget"]),
        (200, &json!(0.5), &json!(3.0), &json!(2.0))
    );
    assert_eq!(tenants.gate.admin().get(&format!("/key/info?key={hash}")).await.json()["info"]["spend"], 0.5);
}

#[tokio::test]
async fn teams_are_patched_and_their_members_let_do_more() {
    let tenants = Tenants::start().await;
    let (admin, tina, bob) = (tenants.gate.admin(), tenants.user("tina").await, tenants.user("bob").await);
    let patch = async |caller: &Caller, body: Value| ask(caller, Method::PATCH, "/team/red-crew", body).await;
    let (status, told) =
        patch(&admin, json!({"metadata": {"a": {"x": 1, "y": 2}, "b": 1}, "team_alias": "Reds"})).await;
    assert_eq!((status, &told["data"]["team_alias"]), (200, &json!("Reds")), "{told}");
    let (_, told) = patch(&admin, json!({"metadata": {"a": {"y": null}, "b": null, "c": 3}})).await;
    assert_eq!(told["data"]["metadata"], json!({"a": {"x": 1}, "c": 3}));
    assert_eq!(told["data"]["team_alias"], "Reds", "what is not sent stays");
    assert_eq!(patch(&admin, json!({"team_id": "blue-crew"})).await.0, 422);
    assert_eq!(patch(&bob, json!({"team_alias": "Blues"})).await.0, 403);
    assert_eq!(patch(&tina, json!({"team_alias": "Crew"})).await.0, 200);
    assert_eq!(patch(&tina, json!({"max_budget": 1e9})).await.0, 403);

    let list = "/team/permissions_list?team_id=red-crew";
    let (status, told) = get(&tina, list).await;
    assert_eq!((status, &told["team_member_permissions"]), (200, &json!(["/key/info", "/key/health"])));
    assert!(told["all_available_permissions"].as_array().unwrap().contains(&json!("/key/generate")));
    assert_eq!(get(&bob, list).await.0, 404);
    let wanted = |words: Value| json!({"team_id": "red-crew", "team_member_permissions": words});
    assert_eq!(post(&tina, "/team/permissions_update", wanted(json!(["/team/new"]))).await.0, 422);
    assert_eq!(post(&bob, "/team/permissions_update", wanted(json!(["/key/generate"]))).await.0, 403);
    assert_eq!(post(&tina, "/team/permissions_update", wanted(json!(["/key/generate"]))).await.0, 200);
    let more = json!({"permissions": ["/key/generate", "/key/update"], "apply_to_all_teams": true});
    assert_eq!(post(&admin, "/team/permissions_bulk_update", more).await.1["teams_updated"], 2);
    let (_, told) = get(&tina, list).await;
    assert_eq!(told["team_member_permissions"], json!(["/key/generate", "/key/update"]));
    let nobody = json!({"permissions": ["/key/generate"], "team_ids": ["nowhere"]});
    assert_eq!(post(&admin, "/team/permissions_bulk_update", nobody).await.0, 404);
}

#[tokio::test]
async fn members_and_users_are_changed_in_bulk() {
    let tenants = Tenants::start().await;
    let (admin, tina) = (tenants.gate.admin(), tenants.user("tina").await);
    let members = json!([{"user_id": "ann", "role": "user"}, {"user_id": "max", "role": "user"}]);
    let (status, told) = post(&tina, "/team/bulk_member_add", json!({"team_id": "red-crew", "members": members})).await;
    assert_eq!(
        (status, &told["successful_additions"], &told["failed_additions"]),
        (200, &json!(1), &json!(1)),
        "{told}"
    );
    assert_eq!((&told["results"][0]["success"], &told["results"][1]["success"]), (&json!(true), &json!(false)));
    let everybody = json!({"team_id": "red-crew", "all_users": true});
    assert_eq!(post(&tina, "/team/bulk_member_add", everybody.clone()).await.0, 403);
    let (status, told) = post(&admin, "/team/bulk_member_add", everybody).await;
    assert_eq!((status, &told["successful_additions"]), (200, &json!(1)), "bob is new: {told}");

    let users = json!({"users": [{"user_id": "max", "user_alias": "Max"}, {"user_id": "nobody", "user_alias": "x"}]});
    let (status, told) = post(&admin, "/user/bulk_update", users).await;
    assert_eq!((status, &told["successful_updates"], &told["failed_updates"]), (200, &json!(1), &json!(1)), "{told}");
    assert_eq!(told["results"][0]["updated_user"]["user_alias"], "Max");
    let all = json!({"all_users": true, "user_updates": {"rpm_limit": 9}});
    let (_, told) = post(&admin, "/user/bulk_update", all).await;
    assert_eq!((&told["successful_updates"], &told["failed_updates"]), (&json!(4), &json!(0)), "{told}");
    assert_eq!(tenants.store.user("bob").await.unwrap().unwrap().rpm_limit, Some(9));
    let named = json!({"all_users": true, "user_updates": {"user_id": "max"}});
    assert_eq!(post(&admin, "/user/bulk_update", named).await.0, 422);
    assert_eq!(post(&tina, "/user/bulk_update", json!({"users": []})).await.0, 401);
    let (status, roles) = get(&tina, "/user/available_roles").await;
    assert_eq!((status, roles.as_object().unwrap().len()), (200, 4));
}

/// Users of whom there are many: those of this number.
fn user(number: usize) -> User {
    User { user_id: format!("many-{number:05}"), ..User::default() }
}

#[tokio::test]
async fn all_users_are_changed_in_one_request_as_long_as_they_are_not_too_many() {
    /// What one request may change of all, name, and tell of.
    const BOUNDS: (usize, usize) = (5_000, 500);
    let people = People::new().await;
    let gate = people.gateway(config()).await;
    let admin = gate.admin();
    let add = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            people.store.create_user(&actor(), user(number), Vec::new()).await.unwrap();
        }
    };
    // More than are read at once, and than are told of.
    add(0..1_500).await;
    let all = |limit: i64| json!({"all_users": true, "user_updates": {"rpm_limit": limit}});
    let (status, told) = post(&admin, "/user/bulk_update", all(9)).await;
    assert_eq!(status, 200, "{told}");
    let counts = ["total_requested", "successful_updates", "failed_updates"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [1_500, 1_500, 0]);
    assert_eq!(told["results"].as_array().unwrap().len(), BOUNDS.1);
    for number in [0, 999, 1_000, 1_499] {
        let changed = people.store.user(&user(number).user_id).await.unwrap().unwrap();
        assert_eq!(changed.rpm_limit, Some(9), "{number}");
    }
    // What fails is told of in any case.
    let wrong = json!({"all_users": true, "user_updates": {"rpm_limit": -1}});
    let (_, told) = post(&admin, "/user/bulk_update", wrong).await;
    assert_eq!((&told["successful_updates"], &told["failed_updates"]), (&json!(0), &json!(1_500)));
    let many: Vec<_> = (0..=BOUNDS.1).map(|number| json!({"user_id": user(number).user_id, "rpm_limit": 1})).collect();
    assert_eq!(post(&admin, "/user/bulk_update", json!({"users": many})).await.0, 422);
    let into_team = json!({"team_id": "crew", "all_users": true});
    people.team("crew", Value::Null).await;
    let (status, told) = post(&admin, "/team/bulk_member_add", into_team).await;
    assert_eq!((status, told["error"]["param"].as_str()), (422, Some("all_users")), "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("takes 500 at most"), "{told}");

    add(1_500..BOUNDS.0 + 1).await;
    let (status, told) = post(&admin, "/user/bulk_update", all(3)).await;
    assert_eq!((status, told["error"]["param"].as_str()), (422, Some("all_users")), "{told}");
    let text = told["error"]["message"].as_str().unwrap();
    assert!(text.contains("there are 5001 users, and one request takes 5000 at most"), "{text}");
    let first = people.store.user(&user(0).user_id).await.unwrap().unwrap();
    assert_eq!(first.rpm_limit, Some(9), "nobody was changed");
    gate.stop().await;
}

#[tokio::test]
async fn what_was_used_on_each_day_is_told_to_those_who_may_see_it() {
    let tenants = Tenants::start().await;
    tenants.did("/team/update", json!({"team_id": "red-crew", "object_permission": {"mcp_servers": ["files"]}})).await;
    let body = json!({"team_id": "red-crew", "user_id": "max"});
    let made = tenants.did("/key/generate", body).await;
    let holder = tenants.holder(made["key"].as_str().unwrap());
    for _ in 0..3 {
        holder.call("files-read", json!({})).await.result();
    }
    let admin = tenants.gate.admin();
    let days = "start_date=2000-01-01&end_date=2999-12-31";
    let calls = async |caller: &Caller, path: &str| {
        let (status, told) = get(caller, path).await;
        assert_eq!(status, 200, "{path}: {told}");
        told["metadata"]["total_api_requests"].as_i64().unwrap()
    };
    let team = format!("/team/daily/activity?{days}&team_ids=red-crew,blue-crew");
    tenants.gate.until(async || calls(&admin, &team).await == 3).await;
    let (_, told) = get(&admin, &team).await;
    let day = &told["results"][0];
    assert_eq!(day["metrics"]["successful_requests"], 3, "{told}");
    assert_eq!(day["breakdown"]["entities"]["red-crew"]["metrics"]["api_requests"], 3);
    assert_eq!(day["breakdown"]["models"]["MCP: read"]["metrics"]["api_requests"], 3);
    assert_eq!(day["breakdown"]["api_keys"][made["token"].as_str().unwrap()]["metrics"]["api_requests"], 3);
    assert_eq!((&told["metadata"]["page"], &told["metadata"]["has_more"]), (&json!(1), &json!(false)));

    let [max, tina, bob] = ["max", "tina", "bob"].map(|user| tenants.user(user));
    let (max, tina, bob) = (max.await, tina.await, bob.await);
    let user = format!("/user/daily/activity?{days}");
    let at_once = format!("/user/daily/activity/aggregated?{days}&user_id=max");
    let organization = format!("/organization/daily/activity?{days}");
    for (caller, path, expected) in [
        (&max, &user, 3),
        (&max, &at_once, 3),
        (&tina, &team, 3),
        (&tina, &user, 3),
        (&bob, &team, 0),
        (&bob, &user, 0),
        (&bob, &at_once, 0),
        (&admin, &organization, 3),
        (&bob, &organization, 0),
        (&admin, &format!("{user}&exclude_user_ids=max"), 0),
        (&admin, &format!("/customer/daily/activity?{days}&end_user_ids=nobody"), 0),
        (&admin, &format!("/end_user/daily/activity?{days}"), 3),
    ] {
        assert_eq!(calls(caller, path).await, expected, "{path}");
    }
    assert_eq!(get(&bob, &format!("/customer/daily/activity?{days}")).await.0, 401);
    let (status, told) = get(&admin, "/user/daily/activity?start_date=2026-01-01").await;
    assert_eq!((status, &told["detail"]["error"]), (400, &json!("Please provide start_date and end_date")));
    assert_eq!(get(&admin, "/user/daily/activity?start_date=x&end_date=y").await.0, 422);
    assert_eq!(get(&admin, &format!("/user/daily/activity?{days}&team_ids=red")).await.0, 422);
}
