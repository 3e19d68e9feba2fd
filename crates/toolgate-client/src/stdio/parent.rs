//! What a child does between fork and exec, so that it cannot outlive us unseen.

use tokio::process::Command;

/// Has the child die with us, and has its own descendants stay below it.
///
/// On Linux alone: elsewhere a child whose parent is killed outright is left to notice the end of its input.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "`pre_exec` is the only way to run code between fork and exec")]
pub(super) fn tie(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_child_subreaper, set_parent_process_death_signal};

    let us = getpid();
    let before_exec = move || {
        // SIGKILL when the thread that spawned us ends; the supervisor spawns from a worker of the runtime, which
        // lives as long as the process has use for the child.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A descendant that daemonizes becomes a child of the child in place of init's, and can so be found.
        set_child_subreaper(Some(getpid()))?;
        // If we died before the first line, nobody would send that signal.
        if getppid() == Some(us) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
    unsafe { command.pre_exec(before_exec) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn tie(_command: &mut Command) {}
