//! What servers ask clients: sampling, elicitation, roots. Each question reaches the client that it is meant for, and each
//! answer the server that asked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Caller, FakeMcp, Scripted, Talk, TestGateway, config, script, soon};

const ELICIT: &str = r#"{"message":"Your name?","requestedSchema":{"type":"object","properties":{}}, "x":1.50}"#;

/// A server whose tool asks the client under the id `id`, and answers with what the client answered, as it came.
fn asking(id: &'static str) -> Scripted {
    Scripted::Talk(vec![Talk::asks(id, "elicitation/create", ELICIT), Talk::Hears(id), Talk::answers_what_was_heard()])
}

async fn fake(talk: Scripted) -> FakeMcp {
    FakeMcp::start(script().tools(&["ask"]).on("tools/call", talk)).await
}

fn everything() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}})
}

fn answer(id: &Value, content: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"action": "accept", "content": {"name": content}}})
}

/// What the tool answered: the text that the server heard.
fn heard(answer: &Value) -> Value {
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"));
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_question_reaches_the_client_on_the_calls_response_and_its_answer_the_server() {
    let fake = fake(asking("\"q-1\"")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = caller.call_stream(7, "files-ask").await;
    let event = stream.next().await.unwrap();
    assert!(event.data.contains(ELICIT), "the question is what the server sent: {}", event.data);
    let question = event.message();
    assert_eq!(question["method"], "elicitation/create");
    assert_ne!(question["id"], "q-1", "ids are the gateway's own");
    // Sent as text, so that what no parser keeps is seen to survive.
    let id = &question["id"];
    let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept", "content":{{"n":1.50}} }}}}"#);
    assert_eq!(caller.post("/mcp", reply).await.status, 202);
    let answer = stream.message().await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":"q-1","result":{"action":"accept", "content":{"n":1.50} }}"#);
    assert_eq!(answer["id"], 7);
    assert_eq!(stream.next().await, None);
    let offered = fake.seen_of("initialize").pop().unwrap().message["params"]["capabilities"].clone();
    assert_eq!(offered, everything(), "the server is offered what the client has");
}

#[tokio::test]
async fn an_error_is_an_answer_too() {
    let fake = fake(asking("1")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = caller.call_stream(1, "files-ask").await;
    let id = stream.message().await["id"].clone();
    let refusal = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "no", "data": [1]}});
    caller.tell("/mcp", &refusal).await;
    assert_eq!(heard(&stream.message().await)["error"], refusal["error"]);
}

