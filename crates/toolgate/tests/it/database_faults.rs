//! A database that stops answering, a disk that is full, a gateway that dies: calls go on, and whatever was acknowledged
//! stays.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::process::Signal;
use serde_json::json;

use crate::support::postgres::{OwnPostgres, PgDatabase};
use crate::support::{Caller, FakeMcp, MASTER_KEY, Process, Reply, TestGateway, config, script, soon};

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

async fn until(what: &str, is_so: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    began.elapsed()
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
    let late = until("unknown keys are looked up", async || never_seen.post("/mcp", PING).await.status == 401).await;
    assert!(late < Duration::from_secs(1), "{late:?} after the thaw");
    until("changes are taken", async || generate(&admin, "after").await.status == 200).await;
    until("readiness tells", async || state().await["db"] == "connected").await;
    until("all calls are in the log", async || logged(&admin).await == 7).await;
    gate.stop().await;
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
