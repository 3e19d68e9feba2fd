//! HTTP servers that answer wrongly: one clear error each, and never a hang.

use tokio::time::{Duration, timeout};
use toolgate_client::{Delivery, Error, HttpKind, Limits, Options, Session};

use crate::support::script::{EVENT_STREAM, Reply, Script};
use crate::support::{PATIENCE, http};

const LIMITS: Limits = Limits { message_bytes: 64 * 1024, stderr_lines: 10 };

/// The error of a request to which the server answers `reply`; `ID` in it is the request's id.
async fn error_of(reply: Reply) -> Error {
    let server = Script::mcp(move |asked| match (asked.what().as_str(), &reply) {
        ("x", Reply::Raw(bytes)) => {
            let text = String::from_utf8_lossy(bytes).replace("ID", &asked.id().to_string());
            Reply::Raw(text.into_bytes())
        }
        ("x", reply) => reply.clone(),
        _ => Reply::accepted(),
    });
    let options = Options { limits: LIMITS, timeout: Duration::from_secs(5), ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    timeout(PATIENCE, session.request("x", None)).await.expect("no hang").expect_err("no answer")
}

#[tokio::test]
async fn every_wrong_answer_has_its_own_clear_error() {
    use Delivery::{Answered, NotSent, Unknown};
    let html = "content-type: text/html\r\n";
    let json = "content-type: application/json\r\n";
    let rpc = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32000,"message":"no luck"}}"#;
    let no_id = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot read"}}"#;
    let cases = [
        (
            Reply::with("200 OK", html, "<html>\n<b>Log in\x07"),
            Answered,
            false,
            "`text/html` where MCP has JSON or an event stream; is this the URL of an MCP server? (it begins: <html> <b>Log in\\u{7})",
        ),
        (Reply::with("200 OK", "", "hello"), Answered, false, "`no content type`"),
        (Reply::with("200 OK", json, "garbage"), Answered, false, "not an MCP message: not valid JSON"),
        (
            Reply::with("200 OK", json, r#"{"a":1}"#),
            Answered,
            false,
            "`jsonrpc` must be \"2.0\" (it begins: {\"a\":1})",
        ),
        (Reply::with("200 OK", json, ""), Answered, false, "HTTP 200 OK without an answer"),
        (Reply::with("200 OK", "", ""), Answered, false, "HTTP 200 OK without an answer"),
        (Reply::accepted(), Answered, false, "HTTP 202 Accepted without an answer"),
        (
            Reply::with("200 OK", json, r#"{"jsonrpc":"2.0","id":12345,"result":{}}"#),
            Answered,
            false,
            "without an answer",
        ),
        (Reply::with("200 OK", json, no_id), Answered, false, "cannot read (code -32700)"),
        (
            Reply::with("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "x"),
            Answered,
            false,
            "`Content-Encoding: gzip`",
        ),
        (
            Reply::with("307 Temporary Redirect", "location: http://evil.example/x?token=1\r\n", ""),
            Answered,
            false,
            "a redirect to `http://evil.example/x`",
        ),
        (Reply::with("400 Bad Request", html, "<p>bad"), Answered, false, "HTTP 400 Bad Request: <p>bad"),
        (Reply::with("400 Bad Request", json, rpc), Answered, false, "HTTP 400 Bad Request: no luck (code -32000)"),
        (Reply::with("500 Internal Server Error", json, rpc), Unknown, false, "no luck"),
        (Reply::with("503 Service Unavailable", "retry-after: 7\r\n", ""), Unknown, false, "HTTP 503"),
        (Reply::with("404 Not Found", json, "{}"), NotSent, true, "ended the session (HTTP 404"),
        (
            Reply::with("400 Bad Request", json, r#"{"error":"No valid session ID"}"#),
            NotSent,
            true,
            "ended the session (HTTP 400",
        ),
        (
            Reply::Close(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"js".to_vec(),
            ),
            Unknown,
            false,
            "the connection broke",
        ),
        (Reply::Close(Vec::new()), Unknown, false, "the connection broke"),
        (Reply::Close(b"SSH-2.0-OpenSSH_9\r\n".to_vec()), Unknown, false, "the connection broke"),
        (Reply::events(": nothing\n\n"), Unknown, false, "the event stream ended before the answer"),
        (
            Reply::events("data: garbage\n\n"),
            Unknown,
            false,
            "the event stream ended before the answer: answered something that is not an MCP message",
        ),
        (
            Reply::Close(format!("{EVENT_STREAM}data: {{\"jsonrpc\"").into_bytes()),
            Unknown,
            false,
            "the event stream ended",
        ),
        (
            Reply::Endless(format!("{EVENT_STREAM}data: ").into_bytes(), vec![b'x'; 4096]),
            Unknown,
            false,
            "more than 65536 bytes",
        ),
        (
            Reply::Endless(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\"".to_vec(), vec![b'x'; 4096]),
            Answered,
            false,
            "more than 65536 bytes",
        ),
        (
            Reply::Endless(b"HTTP/1.1 500 Oops\r\ncontent-type: text/plain\r\n\r\n".to_vec(), vec![b'x'; 4096]),
            Unknown,
            false,
            "HTTP 500",
        ),
        (Reply::with("200 OK", json, &format!("[{}", "[".repeat(50_000))), Answered, false, "JSON nested deeper than"),
        (Reply::events(&"data: junk\n\n".repeat(50_000)), Unknown, false, "sent 10000 events or lines in a row"),
        (
            Reply::events(&"data: {\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n\n".repeat(50_000)),
            Unknown,
            false,
            "sent 10000 events or lines in a row",
        ),
    ];
    for (reply, delivery, session_lost, text) in cases {
        let error = error_of(reply).await;
        let told = error.to_string();
        assert!(told.contains(text), "expected: {text}\ngot: {told}");
        assert!(told.len() < 700, "{told}");
        assert_eq!((error.delivery(), error.session_lost()), (delivery, session_lost), "{told}");
    }
}

#[tokio::test]
async fn a_challenge_is_kept() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let challenge = "www-authenticate: Bearer resource_metadata=\"https://h/x\"\r\n";
        let error = error_of(Reply::with(status, challenge, "")).await;
        assert_eq!(error.www_authenticate().expect("kept"), "Bearer resource_metadata=\"https://h/x\"");
        assert!(!error.session_lost());
    }
}

#[tokio::test]
async fn an_answer_in_a_strange_envelope_is_still_an_answer() {
    let ours = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"unknown"}}"#;
    for reply in [
        Reply::json("404 Not Found", ours),
        Reply::json("400 Bad Request", ours),
        Reply::json("200 OK", &format!(r#"[{{"jsonrpc":"2.0","method":"n"}},{ours}]"#)),
        Reply::events(&format!("data: garbage\n\nevent: other\ndata: {ours}\n\ndata: {ours}\n\n")),
    ] {
        let server = Script::mcp(move |asked| {
            let Reply::Raw(bytes) = &reply else { unreachable!("built above") };
            let text = String::from_utf8_lossy(bytes);
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            let body = body.replace("ID", &asked.id().to_string());
            let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("content-length")).collect();
            let length = body.len();
            Reply::Raw(format!("{}\r\ncontent-length: {length}\r\n\r\n{body}", head.join("\r\n")).into_bytes())
        });
        let target = http(&server.url, HttpKind::Streamable);
        let session = Session::connect(target, Options::default()).await.expect("connects");
        let answer = session.request("x", None).await.expect("an answer");
        assert_eq!(answer.into_result().expect_err("an error").code, -32601);
    }
}

