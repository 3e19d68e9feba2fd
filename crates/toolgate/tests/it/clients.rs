//! Real clients and real servers: through the gate each client sees what it sees without it.
//!
//! Every pair runs one plan twice and compares the two accounts; `support::plan` lists the differences that are allowed.

use serde_json::{Value, json};

use crate::support::{
    Lifecycle, MASTER_KEY, NodeSdk, Plan, PythonSdk, Server, Step, Target, TestGateway, config, everything,
    mcp_server_git, mcp_server_time, node_client, python_client, rmcp_client, same_initialize, timeless,
    without_prefix,
};

/// Everything that server-everything has and that answers the same twice.
fn everything_plan() -> Plan {
    Plan::new([
        Step::Ping,
        Step::ListTools,
        Step::ListPrompts,
        Step::ListResources,
        Step::ListResourceTemplates,
        Step::CallTool("echo", json!({"message": "grüß Gott, \"𝄞\"\n"})),
        Step::CallTool("get-sum", json!({"a": 2.5, "b": 40})),
        Step::CallTool("get-sum", json!({"a": "two"})),
        Step::CallTool("get-tiny-image", json!({})),
        Step::CallTool("get-annotated-message", json!({"messageType": "error", "includeImage": true})),
        Step::CallTool("get-structured-content", json!({"location": "Chicago"})),
        Step::CallTool("get-resource-links", json!({"count": 2})),
        Step::CallTool("get-resource-reference", json!({"resourceType": "Text", "resourceId": 3})),
        Step::CallTool("trigger-long-running-operation", json!({"duration": 0.1, "steps": 2})),
        Step::GetPrompt("simple-prompt", json!({})),
        Step::GetPrompt("args-prompt", json!({"city": "Rom", "state": "Latium"})),
        Step::GetPrompt("args-prompt", json!({})),
        Step::ReadResource("demo://resource/static/document/features.md"),
        Step::ReadResource("demo://resource/dynamic/text/7"),
        Step::CompletePrompt { name: "completable-prompt", argument: "department", value: "E" },
        Step::CompleteResource {
            template: "demo://resource/dynamic/text/{resourceId}",
            argument: "resourceId",
            value: "12",
        },
    ])
}

fn time_plan() -> Plan {
    let noon = |zone: &str| json!({"source_timezone": zone, "time": "12:00", "target_timezone": "Asia/Tokyo"});
    Plan::new([
        Step::Ping,
        Step::ListTools,
        Step::CallTool("convert_time", noon("Etc/UTC")),
        Step::CallTool("convert_time", noon("Nowhere/Here")),
    ])
}

fn git_plan(repository: &str) -> Plan {
    let arguments = json!({"repo_path": repository});
    Plan::new([
        Step::ListTools,
        Step::CallTool("git_status", arguments.clone()),
        Step::CallTool("git_log", arguments.clone()),
        Step::CallTool("git_branch", json!({"repo_path": repository, "branch_type": "local"})),
        Step::CallTool("git_status", json!({"repo_path": "/nowhere"})),
    ])
}

/// A repository with one commit.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]);
        let output = command.args(args).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(folder.path().join("poem"), "eins\n").unwrap();
    git(&["add", "poem"]);
    git(&["commit", "--quiet", "--message=First line"]);
    folder
}

#[derive(Debug, Clone, Copy)]
enum Client {
    Python1,
    Python2,
    Node,
    Rmcp,
}

impl Client {
    async fn run(self, target: &Target, plan: &Plan) -> Value {
        match self {
            Self::Python1 => python_client(PythonSdk::One, target, plan, false).await,
            Self::Python2 => python_client(PythonSdk::Two, target, plan, false).await,
            Self::Node => node_client(NodeSdk::One, target, plan, false).await,
            Self::Rmcp => rmcp_client(Lifecycle::Handshake, target, plan).await,
        }
    }
}

/// Runs `plan` directly and through a gate in which `server` is alone, and compares.
async fn same_through_the_gate(client: Client, server: Server, plan: Plan) {
    let direct = client.run(&server.direct, &plan).await;
    let gate = TestGateway::start(config().server("peer", server.entry.clone())).await;
    let through = client.run(&key_holder(&gate.url("/mcp")), &plan.prefixed("peer-")).await;
    same_account(direct, through, "peer-");
    gate.stop().await;
}

fn key_holder(url: &str) -> Target {
    Target::streamable(url).with("x-litellm-api-key", MASTER_KEY)
}

fn same_account(mut direct: Value, through: Value, prefix: &str) {
    let mut through = without_prefix(through, prefix);
    same_initialize(&direct["initialize"], &through["initialize"]);
    timeless(&mut direct);
    timeless(&mut through);
    without_tasks(&mut direct);
    let (direct, through) = (steps(&direct), steps(&through));
    assert_eq!(direct.len(), through.len());
    for (number, (direct, through)) in direct.iter().zip(through).enumerate() {
        assert_eq!(direct, through, "step {number}");
    }
}

/// A tool that must be run as a task is a tool like any other through the gate.
fn without_tasks(account: &mut Value) {
    let steps = account["steps"].as_array_mut().expect("an account has steps").iter_mut();
    let tools = steps.filter_map(|step| step.get_mut("result")?.get_mut("tools")?.as_array_mut()).flatten();
    for tool in tools.filter(|tool| tool["execution"]["taskSupport"] == "required") {
        tool.as_object_mut().expect("a tool is an object").shift_remove("execution");
    }
}

fn steps(account: &Value) -> &Vec<Value> {
    account["steps"].as_array().expect("an account has steps")
}

