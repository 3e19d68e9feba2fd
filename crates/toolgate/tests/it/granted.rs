//! Keys of the database: what they are granted is there, and nothing else is, however it is asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toolgate_access::key::{KeyHash, VirtualKey};
use toolgate_access::permission::ObjectPermission;
use toolgate_store::{Actor, Change, Database, Key, KeyChanges, KeyRing, Store, StoreSettings};

use crate::support::{Caller, FakeMcp, Modern, People, Scripted, TestGateway, config, script, soon};

const ALICE: &str = "sk-alice-0123456789abcdef0123456789";

struct Keys {
    store: Store,
    actor: Actor,
}

impl Keys {
    async fn in_memory() -> Self {
        let ring = KeyRing::new("a sealing key for tests, long enough".to_owned().into(), Vec::new());
        let store = Store::open(StoreSettings::new(Database::Memory, ring)).await.unwrap();
        let actor = Actor { changed_by: "test".into(), changed_by_api_key: String::new(), request_id: String::new() };
        Self { store, actor }
    }

    async fn make(&self, key: &str, permission: Option<ObjectPermission>) {
        let token = hash(key).to_hex();
        let key = Key { token, object_permission: permission, ..Key::default() };
        self.store.create_key(&self.actor, key).await.unwrap();
    }

    async fn change(&self, key: &str, changes: KeyChanges) {
        self.store.update_key(&self.actor, &hash(key), changes).await.unwrap();
    }
}

fn hash(key: &str) -> KeyHash {
    VirtualKey::parse(key).unwrap().hash()
}

fn tools_of(server: &str, tools: &[&str]) -> ObjectPermission {
    let tools = tools.iter().map(|&tool| tool.to_owned()).collect();
    ObjectPermission { mcp_tool_permissions: BTreeMap::from([(server.to_owned(), tools)]).into(), ..Default::default() }
}

fn with_key(gate: &TestGateway, key: &str) -> Caller {
    gate.anonymous().with("x-litellm-api-key", &format!("Bearer {key}"))
}

#[tokio::test]
async fn a_key_reaches_what_it_is_granted_and_everything_else_is_not_there() {
    let (files, mail) = (
        FakeMcp::start(script().tools(&["read", "write", "delete"])).await,
        FakeMcp::start(script().tools(&["send"])).await,
    );
    let keys = Keys::in_memory().await;
    keys.make(ALICE, Some(tools_of("files", &["read", "write"]))).await;
    let servers = config().server("files", files.entry()).server("mail", mail.entry());
    let gate = TestGateway::start_with_store(servers, keys.store.clone()).await;
    let alice = with_key(&gate, ALICE);

    assert_eq!(alice.tool_names().await, ["files-read", "files-write"]);
    assert_eq!(gate.admin().tool_names().await.len(), 4);
    alice.call("files-read", json!({})).await.result();
    let missing = alice.call("files-nothing", json!({})).await;
    for forbidden in ["files-delete", "mail-send", "delete", "send"] {
        let denied = alice.call(forbidden, json!({})).await;
        assert_eq!(denied.error_code(), missing.error_code(), "{forbidden}");
        let text = denied.error_message().replace(forbidden, "NAME");
        assert_eq!(text, missing.error_message().replace("files-nothing", "NAME"), "{forbidden}");
    }
    assert_eq!(mail.seen_of("tools/call").len(), 0);
    let nowhere = alice.rpc_at("/nowhere/mcp", "tools/list", json!({})).await.http.status;
    assert_eq!(alice.rpc_at("/mail/mcp", "tools/list", json!({})).await.http.status, nowhere);
    assert_eq!(alice.get("/mcp-rest/tools/list?server_id=mail").await.status, 403);
    gate.stop().await;
}

/// A server that offers all that there is, and says so in its own words.
async fn offering(capability: &str, instructions: &str) -> FakeMcp {
    let discovered = json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
        "capabilities": {"tools": {}, capability: {}}, "instructions": instructions,
    });
    let discovered = Scripted::Result(discovered.to_string());
    FakeMcp::start(script().without_sessions().tools(&["work"]).on("server/discover", discovered)).await
}

