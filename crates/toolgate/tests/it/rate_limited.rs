//! Servers that answer 429: their lists are asked for again, within bounds; calls are not.

use serde_json::json;

use crate::support::{Config, FakeMcp, Script, Scripted, TestGateway, config, script, tool};

fn too_many() -> Scripted {
    Scripted::Http(429, "text/plain", "slow down".into())
}

fn listed() -> Scripted {
    Scripted::Pages("tools", vec![vec![tool("read")]])
}

/// A server that answers its first requests of `method` with 429, and then `then`.
fn busy(method: &'static str, times: usize, then: Scripted) -> Script {
    let answers = std::iter::repeat_n(too_many(), times).chain([then]).collect();
    script().on(method, Scripted::InTurn(answers))
}

fn served(fake: &FakeMcp) -> Config {
    let base = "LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS";
    config().server("files", fake.entry()).env(base, "0.001")
}

#[tokio::test]
async fn a_list_that_is_answered_429_is_asked_for_again() {
    let fake = FakeMcp::start(busy("tools/list", 3, listed())).await;
    let gate = TestGateway::start(served(&fake)).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read"]);
    assert_eq!(fake.count_of("tools/list"), 4);
}

#[tokio::test]
async fn it_is_not_asked_for_more_often_than_the_variable_says() {
    for most in [0, 2] {
        let fake = FakeMcp::start(busy("tools/list", 9, listed())).await;
        let variable = "LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES";
        let gate = TestGateway::start(served(&fake).env(variable, &most.to_string())).await;
        let answer = gate.admin().rpc("tools/list", json!({})).await;
        let outcome = &answer.error()["data"]["servers"]["files"];
        assert_eq!((&outcome["status"], &outcome["http_status"]), (&json!("rate_limited"), &json!(429)), "{answer:?}");
        assert_eq!(fake.count_of("tools/list"), most + 1);
    }
}

#[tokio::test]
async fn a_pause_that_would_outlast_the_lists_time_is_not_made() {
    let fake = FakeMcp::start(busy("tools/list", 1, listed())).await;
    let served = served(&fake)
        .env("LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS", "3600")
        .env("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_DELAY_SECONDS", "3600");
    let gate = TestGateway::start(served).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    assert_eq!(answer.error()["data"]["servers"]["files"]["status"], "rate_limited");
    assert_eq!(fake.count_of("tools/list"), 1);
}

#[tokio::test]
async fn a_handshake_that_is_answered_429_is_made_again() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    fake.turn("initialize", too_many());
    let gate = TestGateway::start(served(&fake).env("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES", "100")).await;
    let (admin, listing) = (gate.admin(), async {
        fake.came("initialize", 2).await;
        fake.turn_back("initialize");
    });
    let (names, ()) = tokio::join!(admin.tool_names(), listing);
    assert_eq!(names, ["files-read"]);
}

#[tokio::test]
async fn a_call_that_is_answered_429_is_the_callers_to_repeat() {
    let fake = FakeMcp::start(script().tools(&["read"]).on("tools/call", too_many())).await;
    let gate = TestGateway::start(served(&fake)).await;
    let answer = gate.admin().call("files-read", json!({})).await;
    assert_eq!(answer.error()["data"]["code"], "rate_limited", "{answer:?}");
    assert_eq!(fake.count_of("tools/call"), 1);
}
