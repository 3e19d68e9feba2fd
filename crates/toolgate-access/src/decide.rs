//! The rules, in one place: what a principal reaches.
//!
//! [`crate::grant::compile`] runs them with nobody listening, [`crate::explain::explain`] with a recorder; there is
//! no second writing of any of them. Servers first, as sets, level by level; then the tools of each server that is
//! left. The order of the steps is LiteLLM's:
//!
//! 1. `no-mcp-servers` on the key: nothing.
//! 2. The key's own grant and the team's: both name something: what both have; one does: that one's
//!    (`require_key_mcp_access_defined`: not the team's); neither: nothing.
//! 3. Added: servers of the key's unified access groups, also beyond the team.
//! 4. Narrowed by the customer, 5. the agent and who had it do it, the project, 6. the user, 7. the organization (whose
//!    servers are the grant where nobody below named anything).
//! 8. Added: servers open to all keys, and what the user proposed. No ceiling narrows these.
//! 9. Narrowed by approval, the client's address, the session's resource, the toolset's endpoint.
//!
//! Where this is stricter than LiteLLM 1.109, because that lets through what it cannot read or what nobody said:
//!
//! - A row that is named and not there (team, organization, project, agent, permission) closes everything. LiteLLM
//!   takes most of them for levels without restriction.
//! - A level whose names lead nowhere any more restricts to nothing. In LiteLLM a key with deleted toolsets inherits
//!   its team's servers.
//! - A blocked team's keys reach nothing here too, where LiteLLM's resolver reads "no restriction" and relies on an
//!   earlier check. So does a blocked key, customer or project.
//! - With `require_end_user_mcp_access_defined` a customer without permission reaches nothing, also not what is open
//!   to all keys. With `require_key_mcp_access_defined` an organization's list is not taken over either.
//! - A project's permission narrows; LiteLLM stores it and does not look at it.
//! - `blocked_tools` counts on every level and wins over everything.
//! - A customer, agent or project narrows admins' keys too: they are about whom the request is for.
//! - A toolset's endpoint never shows more than the toolset, and an admin's key with a scope of its own must hold it.
//! - An unknown client address is external.

mod ceilings;
pub(crate) mod record;
pub(crate) mod scope;
mod session;
mod single;
#[cfg(test)]
mod tests;

use record::{Closed, Level, Record, Rule, Who, Why};
use scope::{Bound, Scope};

use crate::grant::Place;
use crate::principal::{Credential, Link, Permission, Principal};
use crate::rules::{ClientPlace, Rules};
use crate::tools::Tools;
use crate::world::{ServerSet, World};

/// LiteLLM's pretended team of dashboard sessions. It is no team.
const UI_TEAM_ID: &str = "litellm-dashboard";

/// Everything that a decision is made from.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) world: &'a World,
    pub(crate) principal: &'a Principal,
    pub(crate) rules: &'a Rules,
    pub(crate) place: &'a Place,
}

/// What was decided. The tools of a server are settled when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Decided<'a> {
    /// The servers that are reached.
    pub(crate) servers: ServerSet,
    /// By which ways, each with what it says of tools.
    sources: Vec<Source<'a>>,
    /// What narrows tools whatever the way.
    bounds: Vec<Bound<'a>>,
    /// Reached as an admin who has no scope, so that servers yet to come are reached too.
    pub(crate) unscoped: bool,
}

/// One way to servers.
#[derive(Debug, Default)]
struct Source<'a> {
    servers: ServerSet,
    bounds: Vec<Bound<'a>>,
}

/// Decides which servers are reached.
pub(crate) fn decide<'a>(case: Case<'a>, record: &mut impl Record) -> Decided<'a> {
    let decided = match &case.principal.credential {
        Credential::Anonymous => anonymous(case, record),
        Credential::Session(session) => session::decide(case, session, record),
        Credential::Master | Credential::Key(_) | Credential::Token(_) => single::decide(case, record),
    };
    match decided {
        Ok(decided) => filtered(case, decided, record),
        Err(closed) => {
            record.closed(&closed);
            Decided::default()
        }
    }
}

