//! Callers with a JWT of a trusted issuer.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use toolgate_store::{Organization, User, UserChanges};

use crate::support::postgres::{OwnPostgres, PgDatabase};
use crate::support::{
    Caller, Config, FakeIdp, FakeMcp, People, SigningKey, TestGateway, config, no_signature, people, script, unsigned,
    within_a_second,
};

const ISSUER: &str = "https://idp.example";

/// A gateway with a server, a team that may use it, a user, and a provider with one key.
struct World {
    gate: TestGateway,
    idp: FakeIdp,
    key: SigningKey,
    people: People,
    fake: FakeMcp,
}

const FIELDS: &str = "{user_id_jwt_field: sub, user_email_jwt_field: email, team_id_jwt_field: team, \
                      team_ids_jwt_field: groups.all, org_id_jwt_field: org, end_user_id_jwt_field: customer}";

fn jwt_config(idp: &FakeIdp, fake: &FakeMcp, fields: &str) -> Config {
    config()
        .server("files", fake.entry())
        .general("enable_jwt_auth: true")
        .general(&format!("litellm_jwtauth: {fields}"))
        .env("JWT_PUBLIC_KEY_URL", &idp.keys_url())
        .env("JWT_ISSUER", ISSUER)
        .env("JWT_AUDIENCE", "gate, other-name-of-gate")
}

impl World {
    async fn new() -> Self {
        Self::with(FIELDS, |config| config).await
    }

    async fn with(fields: &str, more: impl FnOnce(Config) -> Config) -> Self {
        let idp = FakeIdp::start().await;
        let key = SigningKey::rsa();
        idp.publish("k1", &key);
        let fake = FakeMcp::start(script().tools(&["read", "write"])).await;
        let people = People::new().await;
        people.team("crew", json!({"mcp_servers": ["files"]})).await;
        people.team("idle", Value::Null).await;
        people.store.create_user(&people::actor(), user("alice"), Vec::new()).await.unwrap();
        let gate = people.gateway(more(jwt_config(&idp, &fake, fields))).await;
        Self { gate, idp, key, people, fake }
    }

    fn caller(&self, token: &str) -> Caller {
        self.gate.anonymous().with("authorization", &format!("Bearer {token}"))
    }

    fn bearer(&self, claims: &Value) -> Caller {
        self.caller(&self.key.token("RS256", "k1", claims))
    }
}

fn user(id: &str) -> User {
    User { user_id: id.to_owned(), user_role: Some("internal_user".to_owned()), ..User::default() }
}

