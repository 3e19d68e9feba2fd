//! The fixture server (`tests/fixture`) as a process of its own, over HTTP.

use std::path::Path;
use std::process::Stdio;

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
    _process: Group,
}

impl Fixture {
    /// Starts one on a free port.
    pub(crate) async fn start(era: Era) -> Self {
        let mut command = Command::new(program());
        command.args(["http", "--era", era.argument()]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Group::start(&mut command);
        let stdout = process.child.stdout.take().expect("stdout is a pipe");
        let url = soon("the fixture listening", BufReader::new(stdout).lines().next_line()).await.unwrap();
        Self { url: url.expect("the fixture prints its address"), _process: process }
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

/// The program; examples lie beside the binaries that they are built with.
fn program() -> String {
    let beside = Path::new(env!("CARGO_BIN_EXE_toolgate")).parent().expect("a program lies in a folder");
    beside.join("examples/mcp-fixture").display().to_string()
}
