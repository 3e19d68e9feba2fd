use std::time::Duration;

use super::*;

/// The answer to a request with this method and these parameters, as JSON.
fn ask(method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    match take(request.as_bytes()) {
        Step::Answer(answer) => serde_json::from_slice(&answer).expect("JSON"),
        other => panic!("no answer but {other:?}"),
    }
}

fn call(name: &str, arguments: Value) -> Value {
    ask("tools/call", json!({"name": name, "arguments": arguments}))["result"].clone()
}

#[test]
fn answers_with_the_revision_that_is_asked_for_or_the_newest_with_a_handshake() {
    for (asked, given) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
    ] {
        let answer = ask("initialize", json!({"protocolVersion": asked, "capabilities": {}}));
        assert_eq!(answer["result"]["protocolVersion"], given, "for {asked}");
    }
    assert_eq!(ask("initialize", json!({}))["error"]["code"], code::INVALID_PARAMS);
}

#[test]
fn every_tool_that_is_listed_can_be_called() {
    let listed = ask("tools/list", json!({}));
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().expect("tools").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["echo", "add", "slow", "weather"]);
    for name in names {
        assert!(tools::call(name, &Map::new()).is_some(), "{name}");
    }
}

#[test]
fn tools_do_what_they_say() {
    let text = |result: Value| result["content"][0]["text"].as_str().map(str::to_owned).expect("a text");
    assert_eq!(text(call("echo", json!({"message": "grüß \u{1f980}\n"}))), "grüß \u{1f980}\n");
    assert_eq!(text(call("add", json!({"a": 2, "b": 40}))), "42");
    assert_eq!(text(call("add", json!({"a": 0.5, "b": 1}))), "1.5");
    assert_eq!(text(call("add", json!({"a": i64::MAX, "b": 1}))), "9223372036854775808");
}

#[test]
fn the_weather_is_the_same_each_time_and_keeps_to_its_schema() {
    let weather = call("weather", json!({"city": "Oslo"}));
    assert_eq!(weather, call("weather", json!({"city": "Oslo"})));
    let report = &weather["structuredContent"];
    assert!(report["temperature_c"].is_number() && report["humidity_percent"].is_u64(), "{report}");
    let text = weather["content"][0]["text"].as_str().expect("a text");
    assert_eq!(&serde_json::from_str::<Value>(text).expect("JSON"), report);
}

#[test]
fn bad_arguments_are_results_that_a_model_can_read() {
    for (name, arguments, message) in [
        ("add", json!({"a": "1", "b": 2}), r#"argument `a` must be a number, not "1""#),
        ("add", json!({"a": 1e308, "b": 1e308}), "1e+308 + 1e+308 is too large to add"),
        ("add", json!({"a": 1}), "argument `b` is missing; it must be a number"),
        ("echo", json!({}), "argument `message` is missing; it must be a string"),
        ("slow", json!({"steps": 0}), "argument `steps` must be a whole number from 1 to 1000, not 0"),
        ("slow", json!({"delay_ms": -1}), "argument `delay_ms` must be a whole number from 0 to 60000, not -1"),
    ] {
        let result = call(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        assert_eq!(result["content"][0]["text"], message);
    }
}

#[test]
fn resources_prompts_and_completions_answer() {
    let read = |uri: &str| ask("resources/read", json!({"uri": uri}));
    assert_eq!(read("demo://readme")["result"]["contents"][0]["mimeType"], "text/markdown");
    assert_eq!(read("demo://greeting/Ada")["result"]["contents"][0]["text"], "Hello, Ada!");
    assert_eq!(read("demo://greeting/")["error"]["code"], code::RESOURCE_NOT_FOUND);

    let prompt = ask("prompts/get", json!({"name": "greet", "arguments": {"name": "Ada", "style": "pirate"}}));
    assert_eq!(prompt["result"]["messages"][0]["content"]["text"], "Greet Ada in a pirate style.");

    let complete = |reference: Value, name: &str, value: &str| {
        let params = json!({"ref": reference, "argument": {"name": name, "value": value}});
        ask("completion/complete", params)["result"]["completion"]["values"].clone()
    };
    assert_eq!(complete(json!({"type": "ref/prompt", "name": "greet"}), "style", "F"), json!(["formal", "friendly"]));
    let template = json!({"type": "ref/resource", "uri": "demo://greeting/{name}"});
    assert_eq!(complete(template, "name", "g"), json!(["Grace"]));
}

#[test]
fn wrong_requests_get_the_codes_of_the_specification() {
    for (message, expected, id) in [
        ("{", code::PARSE_ERROR, json!(null)),
        (r#"{"id":1,"method":"ping"}"#, code::INVALID_REQUEST, json!(null)),
        (r#"{"jsonrpc":"2.0","id":"x","method":"server/discover"}"#, code::METHOD_NOT_FOUND, json!("x")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}"#, code::INVALID_PARAMS, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}"#, code::INVALID_PARAMS, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"nope"}}"#, code::INVALID_PARAMS, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}"#, -32602, json!(1)),
    ] {
        let Step::Answer(answer) = take(message.as_bytes()) else { panic!("{message} has no answer") };
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(expected), &id), "{message}: {answer}");
    }
}

#[test]
fn a_slow_call_plays_with_progress_only_when_it_is_asked_for() {
    let request = |meta: &str| {
        let params = format!(r#"{{"name":"slow","arguments":{{"steps":2,"delay_ms":7}}{meta}}}"#);
        match take(&jsonrpc::request("\"s\"", "tools/call", Some(&params))) {
            Step::Play(play) => play,
            other => panic!("not a play but {other:?}"),
        }
    };
    let play = request(r#","_meta":{"progressToken":"t"}"#);
    assert_eq!(play.pace, Pace { steps: 2, delay: Duration::from_millis(7) });
    let progress: Value = serde_json::from_slice(&play.progress(1).expect("progress")).expect("JSON");
    assert_eq!(progress["params"], json!({"progressToken": "t", "progress": 1, "total": 2, "message": "step 1 of 2"}));
    let answer: Value = serde_json::from_slice(&play.answer()).expect("JSON");
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["type"]), (&json!("s"), &json!("text")));

    assert!(request("").progress(1).is_none());
    assert!(request(r#","_meta":{"progressToken":{}}"#).progress(1).is_none());
}

#[test]
fn notifications_have_no_answer_and_a_cancellation_names_its_request() {
    let notify = |method: &str, params: &str| take(&jsonrpc::notification(method, Some(params)));
    assert!(matches!(notify("notifications/initialized", "{}"), Step::Nothing));
    assert!(matches!(notify("notifications/cancelled", r#"{"requestId":"a"}"#), Step::Cancel(id) if id == "\"a\""));
    assert!(matches!(notify("notifications/cancelled", "{}"), Step::Nothing));
    assert!(matches!(take(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Step::Nothing));
}