impl<'a> Decided<'a> {
    /// Which tools may be used of the server at a position, which is one of [`Decided::servers`].
    pub(crate) fn tools(&self, case: Case<'a>, position: usize, record: &mut impl Record) -> Tools<'a> {
        let mut either: Option<Tools<'a>> = None;
        for source in self.sources.iter().filter(|source| source.servers.contains(position)) {
            let mut tools = Tools::all();
            narrow(case, &source.bounds, position, &mut tools, record);
            either = Some(match either {
                Some(other) => other.or(tools),
                None => tools,
            });
        }
        // Every server that is reached has a source; should one have none, it has no tools.
        let mut tools = either.unwrap_or(Tools::Only(Default::default()));
        narrow(case, &self.bounds, position, &mut tools, record);
        tools
    }

    /// Whether no level says of this server's tools what it does not say of all servers', so that all such servers
    /// have the same.
    pub(crate) fn is_plain(&self, position: usize) -> bool {
        let mut bounds = self.sources.iter().flat_map(|source| &source.bounds).chain(&self.bounds);
        self.sources.len() == 1 && !bounds.any(|bound| bound.is_special(position))
    }
}

fn narrow<'a>(case: Case<'a>, bounds: &[Bound<'a>], position: usize, tools: &mut Tools<'a>, record: &mut impl Record) {
    let label = case.world.servers()[position].label();
    for bound in bounds {
        let before = tools.clone();
        bound.narrow(tools, position);
        if let Some(named) = bound.tools.get(&position) {
            record.tools(Rule::Tools, bound.who, &before, tools, |tool| {
                let who = bound.who;
                if named.contains(tool) {
                    return Why::says(format!("{who} names `{tool}` among the tools of `{label}`"));
                }
                let named: Vec<_> = named.iter().map(|name| format!("`{name}`")).collect();
                let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
                Why::denies(
                    format!("{who} narrows the tools of `{label}` to: {named}"),
                    format!("add `{tool}` to the tools of `{label}` in {}", who.field("mcp_tool_permissions")),
                )
            });
        }
        if !bound.blocked.is_empty() {
            record.tools(Rule::BlockedTools, bound.who, &before, tools, |tool| {
                if !bound.blocks(tool, position) {
                    return Why::says(format!("{} blocks other tools", bound.who));
                }
                Why::denies(
                    format!("{} blocks `{tool}`", bound.who),
                    format!("remove `{tool}` from {}", bound.who.field("blocked_tools")),
                )
            });
        }
    }
}

/// A caller without a key: servers that check the caller's own credential, and none of those open to all keys.
fn anonymous<'a>(case: Case<'a>, record: &mut impl Record) -> Result<Decided<'a>, Closed<'a>> {
    let who = Who::new(Level::Anonymous, "");
    if let Some(id) = &case.place.toolset {
        return Err(Closed { rule: Rule::ToolsetHeld, who, what: "", id: id.as_str() });
    }
    let servers = case.world.anonymous().clone();
    record.servers(Rule::Anonymous, who, &ServerSet::default(), &servers, |position| {
        if servers.contains(position) {
            return Why::says("its calls carry the caller's own credential to the server, so it needs no key");
        }
        Why::denies("a caller without a key reaches only servers that check the caller's own credential", "use a key")
    });
    let source = Source { servers: servers.clone(), bounds: Vec::new() };
    Ok(Decided { sources: vec![source], servers, ..Decided::default() })
}

/// What narrows whoever calls, after everything was added up.
fn filtered<'a>(case: Case<'a>, mut decided: Decided<'a>, record: &mut impl Record) -> Decided<'a> {
    let world = case.world;
    let label = |position: usize| world.servers()[position].label();
    let before = decided.servers.clone();
    decided.servers.keep(world.active());
    record.servers(Rule::Approval, Who::gateway(), &before, &decided.servers, |position| {
        let status = world.servers()[position].approval_status;
        if world.active().contains(position) {
            return Why::default();
        }
        let text = format!("`{}` is not in use: its approval status is `{}`", label(position), status.as_str());
        Why::denies(text, format!("approve server `{}`", label(position)))
    });
    if case.place.client == ClientPlace::External {
        let mut hidden = world.internal_only().clone();
        for position in case.rules.public_mcp_servers.iter().filter_map(|id| world.position(id)) {
            hidden.remove(position);
        }
        let before = decided.servers.clone();
        decided.servers.take_away(&hidden);
        record.servers(Rule::ClientPlace, Who::gateway(), &before, &decided.servers, |position| {
            if !hidden.contains(position) {
                return Why::default();
            }
            Why::denies(
                format!("`{}` is not on the public internet, and the client's address is not internal", label(position)),
                "call from an address in `mcp_internal_ip_ranges`, or set `available_on_public_internet: true` on the server",
            )
        });
    }
    decided
}

impl<'a> Case<'a> {
    /// Whether an admin-view role stands for every server: no team, no agent, no scope on the key, none on the person.
    fn is_unscoped_admin(&self) -> bool {
        let principal = self.principal;
        let team = match &principal.team {
            Link::None => false,
            Link::Found(team) => team.team_id.as_str() != UI_TEAM_ID,
            Link::Missing(id) => id != UI_TEAM_ID,
        };
        let role = principal.role().is_some_and(|role| role.sees_everything());
        let scoped = match &principal.credential {
            Credential::Key(key) => has_explicit_servers(&key.permission),
            _ => false,
        };
        let person = principal.user.as_ref().is_some_and(|user| match &user.permission {
            Permission::None => false,
            Permission::Found(permission) => permission.names_anything(),
            Permission::Missing(_) => true,
        });
        role && !team && !scoped && !person
    }

    /// The servers of the toolset whose endpoint was called, with its tools. `Err`: there is no such toolset.
    fn toolset(&self) -> Result<Option<Scope<'a>>, Closed<'a>> {
        let Some(id) = &self.place.toolset else { return Ok(None) };
        let Some(toolset) = self.world.toolset(id) else {
            return Err(Closed { rule: Rule::ToolsetHeld, who: Who::gateway(), what: "", id: id.as_str() });
        };
        Ok(Some(Scope::of_toolset(self.world, Who::new(Level::Toolset, &toolset.name), toolset)))
    }
}

/// Whether a permission says which servers, be it none: that binds admins, and keeps away what users proposed.
fn has_explicit_servers(permission: &Permission) -> bool {
    match permission {
        Permission::None => false,
        Permission::Found(permission) => permission.mcp_servers.is_some(),
        Permission::Missing(_) => true,
    }
}
