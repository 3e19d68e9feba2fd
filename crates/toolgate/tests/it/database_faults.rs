//! A database that stops answering, a disk that is full, a gateway that dies: calls go on, and whatever was acknowledged
//! stays.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::process::Signal;
use serde_json::json;

use crate::support::postgres::{OwnPostgres, PgDatabase};
use crate::support::{
    Caller, FakeMcp, MASTER_KEY, Process, Reply, TestGateway, config, memory, script, soon, within_a_second,
};

/// How long the gateway waits for the database here.
const DEADLINE: Duration = Duration::from_secs(1);

/// What `/mcp` answers to anybody whose key is good.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn files() -> FakeMcp {
    FakeMcp::start(script().tools(&["read"])).await
}

async fn generate(admin: &Caller, alias: &str) -> Reply {
    let body = json!({"key_alias": alias, "object_permission": {"mcp_servers": ["files"]}});
    admin.post("/key/generate", body.to_string()).await
}

/// A key that was acknowledged.
fn key(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["key"].as_str().unwrap().to_owned()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// How many calls the log has.
async fn logged(admin: &Caller) -> usize {
    admin.get("/v1/mcp/calls?limit=500").await.json()["calls"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_database_that_freezes_stops_no_known_key_and_is_used_again_once_it_thaws() {
    let Some(postgres) = OwnPostgres::start() else { return };
    let files = files().await;
    let store = postgres.open(DEADLINE).await;
    let gate = TestGateway::start_with_store(config().server("files", files.entry()), store).await;
    let admin = gate.admin();
    let known = gate.holder(&key(&generate(&admin, "known").await));
    let unknown = gate.holder("sk-nobody-has-seen-this-key");
    known.call("files-read", json!({})).await.result();
    assert_eq!(unknown.post("/mcp", PING).await.status, 401);
    let never_seen = gate.holder("sk-nobody-has-seen-this-key-either");
    let state = async || admin.get("/health/readiness").await.json();

    postgres.freeze();
    for _ in 0..5 {
        known.call("files-read", json!({})).await.result();
    }
    let began = Instant::now();
    for reply in [never_seen.post("/mcp", PING).await, generate(&admin, "refused").await] {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
    }
    assert!(began.elapsed() < DEADLINE * 10, "waiting is bounded: {:?}", began.elapsed());
    until("readiness tells", async || state().await["db"] == "disconnected").await;
    assert_eq!(admin.get("/health/readiness").await.status, 200, "keys that are known are served");
    known.call("files-read", json!({})).await.result();

    postgres.thaw();
    let is_looked_up = async || never_seen.post("/mcp", PING).await.status == 401;
    within_a_second("unknown keys are looked up after the thaw", is_looked_up).await;
    until("changes are taken", async || generate(&admin, "after").await.status == 200).await;
    until("readiness tells", async || state().await["db"] == "connected").await;
    until("all calls are in the log", async || logged(&admin).await == 7).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_database_that_stops_and_comes_back_is_used_again_within_a_second() {
    let Some(mut postgres) = OwnPostgres::start() else { return };
    let files = files().await;
    let gate = async || {
        TestGateway::start_with_store(config().server("files", files.entry()), postgres.open(DEADLINE).await).await
    };
    let (one, other) = (gate().await, gate().await);
    let admin = one.admin();
    let text = key(&generate(&admin, "known").await);
    let (here, there) = (one.holder(&text), other.holder(&text));
    here.call("files-read", json!({})).await.result();
    there.call("files-read", json!({})).await.result();
    let connected =
        async |gate: &TestGateway, word: &str| gate.admin().get("/health/readiness").await.json()["db"] == word;
    let mut calls = 2;
    for turn in 0..2 {
        postgres.stop().await;
        let never_seen = other.holder(&format!("sk-nobody-has-seen-this-key-{turn}"));
        for caller in [&here, &there] {
            caller.call("files-read", json!({})).await.result();
            calls += 1;
        }
        for reply in [never_seen.post("/mcp", PING).await, generate(&admin, "refused").await] {
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
        }
        until("readiness tells", async || {
            connected(&one, "disconnected").await && connected(&other, "disconnected").await
        })
        .await;
        here.call("files-read", json!({})).await.result();
        calls += 1;

        postgres.start_again().await;
        let is_used = async || {
            never_seen.post("/mcp", PING).await.status == 401
                && generate(&admin, &format!("after-{turn}")).await.status != 503
                && connected(&one, "connected").await
                && connected(&other, "connected").await
        };
        within_a_second("the database is used again", is_used).await;
        there.call("files-read", json!({})).await.result();
        calls += 1;
    }
    // What is changed is heard of again, too.
    let blocked = admin.post("/key/block", json!({"key": text}).to_string()).await;
    assert_eq!(blocked.status, 200, "{blocked:?}");
    within_a_second("the other gateway refuses the key", async || there.post("/mcp", PING).await.status == 401).await;
    until("all calls are in the log", async || logged(&admin).await == calls).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn connections_that_are_cut_are_made_anew_and_nobody_is_refused_for_longer_than_a_second() {
    let Some(database) = PgDatabase::create() else { return };
    let files = files().await;
    let gate = TestGateway::start_with_store(config().server("files", files.entry()), database.open().await).await;
    let admin = gate.admin();
    let known = gate.holder(&key(&generate(&admin, "known").await));
    known.call("files-read", json!({})).await.result();
    for turn in 0..5 {
        database.cut_connections();
        known.call("files-read", json!({})).await.result();
        let unknown = gate.holder(&format!("sk-nobody-has-seen-this-key-{turn}"));
        let is_used = async || {
            unknown.post("/mcp", PING).await.status == 401
                && generate(&admin, &format!("after-{turn}")).await.status != 503
        };
        within_a_second("the database is used again", is_used).await;
    }
    until("all calls are in the log", async || logged(&admin).await == 6).await;
    gate.stop().await;
}

#[tokio::test]
async fn whoever_is_known_is_served_for_five_minutes_without_the_database_and_no_longer() {
    let files = files().await;
    let store = memory().await;
    let config = || config().server("files", files.entry());
    let usual = TestGateway::start_with_store(config(), store.clone()).await;
    let mut five_minutes = Duration::ZERO;
    // As if time went by fifty times as fast for it. It asks the database every two seconds.
    let hasty = TestGateway::start_with_store_and(config(), store.clone(), |settings| {
        five_minutes = settings.limits.without_database;
        settings.limits.without_database = five_minutes / 50;
    });
    let hasty = hasty.await;
    assert_eq!(five_minutes, Duration::from_secs(5 * 60));
    let text = key(&generate(&usual.admin(), "known").await);
    for gate in [&usual, &hasty] {
        gate.holder(&text).call("files-read", json!({})).await.result();
    }
    store.close().await;
    let readiness = async |gate: &TestGateway| gate.admin().get("/health/readiness").await;
    let is_refused = async || hasty.holder(&text).post("/mcp", PING).await.status != 200;
    until("the key is not served any more", is_refused).await;
    let reply = hasty.holder(&text).post("/mcp", PING).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
    let reply = readiness(&hasty).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["db"]), (503, &json!("disconnected")), "{reply:?}");
    assert_eq!(hasty.admin().post("/mcp", PING).await.status, 200, "the master key needs no database");

    usual.holder(&text).call("files-read", json!({})).await.result();
    let reply = readiness(&usual).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["db"]), (200, &json!("disconnected")), "{reply:?}");
    hasty.stop().await;
    usual.stop().await;
}

/// A configuration file and a data directory beside it.
fn place(files: &FakeMcp, general: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let yaml = config().server("files", files.entry()).general(general).yaml();
    std::fs::write(place.path().join("config.yaml"), yaml).unwrap();
    place
}

/// Takes all the room that is left.
fn fill(file: &Path) {
    let mut ballast = std::fs::File::options().create(true).append(true).open(file).unwrap();
    for size in [64 * 1024, 1024, 1] {
        while std::io::Write::write_all(&mut ballast, &vec![0; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_no_call_until_there_is_room_again() {
    let files = files().await;
    let place = place(&files, "store_model_in_db: true");
    let data = place.path().join("data");
    let config = place.path().join("config.yaml");
    let Some(mut gate) = Process::serve_on_a_disk_of(16, &config, &data).await else { return };
    let admin = gate.caller(MASTER_KEY);
    let mut kept = vec![key(&generate(&admin, "first").await)];
    let known = gate.caller(&kept[0]);
    known.call("files-read", json!({})).await.result();
    until("the call is written down", async || logged(&admin).await == 1).await;

    let ballast = gate.sees(&data.join("ballast"));
    fill(&ballast);
    let refused = soon("no room", async {
        // The write-ahead log may have some left.
        loop {
            let reply = generate(&admin, &format!("key-{}", kept.len())).await;
            if reply.status != 200 {
                return reply;
            }
            kept.push(key(&reply));
            fill(&ballast);
        }
    })
    .await;
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(refused.text().contains("no room left") && !refused.header("retry-after").is_empty(), "{refused:?}");
    for _ in 0..5 {
        known.call("files-read", json!({})).await.result();
    }
    assert_eq!(admin.get("/key/list").await.json()["total_count"], kept.len(), "what is there can be read");
    gate.logs("calls cannot be written down for now").await;

    std::fs::remove_file(&ballast).unwrap();
    until("changes are taken", async || generate(&admin, "after").await.status == 200).await;
    until("all calls are in the log", async || logged(&admin).await == 6).await;
    for key in &kept {
        assert_eq!(gate.caller(key).post("/mcp", PING).await.status, 200, "it was acknowledged");
    }
    gate.signal(Signal::TERM);
    assert!(gate.ended().await.success());
}

/// Kills the gateway in the middle of a hundred writes, twice, and looks for what it had acknowledged.
async fn killed(general: &str) {
    let files = files().await;
    let place = place(&files, general);
    let (config, data) = (place.path().join("config.yaml"), place.path().join("data"));
    let mut acknowledged = Vec::new();
    for turn in 0..2 {
        let mut gate = Process::serve(&config, &data).await;
        let admin = gate.caller(MASTER_KEY);
        let writes = (0..100).map(|write| {
            let (admin, alias) = (admin.clone(), format!("{turn}-{write}"));
            async move { admin.try_post("/key/generate", json!({"key_alias": alias}).to_string()).await }
        });
        let mut writes: FuturesUnordered<_> = writes.collect();
        while let Some(reply) = writes.next().await {
            // Those that were cut off were not acknowledged.
            let Some(reply) = reply else { continue };
            acknowledged.push(key(&reply));
            if acknowledged.len() == 30 * (turn + 1) {
                gate.signal(Signal::KILL);
            }
        }
        gate.ended().await;
    }
    assert!((60..200).contains(&acknowledged.len()), "{}", acknowledged.len());
    let gate = Process::serve(&config, &data).await;
    for key in &acknowledged {
        assert_eq!(gate.caller(key).post("/mcp", PING).await.status, 200, "it was acknowledged");
    }
    let admin = gate.caller(MASTER_KEY);
    let created = admin.get("/audit?table_name=keys&action=created&page_size=1").await.json();
    let keys = admin.get("/key/list").await.json();
    assert_eq!(created["total"], keys["total_count"], "each key has its entry in the audit log: {created}");
    let total = usize::try_from(keys["total_count"].as_u64().unwrap()).unwrap();
    assert!(total >= acknowledged.len(), "{total}");
}

#[tokio::test]
async fn a_gateway_that_is_killed_amid_a_hundred_writes_loses_none_that_it_acknowledged() {
    killed("store_model_in_db: true").await;
}

#[tokio::test]
async fn a_gateway_on_postgresql_that_is_killed_amid_a_hundred_writes_loses_none_that_it_acknowledged() {
    let Some(database) = PgDatabase::create() else { return };
    killed(&format!("database_url: \"{}\"", database.url())).await;
}