#[tokio::test]
async fn discovery_tells_of_what_a_caller_may_use_and_of_nothing_else() {
    let (files, mail) = (offering("prompts", "Read before you write.").await, offering("resources", "Be kind.").await);
    let keys = Keys::in_memory().await;
    keys.make(ALICE, Some(tools_of("files", &["work"]))).await;
    let servers = config().server("files", files.entry()).server("mail", mail.entry());
    let gate = TestGateway::start_with_store(servers, keys.store.clone()).await;
    let greeting = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    });
    for (caller, sees_mail) in [(with_key(&gate, ALICE), false), (gate.admin(), true)] {
        let begun = caller.rpc("initialize", greeting.clone()).await;
        let discovered = Modern::new(&caller).rpc("server/discover", json!({})).await;
        for told in [begun.result(), discovered.result()] {
            assert!(told["capabilities"]["tools"].is_object() && told["capabilities"]["prompts"].is_object(), "{told}");
            assert_eq!(told["capabilities"]["resources"].is_object(), sees_mail, "{told}");
            let text = told.to_string();
            assert!(text.contains("Read before you write."), "{text}");
            assert_eq!(text.contains("Be kind."), sees_mail, "{text}");
            assert_eq!(text.contains("mail"), sees_mail, "{text}");
        }
        for listed in ["/v1/mcp/server", "/v1/mcp/tools"] {
            let reply = caller.get(listed).await;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(reply.status.is_success() && text.contains("files"), "{listed}: {text}");
            assert_eq!(text.contains("mail"), sees_mail, "{listed}: {text}");
        }
    }
    gate.stop().await;
}

