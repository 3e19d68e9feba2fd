use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

const TOOLS: [(&str, &str); 4] = [
    ("plain", include_str!("golden/plain.json")),
    ("bare", include_str!("golden/bare.json")),
    ("typeless", include_str!("golden/typeless.json")),
    ("definitions", include_str!("golden/definitions.json")),
];

/// A tool in all three shapes, as text: a value would hide what happened to numbers.
fn shapes(tool: &Item<'_>) -> String {
    let shapes = [("chat", openai_chat(tool)), ("responses", openai_responses(tool)), ("anthropic", anthropic(tool))];
    let mut out = String::new();
    for (name, shape) in shapes {
        let shape = shape.unwrap_or_else(|error| panic!("{name}: {error}"));
        let _: Box<RawValue> = serde_json::from_str(&shape).unwrap_or_else(|error| panic!("{name}: {error}"));
        out.push_str(&format!("{name}:\n{shape}\n"));
    }
    out
}

#[test]
fn tools_take_the_shapes_of_model_apis() {
    for (name, json) in TOOLS {
        let tool = read_tool(json).expect(name);
        insta::assert_snapshot!(name, shapes(&tool));
    }
}

#[test]
fn definitions_end_up_where_every_reference_finds_them() {
    let tool = read_tool(TOOLS[3].1).expect("a tool");
    let shape: Value = serde_json::from_str(&anthropic(&tool).expect("a shape")).expect("JSON");
    let mut references = Vec::new();
    collect_references(&shape["input_schema"], &mut references);
    assert_eq!(references.len(), 6);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(shape["input_schema"].pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[test]
fn a_tool_that_cannot_be_shown_says_why() {
    let nameless = read_tool("{}").expect("an object");
    assert_eq!(openai_chat(&nameless), Err(ToolError::NoName));
    let twice = read_tool(r#"{"name":"t","inputSchema":{"type":"object","type":"string"}}"#).expect("a tool");
    for shape in [openai_chat(&twice), openai_responses(&twice), anthropic(&twice)] {
        let text = shape.expect_err("a key stands there twice").to_string();
        assert_eq!(text, "the `inputSchema` of tool `t` cannot be used: duplicate field `type`");
    }
}

#[test]
fn a_call_comes_back_from_every_shape() {
    let arguments = r#"{ "n": 12345678901234567890123, "s": "a\"b" }"#;
    let quoted = crate::jsonrpc::quote(arguments);
    let chat = format!(r#"{{"id":"c1","type":"function","function":{{"name":"t","arguments":{quoted}}}}}"#);
    let responses = format!(r#"{{"type":"function_call","call_id":"c1","name":"t","arguments":{quoted}}}"#);
    let tool_use = format!(r#"{{"type":"tool_use","id":"c1","name":"t","input":{arguments}}}"#);
    let expected = Call { id: Some("c1".to_owned()), name: "t".to_owned(), arguments: arguments.to_owned() };
    assert_eq!(Call::read_openai_chat(&chat), Ok(expected.clone()));
    assert_eq!(Call::read_openai_responses(&responses), Ok(expected.clone()));
    assert_eq!(Call::read_anthropic(&tool_use), Ok(expected.clone()));
    assert_eq!(expected.params(), format!(r#"{{"name":"t","arguments":{arguments}}}"#));
}

#[test]
fn arguments_are_an_object_or_an_error() {
    let cases = [
        (r#""{}""#, Ok("{}")),
        (r#"" {\"a\":1}\n""#, Ok(r#"{"a":1}"#)),
        (r#"{"a":1}"#, Ok(r#"{"a":1}"#)),
        (r#""""#, Ok("{}")),
        (r#"" ""#, Ok("{}")),
        ("null", Ok("{}")),
        (r#""{\"a\":""#, Err("EOF while parsing a value")),
        (r#""{}{}""#, Err("trailing characters")),
        (r#""[1]""#, Err("invalid type: sequence, expected an object")),
        (r#""null""#, Err("invalid type: null, expected an object")),
        (r"[1]", Err("invalid type: sequence, expected an object")),
        (r"7", Err("invalid type: integer `7`, expected an object")),
        (r#""{\"a\":1,\"a\":2}""#, Err("duplicate field `a`")),
        (r#""\ud800""#, Err("a string with half a character")),
    ];
    for (arguments, expected) in cases {
        let call = format!(r#"{{"function":{{"name":"t","arguments":{arguments}}}}}"#);
        let got = Call::read_openai_chat(&call).map(|call| call.arguments);
        let expected = expected.map(str::to_owned);
        let expected = expected.map_err(|why| CallError::Arguments { tool: "t".to_owned(), why: why.to_owned() });
        assert_eq!(got, expected, "{arguments}");
    }
    let deep = format!(r#"{{"name":"t","input":{}1{}}}"#, r#"{"a":"#.repeat(126), "}".repeat(126));
    assert!(matches!(Call::read_anthropic(&deep), Err(CallError::Arguments { .. })));
}

#[test]
fn something_else_is_no_call() {
    for json in ["[]", "{}", r#"{"function":"t"}"#, r#"{"function":{}}"#, r#"{"function":{"name":1}}"#] {
        assert!(matches!(Call::read_openai_chat(json), Err(CallError::Shape(_))), "{json}");
    }
}
