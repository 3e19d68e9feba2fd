//! Nobody gives what they do not hold: every field of every body, sent by somebody who may use the route and does not
//! hold what the field gives; and what was accepted gives nothing when it is used.
//!
//! The fields are those of `/openapi.json`, which is made of the types that read the bodies: a field that is new has to
//! be put into one of the lists here.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};
use toolgate::server::openapi::document;

use crate::support::{Caller, Tenants, within_a_second};

/// The fields of a route's body.
fn fields(method: &str, path: &str) -> BTreeSet<String> {
    let document = document();
    let schema = &document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"];
    let name =
        schema["$ref"].as_str().unwrap_or_else(|| panic!("{method} {path} has no body")).rsplit('/').next().unwrap();
    document["components"]["schemas"][name]["properties"].as_object().unwrap().keys().cloned().collect()
}

/// Whether each field of the body stands in exactly one of the lists.
fn each_is_judged(method: &str, path: &str, lists: &[&[&str]]) {
    let judged: Vec<&str> = lists.concat();
    let set: BTreeSet<String> = judged.iter().map(|field| (*field).to_owned()).collect();
    assert_eq!(set.len(), judged.len(), "{path}: a field is judged twice");
    assert_eq!(fields(method, path), set, "{path}: judge each field");
}

fn with(base: &Value, field: &str, value: &Value) -> String {
    let mut body: Map<String, Value> = base.as_object().unwrap().clone();
    body.insert(field.to_owned(), value.clone());
    Value::Object(body).to_string()
}

