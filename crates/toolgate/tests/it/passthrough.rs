//! Nothing is lost on the way: a result passes byte for byte but for its id, and so do a call's arguments.

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::json;
use serde_json::value::RawValue;

use crate::support::{Answer, Caller, FakeMcp, Scripted, Target, TestGateway, config, everything, script};

/// JSON text of every kind that servers write, odd spacing and spelling included.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        prop_oneof!["-?[1-9][0-9]{0,30}", "0\\.[0-9]{1,25}", "1e[0-9]{1,3}", "-0(\\.0)?", "[1-9]E[+-][0-9]{1,2}"],
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\u[0-9a-cA-C][0-9a-f]{3}|\\\\/|\\\\t|[a-z ]){0,8}\"",
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let space = prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("  \n")];
        let key = prop_oneof![
            "[a-z_]{1,8}".prop_map(|key| format!("\"{key}\"")),
            any::<String>().prop_map(|key| json!(key).to_string())
        ];
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..6), space.clone())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))),
            (prop::collection::vec((key, inner), 0..6), space).prop_map(|(fields, space)| {
                let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key}{space}:{value}")).collect();
                format!("{{{space}{}{space}}}", fields.join(&format!(",{space}")))
            }),
        ]
    })
}

/// Calls the mirroring tool with `extra` among the arguments, `result` being what the server answers.
async fn mirrored(caller: &Caller, result: &str, extra: &str, meta: &str) -> (String, String) {
    let arguments = format!(r#"{{"result":{}, "extra" :{extra}}}"#, json!(result));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"an id","method":"tools/call","params":{{"name":"mirror-tool","arguments":{arguments},"_meta":{{"example.com/x":{meta}}}}}}}"#,
    );
    let answer = Answer::new(caller.post("/mcp", body).await);
    assert_eq!(answer.raw_id(), "\"an id\"");
    (answer.raw_result().to_owned(), arguments)
}

/// The arguments of the last call, as they reached the server.
fn arguments_received(fake: &FakeMcp) -> String {
    #[derive(serde::Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        arguments: &'a RawValue,
    }
    let call = fake.seen_of("tools/call").pop().expect("the call reached the server");
    serde_json::from_slice::<Wire<'_>>(&call.body).unwrap().params.arguments.get().to_owned()
}

