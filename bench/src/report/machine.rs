//! Where and with what it was measured: what a reader needs to weigh the numbers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::report::{Plan, stage};

/// The machine and the programs.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Which core the target has to itself, and which the load and the upstream share.
    pub(crate) pinned: Option<(usize, usize)>,
    pub(crate) nginx: Option<String>,
    pub(crate) toolgate: Option<String>,
    pub(crate) toolgate_bytes: Option<u64>,
    /// Load averages of one minute before and after: above 0 before means that others were at work.
    pub(crate) busy_before: String,
    pub(crate) busy_after: String,
}

impl Machine {
    pub(crate) fn look(plan: &Plan) -> Self {
        Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read_word("/proc/sys/kernel/osrelease"),
            pinned: plan.cores,
            nginx: plan.nginx.as_deref().and_then(stage::nginx_version),
            toolgate: plan.toolgate.as_deref().map(toolgate_version),
            toolgate_bytes: plan.toolgate.as_deref().and_then(|path| Some(fs::metadata(path).ok()?.len())),
            busy_before: read_word("/proc/loadavg"),
            busy_after: String::new(),
        }
    }

    /// Notes how busy the machine was at the end.
    pub(crate) fn look_again(&mut self) {
        self.busy_after = read_word("/proc/loadavg");
    }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.to_owned())
}

/// The first word of a file, or nothing; these lines are there to inform, and never fail a run.
fn read_word(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn toolgate_version(path: &Path) -> String {
    let said = Command::new(path).arg("version").output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown version").to_owned()
}
