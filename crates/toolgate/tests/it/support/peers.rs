//! The real MCP servers and clients that `make setup` installs into `.setup`.
//!
//! Each runs in a process group of its own, which ends with the value that stands for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::config::Entry;
use super::group::Group;
use super::plan::{Plan, Target};
use super::soon;

/// How long a client may take for its whole plan: it starts an interpreter and perhaps a server, beside other tests.
const CLIENT_PATIENCE: Duration = Duration::from_secs(90);

/// Which release of the Python SDK.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PythonSdk {
    /// The last 1.x: revisions up to 2025-11-25.
    One,
    /// 2.x: revision 2026-07-28 too.
    Two,
}

/// Runs `plan` with the Python SDK. With `probe` it asks for revision 2026-07-28 first, as 2.x does by default.
pub(crate) async fn python_client(sdk: PythonSdk, target: &Target, plan: &Plan, probe: bool) -> Value {
    let environment = match sdk {
        PythonSdk::One => "py-mcp1",
        PythonSdk::Two => "py-mcp2",
    };
    let mut command = Command::new(installed(&format!("{environment}/bin/python")));
    let mode = if probe { "auto" } else { "legacy" };
    command.arg(source("python_client.py")).arg(plan.task(target, mode).to_string()).stdin(Stdio::null());
    run_client(command).await
}

/// Which release of the TypeScript SDK.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NodeSdk {
    /// 1.x: revisions up to 2025-11-25.
    One,
    /// 2.x: revision 2026-07-28 too.
    Two,
}

/// Runs `plan` with the TypeScript SDK. With `probe` 2.x asks for revision 2026-07-28 first.
pub(crate) async fn node_client(sdk: NodeSdk, target: &Target, plan: &Plan, probe: bool) -> Value {
    let (node, packages, number) = match sdk {
        NodeSdk::One => (PathBuf::from("node"), "node", 1),
        NodeSdk::Two => (node22(), "node-modern", 2),
    };
    let mut task = plan.task(target, if probe { "auto" } else { "legacy" });
    task["sdk"] = number.into();
    let mut command = Command::new(node);
    // A module that comes on standard input finds its packages from the working directory.
    let module = std::fs::File::open(source("node_client.mjs")).unwrap();
    command.current_dir(installed(packages)).args(["--input-type=module", "-"]);
    command.arg(task.to_string()).stdin(module);
    run_client(command).await
}

/// Runs the TypeScript SDK of 2026-07-28; see its script for what it does.
pub(crate) async fn modern_node_client(task: &Value) -> Value {
    let mut command = Command::new("node");
    let module = std::fs::File::open(source("modern_client.mjs")).unwrap();
    command.current_dir(installed("node-modern")).args(["--input-type=module", "-"]);
    command.arg(task.to_string()).stdin(module);
    run_client(command).await
}

/// Has the Python SDK answer what server-everything asks, and tells what it saw.
pub(crate) async fn answering_python_client(sdk: PythonSdk, target: &Target, prefix: &str) -> Value {
    let environment = match sdk {
        PythonSdk::One => "py-mcp1",
        PythonSdk::Two => "py-mcp2",
    };
    let mut command = Command::new(installed(&format!("{environment}/bin/python")));
    command.arg(source("answering_client.py")).arg(target.task(prefix).to_string()).stdin(Stdio::null());
    run_client(command).await
}

/// The same with the TypeScript SDK.
pub(crate) async fn answering_node_client(target: &Target, prefix: &str) -> Value {
    let mut command = Command::new("node");
    let module = std::fs::File::open(source("answering_client.mjs")).unwrap();
    command.current_dir(installed("node")).args(["--input-type=module", "-"]);
    command.arg(target.task(prefix).to_string()).stdin(module);
    run_client(command).await
}

async fn run_client(mut command: Command) -> Value {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let output = tokio::time::timeout(CLIENT_PATIENCE, command.output()).await.expect("a client ends in time").unwrap();
    assert!(
        output.status.success(),
        "the client failed, {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    serde_json::from_slice(&output.stdout).expect("a client prints JSON")
}

/// The npm server-everything over a transport: how the gateway is told of it, and how a client reaches it directly.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) entry: Entry,
    pub(crate) direct: Target,
    _process: Option<Group>,
}

/// Ways in which server-everything can be reached.
pub(crate) mod everything {
    use super::{Entry, Group, Server, Target, start_everything, stdio_server};

    /// As a child process.
    pub(crate) fn stdio() -> Server {
        stdio_server("node", &[&super::everything_script(), "stdio"])
    }

    /// Over HTTP+SSE.
    pub(crate) async fn sse() -> Server {
        let (process, port) = start_everything("sse").await;
        let url = format!("http://127.0.0.1:{port}/sse");
        served(Entry::sse(&url), Target::sse(&url), process)
    }

    /// Over Streamable HTTP.
    pub(crate) async fn streamable() -> Server {
        let (process, port) = start_everything("streamableHttp").await;
        let url = format!("http://127.0.0.1:{port}/mcp");
        served(Entry::http(&url), Target::streamable(&url), process)
    }

