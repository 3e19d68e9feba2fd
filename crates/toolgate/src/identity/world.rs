//! What there is to be reached: the servers of the configuration, and access groups and toolsets of the database.

use std::net::IpAddr;
use std::sync::Arc;

use toolgate_access::grant::{self, Grant, Place};
use toolgate_access::id::{AccessGroupId, ServerId, TeamId, ToolsetId, UserId};
use toolgate_access::issue::{self, Giver, IssueError};
use toolgate_access::permission::ObjectPermission;
use toolgate_access::principal::Principal;
use toolgate_access::role::Role;
use toolgate_access::rules::{ClientPlace, Rules};
use toolgate_access::world::{AccessGroupFacts, ServerFacts, ToolsetFacts, ToolsetTool, World};
use toolgate_store::{AccessGroup, Store, StoreError, Toolset};

use crate::config::Settings;
use crate::config::settings::{Origin, ServerSettings};

/// One state of the world, with the rules that hold in it. A grant is worked out against one of these.
pub(super) struct Reach {
    world: World,
    rules: Rules,
    kept: Arc<Kept>,
    servers: Vec<ServerFacts>,
    master: Arc<Principal>,
    masters_grants: [Arc<Grant>; 2],
}

/// What of the world is in the database.
#[derive(Default)]
pub(super) struct Kept {
    access_groups: Vec<AccessGroupFacts>,
    toolsets: Vec<ToolsetFacts>,
}

impl Kept {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        let access_groups = store.access_groups().await?.into_iter().filter_map(access_group).collect();
        let toolsets = store.toolsets().await?.into_iter().map(toolset).collect();
        Ok(Self { access_groups, toolsets })
    }
}

impl Reach {
    pub(super) fn of_config(settings: &Settings) -> Self {
        Self::of(servers(settings), settings.access.clone(), Arc::default())
    }

    pub(super) fn with_config(&self, settings: &Settings) -> Self {
        Self::of(servers(settings), settings.access.clone(), Arc::clone(&self.kept))
    }

    pub(super) fn with_kept(&self, kept: Arc<Kept>) -> Self {
        Self::of(self.servers.clone(), self.rules.clone(), kept)
    }

    fn of(servers: Vec<ServerFacts>, rules: Rules, kept: Arc<Kept>) -> Self {
        let world = World::new(servers.clone(), kept.access_groups.clone(), kept.toolsets.clone());
        let master = Arc::new(Principal::master());
        let of_master =
            |client: ClientPlace| Arc::new(grant::compile(&world, &master, &rules, &Place { client, toolset: None }));
        let masters_grants = [ClientPlace::Internal, ClientPlace::External].map(of_master);
        Self { world, rules, kept, servers, master, masters_grants }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    pub(super) fn master(&self) -> Arc<Principal> {
        Arc::clone(&self.master)
    }

    pub(super) fn masters_grant(&self, from: Option<IpAddr>) -> Arc<Grant> {
        Arc::clone(&self.masters_grants[place_index(self.rules.client_at(from))])
    }

    /// Whether a request that names a customer reaches less, be there a row of that customer or not.
    pub(super) fn asks_for_customers(&self) -> bool {
        self.rules.require_end_user_mcp_access_defined
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn place_of(&self, from: Option<IpAddr>) -> ClientPlace {
        self.rules.client_at(from)
    }

    /// A proxy admin gives what they like; anybody else only what they reach themselves.
    pub(super) fn check_given(
        &self,
        giver: &Giver,
        grant: &Grant,
        before: Option<&ObjectPermission>,
        after: &ObjectPermission,
    ) -> Result<(), IssueError> {
        issue::check_tool_keys(&self.world, before, after)?;
        issue::check_team_servers(giver, before, after)?;
        if giver.role.is_some_and(Role::manages_everything) {
            return Ok(());
        }
        issue::within_grant(&self.world, grant, after, before)
    }

    pub(super) fn compile(&self, principal: &Principal, place: &Place) -> Grant {
        grant::compile(&self.world, principal, &self.rules, place)
    }
}

/// Where a client is, as an index of two.
pub(super) fn place_index(place: ClientPlace) -> usize {
    match place {
        ClientPlace::Internal => 0,
        ClientPlace::External => 1,
    }
}

fn servers(settings: &Settings) -> Vec<ServerFacts> {
    settings.servers.iter().map(|server| facts(server)).collect()
}

fn facts(server: &ServerSettings) -> ServerFacts {
    ServerFacts {
        other_ids: server.other_ids.clone(),
        alias: server.alias.clone(),
        access_groups: server.access_groups.clone(),
        allow_all_keys: server.allow_all_keys,
        available_on_public_internet: server.available_on_public_internet,
        submitted_by: match &server.origin {
            Origin::Database { submitted_by } => submitted_by.clone().map(UserId::from),
            Origin::File => None,
        },
        ..ServerFacts::new(server.id.clone(), server.name.clone())
    }
}

/// A group whose owners cannot be read opens nothing.
fn access_group(group: AccessGroup) -> Option<AccessGroupFacts> {
    let keys: Result<Vec<_>, _> = group.assigned_key_ids.iter().map(|hash| hash.parse()).collect();
    let Ok(assigned_key_ids) = keys else {
        tracing::warn!(
            access_group = group.access_group_id,
            "an access group names a key that is no hash; it is left out"
        );
        return None;
    };
    Some(AccessGroupFacts {
        access_mcp_server_ids: group.access_mcp_server_ids,
        mcp_tool_permissions: group.mcp_tool_permissions.unwrap_or_default(),
        assigned_team_ids: group.assigned_team_ids.into_iter().map(TeamId::from).collect(),
        assigned_key_ids,
        ..AccessGroupFacts::new(AccessGroupId::from(group.access_group_id), group.access_group_name)
    })
}

fn toolset(toolset: Toolset) -> ToolsetFacts {
    let tools = toolset.tools.into_iter();
    ToolsetFacts {
        id: ToolsetId::from(toolset.toolset_id),
        name: toolset.toolset_name,
        tools: tools
            .map(|tool| ToolsetTool { server_id: ServerId::from(tool.server_id), tool_name: tool.tool_name })
            .collect(),
    }
}
