//! What a call in the log costs to write: `spend DATABASE [BATCHES]` writes batches of a thousand calls and tells the CPU
//! time of this process per call. The database is a file's path or a PostgreSQL URL.

use std::io::Write as _;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use toolgate_store::{Database, KeyRing, SpendRow, Store, StoreSettings};

const BATCH: u32 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or_else(|| anyhow::anyhow!("usage: spend DATABASE [BATCHES]"))?;
    let batches: u32 = arguments.next().map_or(Ok(30), |text| text.parse())?;
    let database =
        if place.starts_with("postgres") { Database::Postgres(place.into()) } else { Database::File(place.into()) };
    let store = Store::open(StoreSettings::new(database, KeyRing::new("a sealing key".into(), vec![]))).await?;
    let run = format!("{:016x}", Utc::now().timestamp_micros());
    let (began, before) = (Instant::now(), cpu_us()?);
    for batch in 0..batches {
        let rows: Vec<SpendRow> = (0..BATCH).map(|at| call(&run, batch * BATCH + at)).collect();
        store.record_spend(&rows).await?;
    }
    let calls = f64::from(batches * BATCH);
    let cpu = (cpu_us()? - before) / calls;
    let clock = began.elapsed().as_secs_f64() * 1e6 / calls;
    writeln!(std::io::stdout(), "{cpu:.1} us of CPU a call, {clock:.1} us by the clock")?;
    store.close().await;
    Ok(())
}

/// As the gateway's calls are.
fn call(run: &str, number: u32) -> SpendRow {
    let start = Utc::now();
    SpendRow {
        request_id: format!("{run}{number:016x}"),
        call_type: "call_mcp_tool".into(),
        api_key: format!("{:064x}", number % 50),
        spend: 0.001,
        start_time: start,
        end_time: start + TimeDelta::milliseconds(3),
        request_duration_ms: Some(3),
        model: "MCP: search_issues".into(),
        user_id: Some(format!("user-{}", number % 20)),
        team_id: Some(format!("team-{}", number % 10)),
        requester_ip_address: Some("10.0.0.17".into()),
        session_id: Some(format!("{:032x}", number % 16)),
        status: Some("success".into()),
        mcp_namespaced_tool_name: Some("github/search_issues".into()),
        mcp_server_id: Some("79c087dcdbdfef94fac40e917cbbbb6a".into()),
        metadata: Some(json!({
            "outcome": "success",
            "user_api_key_alias": "ci",
            "x_request_id": "0192f0c1-4e5a-7c8b-9d0e-1f2a3b4c5d6e",
            "mcp_tool_call_metadata": {
                "name": "search_issues",
                "mcp_server_name": "github",
                "namespaced_tool_name": "github/search_issues",
                "arguments": {"query": {"type": "string", "bytes": 24}, "limit": {"type": "number"}},
            },
        })),
        ..SpendRow::default()
    }
}

/// User and system time of all threads so far.
fn cpu_us() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(") ").ok_or_else(|| anyhow::anyhow!("no process status"))?.1;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<f64> { Ok(fields.next().unwrap_or("0").parse::<f64>()?) };
    // A tick is a hundredth of a second on Linux.
    Ok((ticks()? + ticks()?) * 10_000.0)
}
