//! What is another tenant's in every field that names something: refused, and nothing of theirs changes.
//!
//! The fields are those of `/openapi.json`, which is made of the types that read the bodies: a field that is new and
//! names something has to be put into the list here.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use toolgate::admin::Least;
use toolgate::server::openapi::document;
use toolgate::server::routes::{Access, ROUTES};

use crate::support::{Caller, Tenants};

/// A route as Ann, who administers the red house, may use it; and in which fields she may name something of hers.
struct Use {
    method: Method,
    path: &'static str,
    body: Value,
    /// Each with what is Bob's, who administers the blue house.
    fields: Vec<(&'static str, Value)>,
}

fn post(path: &'static str, body: Value, fields: &[(&'static str, Value)]) -> Use {
    Use { method: Method::POST, path, body, fields: fields.to_vec() }
}

/// The keys of the houses, by their hashes, and another one of the red house.
struct Keys {
    red: String,
    second: String,
    blue: String,
    /// An access group that no team of either house is in.
    group: String,
}

/// Two houses with a key, a project and a shared budget each.
async fn houses() -> (Tenants, Keys) {
    let tenants = Tenants::start().await;
    let key = async |alias: &str, team: &str, user: &str| {
        let key = json!({"team_id": team, "key_alias": alias, "user_id": user});
        tenants.did("/key/generate", key).await["token"].as_str().unwrap().to_owned()
    };
    for (house, team) in [("red", "red-crew"), ("blue", "blue-crew")] {
        tenants.did("/project/new", json!({"project_id": format!("{house}-project"), "team_id": team})).await;
        tenants.did("/budget/new", json!({"budget_id": format!("{house}-budget"), "max_budget": 50.0})).await;
    }
    tenants
        .did("/team/member_add", json!({"team_id": "blue-crew", "member": {"user_id": "bob", "role": "admin"}}))
        .await;
    tenants.did("/team/member_add", json!({"team_id": "red-crew", "member": {"user_id": "ann", "role": "user"}})).await;
    for user in ["rosa", "rolf"] {
        tenants.did("/user/new", json!({"user_id": user, "organizations": ["red"], "auto_create_key": false})).await;
    }
    let group = json!({"access_group_name": "blue", "access_mcp_server_ids": ["files"]});
    let group = tenants.did("/v1/access_group", group).await["access_group_id"].as_str().unwrap().to_owned();
    let keys = Keys {
        red: key("red-key", "red-crew", "ann").await,
        second: key("second", "red-crew", "ann").await,
        blue: key("blue-key", "blue-crew", "bob").await,
        group,
    };
    (tenants, keys)
}