/// Every way to name a server, with `NAME` for it.
async fn ask_for(caller: &Caller, name: &str) -> Vec<(u16, String)> {
    let filled = |text: &str| text.replace("NAME", name);
    let rpc = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{}}}"#, filled(params))
    };
    let list = rpc("tools/list", "{}");
    let greeting = r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
    let initialize = rpc("initialize", greeting);
    let by_header = caller.clone().with("x-mcp-servers", name);
    let in_argument = r#""argument":{"name":"who","value":"a"}"#;
    let posts = [
        (caller, "/mcp", rpc("tools/call", r#"{"name":"NAME-send","arguments":{}}"#)),
        (caller, "/mcp", rpc("prompts/get", r#"{"name":"NAME-greet"}"#)),
        (caller, "/mcp", rpc("resources/read", r#"{"uri":"NAME://inbox"}"#)),
        (
            caller,
            "/mcp",
            rpc(
                "completion/complete",
                &format!(r#"{{"ref":{{"type":"ref/prompt","name":"NAME-greet"}},{in_argument}}}"#),
            ),
        ),
        (
            caller,
            "/mcp",
            rpc(
                "completion/complete",
                &format!(r#"{{"ref":{{"type":"ref/resource","uri":"NAME://{{x}}"}},{in_argument}}}"#),
            ),
        ),
        (caller, "/NAME/mcp", list.clone()),
        (caller, "/mcp/NAME", list.clone()),
        (caller, "/NAME/mcp", initialize.clone()),
        (caller, "/toolset/NAME/mcp", list.clone()),
        (&by_header, "/mcp", list),
        (&by_header, "/mcp", initialize),
        (caller, "/mcp-rest/tools/call", filled(r#"{"server_id":"NAME","name":"send","arguments":{}}"#)),
        (caller, "/v1/mcp/server/NAME/user-credential", r#"{"credential":"x"}"#.to_owned()),
        (caller, "/v1/mcp/server/NAME/user-env-vars", r#"{"values":{"A":"x"}}"#.to_owned()),
    ];
    let mut told = Vec::new();
    for (caller, path, body) in posts {
        told.push(caller.post(&filled(path), body).await);
    }
    for path in [
        "/mcp-rest/tools/list?server_id=NAME",
        "/v1/mcp/server/NAME",
        "/v1/mcp/server/health?server_ids=NAME",
        "/v1/mcp/access/explain?server=NAME",
        "/v1/mcp/access/explain?server=NAME&tool=send",
        "/v1/mcp/server/NAME/user-env-vars",
    ] {
        told.push(caller.get(&filled(path)).await);
    }
    let plain = |reply: &crate::support::Reply| {
        let mut body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if let Some(error) = body.get_mut("error").and_then(serde_json::Value::as_object_mut) {
            error.remove("request_id");
        }
        (reply.status.as_u16(), body.to_string().replace(name, "NAME"))
    };
    told.iter().map(plain).collect()
}

#[tokio::test]
async fn a_server_of_others_answers_under_none_of_its_names_and_in_no_way_but_as_one_that_is_not_there() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let prompts = vec![vec![json!({"name": "greet"})]];
    let mail = script().tools(&["send"]).resources(&["mail://inbox", "post://inbox", "mail_id_1://inbox"]);
    let mail = FakeMcp::start(mail.on("prompts/list", Scripted::Pages("prompts", prompts))).await;
    let keys = Keys::in_memory().await;
    keys.make(ALICE, Some(tools_of("files", &["read"]))).await;
    let entry = mail.entry().with("alias: post").with("server_id: mail_id_1");
    let servers = config().server("files", files.entry()).server("mail", entry);
    let gate = TestGateway::start_with_store(servers, keys.store.clone()).await;
    // What there is of it is known to the gateway.
    assert_eq!(gate.admin().names("/mcp", "prompts/list", "prompts", "name").await, ["post-greet"]);
    gate.admin().call("post-send", json!({})).await.result();
    let heard = mail.seen().len();

    let alice = with_key(&gate, ALICE);
    for (method, of) in [("prompts/list", "prompts"), ("resources/list", "resources")] {
        assert_eq!(alice.rpc(method, json!({})).await.result()[of], json!([]), "{method}");
    }
    let missing = ask_for(&alice, "nobody").await;
    for name in ["mail", "post", "mail_id_1"] {
        for (place, (told, expected)) in ask_for(&alice, name).await.iter().zip(&missing).enumerate() {
            assert_eq!(told, expected, "request {place} for {name}");
        }
    }
    assert_eq!(mail.seen().len(), heard, "the server hears of none of it");
    gate.stop().await;
}

#[tokio::test]
async fn a_key_without_grants_has_only_what_is_open_to_all_and_an_unknown_one_nothing() {
    let (files, open) =
        (FakeMcp::start(script().tools(&["read"])).await, FakeMcp::start(script().tools(&["echo"])).await);
    let keys = Keys::in_memory().await;
    keys.make(ALICE, None).await;
    let servers = config().server("files", files.entry()).server("open", open.entry().with("allow_all_keys: true"));
    let gate = TestGateway::start_with_store(servers, keys.store.clone()).await;
    assert_eq!(with_key(&gate, ALICE).tool_names().await, ["open-echo"]);

    let long = format!("sk-{}", "a".repeat(64 * 1024 - 200));
    for unknown in ["sk-garbage", "sk-' OR '1'='1", "sk-'; DROP TABLE keys;--", "sk-%00", "garbage", &long] {
        let refused = with_key(&gate, unknown).rpc("tools/list", json!({})).await.http;
        assert_eq!(refused.status, 401, "{}", &unknown[..unknown.len().min(40)]);
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }
    gate.stop().await;
}

#[tokio::test]
async fn what_changes_for_a_key_holds_at_once_also_for_its_open_stream() {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let keys = Keys::in_memory().await;
    keys.make(ALICE, Some(tools_of("files", &["read"]))).await;
    let gate = TestGateway::start_with_store(config().server("files", files.entry()), keys.store.clone()).await;
    let alice = with_key(&gate, ALICE).initialized_at("/mcp").await;
    assert_eq!(alice.tool_names().await, ["files-read"]);
    let mut stream = alice.open_stream("/mcp").await;

    let wider = Some(tools_of("files", &["read", "write"]));
    keys.change(ALICE, KeyChanges { object_permission: Change::Set(wider), ..KeyChanges::default() }).await;
    let told = soon("being told", stream.message()).await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(alice.tool_names().await, ["files-read", "files-write"]);

    keys.change(ALICE, KeyChanges { blocked: Change::Set(Some(true)), ..KeyChanges::default() }).await;
    soon("the end of the stream", async { while stream.next().await.is_some() {} }).await;
    let refused = alice.rpc("tools/list", json!({})).await.http;
    assert_eq!(refused.status, 401);
    gate.stop().await;
}

#[tokio::test]
async fn ten_thousand_names_in_a_permission_are_names_and_no_patterns() {
    let people = People::new().await;
    let fake = FakeMcp::start(script().tools(&["read", "write", "list"])).await;
    let gate = people.gateway(config().server("files", fake.entry())).await;
    let generate = async |permission: Value| {
        let body = json!({"object_permission": permission}).to_string();
        let made = gate.admin().post("/key/generate", body).await;
        assert_eq!(made.status, 200, "{made:?}");
        gate.holder(made.json()["key"].as_str().unwrap())
    };
    let many = |last: &[&str]| -> Vec<String> {
        (0..10_000).map(|number| format!("tool-{number}*")).chain(last.iter().map(|name| (*name).to_owned())).collect()
    };
    let named = generate(json!({"mcp_tool_permissions": {"files": many(&["read"])}})).await;
    let blocked = generate(json!({"mcp_servers": ["files"], "blocked_tools": many(&["read"])})).await;
    let patterns = generate(json!({"mcp_tool_permissions": {"files": ["re*", ".*", "r?ad", "(a+)+$", "%"]}})).await;
    assert_eq!(named.tool_names().await, ["files-read"]);
    assert_eq!(blocked.tool_names().await, ["files-write", "files-list"]);
    assert_eq!(patterns.tool_names().await, [""; 0]);
    for (caller, tool, may) in [
        (&named, "files-read", true),
        (&named, "files-write", false),
        (&blocked, "files-read", false),
        (&blocked, "files-write", true),
        (&patterns, "files-read", false),
    ] {
        let answer = caller.call(tool, json!({})).await;
        assert_eq!(answer.message().get("result").is_some(), may, "{tool}: {answer:?}");
    }
    // What one body may hold is bounded, and so is what one key may name.
    let endless: Vec<String> = (0..200_000).map(|number| format!("tool-{number}")).collect();
    let body = json!({"object_permission": {"mcp_tool_permissions": {"files": endless}}}).to_string();
    assert_eq!(gate.admin().post("/key/generate", body).await.status, 413);
    gate.stop().await;
}
