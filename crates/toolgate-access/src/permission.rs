//! What a key, team, organization, user, customer, agent or project may own: LiteLLM's object permission.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// In `mcp_servers`: reach nothing at all, not even what is open to all keys.
pub const NO_MCP_SERVERS: &str = "no-mcp-servers";

/// In a team's `mcp_servers`: reach every server. Only a proxy admin may write it.
pub const ALL_PROXY_MCP_SERVERS: &str = "all-proxy-mcpservers";

/// A word that LiteLLM reserves in `mcp_servers`. It leads to no server.
pub const ALL_TEAM_MCP_SERVERS: &str = "all-team-mcpservers";

/// In `mcp_tool_permissions`: every tool of the server.
pub const ALL_TOOLS: &str = "*";

/// The tools that are named for each server, by its id, name or alias.
pub type ToolPermissions = BTreeMap<String, Vec<String>>;

/// One row of permissions.
///
/// Every field may be absent (`None`, `null`), which is not the same as empty for `mcp_servers`: an empty list is an
/// explicit scope that binds an admin's key and keeps away servers that the key's user submitted, while for what a
/// key takes over from its team both say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectPermission {
    /// The row's own id, where it has been stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_permission_id: Option<String>,
    /// Servers by id, name or alias, or one of the reserved words ([`NO_MCP_SERVERS`], [`ALL_PROXY_MCP_SERVERS`]).
    pub mcp_servers: Option<Vec<String>>,
    /// Tags on servers (`access_groups` of a server), not unified access groups.
    pub mcp_access_groups: Option<Vec<String>>,
    /// Bare tool names for each server; [`ALL_TOOLS`] stands for all. Naming a server here grants it too.
    #[serde(deserialize_with = "tool_permissions")]
    pub mcp_tool_permissions: Option<ToolPermissions>,
    /// Toolsets by id. Their servers are granted, with only the tools that they name.
    pub mcp_toolsets: Option<Vec<String>>,
    /// Lists are replaced by a search over them.
    pub mcp_tool_search_enabled: Option<bool>,
    /// Tools that are never reached, whatever else grants them.
    pub blocked_tools: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub vector_stores: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub agents: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub agent_access_groups: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub models: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub search_tools: Option<Vec<String>>,
    /// Kept for LiteLLM's clients; says nothing about MCP.
    pub skills: Option<Vec<String>>,
}

impl ObjectPermission {
    /// Whether it names any server, group, tool or toolset. What names something restricts, also when nothing of
    /// that name is there any more.
    pub fn names_anything(&self) -> bool {
        !is_empty(&self.mcp_servers)
            || !is_empty(&self.mcp_access_groups)
            || !is_empty(&self.mcp_toolsets)
            || self.mcp_tool_permissions.as_ref().is_some_and(|tools| !tools.is_empty())
    }

    /// Whether `mcp_servers` holds this word, server names included.
    pub fn has_server_word(&self, word: &str) -> bool {
        self.mcp_servers.iter().flatten().any(|server| server == word)
    }
}

fn is_empty(list: &Option<Vec<String>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

/// A change to a row: a field that is absent stays, `null` unsets it, a value replaces it as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of ObjectPermission")]
pub struct ObjectPermissionUpdate {
    /// Sent back by clients that edit what they were given, and of no effect: a row keeps its id.
    pub object_permission_id: Option<String>,
    #[serde(deserialize_with = "sent")]
    pub mcp_servers: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub mcp_access_groups: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent_tool_permissions")]
    pub mcp_tool_permissions: Option<Option<ToolPermissions>>,
    #[serde(deserialize_with = "sent")]
    pub mcp_toolsets: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub mcp_tool_search_enabled: Option<Option<bool>>,
    #[serde(deserialize_with = "sent")]
    pub blocked_tools: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub vector_stores: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub agents: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub agent_access_groups: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub models: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub search_tools: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "sent")]
    pub skills: Option<Option<Vec<String>>>,
}

