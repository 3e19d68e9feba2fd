//! Virtual keys from the first to the last request: made, used, widened, blocked, renewed and taken back.

use chrono::Utc;
use serde_json::{Value, json};
use toolgate_access::key::{KeyHash, VirtualKey};
use toolgate_store::{Change, KeyChanges, Store};

use crate::support::{Caller, FakeMcp, Reply, Scripted, TestGateway, config, memory, script, soon, within_a_second};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// `files` with four tools, `clock` with one, and `open`, which every key reaches.
async fn gate() -> (TestGateway, Store, [FakeMcp; 3]) {
    let files = script().tools(&["read", "write", "list", "remove"]).on("tools/call", Scripted::text("done"));
    let files = FakeMcp::start(files).await;
    let clock = FakeMcp::start(script().tools(&["now"])).await;
    let open = FakeMcp::start(script().tools(&["hello"])).await;
    let config = config()
        .server("files", files.entry())
        .server("clock", clock.entry())
        .server("open", open.entry().with("allow_all_keys: true"));
    let store = memory().await;
    (TestGateway::start_with_store(config, store.clone()).await, store, [files, clock, open])
}

async fn manage(caller: &Caller, path: &str, body: Value) -> Value {
    let reply = caller.post(path, body.to_string()).await;
    assert_eq!(reply.status, 200, "{path} {body}: {reply:?}");
    reply.json()
}

/// Makes a key; what the gateway told of it, and its holder.
async fn generate(gate: &TestGateway, body: Value) -> (Value, Caller) {
    let made = manage(&gate.admin(), "/key/generate", body).await;
    let holder = holder(gate, made["key"].as_str().unwrap());
    (made, holder)
}

fn holder(gate: &TestGateway, key: &str) -> Caller {
    gate.anonymous().with("authorization", &format!("Bearer {key}"))
}

fn three_tools() -> Value {
    json!({"mcp_tool_permissions": {"files": ["read", "write", "list"]}})
}

async fn is_refused_everywhere(caller: &Caller) -> bool {
    let replies = [
        caller.post("/mcp", PING).await,
        caller.post("/files/mcp", PING).await,
        caller.get("/mcp-rest/tools/list").await,
        caller.get("/key/info").await,
        caller.get("/sse").await,
    ];
    replies.iter().all(|reply| reply.status == 401)
}

#[tokio::test]
async fn a_key_reaches_the_tools_it_was_given_and_nothing_else_exists_for_it() {
    let (gate, _store, [files, clock, _open]) = gate().await;
    let (made, alice) = generate(&gate, json!({"key_alias": "alice", "object_permission": three_tools()})).await;
    let hash = VirtualKey::parse(made["key"].as_str().unwrap()).unwrap().hash().to_hex();
    assert_eq!((&made["token"], &made["token_id"]), (&json!(hash), &json!(hash)));

    assert_eq!(alice.tool_names().await, ["files-read", "files-write", "files-list", "open-hello"]);
    assert_eq!(alice.call("files-read", json!({})).await.tool_text(), "done");
    let call = json!({"server_id": "files", "name": "write", "arguments": {}}).to_string();
    assert_eq!(alice.post("/mcp-rest/tools/call", call).await.status, 200);

    let (asked_before, clock_asked_before) = (files.count_of("tools/call"), clock.seen().len());
    for (hidden, missing) in [("files-remove", "files-nobody"), ("clock-now", "nobody-now")] {
        let (hidden_answer, missing_answer) =
            (alice.call(hidden, json!({})).await, alice.call(missing, json!({})).await);
        assert_eq!(hidden_answer.error_code(), missing_answer.error_code());
        let named = hidden_answer.error_message().replace(hidden, missing);
        assert_eq!(named, missing_answer.error_message());
    }
    for path in ["/mcp-rest/tools/list?server_id=", "/mcp/"] {
        let ask = async |name: &str| match path {
            "/mcp/" => alice.post(&format!("/mcp/{name}"), PING).await,
            _ => alice.get(&format!("{path}{name}")).await,
        };
        let (hidden, missing): (Reply, Reply) = (ask("clock").await, ask("nobody").await);
        assert_eq!(hidden.status, missing.status, "{path}");
        assert_eq!(hidden.text().replace("clock", "nobody"), missing.text(), "{path}");
    }
    assert_eq!((files.count_of("tools/call"), clock.seen().len()), (asked_before, clock_asked_before));
}

