//! Revision 2026-07-28 over HTTP, against a script where its words matter, and against the official Rust SDK.

use std::sync::Arc;

use http::HeaderValue;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use toolgate_client::{
    Call, ClientFacts, Delivery, Era, Format, HttpKind, Options, Problem, Reply as Answered, Session, Transport,
    load_mcp_tools,
};
use toolgate_mcp::version::Revision;

use crate::support::calculator::Calculator;
use crate::support::script::{Asked, EVENT_STREAM, Reply, Script, error, result};
use crate::support::{PATIENCE, http, listening, next};

async fn connect(server: &Script) -> Session {
    Session::connect(http(&server.url, HttpKind::Detect), Options::default()).await.expect("connects")
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).expect("JSON")
}

#[tokio::test]
async fn every_request_says_who_asks_and_what() {
    let mut server = Script::modern(|asked| {
        let id = asked.id();
        let headers = "content-type: application/json\r\nmcp-session-id: never\r\n";
        Reply::with(
            "200 OK",
            headers,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete"}}}}"#),
        )
    });
    let session = connect(&server).await;
    let facts = session.server();
    assert!(session.is_modern());
    assert_eq!((facts.revision, facts.transport), (Revision::V2026_07_28, Transport::Streamable));
    assert_eq!(facts.instructions.as_deref(), Some("Go on"));
    assert_eq!(facts.capabilities.get(), r#"{"tools":{}}"#);
    assert_eq!(facts.server_info.as_ref().expect("stamped").get(), r#"{"name":"script","version":"2"}"#);
    assert_eq!(facts.supported_versions, ["2026-07-28"]);
    assert!(!facts.has_session_id);

    let mut call = Call::default();
    call.headers.insert("mcp-param-region", HeaderValue::from_static("eu"));
    call.headers.insert("mcp-name", HeaderValue::from_static("forged"));
    let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
    call.meta = Some(Arc::new(ClientFacts {
        capabilities: raw(r#"{"elicitation":{}}"#),
        client_info: Some(raw(r#"{"name":"agent"}"#)),
        log_level: Some("info".to_owned()),
    }));
    let params = r#"{"name":"größe","arguments":{"n":1.50},"_meta":{"progressToken":1}}"#;
    session.request_with("tools/call", Some(params), &call).await.expect("an answer");
    session.request("tools/list", None).await.expect("an answer");
    session.listen();
    session.close().await;

    let discover = server.next().await;
    assert_eq!(discover.header("mcp-method"), Some("server/discover"));
    assert_eq!(discover.header("mcp-protocol-version"), Some("2026-07-28"));
    let meta = &body(&discover)["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "toolgate-client");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));

    let called = server.next().await;
    assert_eq!(called.header("mcp-method"), Some("tools/call"));
    assert_eq!(called.header("mcp-name"), Some("=?base64?Z3LDtsOfZQ==?="));
    assert_eq!(called.header("mcp-param-region"), Some("eu"));
    assert_eq!(called.header("mcp-session-id"), None);
    assert!(called.body.contains(r#","arguments":{"n":1.50},"#), "{}", called.body);
    assert!(called.body.contains(r#""progressToken":1"#), "{}", called.body);
    assert!(called.body.contains(r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}"#));
    assert!(called.body.contains(r#""io.modelcontextprotocol/logLevel":"info""#));

    let listed = server.next().await;
    assert_eq!((listed.header("mcp-method"), listed.header("mcp-name")), (Some("tools/list"), None));
    assert!(server.asked.try_recv().is_err(), "no GET, no DELETE");
}

#[tokio::test]
async fn parameters_that_cannot_carry_metadata_are_not_sent() {
    let mut server = Script::modern(|asked| result(asked, "{}"));
    let session = connect(&server).await;
    let refused = session.request("x", Some("[1]")).await.expect_err("an array");
    assert_eq!(refused.delivery(), Delivery::NotSent);
    assert!(refused.to_string().contains("the parameters of `x` cannot be used"), "{refused}");
    assert!(!session.is_closed());
    server.next_of("server/discover").await;
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_broken_stream_is_not_resumed_and_a_servers_requests_are_not_answered() {
    let mut server = Script::modern(|asked| match asked.what().as_str() {
        "breaks" => Reply::Close(format!("{EVENT_STREAM}id: 1\nretry: 1\ndata: \n\n").into_bytes()),
        _ => Reply::events(&format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"roots/list\"}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n",
            asked.id()
        )),
    });
    let session = connect(&server).await;
    let broken = session.request("breaks", None).await.expect_err("no answer");
    assert_eq!((broken.delivery(), broken.session_lost()), (Delivery::Unknown, false), "{broken}");
    session.request("asks", None).await.expect("an answer");
    session.request("last", None).await.expect("an answer");
    let seen = [
        server.next().await.what(),
        server.next().await.what(),
        server.next().await.what(),
        server.next().await.what(),
    ];
    assert_eq!(seen, ["server/discover", "breaks", "asks", "last"]);
}

#[tokio::test]
async fn an_error_of_a_modern_server_is_an_answer() {
    let server = Script::modern(|asked| match asked.what().as_str() {
        "nope" => error(asked, "404 Not Found", -32601, "unknown"),
        "mismatch" => error(asked, "400 Bad Request", -32020, "headers"),
        "missing" => error(asked, "400 Bad Request", -32021, "capability"),
        _ => error(asked, "400 Bad Request", -32602, "params"),
    });
    let session = connect(&server).await;
    for (method, code) in [("nope", -32601), ("mismatch", -32020), ("missing", -32021), ("x", -32602)] {
        let answer = session.request(method, None).await.expect("an answer");
        assert_eq!(answer.into_result().expect_err("an error").code, code);
        assert!(!session.is_closed());
    }
}

#[tokio::test]
async fn a_large_answer_is_streamed() {
    let filler = "x".repeat(400 * 1024);
    let server = Script::modern(move |asked| result(asked, &format!("\"{filler}\"")));
    let session = connect(&server).await;
    let reply = session.request_streaming("x", None, &Call::default()).await.expect("an answer");
    assert!(matches!(reply, Answered::Streamed(_)));
}

const FILTER: &str = r#"{"notifications":{"toolsListChanged":true}}"#;

/// The beginning of the stream of a subscription.
fn acknowledged(asked: &Asked) -> String {
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}"#, asked.id());
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"toolsListChanged":true}},{meta}}}}}"#
    );
    let changed = format!(r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{{meta}}}}}"#);
    format!("data: {acknowledged}\n\ndata: {changed}\n\n")
}

#[tokio::test]
async fn a_subscription_is_acknowledged_heard_and_ended_by_the_server() {
    let mut server = Script::modern(|asked| {
        let end = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete"}}}}"#, asked.id());
        Reply::events(&format!("{}data: {end}\n\n", acknowledged(asked)))
    });
    let (options, mut elsewhere) = listening();
    let session = Session::connect(http(&server.url, HttpKind::Detect), options).await.expect("connects");
    let (own, mut heard) = listening();
    let listening = session.subscribe(FILTER, own.events).await.expect("acknowledged");
    assert!(String::from_utf8_lossy(listening.acknowledged()).contains(r#"{"toolsListChanged":true}"#));
    assert_eq!(next(&mut heard).await.0, "notifications/tools/list_changed");
    timeout(PATIENCE, listening.ended()).await.expect("in time").expect("it ended well");
    timeout(PATIENCE, listening.ended()).await.expect("in time").expect("asked twice, told twice");
    assert!(elsewhere.try_recv().is_err());
    server.next().await;
    let asked = server.next().await;
    assert_eq!(asked.header("mcp-method"), Some("subscriptions/listen"));
    assert_eq!(body(&asked)["params"]["notifications"]["toolsListChanged"], true);
}

#[tokio::test]
async fn a_subscription_that_breaks_is_refused_or_hangs_is_told_apart() {
    let server = Script::modern(|asked| match body(asked)["params"]["how"].as_str() {
        Some("breaks") => Reply::Close(format!("{EVENT_STREAM}{}", acknowledged(asked)).into_bytes()),
        Some("refused") => error(asked, "404 Not Found", -32601, "no such method"),
        Some("ends") => result(asked, "{}"),
        _ => Reply::Hang(EVENT_STREAM.as_bytes().to_vec()),
    });
    let options = Options { timeout: Duration::from_millis(500), ..Options::default() };
    let session = Session::connect(http(&server.url, HttpKind::Detect), options).await.expect("connects");
    let events = || listening().0.events;
    let broken = session.subscribe(r#"{"how":"breaks"}"#, events()).await.expect("acknowledged");
    let broken = timeout(PATIENCE, broken.ended()).await.expect("in time").expect_err("it broke");
    assert!(matches!(broken.problem(), Problem::StreamEnded { .. }), "{broken}");
    let refused = session.subscribe(r#"{"how":"refused"}"#, events()).await.expect_err("refused");
    assert!(refused.to_string().contains("refused `subscriptions/listen`: no such method (code -32601)"), "{refused}");
    let ended = session.subscribe(r#"{"how":"ends"}"#, events()).await.expect_err("not acknowledged");
    assert!(ended.to_string().contains("it ended without having been acknowledged"), "{ended}");
    assert!(session.subscribe("{}", events()).await.expect_err("silence").is_timeout());
    assert!(!session.is_closed());
}

#[tokio::test]
async fn a_legacy_server_has_no_subscriptions() {
    let server = Script::mcp(|_| Reply::accepted());
    let session = connect(&server).await;
    let error = session.subscribe(FILTER, listening().0.events).await.expect_err("legacy");
    assert!(
        error
            .to_string()
            .ends_with("`subscriptions/listen` needs MCP revision 2026-07-28, which this server does not speak"),
        "{error}"
    );
}

#[tokio::test]
async fn a_real_server_is_spoken_with_in_both_eras() {
    let url = Calculator::new().0.serve(true).await;
    for (era, modern) in [(Era::Detect, true), (Era::Modern, true), (Era::Legacy, false)] {
        let options = Options { era, ..Options::default() };
        let session = Session::connect(http(&url, HttpKind::Detect), options).await.expect("connects");
        assert_eq!(session.is_modern(), modern, "{era:?}");
        assert_eq!(session.server().instructions.as_deref(), Some("Adds numbers"));
        assert!(session.server().capabilities.get().contains("tools"));
        assert_eq!(load_mcp_tools(&session, Format::Mcp).await.expect("tools").len(), 4);
        let params = r#"{"name":"sum","arguments":{"a":1,"b":2}}"#;
        let answer = session.request("tools/call", Some(params)).await.expect("an answer");
        assert!(answer.into_result().expect("a result").contains("\"3\""));
        session.close().await;
    }
}

#[tokio::test]
async fn progress_comes_to_the_call_that_it_belongs_to() {
    let url = Calculator::new().0.serve(true).await;
    let (options, mut elsewhere) = listening();
    let session = Session::connect(http(&url, HttpKind::Detect), options).await.expect("connects");
    let (own, mut heard) = listening();
    let mut call = Call::default();
    call.events = Some(own.events);
    let params = r#"{"name":"progress","_meta":{"progressToken":"t-1"}}"#;
    session.request_with("tools/call", Some(params), &call).await.expect("an answer");
    assert_eq!(next(&mut heard).await.0, "notifications/progress");
    assert!(elsewhere.try_recv().is_err());
}