/// Sends random results and arguments through one gate.
fn random_json_passes_byte_for_byte(streamed: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (gate, fake) = runtime.block_on(async {
        let fake = FakeMcp::start(script().tools(&["tool"]).on("tools/call", Scripted::Mirror { streamed })).await;
        (TestGateway::start(config().server("mirror", fake.entry())).await, fake)
    });
    let admin = gate.admin();
    let mut runner = TestRunner::new(Cases { cases: 200, failure_persistence: None, ..Cases::default() });
    let inputs = (json_text(), json_text(), json_text(), any::<bool>());
    let outcome = runner.run(&inputs, |(value, extra, meta, error)| {
        let result = format!(r#"{{"content":[],"isError":{error} ,"x":{value}}}"#);
        let (received, arguments) = runtime.block_on(mirrored(&admin, &result, &extra, &meta));
        prop_assert_eq!(received, result);
        prop_assert_eq!(arguments_received(&fake), arguments);
        Ok(())
    });
    runtime.block_on(gate.stop());
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn random_json_in_bodies_passes_byte_for_byte() {
    random_json_passes_byte_for_byte(false);
}

#[test]
fn random_json_in_streams_passes_byte_for_byte() {
    random_json_passes_byte_for_byte(true);
}

#[tokio::test]
async fn a_result_of_twenty_mebibytes_passes_byte_for_byte() {
    let text = "0123456789abcdef".repeat(20 * 1024 * 1024 / 16);
    let result = json!({"content": [{"type": "text", "text": text}]}).to_string();
    let fake = FakeMcp::start(script().tools(&["big"]).on("tools/call", Scripted::Result(result.clone()))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let answer = gate.admin().call("files-big", json!({})).await;
    assert!(answer.raw_result() == result, "{} bytes came of {}", answer.raw_result().len(), result.len());
}

#[tokio::test]
async fn fields_of_tools_that_nobody_knows_yet_survive_in_the_list() {
    let tool = r#"{"name":"x", "inputSchema":{"type":"object","$comment":1e400},"execution":{"taskSupport":"optional"},"icons":[{"src":"data:,"}],"future":[1.0,  2]}"#;
    let page = format!(r#"{{"tools":[{tool}]}}"#);
    let fake = FakeMcp::start(script().on("tools/list", Scripted::Result(page))).await;
    let gate = TestGateway::start(config().server("files", fake.entry())).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let listed = tool.replace("\"x\"", "\"files-x\"");
    assert!(answer.raw_result().contains(&listed), "{}", answer.raw_result());
}

#[tokio::test]
async fn an_id_of_any_kind_comes_back_as_it_was() {
    let gate = TestGateway::start(config()).await;
    for id in ["1", "-7", "\"\"", "\"grüß\"", "12345678901234567890123", "\"\\u0041\"", "1.0"] {
        let reply = gate.admin().post("/mcp", format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{id}}}"#)).await;
        assert_eq!(Answer::new(reply).raw_id(), id);
    }
}

#[tokio::test]
async fn a_real_servers_answers_arrive_as_it_wrote_them() {
    let server = everything::streamable().await;
    let Target::Streamable { url, .. } = &server.direct else { unreachable!() };
    let direct = Caller::new(url.strip_suffix("/mcp").unwrap()).initialized_at("/mcp").await;
    let gate = TestGateway::start(config().server("ev", server.entry.clone())).await;
    let admin = gate.admin().initialized_at("/mcp").await;

    let calls = [
        ("echo", json!({"message": "¿qué?"})),
        ("get-structured-content", json!({"location": "Chicago"})),
        ("get-tiny-image", json!({})),
        ("get-annotated-message", json!({"messageType": "debug", "includeImage": true})),
        ("get-resource-links", json!({})),
        ("get-sum", json!({"a": "wrong"})),
    ];
    for (tool, arguments) in calls {
        let there = direct.call(tool, arguments.clone()).await;
        let here = admin.call(&format!("ev-{tool}"), arguments).await;
        assert_eq!(here.raw_result(), there.raw_result(), "{tool}");
    }

    let lists = [("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/list", "resources")];
    for (method, key) in lists {
        let there = items(direct.rpc(method, json!({})).await.raw_result(), key);
        // A tool that must be run as a task is a tool like any other through the gate.
        let task = r#","execution":{"taskSupport":"required"}"#;
        let there: Vec<_> = there.iter().map(|item| item.replace(task, "")).collect();
        let here = items(admin.rpc(method, json!({})).await.raw_result(), key);
        let bare: Vec<_> = here.iter().map(|item| item.replacen("\"name\":\"ev-", "\"name\":\"", 1)).collect();
        assert_eq!(bare, there, "{method}");
    }
}

/// The items of a list as they stood on the wire.
fn items(result: &str, key: &str) -> Vec<String> {
    let fields: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(result).unwrap();
    let items: Vec<&RawValue> = serde_json::from_str(fields[key].get()).unwrap();
    items.iter().map(|item| item.get().to_owned()).collect()
}

/// What would do something if the gateway took it for more than text, or a terminal or a reader did.
const LOADED: &str =
    "${CANARY} {{7*7}} os.environ/CANARY $(id) <script> \u{1b}[2J\u{202e} \u{e0041}\u{200b} [a](https://example.com)";

#[tokio::test]
async fn what_a_server_says_is_text_and_is_neither_filled_in_nor_changed() {
    let described =
        json!({"name": "mirror-tool", "description": LOADED, "inputSchema": {"type": "object", "title": LOADED}});
    let listed = json!({"tools": [described]}).to_string();
    let result = json!({"content": [{"type": "text", "text": LOADED}], "structuredContent": {"a": LOADED}}).to_string();
    let fake = script().on("tools/list", Scripted::Result(listed)).on("tools/call", Scripted::Result(result.clone()));
    let fake = FakeMcp::start(fake).await;
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("files", fake.entry());
    let gate = TestGateway::start(config.env("CANARY", "a secret of the gateway")).await;
    let caller = gate.admin();
    let tools = caller.rpc("tools/list", json!({})).await;
    assert_eq!(tools.result()["tools"][0], described);
    let answer = caller.call("mirror-tool", json!({"a": LOADED})).await;
    assert_eq!(answer.raw_result(), result);
    assert_eq!(arguments_received(&fake), json!({"a": LOADED}).to_string());
    gate.stop().await;
}