#[tokio::test]
async fn a_key_without_grants_sees_only_what_is_open_to_all_keys() {
    let (gate, _store, _servers) = gate().await;
    let (_, caller) = generate(&gate, json!({})).await;
    assert_eq!(caller.tool_names().await, ["open-hello"]);
    let (_, caller) = generate(&gate, json!({"object_permission": {"mcp_servers": ["no-mcp-servers"]}})).await;
    assert_eq!(caller.tool_names().await, [""; 0]);
}

#[tokio::test]
async fn an_update_is_seen_within_a_second_and_merges_what_it_names() {
    let (gate, store, _servers) = gate().await;
    let body = json!({"max_budget": 5.0, "mcp_rpm_limit": {"files": 3}, "object_permission": three_tools()});
    let (made, caller) = generate(&gate, body).await;
    assert_eq!(caller.tool_names().await.len(), 4);
    let wider = json!({"key": made["key"], "object_permission": {"mcp_servers": ["clock"]}});
    manage(&gate.admin(), "/key/update", wider).await;
    within_a_second("seeing another server", async || {
        caller.tool_names().await == ["files-read", "files-write", "files-list", "clock-now", "open-hello"]
    })
    .await;
    let hash: KeyHash = made["token"].as_str().unwrap().parse().unwrap();
    let key = store.key(&hash).await.unwrap().unwrap();
    assert_eq!((key.max_budget, &key.metadata["mcp_rpm_limit"]), (Some(5.0), &json!({"files": 3})));
    manage(&gate.admin(), "/key/update", json!({"key": made["token"], "max_budget": null, "tags": ["a"]})).await;
    let key = store.key(&hash).await.unwrap().unwrap();
    assert_eq!(key.max_budget, None);
    assert_eq!(Value::Object(key.metadata), json!({"mcp_rpm_limit": {"files": 3}, "tags": ["a"]}));
}

#[tokio::test]
async fn a_blocked_key_is_refused_everywhere_within_a_second_until_it_is_unblocked() {
    let (gate, _store, _servers) = gate().await;
    let (made, caller) = generate(&gate, json!({"object_permission": three_tools()})).await;
    assert_eq!(caller.post("/mcp", PING).await.status, 200);
    let blocked = manage(&gate.admin(), "/key/block", json!({"key": made["key"]})).await;
    assert_eq!(blocked["blocked"], true);
    within_a_second("blocking", async || is_refused_everywhere(&caller).await).await;
    manage(&gate.admin(), "/key/unblock", json!({"key": made["token"]})).await;
    within_a_second("unblocking", async || caller.post("/mcp", PING).await.status == 200).await;
}

#[tokio::test]
async fn a_deleted_key_is_refused_everywhere_and_its_open_stream_ends() {
    let (gate, _store, _servers) = gate().await;
    let (made, caller) = generate(&gate, json!({"object_permission": three_tools()})).await;
    let session = caller.initialized_at("/mcp").await;
    let mut stream = session.open_stream("/mcp").await;
    let deleted = manage(&gate.admin(), "/key/delete", json!({"keys": [made["token"]]})).await;
    assert_eq!(deleted, json!({"deleted_keys": [made["token"]]}));
    soon("the end of the stream", async { while stream.next().await.is_some() {} }).await;
    within_a_second("deleting", async || is_refused_everywhere(&caller).await).await;
    let again = gate.admin().post("/key/delete", json!({"keys": [made["token"]]}).to_string()).await;
    assert_eq!(again.status, 404, "{again:?}");
}

#[tokio::test]
async fn an_expired_key_is_refused_and_info_says_that_it_is() {
    let (gate, store, _servers) = gate().await;
    let (made, caller) = generate(&gate, json!({"duration": "30d"})).await;
    let expires: chrono::DateTime<Utc> = made["expires"].as_str().unwrap().parse().unwrap();
    let days = (expires - Utc::now()).num_hours();
    assert!((30 * 24 - 1..=30 * 24).contains(&days), "{made}");
    assert_eq!(caller.post("/mcp", PING).await.status, 200);
    let hash: KeyHash = made["token"].as_str().unwrap().parse().unwrap();
    let past =
        KeyChanges { expires: Change::Set(Some(Utc::now() - chrono::TimeDelta::seconds(1))), ..Default::default() };
    store.update_key(&toolgate_store::Actor::default(), &hash, past).await.unwrap();
    within_a_second("expiring", async || is_refused_everywhere(&caller).await).await;
    let path = format!("/key/info?key={}", made["token"].as_str().unwrap());
    let told = gate.admin().get(&path).await.json();
    assert_eq!(told["info"]["status"], "expired");
    manage(&gate.admin(), "/key/update", json!({"key": made["token"], "duration": "-1"})).await;
    within_a_second("living on", async || caller.post("/mcp", PING).await.status == 200).await;
}

