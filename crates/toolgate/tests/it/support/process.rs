//! The `toolgate` binary as a process of its own.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::caller::Caller;
use super::group::Group;
use super::soon;

/// A running `toolgate serve`; it is killed, with its children, when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    group: Group,
    base: String,
    /// The master key, where it was made now and printed.
    pub(crate) printed_key: Option<String>,
    /// Its standard output and error as one.
    lines: Lines<BufReader<pipe::Receiver>>,
}

impl Process {
    /// Starts it with a configuration file, on a free port, and waits until it listens.
    pub(crate) async fn serve(config: &Path, data: &Path) -> Self {
        Self::serve_with(config, data, &[]).await
    }

    /// As [`Process::serve`], with options of its own.
    pub(crate) async fn serve_with(config: &Path, data: &Path, options: &[&str]) -> Self {
        Self::start(Command::new(env!("CARGO_BIN_EXE_toolgate")), config, data, options).await
    }

    /// The same with these variables in its environment.
    pub(crate) async fn serve_in(config: &Path, data: &Path, variables: &[(&str, &PathBuf)]) -> Self {
        // It is set before the environment is cleared of all else, so a program in between sets it.
        let mut command = Command::new("env");
        command.args(variables.iter().map(|(name, value)| format!("{name}={}", value.display())));
        command.arg(env!("CARGO_BIN_EXE_toolgate"));
        Self::start(command, config, data, &[]).await
    }

    /// The same with a data directory on a disk of its own of so many MiB, which only this process sees, and the test
    /// through [`Self::sees`]. `None`, and a printed line, where this user may not mount one.
    #[expect(clippy::print_stdout, reason = "what was not tested is said")]
    pub(crate) async fn serve_on_a_disk_of(mib: usize, config: &Path, data: &Path) -> Option<Self> {
        let mut alone = vec!["--mount", "--propagation", "private"];
        if !rustix::process::geteuid().is_root() {
            alone.extend(["--user", "--map-root-user"]);
        }
        let can_mount = std::process::Command::new("unshare").args(&alone).arg("true").status();
        if !can_mount.is_ok_and(|status| status.success()) {
            println!("skipped: `unshare` may not make a mount namespace here");
            return None;
        }
        std::fs::create_dir_all(data).unwrap();
        let mut command = Command::new("unshare");
        let script = format!(r#"mount -t tmpfs -o size={mib}m tmpfs "$0" && exec "$@""#);
        command.args(alone).args(["sh", "-c", &script]).arg(data).arg(env!("CARGO_BIN_EXE_toolgate"));
        Some(Self::start(command, config, data, &[]).await)
    }

    async fn start(mut command: Command, config: &Path, data: &Path, options: &[&str]) -> Self {
        command.args(["serve", "--port", "0", "--config"]).arg(config).arg("--data-dir").arg(data).args(options);
        let keep = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
        command.env_clear().envs(keep.collect::<Vec<_>>());
        let (output, input) = std::io::pipe().unwrap();
        command.stdout(input.try_clone().unwrap()).stderr(input);
        let group = Group::start(&mut command);
        drop(command);
        let mut lines = BufReader::new(pipe::Receiver::from_owned_fd(output.into()).unwrap()).lines();
        let mut printed_key = None;
        let base = soon("toolgate listening", async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, key)) = line.split_once(": ").filter(|_| line.starts_with("master key")) {
                    printed_key = Some(key.to_owned());
                }
                let logged = serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default();
                if logged["msg"] == "ready" {
                    return format!("http://{}", logged["address"].as_str().expect("an address"));
                }
            }
            panic!("toolgate ended before it listened")
        });
        let base = base.await;
        Self { group, base, printed_key, lines }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A caller without a key.
    pub(crate) fn anonymous(&self) -> Caller {
        Caller::new(&self.base)
    }

    /// A caller with `key`.
    pub(crate) fn caller(&self, key: &str) -> Caller {
        self.anonymous().with("x-litellm-api-key", &format!("Bearer {key}"))
    }

    /// Reads its log until a line has `text` in it.
    pub(crate) async fn logs(&mut self, text: &str) {
        let line = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("toolgate ended before it logged {text:?}")
        };
        soon(&format!("a log line with {text:?}"), line).await;
    }

    /// What it logs from here to its end.
    pub(crate) async fn rest_of_the_log(&mut self) -> String {
        let mut log = String::new();
        let lines = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                log.push_str(&line);
                log.push('\n');
            }
        };
        soon("the log's end", lines).await;
        log
    }

    /// The most memory that it has ever had resident.
    pub(crate) fn peak_bytes(&self) -> usize {
        let pid = self.group.child.id().expect("the process runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel keeps a peak");
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Where the test finds a file that the process has at `path`.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        let pid = self.group.child.id().expect("the process runs");
        Path::new(&format!("/proc/{pid}/root")).join(path.strip_prefix("/").unwrap())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.group.ended().await
    }
}
