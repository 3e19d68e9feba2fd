//! What there is to be reached: servers, access groups of both kinds, toolsets.
//!
//! A [`World`] is made anew when something of it changes, which is seldom, and then asked often: everything that a
//! permission may name is looked up by hash, and a set of servers is a set of bits.

mod set;

use std::collections::BTreeSet;

use foldhash::HashMap;

pub(crate) use set::ServerSet;

use crate::id::{AccessGroupId, ServerId, TeamId, ToolsetId, UserId};
use crate::key::KeyHash;
use crate::permission::ToolPermissions;

/// What access needs to know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its id.
    pub id: ServerId,
    /// Other ids that grants may hold: LiteLLM derives another one from the same entry.
    pub other_ids: Vec<ServerId>,
    /// Its name (`server_name`).
    pub name: String,
    /// Its alias.
    pub alias: Option<String>,
    /// The tags that it carries (`access_groups`).
    pub access_groups: Vec<String>,
    /// Open to every key.
    pub allow_all_keys: bool,
    /// Seen from addresses that are not internal.
    pub available_on_public_internet: bool,
    /// Open to callers without any key, whose own credential it checks (`true_passthrough`, or the older delegation).
    pub open_to_anonymous: bool,
    /// Who proposed it, if it was proposed.
    pub submitted_by: Option<UserId>,
    /// Whether it is in use.
    pub approval_status: ApprovalStatus,
}

impl ServerFacts {
    /// A server in use that nobody may reach yet, seen from everywhere.
    pub fn new(id: impl Into<ServerId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            other_ids: Vec::new(),
            name: name.into(),
            alias: None,
            access_groups: Vec::new(),
            allow_all_keys: false,
            available_on_public_internet: true,
            open_to_anonymous: false,
            submitted_by: None,
            approval_status: ApprovalStatus::Active,
        }
    }

    /// What people call it: alias, else name, else id.
    pub fn label(&self) -> &str {
        match &self.alias {
            Some(alias) if !alias.is_empty() => alias,
            _ if self.name.is_empty() => self.id.as_str(),
            _ => &self.name,
        }
    }

    /// Everything that a permission may call it, its id first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let ids = std::iter::once(&self.id).chain(&self.other_ids).map(ServerId::as_str);
        ids.chain([self.name.as_str()]).chain(self.alias.as_deref()).filter(|name| !name.is_empty())
    }
}

/// How far a proposed server has come (`approval_status`). Only an active one is reached, by anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ApprovalStatus {
    /// In use.
    #[default]
    Active,
    /// Proposed.
    PendingReview,
    /// Turned down.
    Rejected,
    /// Not proposed yet.
    Draft,
}

impl ApprovalStatus {
    /// LiteLLM's word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PendingReview => "pending_review",
            Self::Rejected => "rejected",
            Self::Draft => "draft",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::PendingReview, Self::Rejected, Self::Draft].into_iter().find(|it| it.as_str() == name)
    }
}

/// A unified access group: attached to keys, teams and agents by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGroupFacts {
    /// Its id.
    pub id: AccessGroupId,
    /// Its name.
    pub name: String,
    /// Its servers, by id, name or alias.
    pub access_mcp_server_ids: Vec<String>,
    /// Which tools of its servers; a server that is not named here is granted with all.
    pub mcp_tool_permissions: ToolPermissions,
    /// The teams that own it.
    pub assigned_team_ids: Vec<TeamId>,
    /// The keys that own it.
    pub assigned_key_ids: Vec<KeyHash>,
}

impl AccessGroupFacts {
    /// A group without servers and owners.
    pub fn new(id: impl Into<AccessGroupId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            access_mcp_server_ids: Vec::new(),
            mcp_tool_permissions: ToolPermissions::new(),
            assigned_team_ids: Vec::new(),
            assigned_key_ids: Vec::new(),
        }
    }
}

/// A toolset: tools of several servers under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolsetFacts {
    /// Its id.
    pub id: ToolsetId,
    /// Its name, under which it has routes of its own.
    pub name: String,
    /// Its tools.
    pub tools: Vec<ToolsetTool>,
}

/// One tool of a toolset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolsetTool {
    /// The server's id.
    pub server_id: ServerId,
    /// The tool's bare name.
    pub tool_name: String,
}

/// Everything that permissions may name.
#[derive(Debug, Default)]
pub struct World {
    servers: Vec<ServerFacts>,
    by_id: HashMap<ServerId, usize>,
    by_name: HashMap<String, Vec<usize>>,
    by_prefix: HashMap<String, Vec<usize>>,
    tagged: HashMap<String, ServerSet>,
    submitted: HashMap<UserId, ServerSet>,
    active: ServerSet,
    allow_all_keys: ServerSet,
    internal_only: ServerSet,
    anonymous: ServerSet,
    access_groups: HashMap<AccessGroupId, AccessGroupFacts>,
    toolsets: HashMap<ToolsetId, ToolsetFacts>,
    toolsets_by_name: HashMap<String, ToolsetId>,
}

impl World {
    /// A world of these. Of two servers with the same id the first is there; an id goes before another's other id.
    pub fn new(
        servers: impl IntoIterator<Item = ServerFacts>,
        access_groups: impl IntoIterator<Item = AccessGroupFacts>,
        toolsets: impl IntoIterator<Item = ToolsetFacts>,
    ) -> Self {
        let mut world = Self::default();
        for server in servers {
            world.add_server(server);
        }
        world.add_other_ids();
        world.add_prefixes();
        for group in access_groups {
            world.access_groups.insert(group.id.clone(), group);
        }
        for toolset in toolsets {
            world.toolsets_by_name.insert(toolset.name.clone(), toolset.id.clone());
            world.toolsets.insert(toolset.id.clone(), toolset);
        }
        world
    }

