//! `allowed_routes` of a key: LiteLLM's groups, templates, prefixes and wildcards.
//!
//! They are matched against the template of the route that the router found (`/v1/mcp/server/{server_id}`), never
//! against the path of a request, which can be written in many ways. So an entry that has a value where the template
//! has a placeholder (`/mcp/github`) matches nothing.

const MCP_INFERENCE: &[&str] = &[
    "/mcp",
    "/mcp/",
    "/mcp/sse",
    "/mcp/sse/",
    "/mcp/sse/messages",
    "/mcp/sse/messages/",
    "/mcp/proxy",
    "/mcp/{*}",
    "/{name}/mcp",
    "/{name}/mcp/",
    "/toolset/{name}/mcp",
    "/toolset/{name}/mcp/",
    "/mcp-rest/tools/list",
    "/mcp-rest/tools/call",
    "/v1/mcp/tools",
    "/introspect",
    "/token",
];

const MCP_MANAGEMENT: &[&str] = &["/v1/mcp/server", "/v1/mcp/server/{*}", "/v1/mcp/sessions"];

const MODEL_LIST: &[&str] = &["/models", "/v1/models"];

const OPENAI: &[&str] = &[
    "/chat/completions",
    "/v1/chat/completions",
    "/engines/{model}/chat/completions",
    "/openai/deployments/{model}/chat/completions",
    "/completions",
    "/v1/completions",
    "/embeddings",
    "/v1/embeddings",
    "/responses",
    "/v1/responses",
    "/responses/{*}",
    "/v1/responses/{*}",
];

const ANTHROPIC: &[&str] = &["/v1/messages", "/v1/messages/count_tokens"];

const MODEL_INFO: &[&str] = &["/model/info", "/v1/model/info", "/model_group/info"];

const INFO: &[&str] = &[
    "/key/info",
    "/key/health",
    "/key/list",
    "/v2/key/info",
    "/team/info",
    "/team/list",
    "/v2/team/list",
    "/team/available",
    "/organization/list",
    "/user/info",
    "/v2/user/info",
    "/model/info",
    "/v1/model/info",
    "/v2/model/info",
    "/model_group/info",
    "/health",
    "/health/services",
];

const KEY_MANAGEMENT: &[&str] = &[
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/info",
    "/key/regenerate",
    "/key/service-account/generate",
    "/key/{key}/regenerate",
    "/key/list",
    "/key/block",
    "/key/unblock",
    "/key/bulk_update",
    "/team/key/bulk_update",
    "/key/{key}/reset_spend",
    "/key/aliases",
    "/spend/logs",
    "/spend/logs/v2",
];

const MANAGEMENT: &[&str] = &[
    "/user/new",
    "/user/update",
    "/user/bulk_update",
    "/user/delete",
    "/user/info",
    "/user/list",
    "/user/daily/activity",
    "/team/new",
    "/team/update",
    "/team/{team_id}",
    "/team/delete",
    "/team/list",
    "/v2/team/list",
    "/team/info",
    "/team/block",
    "/team/unblock",
    "/team/available",
    "/team/permissions_list",
    "/team/permissions_update",
    "/team/daily/activity",
    "/model/new",
    "/model/update",
    "/model/delete",
    "/model/info",
];

const SPEND_TRACKING: &[&str] = &[
    "/spend/keys",
    "/spend/users",
    "/spend/tags",
    "/spend/calculate",
    "/spend/logs",
    "/spend/logs/v2",
    "/spend/logs/ui",
    "/spend/logs/ui/{request_id}",
];

const GLOBAL_SPEND_TRACKING: &[&str] = &[
    "/global/spend",
    "/global/spend/logs",
    "/global/spend/keys",
    "/global/spend/teams",
    "/global/spend/end_users",
    "/global/spend/models",
    "/global/spend/report",
    "/global/spend/tags",
];

/// The routes of one of LiteLLM's groups, as lists of templates. `None` for any other word, which matches nothing:
/// also LiteLLM's groups of which there is no route here (`agent_routes`).
fn group(name: &str) -> Option<&'static [&'static [&'static str]]> {
    Some(match name {
        "mcp_inference_routes" => &[MCP_INFERENCE],
        "mcp_management_routes" => &[MCP_MANAGEMENT],
        "mcp_routes" => &[MCP_INFERENCE, MCP_MANAGEMENT],
        "openai_routes" => &[OPENAI, MODEL_LIST],
        "anthropic_routes" => &[ANTHROPIC],
        "model_info_routes" => &[MODEL_INFO],
        "llm_api_routes" => &[OPENAI, MODEL_LIST, ANTHROPIC, MODEL_INFO, MCP_INFERENCE],
        "llm_api_routes_without_mcp" => &[OPENAI, MODEL_LIST, ANTHROPIC, MODEL_INFO],
        "info_routes" => &[INFO, MODEL_LIST],
        "key_management_routes" => &[KEY_MANAGEMENT],
        "management_routes" => &[MANAGEMENT, KEY_MANAGEMENT, MCP_MANAGEMENT],
        "spend_tracking_routes" => &[SPEND_TRACKING],
        "global_spend_tracking_routes" => &[GLOBAL_SPEND_TRACKING],
        "internal_user_routes" => &[SPEND_TRACKING, KEY_MANAGEMENT],
        "internal_user_view_only_routes" => &[SPEND_TRACKING],
        _ => return None,
    })
}

/// Whether this word of `allowed_routes` is a group that is known here.
pub fn is_group(name: &str) -> bool {
    group(name).is_some()
}

