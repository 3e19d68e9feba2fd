use std::future::IntoFuture;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::HeaderValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::sync::mpsc;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("no panic").append(&mut batch);
        Ok(())
    }
}

impl Kept {
    fn traces(&self) -> Traces {
        Traces::with_provider(SdkTracerProvider::builder().with_simple_exporter(self.clone()).build())
    }

    fn spans(&self) -> Vec<SpanData> {
        self.0.lock().expect("no panic").clone()
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|pair| pair.key.as_str() == key).map(|pair| pair.value.to_string())
}

fn call(name: &str) -> SpanFacts<'_> {
    SpanFacts { method: "tools/call", name: Some(name), ..SpanFacts::default() }
}

fn headers(traceparent: &str) -> HeaderMap {
    HeaderMap::from_iter([("traceparent".parse().expect("a name"), traceparent.parse().expect("a value"))])
}

#[test]
fn a_call_makes_a_server_span_and_a_client_span_below_it() {
    let kept = Kept::default();
    let facts = SpanFacts {
        request_id: Some("\"r1\""),
        version: Some("2025-11-25"),
        transport: Some("tcp"),
        peer: Some(("127.0.0.1", Some(5000))),
        ..call("git-log")
    };
    let server = kept.traces().server_span(facts, None, &HeaderMap::new());
    let client = server.client_span("git", SpanFacts { peer: None, transport: Some("pipe"), ..call("log") });
    client.finish(Some("-32602"));
    server.finish(None);

    let [client, server] = kept.spans().try_into().expect("two spans");
    assert_eq!((server.name.as_ref(), server.span_kind.clone()), ("tools/call git-log", SpanKind::Server));
    assert_eq!((client.name.as_ref(), client.span_kind.clone()), ("tools/call log", SpanKind::Client));
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    for (key, expected) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "git-log"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "r1"),
        ("mcp.protocol.version", "2025-11-25"),
        ("network.transport", "tcp"),
        ("client.address", "127.0.0.1"),
        ("client.port", "5000"),
    ] {
        assert_eq!(attribute(&server, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(attribute(&server, "error.type"), None);
    for (key, expected) in
        [("toolgate.server.name", "git"), ("error.type", "-32602"), ("rpc.response.status_code", "-32602")]
    {
        assert_eq!(attribute(&client, key).as_deref(), Some(expected), "{key}");
    }
}

#[test]
fn the_parent_is_the_one_in_meta_and_the_header_becomes_a_link() {
    let meta = format!(r#"{{"traceparent":"{PARENT}","tracestate":"vendor=1"}}"#);
    let cases = [
        (Some(meta.as_str()), headers(OTHER), &PARENT[3..35], 1),
        (Some("{}"), headers(OTHER), &OTHER[3..35], 0),
        (Some(r#"{"traceparent":"nonsense"}"#), headers(OTHER), &OTHER[3..35], 0),
        (Some(meta.as_str()), headers("nonsense"), &PARENT[3..35], 0),
    ];
    for (meta, headers, trace, links) in cases {
        let kept = Kept::default();
        kept.traces().server_span(call("a"), meta, &headers).finish(None);
        let span = &kept.spans()[0];
        assert_eq!(span.span_context.trace_id().to_string(), trace);
        assert_eq!(span.links.len(), links);
    }
}

#[test]
fn the_context_goes_into_headers_and_meta_and_nothing_else_changes() {
    let kept = Kept::default();
    let meta = format!(r#"{{"traceparent":"{PARENT}","tracestate":"vendor=1"}}"#);
    let span = kept.traces().server_span(call("a"), Some(&meta), &HeaderMap::new());
    let (trace, id) = span.ids().expect("it is on");
    let ours = format!("00-{trace}-{id}-01");

    let mut headers = headers(OTHER);
    span.inject_headers(&mut headers);
    assert_eq!(
        (&headers["traceparent"], &headers["tracestate"]),
        (&ours.parse().expect("a value"), &HeaderValue::from_static("vendor=1"))
    );

    let inject = |params: &'static str| span.inject_meta(Some(params)).map(Cow::into_owned);
    let state = r#""tracestate":"vendor=1""#;
    for (params, expected) in [
        (
            r#"{"big":1e400, "_meta":{"traceparent":"old","x":[1 ]},"name":"a"}"#,
            format!(r#"{{"big":1e400, "_meta":{{"traceparent":"{ours}","x":[1 ],{state}}},"name":"a"}}"#),
        ),
        (r#"{"name":"a"}"#, format!(r#"{{"name":"a","_meta":{{"traceparent":"{ours}",{state}}}}}"#)),
        ("[1]", "[1]".to_owned()),
        (r#"{"_meta":7}"#, r#"{"_meta":7}"#.to_owned()),
    ] {
        assert_eq!(inject(params), Some(expected));
    }
    let alone = format!(r#"{{"_meta":{{"traceparent":"{ours}",{state}}}}}"#);
    assert_eq!(span.inject_meta(None).as_deref(), Some(alone.as_str()));
}

#[test]
fn what_is_off_changes_nothing() {
    let span = Traces::default().server_span(call("a"), Some("{}"), &headers(OTHER));
    assert!(span.client_span("git", call("a")).ids().is_none());
    let mut headers = HeaderMap::new();
    span.inject_headers(&mut headers);
    assert!(headers.is_empty());
    assert!(matches!(span.inject_meta(Some("{}")), Some(Cow::Borrowed("{}"))));
    assert_eq!(span.inject_meta(None), None);
}

#[test]
fn a_span_that_is_dropped_was_cancelled_and_a_strangers_method_is_no_name() {
    let kept = Kept::default();
    let name = "n".repeat(1_000);
    let facts = SpanFacts { method: "x/y", name: Some(&name), ..SpanFacts::default() };
    drop(kept.traces().server_span(facts, None, &HeaderMap::new()));
    let span = &kept.spans()[0];
    assert_eq!(attribute(span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(span.name.len(), "_OTHER ".len() + MAX_VALUE_CHARS);
}

/// Looks variables up in a list.
fn variables<'a>(list: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[tokio::test]
async fn traces_are_on_only_when_a_collector_is_named() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    for (list, on) in [
        (&[][..], false),
        (&[("OTEL_SERVICE_NAME", "x")], false),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false),
        (&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], false),
        (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], false),
        (&[endpoint], true),
    ] {
        let traces = Traces::from_variables(variables(list)).expect("it can be set up");
        assert_eq!(traces.is_on(), on, "{list:?}");
    }
    let grpc = Traces::from_variables(variables(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]));
    assert!(grpc.expect_err("there is no gRPC").to_string().contains("`grpc` is not supported"));
}

#[tokio::test]
async fn spans_reach_a_collector_over_http() {
    let (tx, mut rx) = mpsc::channel::<Bytes>(4);
    let take = |State(tx): State<mpsc::Sender<Bytes>>, body: Bytes| async move {
        tx.send(body).await.expect("the test listens");
    };
    let router = Router::new().route("/v1/traces", post(take)).with_state(tx);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut collector = tokio::task::JoinSet::new();
    collector.spawn(axum::serve(listener, router).into_future());

    let list = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_SERVICE_NAME", "my-gate")];
    let traces = Traces::from_variables(variables(&list)).expect("it can be set up");
    traces.server_span(call("git-log"), None, &HeaderMap::new()).finish(None);
    traces.shutdown().await;

    let body = rx.recv().await.expect("a batch");
    for name in ["my-gate", "tools/call git-log", "gen_ai.tool.name"] {
        assert!(memchr::memmem::find(&body, name.as_bytes()).is_some(), "{name} is missing");
    }
}
