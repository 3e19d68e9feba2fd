//! Limits and budgets over two replicas that count in one Redis or Valkey.

use futures_util::future::join_all;
use serde_json::{Value, json};
use toolgate_store::{Key, Team};

use crate::support::people::actor;
use crate::support::postgres::PgDatabase;
use crate::support::redis::{PASSWORD, Redis};
use crate::support::{
    Caller, Config, FakeMcp, MASTER_KEY, People, Process, Scripted, TestGateway, config, script, soon,
};

const COST: &str = "mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.1}}";

fn reaches() -> Value {
    json!({"mcp_servers": ["files"]})
}

async fn files() -> FakeMcp {
    FakeMcp::start(script().tools(&["read"])).await
}

fn counting(files: &FakeMcp, redis: &Redis) -> Config {
    let config = config().server("files", files.entry().with("alias: f").with(COST));
    let port = redis.port;
    config.general("redis_host: 127.0.0.1").general(&format!("redis_port: {port}")).env("REDIS_PASSWORD", PASSWORD)
}

/// Two replicas on one database and one Redis.
async fn replicas(people: &People, files: &FakeMcp, redis: &Redis) -> [TestGateway; 2] {
    let both = [people.gateway(counting(files, redis)).await, people.gateway(counting(files, redis)).await];
    for gate in &both {
        until_limits_are(gate, "shared").await;
    }
    both
}

async fn until_limits_are(gate: &TestGateway, how: &str) {
    let anyone = gate.anonymous();
    gate.until(async || anyone.get("/health/readiness").await.json()["limits"] == how).await;
}

/// So many calls at once, by turns at each; how many were let through, and what the others were told.
async fn at_once(callers: &[Caller], calls: usize) -> (usize, Vec<Value>) {
    let answers = join_all((0..calls).map(|call| callers[call % callers.len()].call("f-read", json!({})))).await;
    let refused: Vec<Value> = answers
        .iter()
        .filter(|answer| answer.message().get("error").is_some())
        .map(|answer| answer.error().clone())
        .collect();
    (calls - refused.len(), refused)
}

