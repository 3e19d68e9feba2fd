//! What is measured: a list. A new scenario is a new entry.

use crate::load::CalledMethod;
use crate::report::cell::Target;
use crate::report::describe::Description;

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

/// The kinds of measurement.
#[derive(Debug)]
pub(crate) enum Work {
    /// Calls, first at a low constant rate, then at a higher one where there is one, then in closed loop.
    Load(Load),
    /// Sessions that are opened and then held without a socket.
    Idle(Idle),
    /// A stream per session, and news for all of them.
    Streams { sessions: u32 },
    /// Sessions that the upstream forgets, and that all call at once.
    Storm { sessions: u32 },
    /// From the start of the process to its first right answer, and the memory then.
    Start,
    /// From the description of a REST API to its tools.
    Describe(Description),
}

/// Calls of one kind.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) servers: Servers,
    pub(crate) method: CalledMethod,
    pub(crate) sessions: u32,
    /// Calls per second of the part at a constant rate: little enough that calls hardly meet.
    pub(crate) low_rate_per_s: u32,
    /// Calls per second of the part that compares CPU time: the same work for every target, and each has room to spare.
    pub(crate) steady_rate_per_s: Option<u32>,
}

/// What stands behind the gateway.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) count: u16,
    pub(crate) tools_each: u16,
    pub(crate) answer_bytes: usize,
    /// Answers are framed as server-sent events.
    pub(crate) sse: bool,
    /// They are REST APIs with a description.
    pub(crate) rest: bool,
}

/// Sessions at rest.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) sessions: u32,
    /// Each session called a tool once, so that a session of the upstream hangs on it.
    pub(crate) called: bool,
}

impl Scenario {
    /// Whether the measurement means anything on `target`.
    pub(crate) fn applies_to(&self, target: Target) -> bool {
        match &self.work {
            Work::Load(load) => !load.servers.rest || target == Target::Toolgate,
            Work::Idle(_) | Work::Streams { .. } | Work::Storm { .. } | Work::Describe(_) => target == Target::Toolgate,
            Work::Start => target != Target::Direct,
        }
    }
}

/// An MCP server with ten tools.
pub(crate) const fn one_server(answer_bytes: usize) -> Servers {
    Servers { count: 1, tools_each: 10, answer_bytes, sse: false, rest: false }
}

const fn calls(answer_bytes: usize, sessions: u32, low_rate_per_s: u32) -> Work {
    Work::Load(Load {
        servers: one_server(answer_bytes),
        method: CalledMethod::ToolsCall,
        sessions,
        low_rate_per_s,
        steady_rate_per_s: None,
    })
}

/// The scenario that the goals for calls are about.
pub(crate) const CALLS_16: &str = "tools/call 256 B, 16 sessions";
/// The scenario that the goal for large answers is about.
pub(crate) const CALLS_20_MIB: &str = "tools/call 20 MiB, 1 session";
/// The scenario that the goal for lists is about.
pub(crate) const LIST: &str = "tools/list 10 servers x 50 tools, 4 sessions";
/// The scenario that the goal for idle sessions is about.
pub(crate) const IDLE: &str = "10,000 idle sessions";
/// The scenario that the goal for the start is about.
pub(crate) const START: &str = "start to ready";

/// The scenario that the goal for calls of REST APIs is about, beside [`CALLS_16`].
pub(crate) const REST_16: &str = "openapi: tools/call of a REST API 256 B, 16 sessions";
/// The scenario that the goals for a description as it is published are about.
pub(crate) const GITHUB: &str = "openapi: GitHub's description to tools";
/// The scenario that the goal for a large description is about.
pub(crate) const MADE_UP: &str = "openapi: 20,000 operations to tools";

/// All of them, in the table's order.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "tools/call 256 B, 1 session", work: calls(256, 1, 200) },
    Scenario {
        name: CALLS_16,
        work: Work::Load(Load {
            servers: one_server(256),
            method: CalledMethod::ToolsCall,
            sessions: 16,
            low_rate_per_s: 500,
            steady_rate_per_s: Some(10_000),
        }),
    },
    Scenario { name: "tools/call 256 B, 128 sessions", work: calls(256, 128, 500) },
    Scenario {
        name: "tools/call 256 B as SSE, 16 sessions",
        work: Work::Load(Load {
            servers: Servers { sse: true, ..one_server(256) },
            method: CalledMethod::ToolsCall,
            sessions: 16,
            low_rate_per_s: 500,
            steady_rate_per_s: None,
        }),
    },
    Scenario { name: "tools/call 64 KiB, 16 sessions", work: calls(64 << 10, 16, 200) },
    Scenario { name: CALLS_20_MIB, work: calls(20 << 20, 1, 2) },
    Scenario {
        name: LIST,
        work: Work::Load(Load {
            servers: Servers { count: 10, tools_each: 50, ..one_server(256) },
            method: CalledMethod::ToolsList,
            sessions: 4,
            low_rate_per_s: 50,
            steady_rate_per_s: None,
        }),
    },
    Scenario { name: IDLE, work: Work::Idle(Idle { sessions: 10_000, called: false }) },
    Scenario {
        name: "10,000 idle sessions, each called once",
        work: Work::Idle(Idle { sessions: 10_000, called: true }),
    },
    Scenario { name: "news to 1,000 open streams", work: Work::Streams { sessions: 1000 } },
    Scenario { name: "1,000 sessions after an upstream's restart", work: Work::Storm { sessions: 1000 } },
    Scenario { name: START, work: Work::Start },
    Scenario {
        name: REST_16,
        work: Work::Load(Load {
            servers: Servers { rest: true, ..one_server(256) },
            method: CalledMethod::ToolsCall,
            sessions: 16,
            low_rate_per_s: 500,
            steady_rate_per_s: Some(10_000),
        }),
    },
    Scenario { name: GITHUB, work: Work::Describe(Description::GitHub) },
    Scenario { name: MADE_UP, work: Work::Describe(Description::MadeUp(20_000)) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_goals_find_theirs() {
        let mut names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        for needed in [CALLS_16, CALLS_20_MIB, LIST, IDLE, START, REST_16, GITHUB, MADE_UP] {
            assert!(names.contains(&needed));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
