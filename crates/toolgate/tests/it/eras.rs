//! Real clients of both eras and servers of both eras: whichever meet through the gate, a client sees what it would see
//! if the server spoke to it directly.
//!
//! The fixture that a client meets directly speaks both eras; the one behind the gate only one of them.

use serde_json::{Value, json};

use crate::support::{
    Entry, Era, Fixture, Lifecycle, MASTER_KEY, NodeSdk, Plan, PythonSdk, Server, Step, Target, TestGateway, config,
    node_client, python_client, rmcp_client, sdk_server,
};

#[derive(Debug, Clone, Copy)]
enum Client {
    Python(PythonSdk),
    /// A client that looks for the newest revision first.
    ProbingPython,
    Node(NodeSdk),
    ProbingNode,
    Rmcp(Lifecycle),
}

impl Client {
    async fn run(self, target: &Target, plan: &Plan) -> Value {
        match self {
            Self::Python(sdk) => python_client(sdk, target, plan, false).await,
            Self::ProbingPython => python_client(PythonSdk::Two, target, plan, true).await,
            Self::Node(sdk) => node_client(sdk, target, plan, false).await,
            Self::ProbingNode => node_client(NodeSdk::Two, target, plan, true).await,
            Self::Rmcp(lifecycle) => rmcp_client(lifecycle, target, plan).await,
        }
    }
}

/// What exists in both eras and needs no answers of the client.
fn plan() -> Plan {
    Plan::new([
        Step::ListTools,
        Step::ListPrompts,
        Step::ListResources,
        Step::ListResourceTemplates,
        Step::CallTool("test_simple_text", json!({})),
        Step::CallTool("test_image_content", json!({})),
        Step::CallTool("test_audio_content", json!({})),
        Step::CallTool("test_multiple_content_types", json!({})),
        Step::CallTool("test_error_handling", json!({})),
        Step::CallTool("test_tool_with_progress", json!({})),
        Step::CallTool("test_custom_headers", json!({"region": " über all "})),
        Step::CallTool("greet", json!({"name": "grüß Gott, \"𝄞\"\n"})),
        Step::GetPrompt("test_simple_prompt", json!({})),
        Step::GetPrompt("test_prompt_with_arguments", json!({"arg1": "one", "arg2": "two"})),
        Step::GetPrompt("test_prompt_with_image", json!({})),
        Step::ReadResource("test://static-text"),
        Step::ReadResource("test://static-binary"),
        Step::ReadResource("test://template/17/data"),
        Step::CompletePrompt { name: "test_prompt_with_arguments", argument: "arg1", value: "par" },
    ])
}

async fn meets(client: Client, era: Era) {
    let plan = plan();
    let both = Fixture::start(Era::Both).await;
    let direct = client.run(&Target::streamable(both.url()), &plan).await;
    let fixture = Fixture::start(era).await;
    same_through_a_gate(client, direct, &plan, fixture.entry()).await;
}

/// The plan that the SDKs' own servers can serve.
fn small_plan() -> Plan {
    Plan::new([
        Step::ListTools,
        Step::ListPrompts,
        Step::ListResources,
        Step::ListResourceTemplates,
        Step::CallTool("add", json!({"a": 2, "b": 3})),
        Step::CallTool("add", json!({"a": "two", "b": 3})),
        Step::CallTool("greet", json!({"name": "grüß Gott, \"𝄞\"\n"})),
        Step::CallTool("fail", json!({})),
        Step::GetPrompt("review", json!({"language": "rust"})),
        Step::ReadResource("note://a"),
        Step::ReadResource("note://b/text"),
        Step::CompletePrompt { name: "review", argument: "language", value: "r" },
    ])
}

/// `direct` is what a client meets that speaks to the server itself, in either era.
async fn meets_a_real_server(client: Client, direct: Server, behind_the_gate: Option<Server>) {
    let plan = small_plan();
    let account = client.run(&direct.direct, &plan).await;
    let entry = behind_the_gate.as_ref().unwrap_or(&direct).entry.clone();
    same_through_a_gate(client, account, &plan, entry).await;
}

async fn same_through_a_gate(client: Client, direct: Value, plan: &Plan, entry: Entry) {
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("fixture", entry);
    let gate = TestGateway::start(config).await;
    let target = Target::streamable(&gate.url("/mcp")).with("x-litellm-api-key", MASTER_KEY);
    let through = client.run(&target, plan).await;
    let (direct, through) = (substance(direct), substance(through));
    assert_eq!(direct.len(), through.len());
    for (number, (direct, through)) in direct.iter().zip(&through).enumerate() {
        assert_eq!(direct, through, "step {number}");
    }
    gate.stop().await;
}

/// The steps without what each era adds to any result: its kind, for how long it may be kept, and who it comes from.
fn substance(mut account: Value) -> Vec<Value> {
    let steps = account["steps"].as_array_mut().expect("an account has steps");
    for step in steps.iter_mut() {
        if let Some(result) = step.get_mut("result").and_then(Value::as_object_mut) {
            for added in ["resultType", "ttlMs", "cacheScope", "_meta"] {
                result.shift_remove(added);
            }
        }
    }
    std::mem::take(steps)
}

macro_rules! each_meets_both_eras {
    ($($client:ident: $kind:expr;)*) => {$(
        mod $client {
            use super::*;

            #[tokio::test]
            async fn meets_a_server_with_a_handshake() {
                meets($kind, Era::Legacy).await;
            }

            #[tokio::test]
            async fn meets_a_server_of_2026_07_28() {
                meets($kind, Era::Modern).await;
            }

            #[tokio::test]
            async fn meets_the_python_sdks_server() {
                meets_a_real_server($kind, sdk_server::python().await, None).await;
            }

            #[tokio::test]
            async fn meets_the_typescript_sdks_server_of_2026_07_28() {
                let (both, modern) = tokio::join!(sdk_server::typescript("both"), sdk_server::typescript("modern"));
                meets_a_real_server($kind, both, Some(modern)).await;
            }

            #[tokio::test]
            async fn meets_the_typescript_sdks_server_in_sessions() {
                let (both, legacy) = tokio::join!(sdk_server::typescript("both"), sdk_server::typescript("legacy"));
                meets_a_real_server($kind, both, Some(legacy)).await;
            }
        }
    )*};
}

each_meets_both_eras! {
    python_sdk_1: Client::Python(PythonSdk::One);
    python_sdk_2_with_a_handshake: Client::Python(PythonSdk::Two);
    python_sdk_2: Client::ProbingPython;
    typescript_sdk_1: Client::Node(NodeSdk::One);
    typescript_sdk_2_with_a_handshake: Client::Node(NodeSdk::Two);
    typescript_sdk_2: Client::ProbingNode;
    rust_sdk_with_a_handshake: Client::Rmcp(Lifecycle::Handshake);
    rust_sdk: Client::Rmcp(Lifecycle::Discover);
}
