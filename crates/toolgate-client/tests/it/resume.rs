//! Event streams that break off before the answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use tokio::time::{Duration, timeout};
use toolgate_client::{Call, Delivery, HttpKind, Options, Session};

use crate::support::script::{EVENT_STREAM, Reply, Script};
use crate::support::{PATIENCE, http};

/// The event that names the position `id` and asks to come again at once.
fn primed(id: &str) -> Reply {
    Reply::Close(format!("{EVENT_STREAM}retry: 1\nid: {id}\n\n").into_bytes())
}

fn answer(id: &serde_json::Value) -> String {
    format!("id: last\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"ok\":true}}}}\n\n")
}

#[tokio::test]
async fn a_broken_stream_is_continued_where_it_broke() {
    let gets = AtomicUsize::new(0);
    let mut server = Script::mcp(move |asked| match asked.what().as_str() {
        "x" => primed("e-1"),
        "GET" if gets.fetch_add(1, Ordering::Relaxed) == 0 => primed("e-2"),
        "GET" => Reply::events(&answer(&4.into())),
        _ => Reply::accepted(),
    });
    let session =
        Session::connect(http(&server.url, HttpKind::Streamable), Options::default()).await.expect("connects");
    let mut call = Call::default();
    call.headers.insert("authorization", HeaderValue::from_static("Bearer of-the-call"));
    let request = session.request_with("x", None, &call);
    let answer = timeout(PATIENCE, request).await.expect("in time").expect("an answer");
    assert_eq!(answer.into_result().expect("a result"), r#"{"ok":true}"#);
    for id in ["e-1", "e-2"] {
        let get = server.next_of("GET").await;
        assert_eq!(get.header("last-event-id"), Some(id));
        assert_eq!(get.header("mcp-session-id"), Some("s-1"));
        assert_eq!(get.header("authorization"), Some("Bearer of-the-call"));
        assert_eq!(get.header("accept"), Some("text/event-stream"));
    }
}

#[tokio::test]
async fn resuming_ends_when_nothing_comes_of_it() {
    let cases = [
        (Reply::with("405 Method Not Allowed", "", ""), false, 1, "resuming it failed: answered HTTP 405"),
        (Reply::with("404 Not Found", "", ""), true, 1, "the server has ended the session"),
        (
            Reply::json("200 OK", "{}"),
            false,
            1,
            "resuming it failed: answered HTTP 200 OK without an answer to the request (it begins: JSON in place of events",
        ),
        (Reply::Close(EVENT_STREAM.as_bytes().to_vec()), false, 5, "the event stream ended before the answer"),
        (
            Reply::Close(Vec::new()),
            false,
            5,
            "the event stream ended before the answer: resuming it failed: the connection broke",
        ),
    ];
    for (reply, session_lost, tries, text) in cases {
        let mut server = Script::mcp(move |asked| match asked.what().as_str() {
            "x" => primed("e-1"),
            "GET" => reply.clone(),
            _ => Reply::accepted(),
        });
        let target = http(&server.url, HttpKind::Streamable);
        let session = Session::connect(target, Options::default()).await.expect("connects");
        let error = timeout(PATIENCE, session.request("x", None)).await.expect("in time").expect_err("no answer");
        assert!(error.to_string().contains(text), "expected: {text}\ngot: {error}");
        // The call may have run: whoever sends it again must know that.
        assert_eq!((error.delivery(), error.session_lost()), (Delivery::Unknown, session_lost), "{error}");
        drop(session);
        let mut gets = 0;
        while let Ok(asked) = server.asked.try_recv() {
            gets += usize::from(asked.method == "GET");
        }
        assert_eq!(gets, tries, "{text}");
    }
}

#[tokio::test]
async fn without_an_event_id_nothing_is_resumed() {
    let mut server = Script::mcp(|_| Reply::Close(format!("{EVENT_STREAM}retry: 1\nid\n\n").into_bytes()));
    let options = Options { timeout: Duration::from_secs(5), ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    let error = session.request("x", None).await.expect_err("no answer");
    assert!(error.to_string().ends_with("the event stream ended before the answer"), "{error}");
    assert_eq!(server.next_of("x").await.method, "POST");
    assert!(server.asked.try_recv().is_err(), "nothing was asked again");
}
