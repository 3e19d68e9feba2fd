//! Whether a key may have a permission, by its team: LiteLLM's `validate_key_mcp_servers_against_team`.

use std::collections::BTreeSet;

use super::{Giver, IssueError};
use crate::permission::{ALL_PROXY_MCP_SERVERS, NO_MCP_SERVERS, ObjectPermission};
use crate::principal::{Permission, TeamFacts};
use crate::world::{ServerSet, World};

/// A key's permission as it is asked for, and what it is asked in.
#[derive(Clone, Copy, Debug)]
pub struct KeyScope<'a> {
    /// What the key shall have, after the change.
    pub requested: &'a ObjectPermission,
    /// What it has before, if it is changed. What is kept is not judged again, though its team may have less now.
    pub existing: Option<&'a ObjectPermission>,
    /// Its team.
    pub team: Option<&'a TeamFacts>,
}

/// Checks servers, tags and toolsets of a key. Keys in a team have the team's servers, and those open to all keys;
/// keys without one only the latter, unless a proxy admin gives them more.
///
/// # Errors
/// The first of [`IssueError::UnknownServers`], [`IssueError::ServersNotOfTeam`], [`IssueError::ServersWithoutTeam`],
/// and the same for tags and toolsets.
pub fn check_key_scope(world: &World, giver: &Giver, scope: KeyScope<'_>) -> Result<(), IssueError> {
    // An admin's keys without a team have what the admin chose: an admin reaches everything.
    if giver.is_proxy_admin() && scope.team.is_none() {
        return Ok(());
    }
    servers(world, giver, scope)?;
    tags(scope)?;
    toolsets(giver, scope)
}

fn servers(world: &World, giver: &Giver, scope: KeyScope<'_>) -> Result<(), IssueError> {
    let before: BTreeSet<&str> = scope.existing.into_iter().flat_map(named_servers).collect();
    let mut unknown = Vec::new();
    let mut requested = ServerSet::default();
    for identifier in named_servers(scope.requested) {
        let positions = world.positions(identifier);
        if positions.is_empty() && !before.contains(identifier) {
            unknown.push(identifier.to_owned());
        }
        positions.iter().for_each(|position| requested.insert(*position));
    }
    if !unknown.is_empty() && !giver.is_proxy_admin() {
        return Err(IssueError::UnknownServers(unknown));
    }
    let mut kept = ServerSet::default();
    before.iter().flat_map(|identifier| world.positions(identifier)).for_each(|position| kept.insert(*position));
    let of_team = scope.team.map(|team| servers_of_team(world, team)).unwrap_or_default();
    let mut disallowed = requested;
    for allowed in [&of_team, world.allow_all_keys(), &kept] {
        disallowed.take_away(allowed);
    }
    let disallowed = ids(world, &disallowed);
    if disallowed.is_empty() {
        return Ok(());
    }
    let open = ids(world, world.allow_all_keys());
    Err(match scope.team {
        Some(team) => {
            IssueError::ServersNotOfTeam { team: team.team_id.clone(), disallowed, allowed: ids(world, &of_team), open }
        }
        None => IssueError::ServersWithoutTeam { disallowed, open },
    })
}

/// The servers that a permission names one by one. The word for none at all gives nothing.
fn named_servers(permission: &ObjectPermission) -> impl Iterator<Item = &str> {
    let listed = permission.mcp_servers.iter().flatten().filter(|word| *word != NO_MCP_SERVERS);
    let with_tools = permission.mcp_tool_permissions.iter().flatten().map(|(identifier, _)| identifier);
    listed.chain(with_tools).map(String::as_str)
}

