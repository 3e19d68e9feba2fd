#![no_main]
//! A translation keeps what it does not name, and makes JSON of JSON.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    json: String,
    method: Method,
    keys: Vec<String>,
    state: Option<String>,
}

#[derive(Debug, Clone, Copy, arbitrary::Arbitrary)]
enum Method {
    Call,
    Prompt,
    Read,
    List,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Call => "tools/call",
            Self::Prompt => "prompts/get",
            Self::Read => "resources/read",
            Self::List => "tools/list",
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let Input { json, method, keys, state } = input;
    bodies::translations(&json);
    bodies::results(method.name(), &json);
    bodies::uris(method.name(), &json);
    bodies::request_client(&json);
    bodies::filter(&json);
    bodies::path(&json, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let responses: Vec<(String, String)> = keys.iter().map(|key| (key.clone(), json.clone())).collect();
    bodies::retry(&json, &responses, state.as_deref());
    let asked: Vec<(String, &str, String)> = keys.into_iter().map(|key| (key, "roots/list", json.clone())).collect();
    bodies::questions(&asked, state.as_deref().unwrap_or_default());
});
