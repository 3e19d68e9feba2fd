//! Who may make, see and change which key: nobody gives what they do not have, and what is another tenant's is not there.

use serde_json::{Value, json};
use toolgate_access::permission::ObjectPermission;
use toolgate_store::{Actor, Key, Store, Team, TeamMembership, User};

use crate::support::{Caller, FakeMcp, TestGateway, config, key_of, memory, script};

/// A house of two teams: `red` has `files`, with Ann as its admin and Bob as a member; `blue` has `clock` and Eve.
async fn house() -> (TestGateway, Store, [FakeMcp; 2]) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let clock = FakeMcp::start(script().tools(&["now"])).await;
    let config = config().server("files", files.entry()).server("clock", clock.entry());
    let store = memory().await;
    for (team_id, server) in [("red", "files"), ("blue", "clock")] {
        let permission = ObjectPermission { mcp_servers: Some(vec![server.into()]), ..ObjectPermission::default() };
        let team = Team { team_id: team_id.into(), object_permission: Some(permission), ..Team::default() };
        store.create_team(&Actor::default(), team, Vec::new()).await.unwrap();
    }
    for (user, team, role) in [("ann", "red", "admin"), ("bob", "red", "user"), ("eve", "blue", "admin")] {
        let place = TeamMembership {
            team_id: team.into(),
            user_id: user.into(),
            role: role.into(),
            ..TeamMembership::default()
        };
        let row = User {
            user_id: user.into(),
            user_role: Some("internal_user".into()),
            max_budget: Some(10.0),
            ..User::default()
        };
        store.create_user(&Actor::default(), row, vec![place]).await.unwrap();
        key_of(&store, &format!("sk-key-of-{user}-0123"), Key { user_id: Some(user.into()), ..Key::default() }).await;
    }
    (TestGateway::start_with_store(config, store.clone()).await, store, [files, clock])
}

fn as_user(gate: &TestGateway, user: &str) -> Caller {
    gate.anonymous().with("authorization", &format!("Bearer sk-key-of-{user}-0123"))
}

async fn ask(caller: &Caller, path: &str, body: Value) -> (u16, Value) {
    let reply = caller.post(path, body.to_string()).await;
    (reply.status.as_u16(), reply.json())
}

