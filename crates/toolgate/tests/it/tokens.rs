//! What the gate hands out sealed, with any one character changed: refused alike, and no server hears of it.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde_json::json;
use toolgate::auth::CallerId;
use toolgate::mcp::session::{LIFETIME, Sessions};
use toolgate::upstream::Capabilities;
use toolgate_mcp::version::Revision;

use crate::support::{Caller, FakeMcp, MASTER_KEY, Modern, People, Scripted, Talk, TestGateway, config, script, tool};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// `token` with the character at each place changed into another, in turn.
fn changed(token: &str) -> impl Iterator<Item = String> {
    (0..token.len()).map(|at| {
        let mut bytes = token.as_bytes().to_vec();
        // The last character may hold bits that mean nothing; `-` and `A` differ in all that do.
        bytes[at] = if bytes[at] == b'A' { b'-' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    })
}

async fn status_of(caller: &Caller, session: &str) -> u16 {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"act","arguments":{}}}"#;
    caller.clone().with("mcp-session-id", session).post("/mcp", body).await.status.as_u16()
}

#[tokio::test]
async fn a_session_id_with_any_character_changed_is_not_found() {
    let fake = FakeMcp::start(script().tools(&["act"])).await;
    let gate = TestGateway::start(config().general("mcp_tool_prefix: when_ambiguous").server("s", fake.entry())).await;
    let caller = gate.admin().initialized_at("/mcp").await;
    caller.call("act", json!({})).await.result();
    let heard = fake.seen().len();
    let session = caller.header("mcp-session-id").to_owned();
    for forged in changed(&session) {
        assert_eq!(status_of(&caller, &forged).await, 404, "{forged} for {session}");
    }
    assert_eq!(fake.seen().len(), heard, "no server hears of forged sessions");
    assert_eq!(status_of(&caller, &session).await, 200);
    caller.delete("/mcp").await;
    let heard = fake.seen().len();
    assert_eq!(status_of(&caller, &session).await, 404, "an ended session cannot be used again");
    assert_eq!(fake.seen().len(), heard);
}

