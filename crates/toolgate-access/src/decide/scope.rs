//! What one level says: its permission and access groups, looked up in the world.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use foldhash::HashMap;

use super::Case;
use super::record::{Closed, PERMISSION, Rule, Who};
use crate::id::{AccessGroupId, TeamId};
use crate::key::KeyHash;
use crate::permission::{ALL_PROXY_MCP_SERVERS, ALL_TOOLS, NO_MCP_SERVERS, ObjectPermission};
use crate::principal::Permission;
use crate::tools::Tools;
use crate::world::{AccessGroupFacts, ServerSet, ToolsetFacts, World};

/// Tool names for servers by their position. A server that is not in it is not narrowed.
pub(crate) type NamedTools<'a> = HashMap<usize, BTreeSet<&'a str>>;

/// What one level grants or leaves.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) who: Who<'a>,
    permission: Option<&'a ObjectPermission>,
    groups: Vec<&'a AccessGroupFacts>,
    /// It names something, whether or not it is there. LiteLLM reads a key whose toolsets are all gone, or a team
    /// whose group cannot be loaded, as one that names nothing, which lets more through than before they went.
    pub(crate) declared: bool,
    /// The servers that it leads to.
    pub(crate) servers: ServerSet,
    tools: NamedTools<'a>,
}

/// What is taken along of a scope for the tools of the servers that are reached.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) tools: NamedTools<'a>,
    /// Names that are blocked on every server.
    pub(crate) blocked: &'a [String],
    /// Names that are blocked on one server, since they were written as they are listed, with its prefix.
    blocked_here: NamedTools<'a>,
}

