use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// A server that answers a text of `bytes`, and every `slow_every`th call only after 60 ms.
async fn server(bytes: usize, slow_every: u64) -> (JoinSet<()>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let calls = Arc::clone(&calls);
            let service = service_fn(move |request| answer(request, bytes, slow_every, Arc::clone(&calls)));
            connections.spawn(async move {
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await)
            });
        }
    });
    (tasks, url)
}

async fn answer(
    request: Request<Incoming>,
    bytes: usize,
    slow_every: u64,
    calls: Arc<AtomicU64>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let jsonrpc::Message::Request(request) = jsonrpc::parse(&body).unwrap() else {
        return Ok(Response::builder().status(202).body(Full::default()).unwrap());
    };
    if request.method == "tools/call" && calls.fetch_add(1, Ordering::Relaxed) % slow_every == slow_every - 1 {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let result = json!({ "content": [{ "type": "text", "text": crate::answer::text(bytes) }] });
    Ok(Response::new(Full::new(jsonrpc::result(&request.id, &result.to_string()).into())))
}

async fn load(url: &str, flags: &str) -> Summary {
    let line = format!("load --url {url} --warmup 0 {flags}");
    run(&Line::parse_from(line.split_whitespace()).options).await.unwrap()
}

#[tokio::test]
async fn closed_loop_counts_right_answers_and_measures_the_watched_process() {
    let (_server, url) = server(64, u64::MAX).await;
    let me = std::process::id();
    let summary = load(&url, &format!("--sessions 4 --duration 0.2 --answer-bytes 64 --watch-pid {me}")).await;
    assert_eq!((summary.errors, summary.first_error), (0, None));
    assert!(summary.calls > 4 && summary.p50_us > 0.0 && summary.p50_us <= summary.p99_us);
    assert!(summary.watched_cpu_us_per_call.unwrap() > 0.0);
    assert!(summary.watched_memory.unwrap().resident_bytes > 0);
}

#[tokio::test]
async fn wrong_answers_are_counted_and_the_first_is_told() {
    let (_server, url) = server(63, u64::MAX).await;
    let summary = load(&url, "--sessions 2 --duration 0.1 --answer-bytes 64").await;
    assert_eq!(summary.calls, 0);
    assert!(summary.errors > 0);
    assert!(summary.first_error.unwrap().contains("63 bytes of text where 64"));
}

#[tokio::test]
async fn a_constant_rate_sends_what_it_promises() {
    let (_server, url) = server(64, u64::MAX).await;
    let summary = load(&url, "--sessions 4 --duration 0.5 --rate 200 --answer-bytes 64").await;
    assert_eq!((summary.calls, summary.errors), (100, 0));
}

#[tokio::test]
async fn calls_that_had_to_wait_for_a_slow_one_count_their_waiting() {
    let (_server, url) = server(64, 20).await;
    let summary = load(&url, "--sessions 1 --duration 0.4 --rate 100 --answer-bytes 64").await;
    assert_eq!((summary.calls, summary.errors), (40, 0));
    // Two of forty calls take 60 ms. One that is due 10 ms into that is sent 50 ms late, and its users waited for that.
    assert!(summary.send_delay_p99_us.unwrap() > 30_000.0, "{summary:?}");
    assert!(summary.p99_us > summary.send_delay_p99_us.unwrap(), "{summary:?}");
}
