//! Servers that go away and come back: the client's session does not notice, and nothing runs twice.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Caller, End, Entry, Era, EventStream, Fault, FaultProxy, Fixture, TestGateway, config, signal_kill, soon, teller,
};

async fn gate_with(entry: Entry) -> TestGateway {
    TestGateway::start(config().general("mcp_tool_prefix: when_ambiguous").server("fixture", entry)).await
}

/// How often the fixture's tool was called, which is asked without the gate's ways being known.
async fn runs_of(caller: &Caller, tool: &str) -> usize {
    caller.call("test_runs", json!({"tool": tool})).await.tool_text().parse().unwrap()
}

#[tokio::test]
async fn a_stream_that_is_cut_after_any_event_is_resumed_and_its_tool_runs_once() {
    const TOOL: &str = "test_tool_with_logging";
    /// The event that only carries an id, three messages, and the answer.
    const EVENTS: usize = 5;
    let fixture = Fixture::start(Era::Legacy).await;
    let network = FaultProxy::start(fixture.url()).await;
    let gate = gate_with(Entry::http(&network.url(fixture.url()))).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    for end in [End::Close, End::Reset] {
        for after in 1..EVENTS {
            let before = runs_of(&caller, TOOL).await;
            network.set(Fault::CutEvents(after, end));
            let answer = caller.call(TOOL, json!({})).await;
            assert_eq!(answer.tool_text(), "Logged three times.", "{end:?} after {after}: {}", answer.message());
            network.set(Fault::None);
            assert_eq!(runs_of(&caller, TOOL).await, before + 1, "{end:?} after {after}");
        }
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_costs_its_clients_no_session() {
    for era in [Era::Both, Era::Legacy] {
        let mut fixture = Fixture::start(era).await;
        let gate = gate_with(fixture.entry()).await;
        let caller = gate.admin().initialized_at("/mcp").await;
        caller.call("greet", json!({"name": "Ada"})).await.result();
        fixture.restart().await;
        let calls: Vec<_> = (0..16)
            .map(|number| {
                let caller = caller.clone();
                tokio::spawn(async move { caller.call("greet", json!({"name": number.to_string()})).await })
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let answer = call.await.unwrap();
            assert_eq!(answer.tool_text(), format!("Hello, {number}!"), "{era:?}: {}", answer.message());
        }
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_child_that_was_killed_is_started_again_for_the_next_call() {
    let gate = gate_with(teller()).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let first = caller.call("who", json!({})).await.tool_text();
    signal_kill(first.split(',').nth(1).expect("it tells its pid"));
    let second = soon("another child answering", async {
        loop {
            let answer = caller.call("who", json!({})).await;
            match answer.message().get("result") {
                Some(_) => return answer.tool_text(),
                // The call may have been on its way to the one that was killed.
                None => assert!(answer.error_message().contains("fixture"), "{}", answer.error_message()),
            }
        }
    });
    assert_ne!(second.await, first);
    gate.stop().await;
}

/// Ends without an answer in its first call, and answers in the life after.
const DIES_ONCE: &str = r#"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
    case "$line" in
        *'"initialize"'*) answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *'"tools/list"'*) answer '{"tools":[{"name":"act","inputSchema":{"type":"object"}}]}' ;;
        *'"tools/call"'*)
            echo run >> RUNS
            [ "$(wc -l < RUNS)" -gt 1 ] || exit 1
            answer '{"content":[{"type":"text","text":"alive"}]}' ;;
        *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
    esac
done"#;

#[tokio::test]
async fn a_call_whose_child_crashes_fails_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let script = DIES_ONCE.replace("RUNS", runs.to_str().unwrap());
    let gate = gate_with(Entry::shell(&script)).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    let failed = caller.call("act", json!({})).await;
    assert_eq!(failed.error()["data"]["may_have_run"], true, "{}", failed.message());
    let answer = soon("the next child answering", async {
        loop {
            let answer = caller.call("act", json!({})).await;
            if answer.message().get("result").is_some() {
                return answer.tool_text();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(answer.await, "alive");
    assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), 2, "each call ran once");
    gate.stop().await;
}

#[tokio::test]
async fn a_subscription_outlives_its_servers_restart() {
    const WATCHED: &str = "test://watched-resource";
    for era in [Era::Legacy, Era::Modern] {
        let mut fixture = Fixture::start(era).await;
        let gate = gate_with(fixture.entry()).await;
        let caller = gate.admin().initialized_at("/mcp").await;
        let mut stream = caller.open_stream("/mcp").await;
        caller.rpc("resources/subscribe", json!({"uri": WATCHED})).await.result();
        told_of_an_update(&caller, &mut stream, WATCHED).await;
        fixture.restart().await;
        caller.call("greet", json!({"name": "Ada"})).await.result();
        told_of_an_update(&caller, &mut stream, WATCHED).await;
        gate.stop().await;
    }
}

/// Has the fixture change its resource until the client hears of it: what is opened again may be so a moment later.
async fn told_of_an_update(caller: &Caller, stream: &mut EventStream, uri: &str) {
    let told = async {
        loop {
            let event = stream.next().await.expect("the stream stays open");
            let message: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
            if message["method"] == "notifications/resources/updated" {
                return message["params"]["uri"].clone();
            }
        }
    };
    let changes = async {
        loop {
            caller.call("test_trigger_resource_update", json!({})).await.result();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = soon("word of an update", async {
        tokio::select! {
            told = told => told,
            () = changes => unreachable!("it goes on for ever"),
        }
    });
    assert_eq!(told.await, uri);
}
