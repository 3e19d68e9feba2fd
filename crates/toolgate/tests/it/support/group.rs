//! Processes that a test starts, and that never outlive it.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::soon;

/// A process that leads a group; all of the group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) child: Child,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> Self {
        Self { child: command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn().unwrap() }
    }

    /// Sends a signal to the process alone.
    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("the process runs"), signal).unwrap();
    }

    /// Waits for the process's own end.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        soon("a process ending", self.child.wait()).await.unwrap()
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id()?.cast_signed())
    }
}

/// Kills the process with this id, which a child of the test has told of itself.
pub(crate) fn signal_kill(pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).expect("a pid is not 0"), Signal::KILL).unwrap();
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.pid() {
            // An error means that it ended by itself.
            let _already_gone = kill_process_group(leader, Signal::KILL);
        }
    }
}
