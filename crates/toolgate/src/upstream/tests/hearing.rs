//! Who hears what a server says on a connection that several callers share.

use std::sync::Arc;

use futures_util::future::join3;
use serde_json::{Value, json};
use toolgate_client::Answer;

use super::heard::{Heard, client, hears};
use super::script::ScriptedServer;
use super::{PATIENCE, text, upstreams};
use crate::auth::testing::caller;
use crate::config::settings::{Isolation, ServerSettings, Transport};
use crate::upstream::testing::python_server;
use crate::upstream::{Ask, ClientSide, Hears, Lane, Upstream, UpstreamError};

/// `hold` is answered when `report` comes, which first tells of everything that is held; `log` logs; `ask` asks.
const SERVER: &str = r#"
import json, os, sys
def say(message):
    print(json.dumps(dict(message, jsonrpc="2.0")), flush=True)
def read():
    return json.loads(sys.stdin.readline() or "null")
def done(id, said):
    say({"id": id, "result": {"content": [{"type": "text", "text": said}]}})
held = []
while message := read():
    method, id, params = message.get("method"), message.get("id"), message.get("params") or {}
    if id is None:
        continue
    if method == "initialize":
        offered = json.dumps(params["capabilities"])
        say({"id": id, "result": {"protocolVersion": "2025-06-18", "capabilities": {},
                                  "serverInfo": {"name": "child", "version": "1"}}})
        continue
    tool = params.get("name")
    if tool == "hold":
        held.append((id, params))
        continue
    if tool == "report":
        say({"method": "notifications/message", "params": {"level": "info", "data": "secret of one"}})
        for _, of in held:
            token = of["_meta"]["progressToken"]
            say({"method": "notifications/progress",
                 "params": {"progressToken": token, "progress": 1, "message": of["arguments"]["who"]}})
        for other, of in held:
            done(other, of["arguments"]["who"])
        held = []
    if tool == "log":
        say({"method": "notifications/message", "params": {"level": "info", "data": params["arguments"]["who"]}})
    if tool == "ask":
        say({"id": 1, "method": "elicitation/create", "params": {"message": params["arguments"]["who"]}})
        while (answer := read()).get("id") != 1 or "method" in answer:
            pass
        done(id, json.dumps(answer.get("result") or answer["error"]["code"]))
        continue
    done(id, offered if tool == "offered" else str(os.getpid()))
"#;

fn params(tool: &str, who: &str) -> String {
    json!({ "name": tool, "arguments": { "who": who }, "_meta": { "progressToken": 7 } }).to_string()
}

async fn say(up: &Upstream, lane: &Lane, tool: &str, who: &str, heard: &Arc<Heard>) -> Result<String, UpstreamError> {
    let (params, hears): (String, Arc<dyn Hears>) = (params(tool, who), hears(heard));
    let ask = Ask { hears: Some(&hears), ..Ask::new("tools/call", Some(&params), PATIENCE) };
    up.ask::<Answer>(lane, ask).await.map(text)
}

fn isolated(isolation: Isolation) -> ServerSettings {
    let mut server = python_server("up", SERVER, vec![]);
    let Transport::Stdio(command) = &mut server.transport else { panic!("a child") };
    command.isolation = isolation;
    server
}

