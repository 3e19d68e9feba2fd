//! A chain of levels: what is reached so far, and how each level changes it.

use super::record::{Closed, Level, Record, Rule, Who, Why};
use super::scope::{Bound, Scope};
use super::{Case, UI_TEAM_ID};
use crate::id::UserId;
use crate::principal::{
    AgentFacts, CustomerFacts, Link, OrganizationFacts, Permission, ProjectFacts, TeamFacts, UserFacts,
};
use crate::world::ServerSet;

/// What is reached so far on one way.
pub(super) struct Chain<'a, 'r, R> {
    pub(super) case: Case<'a>,
    pub(super) reached: ServerSet,
    /// Some level named something, so an organization's list can only narrow.
    pub(super) restricted: bool,
    pub(super) bounds: Vec<Bound<'a>>,
    pub(super) record: &'r mut R,
}

impl<'a, 'r, R: Record> Chain<'a, 'r, R> {
    pub(super) fn new(case: Case<'a>, record: &'r mut R) -> Self {
        Self { case, reached: ServerSet::default(), restricted: false, bounds: Vec::new(), record }
    }

    /// Changes what is reached, and says so.
    pub(super) fn step(
        &mut self,
        rule: Rule,
        who: Who<'a>,
        change: impl FnOnce(&mut ServerSet),
        why: impl FnOnce(usize) -> Why,
    ) {
        let before = self.reached.clone();
        change(&mut self.reached);
        self.record.servers(rule, who, &before, &self.reached, why);
    }

    /// A level that narrows, if it names anything.
    pub(super) fn ceiling(&mut self, rule: Rule, scope: Scope<'a>) {
        let case = self.case;
        self.step(
            rule,
            scope.who,
            |reached| {
                if scope.declared {
                    reached.keep(&scope.servers);
                }
            },
            |position| match scope.declared {
                true => listed(case, &scope, position),
                false => Why::says(format!("{} names no servers, and narrows nothing", scope.who)),
            },
        );
        self.restricted |= scope.declared;
        self.bounds.push(scope.into_bound(self.case));
    }