/// Good claims, with these in place of or beside them; null takes one out.
fn claims(more: Value) -> Value {
    let mut claims =
        json!({"iss": ISSUER, "aud": "gate", "sub": "alice", "team": "crew", "exp": Utc::now().timestamp() + 600});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

#[tokio::test]
async fn a_token_reaches_what_its_team_reaches_and_never_goes_upstream() {
    let world = World::new().await;
    let token = world.key.token("RS256", "k1", &claims(json!({})));
    let caller = world.caller(&token);
    assert_eq!(caller.tool_names().await, ["files-read", "files-write"]);
    caller.call("files-read", json!({})).await;
    for seen in world.fake.seen() {
        let all = format!("{:?} {:?}", seen.headers, seen.body);
        assert!(!all.contains(&token) && !all.contains("eyJ"), "{all}");
    }
    let idle = world.bearer(&claims(json!({"team": "idle"})));
    assert_eq!(idle.tool_names().await, [""; 0]);
    // The first of several teams that is there counts.
    let groups = json!({"team": null, "groups": {"all": ["nowhere", "crew", "idle"]}});
    assert_eq!(world.bearer(&claims(groups)).tool_names().await, ["files-read", "files-write"]);
    let log = world.people.store.audit_log(&Default::default(), toolgate_store::PageOf::new(1, 50)).await.unwrap();
    let sign_ins = log.items.iter().filter(|entry| entry.action == "signed_in");
    assert_eq!(sign_ins.filter(|entry| entry.object_id == "alice").count(), 3, "one for each whom tokens name");
    assert!(!json!(log.items).to_string().contains("eyJ"));
}

#[tokio::test]
async fn other_kinds_of_keys_and_signatures_are_taken_too() {
    let world = World::new().await;
    let (ecdsa, ed25519) = (SigningKey::ecdsa(), SigningKey::ed25519());
    world.idp.publish("e1", &ecdsa);
    world.idp.publish("d1", &ed25519);
    let claims = claims(json!({"aud": ["else", "other-name-of-gate"]}));
    for token in [
        world.key.token("PS256", "k1", &claims),
        ecdsa.token("ES256", "e1", &claims),
        ed25519.token("EdDSA", "d1", &claims),
    ] {
        assert_eq!(world.caller(&token).get("/v1/mcp/server").await.status, 200, "{token}");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_is_told_in_the_same_words() {
    let world = World::new().await;
    let now = Utc::now().timestamp();
    let (key, stranger) = (&world.key, SigningKey::rsa());
    let good = claims(json!({}));
    let unknown = world.gate.holder("sk-nobody-knows-this-key").get("/v1/mcp/server").await;
    let with = |more: Value| key.token("RS256", "k1", &claims(more));
    let none = json!({"alg": "none", "kid": "k1"});
    let cases = [
        ("expired", with(json!({"exp": now - 60}))),
        ("without an end", with(json!({"exp": null}))),
        ("not yet", with(json!({"nbf": now + 300}))),
        ("other audience", with(json!({"aud": "other"}))),
        ("no audience", with(json!({"aud": null}))),
        ("other issuer", with(json!({"iss": "https://evil.example"}))),
        ("no issuer", with(json!({"iss": null}))),
        ("unknown team", with(json!({"team": "nowhere"}))),
        ("unknown user", with(json!({"sub": "nobody"}))),
        ("unknown organization", with(json!({"org": "nowhere"}))),
        ("alg none", format!("{}.", unsigned(&none, &good))),
        ("alg none, signed", format!("{}.{}", unsigned(&none, &good), no_signature())),
        ("HS256 with the public key", key.confused("k1", &good)),
        ("a stranger's key under our name", stranger.token("RS256", "k1", &good)),
        ("an unknown key", stranger.token("RS256", "k2", &good)),
        ("a path as the key", stranger.token("RS256", "../../dev/null", &good)),
        ("another algorithm than signed", {
            let signed = key.token("RS256", "k1", &good);
            let signature = signed.rsplit_once('.').unwrap().1;
            format!("{}.{signature}", unsigned(&json!({"alg": "PS256", "kid": "k1"}), &good))
        }),
        ("edited claims", {
            let signed = key.token("RS256", "k1", &claims(json!({"team": "idle"})));
            let signature = signed.rsplit_once('.').unwrap().1;
            format!("{}.{signature}", unsigned(&json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}), &good))
        }),
    ];
    for (what, token) in cases {
        let reply = world.caller(&token).get("/v1/mcp/server").await;
        assert_eq!((reply.status.as_u16(), &reply.body), (401, &unknown.body), "{what}: {reply:?}");
        assert_eq!(reply.header("www-authenticate"), unknown.header("www-authenticate"), "{what}");
    }
    assert_eq!(world.bearer(&good).get("/v1/mcp/server").await.status, 200);
    assert_eq!(world.fake.seen().len(), 0);
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_and_anew_for_one_that_is_not_known_but_not_for_each() {
    let world = World::new().await;
    let token = world.key.token("RS256", "k1", &claims(json!({})));
    let callers: Vec<_> = (0..20).map(|_| world.caller(&token)).collect();
    let replies = futures_util::future::join_all(callers.iter().map(|caller| caller.get("/v1/mcp/server"))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.idp.asked(), 1);
    let stranger = SigningKey::ecdsa();
    for kid in 0..5 {
        let token = stranger.token("ES256", &format!("unknown-{kid}"), &claims(json!({})));
        assert_eq!(world.caller(&token).get("/v1/mcp/server").await.status, 401);
    }
    assert!(world.idp.asked() <= 2, "{}", world.idp.asked());
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_no_verdict_and_known_keys_work_on() {
    let world = World::new().await;
    world.idp.set_down(true);
    let early = world.bearer(&claims(json!({}))).get("/v1/mcp/server").await;
    assert_eq!((early.status.as_u16(), early.header("retry-after")), (503, "2"), "{early:?}");
    world.idp.set_down(false);
    world.gate.until(async || world.bearer(&claims(json!({}))).get("/v1/mcp/server").await.status == 200).await;
    world.idp.set_down(true);
    let other = world.bearer(&claims(json!({"team": "idle"}))).get("/v1/mcp/server").await;
    assert_eq!(other.status, 200, "the key is known");
    assert_eq!(world.bearer(&claims(json!({"aud": "other"}))).get("/v1/mcp/server").await.status, 401);
}

#[tokio::test]
async fn users_are_made_where_that_is_wanted_and_changes_of_their_rows_are_in_force_at_once() {
    let fields = "{user_id_jwt_field: sub, user_email_jwt_field: email, user_id_upsert: true, \
                  user_allowed_email_domain: Example.com}";
    let world = World::with(fields, |config| config).await;
    let carol = |email: &str| claims(json!({"sub": "carol", "team": null, "email": email}));
    assert_eq!(world.bearer(&carol("carol@evil.example")).get("/v1/mcp/server").await.status, 401);
    assert_eq!(world.people.store.user("carol").await.unwrap(), None);
    let caller = world.bearer(&carol("carol@example.com"));
    assert_eq!(caller.tool_names().await, [""; 0]);
    let made = world.people.store.user("carol").await.unwrap().unwrap();
    assert_eq!((made.user_role.as_deref(), made.created_by.as_deref()), (Some("internal_user"), Some("jwt")));
    let permission = serde_json::from_value(json!({"mcp_servers": ["files"]})).unwrap();
    let changes = UserChanges { object_permission: toolgate_store::Change::Set(permission), ..UserChanges::default() };
    world.people.store.update_user(&people::actor(), "carol", changes).await.unwrap();
    world.gate.until(async || caller.tool_names().await == ["files-read", "files-write"]).await;
}

#[tokio::test]
async fn admins_are_told_by_scope_or_role_and_nobody_else_manages() {
    let fields = "{user_id_jwt_field: sub, admin_jwt_scope: boss, roles_jwt_field: roles, \
                  role_mappings: [{role: their-admin, internal_role: proxy_admin}]}";
    let world = World::with(fields, |config| config).await;
    for admin in [json!({"scope": "openid boss"}), json!({"roles": ["their-admin"]})] {
        let caller = world.bearer(&claims(admin));
        let made = caller.post("/team/new", r#"{"team_alias":"by token"}"#).await;
        assert_eq!(made.status, 200, "{made:?}");
        assert_eq!(caller.get("/audit").await.json()["audit_logs"][0]["changed_by"], "alice");
    }
    for other in [json!({}), json!({"scope": "bossy"}), json!({"roles": "their-admins"})] {
        let reply = world.bearer(&claims(other)).post("/team/new", r#"{"team_alias":"no"}"#).await;
        assert_eq!(reply.status, 403, "{reply:?}");
    }
}

#[tokio::test]
async fn sessions_of_two_subjects_never_mix() {
    let world = World::new().await;
    world.people.store.create_user(&people::actor(), user("bob"), Vec::new()).await.unwrap();
    let alice = world.bearer(&claims(json!({}))).initialized_at("/mcp").await;
    // The same claims in another token are the same caller; another subject is not.
    let renewed = world.bearer(&claims(json!({"jti": "another"})));
    let bob = world.bearer(&claims(json!({"sub": "bob"})));
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    let id = alice.header("mcp-session-id").to_owned();
    assert_eq!(renewed.with("mcp-session-id", &id).post("/mcp", list).await.status, 200);
    assert_eq!(bob.with("mcp-session-id", &id).post("/mcp", list).await.status, 404);
}

#[tokio::test]
async fn without_the_setting_a_token_is_no_credential_and_keys_work_beside_tokens() {
    let world = World::new().await;
    let organization =
        Organization { organization_id: "house".into(), organization_alias: "H".into(), ..Organization::default() };
    world.people.store.create_organization(&people::actor(), organization, None).await.unwrap();
    assert_eq!(world.bearer(&claims(json!({"org": "house"}))).get("/v1/mcp/server").await.status, 200);
    let key = world.people.key("plain", json!({"mcp_servers": ["files"]})).await;
    assert_eq!(world.gate.holder(&key).tool_names().await, ["files-read", "files-write"]);
    world.gate.reload(&config());
    assert_eq!(world.bearer(&claims(json!({}))).get("/v1/mcp/server").await.status, 401);
    assert_eq!(world.gate.admin().get("/v1/mcp/server").await.status, 200);
}

#[tokio::test]
async fn only_clients_of_the_list_connect_and_a_header_cannot_speak_for_a_token() {
    let fields = "{user_id_jwt_field: sub, team_id_jwt_field: team, mcp_client_id_jwt_field: azp}";
    let world = World::with(fields, |config| {
        config
            .general("mcp_allowed_clients: [{alias: Cursor, value: cursor-vscode}]")
            .general("mcp_client_id_header: X-Client-Id")
    })
    .await;
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    let key = world.people.key("plain", json!({"mcp_servers": ["files"]})).await;
    let holder = world.gate.holder(&key);
    let named = |name: &str| holder.clone().with("x-client-id", name);
    assert_eq!(named("cursor-vscode").post("/mcp", list).await.status, 200);
    assert_eq!(holder.clone().get("/v1/mcp/server").await.status, 200, "it is about MCP alone");
    for (caller, words) in [
        (named("Cursor-vscode"), "MCP client 'Cursor-vscode' (from header 'x-client-id') is not listed"),
        (holder.clone(), "The request has no 'x-client-id' header"),
        (
            named("cursor-vscode").with_another("x-client-id", "cursor-vscode"),
            "The request has no 'x-client-id' header",
        ),
        (world.bearer(&claims(json!({}))).with("x-client-id", "cursor-vscode"), "The JWT presented has no 'azp' claim"),
        (world.bearer(&claims(json!({"azp": "other"}))), "MCP client 'other' (from JWT claim 'azp') is not listed"),
    ] {
        for path in ["/mcp", "/mcp/files", "/files/mcp", "/sse/messages"] {
            let reply = caller.post(path, list).await;
            assert_eq!(
                (reply.status.as_u16(), &reply.json()["error"]),
                (403, &json!("Forbidden")),
                "{path}: {reply:?}"
            );
            assert!(reply.json()["details"].as_str().unwrap().starts_with(words), "{reply:?}");
        }
    }
    let vouched = world.bearer(&claims(json!({"azp": "cursor-vscode"})));
    assert_eq!(vouched.post("/mcp", list).await.status, 200);
}

#[tokio::test]
async fn tokens_that_begin_alike_are_told_apart() {
    let world = World::new().await;
    let long = "x".repeat(4_096);
    let first = json!({"aaa": long, "iss": ISSUER, "aud": "gate", "exp": Utc::now().timestamp() + 600, "sub": "alice"});
    let of_team = |team: &str| {
        let mut claims = first.clone();
        claims["team"] = json!(team);
        world.key.token("RS256", "k1", &claims)
    };
    let (crew, idle) = (of_team("crew"), of_team("idle"));
    assert_eq!(crew[..2_048], idle[..2_048]);
    for _ in 0..3 {
        assert_eq!(world.caller(&crew).tool_names().await, ["files-read", "files-write"]);
        assert_eq!(world.caller(&idle).tool_names().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_key_that_a_token_points_to_itself_is_not_fetched() {
    let world = World::new().await;
    for pointer in ["jku", "x5u"] {
        let header =
            json!({"alg": "RS256", "kid": "k1", "typ": "JWT", pointer: format!("{}/jwks", world.idp.keys_url())});
        let signed = world.key.token("RS256", "k1", &claims(json!({})));
        let signature = signed.rsplit_once('.').unwrap().1;
        let token = format!("{}.{signature}", unsigned(&header, &claims(json!({}))));
        let asked = world.idp.asked();
        assert_eq!(world.caller(&token).get("/v1/mcp/server").await.status, 401, "{pointer}");
        // The issuer's own keys may be looked at once; what the token points to is not.
        assert!(world.idp.asked() <= asked + 1, "{pointer}");
    }
}

#[tokio::test]
async fn routes_that_tokens_are_good_for_can_be_named() {
    let fields = "{user_id_jwt_field: sub, team_id_jwt_field: team, team_allowed_routes: [mcp_routes], \
                  admin_allowed_routes: [/team]}";
    let world = World::with(fields, |config| config).await;
    let caller = world.bearer(&claims(json!({})));
    assert_eq!(caller.tool_names().await, ["files-read", "files-write"]);
    let refused = caller.get("/key/list").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.text().contains("Only allowed to call routes: ['mcp_routes']"), "{refused:?}");
    let admin = world.bearer(&claims(json!({"scope": "litellm_proxy_admin"})));
    assert_eq!(admin.get("/team/list").await.status, 200);
    assert_eq!(admin.get("/key/list").await.status, 403);
    assert_eq!(admin.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await.status, 403);
}

#[tokio::test]
async fn limits_of_the_user_the_team_and_the_organization_hold_for_tokens() {
    let world = World::new().await;
    let (store, by) = (&world.people.store, people::actor());
    let limited = User { rpm_limit: Some(1), ..user("lim") };
    store.create_user(&by, limited, Vec::new()).await.unwrap();
    let team = |id: &str, rpm_limit, max_budget| toolgate_store::Team {
        team_id: id.to_owned(),
        object_permission: serde_json::from_value(json!({"mcp_servers": ["files"]})).unwrap(),
        rpm_limit,
        max_budget,
        ..Default::default()
    };
    for team in [team("slow", Some(1), None), team("poor", None, Some(0.0))] {
        store.create_team(&by, team, Vec::new()).await.unwrap();
    }
    let budget = toolgate_store::Budget { budget_id: "b".into(), rpm_limit: Some(1), ..Default::default() };
    store.create_budget(&by, budget).await.unwrap();
    let house =
        Organization { organization_id: "house".into(), organization_alias: "House".into(), ..Default::default() };
    store.create_organization(&by, Organization { budget_id: Some("b".into()), ..house }, None).await.unwrap();
    let cases = [
        (json!({"sub": "lim"}), "user: lim"),
        (json!({"team": "slow"}), "team: slow"),
        (json!({"org": "house"}), "organization: House"),
    ];
    for (more, whose) in cases {
        let caller = world.bearer(&claims(more));
        // A minute may end meanwhile.
        let mut refused = Value::Null;
        for _ in 0..4 {
            let answer = caller.call("files-read", json!({})).await;
            if answer.message().get("error").is_some() {
                refused = answer.error().clone();
                break;
            }
        }
        let text = refused["message"].as_str().unwrap_or_default();
        assert!(text.starts_with(&format!("Rate limit exceeded for {whose}.")), "{whose}: {refused}");
    }
    let poor = world.bearer(&claims(json!({"team": "poor"}))).call("files-read", json!({})).await;
    assert!(poor.error_message().contains("udget"), "{}", poor.error_message());
}

#[tokio::test]
async fn whose_token_it_is_may_ask_what_it_reaches() {
    let world = World::new().await;
    let caller = world.bearer(&claims(json!({})));
    let path = "/v1/mcp/access/explain?server=files&tool=read";
    let told = caller.get(path).await.json();
    assert_eq!((&told["allowed"], &told["key"]), (&json!(true), &Value::Null), "{told}");
    let told = world.bearer(&claims(json!({"team": "idle"}))).get(path).await.json();
    assert_eq!((&told["allowed"], &told["server"]), (&json!(false), &Value::Null), "{told}");
    let key = world.people.key("other", json!({"mcp_servers": ["files"]})).await;
    let other = format!("{path}&key={}", people::hash(&key));
    assert_eq!(caller.get(&other).await.status, 403, "not about others' keys");
}

#[tokio::test]
async fn while_the_database_is_away_known_callers_work_on_and_others_are_told_to_come_again() {
    let Some(postgres) = OwnPostgres::start() else { return };
    let idp = FakeIdp::start().await;
    let key = SigningKey::rsa();
    idp.publish("k1", &key);
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let store = postgres.open(Duration::from_secs(1)).await;
    let gate = TestGateway::start_with_store(jwt_config(&idp, &fake, FIELDS), store).await;
    for (path, body) in [
        ("/team/new", json!({"team_id": "crew", "object_permission": {"mcp_servers": ["files"]}})),
        ("/user/new", json!({"user_id": "alice", "auto_create_key": false})),
        ("/user/new", json!({"user_id": "bob", "auto_create_key": false})),
    ] {
        let reply = gate.admin().post(path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
    let bearer = |more: Value| {
        gate.anonymous().with("authorization", &format!("Bearer {}", key.token("RS256", "k1", &claims(more))))
    };
    let alice = bearer(json!({}));
    alice.call("files-read", json!({})).await.result();
    let is_told = async |word: &str| gate.admin().get("/health/readiness").await.json()["db"] == word;

    postgres.freeze();
    // A token that is renewed names the same rows.
    for caller in [&alice, &bearer(json!({"jti": "another"}))] {
        caller.call("files-read", json!({})).await.result();
    }
    let (bob, nobody) = (bearer(json!({"sub": "bob"})), bearer(json!({"sub": "nobody"})));
    for caller in [&bob, &nobody] {
        let reply = caller.get("/v1/mcp/server").await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
    }
    gate.until(async || is_told("disconnected").await).await;
    let bad = bearer(json!({"aud": "other"})).get("/v1/mcp/server").await;
    assert_eq!(bad.status, 401, "what is no good token needs no database: {bad:?}");
    alice.call("files-read", json!({})).await.result();

    postgres.thaw();
    let is_known = async || bob.get("/v1/mcp/server").await.status == 200;
    within_a_second("callers are looked up after the thaw", is_known).await;
    assert_eq!(nobody.get("/v1/mcp/server").await.status, 401);
    bob.call("files-read", json!({})).await.result();
    gate.until(async || is_told("connected").await).await;
    gate.stop().await;
}

#[tokio::test]
async fn whoever_is_deleted_or_blocked_is_refused_on_another_replica_within_a_second() {
    let Some(database) = PgDatabase::create() else { return };
    let idp = FakeIdp::start().await;
    let key = SigningKey::rsa();
    idp.publish("k1", &key);
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let start = async || TestGateway::start_with_store(jwt_config(&idp, &fake, FIELDS), database.open().await).await;
    let (one, other) = (start().await, start().await);
    let made = async |path: &str, body: Value| {
        let reply = one.admin().post(path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    };
    for name in ["deleted-user", "deleted-team", "blocked-team", "deleted-org"] {
        made("/user/new", json!({"user_id": name, "auto_create_key": false})).await;
        made("/team/new", json!({"team_id": name, "object_permission": {"mcp_servers": ["files"]}})).await;
        made("/organization/new", json!({"organization_id": name, "organization_alias": name})).await;
    }
    let cases = [
        ("deleted-user", http::Method::POST, "/user/delete", json!({"user_ids": ["deleted-user"]})),
        ("deleted-team", http::Method::POST, "/team/delete", json!({"team_ids": ["deleted-team"]})),
        ("blocked-team", http::Method::POST, "/team/block", json!({"team_id": "blocked-team"})),
        ("deleted-org", http::Method::DELETE, "/organization/delete", json!({"organization_ids": ["deleted-org"]})),
    ];
    for (name, method, path, body) in cases {
        let token = key.token("RS256", "k1", &claims(json!({"sub": name, "team": name, "org": name})));
        let [here, there] =
            [&one, &other].map(|gate| gate.anonymous().with("authorization", &format!("Bearer {token}")));
        for caller in [&here, &there] {
            assert_eq!(caller.tool_names().await, ["files-read"], "{name}");
        }
        let done = one.admin().send(method, path, body.to_string()).await;
        assert_eq!(done.status, 200, "{done:?}");
        within_a_second(name, async || there.get("/v1/mcp/server").await.status == 401).await;
        assert_eq!(here.get("/v1/mcp/server").await.status, 401, "{name}");
    }
    one.stop().await;
    other.stop().await;
}