fn bounded(more: Value) -> Value {
    let mut body = json!({"max_budget": 1.0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn nobody_gives_a_key_what_they_do_not_have() {
    let (gate, _store, _servers) = house().await;
    let ann = as_user(&gate, "ann");
    let cases = [
        (bounded(json!({"user_role": "proxy_admin"})), 422, "unknown field `user_role`"),
        (bounded(json!({"allowed_routes": ["/*"]})), 403, "Only proxy admins can set `allowed_routes` on a key."),
        (bounded(json!({"key_type": "management"})), 403, "Only proxy admins can set `allowed_routes` on a key."),
        (json!({"max_budget": 1e9}), 400, "cannot exceed the caller's own max_budget"),
        (json!({}), 400, "max_budget is needed"),
        (
            bounded(json!({"user_id": "eve"})),
            403,
            "User can only create keys for themselves. Got user_id=eve, Your ID=ann",
        ),
        (bounded(json!({"team_id": "blue"})), 403, "User=ann not assigned to team=blue"),
        (bounded(json!({"team_id": "nobody"})), 403, "User=ann not assigned to team=nobody"),
        (bounded(json!({"team_id": "red", "user_id": "eve"})), 400, "User=eve not assigned to team=red"),
        (bounded(json!({"permissions": {"get_spend_routes": true}})), 403, "Only proxy admins can set `permissions`."),
        (bounded(json!({"spend": -5.0})), 403, "Only proxy admins can set `spend`."),
        (bounded(json!({"organization_id": "anywhere"})), 403, "You are not authorized to assign keys"),
        (bounded(json!({"access_group_ids": ["ag"]})), 403, "access groups"),
        (
            bounded(json!({"team_id": "red", "object_permission": {"mcp_servers": ["clock"]}})),
            403,
            "Key requests MCP servers not allowed by team 'red'",
        ),
        (bounded(json!({"object_permission": {"mcp_servers": ["files"]}})), 403, "Key is not in a team."),
        (
            bounded(json!({"team_id": "red", "object_permission": {"mcp_servers": ["nobody"]}})),
            400,
            "lead to no MCP server",
        ),
    ];
    for (body, status, words) in cases {
        let (answered, told) = ask(&ann, "/key/generate", body.clone()).await;
        assert_eq!(answered, status, "{body}: {told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{body}: {message}");
    }
    let mine = ann.get("/key/list").await.json();
    assert_eq!(mine["total_count"], 1, "nothing was made: {mine}");
}

#[tokio::test]
async fn a_teams_admin_makes_keys_for_its_members_and_a_member_only_where_the_team_lets_them() {
    let (gate, store, _servers) = house().await;
    let body = bounded(json!({"team_id": "red", "user_id": "bob", "object_permission": {"mcp_servers": ["files"]}}));
    let (status, made) = ask(&as_user(&gate, "ann"), "/key/generate", body).await;
    assert_eq!((status, &made["user_id"], &made["created_by"]), (200, &json!("bob"), &json!("ann")), "{made}");
    let holder = gate.anonymous().with("authorization", &format!("Bearer {}", made["key"].as_str().unwrap()));
    assert_eq!(holder.tool_names().await, ["files-read", "files-write"]);

    // With it, Ann does not manage what Bob manages, and it is no way to an admin's rights.
    assert_eq!(holder.get("/key/list").await.status, 403);
    let chief = User { user_id: "chief".into(), user_role: Some("proxy_admin".into()), ..User::default() };
    let place = TeamMembership { team_id: "red".into(), user_id: "chief".into(), ..TeamMembership::default() };
    store.create_user(&Actor::default(), chief, vec![place]).await.unwrap();
    let body = bounded(json!({"team_id": "red", "user_id": "chief"}));
    let (status, told) = ask(&as_user(&gate, "ann"), "/key/generate", body).await;
    assert_eq!(status, 403, "{told}");
    for user in ["chief", "bob"] {
        let row = Key { user_id: Some(user.into()), team_id: Some("red".into()), ..Key::default() };
        let key = key_of(&store, &format!("sk-red-key-of-{user}"), row).await;
        let (status, told) = ask(&as_user(&gate, "ann"), "/key/regenerate", json!({"key": key.token})).await;
        assert_eq!(status, 403, "{told}");
    }
    let (status, made) = ask(&as_user(&gate, "ann"), "/key/regenerate", json!({"key": made["token"]})).await;
    assert_eq!(status, 200, "{made}");

    let bob = as_user(&gate, "bob");
    let own = bounded(json!({"team_id": "red"}));
    let (status, told) = ask(&bob, "/key/generate", own.clone()).await;
    assert_eq!(status, 401, "{told}");
    assert_eq!(told["error"]["type"], "team_member_permission_error");
    let lets = toolgate_store::TeamChanges {
        team_member_permissions: toolgate_store::Change::Set(vec!["/key/generate".into(), "/key/update".into()]),
        ..Default::default()
    };
    store.update_team(&Actor::default(), "red", lets).await.unwrap();
    let (status, own) = ask(&bob, "/key/generate", own).await;
    assert_eq!((status, &own["user_id"]), (200, &json!("bob")), "{own}");

    // What Ann bound Bob's key by, Bob tightens and does not loosen.
    let (status, _) = ask(&bob, "/key/update", json!({"key": made["token"], "max_budget": 0.5})).await;
    assert_eq!(status, 200);
    let (status, told) = ask(&bob, "/key/update", json!({"key": made["token"], "max_budget": 5.0})).await;
    assert_eq!(status, 403, "{told}");
    let (status, told) = ask(&bob, "/key/update", json!({"key": made["token"], "object_permission": null})).await;
    assert_eq!(status, 403, "{told}");
    let (status, told) = ask(&bob, "/key/block", json!({"key": made["token"]})).await;
    assert_eq!(status, 403, "{told}");
    let (status, _) = ask(&as_user(&gate, "ann"), "/key/block", json!({"key": made["token"]})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_key_of_another_tenant_answers_as_one_that_is_not_there() {
    let (gate, _store, _servers) = house().await;
    let (_, made) = ask(&gate.admin(), "/key/generate", json!({"team_id": "red", "key_alias": "hidden"})).await;
    let (hidden, missing) = (made["token"].as_str().unwrap(), "0".repeat(64));
    let eve = as_user(&gate, "eve");
    let cases = [
        ("/key/update", json!({"key": "KEY", "max_budget": 1.0})),
        ("/key/block", json!({"key": "KEY"})),
        ("/key/unblock", json!({"key": "KEY"})),
        ("/key/regenerate", json!({"key": "KEY"})),
        ("/key/delete", json!({"keys": ["KEY"]})),
    ];
    let stripped = |(status, mut told): (u16, Value)| {
        told["error"].as_object_mut().unwrap().remove("request_id");
        (status, told)
    };
    for (path, body) in cases {
        let with = |key: &str| serde_json::from_str::<Value>(&body.to_string().replace("KEY", key)).unwrap();
        let of_another = stripped(ask(&eve, path, with(hidden)).await);
        let of_nobody = stripped(ask(&eve, path, with(&missing)).await);
        assert_eq!(of_another.0, 404, "{path}: {of_another:?}");
        assert_eq!(of_another, of_nobody, "{path}");
    }
    for key in [hidden, &missing] {
        assert_eq!(eve.get(&format!("/key/info?key={key}")).await.status, 404);
        let listed = eve.get(&format!("/key/list?key_hash={key}")).await.json();
        assert_eq!(listed["total_count"], 0, "{listed}");
    }
    for (path, words) in [
        ("/key/list?user_id=ann", "another user's keys"),
        ("/key/list?user_id=nobody", "another user's keys"),
        ("/key/list?team_id=red", "this team's keys"),
        ("/key/list?team_id=nobody", "this team's keys"),
    ] {
        let reply = eve.get(path).await;
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
        assert!(reply.text().contains(words), "{path}: {reply:?}");
    }
    let listed = eve.get("/key/list?return_full_object=true&include_team_keys=true").await;
    assert!(!listed.text().contains(hidden), "{listed:?}");
    let by_admin = as_user(&gate, "ann").get("/key/list?include_team_keys=true").await;
    assert!(by_admin.text().contains(hidden), "{by_admin:?}");
}

#[tokio::test]
async fn a_key_cannot_be_taken_over_by_changing_it() {
    let (gate, _store, _servers) = house().await;
    let bob = as_user(&gate, "bob");
    let own = "sk-key-of-bob-0123";
    for (body, status) in [
        (json!({"key": own, "user_id": "ann"}), 403),
        (json!({"key": own, "user_id": null}), 403),
        (json!({"key": own, "allowed_routes": ["/*"]}), 403),
        (json!({"key": own, "team_id": "blue"}), 403),
        (json!({"key": own, "user_role": "proxy_admin"}), 422),
        (json!({"key": own, "max_budget": 1e9}), 400),
        (json!({"key": own, "spend": 0.0, "key_alias": "mine"}), 200),
    ] {
        for path in ["/key/update", "/key/regenerate"] {
            let (answered, told) = match (path, status) {
                ("/key/regenerate", 200) => continue,
                _ => ask(&bob, path, body.clone()).await,
            };
            assert_eq!(answered, status, "{path} {body}: {told}");
        }
    }
}

#[tokio::test]
async fn a_service_account_is_a_teams_and_nobodys() {
    let (gate, _store, _servers) = house().await;
    let (status, told) = ask(&gate.admin(), "/key/service-account/generate", json!({"key_alias": "ci"})).await;
    assert_eq!(status, 400, "{told}");
    let body = bounded(json!({"key_alias": "ci", "team_id": "red", "user_id": "ann"}));
    let (status, made) = ask(&as_user(&gate, "ann"), "/key/service-account/generate", body).await;
    assert_eq!((status, &made["user_id"]), (200, &Value::Null), "{made}");
    assert_eq!(made["metadata"]["service_account_id"], "ci");
    let holder = gate.anonymous().with("authorization", &format!("Bearer {}", made["key"].as_str().unwrap()));
    assert_eq!(holder.tool_names().await, ["files-read", "files-write"]);
    let (status, told) = ask(&holder, "/key/generate", json!({})).await;
    assert_eq!(status, 401, "{told}");
    let renamed = json!({"key": made["token"], "metadata": {"service_account_id": "other"}});
    assert_eq!(ask(&gate.admin(), "/key/update", renamed).await.0, 400);
}
