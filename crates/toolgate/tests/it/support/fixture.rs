//! The fixture server (`tests/fixture`) as a process of its own, over HTTP.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::config::Entry;
use super::group::Group;
use super::soon;

/// The revisions that a fixture speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Both,
    /// Those that begin with `initialize`.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    fn argument(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A running fixture; it ends with this value.
#[derive(Debug)]
pub(crate) struct Fixture {
    url: String,
    era: Era,
    process: Group,
}

impl Fixture {
    /// Starts one on a free port.
    pub(crate) async fn start(era: Era) -> Self {
        let (url, process) = listening(era, "0").await;
        Self { url, era, process }
    }

    /// Ends it as a crash would, and starts it again in the same place. It knows nothing of its sessions.
    pub(crate) async fn restart(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.ended().await;
        let (_, port) = self.url.trim_end_matches("/mcp").rsplit_once(':').expect("an address has a port");
        (self.url, self.process) = listening(self.era, port).await;
    }

    /// Its endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its entry in `mcp_servers`.
    pub(crate) fn entry(&self) -> Entry {
        Entry::http(&self.url)
    }
}

async fn listening(era: Era, port: &str) -> (String, Group) {
    let mut command = Command::new(program());
    command.args(["http", "--era", era.argument(), "--port", port]).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = Group::start(&mut command);
    let stdout = process.child.stdout.take().expect("stdout is a pipe");
    let url = soon("the fixture listening", BufReader::new(stdout).lines().next_line()).await.unwrap();
    (url.expect("the fixture prints its address"), process)
}

/// The program; examples lie beside the binaries that they are built with.
fn program() -> String {
    let beside = Path::new(env!("CARGO_BIN_EXE_toolgate")).parent().expect("a program lies in a folder");
    beside.join("examples/mcp-fixture").display().to_string()
}
