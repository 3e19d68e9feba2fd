//! What no type says of a route: what it is for, and with which status it answers.

/// What the document says of itself.
pub const ABOUT: &str = "MCP gateway: one endpoint and one key for every tool that a key, its user, team and \
    organization may use. Routes, fields and statuses are LiteLLM's where it has them. Unknown fields of management \
    bodies are refused. What is not the caller's and what is not there answer alike.";

/// Groups of routes: name, text, beginnings of their paths. The first that fits is a route's.
pub const TAGS: &[(&str, &str, &[&str])] = &[
    (
        "Gateway",
        "Health, metrics, this document.",
        &["/health", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/mcp/enabled"],
    ),
    ("Keys", "Virtual keys.", &["/key/", "/v2/key/"]),
    ("Teams", "Teams and their members.", &["/team/", "/v2/team/"]),
    ("Organizations", "Organizations and their members.", &["/organization/"]),
    ("Projects", "Projects of teams.", &["/project/"]),
    ("Users", "Internal users.", &["/user/", "/v2/user/"]),
    ("Customers", "End users of those who use keys.", &["/customer/", "/end_user/"]),
    ("Budgets", "Budgets that several share.", &["/budget/"]),
    ("Access groups", "Unified access groups.", &["/v1/access_group", "/v1/unified_access_group"]),
    ("Toolsets", "Tools of several servers under one name.", &["/v1/mcp/toolset"]),
    ("Spend and audit", "What calls cost, and who changed what.", &["/spend/", "/v1/mcp/calls", "/audit"]),
    ("Servers", "MCP servers and REST APIs behind the gateway.", &["/v1/mcp/", "/mcp-rest/test/", "/public/"]),
    ("Tools over REST", "Tools for programs that speak no MCP.", &["/mcp-rest/"]),
    (
        "MCP",
        "The Model Context Protocol itself; its messages are described by its specification.",
        &["/mcp", "/sse", "/toolset/", "/{names}/"],
    ),
];

/// The group of a path.
#[must_use]
pub fn tag(path: &str) -> &'static str {
    let is_of = |beginnings: &[&str]| beginnings.iter().any(|beginning| path.starts_with(beginning));
    TAGS.iter().find(|(_, _, beginnings)| is_of(beginnings)).map_or("Gateway", |(name, _, _)| name)
}

/// What a parameter of a path is.
#[must_use]
pub fn path_parameter(name: &str) -> Option<&'static str> {
    Some(match name {
        "names" => "Names of servers, aliases or access groups, separated by commas, or one of a toolset.",
        "name" => "The toolset's name.",
        "server_id" => "The server's id.",
        "toolset_id" => "The toolset's id.",
        "access_group_id" => "The group's id.",
        "key" => "The key or its hash.",
        _ => return None,
    })
}

/// What a field means wherever it is and says nothing itself.
#[must_use]
pub fn field(name: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(of, _)| *of == name).map(|(_, text)| *text)
}

