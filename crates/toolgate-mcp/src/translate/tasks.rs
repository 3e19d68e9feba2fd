//! Tools that only run as tasks, and the ids of tasks.
//!
//! The experimental tasks of 2025-11-25 (`params.task`, `tasks/result`) are not those of the extension
//! `io.modelcontextprotocol/tasks`, and no bridge between them is defined. A tool that must be called as a task of the
//! old kind is called as one by the gateway, which waits for the result; to clients it is a tool like any other.
//!
//! Tasks of the extension pass between modern clients and servers; only their ids are renamed.
//!
//! Source: MCP 2025-11-25, Tasks; the tasks extension (SEP-2663).

use std::borrow::Cow;

use crate::edit::{self, Edit, Fields};
use crate::jsonrpc::{quote, string};
use crate::views::ViewError;

/// The extension for tasks since 2026-07-28.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// In the `_meta` of what a task of 2025-11-25 brings about.
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Whether `tool`, an item of a legacy server's `tools/list`, only runs as a task of 2025-11-25.
#[must_use]
pub fn is_required(tool: &str) -> bool {
    let support = edit::get_at(tool, &["execution", "taskSupport"]).ok().flatten();
    support.and_then(string).as_deref() == Some("required")
}

/// Whether a server with these raw `capabilities` of 2025-11-25 runs tool calls as tasks.
#[must_use]
pub fn are_served(capabilities: &str) -> bool {
    let served = edit::get_at(capabilities, &["tasks", "requests", "tools", "call"]).ok().flatten();
    served.is_some_and(|served| served.get().starts_with('{'))
}

/// `tool`, an item of a legacy server's `tools/list`, without what it says of tasks.
///
/// # Errors
/// [`ViewError`] when the item is no object, or has a key twice.
pub fn without_support(tool: &str) -> Result<Cow<'_, str>, ViewError> {
    let others = edit::get_at(tool, &["execution"])?.map(|execution| Fields::read(execution.get())).transpose()?;
    let is_alone = others.is_some_and(|fields| fields.iter().all(|(key, _)| key == "taskSupport"));
    let path: &[&str] = if is_alone { &["execution"] } else { &["execution", "taskSupport"] };
    Ok(edit::remove_at(tool, path)?)
}

/// The `params` of a `tools/call` that asks a legacy server for a task.
///
/// # Errors
/// [`ViewError`] when they are no object, or have a key twice.
pub fn as_task(params: &str) -> Result<String, ViewError> {
    Ok(edit::set_field(params, "task", "{}")?)
}

/// The id of the task that a legacy server began, from the `result` that says so; `None` of any other result.
#[must_use]
pub fn begun(result: &str) -> Option<String> {
    let id = edit::get_at(result, &["task", "taskId"]).ok().flatten()?;
    string(id).map(Cow::into_owned)
}

/// A task's `result` of a legacy server, without the task that it names as its origin.
///
/// # Errors
/// [`ViewError`] when the result or its `_meta` is no object, or has a key twice.
pub fn without_origin(result: &str) -> Result<Cow<'_, str>, ViewError> {
    Ok(edit::remove_at(result, &["_meta", RELATED])?)
}

/// The `taskId` of a result with `resultType` `task`, or of the parameters of `tasks/*` and `notifications/tasks`.
///
/// # Errors
/// [`ViewError`] when the whole is no object or has a key twice, or the id is no string.
pub fn id(of: &str) -> Result<Option<Cow<'_, str>>, ViewError> {
    match Fields::read(of)?.get("taskId") {
        Some(id) => string(id).map(Some).ok_or(ViewError::WrongType { field: "taskId", expected: "a string" }),
        None => Ok(None),
    }
}

/// The same with another `taskId`, where it has one.
///
/// # Errors
/// As [`id`].
pub fn with_id<'a>(of: &'a str, id: &str) -> Result<Cow<'a, str>, ViewError> {
    let Some(old) = Fields::read(of)?.get("taskId") else { return Ok(Cow::Borrowed(of)) };
    let mut edit = Edit::new(of);
    edit.replace(old.get(), quote(id));
    Ok(edit.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_needs_a_task_is_called_as_one_and_listed_as_any_other() {
        let required = r#"{"name":"t","execution":{"taskSupport":"required"},"x":1.50}"#;
        let other = r#"{"name":"t","execution":{"taskSupport":"required", "y":2}}"#;
        assert!(is_required(required) && is_required(other));
        assert!(!is_required(r#"{"name":"t","execution":{"taskSupport":"optional"}}"#) && !is_required("{}"));
        assert_eq!(without_support(required).as_deref(), Ok(r#"{"name":"t","x":1.50}"#));
        assert_eq!(without_support(other).as_deref(), Ok(r#"{"name":"t","execution":{ "y":2}}"#));
        assert_eq!(as_task(r#"{"name":"t"}"#).as_deref(), Ok(r#"{"name":"t","task":{}}"#));
        assert_eq!(begun(r#"{"task":{"taskId":"a\u0031","status":"working"}}"#).as_deref(), Some("a1"));
        assert_eq!(begun(r#"{"content":[]}"#), None);
        let result = r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a"},"b":1}}"#;
        assert_eq!(without_origin(result).as_deref(), Ok(r#"{"content":[],"_meta":{"b":1}}"#));
        for (capabilities, served) in [
            (r#"{"tasks":{"requests":{"tools":{"call":{}}}}}"#, true),
            (r#"{"tasks":{"requests":{"sampling":{}}}}"#, false),
            (r#"{"tasks":{"list":{}}}"#, false),
            ("{}", false),
        ] {
            assert_eq!(are_served(capabilities), served, "{capabilities}");
        }
    }

    #[test]
    fn a_tasks_id_is_read_and_replaced() {
        let result = r#"{"resultType":"task", "taskId" : "t\u0031","ttlMs":1.0}"#;
        assert_eq!(id(result), Ok(Some("t1".into())));
        assert_eq!(with_id(result, "g\"1").as_deref(), Ok(r#"{"resultType":"task", "taskId" : "g\"1","ttlMs":1.0}"#));
        assert_eq!(id("{}"), Ok(None));
        assert_eq!(with_id(r#"{"a":1}"#, "g").as_deref(), Ok(r#"{"a":1}"#));
        assert!(id(r#"{"taskId":1}"#).is_err() && id("[]").is_err());
    }
}
