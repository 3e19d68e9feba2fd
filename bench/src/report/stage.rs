//! Starts and stops what is measured: upstreams, nginx, toolgate, and the programs that load them.

use std::fs::{self, File};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::launch;
use crate::report::Plan;
use crate::report::scenario::Servers;
use crate::upstream::Listening;

/// How long a program may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long a program may take to end when asked.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A child that ends with this value, and whose errors are kept in a file.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    errors: PathBuf,
}

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command, dir: &Path) -> anyhow::Result<Self> {
        let errors = dir.join(format!("{name}.stderr"));
        let file = File::create(&errors).with_context(|| format!("cannot write {}", errors.display()))?;
        let child = command.stderr(file).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, errors })
    }

    /// The process, which is the program's own: `launch` becomes it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its stdout, where that is a pipe.
    pub(crate) fn stdout(&mut self) -> anyhow::Result<ChildStdout> {
        self.child.stdout.take().context("it has no stdout")
    }

    /// The end of what the program wrote to stderr.
    pub(crate) fn complaint(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    fn ensure_running(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait().context("cannot wait for a child")? else { return Ok(()) };
        bail!("it ended at once ({status}): {}", self.complaint())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that ended already cannot be signalled, and that is as well.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + END_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            pause(Duration::from_millis(2));
        }
    }
}

/// Upstreams that listen.
#[derive(Debug)]
pub(crate) struct Upstreams {
    _running: Running,
    pub(crate) ports: Vec<u16>,
}

impl Upstreams {
    /// One process with all of `servers`.
    pub(crate) fn start(plan: &Plan, servers: &Servers, dir: &Path) -> anyhow::Result<Self> {
        Self::spawn(plan, servers, &["--instances".to_owned(), servers.count.to_string()], dir)
    }

    /// One server that says what a gateway over all of `servers` would.
    pub(crate) fn start_alone(plan: &Plan, servers: &Servers, dir: &Path) -> anyhow::Result<Self> {
        if servers.count == 1 {
            return Self::start(plan, servers, dir);
        }
        let names: Vec<_> = (0..servers.count).map(server_name).collect();
        Self::spawn(plan, servers, &["--prefixes".to_owned(), names.join(",")], dir)
    }

    fn spawn(plan: &Plan, servers: &Servers, more: &[String], dir: &Path) -> anyhow::Result<Self> {
        let mut command = own_command(plan, "upstream")?;
        command.args(["--tools", &servers.tools_each.to_string()]);
        command.args(["--answer-bytes", &servers.answer_bytes.to_string()]).args(more).stdout(Stdio::piped());
        if servers.sse {
            command.arg("--sse");
        }
        let mut running = Running::start("upstream", &mut command, dir)?;
        let mut out = BufReader::new(running.child.stdout.take().context("the upstream has no stdout")?);
        let Listening { ports } = read_line(&mut out).with_context(|| format!("upstream: {}", running.complaint()))?;
        Ok(Self { _running: running, ports })
    }
}

/// The name that the gateway's config gives to server `number`.
pub(crate) fn server_name(number: u16) -> String {
    format!("s{number}")
}

/// A target that stands between the load and the upstream.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) port: u16,
    /// From the start of the process to its first right answer.
    pub(crate) ready_after: Duration,
}

/// Starts nginx as a plain reverse proxy: one worker, kept-alive connections on both sides, no log of calls.
pub(crate) fn start_nginx(plan: &Plan, upstream_port: u16, dir: &TempDir) -> anyhow::Result<Gateway> {
    let program = plan.nginx.as_deref().context("nginx cannot be run")?;
    let port = free_port()?;
    let config = dir.path().join("nginx.conf");
    let text = include_str!("nginx.conf")
        .replace("@DIR@", &dir.path().display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@UPSTREAM@", &upstream_port.to_string());
    fs::write(&config, text).context("cannot write nginx's config")?;
    let mut command = launch::command(program, plan.gateway_core())?;
    command.arg("-e").arg(dir.path().join("nginx.log")).arg("-p").arg(dir.path()).arg("-c").arg(config);
    // The upstream refuses GET, and that the refusal came through shows that nginx serves.
    start_gateway("nginx", &mut command, port, ("/mcp", "405"), dir)
}

/// What the upstream answers to `GET /rest/..`, as one tool that takes the arguments which the load sends.
const REST: &str = r#"{"openapi":"3.1.0","paths":{"/answer":{"get":{"operationId":"answer","parameters":[
    {"name":"query","in":"query","required":true,"schema":{"type":"string"}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100}},
    {"name":"include_body","in":"query","schema":{"type":"boolean"}}]}}}}"#;

/// Starts toolgate over `ports`, with nothing in its environment but the key. As nginx it keeps no log of calls: what that
/// costs is measured by `accounts`.
pub(crate) fn start_toolgate(
    plan: &Plan,
    servers: &Servers,
    ports: &[u16],
    key: &str,
    dir: &TempDir,
) -> anyhow::Result<Gateway> {
    start_toolgate_with(plan, (servers, ports), key, dir, "disable_spend_logs: true", &[])
}

