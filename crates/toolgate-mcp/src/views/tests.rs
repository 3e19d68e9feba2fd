use serde_json::value::RawValue;

use super::*;
use crate::edit::Edit;

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect("valid JSON")
}

/// What a view says of `json`: its error, or `ok`.
fn verdict<'a, T>(read: impl Fn(Option<&'a RawValue>) -> Result<T, ViewError>, json: &'a str) -> String {
    match read(Some(raw(json))) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_call_is_read_and_its_name_can_be_replaced_in_place() {
    let json = r#"{ "x":1.0, "na\u006de" : "a\u002db" , "arguments":{"big":1e400,"name":"n"},"_meta":{"k":1}}"#;
    let named = Named::read(Some(raw(json))).expect("a call");
    assert_eq!(named.name, "a-b");
    assert_eq!(named.arguments.expect("arguments").get(), r#"{"big":1e400,"name":"n"}"#);
    assert_eq!(named.meta.expect("meta").get(), r#"{"k":1}"#);
    let mut edit = Edit::new(json);
    edit.replace(named.name_text, "\"b\"");
    let expected = r#"{ "x":1.0, "na\u006de" : "b" , "arguments":{"big":1e400,"name":"n"},"_meta":{"k":1}}"#;
    assert_eq!(edit.finish(), expected);
}

#[test]
fn a_call_of_another_shape_is_refused() {
    let cases = [
        (r#"{"name":"a"}"#, "ok"),
        (r#"{"name":"a","arguments":null,"_meta":null}"#, "ok"),
        (r#"["a",{}]"#, "expected an object"),
        (r"{}", "`name` is missing"),
        (r#"{"name":null}"#, "`name` is missing"),
        (r#"{"name":7}"#, "`name` must be a string"),
        (r#"{"name":"\ud800"}"#, "`name` must be a string"),
        (r#"{"name":"a","name":"b"}"#, "duplicate field `name`"),
        (r#"{"name":"a","n\u0061me":"b"}"#, "duplicate field `name`"),
        (r#"{"name":null,"name":"b"}"#, "duplicate field `name`"),
        (r#"{"name":"a","arguments":{},"arguments":{}}"#, "duplicate field `arguments`"),
        (r#"{"name":"a","arguments":[]}"#, "`arguments` must be an object"),
        (r#"{"name":"a","_meta":7}"#, "`_meta` must be an object"),
        (r#"{"name":"a","vendor":1,"vendor":2}"#, "ok"),
    ];
    for (json, expected) in cases {
        assert_eq!(verdict(Named::read, json), expected, "{json}");
    }
    assert_eq!(Named::read(None).expect_err("no parameters").to_string(), "`params` is missing");
}

#[test]
fn a_resource_is_read_by_its_uri() {
    let located = Located::read(Some(raw(r#"{"uri":"file:\/\/\/a"}"#))).expect("a resource");
    assert_eq!((located.uri_text, located.uri.as_ref()), (r#""file:\/\/\/a""#, "file:///a"));
    assert_eq!(verdict(Located::read, r#"{"uri":["a"]}"#), "`uri` must be a string");
    assert_eq!(verdict(Located::read, r#"{"uri":"a","uri":"b"}"#), "duplicate field `uri`");
}

#[test]
fn a_completion_names_a_prompt_or_a_resource() {
    let prompt = raw(r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"v"},"context":{}}"#);
    let completion = Completion::read(Some(prompt)).expect("a completion");
    assert!(matches!(completion.reference, Reference::Prompt { name_text: "\"p\"", ref name } if name == "p"));
    assert_eq!(completion.argument.get(), r#"{"name":"a","value":"v"}"#);

    let resource = raw(r#"{"ref":{"type":"ref/resource","uri":"x://{a}"},"argument":{}}"#);
    let completion = Completion::read(Some(resource)).expect("a completion");
    assert!(matches!(completion.reference, Reference::Resource { ref uri, .. } if uri == "x://{a}"));

    let cases = [
        (r#"{"argument":{}}"#, "`ref` is missing"),
        (r#"{"ref":{"type":"ref/prompt","name":"p"}}"#, "`argument` is missing"),
        (r#"{"ref":{"type":"ref/tool"},"argument":{}}"#, "`ref.type` must be `ref/prompt` or `ref/resource`"),
        (r#"{"ref":{"type":"ref/prompt"},"argument":{}}"#, "`ref.name` is missing"),
        (r#"{"ref":["ref/prompt","p"],"argument":{}}"#, "`ref` must be an object"),
    ];
    for (json, expected) in cases {
        assert_eq!(verdict(Completion::read, json), expected, "{json}");
    }
}

#[test]
fn both_sides_of_the_handshake_are_read() {
    let asked = raw(r#"{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c"}}"#);
    let asked = Initialize::read(Some(asked)).expect("initialize");
    assert_eq!(asked.protocol_version, "2025-11-25");
    assert_eq!(asked.capabilities.expect("capabilities").get(), r#"{"roots":{}}"#);
    assert_eq!(asked.client_info.expect("client info").get(), r#"{"name":"c"}"#);
    assert_eq!(verdict(Initialize::read, "{}"), "`protocolVersion` is missing");

    let answer =
        r#" {"protocolVersion":"2025-03-26","capabilities":{},"serverInfo":{"name":"s"},"instructions":"a\nb"}"#;
    let answer = Initialized::read(answer).expect("the answer");
    assert_eq!(answer.instructions.as_deref(), Some("a\nb"));
    assert_eq!(answer.server_info.expect("server info").get(), r#"{"name":"s"}"#);
    assert_eq!(Initialized::read("[]").expect_err("an array"), ViewError::NotAnObject);
    let twice = r#"{"protocolVersion":"a","protocolVersion":"b"}"#;
    assert!(matches!(Initialized::read(twice), Err(ViewError::Json(_))));
}

#[test]
fn cursors_tokens_and_cancelled_ids_are_read() {
    assert_eq!(cursor(None), Ok(None));
    assert_eq!(cursor(Some(raw("{}"))), Ok(None));
    assert_eq!(cursor(Some(raw(r#"{"cursor":null}"#))), Ok(None));
    assert_eq!(cursor(Some(raw(r#"{"cursor":""}"#))), Ok(Some("".into())));
    assert!(cursor(Some(raw(r#"{"cursor":1}"#))).is_err());
    assert!(cursor(Some(raw(r#"{"cursor":"a","cursor":"b"}"#))).is_err());

    assert_eq!(progress_token(raw(r#"{"progressToken": 1.50 }"#)), Ok(Some("1.50")));
    assert_eq!(progress_token(raw(r#"{"progressToken":"t"}"#)), Ok(Some("\"t\"")));
    assert_eq!(progress_token(raw("{}")), Ok(None));
    assert!(progress_token(raw(r#"{"progressToken":{}}"#)).is_err());
    assert!(progress_token(raw(r#"{"progressToken":1,"progressToken":2}"#)).is_err());

    let cancelled = Cancelled::read(Some(raw(r#"{"requestId":"7","reason":"x"}"#))).expect("cancelled");
    assert_eq!((cancelled.request_id_text, cancelled.request_id.as_json()), ("\"7\"", "\"7\""));
    assert_eq!(verdict(Cancelled::read, r#"{"requestId":true}"#), "`requestId` must be a string or a number");
}

#[test]
fn meta_is_found_with_what_it_holds() {
    let params = raw(
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00-a","baggage":1},"name":"x"}"#,
    );
    let found = meta(Some(params)).expect("an object").expect("meta");
    assert_eq!(meta_protocol_version(found), Ok(Some("2026-07-28".into())));
    let trace = trace_context(found);
    assert_eq!(trace, TraceContext { traceparent: Some("00-a".into()), ..TraceContext::default() });
    assert_eq!(trace_context(raw(r#"{"traceparent":"a","traceparent":"b"}"#)), TraceContext::default());
    assert!(meta(Some(raw(r#"{"_meta":{},"_meta":{}}"#))).is_err());
    assert_eq!(meta(None).map(|meta| meta.is_some()), Ok(false));
}

#[test]
fn a_failed_call_is_told_from_a_good_one() {
    let cases = [
        (r#"{"content":[],"isError":true}"#, true),
        (r#"{"isErr\u006fr": true }"#, true),
        (r#"{"content":[{"isError":true}]}"#, false),
        (r#"{"isError":false}"#, false),
        (r#"{"isError":"true"}"#, false),
        ("{}", false),
    ];
    for (json, expected) in cases {
        assert_eq!(is_error(json), expected, "{json}");
    }
}

#[test]
fn a_page_gives_slices_of_its_items() {
    let json = r#"{"tools":[ {"name":"a\u0062","description":"d\n","inputSchema":{"type":"object"},"x":1e400},
        {"name":"c","annotations":{"readOnlyHint":true,"title":7}} ],"nextCursor":"","_meta":{"m":1},"vendor":0}"#;
    let page = Page::read(json, "tools").expect("a page");
    assert_eq!(page.next_cursor.as_deref(), Some(""));
    assert_eq!(page.meta.expect("meta").get(), r#"{"m":1}"#);
    assert_eq!(page.skipped, []);
    let [first, second] = page.items.as_slice() else { panic!("two items") };
    assert_eq!(first.name.as_deref(), Some("ab"));
    assert_eq!(first.description_text, Some(r#""d\n""#));
    let mut edit = Edit::new(first.raw);
    edit.replace(first.name_text.expect("a name"), "\"s-ab\"");
    edit.replace(first.input_schema.expect("a schema").get(), "{}");
    assert_eq!(edit.finish(), r#"{"name":"s-ab","description":"d\n","inputSchema":{},"x":1e400}"#);
    let hints = Hints::read(second.annotations.expect("annotations"));
    assert_eq!(hints, Hints { read_only: true, idempotent: false });
}

#[test]
fn templates_have_their_own_key_for_the_uri() {
    let json = r#"{"resourceTemplates":[{"uriTemplate":"x://{a}","uri":"x://b","name":"n"}],"nextCursor":null}"#;
    let page = Page::read(json, "resourceTemplates").expect("a page");
    assert_eq!(page.items[0].uri_text, Some("\"x://{a}\""));
    assert_eq!(page.next_cursor, None);
    let json = r#"{"resources":[{"uriTemplate":"x://{a}","uri":"x://b","name":"n"}]}"#;
    assert_eq!(Page::read(json, "resources").expect("a page").items[0].uri.as_deref(), Some("x://b"));
}

#[test]
fn an_item_that_cannot_be_read_is_left_out_and_told() {
    let json = r#"{"tools":[{"name":"a"},7,{"name":1},{"name":"b","name":"c"},{"name":"d"}]}"#;
    let page = Page::read(json, "tools").expect("a page");
    assert_eq!(page.items.len(), 2);
    let told: Vec<String> = page.skipped.iter().map(|one| format!("{}: {}", one.index, one.why)).collect();
    assert_eq!(told, ["1: expected an object", "2: `name` must be a string", "3: duplicate field `name`"]);
}

#[test]
fn a_result_that_is_no_page_is_refused() {
    let cases = [
        ("[]", "expected an object"),
        ("{}", "`tools` is missing"),
        (r#"{"tools":{}}"#, "`tools` must be an array"),
        (r#"{"tools":[],"tools":[]}"#, "duplicate field `tools`"),
        (r#"{"tools":[],"nextCursor":1}"#, "`nextCursor` must be a string"),
    ];
    for (json, expected) in cases {
        assert_eq!(Page::read(json, "tools").expect_err(json).to_string(), expected, "{json}");
    }
}