const FIELDS: &[(&str, &str)] = &[
    ("access_group_ids", "Unified access groups, by id."),
    ("agent_id", "LiteLLM's agent; a key bound to one reaches nothing here."),
    ("alias", "Its name for people; tools are listed under a server's."),
    ("allow_all_keys", "Every key reaches it."),
    ("allowed_routes", "The only routes that it may use: groups such as `mcp_routes`, or paths."),
    ("allowed_tools", "The only tools that are listed and called."),
    ("allowed_params", "For each tool the only arguments that it may be called with."),
    ("available_on_public_internet", "False: there only for clients inside."),
    ("blocked", "Refused while it is so."),
    ("budget_duration", "After this time what was spent counts anew: `30s`, `24h`, `7d`, `1mo`."),
    ("budget_id", "A budget that several may share."),
    ("default_model", "Kept for LiteLLM's clients."),
    ("description", "For people."),
    ("disallowed_tools", "Tools that are neither listed nor called."),
    ("duration", "Until it expires: `24h`, `7d`; `-1` is never."),
    ("end_user_id", "The customer's id."),
    ("guardrails", "Kept for LiteLLM's clients."),
    ("key", "A key, by its text or its hash."),
    ("key_alias", "Its name for people, no other key's."),
    ("keys", "Keys, by their texts or hashes."),
    ("max_budget", "What may be spent in each period, in USD."),
    ("max_budget_in_team", "What the member may spend in the team, in USD."),
    ("max_budget_in_organization", "What the member may spend in the organization, in USD."),
    ("max_parallel_requests", "How many tool calls may run at the same time."),
    ("mcp_rpm_limit", "Tool calls in a minute, for each server by its alias."),
    ("metadata", "Whatever is to be kept with it."),
    ("model_max_budget", "Kept for LiteLLM's clients."),
    ("model_rpm_limit", "Kept for LiteLLM's clients."),
    ("model_tpm_limit", "Kept for LiteLLM's clients."),
    ("models", "Models, by name; nothing about tools."),
    ("object_permission", "Which servers, tools and toolsets it reaches."),
    ("organization_alias", "The organization's name for people."),
    ("organization_id", "The organization's id."),
    ("page", "From 1."),
    ("page_size", "How many are on a page."),
    ("policies", "Kept for LiteLLM's clients."),
    ("project_id", "The project's id."),
    ("prompts", "Kept for LiteLLM's clients."),
    ("role", "`admin` or `user` of a team; `org_admin` or another role of an organization."),
    ("router_settings", "Kept for LiteLLM's clients."),
    ("rpm_limit", "Tool calls in a minute."),
    ("send_invite_email", "No mail is sent."),
    ("server_id", "The server's id."),
    ("server_name", "The server's name."),
    ("soft_budget", "Where a warning begins, in USD."),
    ("spend", "What was spent so far, in USD."),
    ("tags", "Kept with it, and with what it spends."),
    ("team_alias", "The team's name for people."),
    ("team_id", "The team's id."),
    ("team_member_permissions", "What members may do with the team's keys, as routes."),
    ("timeout", "How long a call may take, in seconds."),
    ("tpd_limit", "Kept for LiteLLM's clients: tool calls use no tokens."),
    ("tpm_limit", "Tokens in a minute. Tool calls use none, so only 0 refuses them."),
    ("transport", "How it is spoken to; absent: found out."),
    ("url", "Where it is."),
    ("user_alias", "The user's name for people."),
    ("user_email", "Their e-mail address."),
    ("user_id", "The user's id."),
    ("user_role", "What they are on the whole gateway."),
];

/// A good answer.
#[derive(Debug, Clone, Copy)]
pub enum Success {
    /// JSON with this status.
    Json(u16),
    /// Something of another media type.
    Of(u16, &'static str),
    /// No body.
    Nothing(u16),
}

/// What is said of a route.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// What it is for.
    pub summary: &'static str,
    /// Its good answers.
    pub success: &'static [Success],
}

const EVENTS: &str = "text/event-stream";
const JSON: &[Success] = &[Success::Json(200)];
const CREATED: &[Success] = &[Success::Json(201)];
const ACCEPTED: &[Success] = &[Success::Json(202)];
const ACCEPTED_EMPTY: &[Success] = &[Success::Nothing(202)];
const EMPTY: &[Success] = &[Success::Nothing(204)];
const JSON_OR_EVENTS: &[Success] = &[Success::Json(200), Success::Of(200, EVENTS)];
const MCP: &[Success] = &[Success::Json(200), Success::Of(200, EVENTS), Success::Nothing(202)];
const STREAM: &[Success] = &[Success::Of(200, EVENTS)];
const TAKEN: &[Success] = &[Success::Of(202, "text/plain")];
const METRICS: &[Success] = &[Success::Of(200, "application/openmetrics-text")];
const PAGE: &[Success] = &[Success::Of(200, "text/html")];