impl<'a> Scope<'a> {
    /// The scope of a level that narrows, or of a team: access groups count like its own permission.
    ///
    /// # Errors
    /// [`Closed`] when the permission is named and cannot be read.
    pub(crate) fn new(
        world: &'a World,
        who: Who<'a>,
        permission: &'a Permission,
        group_ids: &'a [AccessGroupId],
    ) -> Result<Self, Closed<'a>> {
        let mut scope = Self::own(world, who, permission)?;
        scope.attach(world, group_ids);
        for (position, named) in tools_of_groups(world, &scope.groups) {
            if let Some(named) = named {
                scope.name_tools(position, named);
            }
        }
        if scope.permission.is_some_and(|permission| permission.has_server_word(NO_MCP_SERVERS)) {
            scope.servers = ServerSet::default();
        }
        Ok(scope.without_unrestricted(world))
    }

    /// The scope of a key or person. Their access groups do not enter it: what these grant is added to it later.
    /// They say which tools, though: those that own the key do so like its permission, and the others only where the
    /// key has nothing of its own on a server.
    ///
    /// # Errors
    /// [`Closed`] when the permission is named and cannot be read.
    pub(crate) fn of_key(
        world: &'a World,
        who: Who<'a>,
        permission: &'a Permission,
        group_ids: &'a [AccessGroupId],
        owners: Owners<'_>,
    ) -> Result<(Self, Self), Closed<'a>> {
        let mut scope = Self::own(world, who, permission)?;
        let mut groups = Self::empty(who, None);
        groups.attach(world, group_ids);
        let (owned, _): (Vec<_>, Vec<_>) = groups.groups.iter().partition(|group| owners.own(group));
        let of_owned = tools_of_groups(world, &owned);
        for (position, named) in tools_of_groups(world, &groups.groups) {
            let has_own = scope.servers.contains(position) || of_owned.contains_key(&position);
            let named = if has_own { of_owned.get(&position).cloned().flatten() } else { named };
            if let Some(named) = named {
                scope.name_tools(position, named);
            }
        }
        Ok((scope.without_unrestricted(world), groups))
    }

    /// A toolset as what a key has of its own.
    pub(crate) fn of_toolset(world: &'a World, who: Who<'a>, toolset: &'a ToolsetFacts) -> Self {
        let mut scope = Self::empty(who, None);
        scope.declared = true;
        scope.add_toolset(world, toolset);
        scope
    }

    fn empty(who: Who<'a>, permission: Option<&'a ObjectPermission>) -> Self {
        let (servers, tools) = (ServerSet::default(), NamedTools::default());
        Self { who, permission, groups: Vec::new(), declared: false, servers, tools }
    }

    fn own(world: &'a World, who: Who<'a>, permission: &'a Permission) -> Result<Self, Closed<'a>> {
        let permission = match permission {
            Permission::None => return Ok(Self::empty(who, None)),
            Permission::Found(permission) => permission.as_ref(),
            Permission::Missing(id) => return Err(Closed { rule: Rule::Unreadable, who, what: PERMISSION, id }),
        };
        let mut scope = Self::empty(who, Some(permission));
        scope.declared = permission.names_anything();
        for tag in permission.mcp_access_groups.iter().flatten() {
            if let Some(tagged) = world.tagged(tag) {
                scope.servers.add(tagged);
            }
        }
        for id in permission.mcp_toolsets.iter().flatten() {
            if let Some(toolset) = world.toolset(&id.as_str().into()) {
                scope.add_toolset(world, toolset);
            }
        }
        for (identifier, tools) in permission.mcp_tool_permissions.iter().flatten() {
            for position in world.positions(identifier) {
                scope.servers.insert(*position);
                scope.name_tools(*position, tools.iter().map(String::as_str).collect());
            }
        }
        scope.add_servers(world, permission);
        Ok(scope)
    }

    fn add_servers(&mut self, world: &'a World, permission: &'a ObjectPermission) {
        let listed = permission.mcp_servers.iter().flatten();
        if permission.has_server_word(NO_MCP_SERVERS) {
            self.servers = ServerSet::default();
        } else if permission.has_server_word(ALL_PROXY_MCP_SERVERS) && self.who.is_team() {
            (0..world.servers().len()).for_each(|position| self.servers.insert(position));
        } else {
            for position in listed.flat_map(|identifier| world.positions(identifier)) {
                self.servers.insert(*position);
            }
        }
    }

    fn add_toolset(&mut self, world: &'a World, toolset: &'a ToolsetFacts) {
        for tool in &toolset.tools {
            for position in world.positions(tool.server_id.as_str()) {
                self.servers.insert(*position);
                self.name_tools(*position, BTreeSet::from([tool.tool_name.as_str()]));
            }
        }
    }

    /// Adds unified access groups. A group that names no server (it may be for models only) says nothing here; one
    /// that is not there is taken for one that named some.
    fn attach(&mut self, world: &'a World, ids: &'a [AccessGroupId]) {
        for id in ids {
            let Some(group) = world.access_group(id) else {
                self.declared = true;
                continue;
            };
            self.declared |= !group.access_mcp_server_ids.is_empty();
            for position in group.access_mcp_server_ids.iter().flat_map(|server| world.positions(server)) {
                self.servers.insert(*position);
            }
            self.groups.push(group);
        }
    }

    fn name_tools(&mut self, position: usize, tools: BTreeSet<&'a str>) {
        self.tools.entry(position).or_default().extend(tools);
    }

    /// `*` for a server in the level's own permission goes before whatever else names its tools.
    fn without_unrestricted(mut self, world: &World) -> Self {
        let all = |(_, tools): &(&String, &Vec<String>)| tools.iter().any(|tool| tool == ALL_TOOLS);
        let own = self.permission.and_then(|permission| permission.mcp_tool_permissions.as_ref());
        for (identifier, _) in own.into_iter().flatten().filter(all) {
            for position in world.positions(identifier) {
                self.tools.remove(position);
            }
        }
        self
    }

    /// What it leaves for tools. Blocked tools count even where it names nothing.
    pub(crate) fn into_bound(self, case: Case<'a>) -> Bound<'a> {
        let blocked = self.permission.and_then(|permission| permission.blocked_tools.as_deref()).unwrap_or_default();
        let mut blocked_here = NamedTools::default();
        let separator = case.rules.tool_prefix_separator.as_str();
        for entry in blocked.iter().filter(|_| !separator.is_empty()) {
            for (end, _) in entry.match_indices(separator) {
                let tool = &entry[end + separator.len()..];
                for position in case.world.prefixed(&entry[..end]) {
                    blocked_here.entry(*position).or_default().insert(tool);
                }
            }
        }
        Bound { who: self.who, tools: self.tools, blocked, blocked_here }
    }

    /// What stays of a key's own permission where a toolset stands in for it.
    pub(crate) fn into_blocking(self, case: Case<'a>) -> Bound<'a> {
        Bound { tools: NamedTools::default(), ..self.into_bound(case) }
    }

    /// By which of its words it leads to a server, for people: `mcp_servers: gh`.
    pub(crate) fn how(&self, world: &World, position: usize) -> String {
        let mut ways = Vec::new();
        let leads = |identifier: &str| world.positions(identifier).contains(&position);
        if let Some(permission) = self.permission {
            let all = permission.has_server_word(ALL_PROXY_MCP_SERVERS) && self.who.is_team();
            let word = permission.mcp_servers.iter().flatten().find(|word| leads(word)).map(String::as_str);
            ways.extend(word.or(all.then_some(ALL_PROXY_MCP_SERVERS)).map(|word| ("mcp_servers", word)));
            let tag = permission.mcp_access_groups.iter().flatten();
            let tag = tag.into_iter().find(|tag| world.tagged(tag).is_some_and(|tagged| tagged.contains(position)));
            ways.extend(tag.map(|tag| ("mcp_access_groups", tag.as_str())));
            let toolsets = permission.mcp_toolsets.iter().flatten();
            let toolset = toolsets.filter_map(|id| world.toolset(&id.as_str().into()));
            let toolset =
                toolset.into_iter().find(|toolset| toolset.tools.iter().any(|tool| leads(tool.server_id.as_str())));
            ways.extend(toolset.map(|toolset| ("mcp_toolsets", toolset.name.as_str())));
            let tools = permission.mcp_tool_permissions.iter().flatten().find(|(identifier, _)| leads(identifier));
            ways.extend(tools.map(|(identifier, _)| ("mcp_tool_permissions", identifier.as_str())));
        }
        let group = self.groups.iter().find(|group| group.access_mcp_server_ids.iter().any(|id| leads(id)));
        ways.extend(group.map(|group| ("access group", group.name.as_str())));
        let mut text = String::new();
        for (index, (field, word)) in ways.iter().enumerate() {
            let _ = write!(text, "{}{field}: `{word}`", if index == 0 { "" } else { ", " });
        }
        text
    }

    /// The names in it that lead nowhere, so that somebody finds the typing error.
    pub(crate) fn dead_names(&self, world: &World) -> Vec<&'a str> {
        let Some(permission) = self.permission else { return Vec::new() };
        let all = permission.has_server_word(ALL_PROXY_MCP_SERVERS) && self.who.is_team();
        let servers = permission.mcp_servers.iter().flatten().filter(|word| !(all && *word == ALL_PROXY_MCP_SERVERS));
        let named = servers.chain(permission.mcp_tool_permissions.iter().flatten().map(|(identifier, _)| identifier));
        let servers = named.filter(|word| world.positions(word).is_empty());
        let tags = permission.mcp_access_groups.iter().flatten().filter(|tag| world.tagged(tag).is_none());
        let toolsets = permission.mcp_toolsets.iter().flatten();
        let toolsets = toolsets.filter(|id| world.toolset(&id.as_str().into()).is_none());
        servers.chain(tags).chain(toolsets).map(String::as_str).collect()
    }
}

impl<'a> Bound<'a> {
    /// Narrows the tools of the server at a position.
    pub(crate) fn narrow(&self, tools: &mut Tools<'a>, position: usize) {
        if let Some(named) = self.tools.get(&position) {
            tools.keep(named);
        }
        let here = self.blocked_here.get(&position).into_iter().flatten().copied();
        self.blocked.iter().map(String::as_str).chain(here).for_each(|tool| tools.take_away(tool));
    }

    pub(crate) fn blocks(&self, tool: &str, position: usize) -> bool {
        self.blocked.iter().any(|entry| entry == tool)
            || self.blocked_here.get(&position).is_some_and(|tools| tools.contains(tool))
    }

    /// Whether it says something of this server that it does not say of all.
    pub(crate) fn is_special(&self, position: usize) -> bool {
        self.tools.contains_key(&position) || self.blocked_here.contains_key(&position)
    }
}

/// Tools that groups grant on their servers together; `None`: all of them.
fn tools_of_groups<'a>(world: &World, groups: &[&'a AccessGroupFacts]) -> HashMap<usize, Option<BTreeSet<&'a str>>> {
    let mut granted: HashMap<usize, Option<BTreeSet<&str>>> = HashMap::default();
    for group in groups {
        let servers: BTreeSet<usize> =
            group.access_mcp_server_ids.iter().flat_map(|server| world.positions(server)).copied().collect();
        let mut named: HashMap<usize, BTreeSet<&str>> = HashMap::default();
        for (identifier, tools) in &group.mcp_tool_permissions {
            for position in world.positions(identifier) {
                named.entry(*position).or_default().extend(tools.iter().map(String::as_str));
            }
        }
        for position in servers {
            let tools = named.remove(&position).filter(|tools| !tools.contains(ALL_TOOLS));
            let so_far = granted.entry(position).or_insert_with(|| Some(BTreeSet::new()));
            match (so_far, tools) {
                (Some(so_far), Some(tools)) => so_far.extend(tools),
                (so_far, _) => *so_far = None,
            }
        }
    }
    granted
}

/// Who an access group must list for it to be a key's own.
#[derive(Clone, Copy)]
pub(crate) struct Owners<'p> {
    pub(crate) team: Option<&'p TeamId>,
    pub(crate) key: Option<&'p KeyHash>,
}

impl Owners<'_> {
    fn own(&self, group: &AccessGroupFacts) -> bool {
        self.team.is_some_and(|team| group.assigned_team_ids.contains(team))
            || self.key.is_some_and(|key| group.assigned_key_ids.contains(key))
    }
}