/// What a team's own permission and access groups lead to. Its toolsets give keys toolsets, not whole servers.
fn servers_of_team(world: &World, team: &TeamFacts) -> ServerSet {
    let mut servers = ServerSet::default();
    let permission = team.permission.row();
    if permission.is_some_and(|permission| permission.has_server_word(ALL_PROXY_MCP_SERVERS)) {
        (0..world.servers().len()).for_each(|position| servers.insert(position));
    }
    for tag in permission.into_iter().flat_map(|permission| permission.mcp_access_groups.iter().flatten()) {
        world.tagged(tag).into_iter().for_each(|tagged| servers.add(tagged));
    }
    let groups = team.access_group_ids.iter().filter_map(|id| world.access_group(id));
    let of_groups = groups.flat_map(|group| group.access_mcp_server_ids.iter().map(String::as_str));
    let named = permission.into_iter().flat_map(named_servers).chain(of_groups);
    named.flat_map(|identifier| world.positions(identifier)).for_each(|position| servers.insert(*position));
    servers
}

fn tags(scope: KeyScope<'_>) -> Result<(), IssueError> {
    let disallowed = not_among(scope, |permission| &permission.mcp_access_groups);
    match scope.team {
        _ if disallowed.is_empty() => Ok(()),
        Some(team) => Err(IssueError::TagsNotOfTeam {
            team: team.team_id.clone(),
            disallowed,
            allowed: sorted(team.permission.row(), |permission| &permission.mcp_access_groups),
        }),
        None => Err(IssueError::TagsWithoutTeam { disallowed }),
    }
}

fn toolsets(giver: &Giver, scope: KeyScope<'_>) -> Result<(), IssueError> {
    let allowed = sorted(scope.team.and_then(|team| team.permission.row()), |permission| &permission.mcp_toolsets);
    let disallowed = not_among(scope, |permission| &permission.mcp_toolsets);
    match scope.team {
        _ if disallowed.is_empty() => Ok(()),
        Some(_) if giver.is_proxy_admin() && allowed.is_empty() => Ok(()),
        Some(team) => Err(IssueError::ToolsetsNotOfTeam { team: team.team_id.clone(), disallowed, allowed }),
        None => Err(IssueError::ToolsetsWithoutTeam { disallowed }),
    }
}

type Field = fn(&ObjectPermission) -> &Option<Vec<String>>;

/// What the key asks for of a list that neither its team nor it itself has.
fn not_among(scope: KeyScope<'_>, field: Field) -> Vec<String> {
    let of_team = sorted(scope.team.and_then(|team| team.permission.row()), field);
    let before = sorted(scope.existing, field);
    let mut requested = sorted(Some(scope.requested), field);
    requested.retain(|word| !of_team.contains(word) && !before.contains(word));
    requested
}

fn sorted(permission: Option<&ObjectPermission>, field: Field) -> Vec<String> {
    let words: BTreeSet<&String> =
        permission.into_iter().flat_map(|permission| field(permission).iter().flatten()).collect();
    words.into_iter().cloned().collect()
}

fn ids(world: &World, servers: &ServerSet) -> Vec<String> {
    let mut ids: Vec<_> = servers.positions().map(|position| world.servers()[position].id.to_string()).collect();
    ids.sort_unstable();
    ids
}

