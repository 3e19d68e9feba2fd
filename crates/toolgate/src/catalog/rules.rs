//! What a server's own configuration says of its tools: which are there, how they are described, which arguments they
//! take. The same functions decide for lists and for calls.

use std::borrow::Cow;

use toolgate_mcp::edit::{self, Fields};
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::views::Item;

use super::errors::CallError;
use crate::config::settings::{ServerSettings, Transport};

/// Whether a tool may be seen and called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Offered,
    Withheld,
}

/// What `allowed_tools`, `disallowed_tools` and `pinned_tools` of `server` say of its tool `bare`.
///
/// An entry matches the bare name, or the name behind any prefix that the server is known by. `disallowed_tools` wins.
pub(super) fn verdict(server: &ServerSettings, separator: &str, bare: &str) -> Verdict {
    let names = |entry: &String| {
        entry == bare
            || entry
                .strip_suffix(bare)
                .and_then(|rest| rest.strip_suffix(separator))
                .is_some_and(|prefix| server.names().any(|name| name == prefix))
            || is_spelling(server, separator, entry, bare)
    };
    let rules = &server.tools;
    let withheld = rules.disallowed.iter().any(names)
        || rules.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(names))
        || rules.pinned.as_ref().is_some_and(|pinned| !pinned.contains_key(bare));
    if withheld { Verdict::Withheld } else { Verdict::Offered }
}

/// Whether `entry` is another spelling of an operation of a REST API: its `operationId`, or LiteLLM's name for it.
fn is_spelling(server: &ServerSettings, separator: &str, entry: &str, bare: &str) -> bool {
    if !matches!(server.transport, Transport::OpenApi { .. }) {
        return false;
    }
    let behind_prefix = server.names().filter_map(|name| entry.strip_prefix(name)?.strip_prefix(separator));
    behind_prefix.chain([entry]).any(|spelling| toolgate_openapi::tool_name(spelling) == bare)
}

/// The tool's text with the pinned or overridden description and schema in place.
pub(super) fn apply_overrides<'a>(server: &ServerSettings, bare: &str, item: &Item<'a>) -> Cow<'a, str> {
    let mut raw = Cow::Borrowed(item.raw);
    let pinned = server.tools.pinned.as_ref().and_then(|pinned| pinned.get(bare));
    if let Some(schema) = pinned.and_then(|tool| tool.input_schema.as_ref()) {
        set(&mut raw, "inputSchema", schema.get());
    }
    let description = server.tools.descriptions.get(bare).or(pinned.and_then(|tool| tool.description.as_ref()));
    if let Some(description) = description {
        set(&mut raw, "description", &quote(description));
    }
    raw
}

fn set(raw: &mut Cow<'_, str>, key: &str, value: &str) {
    if let Ok(changed) = edit::set_field(raw, key, value) {
        *raw = Cow::Owned(changed);
    }
}

