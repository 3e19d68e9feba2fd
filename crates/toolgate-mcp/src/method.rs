//! The names of the methods and notifications, and what the gateway must know of each to route it.

/// Begins a connection; until 2025-11-25.
pub const INITIALIZE: &str = "initialize";
/// Asks whether the other side lives; until 2025-11-25.
pub const PING: &str = "ping";
/// Asks what a server is and has; since 2026-07-28.
pub const SERVER_DISCOVER: &str = "server/discover";
/// Lists tools.
pub const TOOLS_LIST: &str = "tools/list";
/// Calls a tool.
pub const TOOLS_CALL: &str = "tools/call";
/// Lists prompts.
pub const PROMPTS_LIST: &str = "prompts/list";
/// Fills in a prompt.
pub const PROMPTS_GET: &str = "prompts/get";
/// Lists resources.
pub const RESOURCES_LIST: &str = "resources/list";
/// Lists resource templates.
pub const RESOURCES_TEMPLATES_LIST: &str = "resources/templates/list";
/// Reads a resource.
pub const RESOURCES_READ: &str = "resources/read";
/// Asks to be told of a resource's changes; until 2025-11-25.
pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
/// Asks to be told no more; until 2025-11-25.
pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
/// Opens a stream of changes; since 2026-07-28.
pub const SUBSCRIPTIONS_LISTEN: &str = "subscriptions/listen";
/// Completes an argument; since 2025-03-26.
pub const COMPLETION_COMPLETE: &str = "completion/complete";
/// Sets how much a server logs to the client; until 2025-11-25.
pub const LOGGING_SET_LEVEL: &str = "logging/setLevel";
/// Asks how a task stands; the tasks extension of 2026-07-28.
pub const TASKS_GET: &str = "tasks/get";
/// Gives a task what it asked for; the tasks extension of 2026-07-28.
pub const TASKS_UPDATE: &str = "tasks/update";
/// Ends a task; the tasks extension of 2026-07-28.
pub const TASKS_CANCEL: &str = "tasks/cancel";
/// Asks for the result of a task, and waits for it; the experimental tasks of 2025-11-25.
pub const TASKS_RESULT: &str = "tasks/result";

/// A server asks the client's model.
pub const SAMPLING_CREATE_MESSAGE: &str = "sampling/createMessage";
/// A server asks the user; since 2025-06-18.
pub const ELICITATION_CREATE: &str = "elicitation/create";
/// A server asks for the client's roots.
pub const ROOTS_LIST: &str = "roots/list";

/// The client has read the answer to `initialize`.
pub const INITIALIZED: &str = "notifications/initialized";
/// Nobody waits for a request any more.
pub const CANCELLED: &str = "notifications/cancelled";
/// How far a request has come.
pub const PROGRESS: &str = "notifications/progress";
/// A line of a server's log.
pub const LOG_MESSAGE: &str = "notifications/message";
/// Says which changes a `subscriptions/listen` will hear of; since 2026-07-28.
pub const SUBSCRIPTIONS_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// A task has come further; the tasks extension of 2026-07-28.
pub const TASKS: &str = "notifications/tasks";
/// What a URL was opened for is done; revision 2025-11-25 only.
pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// The tools have changed.
pub const TOOLS_LIST_CHANGED: &str = "notifications/tools/list_changed";
/// The prompts have changed.
pub const PROMPTS_LIST_CHANGED: &str = "notifications/prompts/list_changed";
/// The resources or their templates have changed.
pub const RESOURCES_LIST_CHANGED: &str = "notifications/resources/list_changed";
/// The content of a resource has changed.
pub const RESOURCES_UPDATED: &str = "notifications/resources/updated";
/// The client's roots have changed; until 2025-11-25.
pub const ROOTS_LIST_CHANGED: &str = "notifications/roots/list_changed";

/// By what a request says which server it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// By `params.name`.
    Name,
    /// By `params.uri`.
    Uri,
    /// By `params.ref`, which holds a name or a URI.
    Reference,
}

/// By what requests of this method are routed to one server; `None` when they are for the gateway or for all servers.
#[must_use]
pub fn address(method: &str) -> Option<Address> {
    match method {
        TOOLS_CALL | PROMPTS_GET => Some(Address::Name),
        RESOURCES_READ | RESOURCES_SUBSCRIBE | RESOURCES_UNSUBSCRIBE => Some(Address::Uri),
        COMPLETION_COMPLETE => Some(Address::Reference),
        _ => None,
    }
}

/// Under which key the result of this method holds its items; `None` when it is no list.
#[must_use]
pub fn list_key(method: &str) -> Option<&'static str> {
    match method {
        TOOLS_LIST => Some("tools"),
        PROMPTS_LIST => Some("prompts"),
        RESOURCES_LIST => Some("resources"),
        RESOURCES_TEMPLATES_LIST => Some("resourceTemplates"),
        _ => None,
    }
}

/// Which lists a notification of this name makes stale; empty when it is no such notification.
#[must_use]
pub fn stale_lists(notification: &str) -> &'static [&'static str] {
    match notification {
        TOOLS_LIST_CHANGED => &[TOOLS_LIST],
        PROMPTS_LIST_CHANGED => &[PROMPTS_LIST],
        RESOURCES_LIST_CHANGED => &[RESOURCES_LIST, RESOURCES_TEMPLATES_LIST],
        _ => &[],
    }
}

/// Whether a request of this method means nothing outside a session: what it asks for comes later, on the session.
#[must_use]
pub fn needs_session(method: &str) -> bool {
    matches!(method, RESOURCES_SUBSCRIBE | RESOURCES_UNSUBSCRIBE | LOGGING_SET_LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_that_goes_stale_is_a_list() {
        for notification in [TOOLS_LIST_CHANGED, PROMPTS_LIST_CHANGED, RESOURCES_LIST_CHANGED] {
            let lists = stale_lists(notification);
            assert!(!lists.is_empty() && lists.iter().all(|list| list_key(list).is_some()), "{notification}");
        }
        assert!(stale_lists(PROGRESS).is_empty());
    }

    #[test]
    fn a_method_that_lists_is_for_all_servers() {
        for method in [TOOLS_LIST, PROMPTS_LIST, RESOURCES_LIST, RESOURCES_TEMPLATES_LIST] {
            assert_eq!(address(method), None, "{method}");
        }
        assert_eq!(address(COMPLETION_COMPLETE), Some(Address::Reference));
    }
}