#[tokio::test]
async fn two_servers_that_ask_at_once_under_the_same_id_each_get_their_own_answer() {
    let (one, two) = (fake(asking("1")).await, fake(asking("1")).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut first = caller.call_stream(1, "one-ask").await;
    let mut second = caller.call_stream(2, "two-ask").await;
    let (asked_first, asked_second) = (first.message().await["id"].clone(), second.message().await["id"].clone());
    assert_ne!(asked_first, asked_second);
    caller.tell("/mcp", &answer(&asked_second, "second")).await;
    caller.tell("/mcp", &answer(&asked_first, "first")).await;
    assert_eq!(heard(&first.message().await)["result"]["content"]["name"], "first");
    assert_eq!(heard(&second.message().await)["result"]["content"]["name"], "second");
}

#[tokio::test]
async fn one_clients_answer_is_not_anothers() {
    let fake = fake(asking("1")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let alice = gate.admin().initialized_with("/mcp", everything()).await;
    let bob = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = alice.call_stream(1, "files-ask").await;
    let id = stream.message().await["id"].clone();
    bob.tell("/mcp", &answer(&id, "bob")).await;
    alice.tell("/mcp", &answer(&json!(id.as_u64().unwrap() + 1), "nobody")).await;
    alice.tell("/mcp", &answer(&id, "alice")).await;
    alice.tell("/mcp", &answer(&id, "alice again")).await;
    assert_eq!(heard(&stream.message().await)["result"]["content"]["name"], "alice");
    let metrics = gate.anonymous().get("/metrics").await;
    let dropped = r#"toolgate_dropped_frames_total{server="_client",why="answer_to_nothing"} 3"#;
    assert!(metrics.text().contains(dropped), "{}", metrics.text());
}

#[tokio::test]
async fn a_client_that_takes_no_streams_in_response_is_asked_on_its_standalone_stream() {
    let fake = fake(asking("1")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut standalone = caller.clone().with("accept", "text/event-stream").open_stream("/mcp").await;
    let call = {
        let caller = caller.clone().with("accept", "application/json");
        tokio::spawn(async move { caller.call("files-ask", json!({})).await })
    };
    let question = standalone.message().await;
    caller.tell("/mcp", &answer(&question["id"], "x")).await;
    let answered = soon("the call", call).await.unwrap();
    assert!(answered.tool_text().contains("accept"), "{}", answered.tool_text());
}

/// The error that the server got in place of an answer.
async fn refused(fake: &FakeMcp) -> Value {
    let error = async {
        loop {
            let seen = fake.seen();
            if let Some(answer) = seen.iter().find(|seen| seen.message.get("error").is_some()) {
                return answer.message["error"].clone();
            }
            tokio::task::yield_now().await;
        }
    };
    soon("an error for the server", error).await
}

#[tokio::test]
async fn what_the_client_did_not_declare_is_refused_and_the_client_is_left_alone() {
    for (capabilities, params) in [
        (json!({}), "{}"),
        (json!({"sampling": {}}), "{}"),
        (json!({"elicitation": {}}), r#"{"mode":"url","url":"https://example.com","elicitationId":"1"}"#),
        (json!({"elicitation": {"url": {}}}), r#"{"message":"a form"}"#),
    ] {
        let talk =
            Scripted::Talk(vec![Talk::asks("5", "elicitation/create", params), Talk::Hears("5"), Talk::answers("ok")]);
        let fake = fake(talk).await;
        let gate = TestGateway::start(config().server("files", fake.entry())).await;
        let caller = gate.admin().initialized_with("/mcp", capabilities).await;
        assert_eq!(caller.call("files-ask", json!({})).await.tool_text(), "ok");
        assert_eq!(refused(&fake).await["code"], -32601);
        gate.stop().await;
    }
}

#[tokio::test]
async fn without_a_session_nobody_is_asked() {
    let talk = Scripted::Talk(vec![Talk::asks("5", "roots/list", "{}"), Talk::Hears("5"), Talk::answers("ok")]);
    let fake = fake(talk).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    assert_eq!(gate.admin().call("files-ask", json!({})).await.tool_text(), "ok");
    assert_eq!(refused(&fake).await["code"], -32601);
}

#[tokio::test]
async fn a_question_that_no_stream_can_carry_is_refused() {
    let talk = Scripted::Talk(vec![Talk::asks("5", "roots/list", "{}"), Talk::Hears("5"), Talk::answers("ok")]);
    let fake = fake(talk).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await.with("accept", "application/json");
    assert_eq!(caller.call("files-ask", json!({})).await.tool_text(), "ok");
    assert_eq!(refused(&fake).await["code"], -32603);
}

#[tokio::test]
async fn a_server_takes_its_question_back_under_the_id_that_the_client_knows() {
    let talk = Scripted::Talk(vec![
        Talk::asks("5", "elicitation/create", "{}"),
        Talk::tells("notifications/cancelled", r#"{"requestId":5,"reason":"never mind"}"#),
        Talk::Held,
        Talk::answers("ok"),
    ]);
    let fake = fake(talk).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = caller.call_stream(1, "files-ask").await;
    let id = stream.message().await["id"].clone();
    let taken_back = stream.message().await;
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"], json!({"requestId": id, "reason": "never mind"}));
    caller.tell("/mcp", &answer(&id, "late")).await;
    fake.release();
    assert_eq!(stream.message().await["id"], 1);
    let answers = fake.seen().iter().filter(|seen| seen.message.get("result").is_some()).count();
    assert_eq!(answers, 0, "the server hears no more of it");
}

#[tokio::test]
async fn a_question_that_the_client_never_answers_is_given_up() {
    let talk = Scripted::Talk(vec![Talk::asks("5", "roots/list", "{}"), Talk::Hears("5"), Talk::answers("ok")]);
    let fake = fake(talk).await;
    let gate = TestGateway::start_with(config().server("files", fake.entry()), |settings| {
        settings.clients.question_timeout = Duration::from_millis(50);
        settings.clients.tend_every = Duration::from_millis(10);
    })
    .await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = caller.call_stream(1, "files-ask").await;
    let id = stream.message().await["id"].clone();
    let cancelled = stream.message().await;
    assert_eq!((&cancelled["method"], &cancelled["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "ok");
    assert_eq!(refused(&fake).await["code"], -32001);
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_questions() {
    let fake = fake(asking("1")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut stream = caller.call_stream(1, "files-ask").await;
    stream.message().await;
    let ending = {
        let caller = caller.clone();
        tokio::spawn(async move { caller.delete("/mcp").await })
    };
    let ended = stream.message().await;
    assert_eq!(heard(&ended)["error"]["message"], "the client's session is over");
    assert!(soon("the end of the session", ending).await.unwrap().status.is_success());
}

#[tokio::test]
async fn changed_roots_are_told_to_the_servers_of_the_session() {
    let (one, two) = (FakeMcp::start(script().tools(&["x"])).await, FakeMcp::start(script().tools(&["x"])).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    caller.call("one-x", json!({})).await.result();
    caller.tell("/mcp", &json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})).await;
    one.came("notifications/roots/list_changed", 1).await;
    let sessions = |method: &str| one.seen_of(method)[0].header("mcp-session-id").map(str::to_owned);
    assert_eq!(sessions("notifications/roots/list_changed"), sessions("tools/call"));
    assert_eq!(two.seen_of("notifications/roots/list_changed").len(), 0);
}

/// A client of the HTTP+SSE transport.
struct OldClient {
    caller: Caller,
    stream: crate::support::EventStream,
    endpoint: String,
}

impl OldClient {
    async fn start(gate: &TestGateway, capabilities: Value) -> Self {
        let caller = gate.admin();
        let mut stream = caller.open_stream("/sse").await;
        let endpoint = stream.next().await.unwrap().data;
        let mut client = Self { caller, stream, endpoint };
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": capabilities,
            "clientInfo": {"name": "old", "version": "1"}});
        client.post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        assert_eq!(client.stream.message().await["id"], 0);
        client
    }

    async fn post(&mut self, message: Value) {
        self.caller.tell(&self.endpoint, &message).await;
    }
}

#[tokio::test]
async fn a_client_of_the_first_transport_is_asked_on_its_stream() {
    let fake = fake(asking("1")).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let mut client = OldClient::start(&gate, json!({"elicitation": {}})).await;
    client.post(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "files-ask"}})).await;
    let question = client.stream.message().await;
    client.post(answer(&question["id"], "old")).await;
    assert_eq!(heard(&client.stream.message().await)["result"]["content"]["name"], "old");
}

#[tokio::test]
async fn how_far_the_client_has_come_is_told_to_the_server_that_asked_under_its_own_token() {
    let asking = |token: &str| {
        let params = format!(r#"{{"_meta":{{"progressToken":{token}}}}}"#);
        Scripted::Talk(vec![Talk::asks("5", "roots/list", &params), Talk::Hears("5"), Talk::answers("ok")])
    };
    let (one, two) = (fake(asking("7")).await, fake(asking("7")).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let mut first = caller.call_stream(1, "one-ask").await;
    let mut second = caller.call_stream(2, "two-ask").await;
    let token = |question: &Value| question["params"]["_meta"]["progressToken"].clone();
    let (one_asks, two_asks) = (first.message().await, second.message().await);
    assert_ne!(token(&one_asks), token(&two_asks));
    let progress = |token: Value| {
        let params = json!({"progressToken": token, "progress": 0.5, "message": "half"});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    };
    caller.tell("/mcp", &progress(token(&two_asks))).await;
    caller.tell("/mcp", &progress(json!(7))).await;
    two.came("notifications/progress", 1).await;
    let told = two.only("notifications/progress").message["params"].clone();
    assert_eq!(told, json!({"progressToken": 7, "progress": 0.5, "message": "half"}));
    assert_eq!(one.seen_of("notifications/progress").len(), 0);
}

#[tokio::test]
async fn a_call_does_not_run_out_of_time_while_its_client_has_a_question_and_does_when_its_server_is_silent() {
    let talk = vec![Talk::asks("5", "roots/list", "{}"), Talk::Held, Talk::Hears("\"never\"")];
    let fake = fake(Scripted::Talk(talk)).await;
    let gate = TestGateway::start(config().server("files", fake.entry().with("timeout: 0.3"))).await;
    let caller = gate.admin().initialized_with("/mcp", everything()).await;
    let began = std::time::Instant::now();
    let mut stream = caller.call_stream(1, "files-ask").await;
    let id = stream.message().await["id"].clone();
    // The time of the server's turn passes more than once.
    let still = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
    assert!(still.is_err(), "the client was not waited for: {still:?}");
    caller.tell("/mcp", &json!({"jsonrpc": "2.0", "id": id, "result": {"roots": []}})).await;
    let answer = stream.message().await;
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
    assert!(began.elapsed() > Duration::from_secs(1));
    fake.came("notifications/cancelled", 1).await;
}
