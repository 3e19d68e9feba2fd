//! Calls of revision 2026-07-28 to servers of older revisions: what servers say and ask meanwhile.

use serde_json::{Value, json};

use crate::support::{Answer, FakeMcp, Modern, Scripted, Seen, TestGateway, config, script, soon};

const LEVEL: &str = "io.modelcontextprotocol/logLevel";

fn elicit(message: &str) -> (&'static str, Value) {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    ("elicitation/create", json!({"message": message, "requestedSchema": schema}))
}

fn accept(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

/// A server whose tool `t` does this, and the gate before it.
async fn serving(call: Scripted) -> (FakeMcp, TestGateway) {
    let fake = FakeMcp::start(script().tools(&["t"]).on("tools/call", call)).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    (fake, gate)
}

fn able(gate: &TestGateway) -> Modern {
    Modern::new(&gate.admin()).capable(json!({"elicitation": {}, "sampling": {}, "roots": {}}))
}

/// The state that an `input_required` asks to keep.
fn state(answer: &Answer) -> &str {
    assert_eq!(answer.result()["resultType"], "input_required", "{}", answer.result());
    answer.result()["requestState"].as_str().expect("a call that waits gives a state")
}

/// The keys of the questions that it asks.
fn keys(answer: &Answer) -> Vec<String> {
    answer.result()["inputRequests"].as_object().expect("there are questions").keys().cloned().collect()
}

/// The parameters with which the call is taken up again.
fn again(answer: &Answer, answers: &[Value]) -> Value {
    let responses: serde_json::Map<String, Value> = keys(answer).into_iter().zip(answers.iter().cloned()).collect();
    json!({"name": "s-t", "arguments": {}, "inputResponses": responses, "requestState": state(answer)})
}

#[tokio::test]
async fn a_servers_question_goes_to_the_client_and_its_answer_to_the_server() {
    let (fake, gate) = serving(Scripted::Asks(vec![vec![elicit("Who?")]])).await;
    let client = able(&gate);
    let asked = client.call("s-t", json!({})).await;
    let question = &asked.result()["inputRequests"][&keys(&asked)[0]];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"], elicit("Who?").1);
    let done = client.rpc("tools/call", again(&asked, &[accept("Alice")])).await;
    assert_eq!(done.result()["resultType"], "complete");
    assert_eq!(done.tool_text(), json!([accept("Alice")]).to_string());
    assert_eq!(fake.seen_of("tools/call").len(), 1, "the call went on where it was");
}

#[tokio::test]
async fn several_questions_at_once_and_several_rounds() {
    let sampling = ("sampling/createMessage", json!({"messages": [], "maxTokens": 5}));
    let roots = ("roots/list", json!({}));
    let (_fake, gate) = serving(Scripted::Asks(vec![vec![elicit("1"), sampling, roots], vec![elicit("2")]])).await;
    let client = able(&gate);
    let first = client.call("s-t", json!({})).await;
    assert_eq!(keys(&first).len(), 3);
    let answers = [accept("a"), json!({"role": "assistant", "content": []}), json!({"roots": []})];
    let second = client.rpc("tools/call", again(&first, &answers)).await;
    assert_eq!(keys(&second).len(), 1);
    assert_ne!(state(&first), state(&second));
    let done = client.rpc("tools/call", again(&second, &[accept("b")])).await;
    assert_eq!(done.tool_text(), json!([answers[0], answers[1], answers[2], accept("b")]).to_string());
}

#[tokio::test]
async fn what_is_not_answered_is_asked_again() {
    let (_fake, gate) = serving(Scripted::Asks(vec![vec![elicit("1"), elicit("2")]])).await;
    let client = able(&gate);
    let asked = client.call("s-t", json!({})).await;
    let half = client.rpc("tools/call", again(&asked, &[accept("a"), json!(12345)])).await;
    assert_eq!(keys(&half), &keys(&asked)[1..]);
    let none = client.rpc("tools/call", again(&half, &[])).await;
    assert_eq!(keys(&none), keys(&half));
    let done = client.rpc("tools/call", again(&none, &[accept("b")])).await;
    assert_eq!(done.tool_text(), json!([accept("a"), accept("b")]).to_string());
}

#[tokio::test]
async fn a_state_is_good_once_and_for_the_same_request_only() {
    let (fake, gate) = serving(Scripted::Asks(vec![vec![elicit("Who?")]])).await;
    let client = able(&gate);
    let asked = client.call("s-t", json!({})).await;
    let right = again(&asked, &[accept("Alice")]);
    let token = state(&asked).to_owned();
    let mut flipped = token.clone().into_bytes();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    for forged in [String::from_utf8(flipped).unwrap(), format!("{token}x"), "deadbeef".to_owned(), String::new()] {
        let mut wrong = right.clone();
        wrong["requestState"] = json!(forged);
        assert_eq!(client.rpc("tools/call", wrong).await.error_code(), -32602, "{forged}");
    }
    let mut other = right.clone();
    other["arguments"] = json!({"all": true});
    assert_eq!(client.rpc("tools/call", other).await.error_code(), -32602);
    client.rpc("tools/call", right.clone()).await.result();
    assert_eq!(client.rpc("tools/call", right).await.error_code(), -32602, "a state is good once");
    assert_eq!(fake.seen_of("tools/call").len(), 1);
}

#[tokio::test]
async fn a_client_is_asked_only_for_what_it_declared() {
    let roots = ("roots/list", json!({}));
    let url = ("elicitation/create", json!({"mode": "url", "url": "https://a/", "message": "m", "elicitationId": "e"}));
    let (_fake, gate) = serving(Scripted::Asks(vec![vec![elicit("1"), roots, url]])).await;
    let forms = Modern::new(&gate.admin()).capable(json!({"elicitation": {"form": {}}}));
    let asked = forms.call("s-t", json!({})).await;
    assert_eq!(keys(&asked).len(), 1);
    let done = forms.rpc("tools/call", again(&asked, &[accept("a")])).await.tool_text();
    let answers: Vec<Value> = serde_json::from_str(&done).unwrap();
    assert_eq!(answers[0], accept("a"));
    assert_eq!((&answers[1]["code"], &answers[2]["code"]), (&json!(-32601), &json!(-32601)));
    let nothing = Modern::new(&gate.admin()).call("s-t", json!({})).await.tool_text();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&nothing).unwrap().len(), 3);
    let urls = Modern::new(&gate.admin()).capable(json!({"elicitation": {"url": {}}}));
    let asked = urls.call("s-t", json!({})).await;
    let question = &asked.result()["inputRequests"][&keys(&asked)[0]]["params"];
    assert_eq!(question, &json!({"mode": "url", "url": "https://a/", "message": "m"}));
}

