use serde_json::value::RawValue;

use super::{AnnotationError, ParamHeaders};

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect("valid JSON")
}

fn schema(properties: &str) -> String {
    format!(r#"{{"type":"object","properties":{{{properties}}}}}"#)
}

#[test]
fn marked_arguments_become_headers() {
    let schema = schema(
        r#""region":{"type":"string","x-mcp-header":"Region"},
           "count":{"type":"integer","x-mcp-header":"Count"},
           "debug":{"type":"boolean","x-mcp-header":"Debug"},
           "method":{"type":"string","x-mcp-header":"Method"},
           "image":{"type":"string"},
           "x-mcp-header":{"type":"string"},
           "at":{"type":"object","properties":{"zone":{"x-mcp-header":"Zone","type":"string"}}}"#,
    );
    let headers = ParamHeaders::read(raw(&schema)).expect("valid marks");
    assert!(headers.knows("mcp-param-REGION") && headers.knows("Mcp-Param-Zone") && !headers.knows("Mcp-Param-Image"));
    let cases: [(&str, &[(&str, &str)]); 8] = [
        (r#"{"region":"us-west1","image":"x"}"#, &[("Mcp-Param-Region", "us-west1")]),
        (r#"{"region":" padded "}"#, &[("Mcp-Param-Region", "=?base64?IHBhZGRlZCA=?=")]),
        (r#"{"region":""}"#, &[("Mcp-Param-Region", "")]),
        (r#"{"count":42.0,"debug":false}"#, &[("Mcp-Param-Count", "42"), ("Mcp-Param-Debug", "false")]),
        (r#"{"at":{"zone":"\u00e9"},"zone":"b"}"#, &[("Mcp-Param-Zone", "=?base64?w6k=?=")]),
        (r#"{"at":"zone","region":null,"count":[1],"debug":{}}"#, &[]),
        ("{}", &[]),
        (r#"{"method":"tools/list"}"#, &[("Mcp-Param-Method", "tools/list")]),
    ];
    for (arguments, expected) in cases {
        let got = headers.of_call(Some(raw(arguments))).expect("an object");
        let got: Vec<(&str, &str)> = got.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(got, expected, "{arguments}");
    }
    assert_eq!(headers.of_call(None), Ok(Vec::new()));
    assert!(headers.of_call(Some(raw(r#"{"region":"a","region":"b"}"#))).is_err());
}

#[test]
fn a_schema_without_marks_has_no_headers() {
    for json in ["{}", r#"{"properties":{"a":{"type":"string","pattern":"\u0061"}}}"#, "true"] {
        assert!(ParamHeaders::read(raw(json)).expect("no marks").is_empty(), "{json}");
    }
}

#[test]
fn a_mark_in_plain_data_is_none() {
    let schema = schema(r#""a":{"type":"object","default":{"x-mcp-header":"A"},"examples":[{"x-mcp-header":"A"}]}"#);
    assert!(ParamHeaders::read(raw(&schema)).expect("no marks").is_empty());
}

#[test]
fn a_mark_that_breaks_the_rules_makes_the_tool_invalid() {
    let name = |property: &str| AnnotationError::Name { property: property.to_owned() };
    let kind = |property: &str| AnnotationError::Type { property: property.to_owned() };
    let place = |place: &str| AnnotationError::Place { place: place.to_owned() };
    let twice =
        |property: &str, name: &str| AnnotationError::Twice { property: property.to_owned(), name: name.to_owned() };
    let cases = [
        (schema(r#""v":{"type":"string","x-mcp-header":""}"#), name("v")),
        (schema(r#""v":{"type":"string","x-mcp-header":1}"#), name("v")),
        (schema(r#""v":{"type":"string","x-mcp-header":"My Region"}"#), name("v")),
        (schema(r#""v":{"type":"string","x-mcp-header":"Region:Primary"}"#), name("v")),
        (schema(r#""v":{"type":"string","x-mcp-header":"R\u00e9gion"}"#), name("v")),
        (schema(r#""v":{"type":"string","x-mcp-header":"Region\t1"}"#), name("v")),
        (schema(r#""v":{"type":"string","\u0078-mcp-header":""}"#), name("v")),
        (schema(r#""v":{"type":"object","x-mcp-header":"V"}"#), kind("v")),
        (schema(r#""v":{"type":"array","items":{"type":"string"},"x-mcp-header":"V"}"#), kind("v")),
        (schema(r#""v":{"type":"null","x-mcp-header":"V"}"#), kind("v")),
        (schema(r#""v":{"type":"number","x-mcp-header":"V"}"#), kind("v")),
        (schema(r#""v":{"type":["string","null"],"x-mcp-header":"V"}"#), kind("v")),
        (schema(r#""v":{"x-mcp-header":"V"}"#), kind("v")),
        (
            schema(r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"A"}"#),
            twice("b", "A"),
        ),
        (
            schema(
                r#""a":{"type":"string","x-mcp-header":"MyField"},
                   "b":{"properties":{"c":{"type":"string","x-mcp-header":"myfield"}}}"#,
            ),
            twice("b.c", "myfield"),
        ),
        (r#"{"type":"string","x-mcp-header":"Root"}"#.to_owned(), place("the schema itself")),
        (schema(r#""v":{"type":"array","items":{"type":"string","x-mcp-header":"V"}}"#), place("v.items")),
        (schema(r#""v":{"items":{"properties":{"id":{"type":"string","x-mcp-header":"V"}}}}"#), place("v.items.id")),
        (schema(r#""v":{"oneOf":[{"type":"string","x-mcp-header":"V"}]}"#), place("v.oneOf.0")),
        (r#"{"$defs":{"default":{"type":"string","x-mcp-header":"V"}}}"#.to_owned(), place("$defs.default")),
        (r#"{"if":{"properties":{"a":{"type":"string","x-mcp-header":"V"}}}}"#.to_owned(), place("if.a")),
    ];
    for (schema, expected) in cases {
        assert_eq!(ParamHeaders::read(raw(&schema)), Err(expected), "{schema}");
    }
}

#[test]
fn a_schema_that_two_parsers_could_read_in_two_ways_is_refused() {
    let json = schema(r#""v":{"type":"string","x-mcp-header":"V","x-mcp-header":"W"}"#);
    assert!(matches!(ParamHeaders::read(raw(&json)), Err(AnnotationError::Unreadable(_))));
    let deep = format!(r#"{}{{"x-mcp-header":"V"}}{}"#, r#"{"not":"#.repeat(5_000), "}".repeat(5_000));
    assert!(matches!(ParamHeaders::read(raw(&deep)), Err(AnnotationError::Unreadable(_))));
}
