//! Streamable HTTP against the official Rust SDK, and against a script where its words matter.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};
use toolgate_client::{
    AnswerOutcome, Call, Delivery, Era, Events, HttpClient, HttpKind, Options, Question, Session, TlsOptions, Transport,
};
use toolgate_mcp::version::Revision;

use crate::support::calculator::Calculator;
use crate::support::script::{Reply, Script};
use crate::support::{PATIENCE, http, http_with, legacy, listening, next};

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

async fn connect(url: &str, era: Era) -> Session {
    let options = Options { era, ..Options::default() };
    Session::connect(http(url, HttpKind::Streamable), options).await.expect("connects")
}

const SUM: &str = r#"{"name":"sum","arguments":{"a":20,"b":22}}"#;

#[tokio::test]
async fn a_session_calls_tools_and_ends() {
    for stateful in [true, false] {
        let url = Calculator::new().0.serve(stateful).await;
        let session = Session::connect(http(&url, HttpKind::Streamable), legacy()).await.expect("connects");
        let facts = session.server();
        assert_eq!(facts.revision, Revision::V2025_11_25);
        assert_eq!(facts.transport, Transport::Streamable);
        assert_eq!(facts.has_session_id, stateful);
        assert_eq!(facts.instructions.as_deref(), Some("Adds numbers"));
        assert!(facts.capabilities.get().contains("tools"));

        let answer = session.request("tools/call", Some(SUM)).await.expect("an answer");
        assert!(answer.into_result().expect("a result").contains("42"), "stateful: {stateful}");
        session.close().await;
        assert!(session.is_closed());
        let error = session.request("ping", None).await.expect_err("it is closed");
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert!(error.session_lost());
    }
}

