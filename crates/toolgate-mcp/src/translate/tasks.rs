//! Tools that only run as tasks, and the ids of tasks.
//!
//! The experimental tasks of 2025-11-25 (`params.task`, `tasks/result`) are not those of the extension
//! `io.modelcontextprotocol/tasks`, and no bridge between them is defined. A tool that must be called as a task of the
//! old kind can be called by nobody else, and is not to be listed to them.
//!
//! Tasks of the extension pass between modern clients and servers; only their ids are renamed.
//!
//! Source: MCP 2025-11-25, Tasks, Tool-Level Negotiation; the tasks extension (SEP-2663).

use std::borrow::Cow;

use crate::edit::{self, Edit, Fields};
use crate::jsonrpc::{quote, string};
use crate::views::ViewError;

/// The extension for tasks since 2026-07-28.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Whether `tool`, an item of a legacy server's `tools/list`, only runs as a task of 2025-11-25.
#[must_use]
pub fn is_required(tool: &str) -> bool {
    let support = edit::get_at(tool, &["execution", "taskSupport"]).ok().flatten();
    support.and_then(string).as_deref() == Some("required")
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
    use super::{id, with_id};

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
