//! A person who signed in: what they have themselves and what each of their teams has is added up.
//!
//! Each way is bounded by its own organization, and a fault on one way closes that way and no other.

use super::ceilings::{Chain, blocked, existing, team_who, user_who};
use super::record::{Closed, Level, Record, Rule, Who, Why};
use super::scope::{Owners, Scope};
use super::{Case, Decided, Source};
use crate::principal::{Link, Permission, SessionFacts, TeamFacts};
use crate::world::ServerSet;

pub(super) fn decide<'a, R: Record>(
    case: Case<'a>,
    session: &'a SessionFacts,
    record: &mut R,
) -> Result<Decided<'a>, Closed<'a>> {
    let unscoped = case.is_unscoped_admin();
    let toolset = case.toolset()?;
    if let (Some(id), false) = (&case.place.toolset, unscoped || holds_toolset(case, session)) {
        return Err(Closed { rule: Rule::ToolsetHeld, who: Who::new(Level::Session, ""), what: "", id: id.as_str() });
    }
    let mut ways = vec![own_way(case, session, unscoped, record)];
    ways.extend(session.teams.iter().map(|team| team_way(case, team, record)));
    let mut sources: Vec<Source<'a>> = Vec::new();
    let own_is_closed = ways.first().is_none_or(Result::is_err);
    for way in ways {
        sources.push(way.unwrap_or_else(|closed: Closed<'_>| {
            record.closed(&closed);
            Source::default()
        }));
    }
    let mut chain = Chain::new(case, record);
    add_up(&mut chain, &sources);
    chain.request_ceilings()?;
    let unscoped = unscoped && !chain.restricted && toolset.is_none() && session.resource_servers.is_none();
    match toolset {
        Some(toolset) => chain.within_toolset(toolset),
        None if own_is_closed => {}
        None => {
            let user = case.principal.user.as_ref().map(|user| &user.user_id);
            chain.open_channels(user, false);
            // The person's own words bound what is open to them. A team's bound what the team grants.
            let open = [Some(case.world.allow_all_keys()), user.and_then(|user| case.world.submitted_by(user))];
            open.into_iter().flatten().for_each(|open| sources[0].servers.add(open));
        }
    }
    if let Some(resource) = &session.resource_servers {
        within_resource(&mut chain, resource);
    }
    let bounds = chain.bounds;
    Ok(Decided { servers: chain.reached, sources, bounds, unscoped })
}

fn own_way<'a, R: Record>(
    case: Case<'a>,
    session: &'a SessionFacts,
    unscoped: bool,
    record: &mut R,
) -> Result<Source<'a>, Closed<'a>> {
    let mut chain = Chain::new(case, record);
    let (who, permission) = match &case.principal.user {
        Some(user) => (user_who(Level::User, user), &user.permission),
        None => (Who::new(Level::Session, ""), &Permission::None),
    };
    let owners = Owners { team: None, key: None };
    let (own, groups) = Scope::of_key(case.world, who, permission, &session.access_group_ids, owners)?;
    let mut granted = if own.declared { own.servers.clone() } else { ServerSet::default() };
    granted.add(&groups.servers);
    if unscoped {
        (0..case.world.servers().len()).for_each(|position| granted.insert(position));
    }
    chain.step(
        if unscoped { Rule::Admin } else { Rule::OwnPermission },
        who,
        |reached| reached.add(&granted),
        |position| match (unscoped, own.servers.contains(position), groups.servers.contains(position)) {
            (true, _, _) => Why::says(format!("{who} is an admin without a list of servers, and reaches every server")),
            (_, true, _) => Why::says(format!("{who} has it ({})", own.how(case.world, position))),
            (_, _, true) => Why::says(format!("{who} has it ({})", groups.how(case.world, position))),
            _ => Why::says(format!("{who} has no grant of their own for it")),
        },
    );
    chain.bounds.push(own.into_bound(chain.case));
    let organization = existing(&case.principal.organization, Level::Organization, "organization")?;
    chain.restricted = true;
    match organization {
        Some(organization) if unscoped => chain.organization_tools(organization)?,
        Some(organization) => chain.organization(organization, false)?,
        None => {}
    }
    Ok(Source { servers: chain.reached, bounds: chain.bounds })
}

fn team_way<'a, R: Record>(case: Case<'a>, team: &'a TeamFacts, record: &mut R) -> Result<Source<'a>, Closed<'a>> {
    let who = team_who(Level::Team, team);
    if team.blocked {
        return Err(blocked(who));
    }
    let mut chain = Chain::new(case, record);
    let scope = Scope::new(case.world, who, &team.permission, &team.access_group_ids)?;
    chain.step(
        Rule::Team,
        who,
        |reached| {
            if scope.declared {
                reached.add(&scope.servers);
            }
        },
        |position| match scope.servers.contains(position) {
            true => Why::says(format!("{who} grants it ({})", scope.how(case.world, position))),
            false => Why::says(format!("{who} does not grant it")),
        },
    );
    chain.bounds.push(scope.into_bound(chain.case));
    chain.restricted = true;
    let organization = match &team.organization {
        Link::None => &case.principal.organization,
        its_own => its_own,
    };
    if let Some(organization) = existing(organization, Level::Organization, "organization")? {
        chain.organization(organization, false)?;
    }
    Ok(Source { servers: chain.reached, bounds: chain.bounds })
}

fn add_up<'a, R: Record>(chain: &mut Chain<'a, '_, R>, sources: &[Source<'a>]) {
    let who = Who::new(Level::Session, "");
    let case = chain.case;
    let mut all = ServerSet::default();
    sources.iter().for_each(|source| all.add(&source.servers));
    chain.step(
        Rule::SessionUnion,
        who,
        |reached| reached.add(&all),
        |position| match all.contains(position) {
            true => Why::says("a session reaches what the person or one of their teams reaches"),
            false => Why::denies(
                "neither the person nor one of their teams reaches it",
                format!(
                    "add `{}` to `object_permission.mcp_servers` of the user or of one of their teams",
                    case.label(position)
                ),
            ),
        },
    );
}

fn within_resource<R: Record>(chain: &mut Chain<'_, '_, R>, resource: &[crate::id::ServerId]) {
    let case = chain.case;
    let mut servers = ServerSet::default();
    resource.iter().flat_map(|id| case.world.positions(id.as_str())).for_each(|position| servers.insert(*position));
    chain.step(
        Rule::SessionResource,
        Who::new(Level::Session, ""),
        |reached| reached.keep(&servers),
        |position| match servers.contains(position) {
            true => Why::default(),
            false => Why::denies(
                "the client's token was made for other servers (its `resource`)",
                format!("sign in again for `{}` or for the whole gateway", case.label(position)),
            ),
        },
    );
}

fn holds_toolset(case: Case<'_>, session: &SessionFacts) -> bool {
    let Some(id) = &case.place.toolset else { return true };
    let own = case.principal.user.as_ref().map(|user| &user.permission);
    let teams = session.teams.iter().filter(|team| !team.blocked).map(|team| &team.permission);
    own.into_iter()
        .chain(teams)
        .filter_map(Permission::row)
        .any(|permission| permission.mcp_toolsets.iter().flatten().any(|held| held == id.as_str()))
}