#[tokio::test]
async fn a_servers_error_is_an_answer() {
    let url = Calculator::new().0.serve(true).await;
    for era in ERAS {
        let session = connect(&url, era).await;
        let answer = session.request("tools/call", Some(r#"{"name":"nope"}"#)).await.expect("an answer");
        assert!(matches!(answer.outcome(), AnswerOutcome::Error(_)));
        assert_eq!(answer.into_result().expect_err("an error").code, -32602);
        let answer = session.request("no/such", None).await.expect("an answer");
        assert_eq!(answer.into_result().expect_err("an error").code, -32601);
    }
}

#[tokio::test]
async fn many_calls_at_once_get_their_own_answers() {
    let url = Calculator::new().0.serve(true).await;
    for era in ERAS {
        let session = connect(&url, era).await;
        let calls = (0..200).map(|number| {
            let session = session.clone();
            async move {
                let params = format!(r#"{{"name":"sum","arguments":{{"a":{number},"b":1000}}}}"#);
                let answer = session.request("tools/call", Some(&params)).await.expect("an answer");
                assert!(answer.into_result().expect("a result").contains(&format!("\"{}\"", number + 1000)));
            }
        });
        futures_util::future::join_all(calls).await;
    }
}

#[tokio::test]
async fn progress_reaches_the_listener_before_the_answer() {
    let url = Calculator::new().0.serve(true).await;
    for era in ERAS {
        let (options, mut heard) = listening();
        let options = Options { era, ..options };
        let session = Session::connect(http(&url, HttpKind::Streamable), options).await.expect("connects");
        let params = r#"{"name":"progress","_meta":{"progressToken":"t-1"}}"#;
        session.request("tools/call", Some(params)).await.expect("an answer");
        let (method, message) = next(&mut heard).await;
        assert_eq!(method, "notifications/progress");
        assert!(String::from_utf8_lossy(&message).contains("t-1"));
    }
}

#[tokio::test]
async fn headers_of_the_call_win_over_those_of_the_target() {
    let url = Calculator::new().0.serve(true).await;
    let client = HttpClient::new(&TlsOptions::default()).expect("a client");
    let mut headers = HeaderMap::new();
    headers.insert("x-target", HeaderValue::from_static("from-target"));
    headers.insert("x-call", HeaderValue::from_static("from-target"));
    let target = http_with(&url, HttpKind::Streamable, client, headers);
    let session = Session::connect(target, Options::default()).await.expect("connects");
    let mut call = Call::default();
    call.headers.insert("x-call", HeaderValue::from_static("from-call"));
    call.headers.insert("mcp-session-id", HeaderValue::from_static("stolen"));
    let answer = session.request_with("tools/call", Some(r#"{"name":"header"}"#), &call).await.expect("an answer");
    assert!(answer.into_result().expect("a result").contains("from-target from-call"));
}

#[tokio::test]
async fn a_call_that_is_dropped_or_late_is_cancelled_at_the_server() {
    for era in ERAS {
        late_and_dropped(era).await;
    }
}

async fn late_and_dropped(era: Era) {
    let (calculator, mut slow) = Calculator::new();
    let session = connect(&calculator.serve(true).await, era).await;
    let call = Call::with_timeout(Duration::from_millis(200));
    let error = session.request_with("tools/call", Some(r#"{"name":"slow"}"#), &call).await.expect_err("too slow");
    assert!(error.is_timeout());
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert_eq!((next(&mut slow).await, next(&mut slow).await), ("begun", "cancelled"));

    let mut request = Box::pin(session.request("tools/call", Some(r#"{"name":"slow"}"#)));
    tokio::select! {
        _ = &mut request => panic!("it must not answer"),
        heard = next(&mut slow) => assert_eq!(heard, "begun"),
    }
    drop(request);
    assert_eq!(next(&mut slow).await, "cancelled");
    assert!(session.request("tools/list", None).await.is_ok(), "the session goes on");
}

#[tokio::test]
async fn an_answer_keeps_every_byte_and_connections_are_used_again() {
    let body =
        "{ \"jsonrpc\":\"2.0\", \"result\" :{\"big\":123456789012345678901234567890,\"a\\u0062\":1e400} , \"id\":ID}";
    let mut server = Script::mcp(move |asked| {
        let text = body.replace("ID", &asked.id().to_string());
        if asked.path.contains("events") {
            let event = format!("event: message\ndata: {text}\n\n");
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
            Reply::Raw(format!("{head}\r\n\r\n{:x}\r\n{event}\r\n0\r\n\r\n", event.len()).into_bytes())
        } else {
            Reply::json("200 OK", &text)
        }
    });
    let json = http(&server.url, HttpKind::Streamable);
    let events = http(&format!("{}?events", server.url), HttpKind::Streamable);
    for target in [json, events] {
        let session = Session::connect(target, Options::default()).await.expect("connects");
        for _ in 0..20 {
            let answer = session.request("x", None).await.expect("an answer");
            let with_id = answer.with_id(&7.into());
            assert_eq!(String::from_utf8(with_id).expect("UTF-8"), body.replace("ID", "7"));
        }
        let mut connections = HashSet::new();
        for _ in 0..22 {
            connections.insert(server.next().await.connection);
        }
        // A connection comes back a moment after its answer, so that a second one may be opened meanwhile.
        assert!(connections.len() <= 4, "{} connections for 22 messages", connections.len());
        session.close().await;
        assert_eq!(server.next_of("DELETE").await.header("mcp-session-id"), Some("s-1"));
    }
}

#[tokio::test]
async fn messages_carry_the_session_and_the_revision_and_ask_for_no_compression() {
    let mut server = Script::mcp(|asked| {
        Reply::json("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, asked.id()))
    });
    let mut headers = HeaderMap::new();
    headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    let client = HttpClient::new(&TlsOptions::default()).expect("a client");
    let url = server.url.replace("http://", "http://user:secret@");
    let target = http_with(&url, HttpKind::Streamable, client, headers);
    let session = Session::connect(target, Options::default()).await.expect("connects");
    assert_eq!(session.name(), server.url, "the password is not shown");
    session.request("ping", None).await.expect("an answer");

    let first = server.next_of("initialize").await;
    assert_eq!((first.header("mcp-session-id"), first.header("mcp-protocol-version")), (None, None));
    let last = server.next_of("ping").await;
    assert_eq!(last.header("mcp-session-id"), Some("s-1"));
    assert_eq!(last.header("mcp-protocol-version"), Some("2025-06-18"));
    assert_eq!(last.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(last.header("accept-encoding"), None);
    assert_eq!(last.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
}

#[tokio::test]
async fn a_servers_requests_are_answered_in_a_post_of_their_own() {
    let mut server = Script::mcp(|asked| match asked.what().as_str() {
        "x" => Reply::events(&format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"roots/list\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{{}}}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n",
            asked.id()
        )),
        _ => Reply::accepted(),
    });
    let session =
        Session::connect(http(&server.url, HttpKind::Streamable), Options::default()).await.expect("connects");
    session.request("x", None).await.expect("an answer");
    server.next_of("x").await;
    let mut replies = [server.next().await.body, server.next().await.body];
    replies.sort();
    assert_eq!(replies[0], r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
    assert!(replies[1].starts_with(r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"#), "{}", replies[1]);
}

#[tokio::test]
async fn a_call_hears_and_answers_what_comes_on_its_own_stream() {
    struct Roots(mpsc::UnboundedSender<String>);
    impl Events for Roots {
        fn notification(&self, method: &str, _message: Bytes) {
            // The test may have heard enough.
            let _ = self.0.send(method.to_owned());
        }

        fn question(&self, question: Question) {
            let _ = self.0.send(format!("{} {:?}", question.method(), question.params()));
            question.answer(r#"{"roots":[{"uri":"file:///a"}]}"#);
        }
    }
    let mut server = Script::mcp(|asked| match asked.what().as_str() {
        "x" => Reply::events(&format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"roots/list\",\"params\":{{\"a\":1.0}}}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n",
            asked.id()
        )),
        _ => Reply::accepted(),
    });
    let (options, mut elsewhere) = listening();
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    let (sender, mut heard) = mpsc::unbounded_channel();
    let mut call = Call::default();
    call.events = Some(Arc::new(Roots(sender)));
    session.request_with("x", None, &call).await.expect("an answer");
    assert_eq!(next(&mut heard).await, "notifications/progress");
    assert_eq!(next(&mut heard).await, r#"roots/list Some("{\"a\":1.0}")"#);
    server.next_of("x").await;
    let reply = server.next().await.body;
    assert_eq!(reply, r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[{"uri":"file:///a"}]}}"#);
    assert!(elsewhere.try_recv().is_err(), "the session's listener hears what belongs to no request");
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_session_at_the_server() {
    let mut server = Script::mcp(|_| Reply::accepted());
    let session =
        Session::connect(http(&server.url, HttpKind::Streamable), Options::default()).await.expect("connects");
    let clone = session.clone();
    drop(session);
    clone.notify("notifications/x", None).await.expect("taken");
    server.next_of("notifications/x").await;
    drop(clone);
    let ended = timeout(PATIENCE, server.next_of("DELETE")).await.expect("in time");
    assert_eq!(ended.header("mcp-session-id"), Some("s-1"));
}
