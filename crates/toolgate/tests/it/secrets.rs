//! Secrets of the configuration appear nowhere: not in answers, logs or metrics, whatever goes wrong.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Aws, Entry, FakeMcp, KEY_ID, Process, ROLE, Reply, Scripted, config, initialize, script};

/// In every secret of the configuration, and in nothing else.
const CANARY: &str = "c4n4ry";

/// The gateway's own key.
const KEY: &str = "sk-c4n4ry-master-2f9d8e7c6b5a43210fedcba987654321";

fn secret(what: &str) -> String {
    format!("sk-{CANARY}-{what}-2f9d8e7c6b5a43210fedcba987654321")
}

fn with_secrets(entry: Entry) -> Entry {
    entry
        .with("auth_type: bearer_token")
        .with(&format!("auth_value: {}", secret("auth")))
        .with(&format!("static_headers: {{x-static: {}}}", secret("static")))
}

fn with_secret_environment(entry: Entry) -> Entry {
    entry.with(&format!("env: {{SECRET: {}}}", secret("env")))
}

/// With keys that AWS does not take, and one of which it repeats in what it says.
fn signed(entry: Entry) -> Entry {
    entry
        .with("auth_type: aws_sigv4")
        .with(&format!("aws_access_key_id: {KEY_ID}"))
        .with(&format!("aws_secret_access_key: {}", secret("aws")))
        .with(&format!("aws_session_token: {}", secret("session")))
}

/// The same URL with a token in it, as some servers have it.
fn with_secret_query(url: &str) -> String {
    format!("{url}?token={}", secret("query"))
}

/// Every way to ask for every server, and the metrics.
async fn everything(process: &Process, key: &str, servers: &[&str]) -> Vec<Reply> {
    let caller = process.caller(key);
    let rpc = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut replies = Vec::new();
    for caller in [caller.clone(), caller.with("x-litellm-mcp-debug", "true"), process.caller("sk-wrong")] {
        for server in servers {
            for message in [
                rpc("initialize", initialize("2025-11-25")),
                rpc("tools/list", json!({})),
                rpc("tools/call", json!({"name": "read", "arguments": {"a": 1}})),
                rpc("tools/call", json!({"name": format!("{server}-read"), "arguments": []})),
                rpc("prompts/get", json!({"name": "x"})),
                rpc("resources/read", json!({"uri": "note://x"})),
            ] {
                replies.push(caller.post(&format!("/mcp/{server}"), message.to_string()).await);
            }
            replies.push(caller.get(&format!("/mcp-rest/tools/list?server_id={server}")).await);
            let body = json!({"server_id": server, "name": "read", "arguments": {}});
            replies.push(caller.post("/mcp-rest/tools/call", body.to_string()).await);
        }
        replies.push(caller.post("/mcp", rpc("tools/list", json!({})).to_string()).await);
        replies.push(caller.get("/mcp-rest/tools/list").await);
    }
    replies.push(process.anonymous().get("/metrics").await);
    replies
}

#[tokio::test]
async fn no_secret_is_in_any_answer_log_line_or_metric() {
    let well = FakeMcp::start(script().tools(&["read"])).await;
    let html = FakeMcp::start(script().on("initialize", Scripted::html())).await;
    let locked = FakeMcp::start(script().on("initialize", Scripted::Http(401, "text/plain", "no".to_owned()))).await;
    let failing = FakeMcp::start(script().tools(&["read"]).on("tools/call", Scripted::Error(-32000, "no"))).await;
    let aws = Aws::before("127.0.0.1:9").await;
    let servers = ["well", "html", "locked", "failing", "dead", "signed", "assumed", "crash", "nothing"];
    let config = config()
        .master_key(KEY)
        .server("well", with_secrets(well.entry()))
        .server("html", with_secrets(Entry::http(&with_secret_query(&html.url()))))
        .server("locked", with_secrets(locked.entry()))
        .server("failing", with_secrets(failing.entry()))
        .server("dead", with_secrets(Entry::http(&with_secret_query("http://127.0.0.1:1/mcp"))))
        .server("signed", signed(Entry::http(&aws.url("/mcp"))))
        .server("assumed", signed(Entry::http(&aws.url("/mcp"))).with(&format!("aws_role_name: {ROLE}")))
        .server("crash", with_secret_environment(Entry::shell("exit 3")))
        .server("nothing", with_secret_environment(Entry::stdio("/no/such/command", &[])));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config.yaml()).unwrap();
    let mut process =
        Process::serve_in(&file, folder.path(), &[("AWS_ENDPOINT_URL_STS", &aws.url("/sts").into())]).await;

    for reply in everything(&process, KEY, &servers).await {
        assert!(!format!("{:?} {}", reply.headers, reply.text()).contains(CANARY), "{reply:?}");
    }
    assert!(well.seen_of("tools/call")[0].header("authorization").unwrap().contains(CANARY), "the upstream gets it");
    process.signal(Signal::TERM);
    let log = process.rest_of_the_log().await;
    assert!(log.contains("stopped"), "{log}");
    let told = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(told, None);
}
