//! What users keep for servers: credentials and values of their own, used when they call and never for another.

use serde_json::{Value, json};
use toolgate_store::{Key, User};

use crate::support::people::actor;
use crate::support::{Caller, Entry, FakeMcp, People, TestGateway, config, script, soon};

/// Keys of two users who reach everything that is told here.
async fn two_users(people: &People) -> (String, String) {
    let mut keys = Vec::new();
    for name in ["alice", "bob"] {
        let user = User { user_id: name.to_owned(), ..User::default() };
        people.store.create_user(&actor(), user, Vec::new()).await.unwrap();
        let key = Key { user_id: Some(name.to_owned()), ..Key::default() };
        keys.push(people.key_of(name, json!({ "mcp_servers": ["own", "other"] }), key).await);
    }
    let bob = keys.pop().unwrap();
    (keys.pop().unwrap(), bob)
}

async fn keep(caller: &Caller, path: &str, body: Value) -> Value {
    let reply = caller.post(path, body.to_string()).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

const CREDENTIAL: &str = "/v1/mcp/server/own/user-credential";
const VALUES: &str = "/v1/mcp/server/own/user-env-vars";

#[tokio::test]
async fn each_user_goes_with_the_credential_that_they_keep() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let (alice, bob) = two_users(&people).await;
    let entry = fake.entry().with("server_id: own").with("is_byok: true").with("auth_type: api_key");
    let gate = people.gateway(config().server("byok", entry)).await;
    let (alice, bob) = (gate.holder(&alice), gate.holder(&bob));
    // Without one, nothing is asked, and the error says what to do.
    for caller in [&alice, &bob, &gate.admin()] {
        let answer = caller.rpc("tools/list", json!({})).await;
        assert!(answer.message().to_string().contains(CREDENTIAL), "{answer:?}");
    }
    assert_eq!(alice.get("/v1/mcp/server").await.json()[0]["has_user_credential"], false);
    assert_eq!(fake.seen().len(), 0);

    let kept = keep(&alice, CREDENTIAL, json!({ "credential": "secret-of-alice" })).await;
    assert_eq!(kept, json!({ "server_id": "own", "has_credential": true }));
    assert_eq!(alice.call("byok-find", json!({})).await.result()["isError"], Value::Null);
    let sent = |nth: usize| fake.seen_of("tools/call")[nth].header("x-api-key").map(str::to_owned);
    assert_eq!(sent(0).as_deref(), Some("secret-of-alice"));
    assert!(bob.rpc("tools/list", json!({})).await.message().to_string().contains(CREDENTIAL));
    keep(&bob, CREDENTIAL, json!({ "credential": "secret-of-bob" })).await;
    assert_eq!(bob.call("byok-find", json!({})).await.result()["isError"], Value::Null);
    assert_eq!(alice.call("byok-find", json!({})).await.result()["isError"], Value::Null);
    assert_eq!((sent(1).as_deref(), sent(2).as_deref()), (Some("secret-of-bob"), Some("secret-of-alice")));
    // One that comes with a request goes before it.
    let once = alice.clone().with("x-mcp-byok-x-api-key", "secret-of-now");
    once.call("byok-find", json!({})).await.result();
    assert_eq!(sent(3).as_deref(), Some("secret-of-now"));

    let told = alice.get("/v1/mcp/user-credentials").await;
    assert_eq!((&told.json()[0]["server_name"], &told.json()[0]["credential_type"]), (&json!("byok"), &json!("byok")));
    let who = gate.admin().get("/v1/mcp/server/own/user-credentials").await;
    let users: Value = who.json().as_array().unwrap().iter().map(|row| row["user_id"].clone()).collect();
    assert_eq!(users, json!(["alice", "bob"]));
    assert!(matches!(alice.get("/v1/mcp/server/own/user-credentials").await.status.as_u16(), 401 | 403));
    assert!(!format!("{}{}", told.text(), who.text()).contains("secret-of"));
    assert_eq!(alice.get("/v1/mcp/server").await.json()[0]["has_user_credential"], true);

    assert_eq!(alice.delete(CREDENTIAL).await.json(), json!({ "server_id": "own", "has_credential": false }));
    assert!(alice.call("byok-find", json!({})).await.message().to_string().contains(CREDENTIAL));
    bob.call("byok-find", json!({})).await.result();
}

#[tokio::test]
async fn a_credential_is_kept_only_where_it_is_wanted_and_by_somebody() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let (alice, _) = two_users(&people).await;
    let nobody = people.key("nobody", json!({ "mcp_servers": ["own"] })).await;
    let stranger = people.key_of_role("internal_user").await;
    let config = config()
        .server("byok", fake.entry().with("server_id: own").with("is_byok: true"))
        .server("plain", fake.entry().with("server_id: other"));
    let gate = people.gateway(config).await;
    let body = json!({ "credential": "abc" }).to_string();
    let plain = gate.holder(&alice).post("/v1/mcp/server/other/user-credential", body.clone()).await;
    assert_eq!((plain.status.as_u16(), plain.text().contains("does not support BYOK")), (400, true), "{plain:?}");
    assert_eq!(gate.holder(&nobody).post(CREDENTIAL, body.clone()).await.status, 400);
    let hidden = gate.holder(&stranger).post(CREDENTIAL, body.clone()).await;
    let missing = gate.holder(&stranger).post("/v1/mcp/server/none/user-credential", body).await;
    assert_eq!((hidden.status.as_u16(), hidden.text().replace("own", "none")), (404, missing.text().to_owned()));
    for credential in ["", "a\nb", "********", &"a".repeat(5000), "{\"type\": \"oauth2\"}"] {
        let reply = gate.holder(&alice).post(CREDENTIAL, json!({ "credential": credential }).to_string()).await;
        assert_eq!(reply.status, 422, "{credential:.20}: {reply:?}");
    }
    let unsaved = keep(&gate.holder(&alice), CREDENTIAL, json!({ "credential": "abc", "save": false })).await;
    assert_eq!(unsaved["has_credential"], false);
    assert_eq!(people.store.user_credential("alice", "own").await.unwrap(), None);
}