#[tokio::test]
async fn a_server_that_wants_a_url_opened_first_is_asked_again_after_that() {
    let data = r#"{"elicitations":[{"mode":"url","url":"https://a/","message":"m","elicitationId":"e"}]}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":ID,"error":{{"code":-32042,"message":"first","data":{data}}}}}"#);
    let (_fake, gate) = serving(Scripted::Raw(body)).await;
    let urls = Modern::new(&gate.admin()).capable(json!({"elicitation": {"url": {}}}));
    let asked = urls.call("s-t", json!({})).await;
    let question = &asked.result()["inputRequests"][&keys(&asked)[0]];
    assert_eq!(question["params"], json!({"mode": "url", "url": "https://a/", "message": "m"}));
    let unable = able(&gate).call("s-t", json!({})).await;
    assert_eq!((unable.http.status.as_u16(), unable.error_code()), (400, -32021));
    assert!(unable.error()["data"]["requiredCapabilities"]["elicitation"]["url"].is_object());
}

#[tokio::test]
async fn progress_and_the_log_that_was_asked_for_come_before_the_answer() {
    let log = |level: &str| json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": level, "data": level}});
    let messages = vec![log("debug"), log("info"), log("error")];
    let result = json!({"content": [{"type": "text", "text": "done"}]}).to_string();
    let (fake, gate) = serving(Scripted::Says(messages, result)).await;
    fake.release();
    let call = json!({"name": "s-t", "arguments": {}});
    let quiet = Modern::new(&gate.admin()).rpc("tools/call", call.clone()).await;
    assert_eq!((quiet.http.header("content-type"), quiet.tool_text().as_str()), ("application/json", "done"));
    let curious = Modern::new(&gate.admin()).saying(LEVEL, json!("info"));
    let mut stream = curious.open(json!("a"), "tools/call", call).await;
    let mut levels = Vec::new();
    loop {
        let message: Value = serde_json::from_str(&stream.next().await.expect("an answer comes").data).unwrap();
        if message.get("id").is_some() {
            assert_eq!((&message["id"], &message["result"]["resultType"]), (&json!("a"), &json!("complete")));
            break;
        }
        levels.push(message["params"]["level"].clone());
    }
    assert_eq!(levels, [json!("info"), json!("error")]);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn closing_the_stream_cancels_the_call() {
    let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": 1}});
    let (fake, gate) = serving(Scripted::Says(vec![log], "{}".to_owned())).await;
    let client = Modern::new(&gate.admin()).saying(LEVEL, json!("debug"));
    let mut stream = client.open(json!(7), "tools/call", json!({"name": "s-t", "arguments": {}})).await;
    stream.next().await.expect("the log message");
    drop(stream);
    fake.came("notifications/cancelled", 1).await;
    let call = fake.only("tools/call").message["id"].clone();
    assert_eq!(fake.only("notifications/cancelled").message["params"]["requestId"], call);
}

#[tokio::test]
async fn what_a_server_asks_beside_its_only_call_is_about_that_call() {
    let result = json!({"content": [{"type": "text", "text": "done"}]}).to_string();
    let script = script().tools(&["t"]).on("tools/call", Scripted::Held(result)).on("GET", Scripted::Speaks);
    let fake = FakeMcp::start(script).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    let client = able(&gate);
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call("s-t", json!({})).await }
    });
    fake.came("tools/call", 1).await;
    let (method, params) = elicit("Who?");
    fake.say(&json!({"jsonrpc": "2.0", "id": "beside", "method": method, "params": params}));
    let asked = calling.await.unwrap();
    let again = again(&asked, &[accept("Alice")]);
    let waiting = tokio::spawn(async move { client.rpc("tools/call", again).await });
    // Those who have no call refuse what the server asks of them too.
    let is_it = |seen: &Seen| seen.message["result"] == accept("Alice");
    soon("the answer", async {
        for answers in 1.. {
            fake.came("POST", answers).await;
            if fake.seen_of("POST").iter().any(is_it) {
                break;
            }
        }
    })
    .await;
    fake.release();
    assert_eq!(waiting.await.unwrap().tool_text(), "done");
    able(&gate).call("s-t", json!({})).await.result();
    assert_eq!(fake.seen_of("initialize").len(), 2, "one for lists, one for calls");
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_does_not_hold_up_a_stop() {
    let (fake, gate) = serving(Scripted::Asks(vec![vec![elicit("Who?")]])).await;
    state(&able(&gate).call("s-t", json!({})).await);
    gate.stop().await;
    drop(fake);
}
