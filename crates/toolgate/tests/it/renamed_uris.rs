//! Where two servers have a resource of one URI, one of them has another; clients see that one wherever it stands.

use serde_json::{Value, json};

use crate::support::{FakeMcp, Modern, Script, Scripted, TestGateway, config, script};

const OWN: &str = "file:///a";
const VIEW: &str = "ui://view";
const TEMPLATE: &str = "db:///{table}";

/// A server with the same resources as any other of these; what it says is full of their URIs.
fn having() -> Script {
    let link = |uri: &str| json!({"type": "resource_link", "uri": uri, "name": "n", "size": 5});
    let embedded = json!({"type": "resource", "resource": {"uri": OWN, "text": "file:///a stays in texts"}});
    let tool = json!({
        "content": [link(OWN), embedded, link("file:///of-this-one"), link("db:///users")],
        "_meta": {"ui": {"resourceUri": VIEW}},
    });
    let prompt = json!({"messages": [{"role": "user", "content": link(OWN)}]});
    let template = json!({"uriTemplate": TEMPLATE, "name": "tables"});
    script()
        .tools(&["t"])
        .resources(&[OWN, VIEW])
        .on("prompts/list", Scripted::Pages("prompts", vec![vec![json!({"name": "p"})]]))
        .on("resources/templates/list", Scripted::Pages("resourceTemplates", vec![vec![template]]))
        .on("tools/call", Scripted::Result(tool.to_string()))
        .on("prompts/get", Scripted::Result(prompt.to_string()))
        .on("resources/subscribe", Scripted::Result("{}".to_owned()))
        .on("GET", Scripted::Speaks)
}

async fn two() -> (FakeMcp, FakeMcp, TestGateway) {
    let (one, two) = (FakeMcp::start(having()).await, FakeMcp::start(having()).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    (one, two, gate)
}

fn uris(result: &Value) -> Vec<&str> {
    let content = result["content"].as_array().expect("a tool's result has content");
    content
        .iter()
        .map(|block| if block["type"] == "resource" { &block["resource"]["uri"] } else { &block["uri"] })
        .map(|uri| uri.as_str().expect("a URI"))
        .collect()
}

#[tokio::test]
async fn results_of_tools_and_prompts_name_resources_as_they_are_listed() {
    let (_one, _two, gate) = two().await;
    let legacy = gate.admin().initialized_at("/mcp").await;
    let listed = legacy.names("/mcp", "resources/list", "resources", "uri").await;
    assert_eq!(listed, [OWN, VIEW, "two+file:///a", "ui://two+view"]);
    let templates = legacy.names("/mcp", "resources/templates/list", "resourceTemplates", "uriTemplate").await;
    assert_eq!(templates, [TEMPLATE, "two+db:///{table}"]);
    let modern = Modern::new(&gate.admin());
    for answer in [legacy.call("two-t", json!({})).await, modern.call("two-t", json!({})).await] {
        let renamed = ["two+file:///a", "two+file:///a", "file:///of-this-one", "two+db:///users"];
        assert_eq!(uris(answer.result()), renamed);
        assert_eq!(answer.result()["_meta"]["ui"]["resourceUri"], "ui://two+view");
        assert_eq!(answer.result()["content"][1]["resource"]["text"], "file:///a stays in texts");
    }
    for answer in [legacy.call("one-t", json!({})).await, modern.call("one-t", json!({})).await] {
        assert_eq!(uris(answer.result()), [OWN, OWN, "file:///of-this-one", "db:///users"]);
    }
    let params = json!({"name": "two-p"});
    for answer in [legacy.rpc("prompts/get", params.clone()).await, modern.rpc("prompts/get", params).await] {
        assert_eq!(answer.result()["messages"][0]["content"]["uri"], "two+file:///a");
    }
}

#[tokio::test]
async fn a_renamed_resource_is_read_where_a_result_says_so_and_its_errors_name_it() {
    let (one, two, gate) = two().await;
    let legacy = gate.admin().initialized_at("/mcp").await;
    legacy.rpc("resources/list", json!({})).await.result();
    let uri = uris(legacy.call("two-t", json!({})).await.result())[0].to_owned();
    let read = legacy.rpc("resources/read", json!({"uri": uri})).await;
    assert_eq!(read.result()["contents"][0]["uri"], "two+file:///a");
    assert_eq!(
        (one.count_of("resources/read"), two.only("resources/read").message["params"]["uri"].as_str()),
        (0, Some(OWN))
    );

    let gone = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32002,"message":"gone","data":{"uri":"file:///a"}}}"#;
    let empty = FakeMcp::start(having().on("resources/read", Scripted::Raw(gone.to_owned()))).await;
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", empty.entry())).await;
    let params = json!({"uri": "two+file:///a"});
    let legacy = gate.admin().rpc("resources/read", params.clone()).await;
    let modern = Modern::new(&gate.admin()).rpc("resources/read", params).await;
    for answer in [legacy, modern] {
        assert_eq!(answer.error()["data"]["uri"], "two+file:///a");
    }
}

#[tokio::test]
async fn changes_are_told_under_the_uri_that_was_subscribed_to() {
    let (_one, two, gate) = two().await;
    let client = gate.admin().initialized_at("/mcp").await;
    let mut stream = client.open_stream("/mcp").await;
    for uri in ["two+file:///a", "ui://two+view"] {
        client.rpc("resources/subscribe", json!({"uri": uri})).await.result();
    }
    two.came("GET", 2).await;
    let updated =
        |uri: &str| json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    for (own, listed) in [(OWN, "two+file:///a"), ("file:///a/b", "two+file:///a/b"), (VIEW, "ui://two+view")] {
        two.say(&updated(own));
        assert_eq!(stream.message().await["params"]["uri"], listed);
    }
}

#[tokio::test]
async fn a_large_result_passes_as_it_comes_while_no_resource_is_renamed() {
    let big = json!({"content": [{"type": "resource_link", "uri": OWN, "name": "x".repeat(600 * 1024)}]});
    let big = having().on("tools/call", Scripted::Halves { result: big.to_string(), breaks: false });
    let (one, two) = (FakeMcp::start(big).await, FakeMcp::start(script().tools(&["t"])).await);
    let gate = TestGateway::start(config().server("one", one.entry()).server("two", two.entry())).await;
    let client = gate.admin().initialized_at("/mcp").await;
    client.rpc("resources/list", json!({})).await.result();
    // Its head comes although the server has not said all.
    let begun = client.begin_call("one-t", "7").await;
    assert_eq!(begun.status(), 200);
    one.release();
}