async fn with_values() -> (FakeMcp, TestGateway, Caller, Caller) {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let (alice, bob) = two_users(&people).await;
    let entry = fake
        .entry()
        .with("server_id: own")
        .with("static_headers: {X-Token: 'key ${TOKEN} of ${PLACE}', X-Place: '${PLACE}'}")
        .with("env_vars: [{name: TOKEN, scope: user, description: Your token}, {name: PLACE, value: here}]");
    let gate = people.gateway(config().server("values", entry)).await;
    let (alice, bob) = (gate.holder(&alice), gate.holder(&bob));
    (fake, gate, alice, bob)
}

#[tokio::test]
async fn each_users_values_are_filled_in_and_a_missing_one_is_named() {
    let (fake, gate, alice, bob) = with_values().await;
    let body = json!({ "server_id": "own", "name": "find", "arguments": {} }).to_string();
    let refused = alice.post("/mcp-rest/tools/call", body).await;
    let told = refused.json();
    assert_eq!((refused.status.as_u16(), &told["detail"]["error"]), (412, &json!("missing_user_env_vars")), "{told}");
    assert_eq!(told["detail"]["missing"], json!(["TOKEN"]));
    assert!(alice.call("values-find", json!({})).await.message().to_string().contains(VALUES));
    assert_eq!(fake.seen().len(), 0, "nothing went out half filled in");
    let status = alice.get("/v1/mcp/user-env-vars/status").await.json();
    assert_eq!(
        (&status["servers"][0]["server_id"], &status["servers"][0]["missing"]),
        (&json!("own"), &json!(["TOKEN"]))
    );

    let told = keep(&alice, VALUES, json!({ "values": { "TOKEN": "secret-of-alice" } })).await;
    assert_eq!((&told["values"], &told["missing"]), (&json!({ "TOKEN": "********" }), &json!([])));
    keep(&alice, VALUES, json!({ "values": { "TOKEN": "********" } })).await;
    keep(&bob, VALUES, json!({ "values": { "TOKEN": "secret-of-bob" } })).await;
    for caller in [&alice, &bob, &alice] {
        caller.call("values-find", json!({})).await.result();
    }
    let sent: Vec<_> =
        fake.seen_of("tools/call").iter().map(|seen| seen.header("x-token").unwrap().to_owned()).collect();
    let expected = ["key secret-of-alice of here", "key secret-of-bob of here", "key secret-of-alice of here"];
    assert_eq!(sent, expected);
    assert_eq!(fake.seen_of("tools/call")[0].header("x-place"), Some("here"));
    assert!(!alice.get(VALUES).await.text().contains("secret-of"));

    let reply = alice.post(VALUES, json!({ "values": { "PATH": "/tmp" } }).to_string()).await;
    assert_eq!((reply.status.as_u16(), reply.text().contains("TOKEN")), (422, true), "{reply:?}");
    assert_eq!(alice.delete(VALUES).await.json()["missing"], json!(["TOKEN"]));
    assert!(alice.call("values-find", json!({})).await.message().to_string().contains(VALUES));
    bob.call("values-find", json!({})).await.result();
    drop(gate);
}

#[tokio::test]
async fn a_change_beside_the_gateway_is_heard_of() {
    let fake = FakeMcp::start(script().tools(&["find"])).await;
    let people = People::new().await;
    let (alice, _) = two_users(&people).await;
    let gate = people.gateway(config().server("byok", fake.entry().with("server_id: own").with("is_byok: true"))).await;
    let alice = gate.holder(&alice);
    keep(&alice, CREDENTIAL, json!({ "credential": "first" })).await;
    alice.call("byok-find", json!({})).await.result();
    assert_eq!(fake.only("tools/call").header("authorization"), Some("Bearer first"));
    people.store.delete_user_credential(&actor(), "alice", "own").await.unwrap();
    gate.until(async || alice.call("byok-find", json!({})).await.message()["error"].is_object()).await;
}

#[tokio::test]
async fn users_have_processes_of_their_own_where_their_values_are_in_the_environment() {
    let teller = r#"
        while read -r line; do
            id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
            case "$line" in
                *'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"env","version":"1"}}}\n' "$id" ;;
                *'"tools/list"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"token","inputSchema":{"type":"object"}}]}}\n' "$id" ;;
                *'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$TOKEN" ;;
            esac
        done"#;
    let people = People::new().await;
    let (alice, bob) = two_users(&people).await;
    let entry = Entry::stdio("sh", &["-c", teller])
        .with("server_id: own")
        .with("env: {TOKEN: 'is ${SECRET}'}")
        .with("env_vars: [{name: SECRET, scope: user}]");
    let gate = people.gateway(config().server("env", entry)).await;
    let (alice, bob) = (gate.holder(&alice), gate.holder(&bob));
    keep(&alice, VALUES, json!({ "values": { "SECRET": "alices" } })).await;
    assert!(bob.call("env-token", json!({})).await.message().to_string().contains(VALUES));
    keep(&bob, VALUES, json!({ "values": { "SECRET": "bobs" } })).await;
    for (caller, text) in [(&alice, "is alices"), (&bob, "is bobs"), (&alice, "is alices")] {
        assert_eq!(soon("a call", caller.call("env-token", json!({}))).await.tool_text(), text);
    }
    gate.stop().await;
}
