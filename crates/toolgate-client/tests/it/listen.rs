//! The stream on which a Streamable HTTP server speaks by itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::timeout;
use toolgate_client::{HttpKind, Options, Session};

use crate::support::script::{EVENT_STREAM, Reply, Script};
use crate::support::{PATIENCE, http, listening, next};

fn event(id: &str, method: &str) -> Vec<u8> {
    let message = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
    format!("{EVENT_STREAM}id: {id}\nretry: 1\ndata: {message}\n\n").into_bytes()
}

#[tokio::test]
async fn what_a_server_says_by_itself_is_heard_also_after_a_break() {
    let gets = AtomicUsize::new(0);
    let mut server = Script::mcp(move |asked| match asked.method.as_str() {
        "GET" if gets.fetch_add(1, Ordering::Relaxed) == 0 => {
            Reply::Close(event("1", "notifications/tools/list_changed"))
        }
        "GET" => Reply::Hang(event("2", "notifications/prompts/list_changed")),
        _ => Reply::accepted(),
    });
    let (options, mut heard) = listening();
    let options = Options { listen: true, ..options };
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    assert_eq!(next(&mut heard).await.0, "notifications/tools/list_changed");
    assert_eq!(next(&mut heard).await.0, "notifications/prompts/list_changed");
    assert_eq!(server.next_of("GET").await.header("last-event-id"), None);
    assert_eq!(server.next_of("GET").await.header("last-event-id"), Some("1"));
    timeout(PATIENCE, session.close()).await.expect("the listening ends with the session");
}

#[tokio::test]
async fn a_server_without_such_a_stream_is_left_in_peace() {
    for status in ["405 Method Not Allowed", "404 Not Found", "200 OK"] {
        let mut server = Script::mcp(move |asked| match asked.method.as_str() {
            "GET" => Reply::with(status, "", ""),
            _ => Reply::json("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, asked.id())),
        });
        let options = Options { listen: true, ..Options::default() };
        let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
        server.next_of("GET").await;
        session.request("ping", None).await.expect("the session goes on");
    }
}

#[tokio::test]
async fn a_session_that_ended_at_the_server_is_noticed_before_the_next_request() {
    let gets = AtomicUsize::new(0);
    let server = Script::mcp(move |asked| match asked.method.as_str() {
        "GET" if gets.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Close(event("1", "n")),
        "GET" => Reply::with("404 Not Found", "", ""),
        _ => Reply::accepted(),
    });
    let options = Options { listen: true, ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    timeout(PATIENCE, session.closed()).await.expect("it is noticed");
}
