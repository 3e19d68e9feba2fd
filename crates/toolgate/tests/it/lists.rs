//! Lists of servers that are slow, down or many: what it costs the others, and what the client is told.

use serde_json::json;

use crate::support::{FakeMcp, Scripted, TestGateway, config, script, soon, tool};

#[tokio::test]
async fn a_silent_server_costs_one_deadline_and_not_one_for_each_list() {
    let well = FakeMcp::start(script().tools(&["read"])).await;
    let silent = FakeMcp::start(script().on("tools/list", Scripted::Silence)).await;
    let servers = config().server("well", well.entry()).server("silent", silent.entry());
    let gate = TestGateway::start(servers.env("LITELLM_MCP_TOOL_LISTING_TIMEOUT", "1")).await;
    for _ in 0..10 {
        let answer = gate.admin().rpc("tools/list", json!({})).await;
        let outcomes = &answer.result()["_meta"]["litellm.ai/server_outcomes"];
        assert_eq!(outcomes["well"], json!({"status": "ok", "tool_count": 1}));
        assert_eq!(outcomes["silent"]["status"], "timeout");
    }
    // On a machine so slow that the second of memory goes by between two lists, it is asked more than once.
    assert!(silent.seen_of("tools/list").len() < 10, "{}", silent.seen_of("tools/list").len());
}

#[tokio::test]
async fn a_call_with_a_prefix_does_not_wait_for_other_servers() {
    let well = FakeMcp::start(script().tools(&["read"])).await;
    let silent = FakeMcp::start(script().on("tools/list", Scripted::Silence)).await;
    let gate = TestGateway::start(config().server("silent", silent.entry()).server("well", well.entry())).await;
    gate.admin().call("well-read", json!({})).await.result();
    assert_eq!(silent.seen_of("tools/list").len(), 0);
}

#[tokio::test]
async fn a_server_that_fails_at_once_is_soon_asked_again() {
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Error(-32603, "not now"))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    // A failure that took no time is no reason to keep anybody waiting for long.
    let asked_again = async {
        while fake.seen_of("tools/list").len() < 3 {
            let answer = gate.admin().rpc("tools/list", json!({})).await;
            assert_eq!(answer.error()["data"]["servers"]["files"]["status"], "upstream_error");
        }
    };
    soon("being asked again", asked_again).await;
}

#[tokio::test]
async fn a_list_of_more_than_a_thousand_comes_in_pages_and_a_cursor_is_good_for_its_list_and_caller_only() {
    let tools: Vec<_> = (0..2500).map(|n| tool(&format!("t{n}"))).collect();
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Pages("tools", vec![tools]))).await;
    let gate = TestGateway::start(config().server("many", fake.entry())).await;
    let names = gate.admin().tool_names().await;
    assert_eq!(names.len(), 2500);
    assert_eq!(names.last().unwrap(), "many-t2499");

    let first = gate.admin().rpc("tools/list", json!({})).await;
    let cursor = first.result()["nextCursor"].as_str().unwrap().to_owned();
    let mut forged = cursor.clone();
    forged.replace_range(20..21, if &cursor[20..21] == "A" { "B" } else { "A" });
    for (method, cursor) in [
        ("tools/list", json!(forged)),
        ("tools/list", json!("2")),
        ("tools/list", json!(7)),
        ("prompts/list", json!(cursor)),
    ] {
        let answer = gate.admin().rpc(method, json!({"cursor": cursor})).await;
        assert_eq!((answer.error_code(), &answer.error()["data"]["code"]), (-32602, &json!("invalid_cursor")));
    }
    gate.reload(&config());
    let stale = gate.admin().rpc("tools/list", json!({"cursor": cursor})).await;
    assert_eq!(stale.error()["data"]["code"], "invalid_cursor");
    assert!(stale.error_message().contains("list again from the start"), "{}", stale.error_message());
}

#[tokio::test]
async fn a_server_that_does_not_offer_a_kind_is_not_asked_for_it() {
    let greeting = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
        "serverInfo": {"name": "f", "version": "1"}});
    let fake = FakeMcp::start(script().tools(&["read"]).on("initialize", Scripted::Result(greeting.to_string()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    assert_eq!(gate.admin().names("/mcp", "prompts/list", "prompts", "name").await, [""; 0]);
    assert_eq!(gate.admin().names("/mcp", "resources/list", "resources", "name").await, [""; 0]);
    assert_eq!(gate.admin().tool_names().await, ["files-read"]);
    assert_eq!(fake.seen_of("prompts/list").len() + fake.seen_of("resources/list").len(), 0);
}

#[tokio::test]
async fn lists_are_kept_apart_by_credential() {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", fake.entry().with("extra_headers: [x-user]"))).await;
    for user in ["ada", "ada", "alan"] {
        gate.admin().with("x-user", user).tool_names().await;
    }
    let users: Vec<_> =
        fake.seen_of("tools/list").iter().map(|seen| seen.header("x-user").unwrap().to_owned()).collect();
    assert_eq!(users, ["ada", "alan"]);
}

#[tokio::test]
async fn a_list_that_failed_is_counted_as_an_error() {
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Error(-32603, "not now"))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    gate.admin().rpc("tools/list", json!({})).await.error();
    let metrics = gate.anonymous().get("/metrics").await;
    let counted = metrics.text().lines().any(|line| {
        line.starts_with("mcp_server_operation_duration_seconds_count")
            && line.contains("tools/list")
            && line.contains("-32603")
    });
    assert!(counted, "{}", metrics.text());
}