/// The same with a line more in `general_settings`, and more in its environment.
pub(crate) fn start_toolgate_with(
    plan: &Plan,
    (servers, ports): (&Servers, &[u16]),
    key: &str,
    dir: &TempDir,
    general: &str,
    environment: &[(&str, String)],
) -> anyhow::Result<Gateway> {
    let program = plan.toolgate.as_deref().context("no --toolgate was given")?;
    let port = free_port()?;
    let config = dir.path().join("toolgate.yaml");
    let spec = dir.path().join("rest.json");
    if servers.rest {
        fs::write(&spec, REST).context("cannot write the description of the REST API")?;
    }
    let servers = (0..).zip(ports).map(|(number, port)| {
        let lines = if servers.rest {
            format!("    url: http://127.0.0.1:{port}/rest\n    spec_path: {}\n", spec.display())
        } else {
            format!("    url: http://127.0.0.1:{port}/mcp\n    transport: http\n")
        };
        format!("  {}:\n{lines}", server_name(number))
    });
    let general = format!("general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n  {general}\n");
    fs::write(&config, format!("{general}mcp_servers:\n{}", servers.collect::<String>()))
        .context("cannot write toolgate's config")?;
    let mut command = launch::command(&program.display().to_string(), plan.gateway_core())?;
    command.arg("serve").arg("--config").arg(config).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.env_clear().env("HOME", dir.path()).env("LITELLM_MASTER_KEY", key).current_dir(dir.path());
    command.envs(environment.iter().map(|(name, value)| (*name, value)));
    start_gateway("toolgate", &mut command, port, ("/health/readiness", "200"), dir)
}

fn start_gateway(
    name: &str,
    command: &mut Command,
    port: u16,
    (path, status): (&str, &str),
    dir: &TempDir,
) -> anyhow::Result<Gateway> {
    let start = Instant::now();
    let mut running = Running::start(name, command.stdin(Stdio::null()).stdout(Stdio::null()), dir.path())?;
    while !answers(port, path, status) {
        running.ensure_running().with_context(|| name.to_owned())?;
        let complaint = || format!("{name} was not ready within {READY_WITHIN:?}: {}", running.complaint());
        ensure!(start.elapsed() < READY_WITHIN, complaint());
        pause(Duration::from_micros(500));
    }
    Ok(Gateway { running, port, ready_after: start.elapsed() })
}

/// Whether `GET path` is answered with `status`. Anything else, a refused connection too, is a no.
fn answers(port: u16, path: &str, status: &str) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.to_vec())
    };
    ask().is_ok_and(|head| head == format!("HTTP/1.1 {status}").as_bytes())
}

/// Runs `load` with `arguments` and returns what it printed, whether or not the answers were right.
pub(crate) fn load<T: DeserializeOwned>(plan: &Plan, arguments: &[String], key: &str, dir: &Path) -> anyhow::Result<T> {
    run_own(plan, "load", arguments, key, dir)
}

/// Runs one of our own subcommands, as [`load`] does.
pub(crate) fn run_own<T: DeserializeOwned>(
    plan: &Plan,
    subcommand: &str,
    arguments: &[String],
    key: &str,
    dir: &Path,
) -> anyhow::Result<T> {
    let mut command = own_command(plan, subcommand)?;
    command.args(arguments).env("TOOLGATE_BENCH_KEY", key).stdout(Stdio::piped());
    let mut running = Running::start(subcommand, &mut command, dir)?;
    let mut out = String::new();
    running
        .child
        .stdout
        .take()
        .context("the load has no stdout")?
        .read_to_string(&mut out)
        .context("the load broke off")?;
    running.child.wait().context("cannot wait for the load")?;
    serde_json::from_str(&out).with_context(|| running.complaint())
}

/// A running `idle`.
#[derive(Debug)]
pub(crate) struct Idlers {
    running: Running,
    out: BufReader<ChildStdout>,
    hold: ChildStdin,
}

impl Idlers {
    pub(crate) fn start(plan: &Plan, arguments: &[String], key: &str, dir: &Path) -> anyhow::Result<Self> {
        let mut command = own_command(plan, "idle")?;
        command.args(arguments).env("TOOLGATE_BENCH_KEY", key).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start("idle", &mut command, dir)?;
        let out = BufReader::new(running.child.stdout.take().context("`idle` has no stdout")?);
        let hold = running.child.stdin.take().context("`idle` has no stdin")?;
        Ok(Self { running, out, hold })
    }

    /// The first line: all are open.
    pub(crate) fn opened<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        read_line(&mut self.out).with_context(|| self.running.complaint())
    }

    /// Lets the sessions go, and returns the line that says that some could still be used.
    pub(crate) fn finish<T: DeserializeOwned>(mut self) -> anyhow::Result<T> {
        drop(self.hold);
        read_line(&mut self.out).with_context(|| self.running.complaint())
    }
}

/// What `nginx -v` says; `None` when it cannot be run.
pub(crate) fn nginx_version(program: &str) -> Option<String> {
    let said = Command::new(program).arg("-v").output().ok()?;
    Some(String::from_utf8_lossy(&said.stderr).trim().trim_start_matches("nginx version: ").to_owned())
}

/// One of our own subcommands, on the load's core.
fn own_command(plan: &Plan, subcommand: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = launch::command(&own.display().to_string(), plan.load_core())?;
    command.arg(subcommand);
    Ok(command)
}

fn read_line<T: DeserializeOwned>(out: &mut impl std::io::BufRead) -> anyhow::Result<T> {
    let mut line = String::new();
    out.read_line(&mut line).context("it said nothing")?;
    serde_json::from_str(&line).context("it ended early")
}

/// Waits between two looks at a child.
#[expect(clippy::disallowed_methods, reason = "the report has no runtime: it starts programs and waits for them")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A port that was free a moment ago, for programs that cannot tell which one the system chose for them.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a listener has no address")?.port())
}
