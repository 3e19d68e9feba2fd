//! What calls cost, and what is written down of them.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use toolgate_access::limits::period::Period;

use super::super::file::{GeneralSection, ServerEntry};
use super::super::report::{At, Report};
use super::super::settings::{CallCosts, SpendSettings};

/// How often old rows are looked for where nothing is said: LiteLLM's default.
const CLEAN_EVERY: Duration = Duration::from_secs(86_400);

/// The part of `general_settings`.
pub(super) fn check(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> SpendSettings {
    let keep = section.maximum_spend_logs_retention_period.as_deref();
    let keep_for = keep.and_then(|text| duration(text, &at.key("maximum_spend_logs_retention_period"), report));
    let every = section.maximum_spend_logs_retention_interval.as_deref();
    let clean_every = every.and_then(|text| duration(text, &at.key("maximum_spend_logs_retention_interval"), report));
    SpendSettings {
        store_prompts: section.store_prompts_in_spend_logs.unwrap_or(false),
        disable_logs: section.disable_spend_logs.unwrap_or(false),
        keep_for,
        clean_every: clean_every.and_then(|every| every.to_std().ok()).unwrap_or(CLEAN_EVERY),
    }
}

fn duration(text: &str, at: &At<'_>, report: &mut Report) -> Option<TimeDelta> {
    match text.parse::<Period>() {
        Ok(period) => Some(period.after(DateTime::UNIX_EPOCH) - DateTime::UNIX_EPOCH),
        Err(error) => {
            let _ = report.error("config.bad_duration", at, error.to_string());
            None
        }
    }
}

/// A server's `rpm`; nothing, 0 and negative numbers mean no limit, as for `max_concurrent_requests`.
pub(super) fn rpm(entry: &ServerEntry) -> Option<NonZeroU64> {
    entry.rpm.and_then(|limit| u64::try_from(limit).ok()).and_then(NonZeroU64::new)
}

/// `mcp_info.mcp_server_cost_info`.
pub(super) fn costs(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> CallCosts {
    const KEY: &str = "mcp_server_cost_info";
    let Some(info) = entry.mcp_info.as_ref().and_then(|info| info.get(KEY)).filter(|info| !info.is_null()) else {
        return CallCosts::default();
    };
    let at = at.key("mcp_info").key(KEY);
    let Value::Object(info) = info else {
        let help = "write `{default_cost_per_query: 0.01, tool_name_to_cost_per_query: {search: 0.05}}`, in USD";
        report.error("config.wrong_type", &at, "costs are a mapping").help(help);
        return CallCosts::default();
    };
    let default = info.get("default_cost_per_query").filter(|cost| !cost.is_null());
    let default = default.and_then(|cost| amount(cost, &at.key("default_cost_per_query"), report));
    let mut by_tool = BTreeMap::new();
    match info.get("tool_name_to_cost_per_query") {
        None | Some(Value::Null) => {}
        Some(Value::Object(tools)) => {
            let at = at.key("tool_name_to_cost_per_query");
            for (tool, cost) in tools {
                by_tool.extend(amount(cost, &at.key(tool), report).map(|cost| (tool.clone(), cost)));
            }
        }
        Some(_) => {
            let at = at.key("tool_name_to_cost_per_query");
            let _ = report.error("config.wrong_type", &at, "expected a mapping of tools' own names to costs in USD");
        }
    }
    CallCosts { default: default.unwrap_or(0.0), by_tool }
}

fn amount(cost: &Value, at: &At<'_>, report: &mut Report) -> Option<f64> {
    let amount = cost.as_f64().filter(|amount| amount.is_finite() && *amount >= 0.0);
    if amount.is_none() {
        let _ = report.error("config.bad_cost", at, "a cost is a number of US dollars, 0 or more");
    }
    amount
}
