//! Tools for programs and models.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use toolgate_client::{CallError, Format, HttpKind, Options, Session, call_openai_tool, load_mcp_tools};

use crate::support::calculator::Calculator;
use crate::support::http;
use crate::support::script::{Reply, Script, error, result};

#[tokio::test]
async fn all_pages_are_loaded_in_both_shapes() {
    let url = Calculator::new().0.serve(true).await;
    let session = Session::connect(http(&url, HttpKind::Streamable), Options::default()).await.expect("connects");
    let tools = load_mcp_tools(&session, Format::Mcp).await.expect("tools");
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["sum", "progress", "header", "slow"]);
    let tools = load_mcp_tools(&session, Format::OpenAi).await.expect("tools");
    assert_eq!(
        tools[0],
        json!({"type": "function", "function": {
            "name": "sum",
            "description": "the tool sum",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "additionalProperties": false,
            },
            "strict": false,
        }})
    );
}

#[tokio::test]
async fn a_models_call_is_carried_out() {
    let url = Calculator::new().0.serve(true).await;
    let session = Session::connect(http(&url, HttpKind::Streamable), Options::default()).await.expect("connects");
    let call =
        |arguments: &str| json!({"id": "c", "type": "function", "function": {"name": "sum", "arguments": arguments}});
    let result = call_openai_tool(&session, &call(r#"{"a":1,"b":2}"#)).await.expect("a result");
    assert_eq!(result["content"][0]["text"], "3");

    for bad in ["{\"a\":", "[1]", "7"] {
        let error = call_openai_tool(&session, &call(bad)).await.expect_err("not an object");
        assert!(matches!(error, CallError::NotACall(_)), "{error}");
        assert!(error.to_string().contains("arguments for tool `sum` are not a JSON object"), "{error}");
    }
    let unknown = json!({"function": {"name": "nope", "arguments": "{}"}});
    let error = call_openai_tool(&session, &unknown).await.expect_err("no such tool");
    assert!(error.to_string().contains("refused `tools/call`: no tool nope (code -32602)"), "{error}");
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    for (cursor, text) in [("\"again\"", "a cursor came a second time"), ("\"ID\"", "more than 1000 pages")] {
        let server = Script::mcp(move |asked| {
            let id = asked.id();
            let cursor = cursor.replace("ID", &id.to_string());
            let result = format!(r#"{{"tools":[{{"name":"t"}}],"nextCursor":{cursor}}}"#);
            Reply::json("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
        });
        let target = http(&server.url, HttpKind::Streamable);
        let session = Session::connect(target, Options::default()).await.expect("connects");
        let error = load_mcp_tools(&session, Format::Mcp).await.expect_err("endless");
        assert!(error.to_string().contains(&format!("`tools/list` does not end: {text}")), "{error}");
    }
}

#[tokio::test]
async fn arguments_that_a_modern_server_wants_in_headers_are_put_there() {
    let list = |header: &str| {
        let schema = |mark: &str| {
            format!(r#"{{"type":"object","properties":{{"region":{{"type":"string","x-mcp-header":"{mark}"}}}}}}"#)
        };
        let tool = |name: &str, mark: &str| format!(r#"{{"name":"{name}","inputSchema":{}}}"#, schema(mark));
        format!(r#"{{"tools":[{},{}]}}"#, tool("query", header), tool("broken", "a b"))
    };
    let (first, then) = (list("Region"), list("Zone"));
    let lists = AtomicUsize::new(0);
    let mut server = Script::modern(move |asked| match asked.what().as_str() {
        "tools/list" if lists.fetch_add(1, Ordering::Relaxed) == 0 => result(asked, &first),
        "tools/list" => result(asked, &then),
        // The tool has changed since the first list.
        _ if asked.header("mcp-param-zone").is_none() && asked.body.contains("zürich") => {
            error(asked, "400 Bad Request", -32020, "Mcp-Param-Zone is missing")
        }
        _ => result(asked, r#"{"content":[]}"#),
    });
    let session = Session::connect(http(&server.url, HttpKind::Detect), Options::default()).await.expect("connects");
    let call = |region: &str| {
        let arguments = json!({"region": region}).to_string();
        json!({"id": "c", "type": "function", "function": {"name": "query", "arguments": arguments}})
    };
    call_openai_tool(&session, &call("eu")).await.expect("a result");
    call_openai_tool(&session, &call("zürich")).await.expect("a result, at the second try");
    assert_eq!(load_mcp_tools(&session, Format::Mcp).await.expect("tools").len(), 1, "the broken one is left out");

    let mut regions = Vec::new();
    for what in ["server/discover", "tools/list", "tools/call", "tools/call", "tools/list", "tools/call"] {
        let asked = server.next().await;
        assert_eq!(asked.what(), what);
        let header = |name| asked.header(name).map(str::to_owned);
        regions.push((header("mcp-param-region"), header("mcp-param-zone")));
    }
    assert_eq!(regions[2], (Some("eu".to_owned()), None));
    assert_eq!(regions[5].1.as_deref(), Some("=?base64?esO8cmljaA==?="));
}
