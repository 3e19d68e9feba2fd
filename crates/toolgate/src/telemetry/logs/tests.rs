use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::with_default;
use tracing::{debug, info, info_span, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::telemetry::request_id;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What `work` logs.
fn logged(format: Format, work: impl FnOnce()) -> String {
    let written = Written::default();
    let subscriber =
        tracing_subscriber::registry().with(EnvFilter::new("info")).with(LogLayer::new(format, false, written.clone()));
    with_default(subscriber, work);
    let bytes = written.0.lock().expect("no panic").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_json_line_carries_the_fields_of_the_spans_around_it() {
    let text = logged(Format::Json, || {
        let outer = info_span!("request", request_id = "r-1", tool.name = "outer", status = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("status", 200);
        let _inner = info_span!("call", tool.name = "inner").entered();
        warn!(duration_ms = 1.5, ok = true, "server `{}` is slow", "git");
        debug!("not at this level");
    });
    assert_eq!(text.lines().count(), 1);
    let line: Value = serde_json::from_str(&text).expect("JSON");
    for (field, expected) in [
        ("level", Value::from("WARN")),
        ("msg", Value::from("server `git` is slow")),
        ("request_id", Value::from("r-1")),
        ("tool.name", Value::from("inner")),
        ("status", Value::from(200)),
        ("duration_ms", Value::from(1.5)),
        ("ok", Value::from(true)),
    ] {
        assert_eq!(line[field], expected, "{field} in {text}");
    }
    assert!(line["target"].as_str().is_some_and(|target| target.starts_with("toolgate::")), "{text}");
    assert_eq!(line["ts"].as_str().map(str::len), Some("2026-11-22T10:06:22.123Z".len()));
}

#[test]
fn a_line_names_the_request_that_it_is_about() {
    let id = http::HeaderValue::from_static("r-1");
    let text = logged(Format::Json, || {
        futures_util::FutureExt::now_or_never(request_id::scope(id, async { warn!("slow") }));
        warn!("idle");
    });
    let ids = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["request_id"].take());
    assert_eq!(ids.collect::<Vec<_>>(), [Value::from("r-1"), Value::Null]);
}

#[test]
fn no_value_breaks_out_of_its_line() {
    let evil = "a\nINFO forged\x1b[2J\u{202e}";
    let work = || info!(name = evil, "said {evil}");
    let json = logged(Format::Json, work);
    assert_eq!((json.lines().count(), json.contains('\x1b')), (1, false), "{json}");
    let pretty = logged(Format::Pretty, work);
    assert_eq!((pretty.lines().count(), pretty.contains(['\x1b', '\u{202e}'])), (1, false), "{pretty}");
}

#[test]
fn a_plain_line_reads_well() {
    let text = logged(Format::Pretty, || info!(server.name = "git", why = "two words", "server is up"));
    let (_, rest) = text.split_once("Z ").expect("a time");
    assert_eq!(rest, "INFO  server is up server.name=git why=\"two words\" (toolgate::telemetry::logs::tests)\n");
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    let error = Outer(io::Error::other("inner"));
    let text = logged(Format::Pretty, || info!(error = &error as &dyn std::error::Error, "it failed"));
    assert!(text.contains("it failed error=\"outer: inner\""), "{text}");
}

#[test]
fn a_field_that_is_called_like_one_of_ours_is_told_apart() {
    let text = logged(Format::Json, || info!(level = "high", msg = "b", "a"));
    let line: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&line["msg"], &line["field.msg"], &line["field.level"]), (&"a".into(), &"b".into(), &"high".into()));
}

#[test]
fn the_flag_goes_before_rust_log_and_that_before_litellm_log() {
    let check = |flag: Option<&str>, rust: Option<&str>, litellm: Option<&str>| {
        let variable = |name: &str| if name == "RUST_LOG" { rust } else { litellm }.map(str::to_owned);
        filter(flag, variable, "info").map(|filter| filter.to_string())
    };
    // The filter prints its directives in an order of its own.
    let has = |filter: Result<String, BadFilter>, directive: &str| {
        let text = filter.expect("readable");
        assert!(text.split(',').any(|part| part == directive), "{directive} in {text}");
    };
    has(check(None, None, None), "toolgate=info");
    has(check(None, None, Some("WARNING")), "toolgate=warn");
    has(check(None, Some("hyper=trace"), Some("DEBUG")), "hyper=trace");
    has(check(Some("debug"), Some("error"), None), "toolgate=debug");
    has(check(Some("debug"), None, None), "warn");

    let error = check(Some("verbos"), None, None).expect_err("not a level");
    assert_eq!(error.to_string(), "log filter `verbos` from --log-level cannot be read");
    assert!(check(None, Some("toolgate=loud"), None).is_err());
}
