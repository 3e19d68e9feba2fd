//! Large JSON answers that are passed on while they come.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::time::{Duration, timeout};
use toolgate_client::{AnswerOutcome, Call, Error, HttpKind, Limits, Options, Problem, Reply as Got, Session};
use toolgate_mcp::jsonrpc::Id;

use crate::support::script::{Asked, Reply, Script};
use crate::support::{PATIENCE, http};

const MIB: usize = 1024 * 1024;
const JSON: &str = "content-type: application/json\r\n";

/// A server that answers `x` with what `reply` makes, and a session with it.
async fn server(limits: Limits, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Script, Session) {
    let script = Script::mcp(move |asked| if asked.what() == "x" { reply(asked) } else { Reply::accepted() });
    let options = Options { limits, timeout: Duration::from_secs(5), ..Options::default() };
    let session = Session::connect(http(&script.url, HttpKind::Streamable), options).await.expect("connects");
    (script, session)
}

async fn ask(session: &Session) -> Got {
    let call = Call::with_timeout(Duration::from_secs(1));
    let asked = session.request_streaming("x", None, &call);
    timeout(PATIENCE, asked).await.expect("no hang").expect("an answer")
}

/// Reads the body of a streamed answer, with `"ours"` as its id.
async fn read(got: Got) -> (bool, Result<Bytes, Error>) {
    let Got::Streamed(answer) = got else { panic!("not streamed: {got:?}") };
    let id = serde_json::from_str::<&serde_json::value::RawValue>(r#""ours""#).ok().and_then(Id::read).expect("an id");
    let is_result = answer.is_result();
    let body = timeout(PATIENCE, answer.with_id(&id).collect()).await.expect("no hang");
    (is_result, body.map(http_body_util::Collected::to_bytes))
}

fn large(size: usize) -> String {
    "0123456789abc}]\\n".repeat(size / 17)
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{JSON}\r\n")
}

#[tokio::test]
async fn a_large_answer_comes_with_nothing_changed_but_its_id() {
    for (name, before, after) in [
        ("first", r#"{"jsonrpc":"2.0","id":ID,"result":""#, "\"}"),
        ("last", r#"{"result":""#, "\" , \"jsonrpc\":\"2.0\", \"id\":ID }\n"),
        ("error", r#"{"error":{"data":""#, "\"},\"jsonrpc\":\"2.0\", \"id\":ID}"),
    ] {
        let body = format!("{before}{}{after}", large(3 * MIB));
        let sent = body.clone();
        let reply = move |asked: &Asked| Reply::json("200 OK", &sent.replace("ID", &asked.id().to_string()));
        let (_script, session) = server(Limits::default(), reply).await;
        let (is_result, got) = read(ask(&session).await).await;
        assert_eq!(is_result, name != "error");
        assert!(got.expect("a whole body") == body.replace("ID", r#""ours""#), "the id {name}");
    }
}

#[tokio::test]
async fn small_answers_batches_and_streams_come_whole() {
    let filler = large(MIB);
    let event = format!("data: {{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"{filler}\"}}\n\n");
    let batch = format!("[{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"{filler}\"}}]");
    let cases = [
        ("application/json", r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#.to_owned()),
        ("application/json", format!(r#"{{"jsonrpc":"2.0","id":ID,"result":"{}"}}"#, large(200 * 1024))),
        ("application/json", batch),
        ("text/event-stream", event),
    ];
    for (kind, body) in cases {
        let headers = format!("content-type: {kind}\r\n");
        let reply = move |asked: &Asked| Reply::with("200 OK", &headers, &body.replace("ID", &asked.id().to_string()));
        let (_script, session) = server(Limits::default(), reply).await;
        let Got::Whole(answer) = ask(&session).await else { panic!("{kind} was streamed") };
        assert!(matches!(answer.outcome(), AnswerOutcome::Result(_)));
    }
}

/// The error that ends the body when the server sends `body`, announces `length` and then does as `end` says.
async fn broken(body: String, length: usize, end: fn(Vec<u8>) -> Reply) -> Problem {
    let limits = Limits { message_bytes: 2 * MIB, ..Limits::default() };
    let reply = move |asked: &Asked| {
        let body = body.replace("ID", &asked.id().to_string());
        let head = if length == 0 { format!("HTTP/1.1 200 OK\r\n{JSON}\r\n") } else { head(length) };
        end(format!("{head}{body}").into_bytes())
    };
    let (_script, session) = server(limits, reply).await;
    let error = read(ask(&session).await).await.1.expect_err("a broken body");
    match error.problem() {
        Problem::Broken { reason } => Problem::Broken { reason: reason.clone() },
        Problem::BadMessage { reason, .. } => Problem::BadMessage { reason: reason.clone(), excerpt: String::new() },
        Problem::TooLarge { cap_bytes } => Problem::TooLarge { cap_bytes: *cap_bytes },
        Problem::TimedOut { method, after } => Problem::TimedOut { method: method.clone(), after: *after },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_body_that_is_not_whole_ends_with_an_error() {
    let begun = format!(r#"{{"jsonrpc":"2.0","id":ID,"result":"{}"#, large(MIB));
    let foreign = format!(r#"{{"jsonrpc":"2.0","result":"{}","id":123456}}"#, large(MIB));
    let huge = format!(r#"{{"jsonrpc":"2.0","id":ID,"result":"{}"}}"#, large(3 * MIB));
    assert!(matches!(broken(begun.clone(), 2 * MIB, Reply::Close).await, Problem::Broken { .. }));
    assert!(
        matches!(broken(begun.clone(), 0, Reply::Close).await, Problem::BadMessage { reason, .. } if reason.contains("ends before"))
    );
    assert!(matches!(broken(begun, 2 * MIB, Reply::Hang).await, Problem::TimedOut { .. }));
    assert!(
        matches!(broken(foreign, 0, Reply::Close).await, Problem::BadMessage { reason, .. } if reason.contains("another request"))
    );
    assert!(matches!(broken(huge, 0, Reply::Close).await, Problem::TooLarge { .. }));
}

#[tokio::test]
async fn dropping_a_streamed_answer_tells_the_server() {
    let begun = format!(r#"{{"jsonrpc":"2.0","id":ID,"result":"{}"#, large(MIB));
    let reply = move |asked: &Asked| {
        let body = begun.replace("ID", &asked.id().to_string());
        Reply::Hang(format!("{}{body}", head(2 * MIB)).into_bytes())
    };
    let (mut script, session) = server(Limits::default(), reply).await;
    drop(ask(&session).await);
    let asked = script.next_of("x").await.id();
    let told = script.next_of("notifications/cancelled").await;
    assert!(told.body.contains(&format!("\"requestId\":{asked}")), "{}", told.body);
}