    fn add_server(&mut self, server: ServerFacts) {
        let index = self.servers.len();
        if self.by_id.contains_key(&server.id) {
            return;
        }
        self.by_id.insert(server.id.clone(), index);
        let names: BTreeSet<&str> =
            [Some(server.name.as_str()), server.alias.as_deref()].into_iter().flatten().collect();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            self.by_name.entry(name.to_owned()).or_default().push(index);
        }
        for tag in &server.access_groups {
            self.tagged.entry(tag.clone()).or_default().insert(index);
        }
        if server.approval_status == ApprovalStatus::Active {
            self.active.insert(index);
        }
        if server.allow_all_keys {
            self.allow_all_keys.insert(index);
        }
        if !server.available_on_public_internet {
            self.internal_only.insert(index);
        }
        if server.open_to_anonymous {
            self.anonymous.insert(index);
        }
        if let Some(user) = &server.submitted_by {
            self.submitted.entry(user.clone()).or_default().insert(index);
        }
        self.servers.push(server);
    }

    fn add_other_ids(&mut self) {
        for (index, server) in self.servers.iter().enumerate() {
            for id in &server.other_ids {
                self.by_id.entry(id.clone()).or_insert(index);
            }
        }
    }

    /// A name with spaces is listed with `_` for them.
    fn add_prefixes(&mut self) {
        for (index, server) in self.servers.iter().enumerate() {
            let names = server.names().flat_map(|name| [name.to_owned(), name.replace(' ', "_")]);
            for name in names.collect::<BTreeSet<_>>() {
                self.by_prefix.entry(name).or_default().push(index);
            }
        }
    }

    /// All servers, those not in use included.
    pub fn servers(&self) -> &[ServerFacts] {
        &self.servers
    }

    /// The server with this id or other id.
    pub fn server(&self, id: &str) -> Option<&ServerFacts> {
        self.by_id.get(id).map(|index| &self.servers[*index])
    }

    /// The servers that a permission means by this text: the one with that id or other id, else all with that name
    /// or alias.
    pub fn named<'a>(&'a self, identifier: &str) -> impl Iterator<Item = &'a ServerFacts> {
        self.positions(identifier).iter().map(|index| &self.servers[*index])
    }

    /// A unified access group.
    pub fn access_group(&self, id: &AccessGroupId) -> Option<&AccessGroupFacts> {
        self.access_groups.get(id)
    }

    /// A toolset.
    pub fn toolset(&self, id: &ToolsetId) -> Option<&ToolsetFacts> {
        self.toolsets.get(id)
    }

    /// The toolset of this name.
    pub fn toolset_named(&self, name: &str) -> Option<&ToolsetFacts> {
        self.toolsets_by_name.get(name).and_then(|id| self.toolsets.get(id))
    }

    /// Where the servers stand that a permission means by this text. Empty: there is none.
    pub(crate) fn positions(&self, identifier: &str) -> &[usize] {
        if let Some(index) = self.by_id.get(identifier) {
            return std::slice::from_ref(index);
        }
        self.by_name.get(identifier).map_or(&[], Vec::as_slice)
    }

    /// Where the servers stand whose tools may be listed behind this prefix.
    pub(crate) fn prefixed(&self, prefix: &str) -> &[usize] {
        self.by_prefix.get(prefix).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn position(&self, id: &ServerId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn tagged(&self, tag: &str) -> Option<&ServerSet> {
        self.tagged.get(tag)
    }

    pub(crate) fn submitted_by(&self, user: &UserId) -> Option<&ServerSet> {
        self.submitted.get(user)
    }

    pub(crate) fn active(&self) -> &ServerSet {
        &self.active
    }

    pub(crate) fn allow_all_keys(&self) -> &ServerSet {
        &self.allow_all_keys
    }

    pub(crate) fn internal_only(&self) -> &ServerSet {
        &self.internal_only
    }

    pub(crate) fn anonymous(&self) -> &ServerSet {
        &self.anonymous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(world: &World, identifier: &str) -> Vec<String> {
        world.named(identifier).map(|server| server.id.to_string()).collect()
    }

    #[test]
    fn a_server_is_found_by_both_ids_by_name_and_by_alias() {
        let world = World::new(
            [ServerFacts {
                other_ids: vec!["other".into()],
                alias: Some("gh".into()),
                ..ServerFacts::new("id", "github")
            }],
            [],
            [],
        );
        for identifier in ["id", "other", "github", "gh"] {
            assert_eq!(names(&world, identifier), ["id"], "{identifier}");
        }
        for identifier in ["", "GH", "git", "ID"] {
            assert!(names(&world, identifier).is_empty(), "{identifier}");
        }
    }

    #[test]
    fn a_name_that_two_servers_have_means_both_and_an_id_only_its_server() {
        let world = World::new(
            [
                ServerFacts::new("1", "docs"),
                ServerFacts { alias: Some("docs".into()), ..ServerFacts::new("2", "wiki") },
                ServerFacts::new("3", "1"),
            ],
            [],
            [],
        );
        assert_eq!(names(&world, "docs"), ["1", "2"]);
        assert_eq!(names(&world, "1"), ["1"]);
    }

    #[test]
    fn an_id_goes_before_another_servers_other_id_and_the_first_of_two_equal_ids_is_there() {
        let world = World::new(
            [
                ServerFacts { other_ids: vec!["2".into()], ..ServerFacts::new("1", "a") },
                ServerFacts::new("2", "b"),
                ServerFacts::new("1", "c"),
            ],
            [],
            [],
        );
        assert_eq!(world.server("2").unwrap().name, "b");
        assert_eq!(world.server("1").unwrap().name, "a");
        assert_eq!(world.servers().len(), 2);
        assert!(names(&world, "c").is_empty());
    }
}