/// A key may not use a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Virtual key is not allowed to call this route. Only allowed to call routes: {allowed}. Tried to call route: {route}"
)]
pub struct RouteRefused {
    /// What it may use, in LiteLLM's form: `['mcp_routes']`.
    pub allowed: String,
    /// The template of the route.
    pub route: String,
}

/// Whether a key with these `allowed_routes` may use a route. An empty list allows whatever its role does.
///
/// # Errors
/// [`RouteRefused`], with LiteLLM's text.
pub fn check(allowed_routes: &[String], method: &str, template: &str) -> Result<(), RouteRefused> {
    if allowed_routes.is_empty() || allowed_routes.iter().any(|entry| allows(entry, method, template)) {
        return Ok(());
    }
    let quoted: Vec<_> = allowed_routes.iter().map(|entry| format!("'{entry}'")).collect();
    Err(RouteRefused { allowed: format!("[{}]", quoted.join(", ")), route: template.to_owned() })
}

fn allows(entry: &str, method: &str, template: &str) -> bool {
    // Whoever may call tools may see which servers there are.
    let discovery = entry == "llm_api_routes" && method == "GET";
    if discovery && (same("/v1/mcp/server", template) || same("/v1/mcp/server/{id}", template)) {
        return true;
    }
    if let Some(lists) = group(entry) {
        return lists.iter().flat_map(|list| *list).any(|route| same(route, template));
    }
    if !entry.starts_with('/') {
        return false;
    }
    if let Some(prefix) = entry.strip_suffix('*') {
        return template.starts_with(prefix);
    }
    same(entry, template) || template.strip_prefix(entry).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether two templates are of the same routes: placeholders may have any name, and `{*rest}` at the end of the entry
/// stands for one or more segments.
fn same(entry: &str, template: &str) -> bool {
    let (mut entry, mut template) = (entry.split('/'), template.split('/'));
    loop {
        match (entry.next(), template.next()) {
            (None, None) => return true,
            (Some(rest), Some(_)) if rest.starts_with("{*") => return true,
            (Some(one), Some(other)) if one == other || (is_placeholder(one) && is_placeholder(other)) => {}
            _ => return false,
        }
    }
}

fn is_placeholder(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(entry: &str, method: &str, template: &str) -> bool {
        check(&[entry.to_owned()], method, template).is_ok()
    }

    #[test]
    fn groups_templates_prefixes_and_wildcards_are_matched_against_templates() {
        let cases = [
            ("mcp_routes", "POST", "/mcp", true),
            ("mcp_routes", "POST", "/mcp/{*path}", true),
            ("mcp_routes", "POST", "/{server}/mcp", true),
            ("mcp_routes", "POST", "/toolset/{toolset_name}/mcp", true),
            ("mcp_routes", "POST", "/mcp-rest/tools/call", true),
            ("mcp_routes", "POST", "/v1/mcp/server", true),
            ("mcp_routes", "PUT", "/v1/mcp/server/{id}/approve", true),
            ("mcp_routes", "POST", "/mcp-rest/test/connection", false),
            ("mcp_routes", "POST", "/v1/chat/completions", false),
            ("mcp_routes", "POST", "/key/generate", false),
            ("mcp_inference_routes", "POST", "/v1/mcp/server", false),
            ("llm_api_routes", "POST", "/mcp", true),
            ("llm_api_routes", "GET", "/v1/mcp/server", true),
            ("llm_api_routes", "GET", "/v1/mcp/server/{id}", true),
            ("llm_api_routes", "POST", "/v1/mcp/server", false),
            ("llm_api_routes", "GET", "/v1/mcp/server/{id}/user-credentials", false),
            ("llm_api_routes_without_mcp", "POST", "/mcp", false),
            ("llm_api_routes_without_mcp", "GET", "/v1/mcp/server", false),
            ("info_routes", "GET", "/key/info", true),
            ("info_routes", "POST", "/key/generate", false),
            ("management_routes", "POST", "/key/{key_id}/regenerate", true),
            ("management_routes", "POST", "/key/generate", true),
            ("key_management_routes", "POST", "/team/new", false),
            ("unknown_routes", "POST", "/mcp", false),
            ("", "POST", "/mcp", false),
            ("/key/info", "GET", "/key/info", true),
            ("/key", "POST", "/key/generate", true),
            ("/key", "POST", "/keys", false),
            ("/key/*", "POST", "/key/generate", true),
            ("/key/*", "POST", "/team/new", false),
            ("/mcp*", "POST", "/mcp-rest/tools/call", true),
            ("/*", "POST", "/user/update", true),
            ("*", "POST", "/user/update", false),
            ("/v1/mcp/server/{anything}", "GET", "/v1/mcp/server/{id}", true),
            ("/mcp/github", "POST", "/mcp/{*path}", false),
            ("/v1/mcp/server/{id}", "GET", "/v1/mcp/server", false),
        ];
        for (entry, method, template, expected) in cases {
            assert_eq!(may(entry, method, template), expected, "{entry}: {method} {template}");
        }
    }

    #[test]
    fn an_empty_list_allows_all_and_a_refusal_has_litellms_words() {
        assert_eq!(check(&[], "POST", "/key/generate"), Ok(()));
        let refused = check(&["mcp_routes".into(), "/key/info".into()], "POST", "/key/generate").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Virtual key is not allowed to call this route. Only allowed to call routes: ['mcp_routes', '/key/info']. \
             Tried to call route: /key/generate"
        );
    }
}
