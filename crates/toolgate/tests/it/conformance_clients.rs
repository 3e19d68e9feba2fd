//! The client scenarios of the official conformance suite: its servers are the gate's upstreams, and a real client
//! before the gate does what each scenario wants.
//!
//! The scenarios `auth/*` are left out: the gate does not yet log in to upstreams with OAuth.

use rmcp::model::{CallToolRequestParams, GetPromptRequestParams, ReadResourceRequestParams};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use serde_json::{Value, json};

use crate::conformance::{Exception, only_these_fail};
use crate::support::conformance::{Task, judge_client};
use crate::support::{Entry, Lifecycle, Obliging, TestGateway, config};

/// Scenarios of the revisions with a handshake.
const LEGACY: &[&str] = &[
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "json-schema-2020-12-preservation",
];

/// Scenarios of 2026-07-28.
const MODERN: &[&str] = &[
    "tools_call",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
    "json-schema-2020-12-preservation",
];

/// A client that answers what servers ask, also where it has to ask again with the answers.
type Running = RunningService<RoleClient, Obliging>;

/// Puts a gate before the suite's server, and a client before the gate.
async fn act(scenario: &'static str, lifecycle: Lifecycle, task: Task) -> Result<(), String> {
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("suite", Entry::http(&task.server));
    let gate = TestGateway::start(config).await;
    let outcome = match Obliging.connect(&gate.url("/mcp"), lifecycle).await {
        Ok(client) => {
            let outcome = play(scenario, &task.context, &client).await.map_err(|error| error.to_string());
            // The gate, which is stopped now, does not need a good-bye.
            let _ended = client.cancel().await;
            outcome
        }
        Err(error) => Err(error.to_string()),
    };
    gate.stop().await;
    outcome
}

/// What a client does in a scenario.
async fn play(scenario: &str, context: &Value, client: &Running) -> Result<(), ServiceError> {
    let tools = client.list_all_tools().await?;
    match scenario {
        "tools_call" => call(client, "add_numbers", json!({"a": 2, "b": 40})).await?,
        "elicitation-sep1034-client-defaults" => call(client, "test_client_elicitation_defaults", json!({})).await?,
        "sse-retry" => call(client, "test_reconnection", json!({})).await?,
        "json-schema-2020-12-preservation" => {
            let rich = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool").expect("it is listed");
            call(client, "json_schema_echo", json!({"schema": rich.input_schema})).await?;
        }
        "sep-2322-client-request-state" => {
            tokio::try_join!(
                call(client, "test_mrtr_echo_state", json!({})),
                call(client, "test_mrtr_unrelated", json!({})),
            )?;
            call(client, "test_mrtr_no_state", json!({})).await?;
            call(client, "test_mrtr_no_result_type", json!({})).await?;
        }
        "http-standard-headers" => use_everything(client).await?,
        "http-custom-headers" => {
            for wanted in context["toolCalls"].as_array().expect("the scenario says what to call") {
                call(client, wanted["name"].as_str().expect("a name"), wanted["arguments"].clone()).await?;
            }
        }
        "http-invalid-tool-headers" => {
            for tool in &tools {
                let argument = json!({"region": "here", "value": "v", "field1": "one", "field2": "two"});
                call(client, &tool.name, argument).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn call(client: &Running, tool: &str, arguments: Value) -> Result<(), ServiceError> {
    let arguments = arguments.as_object().expect("arguments are an object").clone();
    client.call_tool(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)).await?;
    Ok(())
}

async fn use_everything(client: &Running) -> Result<(), ServiceError> {
    for tool in client.list_all_tools().await? {
        call(client, &tool.name, json!({})).await?;
    }
    for resource in client.list_all_resources().await? {
        client.read_resource(ReadResourceRequestParams::new(resource.uri)).await?;
    }
    for prompt in client.list_all_prompts().await? {
        client.get_prompt(GetPromptRequestParams::new(prompt.name)).await?;
    }
    Ok(())
}

/// Plays `scenarios` one after the other; nothing fails but `exceptions`.
async fn all_pass(scenarios: &[&'static str], revision: &str, lifecycle: Lifecycle, exceptions: &[Exception]) {
    let mut failed = std::collections::BTreeSet::new();
    for &scenario in scenarios {
        failed.extend(judge_client(scenario, revision, move |task| act(scenario, lifecycle, task)).await.failures());
    }
    only_these_fail(failed, exceptions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_handshake_reaches_servers_of_2025_11_25() {
    all_pass(LEGACY, "2025-11-25", Lifecycle::Handshake, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_handshake_reaches_servers_of_2026_07_28() {
    all_pass(MODERN, "2026-07-28", Lifecycle::Handshake, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_2026_07_28_reaches_servers_of_2026_07_28() {
    all_pass(MODERN, "2026-07-28", Lifecycle::Discover, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_2026_07_28_reaches_servers_of_2025_11_25() {
    all_pass(LEGACY, "2025-11-25", Lifecycle::Discover, &[]).await;
}