#[tokio::test]
async fn a_key_may_use_the_routes_that_it_was_given() {
    let (gate, _store, _servers) = gate().await;
    let (_, caller) = generate(&gate, json!({"allowed_routes": ["mcp_routes"]})).await;
    assert_eq!(caller.post("/mcp", PING).await.status, 200);
    let refused = caller.get("/key/info").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.text().contains("Virtual key is not allowed to call this route"), "{refused:?}");
    let (made, caller) = generate(&gate, json!({"key_type": "read_only"})).await;
    assert_eq!(made["allowed_routes"], json!(["info_routes"]));
    assert_eq!(caller.post("/mcp", PING).await.status, 403);
    assert_eq!(caller.get("/key/info").await.status, 200);
}

#[tokio::test]
async fn a_regenerated_key_keeps_what_it_was_and_the_old_one_works_for_the_grace_period() {
    let (gate, _store, _servers) = gate().await;
    let (made, old) = generate(&gate, json!({"key_alias": "robot", "object_permission": three_tools()})).await;
    let tools = old.tool_names().await;
    let path = format!("/key/{}/regenerate", made["token"].as_str().unwrap());
    let renewed = manage(&gate.admin(), &path, json!({"grace_period": "1h"})).await;
    let new = holder(&gate, renewed["key"].as_str().unwrap());
    assert_eq!(renewed["key_alias"], "robot");
    assert_ne!(renewed["token_id"], made["token_id"]);
    assert_eq!((new.tool_names().await, old.tool_names().await), (tools.clone(), tools));

    let chosen = json!({"key": renewed["key"], "new_key": "sk-chosen-by-hand-0123"});
    let again = manage(&gate.admin(), "/key/regenerate", chosen).await;
    assert_eq!(again["key"], "sk-chosen-by-hand-0123");
    within_a_second("revoking", async || is_refused_everywhere(&new).await).await;
    assert_eq!(holder(&gate, "sk-chosen-by-hand-0123").tool_names().await.len(), 4);
    // Without a body, as LiteLLM's clients send it.
    let path = format!("/key/{}/regenerate", again["token_id"].as_str().unwrap());
    assert_eq!(gate.admin().without("content-type").post(&path, "").await.status, 200);
}

