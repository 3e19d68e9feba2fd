//! Tasks of the extension `io.modelcontextprotocol/tasks`: their ids, and the methods that use them.
//!
//! The id that a client gets is a sealed token of the server's name and the server's own id, good for the caller that
//! it was given to. So nothing is stored for a task, and nobody else's task can be named.
//!
//! Source: the tasks extension (SEP-2663).

use serde_json::json;
use serde_json::value::RawValue;
use toolgate_mcp::edit;
use toolgate_mcp::jsonrpc::{ErrorObject, code};
use toolgate_mcp::method;
use toolgate_mcp::translate::tasks;

use crate::auth::CallerId;
use crate::seal::{Purpose, Sealer};

/// A task as its server knows it.
#[derive(Debug)]
pub(super) struct Task {
    /// The server's configured name.
    pub(super) server: String,
    /// The server's own id.
    pub(super) own: String,
    /// The id that the client knows.
    pub(super) listed: String,
}

/// Whether requests of this method are about a task.
pub(super) fn is_about_one(method: &str) -> bool {
    matches!(method, method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL)
}

/// Whether a client with these raw capabilities knows the extension.
pub(super) fn is_declared(capabilities: &RawValue) -> bool {
    edit::get_at(capabilities.get(), &["extensions", tasks::EXTENSION])
        .is_ok_and(|settings| settings.is_some_and(|settings| settings.get().starts_with('{')))
}

/// The id that `caller` gets for the task that `server` calls `own`.
pub(super) fn listed(sealer: &Sealer, caller: &CallerId, server: &str, own: &str) -> String {
    sealer.seal(Purpose::Task, caller.as_str(), format!("{server}\0{own}").as_bytes())
}

/// The task that `params` name, if `caller` was given it.
///
/// # Errors
/// The same for what was never given to anybody, and for what was given to somebody else.
pub(super) fn find(sealer: &Sealer, caller: &CallerId, params: Option<&RawValue>) -> Result<Task, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(code::INVALID_PARAMS, text);
    let id = tasks::id(params.map_or("{}", RawValue::get)).map_err(|error| invalid(error.to_string()))?;
    let listed = id.ok_or_else(|| invalid("`taskId` is missing".to_owned()))?;
    open(sealer, caller, &listed).ok_or_else(|| unknown(&listed))
}

/// The task that `caller` knows as `listed`; `None` when it was not given that id.
pub(super) fn open(sealer: &Sealer, caller: &CallerId, listed: &str) -> Option<Task> {
    let plain = String::from_utf8(sealer.open(Purpose::Task, caller.as_str(), listed)?).ok()?;
    let (server, own) = plain.split_once('\0')?;
    Some(Task { server: server.to_owned(), own: own.to_owned(), listed: listed.to_owned() })
}

/// The client must know the extension.
pub(super) fn undeclared() -> ErrorObject {
    let text = format!("the client must declare the extension `{}` in its capabilities", tasks::EXTENSION);
    let data = json!({ "requiredCapabilities": { "extensions": { tasks::EXTENSION: {} } } });
    ErrorObject { code: code::MISSING_CLIENT_CAPABILITY, message: text, data: Some(data) }
}

/// There is no such task, or none that the caller can see.
pub(super) fn unknown(listed: &str) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, format!("Unknown task: {listed}"))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_task_is_its_callers_and_no_one_elses() {
        let sealer = Sealer::new(&SecretString::from("a secret"));
        let alice = CallerId::named("alice");
        let id = listed(&sealer, &alice, "jobs", "t\0 1");
        let params = RawValue::from_string(format!(r#"{{"taskId":"{id}"}}"#)).expect("JSON");
        let task = find(&sealer, &alice, Some(&params)).expect("it is hers");
        assert_eq!((task.server.as_str(), task.own.as_str(), task.listed == id), ("jobs", "t\0 1", true));
        let foreign = find(&sealer, &CallerId::named("bob"), Some(&params)).expect_err("it is not his");
        assert_eq!(foreign.code, code::INVALID_PARAMS);
        for params in ["{}", r#"{"taskId":1}"#, r#"{"taskId":"x"}"#] {
            let raw = serde_json::from_str(params).expect("JSON");
            assert_eq!(find(&sealer, &alice, Some(raw)).err().map(|error| error.code), Some(code::INVALID_PARAMS));
        }
    }

    #[test]
    fn only_an_object_declares_the_extension() {
        let cases = [
            ("{}", false),
            (r#"{"extensions":{}}"#, false),
            (r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#, true),
            (r#"{"extensions":{"io.modelcontextprotocol/tasks":true}}"#, false),
        ];
        for (capabilities, expected) in cases {
            assert_eq!(is_declared(serde_json::from_str(capabilities).expect("JSON")), expected, "{capabilities}");
        }
    }
}