async fn send(caller: &Caller, method: &Method, path: &str, body: String) -> (u16, Value) {
    let reply = caller.send(method.clone(), path, body).await;
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

/// Two tenants; in the first `max`, a member who may make keys, with a budget of their own.
async fn tenants() -> Tenants {
    let tenants = Tenants::start().await;
    let rights = json!({"team_id": "red-crew", "team_member_permissions": ["/key/generate", "/key/update"]});
    tenants.did("/team/update", rights).await;
    let reach = json!({"team_id": "red-crew", "object_permission": {"mcp_servers": ["files"], "mcp_tool_permissions": {"files": ["read"]}}});
    tenants.did("/team/update", reach).await;
    tenants.did("/user/update", json!({"user_id": "max", "user_role": "internal_user", "max_budget": 10.0})).await;
    let group = json!({"access_group_name": "all", "access_mcp_server_ids": ["files"]});
    tenants.did("/v1/access_group", group).await;
    tenants.did("/budget/new", json!({"budget_id": "rich", "max_budget": 1e9})).await;
    tenants.did("/project/new", json!({"project_id": "theirs", "team_id": "blue-crew"})).await;
    tenants
}

/// What a member may not give a key, each with what it would give.
fn key_privileges() -> Vec<(&'static str, Value)> {
    vec![
        ("allowed_routes", json!(["/*"])),
        ("permissions", json!({"get_spend_routes": true})),
        ("spend", json!(-5.0)),
        ("budget_id", json!("rich")),
        ("agent_id", json!("agent")),
        ("max_budget", json!(1e9)),
        ("user_id", json!("bob")),
        ("team_id", json!("blue-crew")),
        ("organization_id", json!("blue")),
        ("project_id", json!("theirs")),
        ("access_group_ids", json!(["all"])),
        ("object_permission", json!({"mcp_tool_permissions": {"nobody": ["x"]}})),
        ("allowed_passthrough_routes", json!(["/x"])),
        ("key_type", json!("management")),
        ("new_key", json!("sk-another-key-of-mine-1")),
        ("new_master_key", json!("sk-another-key-of-mine-2")),
        ("grace_period", json!("1d")),
        ("temp_budget_increase", json!(1e9)),
    ]
}

/// What gives nothing beyond what its maker has, however it is set.
const HARMLESS_IN_KEYS: [&str; 42] = [
    "key",
    "send_invite_email",
    "key_alias",
    "duration",
    "models",
    "aliases",
    "config",
    "metadata",
    "router_settings",
    "blocked",
    "budget_duration",
    "budget_limits",
    "budget_fallbacks",
    "model_max_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "allowed_cache_controls",
    "policies",
    "auto_rotate",
    "rotation_interval",
    "mcp_rpm_limit",
    "soft_budget",
    "tags",
    "model_rpm_limit",
    "model_tpm_limit",
    "tag_rpm_limit",
    "guardrails",
    "prompts",
    "enforced_params",
    "disable_global_guardrails",
    "enable_prompt_caching",
    "throttle_on_budget_exceeded",
    "denied_passthrough_routes",
    "allowed_vector_store_indexes",
    "rpm_limit_type",
    "tpm_limit_type",
    "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model",
    "end_user_budget_id",
    "temp_budget_expiry",
];

#[tokio::test]
async fn a_member_gives_a_key_nothing_that_they_do_not_hold() {
    let tenants = tenants().await;
    let max = tenants.user("max").await;
    let privileges = key_privileges();
    let names: Vec<&str> = privileges.iter().map(|(field, _)| *field).collect();
    for path in ["/key/generate", "/key/update", "/key/regenerate", "/key/service-account/generate"] {
        each_is_judged("post", path, &[&names, &HARMLESS_IN_KEYS]);
    }
    let made = json!({"team_id": "red-crew", "max_budget": 1.0});
    let (status, own) = send(&max, &Method::POST, "/key/generate", made.to_string()).await;
    assert_eq!(status, 200, "{own}");
    let named = json!({"key": own["token"]});
    for (field, value) in &privileges {
        for (path, base) in [("/key/generate", &made), ("/key/update", &named)] {
            let (status, told) = send(&max, &Method::POST, path, with(base, field, value)).await;
            assert!((400..500).contains(&status), "{path} {field}: {status} {told}");
        }
    }
    // What is accepted: the key reaches what its team reaches, and manages nothing that its maker does not.
    let everything = json!({
        "team_id": "red-crew", "max_budget": 1.0, "models": ["*"], "blocked": false, "rpm_limit": 1_000_000,
        "metadata": {"user_role": "proxy_admin", "allowed_routes": ["/*"], "team_id": "blue-crew", "scope": "admin"},
        "config": {"user_role": "proxy_admin"}, "aliases": {"a": "b"}, "router_settings": {"allow_all": true},
        "policies": ["none"], "disable_global_guardrails": true, "soft_budget": 0.5,
    });
    let (status, key) = send(&max, &Method::POST, "/key/generate", everything.to_string()).await;
    assert_eq!(status, 200, "{key}");
    let holder = tenants.holder(key["key"].as_str().unwrap());
    assert_eq!(holder.tool_names().await, ["files-read"]);
    for (path, body) in [
        ("/team/new", json!({"team_alias": "mine"})),
        ("/user/new", json!({"user_id": "new", "user_role": "proxy_admin"})),
        ("/organization/new", json!({"organization_alias": "mine"})),
        ("/key/generate", json!({"team_id": "blue-crew", "max_budget": 1.0})),
        ("/v1/mcp/server", json!({"server_name": "mine", "url": "https://example.com/mcp"})),
        ("/team/info?team_id=blue-crew", Value::Null),
    ] {
        let method = if body.is_null() { Method::GET } else { Method::POST };
        let (status, told) = send(&holder, &method, path, body.to_string()).await;
        assert!(matches!(status, 401 | 403 | 404), "{path}: {status} {told}");
    }
}

#[tokio::test]
async fn admins_of_teams_and_organizations_do_not_set_what_bounds_them() {
    let tenants = tenants().await;
    let (tina, ann) = (tenants.user("tina").await, tenants.user("ann").await);
    let names = ["team_id", "team_alias", "object_permission"];
    let bounds = [
        ("organization_id", json!("blue")),
        ("members_with_roles", json!([{"user_id": "tina", "role": "admin"}])),
        ("metadata", json!({"mcp_rpm_limit": {}})),
        ("max_budget", json!(1e9)),
        ("soft_budget", json!(1e9)),
        ("budget_duration", json!("1s")),
        ("max_parallel_requests", json!(1_000_000)),
        ("tpm_limit", json!(1_000_000)),
        ("rpm_limit", json!(1_000_000)),
        ("tpd_limit", json!(1_000_000)),
        ("models", json!(["*"])),
        ("blocked", json!(false)),
        ("model_aliases", json!({"a": "b"})),
        ("model_max_budget", json!({"a": 1e9})),
        ("router_settings", json!({"a": 1})),
        ("policies", json!(["none"])),
        ("team_member_permissions", json!(["/key/generate"])),
        ("default_team_member_models", json!(["*"])),
        ("access_group_ids", json!(["all"])),
        ("tags", json!(["a"])),
        ("guardrails", json!([])),
        ("prompts", json!([])),
        ("model_rpm_limit", json!({"a": 1})),
        ("model_tpm_limit", json!({"a": 1})),
        ("mcp_rpm_limit", json!({"files": 1_000_000})),
    ];
    let bounding: Vec<&str> = bounds.iter().map(|(field, _)| *field).collect();
    for path in ["/team/new", "/team/update"] {
        each_is_judged("post", path, &[&names, &bounding]);
    }
    let before = tenants.store.team("red-crew").await.unwrap().unwrap();
    for (field, value) in &bounds {
        let named = json!({"team_id": "red-crew"});
        for (method, path, base) in
            [(Method::POST, "/team/update", &named), (Method::PATCH, "/team/red-crew", &json!({}))]
        {
            let (status, told) = send(&tina, &method, path, with(base, field, value)).await;
            assert!((400..500).contains(&status), "{path} {field}: {status} {told}");
        }
    }
    // The permission of a team is never widened by its own admin.
    for wider in [json!({"mcp_tool_permissions": {"files": ["*"]}}), json!({"mcp_servers": ["all-proxy-mcpservers"]})] {
        let body = json!({"team_id": "red-crew", "object_permission": wider}).to_string();
        let (status, told) = send(&tina, &Method::POST, "/team/update", body).await;
        assert!((400..500).contains(&status), "{wider}: {status} {told}");
    }
    assert_eq!(tenants.store.team("red-crew").await.unwrap().unwrap(), before);

    let names = ["organization_id", "organization_alias"];
    let bounds = [
        ("budget_id", json!("rich")),
        ("models", json!(["*"])),
        ("metadata", json!({"mcp_rpm_limit": {}})),
        ("object_permission", json!({"mcp_servers": ["all-proxy-mcpservers"]})),
        ("spend", json!(0.0)),
        ("max_budget", json!(1e9)),
        ("soft_budget", json!(1e9)),
        ("max_parallel_requests", json!(1_000_000)),
        ("tpm_limit", json!(1_000_000)),
        ("rpm_limit", json!(1_000_000)),
        ("tpd_limit", json!(1_000_000)),
        ("model_max_budget", json!({"a": 1e9})),
        ("budget_duration", json!("1s")),
        ("model_rpm_limit", json!({"a": 1})),
        ("model_tpm_limit", json!({"a": 1})),
        ("mcp_rpm_limit", json!({"files": 1_000_000})),
    ];
    let bounding: Vec<&str> = bounds.iter().map(|(field, _)| *field).collect();
    each_is_judged("patch", "/organization/update", &[&names, &bounding]);
    let before = tenants.store.organization("red").await.unwrap().unwrap();
    for (field, value) in &bounds {
        let body = with(&json!({"organization_id": "red"}), field, value);
        let (status, told) = send(&ann, &Method::PATCH, "/organization/update", body).await;
        assert!((400..500).contains(&status), "{field}: {status} {told}");
    }
    assert_eq!(tenants.store.organization("red").await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn nobody_gives_themselves_or_their_members_rights() {
    let tenants = tenants().await;
    let (max, ann) = (tenants.user("max").await, tenants.user("ann").await);
    let own = ["user_id", "user_alias"];
    let rights = [
        ("user_email", json!("other@example.com")),
        ("user_role", json!("proxy_admin")),
        ("sso_user_id", json!("boss")),
        ("max_budget", json!(1e9)),
        ("budget_duration", json!("1s")),
        ("max_parallel_requests", json!(1_000_000)),
        ("tpm_limit", json!(1_000_000)),
        ("rpm_limit", json!(1_000_000)),
        ("models", json!(["*"])),
        ("metadata", json!({"a": 1})),
        ("model_max_budget", json!({"a": 1e9})),
        ("object_permission", json!({"mcp_servers": ["files"]})),
        ("spend", json!(0.0)),
        ("teams", json!(["blue-crew"])),
        ("team_id", json!("blue-crew")),
        ("organizations", json!(["blue"])),
        ("auto_create_key", json!(true)),
        ("send_invite_email", json!(true)),
        ("key_alias", json!("mine")),
        ("duration", json!("1d")),
    ];
    let names: Vec<&str> = rights.iter().map(|(field, _)| *field).collect();
    for path in ["/user/new", "/user/update"] {
        each_is_judged("post", path, &[&own, &names]);
    }
    let before = tenants.store.user("max").await.unwrap().unwrap();
    for (field, value) in &rights {
        let (status, told) =
            send(&max, &Method::POST, "/user/update", with(&json!({"user_id": "max"}), field, value)).await;
        assert!((400..500).contains(&status), "{field}: {status} {told}");
    }
    assert_eq!(tenants.store.user("max").await.unwrap().unwrap(), before);
    // Whoever administers an organization makes no admins, nobody for others' teams, and nobody in others' houses.
    for (field, value) in [
        ("user_role", json!("proxy_admin")),
        ("teams", json!(["blue-crew"])),
        ("organizations", json!(["red", "blue"])),
    ] {
        let body = with(&json!({"user_id": "new", "organizations": ["red"]}), field, &value);
        let (status, told) = send(&ann, &Method::POST, "/user/new", body).await;
        assert!((400..500).contains(&status), "{field}: {status} {told}");
    }
    assert_eq!(tenants.store.user("new").await.unwrap(), None);
}

/// What is for the admin to set who decides on a proposed server, each with what it would do.
fn server_privileges() -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("allow_all_keys", json!(true)),
        ("mcp_access_groups", json!(["everybody"])),
        ("delegate_auth_to_upstream", json!(true)),
        ("pinned_tools", json!({"read": {"hash": "0"}})),
        // It may be in grants already.
        ("server_id", json!("files")),
        ("command", json!("python3")),
        ("args", json!(["-c", "import os"])),
        ("env", json!({"A": "b"})),
        ("is_config", json!(true)),
        ("teams", json!(["blue-crew"])),
        ("status", json!("healthy")),
        ("approval_status", json!("active")),
    ];
    let told = [
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
        "last_health_check",
        "health_check_error",
        "has_user_credential",
        "connected_app_reachable",
        "submitted_by",
        "submitted_at",
        "reviewed_at",
        "review_notes",
    ];
    all.extend(told.map(|field| (field, json!("2026-01-01T00:00:00Z"))));
    all
}

/// What a proposal is about: the admin who approves it sees it.
fn proposal() -> Value {
    json!({
        "server_name": "maps", "alias": "our_maps", "url": "https://1.1.1.1/mcp", "transport": "http",
        "description": "Maps", "instructions": "Ask for places.", "auth_type": "oauth2",
        "credentials": {"client_id": "us", "client_secret": "a secret"}, "static_headers": {"x-ours": "b"},
        "extra_headers": ["x-trace"], "env_vars": [{"name": "PLACE", "value": "here"}],
        "mcp_info": {"server_name": "Maps", "description": "Maps"}, "allowed_tools": ["find"],
        "disallowed_tools": ["drop"], "allowed_params": {"find": ["place"]},
        "tool_name_to_display_name": {"find": "search"}, "tool_name_to_description": {"find": "Finds a place"},
        "issuer": "https://1.1.1.1", "authorization_url": "https://1.1.1.1/authorize",
        "token_url": "https://1.1.1.1/token", "registration_url": "https://1.1.1.1/register",
        "oauth2_flow": "authorization_code", "available_on_public_internet": true, "oauth_passthrough": false,
        "dcr_bridge": false, "per_server_oauth_discovery": false, "is_byok": false, "byok_description": [],
        "byok_api_key_help_url": "https://1.1.1.1/help", "source_url": "https://1.1.1.1/source", "timeout": 20.0,
        "max_concurrent_requests": 5, "rpm": 100,
    })
}

/// Of other ways to reach and to authenticate than the one above.
const OTHERS_OF_PROPOSALS: [&str; 5] =
    ["spec_path", "token_exchange_endpoint", "audience", "subject_token_type", "token_exchange_profile"];

#[tokio::test]
async fn whoever_proposes_a_server_sets_nothing_that_is_for_the_admin_who_decides() {
    let tenants = tenants().await;
    let max = tenants.user("max").await;
    let made = json!({"team_id": "red-crew", "max_budget": 1.0}).to_string();
    let (status, key) = send(&max, &Method::POST, "/key/generate", made).await;
    assert_eq!(status, 200, "{key}");
    let max = tenants.holder(key["key"].as_str().unwrap());
    let (privileges, proposal) = (server_privileges(), proposal());
    let names: Vec<&str> = privileges.iter().map(|(field, _)| *field).collect();
    let proposed: Vec<&str> = proposal.as_object().unwrap().keys().map(String::as_str).collect();
    each_is_judged("post", "/v1/mcp/server/register", &[&names, &proposed, &OTHERS_OF_PROPOSALS]);

    let register = async |body: String| send(&max, &Method::POST, "/v1/mcp/server/register", body).await;
    let nested = [
        json!({"mcp_server_cost_info": {"default_cost_per_query": 0.0}}),
        json!({"is_public": true}),
        json!({"is_public_explicit": true}),
    ];
    let nested = nested.into_iter().map(|info| ("mcp_info", info));
    for (field, value) in privileges.into_iter().chain(nested) {
        let (status, told) = register(with(&proposal, field, &value)).await;
        let is_program = ["command", "args", "env"].contains(&field);
        assert_eq!(status, if is_program { 400 } else { 403 }, "{field}: {told}");
        let word = if is_program { "stdio MCP servers cannot be submitted" } else { field };
        assert!(told.to_string().contains(word), "{field}: {told}");
    }
    for name in ["command", "transport", "access_groups", "allow_all_keys", "pinned_tools", "ssl_verify"] {
        let (status, told) = register(with(&proposal, "credentials", &json!({ name: ["all"] }))).await;
        assert_eq!((status, &told["error"]["param"]), (422, &json!(format!("credentials.{name}"))), "{told}");
    }
    assert_eq!(tenants.store.servers().await.unwrap(), []);
    // Null is nothing, which clients may well send.
    let mut body = proposal.clone();
    for field in names {
        body[field] = Value::Null;
    }
    let (status, row) = register(body.to_string()).await;
    assert_eq!(status, 201, "{row}");
    assert_eq!((&row["approval_status"], &row["submitted_by"]), (&json!("pending_review"), &json!("max")));
    let kept = tenants.store.servers().await.unwrap();
    assert_eq!((kept.len(), kept[0].allow_all_keys, kept[0].mcp_access_groups.len()), (1, false, 0));
    for caller in [&max, &tenants.user("tina").await, &tenants.gate.admin()] {
        let names = caller.tool_names().await;
        assert!(names.iter().all(|name| name.starts_with("files-")), "{names:?}");
    }
}

/// What only admins write is refused to the highest of all others, whatever is in it.
#[tokio::test]
async fn what_only_admins_write_is_written_by_nobody_else() {
    let tenants = tenants().await;
    let ann = tenants.user("ann").await;
    let routes = [
        ("post", "/customer/new"),
        ("post", "/customer/update"),
        ("post", "/v1/access_group"),
        ("put", "/v1/access_group/{access_group_id}"),
        ("post", "/v1/mcp/toolset"),
        ("put", "/v1/mcp/toolset"),
        ("post", "/v1/mcp/server"),
        ("put", "/v1/mcp/server"),
        ("post", "/budget/new"),
        ("post", "/budget/update"),
        ("post", "/organization/new"),
        ("post", "/key/bulk_update"),
        ("post", "/user/bulk_update"),
        ("post", "/team/permissions_bulk_update"),
    ];
    for (method, path) in routes {
        for field in fields(method, path) {
            let verb: Method = method.to_uppercase().parse().unwrap();
            let at = path.replace("{access_group_id}", "all");
            let (status, told) = send(&ann, &verb, &at, json!({ field.as_str(): null }).to_string()).await;
            assert_eq!(status, 401, "{method} {path} {field}: {told}");
            let text = told["error"]["message"].as_str().unwrap_or_default();
            assert!(text.contains("Only proxy admin"), "{method} {path} {field}: {told}");
        }
    }
}

#[tokio::test]
async fn what_a_maker_loses_their_keys_lose_within_a_second() {
    let tenants = tenants().await;
    tenants.did("/user/new", json!({"user_id": "chief", "user_role": "proxy_admin", "auto_create_key": false})).await;
    let chief = tenants.user("chief").await;
    let (status, made) = send(&chief, &Method::POST, "/key/generate", json!({"user_id": "chief"}).to_string()).await;
    assert_eq!(status, 200, "{made}");
    let child = tenants.holder(made["key"].as_str().unwrap());
    assert_eq!(child.get("/user/list").await.status, 200, "the key of an admin");
    assert_eq!(child.tool_names().await.len(), 3);

    tenants.did("/user/update", json!({"user_id": "chief", "user_role": "internal_user"})).await;
    let is_lost = async || child.get("/user/list").await.status == 403 && child.tool_names().await.is_empty();
    within_a_second("losing what the maker lost", is_lost).await;

    // And what a team loses, its members' keys.
    let max = tenants.user("max").await;
    let body = json!({"team_id": "red-crew", "max_budget": 1.0}).to_string();
    let (_, made) = send(&max, &Method::POST, "/key/generate", body).await;
    let holder = tenants.holder(made["key"].as_str().unwrap());
    assert_eq!(holder.tool_names().await, ["files-read"]);
    tenants
        .did(
            "/team/update",
            json!({"team_id": "red-crew", "object_permission": {"mcp_tool_permissions": {"files": ["write"]}}}),
        )
        .await;
    within_a_second("losing what the team lost", async || holder.tool_names().await == ["files-write"]).await;
}