macro_rules! each_server_is_the_same {
    ($($client:ident: $kind:expr;)*) => {$(
        mod $client {
            use super::*;

            #[tokio::test]
            async fn sees_server_everything_over_stdio_as_it_is() {
                same_through_the_gate($kind, everything::stdio(), everything_plan()).await;
            }

            #[tokio::test]
            async fn sees_server_everything_over_sse_as_it_is() {
                let mut server = everything::sse().await;
                if matches!($kind, Client::Rmcp) {
                    // This client has no HTTP+SSE; it looks at the same server over stdio for comparison.
                    server.direct = everything::stdio().direct;
                }
                same_through_the_gate($kind, server, everything_plan()).await;
            }

            #[tokio::test]
            async fn sees_server_everything_over_streamable_http_as_it_is() {
                same_through_the_gate($kind, everything::streamable().await, everything_plan()).await;
            }

            #[tokio::test]
            async fn sees_mcp_server_time_as_it_is() {
                same_through_the_gate($kind, mcp_server_time(), time_plan()).await;
            }

            #[tokio::test]
            async fn sees_mcp_server_git_as_it_is() {
                let repository = repository();
                let plan = git_plan(repository.path().to_str().unwrap());
                same_through_the_gate($kind, mcp_server_git(), plan).await;
            }
        }
    )*};
}

each_server_is_the_same! {
    python_sdk_1: Client::Python1;
    python_sdk_2: Client::Python2;
    typescript_sdk: Client::Node;
    rust_sdk: Client::Rmcp;
}

/// Clients of the first revision come to `/sse`.
async fn same_over_legacy_sse(client: Client) {
    let server = everything::streamable().await;
    let direct = client.run(&server.direct, &everything_plan()).await;
    let gate = TestGateway::start(config().server("peer", server.entry.clone())).await;
    let target = Target::sse(&gate.url("/sse")).with("x-litellm-api-key", MASTER_KEY);
    let through = client.run(&target, &everything_plan().prefixed("peer-")).await;
    same_account(direct, through, "peer-");
}

#[tokio::test]
async fn python_sdk_1_works_over_the_legacy_sse_endpoint() {
    same_over_legacy_sse(Client::Python1).await;
}

#[tokio::test]
async fn python_sdk_2_works_over_the_legacy_sse_endpoint() {
    same_over_legacy_sse(Client::Python2).await;
}

#[tokio::test]
async fn the_typescript_sdk_works_over_the_legacy_sse_endpoint() {
    same_over_legacy_sse(Client::Node).await;
}

#[tokio::test]
async fn a_client_that_probes_for_the_newest_revision_gets_it_and_sees_the_same() {
    let server = everything::streamable().await;
    let plan = everything_plan().without_ping();
    let mut direct = python_client(PythonSdk::Two, &server.direct, &plan, true).await;
    let gate = TestGateway::start(config().server("peer", server.entry.clone())).await;
    let through = python_client(PythonSdk::Two, &key_holder(&gate.url("/mcp")), &plan.prefixed("peer-"), true).await;
    assert_eq!(through["initialize"], json!({"modern": true}));
    let mut through = without_prefix(through, "peer-");
    through["initialize"] = direct["initialize"].clone();
    // This client adds some of it itself where a server does not.
    for account in [&mut direct, &mut through] {
        for step in account["steps"].as_array_mut().unwrap() {
            without_what_2026_07_28_adds(&mut step["result"]);
        }
    }
    same_account(direct, through, "");
}

fn without_what_2026_07_28_adds(result: &mut Value) {
    let Some(fields) = result.as_object_mut() else { return };
    for added in ["resultType", "ttlMs", "cacheScope"] {
        fields.remove(added);
    }
    if let Some(meta) = fields.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.remove("io.modelcontextprotocol/serverInfo");
        if meta.is_empty() {
            fields.remove("_meta");
        }
    }
}

#[tokio::test]
async fn a_server_whose_transport_is_not_given_is_found_over_either() {
    for server in [everything::streamable().await, everything::sse().await] {
        let (Target::Streamable { url, .. } | Target::Sse { url, .. }) = &server.direct else { unreachable!() };
        let gate = TestGateway::start(config().server("peer", crate::support::Entry::detected(url))).await;
        let answer = gate.admin().call("peer-echo", json!({"message": "there"})).await;
        assert_eq!(answer.tool_text(), "Echo: there", "over {url}");
        gate.stop().await;
    }
}

#[tokio::test]
async fn our_own_client_library_works_through_the_gate() {
    use toolgate_client::{
        Format, HttpClient, HttpKind, HttpTarget, Options, Session, Target as ClientTarget, TlsOptions,
    };

    let gate = TestGateway::start(config().server("peer", everything::stdio().entry)).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {MASTER_KEY}").parse().unwrap());
    let target = ClientTarget::Http(HttpTarget {
        url: gate.url("/mcp").parse().unwrap(),
        headers,
        authorizer: None,
        kind: HttpKind::Detect,
        client: HttpClient::new(&TlsOptions { verify: true, ca_file: None }).unwrap(),
    });
    let session = Session::connect(target, Options::default()).await.unwrap();

    let tools = toolgate_client::load_mcp_tools(&session, Format::OpenAi).await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"peer-get-sum"), "{names:?}");

    let call = json!({"id": "call_1", "type": "function",
        "function": {"name": "peer-get-sum", "arguments": "{\"a\": 20, \"b\": 22}"}});
    let result = toolgate_client::call_openai_tool(&session, &call).await.unwrap();
    assert!(result.to_string().contains("42"), "{result}");
    session.close().await;
    gate.stop().await;
}
