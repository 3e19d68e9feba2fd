//! What travels in headers beside the body, and the URIs of user interfaces.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{FakeMcp, Modern, Scripted, TestGateway, config, script, tool};

fn marked() -> Value {
    let region = json!({"type": "string", "x-mcp-header": "Region"});
    json!({"name": "t", "inputSchema": {"type": "object", "properties": {"region": region}}})
}

#[tokio::test]
async fn marked_arguments_must_be_in_their_headers_and_reach_a_server_that_knows_them() {
    let list = || script().on("tools/list", Scripted::Pages("tools", vec![vec![marked()]]));
    let (old, new) = (FakeMcp::start(list()).await, FakeMcp::start(list().modern()).await);
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
async fn a_tool_that_marks_other_arguments_by_now_is_called_once_more_with_their_headers() {
    let listed = |tool: Value| Scripted::Pages("tools", vec![vec![tool]]);
    let refused = || Scripted::Error(-32020, "Mcp-Param-Region is missing");
    let lists = Scripted::InTurn(vec![listed(tool("t")), listed(marked())]);
    let calls = Scripted::InTurn(vec![refused(), Scripted::text("done"), refused()]);
    let fake = FakeMcp::start(script().modern().on("tools/list", lists).on("tools/call", calls)).await;
    let gate = TestGateway::start(config().server("s", fake.entry())).await;
    let admin = gate.admin();
    assert_eq!(admin.call("s-t", json!({"region": "nord"})).await.tool_text(), "done");
    let sent = fake.seen_of("tools/call");
    let headers: Vec<_> = sent.iter().map(|seen| seen.header("mcp-param-region")).collect();
    assert_eq!(headers, [None, Some("nord")]);
    let given_up = admin.call("s-t", json!({"region": "nord"})).await;
    assert_eq!((given_up.error_code(), fake.count_of("tools/call")), (-32603, 4), "{given_up:?}");
    let given_up = Modern::new(&admin).with("mcp-param-region", "nord").call("s-t", json!({"region": "nord"})).await;
    assert_eq!((given_up.error_code(), fake.count_of("tools/call")), (-32603, 6), "{given_up:?}");
}

#[tokio::test]
async fn codes_of_2026_07_28_reach_no_older_client_and_those_of_older_servers_are_their_own() {
    let wants_sampling = || Scripted::Error(-32021, "sampling is needed");
    let modern = script().modern().tools(&["t"]).on("tools/call", wants_sampling()).on("prompts/get", wants_sampling());
    let prompts = Scripted::Pages("prompts", vec![vec![json!({"name": "p"})]]);
    let discovered = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "prompts": {}}});
    let modern = modern.on("prompts/list", prompts).on("server/discover", Scripted::Result(discovered.to_string()));
    let older = script().tools(&["t"]).on("tools/call", Scripted::Error(-32020, "the disk is full"));
    let (new, old) = (FakeMcp::start(modern).await, FakeMcp::start(older).await);
    let gate = TestGateway::start(config().server("new", new.entry()).server("old", old.entry())).await;
    let admin = gate.admin();
    for asked in [admin.call("new-t", json!({})).await, admin.rpc("prompts/get", json!({"name": "new-p"})).await] {
        assert_eq!(asked.error_code(), -32602, "{asked:?}");
    }
    // It may have run, and an older server knows nothing of headers: the call is not sent again.
    let own = admin.call("old-t", json!({})).await;
    assert_eq!((own.error_code(), own.error_message()), (-32020, "the disk is full"));
    assert_eq!(old.count_of("tools/call"), 1);
}

#[tokio::test]
async fn what_a_server_of_the_revision_asks_passes_untouched_both_ways() {
    let asking = json!({
        "resultType": "input_required",
        "inputRequests": {"k": {"method": "roots/list", "params": {}}},
        "requestState": "the server's own",
    });
    let script = script().modern().tools(&["t"]).on("tools/call", Scripted::Result(asking.to_string()));
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
