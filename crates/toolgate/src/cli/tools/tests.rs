use std::future::IntoFuture;
use std::net::SocketAddr;

use clap::Parser;
use serde_json::json;

use super::*;
use crate::cli::demo_server::http;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ToolsArgs,
}

async fn demo() -> http::Server {
    http::start(SocketAddr::from(([127, 0, 0, 1], 0)), http::Options::default()).await.expect("a free port")
}

/// What `toolgate tools WORDS --url URL` comes to, and what it prints.
async fn run_line(url: &str, words: &[&str]) -> (Result<Exit, Failure>, Vec<String>) {
    let line = [&["tools"], words, &["--url", url]].concat();
    let args = Line::try_parse_from(line).expect("a command line").args;
    let output = Output::kept();
    let done = Box::pin(run_to_end(&args, &Environment::default(), &output)).await;
    (done, output.lines())
}

async fn prints(url: &str, words: &[&str]) -> Vec<String> {
    let (done, lines) = run_line(url, words).await;
    assert_eq!(done, Ok(Exit::Ok), "{words:?}");
    lines
}

async fn fails(url: &str, words: &[&str]) -> Failure {
    run_line(url, words).await.0.expect_err("it fails")
}

#[tokio::test]
async fn lists_and_calls_tools() {
    let server = demo().await;
    let url = server.url();
    let list = prints(&url, &["ls"]).await;
    assert!(list[0].contains("\nadd\tAdds two numbers\n"), "{list:?}");
    let list: Value = serde_json::from_str(&prints(&url, &["ls", "--json"]).await[0]).expect("JSON");
    assert_eq!(list[3]["outputSchema"]["type"], "object");
    let names = prints(&url, &["ls", "-o", "name"]).await;
    assert_eq!(names, ["echo\nadd\nslow\nweather"]);
    let jsonl = prints(&url, &["ls", "--output", "jsonl"]).await.remove(0);
    let names: Vec<Value> =
        jsonl.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["name"].clone()).collect();
    assert_eq!(names, ["echo", "add", "slow", "weather"]);
    let yaml = prints(&url, &["ls", "-o", "yaml"]).await.remove(0);
    let read: Vec<Value> = serde_saphyr::from_str(&yaml).expect("YAML");
    assert_eq!(json!(read), list);
    assert_eq!(prints(&url, &["call", "add", "--arg", "a=1", "--arg", "b=2"]).await, ["3"]);
    assert_eq!(
        prints(&url, &["call", "echo", "--args-json", r#"{"message":"x"}"#, "--json"]).await,
        [r#"{"content":[{"type":"text","text":"x"}]}"#]
    );
    server.stop().await;
}

#[tokio::test]
async fn each_way_to_fail_has_its_exit_code() {
    let server = demo().await;
    let url = server.url();
    let (done, lines) = run_line(&url, &["call", "add", "--arg", "a=x"]).await;
    assert_eq!(done, Ok(Exit::ToolError));
    assert_eq!(lines, [r#"argument `a` must be a number, not "x""#, "stderr: the tool says that it failed"]);

    assert_eq!(fails(&url, &["call", "nope"]).await.exit, Exit::NotFound);
    assert_eq!(fails(&url, &["call", "add", "--arg", "a"]).await.exit, Exit::Usage);
    assert_eq!(fails(&url.replace("/mcp", "/other"), &["ls"]).await.exit, Exit::NotFound);
    let slow = ["call", "slow", "--arg", "delay_ms=60000", "--timeout", "1"];
    assert_eq!(fails(&url, &slow).await.code, "timeout");
    server.stop().await;
    assert_eq!(fails(&url, &["ls"]).await.exit, Exit::Unreachable);
}

#[tokio::test]
async fn a_server_that_wants_a_key_is_an_auth_failure_and_says_what_to_do() {
    let refuse = || async { (::http::StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]) };
    let router = axum::Router::new().fallback(refuse);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("bound"));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(axum::serve(listener, router).into_future());
    let failure = fails(&url, &["ls", "--key", "wrong"]).await;
    assert_eq!((failure.exit, failure.code), (Exit::Auth, "unauthorized"), "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("refused")));
    assert!(!failure.message.contains("wrong"), "{}", failure.message);
}
