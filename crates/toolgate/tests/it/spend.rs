//! The log of calls: what is written down of them, who sees which, and that none is lost or counted twice.

use serde_json::{Value, json};
use toolgate_store::{
    Database, Direction, Key, KeyRing, Organization, PageOf, SpendFilter, SpendRow, Store, StoreSettings, Team,
    TeamMembership, User,
};

use crate::support::people::actor;
use crate::support::{Caller, Config, FakeMcp, Modern, People, Scripted, TestGateway, config, script, soon};

const COST: &str = "mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.25}}";
const CANARY: &str = "canary-2a7d9c51e0b84f36";

async fn files() -> FakeMcp {
    FakeMcp::start(script().tools(&["read", "write"])).await
}

fn with(files: &FakeMcp) -> Config {
    config().server("files", files.entry().with("alias: f").with(COST))
}

fn reaches() -> Value {
    json!({"mcp_servers": ["files"]})
}

/// Waits until so many calls are listed.
async fn calls(gate: &TestGateway, caller: &Caller, query: &str, count: usize) -> Vec<Value> {
    let list = async || caller.get(&format!("/v1/mcp/calls?{query}")).await.json()["calls"].as_array().unwrap().clone();
    gate.until(async || list().await.len() >= count).await;
    let calls = list().await;
    assert_eq!(calls.len(), count, "{query}: {calls:?}");
    calls
}

#[tokio::test]
async fn a_call_is_written_down_with_the_shape_of_its_arguments_and_nothing_of_what_they_say() {
    let (people, files) = (People::new().await, files().await);
    let key = people.key("alice", reaches()).await;
    let gate = people.gateway(with(&files)).await;
    let caller = gate.holder(&key).with("x-request-id", "request-7").initialized_at("/mcp").await;
    caller.call("f-read", json!({"path": CANARY, "depth": 3})).await.result();

    let call = &calls(&gate, &gate.admin(), "", 1).await[0];
    assert_eq!(call["arguments"], json!({"path": "string, 25 bytes", "depth": "number, 1 bytes"}));
    for (field, expected) in [
        ("outcome", json!("success")),
        ("cost", json!(0.25)),
        ("server", json!("files")),
        ("tool", json!("read")),
        ("key", json!(crate::support::people::hash(&key))),
        ("key_alias", json!("alice")),
        ("client_ip", json!("127.0.0.1")),
        ("request_id", json!("request-7")),
        ("request", Value::Null),
        ("response", Value::Null),
        ("calls", json!(1)),
    ] {
        assert_eq!(call[field], expected, "{field} of {call}");
    }
    assert!(call["session_id"].as_str().is_some_and(|id| id.len() == 32), "{call}");
    let row = &gate.admin().get("/spend/logs").await.json()[0];
    assert_eq!(row["request_id"], call["id"]);
    for (field, expected) in [
        ("call_type", json!("call_mcp_tool")),
        ("model", json!("MCP: read")),
        ("mcp_namespaced_tool_name", json!("files/read")),
        ("spend", json!(0.25)),
        ("status", json!("success")),
        ("api_key", call["key"].clone()),
    ] {
        assert_eq!(row[field], expected, "{field} of {row}");
    }
    assert!(!row.to_string().contains(CANARY), "{row}");
    gate.stop().await;
}

