//! What calls cost, and what is written down of them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

/// What is written down of calls, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct SpendSettings {
    /// `store_prompts_in_spend_logs`: arguments and results too. Default: the arguments' shape.
    pub store_prompts: bool,
    /// `disable_spend_logs`: nothing but what was spent.
    pub disable_logs: bool,
    /// `maximum_spend_logs_retention_period`; `None`: for ever.
    pub keep_for: Option<TimeDelta>,
    /// `maximum_spend_logs_retention_interval`: how often what is older is deleted. Default: once a day.
    pub clean_every: Duration,
}

impl Default for SpendSettings {
    fn default() -> Self {
        Self { store_prompts: false, disable_logs: false, keep_for: None, clean_every: Duration::from_secs(86_400) }
    }
}

/// What calls of a server's tools cost, in USD.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallCosts {
    /// `default_cost_per_query`.
    pub default: f64,
    /// `tool_name_to_cost_per_query`, by the server's own names.
    pub by_tool: BTreeMap<String, f64>,
}

impl CallCosts {
    /// What a call of this tool costs.
    #[must_use]
    pub fn of(&self, tool: &str) -> f64 {
        self.by_tool.get(tool).copied().unwrap_or(self.default)
    }
}