    /// Customer, agent, who had the agent do it, project: whom and what the request is for, whoever calls.
    pub(super) fn request_ceilings(&mut self) -> Result<(), Closed<'a>> {
        let principal = self.case.principal;
        if let Some(customer) = &principal.customer {
            self.customer(customer)?;
        }
        if let Some(agent) = existing(&principal.agent, Level::Agent, "agent")? {
            self.agent(agent)?;
        }
        if let Some(caller) = &principal.agent_caller {
            if let Some(team) = existing_team(&caller.team)? {
                self.level(
                    Rule::AgentCaller,
                    team_who(Level::CallerTeam, team),
                    &team.permission,
                    &team.access_group_ids,
                )?;
            }
            if let Some(user) = existing(&caller.user, Level::CallerUser, "user")? {
                self.level(Rule::AgentCaller, user_who(Level::CallerUser, user), &user.permission, &[])?;
            }
        }
        if let Some(project) = existing(&principal.project, Level::Project, "project")? {
            self.project(project)?;
        }
        Ok(())
    }

    fn level(
        &mut self,
        rule: Rule,
        who: Who<'a>,
        permission: &'a Permission,
        groups: &'a [crate::id::AccessGroupId],
    ) -> Result<(), Closed<'a>> {
        let scope = Scope::new(self.case.world, who, permission, groups)?;
        self.ceiling(rule, scope);
        Ok(())
    }

    fn customer(&mut self, customer: &'a CustomerFacts) -> Result<(), Closed<'a>> {
        let name = customer.alias.as_deref().unwrap_or(customer.user_id.as_str());
        let who = Who::new(Level::Customer, name);
        if customer.blocked {
            return Err(blocked(who));
        }
        let scope = Scope::new(self.case.world, who, &customer.permission, &[])?;
        if !scope.declared && self.case.rules.require_end_user_mcp_access_defined {
            return Err(Closed { rule: Rule::Customer, who, what: "", id: "" });
        }
        self.ceiling(Rule::Customer, scope);
        Ok(())
    }

    /// An agent's own permission and its access groups narrow one after the other. Groups without any server leave
    /// nothing, as in LiteLLM: they are attached to bound the agent.
    fn agent(&mut self, agent: &'a AgentFacts) -> Result<(), Closed<'a>> {
        let who = Who::new(Level::Agent, agent.agent_id.as_str());
        self.level(Rule::Agent, who, &agent.permission, &[])?;
        if !agent.access_group_ids.is_empty() {
            let mut groups = Scope::new(self.case.world, who, &Permission::None, &agent.access_group_ids)?;
            groups.declared = true;
            self.ceiling(Rule::Agent, groups);
        }
        Ok(())
    }

    fn project(&mut self, project: &'a ProjectFacts) -> Result<(), Closed<'a>> {
        let name = project.project_alias.as_deref().unwrap_or(project.project_id.as_str());
        let who = Who::new(Level::Project, name);
        if project.blocked {
            return Err(blocked(who));
        }
        self.level(Rule::Project, who, &project.permission, &[])
    }

    /// The person whom a key belongs to.
    pub(super) fn user(&mut self, user: &'a UserFacts) -> Result<(), Closed<'a>> {
        self.level(Rule::User, user_who(Level::User, user), &user.permission, &[])
    }

    /// An organization narrows what levels below named. Where none did, its list is the grant.
    pub(super) fn organization(
        &mut self,
        organization: &'a OrganizationFacts,
        takes_over: bool,
    ) -> Result<(), Closed<'a>> {
        let who = organization_who(organization);
        let scope = Scope::new(self.case.world, who, &organization.permission, &[])?;
        if self.restricted || !scope.declared {
            self.ceiling(Rule::Organization, scope);
            return Ok(());
        }
        let case = self.case;
        let servers = if takes_over { scope.servers.clone() } else { ServerSet::default() };
        self.step(
            Rule::Organization,
            who,
            |reached| reached.add(&servers),
            |position| match (takes_over, scope.servers.contains(position)) {
                (true, true) => Why::says(format!(
                    "{who} grants it ({}), since no level below names any server",
                    scope.how(case.world, position)
                )),
                (false, true) => not_taken_over(who, case.label(position)),
                (_, false) => listed(case, &scope, position),
            },
        );
        self.restricted = true;
        self.bounds.push(scope.into_bound(self.case));
        Ok(())
    }

    /// What an organization says of tools, for an admin whom its list of servers does not bind.
    pub(super) fn organization_tools(&mut self, organization: &'a OrganizationFacts) -> Result<(), Closed<'a>> {
        let scope = Scope::new(self.case.world, organization_who(organization), &organization.permission, &[])?;
        self.bounds.push(scope.into_bound(self.case));
        Ok(())
    }

    /// Servers open to all keys and those that the user proposed, which no level narrows.
    pub(super) fn open_channels(&mut self, user: Option<&'a UserId>, not_to_scoped_keys: bool) {
        let (case, world) = (self.case, self.case.world);
        let open = world.allow_all_keys();
        self.step(
            Rule::AllowAllKeys,
            Who::gateway(),
            |reached| {
                if !not_to_scoped_keys {
                    reached.add(open);
                }
            },
            |position| match (open.contains(position), not_to_scoped_keys) {
                (false, _) => Why::default(),
                (true, false) => {
                    Why::says(format!("`{}` is open to every key (`allow_all_keys`)", case.label(position)))
                }
                (true, true) => Why::says(format!(
                    "`{}` is open to every key (`allow_all_keys`), but not to one with a scope of its own, since \
                     `mcp_allow_all_keys_respects_mcp_scope` is on",
                    case.label(position)
                )),
            },
        );
        if let Some((user, servers)) = user.and_then(|user| Some((user, world.submitted_by(user)?))) {
            let who = Who::new(Level::User, user.as_str());
            self.step(
                Rule::OwnSubmission,
                who,
                |reached| reached.add(servers),
                |position| match servers.contains(position) {
                    true => Why::says(format!("{who} proposed it")),
                    false => Why::default(),
                },
            );
        }
    }

    /// Only the servers of a toolset, with only its tools.
    pub(super) fn within_toolset(&mut self, toolset: Scope<'a>) {
        let case = self.case;
        let who = toolset.who;
        self.step(
            Rule::Toolset,
            who,
            |reached| reached.keep(&toolset.servers),
            |position| match toolset.servers.contains(position) {
                true => Why::says(format!("{who}, whose endpoint was called, has tools of it")),
                false => Why::denies(
                    format!("{who}, whose endpoint was called, has no tools of `{}`", case.label(position)),
                    format!("call another endpoint, or add tools of `{}` to {who}", case.label(position)),
                ),
            },
        );
        self.bounds.push(toolset.into_bound(self.case));
    }
}

impl<'a> Case<'a> {
    pub(super) fn label(&self, position: usize) -> &'a str {
        self.world.servers()[position].label()
    }
}

/// What a scope that names something has to say of a server.
pub(super) fn listed(case: Case<'_>, scope: &Scope<'_>, position: usize) -> Why {
    let (who, label) = (scope.who, case.label(position));
    if scope.servers.contains(position) {
        return Why::says(format!("{who} lists it ({})", scope.how(case.world, position)));
    }
    let dead = scope.dead_names(case.world);
    let dead = match dead.is_empty() {
        true => String::new(),
        false => format!("; in it lead nowhere: `{}`", dead.join("`, `")),
    };
    Why::denies(
        format!("{who} has a list of servers, and `{label}` is not in it{dead}"),
        format!("add `{label}` to {}", who.field("mcp_servers")),
    )
}

pub(super) fn not_taken_over(who: Who<'_>, label: &str) -> Why {
    Why::denies(
        format!("{who} lists it, but a key takes over nothing, since `require_key_mcp_access_defined` is on"),
        format!("add `{label}` to `object_permission.mcp_servers` of the key itself"),
    )
}

pub(super) fn blocked(who: Who<'_>) -> Closed<'_> {
    Closed { rule: Rule::Blocked, who, what: "", id: "" }
}

/// The row of a link, if one is named.
pub(super) fn existing<'a, T>(
    link: &'a Link<T>,
    level: Level,
    what: &'static str,
) -> Result<Option<&'a T>, Closed<'a>> {
    match link {
        Link::None => Ok(None),
        Link::Found(row) => Ok(Some(row)),
        Link::Missing(id) => Err(Closed { rule: Rule::Unreadable, who: Who::new(level, id), what, id }),
    }
}

/// The team of a link. LiteLLM's pretended team of dashboard sessions is none.
pub(super) fn existing_team(link: &Link<TeamFacts>) -> Result<Option<&TeamFacts>, Closed<'_>> {
    match link {
        Link::Missing(id) if id == UI_TEAM_ID => Ok(None),
        Link::Found(team) if team.team_id.as_str() == UI_TEAM_ID => Ok(None),
        Link::Found(team) if team.blocked => Err(blocked(team_who(Level::Team, team))),
        other => existing(other, Level::Team, "team"),
    }
}

pub(super) fn team_who(level: Level, team: &TeamFacts) -> Who<'_> {
    Who::new(level, team.team_alias.as_deref().unwrap_or(team.team_id.as_str()))
}

pub(super) fn user_who(level: Level, user: &UserFacts) -> Who<'_> {
    Who::new(level, user.user_alias.as_deref().unwrap_or(user.user_id.as_str()))
}

fn organization_who(organization: &OrganizationFacts) -> Who<'_> {
    let name = organization.organization_alias.as_deref().unwrap_or(organization.organization_id.as_str());
    Who::new(Level::Organization, name)
}