/// Refuses arguments outside `allowed_params`, when `server` has that list for `bare`.
///
/// # Errors
/// [`CallError::Params`] with LiteLLM's words; [`CallError::Arguments`] when the arguments are no object.
pub(super) fn check_arguments(server: &ServerSettings, bare: &str, arguments: Option<&str>) -> Result<(), CallError> {
    let Some(allowed) = server.tools.allowed_params.get(bare) else { return Ok(()) };
    let Some(arguments) = arguments else { return Ok(()) };
    let fields = Fields::read(arguments).map_err(|error| CallError::Arguments(error.to_string()))?;
    let refused: Vec<String> = fields
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !allowed.iter().any(|ok| ok == name))
        .map(str::to_owned)
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(CallError::Params { tool: bare.to_owned(), refused, allowed: allowed.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::http_server;

    fn server(configure: impl FnOnce(&mut ServerSettings)) -> ServerSettings {
        let mut server = http_server("git", "http://127.0.0.1:1/mcp");
        configure(&mut server);
        server
    }

    fn strings(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn allowed_disallowed_and_pinned_decide_together() {
        use Verdict::{Offered, Withheld};
        let cases = [
            (server(|_| {}), "log", Offered),
            (server(|s| s.tools.allowed = Some(strings(&["log"]))), "log", Offered),
            (server(|s| s.tools.allowed = Some(strings(&["git-log"]))), "log", Offered),
            (server(|s| s.tools.allowed = Some(strings(&["other-log"]))), "log", Withheld),
            (server(|s| s.tools.allowed = Some(strings(&["log"]))), "push", Withheld),
            (server(|s| s.tools.allowed = Some(Vec::new())), "log", Withheld),
            (server(|s| s.tools.disallowed = strings(&["push"])), "push", Withheld),
            (server(|s| s.tools.disallowed = strings(&["git-push"])), "push", Withheld),
            (
                server(|s| {
                    s.tools.allowed = Some(strings(&["push"]));
                    s.tools.disallowed = strings(&["push"]);
                }),
                "push",
                Withheld,
            ),
            (server(|s| s.tools.pinned = Some(indexmap::IndexMap::new())), "log", Withheld),
        ];
        for (server, tool, expected) in cases {
            assert_eq!(verdict(&server, "-", tool), expected, "{tool} under {:?}", server.tools);
        }
    }

    #[test]
    fn operations_of_a_rest_api_are_known_by_every_spelling() {
        use Verdict::{Offered, Withheld};
        let spec = || Transport::OpenApi { spec: "spec.json".to_owned(), base_url: None, settings: Box::default() };
        let api = |allowed: &str| server(|s| (s.transport, s.tools.allowed) = (spec(), Some(strings(&[allowed]))));
        for entry in ["getPetById", "getpetbyid", "git-getPetById", "GETPETBYID"] {
            assert_eq!(verdict(&api(entry), "-", "getpetbyid"), Offered, "{entry}");
        }
        assert_eq!(verdict(&api("get__pets_{petid}"), "-", "get__pets_petid"), Offered);
        assert_eq!(verdict(&api("getPet"), "-", "getpetbyid"), Withheld);
        let blocked = server(|s| (s.transport, s.tools.disallowed) = (spec(), strings(&["getPetById"])));
        assert_eq!(verdict(&blocked, "-", "getpetbyid"), Withheld);
        // Tools of MCP servers have one name.
        assert_eq!(verdict(&server(|s| s.tools.allowed = Some(strings(&["Log"]))), "-", "log"), Withheld);
    }

    #[test]
    fn arguments_outside_allowed_params_are_refused_in_litellms_words() {
        let server = server(|s| {
            s.tools.allowed_params.insert("log".to_owned(), strings(&["repo", "n"]));
            s.tools.allowed_params.insert("status".to_owned(), Vec::new());
        });
        assert!(check_arguments(&server, "log", Some(r#"{"repo":"x"}"#)).is_ok());
        assert!(check_arguments(&server, "push", Some(r#"{"force":true}"#)).is_ok());
        assert!(check_arguments(&server, "status", None).is_ok());
        assert!(check_arguments(&server, "status", Some(r#"{"a":1}"#)).is_err());
        assert!(check_arguments(&server, "log", Some(r#"{"repo":1,"repo":2}"#)).is_err());
        let refused = check_arguments(&server, "log", Some(r#"{"repo":"x","\u0061uthor":1,"all":2}"#));
        assert_eq!(
            refused.expect_err("two are not allowed").to_string(),
            "Parameters ['author', 'all'] are not allowed for tool log. Allowed parameters: ['repo', 'n']. \
             Contact proxy admin to allow these parameters."
        );
    }

    #[test]
    fn overrides_change_the_description_and_nothing_else() {
        let server = server(|s| {
            s.tools.descriptions.insert("log".to_owned(), "Shows \"commits\"".to_owned());
        });
        let raw = r#"{"name":"log", "vendor": 1e400,"description":"x","inputSchema":{}}"#;
        let item = Item::read(raw, "tools").expect("a tool");
        assert_eq!(
            apply_overrides(&server, "log", &item),
            r#"{"name":"log", "vendor": 1e400,"description":"Shows \"commits\"","inputSchema":{}}"#
        );
    }
}
