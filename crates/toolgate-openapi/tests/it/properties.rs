//! Any description and any arguments: the request goes below the base URL, holds no control characters, and says
//! everything that was given.

use proptest::prelude::*;
use serde_json::{Value, json};
use toolgate_openapi::{CallError, Operation, Request};

use crate::support::{api_of, base, options};

/// Text that holds whatever means something to anybody on the way.
fn text() -> impl Strategy<Value = String> {
    let words = [
        "..", ".", "/", "\\", "%2e", "%2F", "%", "?", "#", "&", "=", ";", ",", "\r\n", "\0", "\u{7f}", "ü", "a", "0",
        " ", "+", "[", "{", "\"", "|",
    ];
    prop_oneof![
        prop::collection::vec(prop::sample::select(words.to_vec()), 0..6).prop_map(|words| words.concat()),
        any::<String>().prop_map(|text| text.chars().take(20).collect()),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from)]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 1..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// A name as somebody may write it into a description, braces aside, which end a variable of a path.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        1 => text().prop_map(|text| text.replace(['{', '}'], "")),
    ]
}

/// A parameter of some place, style and name.
fn parameter() -> impl Strategy<Value = Value> {
    let styles = ["simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "deepObject", "odd"];
    let places = ["path", "query", "header", "cookie"];
    (prop::sample::select(places.to_vec()), prop::sample::select(styles.to_vec()), any::<[bool; 3]>(), 0..4_usize, name())
        .prop_map(|(place, style, [explode, reserved, json], number, name)| {
            let mut one = json!({
                "name": format!("{}{number}{name}", &place[..1]), "in": place, "style": style, "explode": explode, "allowReserved": reserved,
            });
            if json {
                one["content"] = json!({"application/json": {}});
            }
            one
        })
}

fn body() -> impl Strategy<Value = Option<&'static str>> {
    let kinds = [
        None,
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data"),
        Some("text/plain"),
    ];
    prop::sample::select(kinds.to_vec())
}

/// The one operation of a description with these parameters, and arguments for all of them.
fn calls() -> impl Strategy<Value = (String, Value)> {
    let parameters = prop::collection::vec((parameter(), value()), 0..6);
    let members = prop::collection::vec((text(), value()), 0..4);
    (parameters, body(), members, name()).prop_map(|(parameters, body, members, segment)| {
        let mut path = format!("/p{segment}");
        let mut arguments = serde_json::Map::new();
        let mut declared: Vec<Value> = Vec::new();
        for (parameter, value) in parameters {
            let name = parameter["name"].as_str().unwrap().to_owned();
            if arguments.contains_key(&name) {
                continue;
            }
            if parameter["in"] == "path" {
                path.push_str(&format!("/{{{name}}}"));
            }
            arguments.insert(name, value);
            declared.push(parameter);
        }
        let mut operation = json!({"parameters": declared});
        if let Some(kind) = body {
            operation["requestBody"] = json!({"content": {kind: {}}});
            let object: serde_json::Map<String, Value> = members.into_iter().collect();
            let value = if kind == "text/plain" { Value::from("any text") } else { Value::Object(object) };
            arguments.insert("body".to_owned(), value);
        }
        let api = json!({"openapi": "3.1.0", "paths": {path: {"post": operation}}});
        (api.to_string(), Value::Object(arguments))
    })
}

/// The request of a call; `None` where the operation was left out, or the call is refused.
fn request(api: &str, arguments: &Value) -> Option<Request> {
    let api = api_of(api, &options()).unwrap();
    let Some(operation) = api.operations.first() else {
        assert!(!api.left_out[0].reason.is_empty());
        return None;
    };
    let operation: &Operation = operation;
    match operation.request(&base(), &arguments.to_string()) {
        Ok(request) => Some(request),
        // Refusing is always right; sending something else is not.
        Err(CallError::Arguments(_)) => None,
        Err(CallError::Leaves(_)) => panic!("a request was built that would leave"),
    }
}

/// All scalars of a value, as they are written.
fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => found.push(value.to_string()),
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.push(key.clone());
            scalars(value, found);
        }),
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first, after)
            && let Ok(byte) = u8::from_str_radix(&format!("{}{}", char::from(*high), char::from(*low)), 16)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_stays_below_the_base_and_says_everything((api, arguments) in calls()) {
        let Some(request) = request(&api, &arguments) else { return Ok(()) };
        let url = request.url.as_str();
        prop_assert!(url.starts_with("https://api.test/v1/p"), "{url}");
        prop_assert_eq!(request.url.host_str(), Some("api.test"));
        let parsed = url::Url::parse(url).unwrap();
        prop_assert_eq!(parsed.as_str(), url);
        prop_assert!(parsed.path().starts_with("/v1/p") && !parsed.path().split('/').any(|part| part == ".." || part == "."));
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
        for (name, value) in &request.headers {
            prop_assert!(!name.chars().chain(value.chars()).any(char::is_control), "{name}: {value:?}");
        }
        prop_assert!(request.cookies.iter().all(|one| one.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')));

        // Everything that was given is somewhere: in the URL, a header, a cookie, or the body.
        let mut all = decoded(url);
        for (_, value) in &request.headers {
            all.push_str(value);
        }
        all.push_str(&decoded(&request.cookies.join(";")));
        let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        all.push_str(&body);
        all.push_str(&decoded(&body));
        let mut given = Vec::new();
        arguments.as_object().unwrap().values().for_each(|value| scalars(value, &mut given));
        for one in given {
            let quoted = Value::from(one.as_str()).to_string();
            let quoted = quoted.trim_matches('"');
            let bare: String = one.chars().filter(|c| !c.is_control()).collect();
            let named = bare.replace('"', "%22");
            let seen = [one.as_str(), quoted, named.as_str(), bare.as_str()].iter().any(|form| all.contains(form))
                || one.contains(['\r', '\n', '"']) && body.contains("form-data");
            prop_assert!(seen, "{one:?} is not in {all:?}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = api_of(&text, &options());
    }

    #[test]
    fn any_values_in_a_description_are_read_or_left_out(parts in prop::collection::vec(value(), 6)) {
        let [a, b, c, d, e, f] = parts.try_into().unwrap();
        let api = json!({"openapi": "3.0.1", "servers": a, "paths": {"/p/{x}": {"parameters": b, "get": {
            "operationId": c, "parameters": [{"name": "q", "in": "query", "schema": d}], "responses": {"200": {"content": {"application/json": {"schema": e}}}},
        }, "post": {"requestBody": {"content": {"application/json": {"schema": f}}}}}}});
        let api = api_of(&api.to_string(), &options()).unwrap();
        for operation in &api.operations {
            let tool: Value = serde_json::from_str(operation.tool()).unwrap();
            prop_assert_eq!(&tool["inputSchema"]["type"], "object");
        }
    }
}
