use std::future::IntoFuture;

use axum::Router;
use axum::routing::get;
use http::StatusCode;

use super::*;
use crate::cli::Exit;

#[test]
fn a_host_is_an_address_or_a_name() {
    assert_eq!(host("0.0.0.0"), Ok([0, 0, 0, 0].into()));
    assert_eq!(host("[::1]"), host("::1"));
    assert!(host("localhost").expect("every machine has it").is_loopback());
    assert!(host("no such name").is_err());
}

/// What `--health` says about a gateway that answers readiness with `status`.
async fn ask(status: StatusCode) -> Result<Exit, Failure> {
    let router = Router::new().route("/health/readiness", get(move || async move { (status, "{}") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut server = tokio::task::JoinSet::new();
    server.spawn(axum::serve(listener, router).into_future());
    health::ask(SocketAddr::new([0, 0, 0, 0].into(), address.port()), &Output::kept()).await
}

#[tokio::test]
async fn health_is_ok_not_ready_or_unreachable() {
    assert_eq!(ask(StatusCode::OK).await, Ok(Exit::Ok));
    assert_eq!(ask(StatusCode::SERVICE_UNAVAILABLE).await.expect_err("not ready").exit, Exit::Unexpected);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let failure = health::ask(address, &Output::kept()).await.expect_err("nobody listens");
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.message.contains("refused"), "{failure}");
}