/// Deletions last: what is deleted cannot be named any more.
#[expect(clippy::too_many_lines, reason = "one list of what each route takes")]
fn uses(keys: &Keys) -> Vec<Use> {
    let Keys { red, second, blue, group } = keys;
    let key = [("key", json!(blue))];
    let team = [("team_id", json!("blue-crew"))];
    let reach = json!({"mcp_servers": ["files"], "mcp_toolsets": ["blue-tools"]});
    let of_key = [
        ("team_id", json!("blue-crew")),
        ("user_id", json!("bob")),
        ("organization_id", json!("blue")),
        ("project_id", json!("blue-project")),
        ("budget_id", json!("blue-budget")),
        ("agent_id", json!("blue-agent")),
        ("access_group_ids", json!([group])),
        ("object_permission", reach.clone()),
    ];
    let named_key = [&key[..], &of_key].concat();
    let member = json!({"user_id": "bob", "role": "user"});
    let of_team = [
        ("organization_id", json!("blue")),
        ("members_with_roles", json!([member])),
        ("access_group_ids", json!([group])),
        ("object_permission", reach.clone()),
    ];
    let named_team = [&team[..], &of_team].concat();
    let member_of_team = json!({"team_id": "red-crew", "user_id": "tina"});
    let member_of_house = json!({"organization_id": "red", "user_id": "tina"});
    let place = [("organization_id", json!("blue")), ("user_id", json!("bob"))];
    vec![
        post("/key/generate", json!({"team_id": "red-crew"}), &named_key),
        post("/key/service-account/generate", json!({"team_id": "red-crew", "key_alias": "robot"}), &named_key),
        post("/key/update", json!({"key": red, "tags": ["a"]}), &named_key),
        post(
            "/team/key/bulk_update",
            json!({"team_id": "red-crew", "key_ids": [red], "update_fields": {"tags": ["b"]}}),
            &[
                ("team_id", json!("blue-crew")),
                ("key_ids", json!([blue])),
                ("update_fields", json!({"budget_id": "blue-budget"})),
            ],
        ),
        post("/key/block", json!({"key": red}), &key),
        post("/key/unblock", json!({"key": red}), &key),
        post("/v1/mcp/access/explain", json!({"server": "files"}), &key),
        post(
            "/team/new",
            json!({"organization_id": "red", "team_alias": "more"}),
            &[
                ("team_id", json!("blue-crew")),
                ("organization_id", json!("blue")),
                ("members_with_roles", json!([member])),
                ("access_group_ids", json!([group])),
                ("object_permission", reach.clone()),
            ],
        ),
        post("/team/update", json!({"team_id": "red-crew", "team_alias": "crew"}), &named_team),
        Use {
            method: Method::PATCH,
            path: "/team/{team_id}",
            body: json!({"team_alias": "Crew"}),
            fields: named_team.clone(),
        },
        post("/team/block", json!({"team_id": "red-crew"}), &team),
        post("/team/unblock", json!({"team_id": "red-crew"}), &team),
        post(
            "/team/permissions_update",
            json!({"team_id": "red-crew", "team_member_permissions": ["/key/info"]}),
            &team,
        ),
        post(
            "/team/member_add",
            json!({"team_id": "red-crew", "member": {"user_id": "rosa", "role": "user"}}),
            &[("team_id", json!("blue-crew")), ("member", member.clone())],
        ),
        post(
            "/team/bulk_member_add",
            json!({"team_id": "red-crew", "members": [{"user_id": "rolf", "role": "user"}]}),
            &[("team_id", json!("blue-crew")), ("members", json!([member]))],
        ),
        post(
            "/team/member_update",
            json!({"team_id": "red-crew", "user_id": "max", "role": "user"}),
            &[("team_id", json!("blue-crew")), ("user_id", json!("bob"))],
        ),
        Use {
            method: Method::PATCH,
            path: "/organization/update",
            body: json!({"organization_id": "red", "organization_alias": "Red"}),
            fields: vec![
                ("organization_id", json!("blue")),
                ("budget_id", json!("blue-budget")),
                ("object_permission", reach.clone()),
            ],
        },
        post(
            "/organization/member_add",
            json!({"organization_id": "red", "member": {"user_email": "new@red.example", "role": "internal_user"}}),
            &[("organization_id", json!("blue")), ("member", json!({"user_id": "bob", "role": "internal_user"}))],
        ),
        Use {
            method: Method::PATCH,
            path: "/organization/member_update",
            body: json!({"organization_id": "red", "user_id": "tina", "role": "internal_user"}),
            fields: place.to_vec(),
        },
        post(
            "/project/new",
            json!({"team_id": "red-crew"}),
            &[
                ("project_id", json!("blue-project")),
                ("team_id", json!("blue-crew")),
                ("budget_id", json!("blue-budget")),
                ("object_permission", reach.clone()),
            ],
        ),
        post(
            "/project/update",
            json!({"project_id": "red-project", "description": "ours"}),
            &[
                ("project_id", json!("blue-project")),
                ("team_id", json!("blue-crew")),
                ("budget_id", json!("blue-budget")),
                ("object_permission", reach.clone()),
            ],
        ),
        post(
            "/user/new",
            json!({"user_id": "new", "organizations": ["red"]}),
            &[
                ("user_id", json!("bob")),
                ("organizations", json!(["blue"])),
                ("teams", json!(["blue-crew"])),
                ("team_id", json!("blue-crew")),
                ("object_permission", reach.clone()),
            ],
        ),
        post(
            "/user/update",
            json!({"user_id": "max", "user_alias": "Max"}),
            &[
                ("user_id", json!("bob")),
                ("organizations", json!(["blue"])),
                ("teams", json!(["blue-crew"])),
                ("team_id", json!("blue-crew")),
                ("object_permission", reach),
            ],
        ),
        post("/key/{key}/reset_spend", json!({"reset_to": 0.0}), &[]),
        post("/key/{key}/regenerate", json!({}), &of_key),
        post("/key/regenerate", json!({"key": second}), &named_key),
        post(
            "/key/delete",
            json!({"key_aliases": ["robot"]}),
            &[("keys", json!([blue])), ("key_aliases", json!(["blue-key"]))],
        ),
        post("/team/member_delete", member_of_team, &[("team_id", json!("blue-crew")), ("user_id", json!("bob"))]),
        Use {
            method: Method::DELETE,
            path: "/organization/member_delete",
            body: member_of_house,
            fields: place.to_vec(),
        },
        post("/user/delete", json!({"user_ids": ["max"]}), &[("user_ids", json!(["bob"]))]),
        post("/team/delete", json!({"team_ids": ["red-crew"]}), &[("team_ids", json!(["blue-crew"]))]),
    ]
}

/// Whether a field names something that may be somebody else's.
fn names_something(field: &str) -> bool {
    let words = [
        "key",
        "keys",
        "key_aliases",
        "member",
        "members",
        "members_with_roles",
        "organizations",
        "teams",
        "object_permission",
        "update_fields",
    ];
    field.ends_with("_id") || field.ends_with("_ids") || words.contains(&field)
}

/// The fields that do, of a route's body.
fn naming_fields(document: &Value, method: &str, path: &str) -> BTreeSet<String> {
    let schema = &document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"];
    let Some(name) = schema["$ref"].as_str() else { return BTreeSet::new() };
    let properties = &document["components"]["schemas"][name.rsplit('/').next().unwrap()]["properties"];
    properties.as_object().unwrap().keys().filter(|field| names_something(field)).cloned().collect()
}

