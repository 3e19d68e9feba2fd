//! The audit log over HTTP, and what becomes of keys that are refused.

use serde_json::{Value, json};
use toolgate_store::Key;

use crate::support::{Caller, FakeMcp, MASTER_KEY, People, TestGateway, config, people, script, soon};

async fn entries(caller: &Caller, query: &str) -> Vec<Value> {
    let reply = caller.get(&format!("/audit{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["audit_logs"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_is_in_the_log_with_who_made_it_and_what_was_before() {
    let people = People::new().await;
    let gate = people.gateway(config()).await;
    let admin = gate.admin().with("litellm-changed-by", "alice");
    let made = admin.post("/key/generate", r#"{"key_alias":"docs","max_budget":1}"#).await.json();
    let token = made["token"].as_str().unwrap();
    let secret = made["key"].as_str().unwrap();
    let body = json!({"key": token, "max_budget": 2}).to_string();
    gate.admin().post("/key/update", body).await;
    admin.post("/team/new", r#"{"team_id":"crew"}"#).await;

    let all = gate.admin().get("/audit").await.json();
    let shape = (&all["total"], &all["page"], &all["page_size"], &all["total_pages"]);
    assert_eq!(shape, (&json!(3), &json!(1), &json!(10), &json!(1)));
    assert!(!all.to_string().contains(secret));
    let update = &all["audit_logs"][1];
    assert_eq!(update["table_name"], "LiteLLM_VerificationToken");
    assert_eq!((&update["action"], &update["object_id"]), (&json!("updated"), &json!(token)));
    assert_eq!(
        (&update["before_value"]["max_budget"], &update["updated_values"]["max_budget"]),
        (&json!(1.0), &json!(2.0))
    );
    assert_eq!(update["changed_by"], "default_user_id");
    let one = gate.admin().get(&format!("/audit/{}", update["id"].as_str().unwrap())).await.json();
    assert_eq!(&one, update);

    for (query, expected) in [
        ("?changed_by=alice", &["3", "1"][..]),
        ("?table_name=LiteLLM_TeamTable", &["3"]),
        ("?table_name=teams", &["3"]),
        ("?object_id=crew", &["3"]),
        ("?object_team_id=crew", &["3"]),
        ("?action=updated", &["2"]),
        ("?sort_order=asc&page_size=2", &["1", "2"]),
        ("?sort_order=asc&page_size=2&page=2", &["3"]),
        ("?start_date=2999-01-01", &[]),
        ("?end_date=2000-01-01", &[]),
    ] {
        let ids: Vec<_> = entries(&gate.admin(), query).await.iter().map(|entry| entry["id"].clone()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    assert_eq!(entries(&gate.admin(), &format!("?object_key_hash={token}")).await.len(), 2);
}

#[tokio::test]
async fn viewers_read_the_log_others_do_not_and_what_is_not_there_is_not_found() {
    let people = People::new().await;
    let viewer = people.key_of_role("proxy_admin_viewer").await;
    let user = people.key_of_role("internal_user").await;
    let gate = people.gateway(config()).await;
    assert_eq!(gate.holder(&viewer).get("/audit/1").await.status, 200);
    for path in ["/audit", "/audit/1"] {
        assert_eq!(gate.holder(&user).get(path).await.status, 401, "{path}");
    }
    for path in ["/audit/999", "/audit/none", "/audit/-1"] {
        assert_eq!(gate.admin().get(path).await.status, 404, "{path}");
    }
    for (query, status) in [
        ("?page=0", 422),
        ("?page_size=101", 422),
        ("?start_date=soon", 422),
        ("?sort_by=action", 422),
        ("?who=me", 422),
    ] {
        assert_eq!(gate.admin().get(&format!("/audit{query}")).await.status, status, "{query}");
    }
}

/// Asks until the log has `count` rows of refused keys.
async fn refused(gate: &TestGateway, count: usize) -> Vec<Value> {
    soon("refused keys in the log", async {
        loop {
            let rows = entries(&gate.admin(), "?action=sign_in_failed&page_size=100").await;
            if rows.len() >= count {
                return rows;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn refused_keys_are_in_the_log_with_the_reason_and_never_the_key() {
    let people = People::new().await;
    let blocked = people.key_of("blocked", Value::Null, Key { blocked: Some(true), ..Key::default() }).await;
    let gate = people.gateway(config()).await;
    let first = gate.holder(&blocked).get("/v1/mcp/server").await;
    let stranger = gate.holder("sk-nobody-knows-this-key").get("/v1/mcp/server").await;
    assert_eq!((first.status.as_u16(), &first.body), (401, &stranger.body), "callers are told the same");
    let rows = refused(&gate, 2).await;
    let text = json!(rows).to_string();
    assert!(!text.contains(&blocked) && !text.contains("nobody-knows") && !text.contains(MASTER_KEY), "{text}");
    let of = |id: &str| rows.iter().find(|row| row["object_id"] == id).unwrap_or_else(|| panic!("{id}: {text}"));
    let of_blocked = of(&people::hash(&blocked));
    assert_eq!(
        (&of_blocked["updated_values"]["count"], &of_blocked["updated_values"]["address"]),
        (&json!(1), &json!("127.0.0.1"))
    );
    assert!(of_blocked["updated_values"]["reason"].as_str().unwrap().contains("blocked"), "{of_blocked}");
    assert_eq!(of("127.0.0.1")["updated_values"]["reason"], "unknown key");
    assert_ne!(of("127.0.0.1")["request_id"], "");
    for _ in 0..20 {
        gate.holder("sk-nobody-knows-this-key").get("/v1/mcp/server").await;
    }
    assert_eq!(refused(&gate, 2).await.len(), 2, "no row for each");
    assert!(matches!(people.store.audit_verify(None).await.unwrap(), toolgate_store::Verdict::Whole { .. }));
}

#[tokio::test]
async fn a_flood_of_bad_keys_is_slowed_and_good_keys_from_the_same_address_are_not() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let people = People::new().await;
    let alice = people.key("alice", json!({"mcp_servers": ["files"]})).await;
    let late = people.key("late", json!({"mcp_servers": ["files"]})).await;
    let gate = people.gateway(config().server("files", fake.entry())).await;
    assert_eq!(gate.holder(&alice).tool_names().await, ["files-read"]);
    let mut slowed = None;
    for number in 0..2_000 {
        let reply = gate.holder(&format!("sk-guess-{number:032}")).get("/v1/mcp/server").await;
        if reply.status == 429 {
            slowed = Some(reply);
            break;
        }
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    let slowed = slowed.expect("nobody guesses so often");
    assert_eq!(slowed.header("retry-after"), "2");
    assert_eq!(gate.holder(&alice).tool_names().await, ["files-read"]);
    assert_eq!(gate.holder(&late).tool_names().await, ["files-read"], "one that was not known before");
    assert_eq!(gate.admin().get("/key/list").await.status, 200);
    let managed = gate.holder("sk-one-more-guess-0000").get("/key/list").await;
    assert_eq!((managed.status.as_u16(), &managed.json()["error"]["type"]), (429, &json!("throttling_error")));
}