#[tokio::test]
async fn a_server_that_hangs_costs_only_the_time_that_was_given() {
    let reply = Reply::Hang(format!("{EVENT_STREAM}: wait\n\n").into_bytes());
    let server = Script::mcp(move |_| reply.clone());
    let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Streamable), options).await.expect("connects");
    let error = timeout(PATIENCE, session.request("x", None)).await.expect("in time").expect_err("no answer");
    assert!(error.is_timeout());
    assert!(error.to_string().ends_with("no answer to `x` within 200ms"), "{error}");

    let silent = Script::serve(|_| Reply::Hang(Vec::new()));
    let options = Options { connect_timeout: Duration::from_millis(200), ..Options::default() };
    let connect = Session::connect(http(&silent.url, HttpKind::Detect), options);
    assert!(timeout(PATIENCE, connect).await.expect("in time").expect_err("no session").is_timeout());
}

#[tokio::test]
async fn nobody_at_the_port_is_told_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/mcp?key=secret", listener.local_addr().expect("an address"));
    drop(listener);
    let error = Session::connect(http(&url, HttpKind::Detect), Options::default()).await.expect_err("nobody there");
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(error.is_connect());
    let told = error.to_string();
    assert!(told.contains("cannot connect: Connection refused"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_bad_handshake_is_refused() {
    let result = |revision: &str| format!(r#""result":{{"protocolVersion":"{revision}","capabilities":{{}}}}"#);
    let error = r#""error":{"code":1,"message":"go away"}"#.to_owned();
    for (outcome, headers, text) in [
        (result("2031-01-01"), "", "speaks MCP revision `2031-01-01`"),
        (result("2026-07-28"), "", "speaks MCP revision `2026-07-28`"),
        (result("2025-06-18"), "mcp-session-id: a b\r\n", "`Mcp-Session-Id` holds something else"),
        (r#""result":{}"#.to_owned(), "", "answered `initialize` wrongly"),
        (error, "", "refused `initialize`: go away (code 1)"),
    ] {
        let headers = format!("content-type: application/json\r\n{headers}");
        let server = Script::serve(move |asked| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, asked.id());
            Reply::with("200 OK", &headers, &body)
        });
        let connect = Session::connect(http(&server.url, HttpKind::Detect), Options::default());
        let error = connect.await.expect_err("no session");
        assert!(error.to_string().contains(text), "expected: {text}\ngot: {error}");
    }
}
