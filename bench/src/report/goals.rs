//! The numbers that the gateway means to hold, each with how it is measured: a list.

use crate::report::cell::{Numbers, Target};
use crate::report::medians::{Medians, Read, difference, ratio};
use crate::report::scenario::{CALLS_16, CALLS_20_MIB, GITHUB, IDLE, LIST, MADE_UP, REST_16, START};

/// What is measured against a limit.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    /// The most that it may be.
    pub(crate) limit: f64,
    pub(crate) unit: &'static str,
    measure: Measure,
}

enum Measure {
    Of(&'static str, Read),
    Over(Target, &'static str, Read, fn(f64, f64) -> f64),
    /// How much more the first scenario costs than the second.
    Beyond(&'static str, &'static str, Read),
    /// What the target adds to a direct connection, over what another adds to it.
    Added(Target, &'static str, Read),
}

/// All of them.
pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "CPU per `tools/call` at the same rate, over nginx's",
        limit: 1.5,
        unit: "x",
        measure: Measure::Over(Target::Nginx, CALLS_16, steady_cpu_us, ratio),
    },
    // Harder for whoever is slower: it sends to peers that sleep, and waking them is counted as its own.
    Goal {
        name: "CPU per `tools/call` in closed loop, over nginx's",
        limit: 1.5,
        unit: "x",
        measure: Measure::Over(Target::Nginx, CALLS_16, cpu_us, ratio),
    },
    // Over nginx's, because most of it is the machine's: how long it takes to wake one more process.
    Goal {
        name: "latency added at low load over what nginx adds, p50",
        limit: 1.5,
        unit: "x",
        measure: Measure::Added(Target::Nginx, CALLS_16, low_p50_us),
    },
    Goal {
        name: "latency added at low load over what nginx adds, p99",
        limit: 1.5,
        unit: "x",
        measure: Measure::Added(Target::Nginx, CALLS_16, low_p99_us),
    },
    Goal { name: "start to ready", limit: 100.0, unit: "ms", measure: Measure::Of(START, ready_ms) },
    Goal {
        name: "resident memory after the start",
        limit: 20.0,
        unit: "MiB",
        measure: Measure::Of(START, resident_mib),
    },
    Goal { name: "10,000 idle sessions add", limit: 40.0, unit: "MiB", measure: Measure::Of(IDLE, idle_added_mib) },
    // A few buffers: an answer that is held whole does not fit.
    Goal {
        name: "most memory that answers of 20 MiB take beyond those of 256 B",
        limit: 4.0,
        unit: "MiB",
        measure: Measure::Beyond(CALLS_20_MIB, CALLS_16, peak_mib),
    },
    Goal {
        name: "`tools/list` p50 at low load, over one server's own",
        limit: 2.0,
        unit: "x",
        measure: Measure::Over(Target::Direct, LIST, low_p50_us, ratio),
    },
    Goal {
        name: "CPU per call of a REST API beyond an MCP call's, at the same rate",
        limit: 50.0,
        unit: "µs",
        measure: Measure::Beyond(REST_16, CALLS_16, steady_cpu_us),
    },
    Goal {
        name: "GitHub's description to tools, on one core",
        limit: 1_000.0,
        unit: "ms",
        measure: Measure::Of(GITHUB, described_ms),
    },
    Goal { name: "most resident memory meanwhile", limit: 150.0, unit: "MiB", measure: Measure::Of(GITHUB, peak_mib) },
    Goal {
        name: "20,000 operations to tools, on one core",
        limit: 20_000.0,
        unit: "ms",
        measure: Measure::Of(MADE_UP, described_ms),
    },
];

impl Goal {
    /// The number as measured on `target`; `None` when a part of it was not.
    pub(crate) fn measured(&self, medians: Medians<'_>, target: Target) -> Option<f64> {
        match self.measure {
            Measure::Of(scenario, read) => medians.of(scenario, target, read),
            Measure::Over(other, ..) | Measure::Added(other, ..) if other == target => None,
            Measure::Beyond(scenario, other, read) => {
                Some(medians.of(scenario, target, read)? - medians.of(other, target, read)?)
            }
            Measure::Added(other, scenario, read) => {
                let added = |target| medians.of_pairs(scenario, (target, Target::Direct), read, difference);
                Some(ratio(added(target)?, added(other)?))
            }
            Measure::Over(other, scenario, read, combine) => medians.of_pairs(scenario, (target, other), read, combine),
        }
    }
}

/// CPU time of the target per call in closed loop; of a crowd, per session.
pub(crate) fn cpu_us(numbers: &Numbers) -> Option<f64> {
    match &numbers.crowd {
        Some(crowd) => crowd.watched_cpu_us_each,
        None => numbers.closed.as_ref()?.watched_cpu_us_per_call,
    }
}

/// CPU time of the target per call at the steady rate.
pub(crate) fn steady_cpu_us(numbers: &Numbers) -> Option<f64> {
    numbers.steady.as_ref()?.watched_cpu_us_per_call
}

/// Until the last of a crowd had what it waited for.
pub(crate) fn all_served_ms(numbers: &Numbers) -> Option<f64> {
    Some(numbers.crowd.as_ref()?.took_ms)
}

/// Calls per second in closed loop.
pub(crate) fn calls_per_s(numbers: &Numbers) -> Option<f64> {
    Some(numbers.closed.as_ref()?.calls_per_s)
}

/// The median latency in closed loop.
pub(crate) fn closed_p50_us(numbers: &Numbers) -> Option<f64> {
    Some(numbers.closed.as_ref()?.p50_us)
}

/// The latency that one call in a hundred passes, in closed loop.
pub(crate) fn closed_p99_us(numbers: &Numbers) -> Option<f64> {
    Some(numbers.closed.as_ref()?.p99_us)
}

/// The median latency at the low rate.
pub(crate) fn low_p50_us(numbers: &Numbers) -> Option<f64> {
    Some(numbers.low.as_ref()?.p50_us)
}

/// The latency that one call in a hundred passes, at the low rate.
pub(crate) fn low_p99_us(numbers: &Numbers) -> Option<f64> {
    Some(numbers.low.as_ref()?.p99_us)
}

/// The fastest of the starts.
pub(crate) fn ready_ms(numbers: &Numbers) -> Option<f64> {
    numbers.ready_ms
}

/// From the start of the process to the last of a description's tools.
pub(crate) fn described_ms(numbers: &Numbers) -> Option<f64> {
    Some(numbers.described?.took_ms)
}

/// Resident memory at the end.
pub(crate) fn resident_mib(numbers: &Numbers) -> Option<f64> {
    Some(mib(numbers.memory?.resident_bytes))
}

/// The most memory that was ever resident.
pub(crate) fn peak_mib(numbers: &Numbers) -> Option<f64> {
    Some(mib(numbers.memory?.peak_bytes))
}

/// What 10,000 sessions add; runs with fewer are scaled up.
pub(crate) fn idle_added_mib(numbers: &Numbers) -> Option<f64> {
    let idle = numbers.idle?;
    Some(mib(idle.added_bytes()) * 10_000.0 / idle.sessions as f64)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
