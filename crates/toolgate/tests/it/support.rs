//! What the integration tests stand on: a running gateway, its callers, a scripted MCP server, and real peers.

mod authority;
mod aws;
mod caller;
mod config;
pub(crate) mod conformance;
mod fake;
mod fault_proxy;
mod fixture;
mod gateway;
mod group;
mod http;
mod idp;
mod key_proxy;
mod modern;
mod obliging;
mod peers;
pub(crate) mod people;
mod plan;
pub(crate) mod postgres;
mod process;
pub(crate) mod redis;
mod rest_service;
mod resumable;
mod rmcp_client;
mod sample;
mod shell;
mod stores;
mod tenants;
mod tls_front;

pub(crate) use authority::{AuthorizationServer, CLIENT_SECRET, Guarded};
pub(crate) use aws::{Aws, KEY_ID, KEY_SECRET, ROLE, WEB_IDENTITY};
pub(crate) use caller::{Answer, Caller, initialize};
pub(crate) use config::{Config, Entry, config};
pub(crate) use fake::{FakeMcp, Script, Scripted, Seen, Talk, script, tool};
pub(crate) use fault_proxy::{Direction, End, Fault, FaultProxy};
pub(crate) use fixture::{Era, Fixture};
pub(crate) use gateway::{MASTER_KEY, TestGateway};
pub(crate) use group::signal_kill;
pub(crate) use http::{EventStream, Reply};
pub(crate) use idp::{FakeIdp, SigningKey, no_signature, unsigned};
pub(crate) use key_proxy::KeyProxy;
pub(crate) use modern::{MODERN, Modern};
pub(crate) use obliging::{Lifecycle, Obliging};
pub(crate) use peers::{
    NodeSdk, Prism, PythonSdk, Server, answering_node_client, answering_python_client, api_tool, everything,
    mcp_server_git, mcp_server_time, modern_node_client, node_client, oas_examples, python_client, sdk_server,
};
pub(crate) use people::People;
pub(crate) use plan::{Plan, Step, Target, same_initialize, timeless, without_prefix};
pub(crate) use process::Process;
pub(crate) use rest_service::RestService;
pub(crate) use resumable::Resumable;
pub(crate) use rmcp_client::rmcp_client;
pub(crate) use sample::sample;
pub(crate) use shell::{chatty, teller};
pub(crate) use stores::{key_of, memory};
pub(crate) use tenants::Tenants;
pub(crate) use tls_front::TlsFront;

use std::time::{Duration, Instant};

/// How long a test waits for anything that must happen; only a failing test ever waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`, at most [`PATIENCE`]; `what` is said when it does not end.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}

/// Asks until it is so. The promise is that a change is in force everywhere within a second, so that whoever asks later
/// than that gets the new answer; how long an answer takes on a busy machine is no part of it.
pub(crate) async fn within_a_second(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let changed = Instant::now();
    loop {
        let asked = changed.elapsed();
        if is_so().await {
            return;
        }
        assert!(asked < Duration::from_secs(1), "{what}: still not so when it was asked after {asked:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
