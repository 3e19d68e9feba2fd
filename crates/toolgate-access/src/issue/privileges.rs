//! Fields that only some may write: roles, routes, budgets, owners, teams, access groups.

use super::{Giver, IssueError};
use crate::id::{AccessGroupId, UserId};
use crate::permission::{ALL_PROXY_MCP_SERVERS, ObjectPermission};
use crate::principal::TeamFacts;
use crate::role::{Role, TeamRole};
use crate::world::World;

/// Groups of routes that anybody may give their own key, since a key without `allowed_routes` has them anyway.
const SAFE_ROUTES: [&str; 2] = ["llm_api_routes", "info_routes"];

/// The role of a user who is made: administrative ones are a proxy admin's to give.
///
/// # Errors
/// [`IssueError::AdministrativeRole`].
pub fn check_created_role(giver: &Giver, given: Option<Role>) -> Result<(), IssueError> {
    match given {
        // A role below the giver's own is no privilege; `org_admin` on the whole gateway is one.
        Some(given @ (Role::ProxyAdmin | Role::ProxyAdminViewer | Role::OrgAdmin)) if !giver.is_proxy_admin() => {
            Err(IssueError::AdministrativeRole { given, own: giver.role })
        }
        _ => Ok(()),
    }
}

/// Another role for a user who is there, be it the giver. Sending the same one again changes nothing.
///
/// # Errors
/// [`IssueError::RoleChange`].
pub fn check_role_change(giver: &Giver, before: Option<Role>, after: Option<Role>) -> Result<(), IssueError> {
    if before == after || giver.is_proxy_admin() { Ok(()) } else { Err(IssueError::RoleChange) }
}

/// `allowed_routes` of a key. `before` is `None` for a key that is made.
///
/// Whoever is no proxy admin may send again what is there, or choose between whole presets (`key_type`), but a
/// read-only key stays one. Whose own key is bound to some routes gives no others. A proxy admin's key is not bound so:
/// making keys for others is what a key for `management_routes` is for.
///
/// # Errors
/// [`IssueError::AllowedRoutes`] or [`IssueError::RoutesAboveOwn`].
pub fn check_allowed_routes(giver: &Giver, before: Option<&[String]>, after: &[String]) -> Result<(), IssueError> {
    let is_safe = |routes: &[String]| routes.iter().all(|route| SAFE_ROUTES.contains(&route.as_str()));
    let is_read_only = |routes: &[String]| !routes.is_empty() && routes.iter().all(|route| route == "info_routes");
    let allowed = match before {
        _ if giver.is_proxy_admin() => true,
        None => is_safe(after),
        Some(before) if before == after => true,
        Some(before) => is_safe(before) && is_safe(after) && !is_read_only(before),
    };
    if !allowed {
        return Err(IssueError::AllowedRoutes);
    }
    let own = &giver.allowed_routes;
    let within_own = own.is_empty() || !after.is_empty() && after.iter().all(|route| own.contains(route));
    if giver.is_proxy_admin() || within_own || before == Some(after) {
        return Ok(());
    }
    Err(IssueError::RoutesAboveOwn(own.clone()))
}

/// `max_budget` of what is given, in USD: at most the giver's own, and none without a bound where the giver has one.
///
/// LiteLLM lets a bounded caller make keys without a bound of their own. They share the user's and team's budgets
/// then, but no longer the caller's key's.
///
/// # Errors
/// [`IssueError::BudgetNoAmount`], [`IssueError::BudgetAboveOwn`], [`IssueError::BudgetNeeded`].
pub fn check_max_budget(giver: &Giver, requested: Option<f64>) -> Result<(), IssueError> {
    if let Some(requested) = requested
        && !(requested.is_finite() && requested >= 0.0)
    {
        return Err(IssueError::BudgetNoAmount(requested));
    }
    match (giver.max_budget, requested) {
        _ if giver.is_proxy_admin() => Ok(()),
        (None, _) => Ok(()),
        (Some(ceiling), None) => Err(IssueError::BudgetNeeded { ceiling }),
        (Some(ceiling), Some(requested)) if requested <= ceiling => Ok(()),
        (Some(ceiling), Some(requested)) => Err(IssueError::BudgetAboveOwn { requested, ceiling }),
    }
}

