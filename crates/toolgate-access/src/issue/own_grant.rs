//! Whether a permission leads only to what its giver may use: for teams, organizations, users and customers, whose
//! permissions no team bounds.

use super::IssueError;
use crate::decide::Case;
use crate::decide::record::{Level, Who};
use crate::decide::scope::Scope;
use crate::grant::{Grant, Place};
use crate::permission::{ALL_TOOLS, NO_MCP_SERVERS, ObjectPermission};
use crate::principal::{Link, Principal};
use crate::rules::{ClientPlace, Rules};
use crate::tools::Tools;
use crate::world::World;

/// Checks that a permission leads to no server and tool that the giver's own grant has not.
///
/// A server that is granted with all tools needs a giver who has all of them. Names that lead nowhere yet are refused
/// but for those that were there before: whoever takes such a name later would be opened by it.
///
/// It does not ask whether the giver may give at all; roles do.
///
/// # Errors
/// [`IssueError::RemovesBound`], [`IssueError::UnknownServers`], [`IssueError::ServerNotHeld`] or [`IssueError::ToolNotHeld`] with the first that is
/// not held.
pub fn within_grant(
    world: &World,
    giver: &Grant,
    permission: &ObjectPermission,
    existing: Option<&ObjectPermission>,
) -> Result<(), IssueError> {
    if giver.everything() {
        return Ok(());
    }
    if existing.is_some_and(|existing| removes_bound(existing, permission)) {
        return Err(IssueError::RemovesBound);
    }
    let (link, before) = (Link::found(permission.clone()), existing.cloned().map_or(Link::None, Link::found));
    // Only a link to a row that is missing makes no scope.
    let scope = |link| Scope::new(world, Who::new(Level::Team, ""), link, &[]).ok();
    let (Some(scope), Some(before)) = (scope(&link), scope(&before)) else { return Ok(()) };
    let known = before.dead_names(world);
    let mut unknown = scope.dead_names(world);
    unknown.retain(|name| *name != NO_MCP_SERVERS && !known.contains(name));
    if !unknown.is_empty() {
        return Err(IssueError::UnknownServers(unknown.into_iter().map(str::to_owned).collect()));
    }
    let (principal, rules, place) = (Principal::anonymous(), Rules::default(), Place::from(ClientPlace::Internal));
    let case = Case { world, principal: &principal, rules: &rules, place: &place };
    let servers = scope.servers.clone();
    let bound = scope.into_bound(case);
    for position in servers.positions() {
        let server = &world.servers()[position];
        let label = server.label().to_owned();
        let Some(held) = giver.server(&server.id) else { return Err(IssueError::ServerNotHeld(label)) };
        let mut given = Tools::all();
        bound.narrow(&mut given, position);
        match given {
            Tools::Except(_) if held.allows_all() => {}
            Tools::Except(_) => return Err(IssueError::ToolNotHeld { server: label, tool: ALL_TOOLS.to_owned() }),
            Tools::Only(tools) => {
                if let Some(tool) = tools.into_iter().find(|tool| !held.allows(tool)) {
                    return Err(IssueError::ToolNotHeld { server: label, tool: tool.to_owned() });
                }
            }
        }
    }
    Ok(())
}

/// A level that names nothing narrows nothing, so taking its last name away may open more than any name would.
fn removes_bound(existing: &ObjectPermission, requested: &ObjectPermission) -> bool {
    let blocked = |permission: &ObjectPermission| permission.blocked_tools.clone().unwrap_or_default();
    let still_blocked = blocked(requested);
    existing.names_anything() && !requested.names_anything()
        || blocked(existing).iter().any(|tool| !still_blocked.contains(tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::compile;
    use crate::testing::{key, permission_row, servers_json as s, wide_world};

    #[test]
    fn nobody_gives_what_they_cannot_use() {
        let world = wide_world();
        let tools = |tools: &str| format!(r#"{{"mcp_tool_permissions": {{"github": [{tools}]}}}}"#);
        let both = r#"{"mcp_servers": ["wiki"], "mcp_tool_permissions": {"github": ["merge", "delete"]}}"#;
        let cases = [
            ("a server that they have", s("wiki"), true),
            ("what is open to all keys", s("open"), true),
            ("another", s("jira"), false),
            ("a server of which they have some tools, with all", s("github"), false),
            ("with all by name", tools(r#""*""#), false),
            ("with theirs", tools(r#""merge""#), true),
            ("with others", tools(r#""merge", "list_issues""#), false),
            ("with none", tools(""), true),
            ("by a tag of servers that they have", r#"{"mcp_access_groups": ["docs"]}"#.to_owned(), true),
            ("by a tag of others too", r#"{"mcp_access_groups": ["dev"]}"#.to_owned(), false),
            ("by a toolset of others", r#"{"mcp_toolsets": ["t1"]}"#.to_owned(), false),
            ("every server", s("all-proxy-mcpservers"), false),
            ("no server", s("no-mcp-servers"), true),
            ("a name that nobody has yet", s("githb"), false),
            ("a tag that nobody has yet", r#"{"mcp_access_groups": ["new"]}"#.to_owned(), false),
            ("a name that nobody has and that was there", s("gone"), true),
            ("nothing any more", "{}".to_owned(), false),
        ];
        let giver = compile(&world, &key(both), &Rules::default(), &ClientPlace::Internal.into());
        let admin = compile(&world, &Principal::master(), &Rules::default(), &ClientPlace::Internal.into());
        let existing = permission_row(&s("gone"));
        for (case, json, fits) in cases {
            let found = within_grant(&world, &giver, &permission_row(&json), Some(&existing));
            assert_eq!(found.is_ok(), fits, "{case}: {found:?}");
        }
        let blocking = permission_row(r#"{"blocked_tools": ["merge", "delete"]}"#);
        let less = permission_row(r#"{"blocked_tools": ["merge"]}"#);
        assert_eq!(within_grant(&world, &giver, &less, Some(&blocking)), Err(IssueError::RemovesBound));
        assert_eq!(within_grant(&world, &giver, &blocking, Some(&less)), Ok(()));
        assert_eq!(within_grant(&world, &giver, &permission_row("{}"), None), Ok(()));
        assert!(!admin.everything(), "a server of this world is not in use");
        assert_eq!(within_grant(&world, &admin, &permission_row(&s("jira github")), None), Ok(()));
    }
}
