//! What other processes cost, read from `/proc`.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// What `stat` counts CPU time in: `USER_HZ` is 100 on every Linux that we run on.
const TICK_NS: u64 = 10_000_000;

/// Memory of a process and its descendants; pages that they share are counted once for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// `VmRSS` now.
    pub(crate) resident_bytes: u64,
    /// `VmHWM`: the most that was ever resident.
    pub(crate) peak_bytes: u64,
}

/// `root` and all its living descendants.
///
/// Found by parent ids, since `/proc/PID/task/TID/children` is not built into every kernel.
pub(crate) fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that ended since the listing has no descendants to find.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(parent) = stat_field(&stat, 4) {
            parents.push((pid, parent));
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, of)| *of == u64::from(parent)).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(tree)
}

/// CPU time that `pids` have used so far, in nanoseconds.
///
/// The scheduler's own count, summed over all threads, is exact to the nanosecond but forgets threads that ended;
/// `stat` remembers them but counts in ticks of 10 ms. The larger is nearer to the truth.
pub(crate) fn cpu_ns(pids: &[u32]) -> anyhow::Result<u64> {
    pids.iter().map(|pid| cpu_of(Path::new(&format!("/proc/{pid}")))).sum()
}

fn cpu_of(process: &Path) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(process.join("stat"))
        .with_context(|| format!("cannot measure {}: is it still running?", process.display()))?;
    let ticks = stat_field(&stat, 14).zip(stat_field(&stat, 15)).map(|(user, system)| user + system);
    let ticks_ns = ticks.context("/proc/PID/stat has no CPU times")? * TICK_NS;
    Ok(ticks_ns.max(scheduled_ns(process).unwrap_or(0)))
}

/// `None` when the kernel keeps no such count.
fn scheduled_ns(process: &Path) -> Option<u64> {
    let threads = fs::read_dir(process.join("task")).ok()?.filter_map(Result::ok);
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// Resident memory of `pids` together.
pub(crate) fn memory(pids: &[u32]) -> anyhow::Result<Memory> {
    let mut all = Memory::default();
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("cannot measure process {pid}: is it still running?"))?;
        all.resident_bytes += status_bytes(&status, "VmRSS:").unwrap_or(0);
        all.peak_bytes += status_bytes(&status, "VmHWM:").unwrap_or(0);
    }
    ensure!(all.resident_bytes > 0, "process {pids:?} has no resident memory: has it ended?");
    Ok(all)
}

/// Field `number` (from 1, as in proc(5)) of `/proc/PID/stat`; from 3 on, since the name before may hold anything.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 21 9 0 0 20 0 1 0 5";
        assert_eq!(stat_field(stat, 4), Some(7));
        assert_eq!(stat_field(stat, 14), Some(21));
        assert_eq!(stat_field(stat, 15), Some(9));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(8192 * 1024));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn our_own_process_can_be_measured() {
        let me = std::process::id();
        let before = cpu_ns(&[me]).unwrap();
        let mut sum = 0_u64;
        while cpu_ns(&[me]).unwrap() < before + 1_000_000 {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0);
        assert!(memory(&[me]).unwrap().resident_bytes > 100_000);
    }

    #[test]
    fn a_child_is_found_below_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = tree(std::process::id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree.contains(&child.id()));
    }
}
