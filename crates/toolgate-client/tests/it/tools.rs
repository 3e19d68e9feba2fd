//! Tools for programs and models.

use serde_json::json;
use toolgate_client::{CallError, Format, HttpKind, Options, Session, call_openai_tool, load_mcp_tools};

use crate::support::calculator::Calculator;
use crate::support::http;
use crate::support::script::{Reply, Script};

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
