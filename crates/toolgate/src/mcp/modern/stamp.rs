//! Results as this revision has them: `resultType`, how long they may be kept, and who answers.
//!
//! What a server says itself stays; what is not there is added in front of it, and every other byte is the server's.
//!
//! Source: MCP 2026-07-28, Basic, Results; Server, Caching (SEP-2549).

use toolgate_mcp::edit::{Edit, Fields};
use toolgate_mcp::method;

/// The `_meta` key under which a result says who made it.
pub(super) const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// What the gateway's own lists say of how long they may be kept: a reload, or a server that comes back, changes them.
/// What one caller sees is not what another sees, so nobody may share them.
pub(super) const CACHE_FIELDS: &str = r#""ttlMs":0,"cacheScope":"private""#;

/// `result`, a JSON object, with what the results of `method` have.
///
/// `server_info` is the gateway's name and version as a JSON object.
pub(super) fn stamped(result: &str, method: &str, server_info: &str) -> String {
    let Ok(fields) = Fields::read(result) else { return result.to_owned() };
    let mut edit = Edit::new(result);
    let mut added = Vec::new();
    let is_complete = match fields.get("resultType") {
        Some(kind) => kind.get() == r#""complete""#,
        None => {
            added.push(r#""resultType":"complete""#.to_owned());
            true
        }
    };
    if is_complete && is_cacheable(method) {
        if fields.get("ttlMs").is_none() {
            added.push(r#""ttlMs":0"#.to_owned());
        }
        match fields.get("cacheScope") {
            // The caller's key and the gateway's rules are between the server and whoever else could share this.
            Some(scope) => _ = edit.replace(scope.get(), r#""private""#),
            None => added.push(r#""cacheScope":"private""#.to_owned()),
        }
    }
    match fields.get("_meta").map(serde_json::value::RawValue::get) {
        None => added.push(format!(r#""_meta":{{"{META_SERVER_INFO}":{server_info}}}"#)),
        Some(meta) => {
            if let Ok(inner) = Fields::read(meta)
                && inner.get(META_SERVER_INFO).is_none()
            {
                insert(&mut edit, meta, inner.is_empty(), &format!(r#""{META_SERVER_INFO}":{server_info}"#));
            }
        }
    }
    if !added.is_empty() {
        insert(&mut edit, result, fields.is_empty(), &added.join(","));
    }
    edit.finish().into_owned()
}

fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        method::SERVER_DISCOVER
            | method::TOOLS_LIST
            | method::PROMPTS_LIST
            | method::RESOURCES_LIST
            | method::RESOURCES_TEMPLATES_LIST
            | method::RESOURCES_READ
    )
}

/// Puts `entries` behind the opening brace of `object`, a slice of what is edited.
fn insert<'a>(edit: &mut Edit<'a>, object: &'a str, is_empty: bool, entries: &str) {
    let at = object.find('{').map_or(0, |open| open + 1);
    let comma = if is_empty { "" } else { "," };
    edit.replace(&object[at..at], format!("{entries}{comma}"));
}

#[cfg(test)]
mod tests {
    use super::stamped;

    const INFO: &str = r#"{"name":"gate","version":"1"}"#;

    #[test]
    fn what_is_missing_is_added_and_the_rest_stays() {
        let info = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gate","version":"1"}}"#;
        let cases = [
            ("tools/call", "{}", format!(r#"{{"resultType":"complete",{info}}}"#)),
            ("tools/call", r#"{ "x":1e400 }"#, format!(r#"{{"resultType":"complete",{info}, "x":1e400 }}"#)),
            (
                "resources/read",
                r#"{"contents":[]}"#,
                format!(r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private",{info},"contents":[]}}"#),
            ),
            (
                "resources/read",
                r#"{"resultType":"complete","ttlMs":9,"cacheScope":"public","_meta":{"a":1}}"#,
                r#"{"resultType":"complete","ttlMs":9,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gate","version":"1"},"a":1}}"#
                    .to_owned(),
            ),
            (
                "resources/read",
                r#"{"resultType":"input_required","requestState":"s","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#,
                r#"{"resultType":"input_required","requestState":"s","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#
                    .to_owned(),
            ),
        ];
        for (method, result, expected) in cases {
            assert_eq!(stamped(result, method, INFO), expected, "{method} {result}");
        }
    }
}
