//! Real clients that answer what a real server asks them: through the gate each sees what it sees without it.

use serde_json::Value;

use crate::support::{
    MASTER_KEY, PythonSdk, Server, Target, TestGateway, answering_node_client, answering_python_client, config,
    everything,
};

#[derive(Debug, Clone, Copy)]
enum Client {
    Python1,
    Python2,
    Node,
}

impl Client {
    async fn run(self, target: &Target, prefix: &str) -> Value {
        match self {
            Self::Python1 => answering_python_client(PythonSdk::One, target, prefix).await,
            Self::Python2 => answering_python_client(PythonSdk::Two, target, prefix).await,
            Self::Node => answering_node_client(target, prefix).await,
        }
    }
}

/// What the client was told of a request's progress. The server sends the last of four about when it answers, and it may
/// come too late.
fn progress(seen: &Value) -> Vec<Value> {
    seen["progress"].as_array().expect("an account has progress").iter().take(3).cloned().collect()
}

async fn same_through_the_gate(client: Client, server: Server, path: &str) {
    let direct = client.run(&server.direct, "").await;
    assert_eq!(direct["asked"].as_array().map(Vec::len), Some(2), "it was asked twice: {direct}");
    assert_eq!(progress(&direct).len(), 3, "it was told how far it was: {direct}");
    let gate = TestGateway::start(config().server("peer", server.entry.clone())).await;
    let url = gate.url(path);
    let target = if path == "/sse" { Target::sse(&url) } else { Target::streamable(&url) };
    let through = client.run(&target.with("x-litellm-api-key", MASTER_KEY), "peer-").await;
    for part in ["names", "asked", "results"] {
        assert_eq!(direct[part], through[part], "{part}");
    }
    assert_eq!(progress(&direct), progress(&through));
    gate.stop().await;
}

macro_rules! answers_on_every_way {
    ($($client:ident: $kind:expr;)*) => {$(
        mod $client {
            use super::*;

            #[tokio::test]
            async fn answers_server_everything_over_stdio() {
                same_through_the_gate($kind, everything::stdio(), "/mcp").await;
            }

            #[tokio::test]
            async fn answers_server_everything_over_sse() {
                same_through_the_gate($kind, everything::sse().await, "/mcp").await;
            }

            #[tokio::test]
            async fn answers_server_everything_over_streamable_http() {
                same_through_the_gate($kind, everything::streamable().await, "/mcp").await;
            }

            #[tokio::test]
            async fn answers_server_everything_from_the_first_transport() {
                same_through_the_gate($kind, everything::streamable().await, "/sse").await;
            }
        }
    )*};
}

answers_on_every_way! {
    python_sdk_1: Client::Python1;
    python_sdk_2: Client::Python2;
    typescript_sdk: Client::Node;
}
