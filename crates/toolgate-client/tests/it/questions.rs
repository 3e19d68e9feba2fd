//! What a legacy server asks by itself, and how the answers find their way back.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::timeout;
use toolgate_client::{Call, Events, HttpClient, HttpKind, Options, Question, Session, TlsOptions};

use crate::support::child::server;
use crate::support::old::Old;
use crate::support::script::{EVENT_STREAM, Reply, Script, result};
use crate::support::{PATIENCE, answering, http, http_with, next};

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"q-1","method":"elicitation/create","params":{"message":"who?"}}"#;
const RESULT: &str = r#"{"action":"decline"}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":"q-1","result":{"action":"decline"}}"#;

fn asked() -> (String, Option<String>) {
    ("elicitation/create".to_owned(), Some(r#"{"message":"who?"}"#.to_owned()))
}

#[tokio::test]
async fn over_http_and_sse_the_answer_is_posted() {
    let mut server = Old::serve("/messages").await;
    let (options, mut questions) = answering(RESULT);
    let _session = Session::connect(http(&server.url, HttpKind::Sse), options).await.expect("connects");
    server.send(QUESTION);
    assert_eq!(next(&mut questions).await, asked());
    loop {
        let posted = next(&mut server.posted).await;
        if posted["id"] == "q-1" {
            return assert_eq!(posted.to_string(), ANSWER);
        }
    }
}

#[tokio::test]
async fn over_stdio_the_answer_is_a_line() {
    let child = server(&format!(
        r#"ask) asking=$id; echo '{QUESTION}' ;;
        *) case "$line" in *'"action":"decline"'*) id=$asking; answer '{{"heard":true}}' ;; esac ;;"#
    ));
    let (options, mut questions) = answering(RESULT);
    let session = Session::connect(child, options).await.expect("connects");
    let answer = timeout(PATIENCE, session.request("ask", None)).await.expect("in time").expect("an answer");
    assert_eq!(answer.into_result().expect("a result"), r#"{"heard":true}"#);
    assert_eq!(next(&mut questions).await, asked());
}

#[tokio::test]
async fn the_listening_stream_is_opened_on_demand_and_once_and_brings_questions() {
    let mut server = Script::mcp(|asked| match asked.method.as_str() {
        "GET" => Reply::Hang(format!("{EVENT_STREAM}data: {QUESTION}\n\n").into_bytes()),
        _ => Reply::accepted(),
    });
    let client = HttpClient::new(&TlsOptions::default()).expect("a client");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer of-the-target"));
    let target = http_with(&server.url, HttpKind::Streamable, client, headers);
    let (options, mut questions) = answering(RESULT);
    let session = Session::connect(target, options).await.expect("connects");
    session.notify("notifications/before", None).await.expect("taken");
    assert_eq!(server.next_of("notifications/before").await.method, "POST");
    for _ in 0..3 {
        session.listen();
    }
    assert_eq!(next(&mut questions).await, asked());
    assert_eq!(server.next().await.method, "GET");
    let reply = server.next().await;
    assert_eq!(reply.body, ANSWER);
    assert_eq!(reply.header("mcp-session-id"), Some("s-1"));
    assert_eq!(reply.header("authorization"), Some("Bearer of-the-target"));
    session.notify("notifications/after", None).await.expect("taken");
    assert_eq!(server.next().await.what(), "notifications/after", "one stream, one answer");
}

#[tokio::test]
async fn a_calls_question_may_be_answered_later_and_with_the_calls_credentials() {
    #[derive(Default)]
    struct Keeper(Mutex<Vec<Question>>, Option<mpsc::UnboundedSender<()>>);
    impl Events for Keeper {
        fn question(&self, question: Question) {
            self.0.lock().expect("not poisoned").push(question);
            self.1.as_ref().expect("a channel").send(()).expect("the test listens");
        }
    }
    let mut server = Script::mcp(|asked| match asked.what().as_str() {
        "x" => Reply::events(&format!(
            "data: {QUESTION}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n",
            asked.id()
        )),
        // A server that refuses an answer must not disturb anything else.
        "POST" => Reply::with("500 Oops", "", ""),
        _ => result(asked, "{}"),
    });
    let session =
        Session::connect(http(&server.url, HttpKind::Streamable), Options::default()).await.expect("connects");
    let (sender, mut came) = mpsc::unbounded_channel();
    let keeper = Arc::new(Keeper(Mutex::default(), Some(sender)));
    let mut call = Call::default();
    call.headers.insert("authorization", HeaderValue::from_static("Bearer of-the-call"));
    call.events = Some(Arc::clone(&keeper) as Arc<dyn Events>);
    session.request_with("x", None, &call).await.expect("an answer");
    next(&mut came).await;
    let question = keeper.0.lock().expect("not poisoned").pop().expect("a question");
    assert_eq!(question.id_text(), r#""q-1""#);
    question.answer(RESULT);
    server.next_of("x").await;
    let reply = server.next().await;
    assert_eq!(reply.body, ANSWER);
    assert_eq!(reply.header("authorization"), Some("Bearer of-the-call"));
    session.request("y", None).await.expect("the session goes on");
}

#[tokio::test]
async fn a_server_that_asks_too_much_at_once_gets_no_answer_to_the_rest_but_to_its_pings() {
    struct Silent(Mutex<Vec<Question>>);
    impl Events for Silent {
        fn question(&self, question: Question) {
            self.0.lock().expect("not poisoned").push(question);
        }
    }
    let mut server = Old::serve("/messages").await;
    let kept = Arc::new(Silent(Mutex::default()));
    let options = Options { events: Arc::clone(&kept) as Arc<dyn Events>, ..Options::default() };
    let _session = Session::connect(http(&server.url, HttpKind::Sse), options).await.expect("connects");
    for number in 0..100 {
        server.send(&format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"roots/list"}}"#));
    }
    server.send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    while next(&mut server.posted).await["id"] != "p" {}
    let questions = std::mem::take(&mut *kept.0.lock().expect("not poisoned"));
    assert_eq!(questions.len(), 64);
    drop(questions);
    let mut refused = std::collections::HashSet::new();
    while refused.len() < 64 {
        let posted = next(&mut server.posted).await;
        assert_eq!(posted["error"]["code"], -32601);
        refused.insert(posted["id"].as_u64().expect("a number"));
    }
    server.send(QUESTION);
    server.send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    while next(&mut server.posted).await["id"] != "p" {}
    assert_eq!(kept.0.lock().expect("not poisoned").len(), 1, "there is room again");
}

#[tokio::test]
async fn a_session_ends_at_a_flood_of_junk_while_somebody_waits() {
    let server = Old::serve("/messages").await;
    let session = Session::connect(http(&server.url, HttpKind::Sse), Options::default()).await.expect("connects");
    let waiting = session.request("silence", None);
    let flood = async {
        loop {
            server.send("junk");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = timeout(PATIENCE, waiting) => {
            let error = outcome.expect("in time").expect_err("no answer");
            assert!(error.to_string().contains("it sent 10000 events or lines in a row"), "{error}");
            assert!(error.session_lost());
        }
        () = flood => {}
    }

    let child = server_of_noise();
    let session = Session::connect(child, Options::default()).await.expect("connects");
    let error = timeout(PATIENCE, session.request("noise", None)).await.expect("in time").expect_err("no answer");
    assert!(error.to_string().contains("sent 10000 events or lines in a row"), "{error}");
    timeout(PATIENCE, session.closed()).await.expect("it is of no use any more");
}

fn server_of_noise() -> toolgate_client::Target {
    server("noise) yes ;;")
}