const fn answering(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    success: &'static [Success],
) -> (&'static str, &'static str, Text) {
    (method, path, Text { summary, success })
}

const fn said(method: &'static str, path: &'static str, summary: &'static str) -> (&'static str, &'static str, Text) {
    answering(method, path, summary, JSON)
}

/// The texts, in the order of the table of routes. A test holds the two together.
pub const TEXTS: &[(&str, &str, Text)] = &[
    answering("POST", "/mcp", "MCP over Streamable HTTP: a message to all servers that the key reaches", MCP),
    answering(
        "GET",
        "/mcp",
        "MCP over Streamable HTTP: the stream on which all servers that the key reaches speak by themselves",
        STREAM,
    ),
    said("DELETE", "/mcp", "MCP over Streamable HTTP: ends a session"),
    answering("POST", "/mcp/", "MCP over Streamable HTTP: a message to all servers that the key reaches", MCP),
    answering(
        "GET",
        "/mcp/",
        "MCP over Streamable HTTP: the stream on which all servers that the key reaches speak by themselves",
        STREAM,
    ),
    said("DELETE", "/mcp/", "MCP over Streamable HTTP: ends a session"),
    answering(
        "POST",
        "/mcp/{*names}",
        "MCP over Streamable HTTP: a message to the servers, access groups or toolset that the path names",
        MCP,
    ),
    answering(
        "GET",
        "/mcp/{*names}",
        "MCP over Streamable HTTP: the stream on which the servers, access groups or toolset that the path names speak by themselves",
        STREAM,
    ),
    said("DELETE", "/mcp/{*names}", "MCP over Streamable HTTP: ends a session"),
    answering(
        "POST",
        "/{names}/mcp",
        "MCP over Streamable HTTP: a message to the servers, access groups or toolset that the path names",
        MCP,
    ),
    answering(
        "GET",
        "/{names}/mcp",
        "MCP over Streamable HTTP: the stream on which the servers, access groups or toolset that the path names speak by themselves",
        STREAM,
    ),
    said("DELETE", "/{names}/mcp", "MCP over Streamable HTTP: ends a session"),
    answering(
        "POST",
        "/{names}/mcp/",
        "MCP over Streamable HTTP: a message to the servers, access groups or toolset that the path names",
        MCP,
    ),
    answering(
        "GET",
        "/{names}/mcp/",
        "MCP over Streamable HTTP: the stream on which the servers, access groups or toolset that the path names speak by themselves",
        STREAM,
    ),
    said("DELETE", "/{names}/mcp/", "MCP over Streamable HTTP: ends a session"),
    answering("GET", "/sse", "MCP over HTTP+SSE: opens the stream", STREAM),
    answering("POST", "/sse/messages", "MCP over HTTP+SSE: a message; its answer comes on the stream", TAKEN),
    answering("GET", "/sse/", "MCP over HTTP+SSE: opens the stream", STREAM),
    answering("POST", "/sse/messages/", "MCP over HTTP+SSE: a message; its answer comes on the stream", TAKEN),
    answering("GET", "/mcp/sse", "MCP over HTTP+SSE: opens the stream", STREAM),
    answering("POST", "/mcp/sse/messages", "MCP over HTTP+SSE: a message; its answer comes on the stream", TAKEN),
    answering("GET", "/mcp/sse/", "MCP over HTTP+SSE: opens the stream", STREAM),
    answering("POST", "/mcp/sse/messages/", "MCP over HTTP+SSE: a message; its answer comes on the stream", TAKEN),
    answering("POST", "/toolset/{name}/mcp", "MCP over Streamable HTTP: a message to the tools of a toolset", MCP),
    answering(
        "GET",
        "/toolset/{name}/mcp",
        "MCP over Streamable HTTP: the stream on which the tools of a toolset speak by themselves",
        STREAM,
    ),
    said("DELETE", "/toolset/{name}/mcp", "MCP over Streamable HTTP: ends a session"),
    answering("POST", "/toolset/{name}/mcp/", "MCP over Streamable HTTP: a message to the tools of a toolset", MCP),
    answering(
        "GET",
        "/toolset/{name}/mcp/",
        "MCP over Streamable HTTP: the stream on which the tools of a toolset speak by themselves",
        STREAM,
    ),
    said("DELETE", "/toolset/{name}/mcp/", "MCP over Streamable HTTP: ends a session"),
    said("GET", "/mcp-rest/tools/list", "The tools of one server or of all, with the servers' own names"),
    said("POST", "/mcp-rest/tools/call", "Calls a tool; the answer is its result"),
    said("GET", "/v1/mcp/server", "The servers that the key reaches"),
    said("GET", "/v1/mcp/server/health", "How servers do; each is asked"),
    said("GET", "/v1/mcp/server/{server_id}", "One server"),
    answering("POST", "/v1/mcp/server", "Adds a server", CREATED),
    answering("PUT", "/v1/mcp/server", "Changes a server; what is not sent stays", ACCEPTED),
    answering("DELETE", "/v1/mcp/server/{server_id}", "Deletes a server", ACCEPTED_EMPTY),
    said("POST", "/mcp-rest/test/connection", "Tries whether a server that is not kept can be reached"),
    said("POST", "/mcp-rest/test/tools/list", "The tools of a server that is not kept"),
    answering("POST", "/v1/mcp/server/register", "Proposes a server for an admin's approval", CREATED),
    said("POST", "/v1/mcp/server/{server_id}/pin", "Freezes the server's tools as they are now"),
    said("DELETE", "/v1/mcp/server/{server_id}/pin", "Lets the server's tools change again"),
    said("POST", "/v1/mcp/server/import", "Adds the servers of a client's `mcpServers` or a registry's `server.json`"),
    answering("POST", "/v1/mcp/make_public", "Says which servers everybody is told of", ACCEPTED),
    said("GET", "/v1/mcp/discover", "Well-known servers to add"),
    said("GET", "/public/mcp_hub", "The servers that everybody is told of"),
    said("GET", "/v1/mcp/sessions", "Client sessions that are in use"),
    said("DELETE", "/v1/mcp/sessions", "Ends client sessions"),
    said("GET", "/v1/mcp/server/submissions", "Servers that were proposed"),
    said("PUT", "/v1/mcp/server/{server_id}/approve", "Takes a proposed server in"),
    said("PUT", "/v1/mcp/server/{server_id}/reject", "Refuses a proposed server"),
    said("POST", "/v1/mcp/server/{server_id}/user-credential", "Keeps the caller's own credential for a server"),
    said("DELETE", "/v1/mcp/server/{server_id}/user-credential", "Forgets it"),
    said("GET", "/v1/mcp/user-credentials", "Servers that the caller keeps a credential for"),
    said("GET", "/v1/mcp/server/{server_id}/user-credentials", "Users who keep a credential for a server"),
    said("GET", "/v1/mcp/server/{server_id}/user-env-vars", "Which variables of a server the caller has set"),
    said("POST", "/v1/mcp/server/{server_id}/user-env-vars", "Sets the caller's variables of a server"),
    said("DELETE", "/v1/mcp/server/{server_id}/user-env-vars", "Forgets them"),
    said("GET", "/v1/mcp/user-env-vars/status", "Servers that want variables of the caller"),
    said("GET", "/v1/mcp/tools", "All tools that the key reaches, named as on `/mcp`"),
    said("GET", "/v1/mcp/access_groups", "The tags of servers that the key reaches"),
    said("GET", "/v1/mcp/network/client-ip", "The address that the request comes from"),
    said("GET", "/v1/mcp/registry.json", "What there is to connect to, where `enable_mcp_registry` is on"),
    said("GET", "/v1/mcp/access/explain", "Why a key reaches a server or tool, or not"),
    said("POST", "/v1/mcp/access/explain", "The same, with the key in the body"),
    answering("POST", "/v1/mcp/toolset", "Makes a toolset", CREATED),
    said("GET", "/v1/mcp/toolset", "The toolsets that the caller holds"),
    said("PUT", "/v1/mcp/toolset", "Changes a toolset"),
    said("GET", "/v1/mcp/toolset/{toolset_id}", "One toolset"),
    answering("DELETE", "/v1/mcp/toolset/{toolset_id}", "Deletes a toolset", ACCEPTED_EMPTY),
    answering("GET", "/v1/mcp/calls", "The log of calls, newest first, or calls as they end", JSON_OR_EVENTS),
    said("GET", "/spend/logs", "LiteLLM's spend log"),
    said("GET", "/mcp/enabled", "Says that there is MCP"),
    said("GET", "/health", "How each server does, as requests have shown"),
    said("GET", "/health/liveliness", "Is the process alive?"),
    said("GET", "/health/liveness", "Is the process alive?"),
    said("GET", "/livez", "Is the process alive?"),
    said("GET", "/healthz", "Is the process alive?"),
    said("GET", "/health/readiness", "Does it take requests?"),
    said("GET", "/readyz", "Does it take requests?"),
    said("POST", "/key/generate", "Makes a virtual key; the only answer that shows it"),
    said("POST", "/key/service-account/generate", "Makes a key that belongs to a team and to no user"),
    said("POST", "/key/update", "Changes a key; what is not sent stays, null clears"),
    said("POST", "/key/delete", "Deletes keys"),
    said("POST", "/key/regenerate", "Gives a key a new text"),
    said("POST", "/key/{key}/regenerate", "Gives a key a new text"),
    said("POST", "/key/block", "Blocks a key"),
    said("POST", "/key/unblock", "Lets a blocked key in again"),
    said("GET", "/key/info", "One key; by default the caller's"),
    said("GET", "/key/list", "A page of keys"),
    said("POST", "/key/bulk_update", "Changes many keys, each as if it were sent alone"),
    said("POST", "/team/key/bulk_update", "Changes many keys of a team in the same way"),
    said("POST", "/v2/key/info", "Several keys"),
    said("GET", "/key/aliases", "The aliases of keys"),
    said("POST", "/key/{key}/reset_spend", "Lowers what a key is said to have spent"),
    answering("GET", "/metrics", "Metrics for Prometheus", METRICS),
    said("POST", "/team/new", "Makes a team"),
    said("POST", "/team/update", "Changes a team; what is not sent stays, null clears"),
    said("GET", "/team/info", "A team with its members and keys"),
    said("GET", "/team/list", "Teams that the caller sees"),
    said("GET", "/v2/team/list", "A page of them"),
    said("POST", "/team/delete", "Deletes teams with their keys"),
    said("POST", "/team/block", "Refuses the team's keys"),
    said("POST", "/team/unblock", "Lets them in again"),
    said("POST", "/team/member_add", "Takes users into a team"),
    said("POST", "/team/member_update", "Changes what a member is and may spend"),
    said("POST", "/team/member_delete", "Takes a user out of a team"),
    said("POST", "/team/bulk_member_add", "Takes many users into a team"),
    said("PATCH", "/team/{team_id}", "Changes a team; `metadata` is merged"),
    said("GET", "/team/permissions_list", "What a team's members may do with its keys"),
    said("POST", "/team/permissions_update", "Sets it"),
    said("POST", "/team/permissions_bulk_update", "Adds to it for many teams"),
    said("GET", "/team/daily/activity", "What teams called and spent on each day"),
    said("POST", "/organization/new", "Makes an organization"),
    said("PATCH", "/organization/update", "Changes an organization"),
    said("DELETE", "/organization/delete", "Deletes organizations"),
    said("GET", "/organization/info", "An organization with its members and teams"),
    said("GET", "/organization/list", "Organizations that the caller sees"),
    said("POST", "/organization/member_add", "Takes users into an organization"),
    said("PATCH", "/organization/member_update", "Changes what a member is and may spend"),
    said("DELETE", "/organization/member_delete", "Takes a user out of an organization"),
    said("GET", "/organization/daily/activity", "What organizations called and spent on each day"),
    said("POST", "/project/new", "Makes a project of a team"),
    said("POST", "/project/update", "Changes a project"),
    said("DELETE", "/project/delete", "Deletes projects"),
    said("GET", "/project/info", "One project"),
    said("GET", "/project/list", "Projects that the caller sees"),
    said("POST", "/user/new", "Makes a user, if wished with a key"),
    said("POST", "/user/update", "Changes a user"),
    said("GET", "/user/info", "A user with their teams and keys; by default the caller"),
    said("GET", "/v2/user/info", "The user alone"),
    said("GET", "/user/list", "A page of users"),
    said("POST", "/user/delete", "Deletes users with their keys"),
    said("POST", "/user/bulk_update", "Changes many users"),
    said("GET", "/user/available_roles", "The roles of users"),
    said("GET", "/user/daily/activity", "What users called and spent on each day, in pages"),
    said("GET", "/user/daily/activity/aggregated", "The same, all days at once"),
    said("POST", "/customer/new", "Makes a customer (end user)"),
    said("POST", "/customer/update", "Changes a customer"),
    said("POST", "/customer/delete", "Deletes customers"),
    said("POST", "/customer/block", "Refuses requests for customers"),
    said("POST", "/customer/unblock", "Lets them through again"),
    said("GET", "/customer/info", "One customer"),
    said("GET", "/customer/list", "Customers"),
    said("GET", "/customer/daily/activity", "What customers called and spent on each day"),
    said("POST", "/end_user/new", "Makes a customer (end user)"),
    said("POST", "/end_user/update", "Changes a customer"),
    said("POST", "/end_user/delete", "Deletes customers"),
    said("POST", "/end_user/block", "Refuses requests for customers"),
    said("POST", "/end_user/unblock", "Lets them through again"),
    said("GET", "/end_user/info", "One customer"),
    said("GET", "/end_user/list", "Customers"),
    said("GET", "/end_user/daily/activity", "What customers called and spent on each day"),
    said("POST", "/budget/new", "Makes a budget"),
    said("POST", "/budget/update", "Changes a budget"),
    said("POST", "/budget/info", "Budgets by id"),
    said("GET", "/budget/list", "Budgets"),
    said("POST", "/budget/delete", "Deletes a budget"),
    said("GET", "/audit", "A page of the audit log"),
    said("GET", "/audit/{id}", "One row of it"),
    answering("POST", "/v1/access_group", "Makes a unified access group", CREATED),
    said("GET", "/v1/access_group", "All of them"),
    said("GET", "/v1/access_group/{access_group_id}", "One access group"),
    said("PUT", "/v1/access_group/{access_group_id}", "Changes it; what is not sent stays"),
    answering("DELETE", "/v1/access_group/{access_group_id}", "Deletes it", EMPTY),
    answering("POST", "/v1/unified_access_group", "Makes a unified access group", CREATED),
    said("GET", "/v1/unified_access_group", "All of them"),
    said("GET", "/v1/unified_access_group/{access_group_id}", "One access group"),
    said("PUT", "/v1/unified_access_group/{access_group_id}", "Changes it; what is not sent stays"),
    answering("DELETE", "/v1/unified_access_group/{access_group_id}", "Deletes it", EMPTY),
    said("GET", "/openapi.json", "This document"),
    answering("GET", "/docs", "This document, for people", PAGE),
    answering("GET", "/", "This document, for people", PAGE),
];

/// What is said of a route.
#[must_use]
pub fn of(method: &str, path: &str) -> Option<Text> {
    TEXTS.iter().find(|(of, at, _)| *of == method && *at == path).map(|(_, _, text)| *text)
}