/// Fields that name something and give nothing: a service account is nobody's, and a project's permission only takes away
/// from its team's.
const GIVE_NOTHING: [(&str, &str); 3] = [
    ("/key/service-account/generate", "user_id"),
    ("/project/new", "object_permission"),
    ("/project/update", "object_permission"),
];

/// Fields that name nothing of a tenant's.
const NOBODYS: [&str; 3] = ["sso_user_id", "end_user_budget_id", "server_id"];

/// Routes whose bodies name only what is everybody's own, or what their own tests look at.
const ELSEWHERE: [&str; 5] = [
    // The caller's own values for a server that they reach: `vaults`.
    "/v1/mcp/server/{server_id}/user-credential",
    "/v1/mcp/server/{server_id}/user-env-vars",
    // Proposals: `privileges`.
    "/v1/mcp/server/register",
    // Keys that are not the caller's to see are left out of the answer: below.
    "/v2/key/info",
    "/key/{key}/regenerate",
];

#[test]
fn each_field_that_names_something_is_in_the_list() {
    let [red, second, blue, group] = ["red", "second", "blue", "group"].map(str::to_owned);
    let uses = uses(&Keys { red, second, blue, group });
    let (document, mut missing) = (document(), Vec::new());
    for route in ROUTES {
        let Access::Role(least) = route.access else { continue };
        if matches!(least, Least::Admin | Least::AdminViewer) || ELSEWHERE.contains(&route.path) {
            continue;
        }
        let named = naming_fields(&document, &route.method.to_lowercase(), route.path);
        let listed = uses.iter().find(|used| used.method == route.method && used.path == route.path);
        let listed: BTreeSet<String> = listed
            .map(|used| {
                let own = used.body.as_object().unwrap().keys().filter(|field| names_something(field)).cloned();
                own.chain(used.fields.iter().map(|(field, _)| (*field).to_owned())).collect()
            })
            .unwrap_or_default();
        let forgotten = named.difference(&listed).filter(|field| !NOBODYS.contains(&field.as_str()));
        missing.extend(forgotten.map(|field| format!("{} {} {field}", route.method, route.path)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// All that is Bob's.
async fn bobs(tenants: &Tenants, key: &str) -> String {
    let store = &tenants.store;
    let hash = key.parse().unwrap();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        store.key(&hash).await.unwrap(),
        store.team("blue-crew").await.unwrap(),
        store.team_members("blue-crew").await.unwrap(),
        store.organization("blue").await.unwrap(),
        store.organization_memberships_of("bob").await.unwrap(),
        store.user("bob").await.unwrap(),
        store.project("blue-project").await.unwrap(),
        store.budget("blue-budget").await.unwrap(),
    )
}

/// Whether it was done, and what was told. Where many are named, the answer says of each whether it was.
async fn done(caller: &Caller, used: &Use, path: &str, body: &Value) -> (bool, String) {
    let reply = caller.send(used.method.clone(), path, body.to_string()).await;
    let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let none = [("successful_additions", json!(0)), ("successful_updates", json!([]))];
    let all_failed = none.iter().any(|(field, nothing)| told.get(field) == Some(nothing));
    assert!(reply.status.as_u16() < 500, "{path} {body}: {reply:?}");
    (reply.status.is_success() && !all_failed, format!("{} {}", reply.status, reply.text()))
}

#[tokio::test]
async fn what_is_another_tenants_is_refused_in_every_field_and_stays_as_it_is() {
    let (tenants, keys) = houses().await;
    let ann = tenants.user("ann").await;
    let before = bobs(&tenants, &keys.blue).await;
    let mut wrong = Vec::new();
    for used in uses(&keys) {
        let at = |house: &str| {
            let key = if house == "red" { &keys.red } else { &keys.blue };
            used.path.replace("{team_id}", &format!("{house}-crew")).replace("{key}", key)
        };
        for (field, value) in &used.fields {
            if GIVE_NOTHING.contains(&(used.path, *field)) {
                continue;
            }
            let mut body = used.body.clone();
            body[*field] = value.clone();
            let (is_done, told) = done(&ann, &used, &at("red"), &body).await;
            if is_done {
                wrong.push(format!("{} {field} was done: {told}", used.path));
            }
        }
        if at("blue") != used.path {
            let (is_done, told) = done(&ann, &used, &at("blue"), &used.body).await;
            if is_done {
                wrong.push(format!("{} was done: {told}", at("blue")));
            }
        }
        if bobs(&tenants, &keys.blue).await != before {
            wrong.push(format!("{} changed what is Bob's", used.path));
        }
        // It is the other tenant's that was refused, and nothing else of the body.
        let (is_done, told) = done(&ann, &used, &at("red"), &used.body).await;
        if !is_done {
            wrong.push(format!("{} is of no use to Ann: {told}", used.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let told = ann.post("/v2/key/info", json!({"keys": [keys.blue]}).to_string()).await;
    assert!(!told.text().contains("blue"), "{told:?}");
    assert_eq!(bobs(&tenants, &keys.blue).await, before);
    tenants.gate.stop().await;
}
