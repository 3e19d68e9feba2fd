use std::future::IntoFuture;
use std::net::SocketAddr;

use clap::Parser;

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

/// What `toolgate tools WORDS --url URL` comes to.
async fn run_line(url: &str, words: &[&str]) -> Result<Exit, Failure> {
    let line = [&["tools"], words, &["--url", url]].concat();
    let args = Line::try_parse_from(line).expect("a command line").args;
    let environment = Environment::default();
    Box::pin(run_to_end(&args, &environment, &Output::of_process(&environment))).await
}

#[tokio::test]
async fn lists_and_calls_tools() {
    let server = demo().await;
    let url = server.url();
    assert_eq!(run_line(&url, &["ls"]).await, Ok(Exit::Ok));
    assert_eq!(run_line(&url, &["ls", "--json"]).await, Ok(Exit::Ok));
    assert_eq!(run_line(&url, &["call", "add", "--arg", "a=1", "--arg", "b=2"]).await, Ok(Exit::Ok));
    assert_eq!(run_line(&url, &["call", "echo", "--args-json", r#"{"message":"x"}"#, "--json"]).await, Ok(Exit::Ok));
    server.stop().await;
}

#[tokio::test]
async fn each_way_to_fail_has_its_exit_code() {
    let server = demo().await;
    let url = server.url();
    assert_eq!(run_line(&url, &["call", "add", "--arg", "a=x"]).await, Ok(Exit::ToolError));
    let exit = |done: Result<Exit, Failure>| done.expect_err("it fails").exit;
    assert_eq!(exit(run_line(&url, &["call", "nope"]).await), Exit::NotFound);
    assert_eq!(exit(run_line(&url, &["call", "add", "--arg", "a"]).await), Exit::Usage);
    assert_eq!(exit(run_line(&url.replace("/mcp", "/other"), &["ls"]).await), Exit::NotFound);
    let slow = ["call", "slow", "--arg", "delay_ms=60000", "--timeout", "1"];
    assert_eq!(exit(run_line(&url, &slow).await), Exit::Unreachable);
    server.stop().await;
    assert_eq!(exit(run_line(&url, &["ls"]).await), Exit::Unreachable);
}

#[tokio::test]
async fn a_server_that_wants_a_key_is_an_auth_failure_and_says_what_to_do() {
    let refuse = || async { (::http::StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]) };
    let router = axum::Router::new().fallback(refuse);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("bound"));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(axum::serve(listener, router).into_future());
    let failure = run_line(&url, &["ls", "--key", "wrong"]).await.expect_err("it fails");
    assert_eq!((failure.exit, failure.code), (Exit::Auth, "unauthorized"), "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("refused")));
    assert!(!failure.message.contains("wrong"), "{}", failure.message);
}
