//! The Rust SDK as a test peer. Gives the same account as the client scripts.

use std::process::Stdio;

use rmcp::ClientServiceExt;
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams, ReadResourceRequestParams,
    Reference,
};
use rmcp::service::{Peer, RoleClient, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Value, json};

use super::obliging::Lifecycle;
use super::plan::{Plan, Step, Target};
use super::soon;

/// Runs `plan` with the Rust SDK, which has no HTTP+SSE.
pub(crate) async fn rmcp_client(lifecycle: Lifecycle, target: &Target, plan: &Plan) -> Value {
    let mode = lifecycle.mode();
    let running = match target {
        Target::Streamable { url, headers } => {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str()).custom_headers(headers);
            let transport = StreamableHttpClientTransport::from_config(config);
            soon("connecting", ().serve_with_lifecycle(transport, mode)).await.unwrap()
        }
        Target::Stdio { command, args } => {
            let mut child = tokio::process::Command::new(command);
            child.args(args);
            let (transport, _no_stderr) = TokioChildProcess::builder(child).stderr(Stdio::null()).spawn().unwrap();
            soon("connecting", ().serve_with_lifecycle(transport, mode)).await.unwrap()
        }
        Target::Sse { .. } => panic!("the Rust SDK has no HTTP+SSE"),
    };
    let initialize = serde_json::to_value(running.peer_info()).unwrap();
    let mut steps = Vec::new();
    for (step, prefix) in plan.steps() {
        steps.push(account(soon("a step", take(running.peer(), step, prefix)).await));
    }
    soon("closing", running.cancel()).await.unwrap();
    json!({"initialize": initialize, "steps": steps})
}

fn account(outcome: Result<Value, ServiceError>) -> Value {
    match outcome {
        Ok(result) => json!({"result": result}),
        Err(ServiceError::McpError(error)) => json!({"error": {"code": error.code.0, "message": error.message}}),
        Err(error) => panic!("the client failed: {error}"),
    }
}

async fn take(peer: &Peer<RoleClient>, step: &Step, prefix: &str) -> Result<Value, ServiceError> {
    Ok(match step {
        Step::Ping => {
            peer.send_request(rmcp::model::ClientRequest::PingRequest(rmcp::model::PingRequest::default())).await?;
            json!({})
        }
        Step::ListTools => json!({"tools": peer.list_all_tools().await?}),
        Step::ListPrompts => json!({"prompts": peer.list_all_prompts().await?}),
        Step::ListResources => json!({"resources": peer.list_all_resources().await?}),
        Step::ListResourceTemplates => json!({"resourceTemplates": peer.list_all_resource_templates().await?}),
        Step::CallTool(name, arguments) => {
            let arguments = arguments.as_object().expect("arguments are an object").clone();
            json!(
                peer.call_tool(CallToolRequestParams::new(format!("{prefix}{name}")).with_arguments(arguments)).await?
            )
        }
        Step::GetPrompt(name, arguments) => {
            let arguments = arguments.as_object().expect("arguments are an object").clone();
            json!(
                peer.get_prompt(GetPromptRequestParams::new(format!("{prefix}{name}")).with_arguments(arguments))
                    .await?
            )
        }
        Step::ReadResource(uri) => json!(peer.read_resource(ReadResourceRequestParams::new(*uri)).await?),
        Step::CompletePrompt { name, argument, value } => {
            let reference = Reference::for_prompt(format!("{prefix}{name}"));
            json!(peer.complete(complete(reference, argument, value)).await?)
        }
        Step::CompleteResource { template, argument, value } => {
            json!(peer.complete(complete(Reference::for_resource(*template), argument, value)).await?)
        }
    })
}

fn complete(reference: Reference, name: &str, value: &str) -> CompleteRequestParams {
    CompleteRequestParams::new(reference, ArgumentInfo::new(name, value))
}