#[tokio::test]
async fn a_cursor_with_any_character_changed_is_invalid() {
    let tools: Vec<_> = (0..1500).map(|number| tool(&format!("t{number}"))).collect();
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Pages("tools", vec![tools]))).await;
    let gate = TestGateway::start(config().server("many", fake.entry())).await;
    let cursor = gate.admin().rpc("tools/list", json!({})).await.result()["nextCursor"].as_str().unwrap().to_owned();
    let heard = fake.seen().len();
    for forged in changed(&cursor) {
        let answer = gate.admin().rpc("tools/list", json!({"cursor": forged})).await;
        assert_eq!(answer.error()["data"]["code"], "invalid_cursor", "{forged} for {cursor}");
    }
    assert_eq!(fake.seen().len(), heard, "no server hears of forged cursors");
    let rest = gate.admin().rpc("tools/list", json!({"cursor": cursor})).await;
    assert_eq!(rest.result()["tools"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn a_request_state_with_any_character_changed_is_refused() {
    let fixture = crate::support::Fixture::start(crate::support::Era::Legacy).await;
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("fixture", fixture.entry());
    let gate = TestGateway::start(config).await;
    let client = Modern::new(&gate.admin()).capable(json!({"elicitation": {}}));
    const TOOL: &str = "test_input_required_result_elicitation";
    let asked = client.call(TOOL, json!({})).await;
    let state = asked.result()["requestState"].as_str().unwrap_or_else(|| panic!("{}", asked.message())).to_owned();
    let questions = asked.result()["inputRequests"].as_object().unwrap();
    let key = questions.keys().next().unwrap().clone();
    let again = |state: &str| {
        let answers = json!({key.as_str(): {"action": "accept", "content": {"name": "Ada"}}});
        json!({"name": TOOL, "arguments": {}, "inputResponses": answers, "requestState": state})
    };
    for forged in changed(&state) {
        let answer = client.rpc("tools/call", again(&forged)).await;
        assert_eq!(answer.error_code(), -32602, "{forged} for {state}");
    }
    assert_eq!(client.rpc("tools/call", again(&state)).await.tool_text(), "Hello, Ada!");
    let runs = client.call("test_runs", json!({"tool": TOOL})).await.tool_text();
    assert_eq!(runs, "1", "the tool was called once");
    assert_eq!(client.rpc("tools/call", again(&state)).await.error_code(), -32602, "a state is good once");
    gate.stop().await;
}

#[tokio::test]
async fn what_one_caller_was_given_is_refused_to_another_as_a_forged_one_is() {
    let tools: Vec<_> = (0..1500).map(|number| tool(&format!("t{number}"))).collect();
    let ask = Talk::asks("5", "elicitation/create", r#"{"message":"?","requestedSchema":{"type":"object"}}"#);
    let talk = Scripted::Talk(vec![ask, Talk::Hears("5"), Talk::answers("done")]);
    let fake = script().on("tools/list", Scripted::Pages("tools", vec![tools])).on("tools/call", talk);
    let fake = FakeMcp::start(fake).await;
    let people = People::new().await;
    let everything = json!({"mcp_servers": ["s"]});
    let (alices, bobs) = (people.key("alice", everything.clone()).await, people.key("bob", everything).await);
    let gate = people.gateway(config().server("s", fake.entry())).await;
    let (alice, bob) = (gate.holder(&alices), gate.holder(&bobs));

    let session = alice.initialized_at("/mcp").await;
    let page = alice.rpc("tools/list", json!({})).await;
    let cursor = page.result()["nextCursor"].as_str().unwrap().to_owned();
    let able = |caller: &Caller| Modern::new(caller).capable(json!({"elicitation": {}}));
    let asked = able(&alice).call("s-t1", json!({})).await;
    let state = asked.result()["requestState"].as_str().unwrap_or_else(|| panic!("{}", asked.message())).to_owned();
    let event = session.open_stream("/mcp").await.first_id().await;
    bob.rpc("tools/list", json!({})).await.result();
    let heard = fake.seen().len();

    let refused = async |caller: &Caller, id: &str, cursor: &str, state: &str, event: &str| {
        let with_id = caller.clone().with("mcp-session-id", id);
        let listed = caller.rpc("tools/list", json!({"cursor": cursor})).await;
        let again = json!({"name": "s-t1", "arguments": {}, "inputResponses": {}, "requestState": state});
        let resumed = able(caller).rpc("tools/call", again).await;
        let own = caller.initialized_at("/mcp").await.with("last-event-id", event);
        let (called, streamed) = (with_id.post("/mcp", PING).await, own.get("/mcp").await);
        let texts = [called.text().to_owned(), streamed.text().to_owned()];
        (called.status, streamed.status, texts, listed.error().clone(), resumed.error().clone())
    };
    let id = session.header("mcp-session-id");
    let forge = |token: &str| changed(token).next().unwrap();
    let forged = refused(&bob, &forge(id), &forge(&cursor), &forge(&state), &forge(&event)).await;
    assert_eq!((forged.0.as_u16(), forged.1.as_u16()), (404, 400));
    assert_eq!(refused(&bob, id, &cursor, &state, &event).await, forged);
    assert_eq!(fake.seen().len(), heard, "no server hears of it");

    assert_eq!(session.post("/mcp", PING).await.status, 200);
    alice.rpc("tools/list", json!({"cursor": cursor})).await.result();
}

#[tokio::test]
async fn an_expired_session_is_refused_as_a_forged_one_is() {
    let fake = FakeMcp::start(script().tools(&["act"])).await;
    let gate = TestGateway::start(config().general("mcp_tool_prefix: when_ambiguous").server("s", fake.entry())).await;
    let sessions = Sessions::new(&SecretString::from(MASTER_KEY), LIFETIME);
    let token =
        |opened: SystemTime| sessions.open(&CallerId::master(), Revision::V2025_11_25, &Capabilities::none(), opened).1;
    let expired = token(SystemTime::now() - LIFETIME - Duration::from_secs(1));
    let refused = async |token: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"act","arguments":{}}}"#;
        let reply = gate.admin().with("mcp-session-id", token).post("/mcp", body).await;
        (reply.status.as_u16(), reply.text().to_owned())
    };
    let forged = refused(&changed(&expired).next().unwrap()).await;
    assert_eq!((refused(&expired).await, forged.0), (forged, 404));
    assert_eq!(fake.seen().len(), 0, "no server hears of it");
    assert_eq!(refused(&token(SystemTime::now())).await.0, 200, "it is for its age alone");
}

#[tokio::test]
async fn an_expired_request_state_is_refused_as_a_forged_one_is() {
    let ask = Talk::asks("5", "elicitation/create", r#"{"message":"Your name?","requestedSchema":{"type":"object"}}"#);
    let talk = Scripted::Talk(vec![ask, Talk::Hears("5"), Talk::answers("late")]);
    let fake = FakeMcp::start(script().tools(&["ask"]).on("tools/call", talk)).await;
    let gate = TestGateway::start_with(config().server("s", fake.entry()), |settings| {
        settings.clients.question_timeout = Duration::from_millis(100);
    })
    .await;
    let client = Modern::new(&gate.admin()).capable(json!({"elicitation": {}}));
    let asked = client.call("s-ask", json!({})).await;
    let state = asked.result()["requestState"].as_str().unwrap_or_else(|| panic!("{}", asked.message())).to_owned();
    // The server is told that nobody answers, when the call is given up.
    fake.came("POST", 1).await;
    let refused = async |state: &str| {
        let again = json!({"name": "s-ask", "arguments": {}, "inputResponses": {}, "requestState": state});
        client.rpc("tools/call", again).await.error().clone()
    };
    let forged = refused(&changed(&state).next().unwrap()).await;
    assert_eq!((refused(&state).await, &forged["code"]), (forged.clone(), &json!(-32602)));
    assert_eq!(fake.count_of("tools/call"), 1, "no server hears of it");
}
