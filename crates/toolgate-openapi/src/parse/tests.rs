use super::{ParseError, arguments, document, json};
use crate::limits::Limits;
use crate::node::Node;

fn read(text: &str) -> Result<String, String> {
    document(text.as_bytes(), &Limits::default()).map(|node| node.to_json()).map_err(|error| error.to_string())
}

#[test]
fn json_and_yaml_are_read_as_what_they_are() {
    let cases = [
        (r#" {"a": [1, 2.50, -0e5, "x\n\u00e9", null, true]} "#, r#"{"a":[1,2.50,-0e5,"x\né",null,true]}"#),
        ("a: 1\nb:\n  - x\n  - 'y'\n", r#"{"a":1,"b":["x","y"]}"#),
        ("responses:\n  200: {}\n  '404': {}\n", r#"{"responses":{"200":{},"404":{}}}"#),
        // Country codes and answers stay words, as YAML 1.2 has it.
        ("enum: [no, yes, on, off, true]\n", r#"{"enum":["no","yes","on","off",true]}"#),
        ("a: &x {b: 1}\nc: *x\n", r#"{"a":{"b":1},"c":{"b":1}}"#),
        ("{a: 1, b: two}", r#"{"a":1,"b":"two"}"#),
        ("\u{feff}{}", "{}"),
        (r#"{"n":123456789012345678901234567890.5}"#, r#"{"n":123456789012345678901234567890.5}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_document_says_why() {
    let cases = [
        ("", "it is empty"),
        ("  \n ", "it is empty"),
        ("<!doctype html><html></html>", "it is an HTML page"),
        (r#"{"a":"#, "not valid JSON: EOF"),
        ("a: [1", "not valid YAML"),
        ("just a text", "it is a text, not a mapping"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
    ];
    for (text, expected) in cases {
        let why = read(text).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
    assert_eq!(document(b"\xff\xfe", &Limits::default()), Err(ParseError::NotText));
    let limits = Limits { document_bytes: 3, ..Limits::default() };
    assert_eq!(document(b"{   }", &limits), Err(ParseError::TooLarge { bytes: 5, most: 3 }));
    let limits = Limits { nodes: 3, ..Limits::default() };
    assert_eq!(json("[1,2,3]", &limits), Err(ParseError::TooManyValues { most: 3 }));
    assert!(
        matches!(arguments(r#"{"a":1,"a":2}"#, &Limits::default()), Err(ParseError::RepeatedKey(key)) if key == "a")
    );
}

#[test]
fn what_is_nested_too_deeply_is_marked_and_the_rest_is_read() {
    let deep = format!("{}{}", "[{\"a\":".repeat(5_000), "}]".repeat(5_000)).replace(":}", ":\"]\"}");
    let node = json(&format!("{{\"deep\":{deep},\"flat\":1}}"), &Limits::default()).unwrap();
    assert_eq!(node.get("flat"), Some(&Node::Number("1".into())));
    let mut at = node.get("deep").unwrap();
    let mut levels = 0;
    while let Some(next) = at.list().map(|items| &items[0]).or_else(|| at.get("a")) {
        at = next;
        levels += 1;
    }
    assert_eq!((at, levels), (&Node::TooDeep, Limits::default().depth - 1));
    assert!(read(&"- ".repeat(100_000)).unwrap_err().contains("not valid YAML"));
}

#[test]
fn a_yaml_bomb_costs_nothing() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(read(&bomb).unwrap_err().contains("not valid YAML"));
}
