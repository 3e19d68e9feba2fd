//! HTTP+SSE, the transport of revision 2024-11-05.

use tokio::time::{Duration, timeout};
use toolgate_client::{Call, Delivery, HttpKind, Options, Session, Transport};
use toolgate_mcp::version::Revision;

use crate::support::old::Old;
use crate::support::script::{EVENT_STREAM, Reply, Script};
use crate::support::{PATIENCE, http, listening, next};

async fn connect(server: &Old) -> Session {
    Session::connect(http(&server.url, HttpKind::Sse), Options::default()).await.expect("connects")
}

#[tokio::test]
async fn answers_on_the_stream_find_their_requests() {
    let server = Old::serve("/messages?session_id=1").await;
    let session = connect(&server).await;
    assert_eq!(session.server().transport, Transport::Sse);
    assert_eq!(session.server().revision, Revision::V2024_11_05);
    let calls = (0..50).map(|number| {
        let session = session.clone();
        async move {
            let params = format!("{{\"n\":{number}}}");
            let answer = session.request("echo", Some(&params)).await.expect("an answer");
            assert_eq!(answer.into_result().expect("a result"), params);
        }
    });
    futures_util::future::join_all(calls).await;
    session.close().await;
    assert!(session.request("echo", Some("{}")).await.expect_err("closed").session_lost());
}

#[tokio::test]
async fn notifications_and_requests_of_the_server_are_heard() {
    let mut server = Old::serve("messages").await;
    let (options, mut heard) = listening();
    let _session = Session::connect(http(&server.url, HttpKind::Sse), options).await.expect("connects");
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    assert_eq!(next(&mut heard).await.0, "notifications/tools/list_changed");
    server.send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    loop {
        let posted = next(&mut server.posted).await;
        if posted["id"] == "p" {
            assert_eq!(posted["result"], serde_json::json!({}));
            return;
        }
    }
}

#[tokio::test]
async fn the_end_of_the_stream_fails_what_waits_and_ends_the_session() {
    let mut server = Old::serve("/messages").await;
    let session = connect(&server).await;
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.request("silence", None).await }
    });
    while next(&mut server.posted).await["method"] != "silence" {}
    server.hang_up();
    let error = timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect_err("no answer");
    assert_eq!((error.delivery(), error.session_lost()), (Delivery::Unknown, true));
    timeout(PATIENCE, session.closed()).await.expect("it is known to be closed");
    let error = session.request("echo", Some("{}")).await.expect_err("no session");
    assert_eq!((error.delivery(), error.session_lost()), (Delivery::NotSent, true));
    assert!(error.to_string().contains("closed the session's stream"), "{error}");
}

#[tokio::test]
async fn an_unknown_address_for_messages_is_a_lost_session() {
    let server = Old::serve("/messages").await;
    let session = connect(&server).await;
    let error = session.request("gone", None).await.expect_err("404");
    assert_eq!((error.delivery(), error.session_lost()), (Delivery::NotSent, true));
    assert!(session.is_closed());
}

#[tokio::test]
async fn a_late_request_is_cancelled() {
    let mut server = Old::serve("/messages").await;
    let session = connect(&server).await;
    let call = Call::with_timeout(Duration::from_millis(100));
    assert!(session.request_with("silence", None, &call).await.expect_err("late").is_timeout());
    loop {
        let posted = next(&mut server.posted).await;
        if posted["method"] == "notifications/cancelled" {
            assert_eq!(posted["params"]["requestId"], 4);
            return;
        }
    }
}

#[tokio::test]
async fn messages_go_to_the_same_origin_or_nowhere() {
    for (endpoint, text) in [
        ("http://evil.example/messages?token=1", "leads to another origin, `http://evil.example/messages`"),
        ("//evil.example/", "leads to another origin"),
        ("http://127.0.0.1:1/messages", "leads to another origin"),
        ("http://[", "is not a URL"),
    ] {
        let server = Old::serve(endpoint).await;
        let error = Session::connect(http(&server.url, HttpKind::Sse), Options::default()).await.expect_err("refused");
        assert!(error.to_string().contains(text), "expected: {text}\ngot: {error}");
    }
    let server = Old::serve("/messages").await;
    let own = Old::serve(&server.url.replace("/sse", "/messages")).await;
    let error = Session::connect(http(&own.url, HttpKind::Sse), Options::default()).await.expect_err("another port");
    assert!(error.to_string().contains("another origin"), "{error}");
}

#[tokio::test]
async fn a_stream_without_an_endpoint_is_no_server() {
    for (reply, text) in [
        (Reply::events("data: hello\n\n"), "ended before its `endpoint` event"),
        (Reply::events(&"data: x\n\n".repeat(200)), "other events came in place"),
        (Reply::with("200 OK", "content-type: text/html\r\n", "<p>"), "`text/html`"),
        (Reply::with("401 Unauthorized", "www-authenticate: Bearer\r\n", ""), "HTTP 401"),
        (Reply::Endless(EVENT_STREAM.as_bytes().to_vec(), b": comment\n".to_vec()), "no answer to `initialize`"),
    ] {
        let server = Script::serve(move |_| reply.clone());
        let options = Options { connect_timeout: Duration::from_secs(1), ..Options::default() };
        let error = Session::connect(http(&server.url, HttpKind::Sse), options).await.expect_err("no session");
        assert!(error.to_string().contains(text), "expected: {text}\ngot: {error}");
    }
}