    fn served(entry: Entry, direct: Target, process: Group) -> Server {
        Server { entry, direct, _process: Some(process) }
    }
}

/// PyPI's mcp-server-time as a child process.
pub(crate) fn mcp_server_time() -> Server {
    stdio_server(&installed("py-mcp2/bin/mcp-server-time").display().to_string(), &["--local-timezone", "Etc/UTC"])
}

/// PyPI's mcp-server-git as a child process.
pub(crate) fn mcp_server_git() -> Server {
    stdio_server(&installed("py-mcp2/bin/mcp-server-git").display().to_string(), &[])
}

fn stdio_server(command: &str, args: &[&str]) -> Server {
    Server { entry: Entry::stdio(command, args), direct: Target::stdio(command, args), _process: None }
}

fn everything_script() -> String {
    installed("node/node_modules/@modelcontextprotocol/server-everything/dist/index.js").display().to_string()
}

async fn start_everything(transport: &str) -> (Group, u16) {
    let mut command = Command::new("node");
    command.arg("--import").arg(source("report_port.mjs")).args([&everything_script(), transport]).env("PORT", "0");
    listening(&mut command).await
}

/// The official SDKs' servers of the newest release, over Streamable HTTP; see their scripts for what they have.
pub(crate) mod sdk_server {
    use super::{Command, Entry, Server, Target, installed, listening, node22, source};

    /// TypeScript; `era` is `modern`, `legacy` or `both`.
    pub(crate) async fn typescript(era: &str) -> Server {
        let mut command = Command::new(node22());
        // Given as text, a module finds its packages from the working directory.
        let module = std::fs::read_to_string(source("modern_server.mjs")).unwrap();
        command.current_dir(installed("node-modern")).args(["--input-type=module", "--eval", &module, era]);
        serve(&mut command).await
    }

    /// Python, which speaks revisions of both eras.
    pub(crate) async fn python() -> Server {
        let mut command = Command::new(installed("py-mcp2/bin/python"));
        serve(command.arg(source("modern_server.py"))).await
    }

    async fn serve(command: &mut Command) -> Server {
        let (process, port) = listening(command).await;
        let url = format!("http://127.0.0.1:{port}/mcp");
        Server { entry: Entry::http(&url), direct: Target::streamable(&url), _process: Some(process) }
    }
}

/// The folder of npm's example descriptions of REST APIs.
pub(crate) fn oas_examples() -> PathBuf {
    installed("node-openapi/node_modules/@readme/oas-examples")
}

/// Stoplight's Prism, serving descriptions and refusing requests that do not fit them.
pub(crate) struct Prism {
    /// By the path of the description; `None` where Prism cannot read it.
    pub(crate) ports: BTreeMap<PathBuf, Option<u16>>,
    _process: Group,
}

impl Prism {
    pub(crate) async fn start(descriptions: &[PathBuf]) -> Self {
        let mut command = Command::new("node");
        let script = std::fs::read_to_string(source("prism_server.mjs")).unwrap();
        command.current_dir(installed("node-openapi")).args(["--input-type=module", "--eval", &script]);
        command.args(descriptions).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Group::start(&mut command);
        let mut lines = BufReader::new(process.child.stdout.take().expect("stdout is a pipe")).lines();
        let ports = tokio::time::timeout(CLIENT_PATIENCE, lines.next_line()).await.expect("Prism starts in time");
        let ports = ports.unwrap().expect("Prism tells its ports");
        Self { ports: serde_json::from_str(&ports).unwrap(), _process: process }
    }
}

/// Starts a server that says on standard error on which port it listens.
async fn listening(command: &mut Command) -> (Group, u16) {
    let mut process = Group::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let stderr = process.child.stderr.take().expect("stderr is a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let port = soon("the server listening", async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(port) = line.strip_prefix("listening on port ") {
                return port.parse().unwrap();
            }
        }
        panic!("the server ended before it listened")
    });
    let port = port.await;
    // Nobody wants to read the rest, but a full pipe would stop the server.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, port)
}

/// The Node.js that `make setup` installs, for peers that need a newer one than machines have.
pub(super) fn node22() -> PathBuf {
    installed("node22/node")
}

/// A file that `make setup` installs.
pub(super) fn installed(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.setup").join(path);
    assert!(path.exists(), "{} is not there: run `make setup`", path.display());
    // Not canonicalized whole: an environment's `python` is a link that must stay one.
    let folder = path.parent().unwrap().canonicalize().unwrap();
    folder.join(path.file_name().unwrap())
}

/// A client script of ours.
pub(super) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Runs a program of the `py-apis` peers to its end, which must be a good one, and gives what it printed.
pub(crate) async fn api_tool(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(installed(&format!("py-apis/bin/{name}")));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    // Where it would keep what it found.
    let folder = tempfile::tempdir().unwrap();
    let output = command.current_dir(folder.path()).output();
    let output = tokio::time::timeout(CLIENT_PATIENCE, output).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    said
}