/// The user of a key. `before` is what a key that is changed has; `None` for one that is made. A team's admin may make
/// keys for its members (`for_member`).
///
/// A key has its user's role, so whoever could choose the user could choose the role.
///
/// # Errors
/// [`IssueError::OtherUser`], [`IssueError::RemovesUser`], [`IssueError::RebindsUser`].
pub fn check_owner(
    giver: &Giver,
    before: Option<Option<&UserId>>,
    after: Option<&UserId>,
    for_member: bool,
) -> Result<(), IssueError> {
    match (before, after) {
        _ if giver.is_proxy_admin() => Ok(()),
        (None, None) => Ok(()),
        (None, Some(user)) if for_member || giver.user_id.as_ref() == Some(user) => Ok(()),
        (None, Some(user)) => Err(IssueError::OtherUser { requested: user.clone(), own: giver.user_id.clone() }),
        (Some(before), after) if before == after => Ok(()),
        (Some(_), None) => Err(IssueError::RemovesUser),
        (Some(before), Some(to)) => Err(IssueError::RebindsUser { from: before.cloned(), to: to.clone() }),
    }
}

/// The team of a key: one that the giver is in.
///
/// # Errors
/// [`IssueError::NotInTeam`].
pub fn check_team(giver: &Giver, team: &TeamFacts) -> Result<(), IssueError> {
    if giver.is_proxy_admin() || team.member.is_some() {
        return Ok(());
    }
    Err(IssueError::NotInTeam { user: giver.user_id.clone(), team: team.team_id.clone() })
}

/// Unified access groups of a key, which reach beyond its team: for admins of the gateway and the team, and for members
/// where the team lets them (`/key/access_group_assignment` among its member permissions).
///
/// A team's admin gives only groups that the team has or owns; LiteLLM asks only for the permission.
///
/// # Errors
/// [`IssueError::AccessGroups`].
pub fn check_access_groups(
    world: &World,
    giver: &Giver,
    team: Option<&TeamFacts>,
    members_may: bool,
    before: &[AccessGroupId],
    after: &[AccessGroupId],
) -> Result<(), IssueError> {
    let mut added = after.iter().filter(|id| !before.contains(id)).peekable();
    if giver.is_proxy_admin() || added.peek().is_none() {
        return Ok(());
    }
    let refused = || IssueError::AccessGroups(team.map(|team| team.team_id.clone()));
    let Some(team) = team else { return Err(refused()) };
    let of_team = |id: &AccessGroupId| {
        let owned = world.access_group(id).is_some_and(|group| group.assigned_team_ids.contains(&team.team_id));
        owned || team.access_group_ids.contains(id)
    };
    let may = team.member.as_ref().is_some_and(|member| member.role == TeamRole::Admin || members_may);
    if may && added.all(of_team) { Ok(()) } else { Err(refused()) }
}

/// `all-proxy-mcpservers` on a team: a proxy admin's to write, and whoever's to keep.
///
/// # Errors
/// [`IssueError::AllServers`].
pub fn check_team_servers(
    giver: &Giver,
    before: Option<&ObjectPermission>,
    after: &ObjectPermission,
) -> Result<(), IssueError> {
    let all = |permission: &ObjectPermission| permission.has_server_word(ALL_PROXY_MCP_SERVERS);
    if giver.is_proxy_admin() || !all(after) || before.is_some_and(all) { Ok(()) } else { Err(IssueError::AllServers) }
}

