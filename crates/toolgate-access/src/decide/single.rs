//! The master key, a virtual key or a JWT: one credential with at most one team.

use super::ceilings::{Chain, blocked, existing, existing_team, listed, not_taken_over, team_who, user_who};
use super::record::{Closed, Level, Record, Rule, Who, Why};
use super::scope::{Owners, Scope};
use super::{Case, Decided, Source, has_explicit_servers};
use crate::id::{AccessGroupId, UserId};
use crate::key::KeyHash;
use crate::permission::NO_MCP_SERVERS;
use crate::principal::{Credential, OrganizationFacts, Permission, TeamFacts};
use crate::world::ServerSet;

/// What the credential itself says.
#[derive(Clone, Copy)]
struct Own<'a> {
    who: Who<'a>,
    permission: &'a Permission,
    groups: &'a [AccessGroupId],
    hash: Option<&'a KeyHash>,
    user_id: Option<&'a UserId>,
}

pub(super) fn decide<'a, R: Record>(case: Case<'a>, record: &mut R) -> Result<Decided<'a>, Closed<'a>> {
    let own = own(case);
    let team = standing(case, own)?;
    let unscoped = case.is_unscoped_admin();
    let mut chain = Chain::new(case, record);
    let toolset = case.toolset()?;
    let owners = Owners { team: team.map(|team| &team.team_id), key: own.hash };
    let (own_scope, groups) = Scope::of_key(case.world, own.who, own.permission, own.groups, owners)?;
    let team_scope = match team {
        Some(team) => {
            let who = team_who(Level::Team, team);
            Some(Scope::new(case.world, who, &team.permission, &team.access_group_ids)?)
        }
        None => None,
    };
    if toolset.is_some() && !unscoped {
        toolset_is_held(case, own, &own_scope, team)?;
    }
    match case.toolset()? {
        _ if unscoped => {
            admin(&mut chain, own.who);
            chain.bounds.push(own_scope.into_bound(chain.case));
        }
        Some(toolset) => {
            chain.bounds.push(own_scope.into_blocking(case));
            own_and_team(&mut chain, toolset, team_scope);
        }
        None => {
            own_and_team(&mut chain, own_scope, team_scope);
            key_groups(&mut chain, own.who, groups);
        }
    }
    chain.request_ceilings()?;
    if let (Some(user), false) = (&case.principal.user, matches!(case.principal.credential, Credential::Token(_))) {
        chain.user(user)?;
    }
    organizations(&mut chain, team, unscoped)?;
    let unscoped = unscoped && !chain.restricted && toolset.is_none();
    match toolset {
        Some(toolset) => chain.within_toolset(toolset),
        None => open_channels(&mut chain, own),
    }
    default_deny(&mut chain, own.who, team);
    let source = Source { servers: chain.reached.clone(), bounds: chain.bounds };
    Ok(Decided { servers: chain.reached, sources: vec![source], bounds: Vec::new(), unscoped })
}

fn own<'a>(case: Case<'a>) -> Own<'a> {
    let none = Own {
        who: Who::new(Level::MasterKey, ""),
        permission: &Permission::None,
        groups: &[],
        hash: None,
        user_id: None,
    };
    match &case.principal.credential {
        Credential::Key(key) => {
            let name = key.key_alias.as_deref().or(key.key_name.as_deref()).unwrap_or("without a name");
            Own {
                who: Who::new(Level::Key, name),
                permission: &key.permission,
                groups: &key.access_group_ids,
                hash: Some(&key.hash),
                user_id: key.user_id.as_ref(),
            }
        }
        Credential::Token(token) => match &case.principal.user {
            Some(user) => Own {
                who: user_who(Level::User, user),
                permission: &user.permission,
                user_id: token.user_id.as_ref(),
                ..none
            },
            None => Own { who: Who::new(Level::Token, ""), user_id: token.user_id.as_ref(), ..none },
        },
        Credential::Master | Credential::Session(_) | Credential::Anonymous => none,
    }
}

/// Whether the credential is good for anything, with its team.
fn standing<'a>(case: Case<'a>, own: Own<'a>) -> Result<Option<&'a TeamFacts>, Closed<'a>> {
    if let Credential::Key(key) = &case.principal.credential {
        if key.blocked {
            return Err(blocked(own.who));
        }
        let permission = key.permission.row();
        if permission.is_some_and(|permission| permission.has_server_word(NO_MCP_SERVERS)) {
            return Err(Closed { rule: Rule::OptOut, who: own.who, what: "", id: "" });
        }
    }
    existing_team(&case.principal.team)
}

fn admin<R: Record>(chain: &mut Chain<'_, '_, R>, who: Who<'_>) {
    let all = chain.case.world.servers().len();
    let text = match who.level {
        Level::MasterKey => "the master key reaches every server".to_owned(),
        _ => format!("{who} is an admin's, without a team and a list of servers, and reaches every server"),
    };
    let who = Who::gateway();
    chain.step(Rule::Admin, who, |reached| (0..all).for_each(|position| reached.insert(position)), |_| Why::says(text));
}

