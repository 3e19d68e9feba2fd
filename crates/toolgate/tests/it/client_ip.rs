//! Servers that are there for internal clients only, behind proxies that are believed and proxies that are not.

use serde_json::json;

use crate::support::{Caller, Config, FakeMcp, People, TestGateway, config, script};

async fn servers() -> (Config, FakeMcp) {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let inner = files.entry().with("available_on_public_internet: false");
    (config().server("inner", inner).server("outer", files.entry()), files)
}

async fn sees_inner(caller: &Caller) -> bool {
    let names = caller.tool_names().await;
    assert!(names.contains(&"outer-read".to_owned()), "{names:?}");
    let sees = names.contains(&"inner-read".to_owned());
    let expected = if sees { 200 } else { 404 };
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(caller.post("/mcp/inner", list).await.status, expected, "listing and calling agree");
    sees
}

#[tokio::test]
async fn a_proxy_that_is_trusted_says_where_a_client_is() {
    let (config, _fake) = servers().await;
    let config = config.general("use_x_forwarded_for: true").general("mcp_trusted_proxy_ranges: [127.0.0.0/8]");
    let people = People::new().await;
    let key = people.key("both", json!({ "mcp_servers": ["inner", "outer"] })).await;
    let gate = people.gateway(config.general("mcp_xff_num_trusted_hops: 1")).await;
    let cases = [
        ("10.1.2.3", true),
        ("8.8.8.8, 10.1.2.3", true),
        ("10.0.0.1, 8.8.8.8", false),
        ("127.0.0.1, 8.8.8.8", false),
        ("10.1.2.3, unknown", false),
        ("", false),
    ];
    for (list, expected) in cases {
        for caller in [gate.admin(), gate.holder(&key)] {
            let caller = caller.with("x-forwarded-for", list).with("forwarded", "for=127.0.0.1");
            assert_eq!(sees_inner(&caller).await, expected, "{list}");
        }
    }
    assert!(!sees_inner(&gate.admin()).await, "a proxy that says nothing has a client that nobody knows");
    let told = async |list: &str| {
        gate.admin().with("x-forwarded-for", list).get("/v1/mcp/network/client-ip").await.json()["ip"].clone()
    };
    assert_eq!(told("1.1.1.1, 8.8.8.8").await, json!("8.8.8.8"));
    assert_eq!(told("nonsense").await, json!(null));
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let forging = |gate: &TestGateway| {
        let headers = [("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1"), ("forwarded", "for=10.0.0.1")];
        headers.into_iter().fold(gate.admin(), |caller, (name, value)| caller.with(name, value))
    };
    // The test's own address is external here.
    let external = "mcp_internal_ip_ranges: [10.0.0.0/8]";
    let switched: [&[&str]; 3] = [
        &[external],
        &[external, "use_x_forwarded_for: true"],
        &[external, "use_x_forwarded_for: true", "mcp_trusted_proxy_ranges: [10.9.0.0/16]"],
    ];
    for lines in switched {
        let (config, _fake) = servers().await;
        let gate = TestGateway::start(lines.iter().fold(config, |config, line| config.general(line))).await;
        assert!(!sees_inner(&forging(&gate)).await, "{lines:?}");
        let ip = forging(&gate).get("/v1/mcp/network/client-ip").await.json()["ip"].clone();
        assert_eq!(ip, json!("127.0.0.1"), "{lines:?}");
    }
    let (config, _fake) = servers().await;
    assert!(sees_inner(&forging(&TestGateway::start(config).await)).await, "loopback is internal by default");
}
