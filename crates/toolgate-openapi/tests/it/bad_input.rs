//! Descriptions that mean harm, or are none: bounded time, a named reason, and whatever else is right still works.

use std::time::Instant;

use toolgate_openapi::{Documents, Limits};

use crate::support::{api_of, base, options};

/// Far above what is needed, far below what an unbounded reader would take.
const PATIENCE_SECONDS: u64 = 20;

fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    assert!(began.elapsed().as_secs() < PATIENCE_SECONDS, "it took {:?}", began.elapsed());
    done
}

#[test]
fn references_that_lead_to_themselves_are_named() {
    let text = r##"
openapi: 3.1.0
paths:
  /a: {post: {operationId: a, requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}}}
  /b: {post: {operationId: b, requestBody: {content: {application/json: {schema: {type: object, properties: {x: {$ref: "#/components/schemas/A"}}}}}}}}
  /c: {get: {operationId: c}}
  /d: {post: {operationId: d, requestBody: {content: {application/json: {schema: {allOf: [{$ref: "#/components/schemas/All"}]}}}}}}
components: {schemas: {A: {$ref: "#/components/schemas/B"}, B: {$ref: "#/components/schemas/A"}, All: {allOf: [{$ref: "#/components/schemas/All"}]}}}
"##;
    let api = quickly(|| api_of(text, &options())).unwrap();
    let kept: Vec<&str> = api.operations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(kept, ["c", "d"]);
    assert!(api.left_out.iter().all(|one| one.reason.contains("leads to itself")), "{:?}", api.left_out);
    // Arguments of a schema that holds nothing but itself are taken.
    quickly(|| api.find("d").unwrap().request(&base(), r#"{"body":{"any":1}}"#)).unwrap();
}

#[test]
fn ten_thousand_nested_alternatives_cost_one_operation() {
    let nested = format!("{}{{}}{}", r#"{"anyOf":["#.repeat(10_000), "]}".repeat(10_000));
    let text = format!(
        r#"{{"openapi":"3.1.0","paths":{{"/a":{{"post":{{"requestBody":{{"content":{{"application/json":{{"schema":{nested}}}}}}}}}}},"/b":{{"get":{{}}}}}}}}"#
    );
    let api = quickly(|| api_of(&text, &options())).unwrap();
    assert_eq!(api.operations.len(), 1);
    assert_eq!(api.left_out[0].reason, "the body: a schema is nested too deeply");
}

#[test]
fn a_pattern_of_a_mebibyte_is_left_out_and_slow_ones_are_not_slow() {
    let text = format!(
        r#"{{"openapi":"3.1.0","paths":{{"/a":{{"get":{{"parameters":[
            {{"name":"long","in":"query","schema":{{"type":"string","pattern":"{}"}}}},
            {{"name":"slow","in":"query","schema":{{"type":"string","pattern":"^(a+)+$"}}}},
            {{"name":"huge","in":"query","schema":{{"type":"string","pattern":"(\\w{{1000}}){{1000}}"}}}}]}}}}}}}}"#,
        "(a+)+".repeat(210_000)
    );
    let api = quickly(|| api_of(&text, &options())).unwrap();
    assert!(api.operations[0].tool().len() < 5_000);
    let long = "a".repeat(50_000);
    let request = |slow: &str| {
        let arguments = format!(r#"{{"long":"{long}","slow":"{slow}","huge":"{long}"}}"#);
        quickly(|| api.operations[0].request(&base(), &arguments)).is_ok()
    };
    assert!(request(&long));
    assert!(!request(&format!("{long}!")));
}

#[test]
fn bombs_of_aliases_and_of_references_are_bounded() {
    let mut bomb = "openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(quickly(|| api_of(&bomb, &options())).unwrap_err().contains("not valid YAML"));

    // Definitions that each lead to ten others would be 10^8 if they were unrolled.
    let mut schemas = String::new();
    for level in 0..8 {
        let members: Vec<String> =
            (0..10).map(|index| format!(r##""p{index}":{{"$ref":"#/components/schemas/L{}"}}"##, level + 1)).collect();
        schemas.push_str(&format!(r#""L{level}":{{"type":"object","properties":{{{}}}}},"#, members.join(",")));
    }
    let text = format!(
        r##"{{"openapi":"3.0.0","paths":{{"/a":{{"post":{{"requestBody":{{"content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/L0"}}}}}}}}}}}}}},"components":{{"schemas":{{{schemas}"L8":{{"type":"string"}}}}}}}}"##
    );
    let api = quickly(|| api_of(&text, &options())).unwrap();
    assert!(api.operations[0].tool().len() < 10_000, "{}", api.operations[0].tool().len());
}

#[test]
fn more_definitions_than_there_is_room_for_are_cut_to_their_type() {
    let schemas: Vec<String> = (0..2_000)
        .map(|n| format!(r##""S{n}":{{"type":"object","description":"{}","properties":{{"next":{{"$ref":"#/components/schemas/S{}"}}}}}}"##, "d".repeat(500), (n + 1) % 2_000))
        .collect();
    let text = format!(
        r##"{{"openapi":"3.0.0","paths":{{"/a":{{"post":{{"requestBody":{{"content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/S0"}}}}}}}},"responses":{{"200":{{"content":{{"application/json":{{"schema":{{"$ref":"#/components/schemas/S0"}}}}}}}}}}}}}}}},"components":{{"schemas":{{{}}}}}}}"##,
        schemas.join(",")
    );
    let api = quickly(|| api_of(&text, &options())).unwrap();
    let tool = &api.operations[0];
    assert!(tool.tool().len() < 320 * 1024, "{}", tool.tool().len());
    assert!(tool.notes[0].contains("named and not described"), "{:?}", tool.notes);
}

#[test]
fn what_is_no_description_says_so() {
    let cases = [
        ("<!doctype html><title>404</title>", "HTML page"),
        ("", "empty"),
        ("{}", "neither `openapi` nor `swagger`"),
        ("[]", "neither `openapi` nor `swagger`"),
        ("openapi: 4.0.0", "`4.0.0` is not known"),
        ("swagger: '1.2'", "`1.2` is not known"),
        ("just some words", "not a mapping"),
    ];
    for (text, expected) in cases {
        let why = api_of(text, &options()).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
    // A description of nothing is one.
    assert_eq!(api_of("openapi: 3.1.0", &options()).unwrap().operations.len(), 0);
    assert_eq!(api_of("openapi: 3.1.0\npaths: 7", &options()).unwrap().operations.len(), 0);
}

#[test]
fn too_many_operations_and_too_many_bytes_are_refused() {
    let limits = Limits { operations: 3, document_bytes: 1_000, ..Limits::default() };
    let text = "openapi: 3.0.0\npaths: {/a: {get: {}, put: {}}, /b: {get: {}, put: {}}}";
    let documents = Documents::new("api", text.as_bytes(), limits.clone()).unwrap();
    let why = toolgate_openapi::read(&documents, &options()).unwrap_err();
    assert_eq!(why.to_string(), "it has more than 3 operations");
    let why = Documents::new("api", " ".repeat(2_000).as_bytes(), limits).unwrap_err();
    assert_eq!(why.to_string(), "it has 2000 bytes, more than the 1000 that are read");
}
