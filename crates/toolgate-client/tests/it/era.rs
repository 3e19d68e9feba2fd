//! Which era a server speaks, and what happens when it speaks another one later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Duration, timeout};
use toolgate_client::{Delivery, Era, HttpKind, Options, Session};
use toolgate_mcp::version::Revision;

use crate::support::script::{Asked, DISCOVERED, Reply, Script, error, mcp, result};
use crate::support::{PATIENCE, http};

async fn connect(server: &Script, era: Era) -> Result<Session, toolgate_client::Error> {
    let options = Options { era, ..Options::default() };
    let connect = Session::connect(http(&server.url, HttpKind::Detect), options);
    timeout(PATIENCE, connect).await.expect("in time")
}

fn is_discover(asked: &Asked) -> bool {
    asked.what() == "server/discover"
}

const UNSUPPORTED: &str = r#"no","data":{"supported":["VERSION"],"requested":"2026-07-28"},"x":""#;

fn unsupported(asked: &Asked, version: &str) -> Reply {
    error(asked, "400 Bad Request", -32022, &UNSUPPORTED.replace("VERSION", version))
}

#[tokio::test]
async fn whatever_does_not_prove_a_modern_server_is_asked_to_initialize() {
    type Answer = fn(&Asked) -> Reply;
    let answers: [Answer; 14] = [
        |asked| error(asked, "200 OK", -32601, "unknown"),
        |asked| error(asked, "404 Not Found", -32601, "unknown"),
        |asked| error(asked, "200 OK", -32602, "invalid"),
        |asked| result(asked, "{}"),
        |asked| result(asked, r#"{"supportedVersions":["2025-11-25"]}"#),
        |asked| unsupported(asked, "2025-11-25"),
        |_| {
            Reply::json(
                "400 Bad Request",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No session"}}"#,
            )
        },
        |_| Reply::with("400 Bad Request", "", "no session"),
        |_| Reply::with("404 Not Found", "", ""),
        |_| Reply::with("405 Method Not Allowed", "", ""),
        |_| Reply::with("500 Oops", "", "Traceback"),
        |_| Reply::accepted(),
        |_| Reply::json("200 OK", "garbage"),
        |_| Reply::Close(Vec::new()),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut server = Script::serve(move |asked| match is_discover(asked) {
            true => answer(asked),
            false => mcp(asked).unwrap_or_else(Reply::accepted),
        });
        let session = connect(&server, Era::Detect).await.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(session.server().revision, Revision::V2025_06_18, "{number}");
        assert!(!session.is_modern());
        assert!(is_discover(&server.next().await));
        let initialize = server.next_of("initialize").await;
        assert_eq!((initialize.header("mcp-method"), initialize.header("mcp-protocol-version")), (None, None));
    }
}

#[tokio::test]
async fn silence_is_taken_for_not_knowing_the_question() {
    let server = Script::serve(|asked| match is_discover(asked) {
        true => Reply::Hang(Vec::new()),
        false => mcp(asked).unwrap_or_else(Reply::accepted),
    });
    let options = Options { connect_timeout: Duration::from_secs(1), ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Detect), options).await.expect("connects");
    assert!(!session.is_modern());
}

#[tokio::test]
async fn a_modern_server_that_lists_the_version_it_refused_is_asked_again() {
    let asked_before = AtomicUsize::new(0);
    let mut server = Script::serve(move |asked| match asked_before.fetch_add(1, Ordering::Relaxed) {
        0 => unsupported(asked, "2026-07-28"),
        _ => result(asked, DISCOVERED),
    });
    assert!(connect(&server, Era::Detect).await.expect("connects").is_modern());
    let (first, second) = (server.next().await, server.next().await);
    assert!(is_discover(&first) && is_discover(&second));
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn a_modern_server_that_failed_at_first_is_found_by_its_refusal_of_initialize() {
    for refusal in [-32022, -32020, -32601] {
        let asked_before = AtomicUsize::new(0);
        let server = Script::serve(move |asked| match asked_before.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::with("500 Oops", "", ""),
            _ if is_discover(asked) => result(asked, DISCOVERED),
            _ => error(asked, "400 Bad Request", refusal, "no"),
        });
        assert!(connect(&server, Era::Detect).await.expect("connects").is_modern(), "{refusal}");
    }
}

#[tokio::test]
async fn a_modern_server_that_is_not_for_us_says_why() {
    let server = Script::serve(|asked| match is_discover(asked) {
        true => error(asked, "400 Bad Request", -32021, "sampling is needed"),
        false => Reply::with("404 Not Found", "", ""),
    });
    let told = connect(&server, Era::Detect).await.expect_err("refused").to_string();
    assert!(told.ends_with("refused `server/discover`: sampling is needed (code -32021)"), "{told}");
}

#[tokio::test]
async fn a_session_of_the_wrong_era_says_so() {
    let modern = Script::serve(|asked| unsupported(asked, "2026-07-28"));
    let error = connect(&modern, Era::Legacy).await.expect_err("refused");
    assert!(error.is_wrong_era());
    assert!(
        error.to_string().contains("speaks only MCP 2026-07-28 or newer: no (code -32022); connect again"),
        "{error}"
    );

    let legacy = Script::mcp(|_| Reply::accepted());
    let error = connect(&legacy, Era::Modern).await.expect_err("refused");
    assert!(error.is_wrong_era());
    let text = "does not speak MCP 2026-07-28: refused `server/discover`: unknown method (code -32601); connect again";
    assert!(error.to_string().contains(text), "{error}");
}

/// A server that is replaced by one of the other era when `swapped` is no longer 0.
fn swapping(first: fn(&Asked) -> Reply, then: fn(&Asked) -> Reply) -> (Script, Arc<AtomicUsize>) {
    let swapped = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&swapped);
    let server = Script::serve(move |asked| match state.load(Ordering::Relaxed) {
        0 => first(asked),
        _ => then(asked),
    });
    (server, swapped)
}

#[tokio::test]
async fn a_server_that_changed_its_era_is_noticed_and_nothing_was_done() {
    fn legacy(asked: &Asked) -> Reply {
        mcp(asked).unwrap_or_else(|| result(asked, "{}"))
    }
    fn modern(asked: &Asked) -> Reply {
        match (asked.what().as_str(), asked.header("mcp-method")) {
            ("server/discover", _) => result(asked, DISCOVERED),
            (_, None) => unsupported(asked, "2026-07-28"),
            _ => result(asked, "{}"),
        }
    }
    fn without_session(_: &Asked) -> Reply {
        Reply::json(
            "400 Bad Request",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Server not initialized"}}"#,
        )
    }
    fn gone(_: &Asked) -> Reply {
        Reply::with("405 Method Not Allowed", "", "")
    }
    for (first, then) in
        [(legacy as fn(&Asked) -> Reply, modern as fn(&Asked) -> Reply), (modern, without_session), (modern, gone)]
    {
        let (server, swapped) = swapping(first, then);
        let session = connect(&server, Era::Detect).await.expect("connects");
        session.request("x", None).await.expect("an answer");
        swapped.store(1, Ordering::Relaxed);
        let error = session.request("x", None).await.expect_err("refused");
        assert!(error.is_wrong_era() && error.session_lost(), "{error}");
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert!(session.is_closed());
    }
}