/// Names in `mcp_tool_permissions` that several servers have, whoever writes them: what narrows one would narrow all.
/// Entries that were there before stay.
///
/// # Errors
/// [`IssueError::AmbiguousServer`] with the first.
pub fn check_tool_keys(
    world: &World,
    before: Option<&ObjectPermission>,
    after: &ObjectPermission,
) -> Result<(), IssueError> {
    let before = before.and_then(|permission| permission.mcp_tool_permissions.as_ref());
    for (identifier, tools) in after.mcp_tool_permissions.iter().flatten() {
        let kept = before.and_then(|before| before.get(identifier)).is_some_and(|before| before == tools);
        let mut servers: Vec<_> = world.named(identifier).map(|server| server.id.to_string()).collect();
        if servers.len() > 1 && !kept {
            servers.sort_unstable();
            return Err(IssueError::AmbiguousServer { identifier: identifier.clone(), servers });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{LimitFacts, MemberFacts};
    use crate::testing::{permission_row, servers_json, team, world};
    use crate::world::ServerFacts;

    fn ann() -> Giver {
        Giver { role: Some(Role::InternalUser), user_id: Some("ann".into()), ..Giver::default() }
    }

    fn routes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_a_proxy_admin_gives_administrative_roles_and_changes_roles() {
        for giver in [Role::ProxyAdminViewer, Role::OrgAdmin, Role::InternalUser, Role::Team] {
            let giver = Giver { role: Some(giver), ..ann() };
            for given in [Role::ProxyAdmin, Role::ProxyAdminViewer, Role::OrgAdmin] {
                assert!(check_created_role(&giver, Some(given)).is_err(), "{giver:?} gives {given:?}");
                assert!(check_created_role(&Giver::master(), Some(given)).is_ok());
            }
            assert_eq!(check_created_role(&giver, Some(Role::InternalUser)), Ok(()));
            assert_eq!(check_created_role(&giver, None), Ok(()));
            let user = Some(Role::InternalUser);
            assert_eq!(check_role_change(&giver, user, Some(Role::ProxyAdmin)), Err(IssueError::RoleChange));
            assert_eq!(check_role_change(&giver, user, user), Ok(()));
        }
        assert_eq!(check_role_change(&Giver::master(), None, Some(Role::ProxyAdmin)), Ok(()));
        assert_eq!(
            check_created_role(&ann(), Some(Role::ProxyAdmin)).unwrap_err().to_string(),
            "Only proxy admins can create administrative users (proxy_admin, proxy_admin_viewer). \
             Attempted to create user with role: proxy_admin. Your role: internal_user"
        );
    }

    #[test]
    fn allowed_routes_are_a_proxy_admins_but_for_presets() {
        let cases: [(&str, Option<&[&str]>, &[&str], bool); 11] = [
            ("none", None, &[], true),
            ("every route", None, &["/*"], false),
            ("a preset", None, &["llm_api_routes"], true),
            ("management", None, &["management_routes"], false),
            ("a preset and more", None, &["llm_api_routes", "/key/generate"], false),
            ("the same again", Some(&["/key/*"]), &["/key/*"], true),
            ("clearing an admin's", Some(&["mcp_routes"]), &[], false),
            ("from preset to preset", Some(&["llm_api_routes"]), &["info_routes"], true),
            ("from a preset to all", Some(&["llm_api_routes"]), &[], true),
            ("a read-only key stays one", Some(&["info_routes"]), &[], false),
            ("from all to a preset", Some(&[]), &["info_routes"], true),
        ];
        for (case, before, after, fits) in cases {
            let before = before.map(routes);
            let found = check_allowed_routes(&ann(), before.as_deref(), &routes(after));
            assert_eq!(found.is_ok(), fits, "{case}");
            assert!(check_allowed_routes(&Giver::master(), before.as_deref(), &routes(after)).is_ok(), "{case}");
        }
    }

    #[test]
    fn a_key_that_is_bound_to_some_routes_makes_none_with_more() {
        let bound = Giver { allowed_routes: routes(&["/key/generate", "llm_api_routes"]), ..ann() };
        let admin = Giver { allowed_routes: routes(&["management_routes"]), ..Giver::master() };

        assert_eq!(check_allowed_routes(&bound, None, &routes(&["llm_api_routes"])), Ok(()));
        assert!(matches!(check_allowed_routes(&bound, None, &[]), Err(IssueError::RoutesAboveOwn(_))));
        assert!(check_allowed_routes(&bound, None, &routes(&["info_routes"])).is_err());
        assert!(check_allowed_routes(&bound, Some(&routes(&["llm_api_routes"])), &[]).is_err());
        assert_eq!(check_allowed_routes(&admin, None, &[]), Ok(()));
    }

    #[test]
    fn a_budget_is_an_amount_and_at_most_the_givers_own() {
        let of = |max_budget: Option<f64>| Giver { max_budget, ..ann() };
        let cases = [
            ("below", of(Some(10.0)), Some(5.0), true),
            ("all", of(Some(10.0)), Some(10.0), true),
            ("above", of(Some(10.0)), Some(1e9), false),
            ("without a bound", of(Some(10.0)), None, false),
            ("neither is bounded", of(None), None, true),
            ("negative", Giver::master(), Some(-1.0), false),
            ("not a number", Giver::master(), Some(f64::NAN), false),
            ("infinite", of(None), Some(f64::INFINITY), false),
            ("an admin gives more than they have", Giver { max_budget: Some(1.0), ..Giver::master() }, None, true),
        ];
        for (case, giver, requested, fits) in cases {
            assert_eq!(check_max_budget(&giver, requested).is_ok(), fits, "{case}");
        }
        assert_eq!(
            check_max_budget(&of(Some(10.0)), Some(1e9)).unwrap_err().to_string(),
            "max_budget (1000000000.0) cannot exceed the caller's own max_budget (10.0)."
        );
    }

    #[test]
    fn a_key_belongs_to_whoever_makes_it_and_stays_theirs() {
        let (own, other) = (UserId::from("ann"), UserId::from("eve"));
        let cases = [
            ("made for oneself", None, Some(&own), false, true),
            ("made for nobody", None, None, false, true),
            ("made for another", None, Some(&other), false, false),
            ("made for a member by the team's admin", None, Some(&other), true, true),
            ("kept", Some(Some(&own)), Some(&own), false, true),
            ("taken off its user", Some(Some(&own)), None, false, false),
            ("given to another", Some(Some(&own)), Some(&other), true, false),
            ("a key of nobody's taken", Some(None), Some(&own), false, false),
        ];
        for (case, before, after, for_member, fits) in cases {
            assert_eq!(check_owner(&ann(), before, after, for_member).is_ok(), fits, "{case}");
            assert_eq!(check_owner(&Giver::master(), before, after, for_member), Ok(()), "{case}");
        }
    }

    fn with_role(role: Option<TeamRole>) -> TeamFacts {
        let member = role.map(|role| MemberFacts { role, limits: LimitFacts::default() });
        TeamFacts { member, access_group_ids: vec!["ag-wiki".into()], ..team("dev", "") }
    }

    #[test]
    fn a_key_is_made_in_a_team_by_its_members() {
        assert_eq!(check_team(&ann(), &with_role(Some(TeamRole::User))), Ok(()));
        assert_eq!(check_team(&Giver::master(), &with_role(None)), Ok(()));
        assert_eq!(check_team(&ann(), &with_role(None)).unwrap_err().to_string(), "User=ann not assigned to team=dev");
    }

    #[test]
    fn access_groups_of_a_key_are_among_its_teams_and_given_by_those_who_may() {
        let admin = || Some(with_role(Some(TeamRole::Admin)));
        let user = || Some(with_role(Some(TeamRole::User)));
        let cases: [(&str, Option<TeamFacts>, bool, &[&str], &[&str], bool); 10] = [
            ("the team's, by its admin", admin(), false, &[], &["ag-wiki"], true),
            ("one that it owns", admin(), false, &[], &["ag-owned"], true),
            ("another", admin(), false, &[], &["ag-github"], false),
            ("one that is not there", admin(), false, &[], &["gone"], false),
            ("by a member", user(), false, &[], &["ag-wiki"], false),
            ("by a member who may", user(), true, &[], &["ag-wiki"], true),
            ("by somebody else", Some(with_role(None)), true, &[], &["ag-wiki"], false),
            ("without a team", None, true, &[], &["ag-wiki"], false),
            ("kept", user(), false, &["ag-github"], &["ag-github"], true),
            ("none", None, false, &["ag-github"], &[], true),
        ];
        for (case, team, members_may, before, after, fits) in cases {
            let ids = |ids: &[&str]| ids.iter().map(|id| (*id).into()).collect::<Vec<_>>();
            let (before, after) = (ids(before), ids(after));
            let found = check_access_groups(&world(), &ann(), team.as_ref(), members_may, &before, &after);
            assert_eq!(found.is_ok(), fits, "{case}");
            assert!(check_access_groups(&world(), &Giver::master(), None, false, &before, &after).is_ok(), "{case}");
        }
    }

    #[test]
    fn all_servers_are_a_proxy_admins_to_give_to_a_team() {
        let (all, some) =
            (permission_row(&servers_json("all-proxy-mcpservers")), permission_row(&servers_json("wiki")));

        assert_eq!(check_team_servers(&ann(), None, &some), Ok(()));
        assert_eq!(check_team_servers(&ann(), Some(&some), &all), Err(IssueError::AllServers));
        assert_eq!(check_team_servers(&ann(), Some(&all), &all), Ok(()));
        assert_eq!(check_team_servers(&Giver::master(), None, &all), Ok(()));
    }

    #[test]
    fn a_name_that_several_servers_have_names_no_tools() {
        let world = World::new([ServerFacts::new("1", "docs"), ServerFacts::new("2", "docs")], [], []);
        let by_name = permission_row(r#"{"mcp_tool_permissions": {"docs": ["x"]}}"#);
        let by_id = permission_row(r#"{"mcp_tool_permissions": {"1": ["x"], "gone": ["y"]}}"#);

        assert_eq!(
            check_tool_keys(&world, None, &by_name).unwrap_err().to_string(),
            "Ambiguous mcp_tool_permissions key: 'docs' matches MCP servers ['1', '2']. \
             Key tool permissions by server_id when servers share a name or alias."
        );
        assert_eq!(check_tool_keys(&world, Some(&by_name), &by_name), Ok(()));
        assert_eq!(check_tool_keys(&world, None, &by_id), Ok(()));
    }
}