impl ObjectPermissionUpdate {
    /// The row after the change.
    pub fn apply_to(&self, row: &ObjectPermission) -> ObjectPermission {
        ObjectPermission {
            object_permission_id: row.object_permission_id.clone(),
            mcp_servers: changed(&self.mcp_servers, &row.mcp_servers),
            mcp_access_groups: changed(&self.mcp_access_groups, &row.mcp_access_groups),
            mcp_tool_permissions: changed(&self.mcp_tool_permissions, &row.mcp_tool_permissions),
            mcp_toolsets: changed(&self.mcp_toolsets, &row.mcp_toolsets),
            mcp_tool_search_enabled: changed(&self.mcp_tool_search_enabled, &row.mcp_tool_search_enabled),
            blocked_tools: changed(&self.blocked_tools, &row.blocked_tools),
            vector_stores: changed(&self.vector_stores, &row.vector_stores),
            agents: changed(&self.agents, &row.agents),
            agent_access_groups: changed(&self.agent_access_groups, &row.agent_access_groups),
            models: changed(&self.models, &row.models),
            search_tools: changed(&self.search_tools, &row.search_tools),
            skills: changed(&self.skills, &row.skills),
        }
    }
}

fn changed<T: Clone>(sent: &Option<Option<T>>, before: &Option<T>) -> Option<T> {
    sent.as_ref().unwrap_or(before).clone()
}

fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// LiteLLM's clients write `null` for a server without tools.
fn tool_permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ToolPermissions>, D::Error> {
    let written = Option::<BTreeMap<String, Option<Vec<String>>>>::deserialize(deserializer)?;
    Ok(written.map(|servers| servers.into_iter().map(|(server, tools)| (server, tools.unwrap_or_default())).collect()))
}

fn sent_tool_permissions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<ToolPermissions>>, D::Error> {
    tool_permissions(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> ObjectPermission {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn absent_and_null_are_not_an_empty_list() {
        assert_eq!(row("{}").mcp_servers, None);
        assert_eq!(row(r#"{"mcp_servers": null}"#).mcp_servers, None);
        assert_eq!(row(r#"{"mcp_servers": []}"#).mcp_servers, Some(vec![]));
    }

    #[test]
    fn a_server_without_tools_may_be_null() {
        assert_eq!(
            row(r#"{"mcp_tool_permissions": {"a": null, "b": ["x"]}}"#).mcp_tool_permissions,
            Some(BTreeMap::from([("a".into(), vec![]), ("b".into(), vec!["x".into()])]))
        );
        assert_eq!(row(r#"{"mcp_tool_permissions": null}"#).mcp_tool_permissions, None);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<ObjectPermission>(r#"{"mcp_server": ["a"]}"#).is_err());
        assert!(serde_json::from_str::<ObjectPermissionUpdate>(r#"{"mcp_server": ["a"]}"#).is_err());
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name_unsets_null_and_replaces_the_rest() {
        let before = row(
            r#"{"object_permission_id": "p", "mcp_servers": ["a"], "mcp_toolsets": ["t"], "mcp_access_groups": ["g"],
                "mcp_tool_permissions": {"a": ["x"], "b": ["y"]}, "blocked_tools": ["z"]}"#,
        );
        let update: ObjectPermissionUpdate = serde_json::from_str(
            r#"{"object_permission_id": "q", "mcp_servers": [], "mcp_toolsets": null,
                "mcp_tool_permissions": {"a": ["y"]}}"#,
        )
        .unwrap();

        assert_eq!(
            update.apply_to(&before),
            row(r#"{"object_permission_id": "p", "mcp_servers": [], "mcp_access_groups": ["g"],
                    "mcp_tool_permissions": {"a": ["y"]}, "blocked_tools": ["z"]}"#)
        );
    }

    #[test]
    fn only_what_names_a_server_group_tool_or_toolset_restricts() {
        let cases = [
            ("{}", false),
            (r#"{"mcp_servers": [], "mcp_access_groups": [], "mcp_toolsets": [], "mcp_tool_permissions": {}}"#, false),
            (r#"{"blocked_tools": ["x"], "vector_stores": ["v"], "mcp_tool_search_enabled": true}"#, false),
            (r#"{"mcp_servers": ["gone"]}"#, true),
            (r#"{"mcp_access_groups": ["gone"]}"#, true),
            (r#"{"mcp_toolsets": ["gone"]}"#, true),
            (r#"{"mcp_tool_permissions": {"gone": []}}"#, true),
        ];
        for (json, expected) in cases {
            assert_eq!(row(json).names_anything(), expected, "{json}");
        }
    }
}