#[tokio::test]
async fn bodies_are_kept_where_that_is_switched_on() {
    let (people, files) = (People::new().await, files().await);
    let gate = people.gateway(with(&files).general("store_prompts_in_spend_logs: true")).await;
    gate.admin().call("f-read", json!({"path": CANARY})).await.result();
    let call = &calls(&gate, &gate.admin(), "", 1).await[0];
    assert_eq!(call["request"], json!({"name": "read", "arguments": {"path": CANARY}}));
    assert!(call["response"]["content"][0]["text"].as_str().is_some(), "{call}");
    // A NUL, which no database keeps, and what is too large, are left out and the call is not.
    gate.admin().call("f-read", json!({"path": "\u{0}"})).await.result();
    gate.admin().call("f-read", json!({"path": "x".repeat(100_000)})).await.result();
    for call in &calls(&gate, &gate.admin(), "limit=2", 2).await {
        assert_eq!(call["request"]["arguments"]["truncated"], true, "{call}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn how_calls_end_is_told_and_found() {
    let people = People::new().await;
    let failing = json!({"isError": true, "content": []}).to_string();
    let answers = vec![Scripted::text("ok"), Scripted::Result(failing), Scripted::Error(-32000, "out of paper")];
    let files = script().tools(&["read"]).on("tools/call", Scripted::InTurn(answers));
    let files = FakeMcp::start(files).await;
    let none = people.key_of("none", reaches(), Key { max_budget: Some(0.0), ..Key::default() }).await;
    let gate = people.gateway(with(&files)).await;
    for _ in 0..3 {
        gate.admin().call("f-read", json!({})).await;
    }
    Modern::new(&gate.holder(&none)).call("f-read", json!({})).await.error();
    let all = calls(&gate, &gate.admin(), "", 4).await;
    let mut outcomes: Vec<_> = all.iter().map(|call| call["outcome"].as_str().unwrap()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["error", "limited", "success", "tool_error"]);
    for outcome in outcomes {
        calls(&gate, &gate.admin(), &format!("outcome={outcome}"), 1).await;
    }
    let error = &calls(&gate, &gate.admin(), "outcome=error&server=f&tool=read", 1).await[0];
    assert!(error["error"].as_str().unwrap().contains("out of paper"), "{error}");
    assert_eq!(error["cost"], 0.0);
    let limited = &calls(&gate, &gate.admin(), "outcome=limited", 1).await[0];
    assert!(limited["error"].as_str().unwrap().starts_with("Budget has been exceeded!"), "{limited}");
    for (query, count) in
        [("server=nobody", 0), ("tool=write", 0), ("since=2020-01-01T00:00:00Z", 4), ("until=2020-01-01T00:00:00Z", 0)]
    {
        calls(&gate, &gate.admin(), query, count).await;
    }
    for query in ["cursor=x", "limit=0", "limit=501", "since=now", "colour=red", "stream=perhaps"] {
        let reply = gate.admin().get(&format!("/v1/mcp/calls?{query}")).await;
        assert_eq!(reply.status, 422, "{query}: {reply:?}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn pages_lead_through_all_calls_once() {
    let (people, files) = (People::new().await, files().await);
    let gate = people.gateway(with(&files)).await;
    for _ in 0..7 {
        gate.admin().call("f-read", json!({})).await.result();
    }
    calls(&gate, &gate.admin(), "", 7).await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gate.admin().get(&format!("/v1/mcp/calls?limit=3{cursor}")).await.json();
        ids.extend(page["calls"].as_array().unwrap().iter().map(|call| call["id"].to_string()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let told = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((told, ids.len()), (7, 7));
    gate.stop().await;
}

/// Keys of one organization with two teams, and of nobody.
async fn company(people: &People) -> Vec<(&'static str, String)> {
    let store = &people.store;
    let acme = Organization { organization_id: "acme".into(), ..Organization::default() };
    store.create_organization(&actor(), acme, None).await.unwrap();
    let place = |user: &str, role: &str| TeamMembership {
        user_id: user.into(),
        role: role.into(),
        ..TeamMembership::default()
    };
    for (team, members) in
        [("dev", vec![place("ann", "admin"), place("bob", "user")]), ("ops", vec![place("eve", "user")])]
    {
        let team = Team { team_id: team.into(), organization_id: Some("acme".into()), ..Team::default() };
        store.create_team(&actor(), team, members).await.unwrap();
    }
    let mut keys = Vec::new();
    for (user, team) in [("ann", "dev"), ("bob", "dev"), ("eve", "ops")] {
        let row = User { user_id: user.into(), user_role: Some("internal_user".into()), ..User::default() };
        store.create_user(&actor(), row, vec![]).await.unwrap();
        let key = Key { user_id: Some(user.into()), team_id: Some(team.into()), ..Key::default() };
        keys.push((user, people.key_of(user, reaches(), key).await));
    }
    keys.push(("robot", people.key("robot", reaches()).await));
    keys
}

#[tokio::test]
async fn everybody_sees_their_own_calls_and_who_administers_a_team_sees_the_teams() {
    let (people, files) = (People::new().await, files().await);
    let keys = company(&people).await;
    let gate = people.gateway(with(&files)).await;
    for (_, key) in &keys {
        gate.holder(key).call("f-read", json!({})).await.result();
    }
    calls(&gate, &gate.admin(), "", 4).await;
    let seen = async |caller: &Caller, path: &str| {
        let reply = caller.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let body = reply.json();
        let rows = body.get("calls").unwrap_or(&body).as_array().unwrap().clone();
        let alias = |row: &Value| {
            let alias = row.get("key_alias").unwrap_or(&row["metadata"]["user_api_key_alias"]);
            alias.as_str().unwrap().to_owned()
        };
        let mut seen: Vec<String> = rows.iter().map(alias).collect();
        seen.sort();
        seen.join(" ")
    };
    let expected = [("ann", "ann bob"), ("bob", "bob"), ("eve", "eve"), ("robot", "robot")];
    for ((name, key), (of, sees)) in keys.iter().zip(expected) {
        assert_eq!(*name, of);
        let caller = gate.holder(key);
        for path in ["/v1/mcp/calls", "/spend/logs"] {
            assert_eq!(seen(&caller, path).await, sees, "{name}: {path}");
        }
        // What is others' is as if it were not there, however it is asked for.
        let foreign = if *name == "eve" { "bob" } else { "eve" };
        let (_, foreign_key) = keys.iter().find(|(name, _)| *name == foreign).unwrap();
        let hash = crate::support::people::hash(foreign_key);
        let team = if foreign == "eve" { "ops" } else { "dev" };
        for path in [
            format!("/v1/mcp/calls?key={hash}"),
            format!("/v1/mcp/calls?user_id={foreign}"),
            format!("/v1/mcp/calls?team_id={team}&user_id={foreign}"),
            format!("/v1/mcp/calls?organization_id=acme&user_id={foreign}"),
            format!("/spend/logs?api_key={hash}"),
            format!("/spend/logs?user_id={foreign}"),
        ] {
            assert_eq!(seen(&caller, &path).await, "", "{name}: {path}");
        }
    }
    assert_eq!(seen(&gate.admin(), "/v1/mcp/calls").await, "ann bob eve robot");
    let hash = crate::support::people::hash(&keys[0].1);
    assert_eq!(seen(&gate.admin(), &format!("/spend/logs?api_key={hash}")).await, "ann");
    let key = &keys[0].1;
    assert_eq!(seen(&gate.admin(), &format!("/spend/logs?api_key={key}")).await, "ann", "as LiteLLM's scripts send it");
    let today = chrono::Utc::now().date_naive();
    let path = format!("/spend/logs?start_date={}&end_date={today}", today - chrono::Days::new(1));
    let days = gate.admin().get(&path).await.json();
    // Midnight may have been meanwhile.
    let spent: f64 = days.as_array().unwrap().iter().map(|day| day["spend"].as_f64().unwrap()).sum();
    assert!((spent - 1.0).abs() < 1e-9, "{days}");
    assert_eq!(days[0]["models"]["MCP: read"].as_f64(), days[0]["spend"].as_f64(), "{days}");
    let own = gate.holder(&keys[2].1).get(&path).await.json();
    assert_eq!(own[0]["spend"], 0.25, "{own}");
    gate.stop().await;
}

#[tokio::test]
async fn a_stream_tells_of_calls_as_they_end_within_what_its_listener_may_see() {
    let (people, files) = (People::new().await, files().await);
    let keys = company(&people).await;
    let gate = people.gateway(with(&files)).await;
    let of = |name: &str| gate.holder(&keys.iter().find(|(other, _)| *other == name).unwrap().1);
    let mut all = gate.admin().with("accept", "text/event-stream").open_stream("/v1/mcp/calls").await;
    let mut anns = of("ann").open_stream("/v1/mcp/calls?stream=true&outcome=success").await;
    let mut eves = of("eve").open_stream("/v1/mcp/calls?stream=true").await;
    for name in ["bob", "eve", "ann"] {
        of(name).call("f-read", json!({})).await.result();
    }
    let next = async |stream: &mut crate::support::EventStream| {
        let event = soon("a call", stream.next()).await.expect("the stream goes on");
        serde_json::from_str::<Value>(&event.data).unwrap()["key_alias"].as_str().unwrap().to_owned()
    };
    for expected in ["bob", "eve", "ann"] {
        assert_eq!(next(&mut all).await, expected);
    }
    assert_eq!((next(&mut anns).await, next(&mut anns).await), ("bob".to_owned(), "ann".to_owned()));
    assert_eq!(next(&mut eves).await, "eve");

    // Who is blocked hears no more.
    let hash = crate::support::people::hash(&keys.iter().find(|(name, _)| *name == "eve").unwrap().1);
    let reply = gate.admin().post("/key/block", json!({"key": hash}).to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(soon("the end of the stream", eves.next()).await.is_none());
    gate.stop().await;
    assert!(soon("the end of the stream", all.next()).await.is_none());
}

fn ring() -> KeyRing {
    KeyRing::new("a sealing key of a test".to_owned().into(), Vec::new())
}

#[tokio::test]
async fn a_stop_writes_down_what_was_called_to_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings::new(Database::File(directory.path().join("toolgate.db")), ring());
    let store = Store::open(settings.clone()).await.unwrap();
    let files = files().await;
    let gate = TestGateway::start_with_store(with(&files), store).await;
    for _ in 0..5 {
        gate.admin().call("f-read", json!({})).await.result();
    }
    gate.stop().await;
    let store = Store::open(settings).await.unwrap();
    let page = store.spend_logs(&SpendFilter::default(), Direction::Ascending, PageOf::new(1, 9)).await.unwrap();
    assert_eq!(page.total, 5);
    store.close().await;
}

#[tokio::test]
async fn what_was_kept_long_enough_is_deleted_and_sums_stay() {
    let (people, files) = (People::new().await, files().await);
    let ago = |days| chrono::Utc::now() - chrono::TimeDelta::days(days);
    let row = |id: &str, days| SpendRow {
        request_id: id.into(),
        call_type: "call_mcp_tool".into(),
        start_time: ago(days),
        end_time: ago(days),
        ..SpendRow::default()
    };
    people.store.record_spend(&[row("old", 8), row("young", 6)]).await.unwrap();
    let gate = people.gateway(with(&files).general("maximum_spend_logs_retention_period: 7d")).await;
    let left = calls(&gate, &gate.admin(), "limit=1", 1).await;
    gate.until(async || gate.admin().get("/v1/mcp/calls").await.json()["calls"].as_array().unwrap().len() == 1).await;
    assert_eq!(left[0]["id"], "young");
    gate.stop().await;
}

#[tokio::test]
async fn without_a_log_what_was_spent_is_counted_all_the_same() {
    let (people, files) = (People::new().await, files().await);
    let key = people.key("alice", reaches()).await;
    let gate = people.gateway(with(&files).general("disable_spend_logs: true")).await;
    for _ in 0..4 {
        gate.holder(&key).call("f-read", json!({})).await.result();
    }
    let hash = crate::support::people::hash(&key);
    let spent = async || gate.admin().get(&format!("/key/info?key={hash}")).await.json()["info"]["spend"].as_f64();
    gate.until(async || spent().await == Some(1.0)).await;
    gate.until(async || gate.admin().get("/v1/mcp/calls").await.json()["calls"] == json!([])).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_period_that_ends_while_nobody_looks_opens_the_budget_and_the_database_follows() {
    let (people, files) = (People::new().await, files().await);
    let over = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    let spent = Key {
        max_budget: Some(1.0),
        spend: 1.0,
        budget_duration: Some("30d".into()),
        budget_reset_at: Some(over),
        ..Key::default()
    };
    let key = people.key_of("alice", reaches(), spent).await;
    let gate = people.gateway(with(&files)).await;
    gate.holder(&key).call("f-read", json!({})).await.result();
    let hash = crate::support::people::hash(&key);
    let info = async || gate.admin().get(&format!("/key/info?key={hash}")).await.json()["info"].clone();
    gate.until(async || info().await["spend"] == json!(0.25)).await;
    let reset_at = info().await["budget_reset_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(reset_at > chrono::Utc::now());
    gate.stop().await;
}