/// Rule 2: what the key names and what its team grants.
fn own_and_team<'a, R: Record>(chain: &mut Chain<'a, '_, R>, own: Scope<'a>, team: Option<Scope<'a>>) {
    let case = chain.case;
    chain.restricted = own.declared;
    chain.step(
        Rule::OwnPermission,
        own.who,
        |reached| {
            if own.declared {
                reached.add(&own.servers);
            }
        },
        |position| match own.declared {
            true => listed(case, &own, position),
            false => Why::says(format!("{} names no servers of its own", own.who)),
        },
    );
    let own_declared = own.declared;
    chain.bounds.push(own.into_bound(chain.case));
    let Some(team) = team else { return };
    if own_declared || !team.declared {
        chain.ceiling(Rule::Team, team);
        return;
    }
    let takes_over = !case.rules.require_key_mcp_access_defined;
    let granted = if takes_over { team.servers.clone() } else { ServerSet::default() };
    chain.step(
        Rule::Team,
        team.who,
        |reached| reached.add(&granted),
        |position| match (takes_over, team.servers.contains(position)) {
            (true, true) => Why::says(format!("{} grants it ({})", team.who, team.how(case.world, position))),
            (false, true) => not_taken_over(team.who, case.label(position)),
            (_, false) => listed(case, &team, position),
        },
    );
    chain.restricted = true;
    chain.bounds.push(team.into_bound(chain.case));
}

/// Rule 3: access groups attached to the key, beyond its team.
fn key_groups<'a, R: Record>(chain: &mut Chain<'a, '_, R>, who: Who<'a>, groups: Scope<'a>) {
    if !groups.declared {
        return;
    }
    let world = chain.case.world;
    chain.step(
        Rule::KeyAccessGroups,
        who,
        |reached| reached.add(&groups.servers),
        |position| match groups.servers.contains(position) {
            true => Why::says(format!(
                "attached to {who} is an {} that grants it, also beyond a team",
                groups.how(world, position)
            )),
            false => Why::says(format!("no access group attached to {who} grants it")),
        },
    );
    chain.restricted = true;
}

/// Rule 7: the organization of the key, and its team's where that is another.
fn organizations<'a, R: Record>(
    chain: &mut Chain<'a, '_, R>,
    team: Option<&'a TeamFacts>,
    unscoped: bool,
) -> Result<(), Closed<'a>> {
    let own = existing(&chain.case.principal.organization, Level::Organization, "organization")?;
    let teams = match team {
        Some(team) => existing(&team.organization, Level::Organization, "organization")?,
        None => None,
    };
    let same = |one: &OrganizationFacts, other: &OrganizationFacts| one.organization_id == other.organization_id;
    let teams = teams.filter(|teams| !own.is_some_and(|own| same(own, teams)));
    let takes_over = !chain.case.rules.require_key_mcp_access_defined;
    for organization in own.into_iter().chain(teams) {
        if unscoped {
            chain.organization_tools(organization)?;
        } else {
            chain.organization(organization, takes_over)?;
        }
    }
    Ok(())
}

/// Rule 8.
fn open_channels<'a, R: Record>(chain: &mut Chain<'a, '_, R>, own: Own<'a>) {
    let explicit = has_explicit_servers(own.permission);
    let is_key = matches!(chain.case.principal.credential, Credential::Key(_));
    let scoped = is_key && (chain.restricted || explicit);
    let user = own.user_id.filter(|_| !(is_key && explicit));
    chain.open_channels(user, scoped && chain.case.rules.mcp_allow_all_keys_respects_mcp_scope);
}

/// Whether the toolset is the credential's: its own, if it has a permission that names anything, else its team's.
fn toolset_is_held<'a>(
    case: Case<'a>,
    own: Own<'a>,
    own_scope: &Scope<'a>,
    team: Option<&'a TeamFacts>,
) -> Result<(), Closed<'a>> {
    let Some(id) = &case.place.toolset else { return Ok(()) };
    let inherits = !own_scope.declared && !case.rules.require_key_mcp_access_defined;
    let permission = match (own_scope.declared, team) {
        (true, _) => Some(own.permission),
        (false, Some(team)) if inherits => Some(&team.permission),
        (false, _) => None,
    };
    let held = permission.and_then(Permission::row).and_then(|permission| permission.mcp_toolsets.as_ref());
    match held.is_some_and(|held| held.iter().any(|held| held == id.as_str())) {
        true => Ok(()),
        false => Err(Closed { rule: Rule::ToolsetHeld, who: own.who, what: "", id: id.as_str() }),
    }
}

fn default_deny<R: Record>(chain: &mut Chain<'_, '_, R>, who: Who<'_>, team: Option<&TeamFacts>) {
    let case = chain.case;
    let reached = chain.reached.clone();
    chain.record.servers(Rule::DefaultDeny, Who::gateway(), &reached, &reached, |position| {
        if reached.contains(position) {
            return Why::default();
        }
        let label = case.label(position);
        let team = team.map_or(String::new(), |team| format!(" or of its {}", team_who(Level::Team, team)));
        Why::denies(
            "no level grants it, and what is not granted is not reached",
            format!("add `{label}` to {}{team}, or set `allow_all_keys: true` on the server", who.field("mcp_servers")),
        )
    });
}