impl KeyScope<'_> {
    /// The scope of a key that is made.
    pub fn new<'a>(requested: &'a ObjectPermission, team: Option<&'a TeamFacts>) -> KeyScope<'a> {
        KeyScope { requested, existing: None, team }
    }

    /// The same for a key that has something already. What cannot be read is not kept.
    pub fn changing<'a>(self, existing: &'a Permission) -> KeyScope<'a>
    where
        Self: 'a,
    {
        KeyScope { existing: existing.row(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{permission, permission_row, servers_json as s, team, wide_world};

    fn check(giver: &Giver, requested: &str, of_team: Option<&str>, existing: &str) -> Result<(), String> {
        let team = of_team.map(|json| team("dev", json));
        let (requested, existing) = (permission_row(requested), permission(existing));
        let scope = KeyScope::new(&requested, team.as_ref()).changing(&existing);
        check_key_scope(&wide_world(), giver, scope).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_has_what_its_team_has_and_what_is_open_to_all_keys() {
        let github = s("github");
        let tags = r#"{"mcp_access_groups": ["dev"]}"#;
        let toolsets = r#"{"mcp_toolsets": ["t1"]}"#;
        let cases = [
            ("the team's", s("gh"), Some(github.as_str()), "", true),
            ("not another's", s("wiki"), Some(github.as_str()), "", false),
            ("what is open", s("open"), Some(github.as_str()), "", true),
            ("by tag of the team", s("wiki"), Some(tags), "", true),
            ("all servers", s("wiki"), Some(r#"{"mcp_servers": ["all-proxy-mcpservers"]}"#), "", true),
            ("the word for all is not a key's", s("all-proxy-mcpservers"), Some(github.as_str()), "", false),
            ("the word for none is everybody's", s("no-mcp-servers"), Some(github.as_str()), "", true),
            (
                "by naming tools",
                r#"{"mcp_tool_permissions": {"wiki": ["x"]}}"#.into(),
                Some(github.as_str()),
                "",
                false,
            ),
            ("what it has already", s("wiki"), Some(github.as_str()), &s("w1"), true),
            ("what it has already leads to nothing else", s("wiki jira"), Some(github.as_str()), &s("wiki"), false),
            ("an unknown name", s("githb"), Some(github.as_str()), "", false),
            ("an unknown name that it has already", s("gone"), Some(github.as_str()), &s("gone"), true),
            ("without a team", s("github"), None, "", false),
            ("without a team, what is open", s("open"), None, "", true),
            ("tags of the team", tags.into(), Some(tags), "", true),
            ("other tags", r#"{"mcp_access_groups": ["docs"]}"#.into(), Some(tags), "", false),
            ("tags without a team", tags.into(), None, "", false),
            ("toolsets of the team", toolsets.into(), Some(toolsets), "", true),
            ("toolsets of a team without any", toolsets.into(), Some(github.as_str()), "", false),
            ("toolsets without a team", toolsets.into(), None, "", false),
            ("nothing", "{}".into(), None, "", true),
        ];
        for (case, requested, of_team, existing, fits) in cases {
            let found = check(&Giver::default(), &requested, of_team, existing);
            assert_eq!(found.is_ok(), fits, "{case}: {found:?}");
        }
    }

    #[test]
    fn a_proxy_admin_gives_keys_without_a_team_anything_and_is_bound_by_a_team() {
        let admin = Giver::master();
        assert_eq!(check(&admin, &s("github githb"), None, ""), Ok(()));
        assert_eq!(check(&admin, r#"{"mcp_toolsets": ["t1"], "mcp_access_groups": ["dev"]}"#, None, ""), Ok(()));
        assert!(check(&admin, &s("wiki"), Some(&s("github")), "").is_err());
        assert_eq!(check(&admin, r#"{"mcp_toolsets": ["t1"]}"#, Some(&s("github")), ""), Ok(()));
    }

    #[test]
    fn refusals_have_litellms_words() {
        let giver = Giver::default();
        assert_eq!(
            check(&giver, &s("wiki"), Some(&s("github")), "").unwrap_err(),
            "Key requests MCP servers not allowed by team 'dev': ['w1']. Team allows: ['g1']. \
             Global (allow_all_keys) servers: ['open']."
        );
        assert_eq!(
            check(&giver, &s("github wiki"), None, "").unwrap_err(),
            "Key is not in a team. Only globally available (allow_all_keys) MCP servers can be assigned: ['open']. \
             Disallowed servers: ['g1', 'w1']."
        );
        assert_eq!(
            check(&giver, r#"{"mcp_access_groups": ["dev"]}"#, None, "").unwrap_err(),
            "Key is not in a team. MCP access groups cannot be assigned to keys outside of a team. \
             Disallowed groups: ['dev']."
        );
    }
}