#[tokio::test]
async fn callers_on_one_child_with_equal_tokens_hear_each_their_own() {
    let upstreams = upstreams(vec![isolated(Isolation::Auto)]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob, carol) = (Heard::new("alice"), Heard::new("bob"), Heard::new("carol"));
    let lanes: Vec<_> = [(1, &alice), (2, &bob), (3, &carol)]
        .map(|(session, heard)| up.lane(&caller(&[]), &client(Some(session), "{}", heard)).unwrap())
        .into();
    let pid = say(up, &lanes[2], "pid", "carol", &carol).await.unwrap();

    let (one, two, reported) = join3(
        say(up, &lanes[0], "hold", "alice", &alice),
        say(up, &lanes[1], "hold", "bob", &bob),
        say(up, &lanes[2], "report", "carol", &carol),
    )
    .await;
    assert_eq!((one.unwrap(), two.unwrap(), reported.unwrap()), ("alice".into(), "bob".into(), pid));
    let progress = |who: &str| vec![("notifications/progress".to_owned(), json!(who))];
    assert_eq!(alice.of("message"), progress("alice"));
    assert_eq!(bob.of("message"), progress("bob"));
    assert_eq!(bob.of("progressToken"), [("notifications/progress".to_owned(), json!(7))]);
    assert_eq!(carol.of("message"), [], "the log may be anybody's");

    say(up, &lanes[1], "log", "bob", &bob).await.unwrap();
    assert_eq!(bob.of("data").pop().unwrap().1, "bob", "only bob's request was running");
    assert_eq!(say(up, &lanes[0], "ask", "alice", &alice).await.unwrap(), "-32601", "nobody declared elicitation");
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn what_may_be_of_a_request_that_was_given_up_is_for_nobody() {
    let upstreams = upstreams(vec![isolated(Isolation::Auto)]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob) = (Heard::new("alice"), Heard::new("bob"));
    let alices = up.lane(&caller(&[]), &client(Some(1), "{}", &alice)).unwrap();
    let bobs = up.lane(&caller(&[]), &client(Some(2), "{}", &bob)).unwrap();
    say(up, &bobs, "log", "bob", &bob).await.unwrap();
    assert_eq!(bob.of("data").len(), 1);

    let held = params("hold", "alice");
    let short = std::time::Duration::from_millis(50);
    up.request(&alices, "tools/call", Some(&held), short).await.unwrap_err();
    say(up, &bobs, "log", "may be alice's", &bob).await.unwrap();
    assert_eq!(bob.of("data").len(), 1);
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_client_that_can_be_asked_has_a_child_to_itself() {
    const ELICITATION: &str = r#"{"elicitation":{}}"#;
    let upstreams = upstreams(vec![isolated(Isolation::Auto)]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob) = (Heard::new("alice"), Heard::new("bob"));
    let alices = up.lane(&caller(&[]), &client(Some(1), ELICITATION, &alice)).unwrap();
    let bobs = up.lane(&caller(&[]), &client(Some(2), "{}", &bob)).unwrap();
    let nobodys = up.lane(&caller(&[]), &ClientSide::none()).unwrap();
    let pid = say(up, &alices, "pid", "", &alice).await.unwrap();
    assert_ne!(say(up, &bobs, "pid", "", &bob).await.unwrap(), pid);
    assert_eq!(say(up, &bobs, "pid", "", &bob).await.unwrap(), say(up, &nobodys, "pid", "", &bob).await.unwrap());
    assert_eq!(say(up, &alices, "offered", "", &alice).await.unwrap(), r#"{"elicitation": {}}"#);

    let answer = say(up, &alices, "ask", "who are you?", &alice).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["content"]["who"], "alice");
    assert_eq!(alice.of("message"), [("elicitation/create".to_owned(), json!("who are you?"))]);
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_child_that_is_shared_by_all_is_told_nothing_of_clients() {
    let upstreams = upstreams(vec![isolated(Isolation::Shared)]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob) = (Heard::new("alice"), Heard::new("bob"));
    let alices = up.lane(&caller(&[]), &client(Some(1), r#"{"elicitation":{}}"#, &alice)).unwrap();
    let bobs = up.lane(&caller(&[]), &client(Some(2), r#"{"roots":{}}"#, &bob)).unwrap();
    assert_eq!(say(up, &alices, "offered", "", &alice).await.unwrap(), "{}");
    assert_eq!(say(up, &alices, "pid", "", &alice).await.unwrap(), say(up, &bobs, "pid", "", &bob).await.unwrap());
    assert_eq!(say(up, &alices, "ask", "", &alice).await.unwrap(), "-32601");
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn callers_on_one_http_session_with_equal_tokens_hear_each_their_own() {
    let server = ScriptedServer::start().await;
    let upstreams = upstreams(vec![server.settings("up")]);
    let up = upstreams.find("up").unwrap();
    let people = [Heard::new("alice"), Heard::new("bob")];
    let lanes = people.each_ref().map(|heard| up.lane(&caller(&[]), &client(None, "{}", heard)).unwrap());
    let calls = (0..40).map(|turn| {
        let (who, heard) = (["alice", "bob"][turn % 2], &people[turn % 2]);
        say(up, &lanes[turn % 2], "stream", who, heard)
    });
    for (turn, answer) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), ["alice", "bob"][turn % 2]);
    }
    assert_eq!(server.script.initialized(), 1);
    for (heard, who) in people.iter().zip(["alice", "bob"]) {
        let progress = ("notifications/progress".to_owned(), json!(who));
        let log = ("notifications/message".to_owned(), json!(who));
        let told = heard.of("message");
        assert_eq!(told.iter().filter(|told| **told == progress).count(), 20);
        assert_eq!(heard.of("data").iter().filter(|told| **told == log).count(), 20);
        assert_eq!(told.len(), 40, "and nothing else");
        assert!(heard.of("progressToken").iter().all(|(method, token)| method.ends_with("message") || token == 7));
    }
}
