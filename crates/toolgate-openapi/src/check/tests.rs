use super::Checker;
use crate::limits::Limits;
use crate::parse;

fn check(schema: &str, arguments: &str) -> Vec<String> {
    let checker = Checker::new(schema);
    let arguments = parse::json(arguments, &Limits::default()).unwrap();
    let arguments = checker.coerced(arguments, |name| name == "body");
    checker.check(&arguments)
}

#[test]
fn messages_say_where_what_and_instead_of_what() {
    let cases = [
        (
            r#"{"required":["id"],"properties":{"id":{"type":"integer"}}}"#,
            "{}",
            "`id` is missing; it must be an integer",
        ),
        (r#"{"properties":{"id":{"type":"integer"}}}"#, r#"{"id":"x"}"#, r#"`id` must be an integer, but is "x""#),
        (r#"{"properties":{"id":{"type":"integer"}}}"#, r#"{"id":7.5}"#, "`id` must be an integer, but is 7.5"),
        (
            r#"{"properties":{"s":{"type":"array","items":{"enum":["a","b"]}}}}"#,
            r#"{"s":["a","c"]}"#,
            r#"`s[1]` must be one of "a", "b", but is "c""#,
        ),
        (r#"{"properties":{"a":{}},"additionalProperties":false}"#, r#"{"b":1}"#, "`b` is not known; there are a"),
        (r#"{"properties":{"n":{"minimum":1}}}"#, r#"{"n":0}"#, "`n` must be at least 1, but is 0"),
        (r#"{"properties":{"n":{"exclusiveMaximum":1}}}"#, r#"{"n":1}"#, "`n` must be less than 1, but is 1"),
        (
            r#"{"properties":{"n":{"multipleOf":0.01}}}"#,
            r#"{"n":1.005}"#,
            "`n` must be a multiple of 0.01, but is 1.005",
        ),
        (r#"{"properties":{"t":{"maxLength":2}}}"#, r#"{"t":"äöü"}"#, "`t` must have at most 2 characters, but has 3"),
        (
            r#"{"properties":{"t":{"pattern":"^a+$"}}}"#,
            r#"{"t":"b"}"#,
            r#"`t` must match the pattern ^a+$, but is "b""#,
        ),
        (
            r##"{"properties":{"body":{"$ref":"#/$defs/P"}},"$defs":{"P":{"type":"object","required":["x"],"properties":{"x":{"type":"string"},"p":{"$ref":"#/$defs/P"}}}}}"##,
            r#"{"body":{"x":"1","p":{"x":2}}}"#,
            "`body.p.x` must be a string, but is 2",
        ),
        (
            r#"{"properties":{"v":{"anyOf":[{"type":"boolean"},{"type":"object","required":["k"]}]}}}"#,
            r#"{"v":{}}"#,
            "`v` fits none of 2 alternatives; the nearest: `v` must be a boolean, but is {}",
        ),
        (r#"{"properties":{"v":{"not":{"const":1}}}}"#, r#"{"v":1.0}"#, "`v` is of a form that is not allowed: 1.0"),
        (
            r#"{"properties":{"v":{"uniqueItems":true}}}"#,
            r#"{"v":[1,2,1]}"#,
            "`v` must not have an item twice, but has 1",
        ),
        (r#"{"properties":{"v":false}}"#, r#"{"v":1}"#, "`v` is not allowed"),
        (
            r#"{"properties":{"v":{"contains":{"const":1}}}}"#,
            r#"{"v":[2]}"#,
            "`v` must hold at least 1 items of a certain form, but has 0",
        ),
        (
            r#"{"properties":{"v":{"contains":{"const":1},"maxContains":1}}}"#,
            r#"{"v":[1,1]}"#,
            "`v` must hold at most 1 items of a certain form, but has 2",
        ),
        (
            r#"{"properties":{"v":{"propertyNames":{"maxLength":1}}}}"#,
            r#"{"v":{"ab":1}}"#,
            "`v.ab` is no name that `v` may have",
        ),
        (
            r#"{"properties":{"v":{"dependentRequired":{"a":["b"]}}}}"#,
            r#"{"v":{"a":1}}"#,
            "`v.b` is missing, since `v.a` is there",
        ),
        (
            r#"{"properties":{"v":{"dependentSchemas":{"a":{"required":["b"]}}}}}"#,
            r#"{"v":{"a":1}}"#,
            "`v.b` is missing",
        ),
        (
            r#"{"properties":{"v":{"if":{"properties":{"k":{"const":1}}},"then":{"required":["one"]},"else":{"required":["other"]}}}}"#,
            r#"{"v":{"k":1}}"#,
            "`v.one` is missing",
        ),
        (
            r#"{"properties":{"v":{"if":{"properties":{"k":{"const":1}}},"then":{"required":["one"]},"else":{"required":["other"]}}}}"#,
            r#"{"v":{"k":2}}"#,
            "`v.other` is missing",
        ),
    ];
    for (schema, arguments, expected) in cases {
        assert_eq!(check(schema, arguments), [expected], "{schema} {arguments}");
    }
}

#[test]
fn what_is_right_and_what_means_the_same_passes() {
    let cases = [
        (r#"{"properties":{"id":{"type":"integer"}}}"#, r#"{"id":7.0}"#),
        (r#"{"properties":{"id":{"type":"integer"}}}"#, r#"{"id":"7"}"#),
        (r#"{"properties":{"id":{"type":"string"}}}"#, r#"{"id":7}"#),
        (r#"{"properties":{"id":{"type":"boolean"}}}"#, r#"{"id":"false"}"#),
        (r#"{"properties":{"id":{"type":"array","items":{"type":"integer"}}}}"#, r#"{"id":"7"}"#),
        (r#"{"properties":{"body":{"type":"object","required":["a"]}}}"#, r#"{"body":"{\"a\":1}"}"#),
        (r#"{"properties":{"id":{"type":"integer"}}}"#, r#"{"id":null}"#),
        (r#"{"properties":{"id":{"type":["integer","null"]}}}"#, r#"{"id":null}"#),
        (r#"{"properties":{"n":{"multipleOf":0.01}}}"#, r#"{"n":19.99}"#),
        (r#"{"properties":{"v":{"enum":[1,"a"]}}}"#, r#"{"v":1.0}"#),
        // A pattern that this engine does not know is left to the API.
        (r#"{"properties":{"t":{"pattern":"^(?!a)"}}}"#, r#"{"t":"a"}"#),
        (r#"{"properties":{"v":{"oneOf":[{"type":"object"},{"type":"object"}]}}}"#, r#"{"v":{}}"#),
        (r#"{"properties":{"t":{"pattern":"^\\d{3}\\/x\\-$"}}}"#, r#"{"t":"123/x-"}"#),
    ];
    for (schema, arguments) in cases {
        assert_eq!(check(schema, arguments), Vec::<String>::new(), "{schema} {arguments}");
    }
    // In a body, a number is no text.
    let strict = r#"{"properties":{"body":{"properties":{"a":{"type":"string"}}}}}"#;
    assert_eq!(check(strict, r#"{"body":{"a":1}}"#), ["`body.a` must be a string, but is 1"]);
}

#[test]
fn schemas_that_lead_to_themselves_end() {
    let loops = r##"{"properties":{"v":{"$ref":"#/$defs/A"}},"$defs":{"A":{"allOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"}]}}}"##;
    assert_eq!(check(loops, r#"{"v":1}"#), Vec::<String>::new());
    let wide = r##"{"properties":{"v":{"$ref":"#/$defs/A"}},"$defs":{"A":{"anyOf":[{"$ref":"#/$defs/B"},{"$ref":"#/$defs/B"}]},"B":{"allOf":[{"$ref":"#/$defs/A"},{"type":"null"}]}}}"##;
    // Nothing is known against the value when the steps are used up.
    assert_eq!(check(wide, r#"{"v":1}"#), Vec::<String>::new());
}
