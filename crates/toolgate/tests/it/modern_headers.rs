//! What travels in headers beside the body, and the URIs of user interfaces.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{FakeMcp, Modern, Script, Scripted, TestGateway, config, script};

fn marked() -> Value {
    let region = json!({"type": "string", "x-mcp-header": "Region"});
    json!({"name": "t", "inputSchema": {"type": "object", "properties": {"region": region}}})
}

fn of_2026_07_28(script: Script) -> Script {
    let discovered = json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "ttlMs": 0,
        "cacheScope": "private",
    });
    script.without_sessions().on("server/discover", Scripted::Result(discovered.to_string()))
}

#[tokio::test]
async fn marked_arguments_must_be_in_their_headers_and_reach_a_server_that_knows_them() {
    let list = || script().on("tools/list", Scripted::Pages("tools", vec![vec![marked()]]));
    let (old, new) = (FakeMcp::start(list()).await, FakeMcp::start(of_2026_07_28(list())).await);
    let gate = TestGateway::start(config().server("old", old.entry()).server("new", new.entry())).await;
    let client = Modern::new(&gate.admin()).with("mcp-param-other", "x");
    for (server, fake) in [("old", &old), ("new", &new)] {
        let tool = format!("{server}-t");
        for header in ["north", "=?base64?!?="] {
            let wrong = client.clone().with("mcp-param-region", header).call(&tool, json!({"region": "süd"})).await;
            assert_eq!((wrong.http.status, wrong.error_code()), (StatusCode::BAD_REQUEST, -32020), "{header}");
        }
        let missing = client.call(&tool, json!({"region": "süd"})).await;
        assert_eq!((missing.http.status, missing.error_code()), (StatusCode::BAD_REQUEST, -32020));
        assert!(fake.seen_of("tools/call").is_empty());
        let right = client.clone().with("mcp-param-region", "=?base64?c8O8ZA==?=");
        right.call(&tool, json!({"region": "süd"})).await.result();
        client.call(&tool, json!({})).await.result();
    }
    let seen = &new.seen_of("tools/call")[0];
    assert_eq!(seen.header("mcp-param-region"), Some("=?base64?c8O8ZA==?="));
    assert_eq!((seen.header("mcp-param-other"), seen.header("mcp-name")), (Some("x"), Some("t")));
    assert!(old.seen_of("tools/call").iter().all(|seen| seen.header("mcp-param-region").is_none()));
    let plain = gate.admin().call("new-t", json!({"region": "nord"})).await;
    plain.result();
    assert_eq!(new.seen_of("tools/call")[2].header("mcp-param-region"), Some("nord"));
}

#[tokio::test]
async fn what_a_server_of_the_revision_asks_passes_untouched_both_ways() {
    let asking = json!({
        "resultType": "input_required",
        "inputRequests": {"k": {"method": "roots/list", "params": {}}},
        "requestState": "the server's own",
    });
    let script = of_2026_07_28(script().tools(&["t"]).on("tools/call", Scripted::Result(asking.to_string())));
    let fake = FakeMcp::start(script).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    let client = Modern::new(&gate.admin()).capable(json!({"roots": {}}));
    let asked = client.call("s-t", json!({})).await;
    for (key, value) in asking.as_object().unwrap() {
        assert_eq!(&asked.result()[key], value);
    }
    let again = json!({
        "name": "s-t",
        "arguments": {},
        "inputResponses": {"k": {"roots": []}},
        "requestState": "the server's own",
    });
    client.rpc("tools/call", again.clone()).await.result();
    let sent = &fake.seen_of("tools/call")[1].message["params"];
    assert_eq!((&sent["inputResponses"], &sent["requestState"]), (&again["inputResponses"], &again["requestState"]));
    assert_eq!(sent["_meta"]["io.modelcontextprotocol/clientCapabilities"], json!({"roots": {}}));
}

#[tokio::test]
async fn two_user_interfaces_of_one_uri_are_told_apart() {
    let tool = json!({"name": "t", "inputSchema": {"type": "object"}, "_meta": {"ui": {"resourceUri": "ui://view"}}});
    let app = |text: &str| {
        let contents = json!({"contents": [{"uri": "ui://view", "mimeType": "text/html", "text": text}]});
        script()
            .resources(&["ui://view"])
            .on("tools/list", Scripted::Pages("tools", vec![vec![tool.clone()]]))
            .on("resources/read", Scripted::Result(contents.to_string()))
    };
    let (one, two) = (FakeMcp::start(app("1")).await, FakeMcp::start(app("2")).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let client = Modern::new(&gate.admin());
    let tools = client.rpc("tools/list", json!({})).await;
    let resources = client.rpc("resources/list", json!({})).await;
    for (at, (uri, text)) in [("ui://view", "1"), ("ui://two+view", "2")].into_iter().enumerate() {
        assert_eq!(tools.result()["tools"][at]["_meta"]["ui"]["resourceUri"], uri);
        assert_eq!(resources.result()["resources"][at]["uri"], uri);
        let read = client.rpc("resources/read", json!({"uri": uri})).await;
        let content = &read.result()["contents"][0];
        assert_eq!((&content["uri"], &content["text"]), (&json!(uri), &json!(text)));
    }
}