async fn metric(gate: &TestGateway, name: &str) -> u64 {
    let metrics = gate.admin().get("/metrics").await;
    let line = metrics.text().lines().find(|line| line.starts_with(name)).expect("the metric is there").to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Minutes of the clock, which a test may meet the end of.
fn minute() -> i64 {
    chrono::Utc::now().timestamp() / 60
}

#[tokio::test]
async fn a_hundred_calls_at_once_over_two_replicas_let_through_what_the_limit_says() {
    let Some(redis) = Redis::start().await else { return };
    let (people, files) = (People::new().await, files().await);
    let limits = json!({"mcp_rpm_limit": {"f": 7}}).as_object().unwrap().clone();
    let team = Team { team_id: "dev".into(), metadata: limits, ..Team::default() };
    people.store.create_team(&actor(), team, vec![]).await.unwrap();
    let both = replicas(&people, &files, &redis).await;
    for (limit, what, row) in [
        (10, "requests", Key { rpm_limit: Some(10), ..Key::default() }),
        (7, "mcp_requests", Key { team_id: Some("dev".into()), ..Key::default() }),
        (10, "budget", Key { max_budget: Some(1.0), ..Key::default() }),
    ] {
        // A minute may end meanwhile, and then nothing can be said of a limit of requests.
        for turn in 0.. {
            let key = people.key_of(&format!("{what}-{turn}"), reaches(), row.clone()).await;
            let callers = [both[0].holder(&key), both[1].holder(&key)];
            let before = minute();
            let (through, refused) = at_once(&callers, 100).await;
            if minute() != before && what != "budget" {
                continue;
            }
            assert_eq!(through, limit, "{what}");
            for refused in refused {
                assert_eq!(refused["data"]["limit"], what, "{refused}");
                let after = refused["data"]["retry_after_ms"].as_u64();
                assert!(what == "budget" || (1_000..=60_000).contains(&after.unwrap()), "{refused}");
            }
            break;
        }
    }
    assert_eq!(metric(&both[0], "toolgate_shared_limits_up").await, 1);
    assert_eq!(metric(&both[0], "toolgate_limits_counted_alone_total").await, 0);
    for gate in both {
        gate.stop().await;
    }
}

#[tokio::test]
async fn calls_that_ended_make_room_at_once_and_what_was_spent_stays_spent() {
    let Some(redis) = Redis::start().await else { return };
    let (people, files) = (People::new().await, files().await);
    let key = Key { max_parallel_requests: Some(1), max_budget: Some(1.0), ..Key::default() };
    let key = people.key_of("one", reaches(), key).await;
    let both = replicas(&people, &files, &redis).await;
    for call in 0..10 {
        both[call % 2].holder(&key).call("f-read", json!({})).await.result();
    }
    for gate in &both {
        let refused = gate.holder(&key).call("f-read", json!({})).await;
        assert_eq!(refused.error()["data"]["code"], "budget_exceeded", "{refused:?}");
        assert!(refused.error_message().contains("Max budget: 1.0 (key: one). This call costs 0.1. "), "{refused:?}");
    }
    // What each wrote is in the database then, and still counts once.
    let hash = crate::support::people::hash(&key).parse().unwrap();
    let spent = async || people.store.key(&hash).await.unwrap().unwrap().spend;
    both[0].until(async || (spent().await - 1.0).abs() < 1e-9).await;
    for gate in &both {
        gate.holder(&key).call("f-read", json!({})).await.error();
    }
    // Who is forgiven may spend again, on both, and not twice as much.
    let forgive = json!({"key": hash.to_string(), "spend": 0.5}).to_string();
    assert_eq!(both[0].admin().post("/key/update", forgive).await.status, 200);
    let calls = async |gate: &TestGateway| {
        gate.until(async || gate.holder(&key).call("f-read", json!({})).await.message().get("result").is_some()).await;
    };
    calls(&both[0]).await;
    calls(&both[1]).await;
    let mut through = 2;
    while both[through % 2].holder(&key).call("f-read", json!({})).await.message().get("result").is_some() {
        through += 1;
    }
    assert_eq!(through, 5);
    for gate in both {
        gate.stop().await;
    }
}

/// What one replica knows of another's calls comes with its own next batch: until then both may let through what there is.
#[tokio::test]
async fn without_redis_a_budget_holds_within_one_batch_of_each_replica() {
    let (people, files) = (People::new().await, files().await);
    let config = || config().server("files", files.entry().with("alias: f").with(COST));
    let (one, other) = (people.gateway(config()).await, people.gateway(config()).await);
    let key = people.key_of("tenth", reaches(), Key { max_budget: Some(1.0), ..Key::default() }).await;
    let written = async |gate: &TestGateway, calls: u64| {
        let line = format!(r#"toolgate_spend_rows_total{{result="written"}} {calls}"#);
        gate.until(async || gate.admin().get("/metrics").await.text().lines().any(|told| told == line)).await;
    };
    let call = async |gate: &TestGateway| gate.holder(&key).call("f-read", json!({})).await;
    // Both know the key from here on, as it was.
    call(&one).await.result();
    written(&one, 1).await;
    call(&other).await.result();
    written(&other, 1).await;
    for _ in 0..5 {
        call(&one).await.result();
    }
    written(&one, 6).await;
    // The other hears of 0.7 with its own eighth call, and lets through what is left.
    call(&other).await.result();
    written(&other, 2).await;
    let (through, refused) = at_once(&[other.holder(&key)], 20).await;
    assert_eq!((through, refused.len()), (2, 18));
    // Refusals are written down as well.
    written(&other, 22).await;
    // The first knows of 0.7: one more batch of it is the most that is spent beyond the budget.
    call(&one).await.result();
    written(&one, 7).await;
    for gate in [one, other] {
        let refused = call(&gate).await;
        assert_eq!(refused.error()["data"]["code"], "budget_exceeded", "{refused:?}");
        gate.stop().await;
    }
}

#[tokio::test]
async fn without_redis_each_replica_counts_for_itself_and_comes_back_by_itself() {
    let Some(mut redis) = Redis::start().await else { return };
    let (people, files) = (People::new().await, files().await);
    let both = replicas(&people, &files, &redis).await;
    redis.kill();
    let key = people.key_of("alone", reaches(), Key { max_budget: Some(0.2), ..Key::default() }).await;
    for (gate, least) in both.iter().zip([2, 0]) {
        let (through, _) = at_once(&[gate.holder(&key)], 20).await;
        // What the first replica's calls cost may be in the database already when the second reads the key.
        assert!((least..=2).contains(&through), "{through}");
        until_limits_are(gate, "each replica for itself").await;
        assert_eq!(gate.anonymous().get("/health/readiness").await.status, 200);
        assert!(metric(gate, "toolgate_limits_counted_alone_total").await > 0);
        assert_eq!(metric(gate, "toolgate_shared_limits_up").await, 0);
    }
    redis.start_again().await;
    for gate in &both {
        until_limits_are(gate, "shared").await;
    }
    let key = people.key_of("together", reaches(), Key { max_budget: Some(1.0), ..Key::default() }).await;
    let (through, _) = at_once(&[both[0].holder(&key), both[1].holder(&key)], 50).await;
    assert_eq!(through, 10);
    for gate in both {
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_its_client_gave_up_makes_room() {
    let Some(redis) = Redis::start().await else { return };
    let people = People::new().await;
    let held = script().tools(&["read"]).on("tools/call", Scripted::Held(r#"{"content":[]}"#.to_owned()));
    let files = FakeMcp::start(held).await;
    let key = people.key_of("one", reaches(), Key { max_parallel_requests: Some(1), ..Key::default() }).await;
    let both = replicas(&people, &files, &redis).await;
    let modern = crate::support::Modern::new(&both[0].holder(&key));
    let (asking, body) = modern.request(json!(1), "tools/call", json!({"name": "f-read", "arguments": {}}));
    let hanging = tokio::spawn(async move { asking.post("/mcp", body.to_string()).await });
    both[0].until(async || files.count_of("tools/call") == 1).await;
    let refused = both[1].holder(&key).call("f-read", json!({})).await;
    assert_eq!(refused.error()["data"]["limit"], "max_parallel_requests", "{refused:?}");
    hanging.abort();
    files.release();
    both[1]
        .until(async || both[1].holder(&key).call("f-read", json!({})).await.message().get("result").is_some())
        .await;
    for gate in both {
        gate.stop().await;
    }
}

#[tokio::test]
async fn what_a_killed_replica_held_is_free_again() {
    let Some(redis) = Redis::start().await else { return };
    let Some(database) = PgDatabase::create() else { return };
    let held = script().tools(&["read"]).on("tools/call", Scripted::Held(r#"{"content":[]}"#.to_owned()));
    let files = FakeMcp::start(held).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("config.yaml");
    let cache = format!(
        "litellm_settings:\n  cache: true\n  cache_params: {{type: redis, host: 127.0.0.1, port: {}, password: {PASSWORD}}}\n",
        redis.port
    );
    let yaml = config().server("files", files.entry()).general(&format!("database_url: \"{}\"", database.url())).yaml();
    std::fs::write(&file, yaml + &cache).unwrap();
    let killed = Process::serve(&file, &place.path().join("one")).await;
    let stays = Process::serve(&file, &place.path().join("other")).await;
    for process in [&killed, &stays] {
        let anyone = process.anonymous();
        soon("shared limits", async { while anyone.get("/health/readiness").await.json()["limits"] != "shared" {} })
            .await;
    }
    let body = json!({"max_parallel_requests": 1, "object_permission": reaches()}).to_string();
    let made = killed.caller(MASTER_KEY).post("/key/generate", body).await.json();
    let key = made["key"].as_str().unwrap().to_owned();
    let hanging = {
        let caller = killed.caller(&key);
        tokio::spawn(async move { caller.try_post("/mcp", call()).await })
    };
    soon("the call running", async {
        while files.count_of("tools/call") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    let caller = stays.caller(&key);
    assert_eq!(caller.call("files-read", json!({})).await.error()["data"]["limit"], "max_parallel_requests");
    drop(killed);
    hanging.await.unwrap();
    files.release();
    soon("room", async {
        while caller.call("files-read", json!({})).await.message().get("result").is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
}

fn call() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "files-read", "arguments": {}}})
        .to_string()
}
