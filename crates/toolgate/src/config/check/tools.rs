//! Which tools of a server may be listed and called, and under which name.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::super::file::ServerEntry;
use super::super::report::{At, Report};
use super::super::settings::{PinnedTool, ToolRules};

/// Checks the entry's rules about tools.
pub(super) fn check(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> ToolRules {
    let disallowed = entry.disallowed_tools.clone().unwrap_or_default();
    let allowed = allowed(entry);
    for (index, tool) in allowed.iter().flatten().enumerate() {
        if disallowed.contains(tool) {
            report
                .warning(
                    "config.allowed_and_disallowed",
                    &at.key("allowed_tools").index(index),
                    format!("`{tool}` is both allowed and disallowed; it stays hidden"),
                )
                .help("remove it from one of the two lists");
        }
    }
    check_display_names(entry, at, report);
    ToolRules {
        allowed,
        disallowed,
        allowed_params: entry.allowed_params.clone().unwrap_or_default(),
        display_names: entry.tool_name_to_display_name.clone().unwrap_or_default(),
        descriptions: entry.tool_name_to_description.clone().unwrap_or_default(),
        pinned: pinned(entry, at, report),
    }
}

/// An empty list means all tools, unless `mcp_info.tool_allowlist_enforced`.
fn allowed(entry: &ServerEntry) -> Option<Vec<String>> {
    let enforced = entry.mcp_info.as_ref().and_then(|info| info.get("tool_allowlist_enforced"));
    let enforced = enforced.and_then(Value::as_bool).unwrap_or(false);
    match &entry.allowed_tools {
        Some(tools) if !tools.is_empty() => Some(tools.clone()),
        _ => enforced.then(Vec::new),
    }
}

/// Shown names reach models whose providers accept nothing but these characters.
fn check_display_names(entry: &ServerEntry, at: &At<'_>, report: &mut Report) {
    let at = at.key("tool_name_to_display_name");
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (tool, shown) in entry.tool_name_to_display_name.iter().flatten() {
        let at = at.key(tool);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if shown.is_empty() || !shown.chars().all(plain) {
            report
                .error("config.bad_display_name", &at, format!("`{shown}` cannot be a tool's name"))
                .help("use letters, digits, `_` and `-`");
        }
        if let Some(other) = seen.insert(shown, tool) {
            let _ = report.error(
                "config.duplicate_display_name",
                &at,
                format!("the tools `{other}` and `{tool}` would both be shown as `{shown}`"),
            );
        }
    }
}

fn pinned(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<IndexMap<String, PinnedTool>> {
    let at = at.key("pinned_tools");
    let entries = entry.pinned_tools.as_ref()?;
    let mut pinned = IndexMap::new();
    for (name, tool) in entries {
        let schema = tool.input_schema.as_ref().filter(|schema| !schema.is_null());
        if schema.is_some_and(|schema| !schema.is_object()) {
            let at = at.key(name).key("input_schema");
            let _ = report.error("config.wrong_type", &at, "`input_schema` must be a JSON Schema, which is a mapping");
            continue;
        }
        // A JSON value always has a JSON text.
        let input_schema = schema.and_then(|schema| to_raw_value(schema).ok());
        pinned.insert(name.clone(), PinnedTool { description: tool.description.clone(), input_schema });
    }
    Some(pinned)
}
