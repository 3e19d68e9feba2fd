//! A child and all that came of it: how to find them, and how to end them.
//!
//! The process group catches what stays in it. Daemons leave it, so on Linux two further marks are looked at, both in
//! `/proc`: the chain of parents (a child is made the one that adopts its orphaned descendants, so the chain holds as
//! long as the child lives; it is looked at now and then, and before the child is ended), and the pipes (whoever holds
//! the child's standard streams came from it, also after its death). What escapes both is a daemon that let go of the
//! streams and was started moments before its child died by itself.

use std::collections::HashMap;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};

/// How long killed orphans that this process has adopted are waited for.
const REAP_TRIES: u32 = 100;
const REAP_EVERY: Duration = Duration::from_millis(10);

/// Has the orphaned descendants of this process's children become its own children, and not init's.
///
/// A program that runs stdio servers calls this once when it starts, so that a session can also collect what its child
/// leaves behind. It is a trait of the whole process, and therefore the program's choice. Does nothing but on Linux.
///
/// # Errors
/// When the system refuses.
pub fn become_subreaper() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// One process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    group: i32,
    /// When it began, in ticks since boot: tells it from a later process with its number.
    began: u64,
}

/// A child's group, its pipes, and those descendants that were seen while it lived.
pub(super) struct Family {
    leader: Pid,
    /// What `/proc/*/fd/*` says of the child's standard streams, such as `pipe:[4026]`.
    pipes: Vec<String>,
    seen: Vec<Process>,
    ended: bool,
}

impl Family {
    pub(super) fn new(leader: Pid, pipes: Vec<String>) -> Self {
        Self { leader, pipes, seen: Vec::new(), ended: false }
    }

    /// Notes the descendants that there are now; to be done while the child lives.
    pub(super) fn look(&mut self) {
        self.seen = living_descendants(self.leader).unwrap_or_else(|| descendants(self.leader, &processes()));
    }

    /// Asks everyone to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills the group and the descendants that are known. Cheap, unlike [`kill`](Self::kill).
    pub(super) fn kill_known(&self) {
        self.signal(Signal::KILL);
    }

    /// Kills everyone; also those who left the group. Reads all of `/proc`.
    pub(super) fn kill(&mut self) {
        self.kill_known();
        let now = processes();
        for stray in self.strays(&now) {
            self.seen.push(stray);
            send(stray, Signal::KILL);
        }
        self.ended = true;
    }

    /// Collects the killed ones whom this process has adopted; without this they stay zombies.
    pub(super) async fn reap(&self) {
        let mut left: Vec<Pid> = self.seen.iter().map(|process| process.pid).collect();
        for _ in 0..REAP_TRIES {
            // Not ours to collect is an error, and as good as collected.
            left.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
            if left.is_empty() {
                return;
            }
            tokio::time::sleep(REAP_EVERY).await;
        }
    }

    fn signal(&self, signal: Signal) {
        // An empty group is what we want; there is nothing else that could fail for processes of our own.
        let _ = kill_process_group(self.leader, signal);
        for process in self.seen.iter().filter(|process| still_there(process)) {
            send(*process, signal);
        }
    }

    /// Who is in the group or holds one of the pipes, with all descendants.
    fn strays(&self, now: &HashMap<Pid, Process>) -> Vec<Process> {
        let own = rustix::process::getpid();
        let of_ours = |process: &&Process| {
            process.pid != own
                && process.pid != self.leader
                && (process.group == self.leader.as_raw_nonzero().get() || self.holds_pipe(process.pid))
        };
        let mut strays: Vec<Process> = now.values().filter(of_ours).copied().collect();
        for at in 0..strays.len() {
            strays.extend(descendants(strays[at].pid, now));
        }
        strays
    }

    fn holds_pipe(&self, pid: Pid) -> bool {
        (0..3).any(|fd| {
            std::fs::read_link(format!("/proc/{}/fd/{fd}", pid.as_raw_nonzero()))
                .is_ok_and(|link| self.pipes.iter().any(|pipe| link.as_os_str() == pipe.as_str()))
        })
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // The supervisor was dropped with the runtime: no time is left for manners.
        if !self.ended {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
    }
}

fn send(process: Process, signal: Signal) {
    // It may have ended meanwhile, which is all that is wanted of it.
    let _ = kill_process(process.pid, signal);
}

/// Whether the number still belongs to the process that was seen.
fn still_there(seen: &Process) -> bool {
    process(seen.pid.as_raw_nonzero().get()).is_some_and(|current| current.began == seen.began)
}

/// All processes; none where there is no `/proc`.
fn processes() -> HashMap<Pid, Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| process(pid).map(|process| (process.pid, process)))
        .collect()
}

fn process(pid: i32) -> Option<Process> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The descendants by the kernel's own lists of children, which costs a few reads in place of all of `/proc`; `None`
/// where the kernel keeps none for `root`, or `root` is gone.
fn living_descendants(root: Pid) -> Option<Vec<Process>> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root.as_raw_nonzero().get()];
    let mut known = false;
    while let Some(parent) = parents.pop() {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for children in threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok()) {
            known = true;
            for child in children.split_ascii_whitespace().filter_map(|pid| process(pid.parse().ok()?)) {
                parents.push(child.pid.as_raw_nonzero().get());
                found.push(child);
            }
        }
    }
    known.then_some(found)
}

/// Reads one line of `/proc/*/stat`; the name in it may itself hold blanks and parentheses.
fn parse_stat(stat: &str) -> Option<Process> {
    let pid = Pid::from_raw(stat.split(' ').next()?.parse().ok()?)?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let began = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, began })
}

fn descendants(root: Pid, now: &HashMap<Pid, Process>) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let parent = parent.as_raw_nonzero().get();
        let children = now.values().filter(|process| process.parent == parent);
        for child in children {
            found.push(*child);
            parents.push(child.pid);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Pid, Process, parse_stat};

    #[test]
    fn reads_a_stat_line_whatever_the_name_holds() {
        let stat = "42 (a) b (c)) S 7 40 3 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let pid = Pid::from_raw(42).expect("not zero");
        assert_eq!(parse_stat(stat), Some(Process { pid, parent: 7, group: 40, began: 98765 }));
    }

    #[test]
    fn both_ways_find_the_same_descendants() {
        // The shell has a child and a grandchild, and waits for them.
        let script = "sh -c 'sleep 1000 & echo; wait' & wait";
        let mut shell = std::process::Command::new("sh");
        let mut shell = shell.args(["-c", script]).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        let mut line = [0];
        let stdout = shell.stdout.as_mut().expect("piped");
        std::io::Read::read_exact(stdout, &mut line).expect("both are there");
        let pid = Pid::from_raw(shell.id().cast_signed()).expect("not zero");
        let mut slow = super::descendants(pid, &super::processes());
        slow.sort_by_key(|process| process.pid.as_raw_nonzero());
        if let Some(mut quick) = super::living_descendants(pid) {
            quick.sort_by_key(|process| process.pid.as_raw_nonzero());
            assert_eq!(quick, slow);
        }
        assert_eq!(slow.len(), 2);
        shell.kill().expect("killed");
        shell.wait().expect("collected");
        for process in slow {
            super::send(process, super::Signal::KILL);
        }
    }

    #[test]
    fn this_process_is_among_all() {
        assert!(super::processes().contains_key(&rustix::process::getpid()));
    }
}