#[tokio::test]
async fn no_list_and_no_info_ever_shows_a_key() {
    let (gate, _store, _servers) = gate().await;
    let mut secrets = Vec::new();
    for alias in ["one", "two", "three"] {
        let (made, _) = generate(&gate, json!({"key_alias": alias})).await;
        secrets.push(made["key"].as_str().unwrap().to_owned());
    }
    let first = gate.admin().get("/key/list?size=2&sort_by=key_alias&sort_order=asc&return_full_object=True").await;
    let second = gate.admin().get("/key/list?size=2&page=2").await;
    let (first_page, second_page) = (first.json(), second.json());
    assert_eq!((&first_page["total_count"], &first_page["total_pages"]), (&json!(3), &json!(2)));
    assert_eq!(first_page["keys"][0]["key_alias"], "one");
    assert_eq!(second_page["keys"].as_array().unwrap().len(), 1);
    assert!(second_page["keys"][0].is_string());
    let info = gate.admin().get(&format!("/key/info?key={}", first_page["keys"][0]["token"].as_str().unwrap())).await;
    let updated = gate.admin().post("/key/update", json!({"key_alias": "two", "models": ["m"]}).to_string()).await;
    for reply in [first, second, info, updated] {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(secrets.iter().all(|secret| !reply.text().contains(secret.as_str())), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_wherever_it_stands() {
    let (gate, _store, _servers) = gate().await;
    let long = format!("sk-{}", "a".repeat(64 * 1024));
    for key in ["sk-' OR '1'='1", "sk-'; DROP TABLE keys;--", "sk-%00", &long[..8000]] {
        let reply = holder(&gate, key).post("/mcp", PING).await;
        assert_eq!(reply.status, 401, "{key:.40}: {reply:?}");
        let reply = gate.admin().post("/key/generate", json!({"key": key}).to_string()).await;
        assert_eq!(reply.status, 400, "{key:.40}: {reply:?}");
        for path in ["/key/block", "/key/update", "/key/regenerate"] {
            let reply = gate.admin().post(path, json!({"key": key}).to_string()).await;
            assert_eq!(reply.status, 404, "{path} {key:.40}: {reply:?}");
            assert!(!reply.text().contains(key), "{reply:?}");
        }
    }
    let reply = holder(&gate, &long).post("/mcp", PING).await;
    assert!(matches!(reply.status.as_u16(), 401 | 431), "{reply:?}");
    let reply = gate.admin().post("/key/block", json!({"key": long}).to_string()).await;
    assert_eq!(reply.status, 404);
    let reply = gate.admin().post("/key/generate", &b"{\"key_alias\": \"\xff\xfe\"}"[..]).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let aliased = json!({"key_alias": "'; DROP TABLE keys; --"});
    let (made, caller) = generate(&gate, aliased.clone()).await;
    assert_eq!(made["key_alias"], aliased["key_alias"]);
    assert_eq!(caller.post("/mcp", PING).await.status, 200);
    let taken = gate.admin().post("/key/generate", aliased.to_string()).await;
    assert_eq!(taken.status, 400);
    assert!(taken.text().contains("Unique key aliases across all keys are required."), "{taken:?}");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_key_and_open_no_server_that_is_open_to_all_keys() {
    let (gate, store, _servers) = gate().await;
    let before = store.inventory().await.unwrap().rows["keys"];
    for header in ["authorization", "x-litellm-api-key"] {
        for key in [&b"Bearer sk-\xff\xfe"[..], b"Bearer \xff", b"\xff\xfe", b"Bearer sk-garbage"] {
            for path in ["/mcp", "/open/mcp", "/mcp/open"] {
                let reply = gate.anonymous().with_bytes(header, key).post(path, PING).await;
                assert_eq!(reply.status, 401, "{path} {header} {key:?}: {reply:?}");
                assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:?}");
            }
        }
    }
    assert_eq!(store.inventory().await.unwrap().rows["keys"], before);
}

#[tokio::test]
async fn a_field_that_nobody_knows_or_that_is_wrong_is_named() {
    let (gate, _store, _servers) = gate().await;
    let cases = [
        (json!({"max_bugdet": 1}), "max_bugdet", "did you mean `max_budget`?"),
        (json!({"user_role": "proxy_admin"}), "user_role", "unknown field"),
        (json!({"max_budget": "much"}), "max_budget", "invalid type"),
        (json!({"rpm_limit": -1}), "rpm_limit", "0 or more"),
        (json!({"duration": "soon"}), "duration", "soon"),
        (json!({"budget_duration": "1y"}), "budget_duration", "1y"),
        (json!({"grace_period": "1h"}), "grace_period", "/key/regenerate"),
        (json!({"object_permission": {"mcp_server": []}}), "object_permission", "mcp_server"),
        (json!({"mcp_rpm_limit": {"files": "fast"}}), "mcp_rpm_limit.files", "invalid type"),
    ];
    for (body, param, words) in cases {
        let reply = gate.admin().post("/key/generate", body.to_string()).await;
        assert_eq!(reply.status, 422, "{body}: {reply:?}");
        let error = &reply.json()["error"];
        assert!(error["param"].as_str().unwrap().starts_with(param), "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{body}: {error}");
        assert_eq!(error["code"], "422");
    }
    assert_eq!(gate.admin().get("/key/list").await.json()["total_count"], 0);
    let twice = gate.admin().post("/key/generate", r#"{"max_budget": 1, "max_budget": 1000}"#).await;
    assert_eq!(twice.status, 400, "{twice:?}");
    let form =
        gate.admin().with("content-type", "application/x-www-form-urlencoded").post("/key/generate", "a=b").await;
    assert_eq!(form.status, 415, "{form:?}");
    assert_eq!(gate.admin().get("/key/list?pages=2").await.status, 422);
}

#[tokio::test]
async fn when_the_database_is_gone_known_keys_work_on_and_unknown_ones_are_told_to_come_again() {
    let (gate, store, _servers) = gate().await;
    let (_, known) = generate(&gate, json!({"object_permission": three_tools()})).await;
    assert_eq!(known.post("/mcp", PING).await.status, 200);
    store.close().await;
    assert_eq!(known.call("files-read", json!({})).await.tool_text(), "done");
    let unknown = holder(&gate, "sk-nobody-has-seen-this-key");
    for reply in [unknown.post("/mcp", PING).await, unknown.get("/key/list").await, gate.admin().get("/key/list").await]
    {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
    }
}
