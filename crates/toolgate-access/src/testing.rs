//! Worlds and callers for tests, in few words.

use crate::grant::Place;
use crate::id::CustomerId;
use crate::key::KeyHash;
use crate::permission::ObjectPermission;
use crate::principal::{
    AgentCaller, AgentFacts, Credential, CustomerFacts, KeyFacts, Link, OrganizationFacts, Permission, Principal,
    ProjectFacts, SessionFacts, TeamFacts, TokenFacts, UserFacts,
};
use crate::role::Role;
use crate::rules::{ClientPlace, Rules};
use crate::world::{AccessGroupFacts, ApprovalStatus, ServerFacts, ToolsetFacts, ToolsetTool, World};

/// Servers `github` (id `g1`, other id `g2`, alias `gh`, tag `dev`), `wiki` (tags `dev` and `docs`), `jira`, `chat`.
/// Toolsets `triage` (id `t1`: `github` `list_issues` and `get_issue`, `jira` `find`) and `empty` (`t0`). Access groups
/// `ag-wiki` (wiki, whole), `ag-github` (github, only `get_issue`), `ag-owned` (github, only `merge`; team `dev` owns
/// it), `ag-models` (no servers).
pub(crate) fn world() -> World {
    World::new(servers(), groups(), toolsets())
}

/// The same with `open` (to all keys), `mine` (proposed by user `ann`), `pending` (proposed by her, not approved),
/// `inside` (internal only) and `through` (open without a key).
pub(crate) fn wide_world() -> World {
    let more = [
        ServerFacts { allow_all_keys: true, ..ServerFacts::new("open", "open") },
        ServerFacts { submitted_by: Some("ann".into()), ..ServerFacts::new("mine", "mine") },
        ServerFacts {
            submitted_by: Some("ann".into()),
            approval_status: ApprovalStatus::PendingReview,
            ..ServerFacts::new("pending", "pending")
        },
        ServerFacts { available_on_public_internet: false, ..ServerFacts::new("inside", "inside") },
        ServerFacts { open_to_anonymous: true, ..ServerFacts::new("through", "through") },
    ];
    World::new(servers().into_iter().chain(more), groups(), toolsets())
}

fn servers() -> Vec<ServerFacts> {
    vec![
        ServerFacts {
            other_ids: vec!["g2".into()],
            alias: Some("gh".into()),
            access_groups: vec!["dev".into()],
            ..ServerFacts::new("g1", "github")
        },
        ServerFacts { access_groups: vec!["dev".into(), "docs".into()], ..ServerFacts::new("w1", "wiki") },
        ServerFacts::new("j1", "jira"),
        ServerFacts::new("c1", "chat"),
    ]
}

fn groups() -> Vec<AccessGroupFacts> {
    let tools = |server: &str, tool: &str| [(server.to_owned(), vec![tool.to_owned()])].into();
    vec![
        AccessGroupFacts {
            access_mcp_server_ids: vec!["w1".into()],
            ..AccessGroupFacts::new("ag-wiki", "wiki readers")
        },
        AccessGroupFacts {
            access_mcp_server_ids: vec!["gh".into()],
            mcp_tool_permissions: tools("g1", "get_issue"),
            ..AccessGroupFacts::new("ag-github", "issue readers")
        },
        AccessGroupFacts {
            access_mcp_server_ids: vec!["g1".into()],
            mcp_tool_permissions: tools("github", "merge"),
            assigned_team_ids: vec!["dev".into()],
            ..AccessGroupFacts::new("ag-owned", "mergers")
        },
        AccessGroupFacts::new("ag-models", "models"),
    ]
}

fn toolsets() -> Vec<ToolsetFacts> {
    let tool = |server: &str, tool: &str| ToolsetTool { server_id: server.into(), tool_name: tool.into() };
    vec![
        ToolsetFacts {
            id: "t1".into(),
            name: "triage".into(),
            tools: vec![tool("g1", "list_issues"), tool("g1", "get_issue"), tool("j1", "find")],
        },
        ToolsetFacts { id: "t0".into(), name: "empty".into(), tools: Vec::new() },
    ]
}

/// A permission from JSON; `""` is none.
pub(crate) fn permission(json: &str) -> Permission {
    if json.is_empty() { Permission::None } else { Link::found(permission_row(json)) }
}

pub(crate) fn permission_row(json: &str) -> ObjectPermission {
    serde_json::from_str(json).unwrap()
}

/// A permission for these servers.
pub(crate) fn servers_json(servers: &str) -> String {
    let names: Vec<_> = servers.split_whitespace().collect();
    serde_json::json!({ "mcp_servers": names }).to_string()
}

/// A key `ci` with a permission from JSON.
pub(crate) fn key(json: &str) -> Principal {
    let facts = KeyFacts {
        key_alias: Some("ci".into()),
        permission: permission(json),
        ..KeyFacts::new(KeyHash::from([7; 32]))
    };
    Principal::with(Credential::Key(Box::new(facts)))
}

/// A JWT for user `ann`, whose permission is this.
pub(crate) fn token(json: &str) -> Principal {
    Principal::with(Credential::Token(TokenFacts { user_id: Some("ann".into()) })).user(json)
}

/// User `ann` signed in, with a permission.
pub(crate) fn session(json: &str, teams: Vec<TeamFacts>) -> Principal {
    Principal::with(Credential::Session(SessionFacts { teams, ..SessionFacts::default() })).user(json)
}

/// A team with a permission.
pub(crate) fn team(id: &str, json: &str) -> TeamFacts {
    TeamFacts { permission: permission(json), ..TeamFacts::new(id) }
}

/// An organization with a permission.
pub(crate) fn organization(id: &str, json: &str) -> OrganizationFacts {
    OrganizationFacts { permission: permission(json), ..OrganizationFacts::new(id) }
}

impl Principal {
    pub(crate) fn facts(&mut self) -> &mut KeyFacts {
        match &mut self.credential {
            Credential::Key(facts) => facts,
            _ => panic!("no key"),
        }
    }

    pub(crate) fn groups(mut self, ids: &[&str]) -> Self {
        let ids = ids.iter().map(|id| (*id).into()).collect();
        match &mut self.credential {
            Credential::Key(facts) => facts.access_group_ids = ids,
            Credential::Session(facts) => facts.access_group_ids = ids,
            _ => panic!("no groups here"),
        }
        self
    }

    /// Puts a key into team `dev`.
    pub(crate) fn team(self, json: &str) -> Self {
        self.team_is(team("dev", json))
    }

    pub(crate) fn team_is(self, team: TeamFacts) -> Self {
        Self { team: Link::found(team), ..self }
    }

    /// Puts it into organization `acme`.
    pub(crate) fn org(self, json: &str) -> Self {
        Self { organization: Link::found(organization("acme", json)), ..self }
    }

    /// Gives a key to user `ann`.
    pub(crate) fn user(mut self, json: &str) -> Self {
        if let Credential::Key(facts) = &mut self.credential {
            facts.user_id = Some("ann".into());
        }
        Self { user: Some(UserFacts { permission: permission(json), ..UserFacts::new("ann") }), ..self }
    }

    /// With user `ann`, who has this role.
    pub(crate) fn role_is(self, role: Role) -> Self {
        let mut it = if self.user.is_some() { self } else { self.user("") };
        it.user.as_mut().unwrap().user_role = Some(role);
        it
    }

    /// For customer `bob`.
    pub(crate) fn customer(self, json: &str) -> Self {
        let customer = CustomerFacts { permission: permission(json), ..CustomerFacts::new(CustomerId::from("bob")) };
        Self { customer: Some(customer), ..self }
    }

    /// Bound to agent `bot`.
    pub(crate) fn agent(self, json: &str, groups: &[&str]) -> Self {
        let access_group_ids = groups.iter().map(|id| (*id).into()).collect();
        let agent = AgentFacts { permission: permission(json), access_group_ids, ..AgentFacts::new("bot") };
        Self { agent: Link::found(agent), ..self }
    }

    /// Had done by user `eve` of team `ops`.
    pub(crate) fn caller(self, of_team: &str, of_user: &str) -> Self {
        let user = UserFacts { permission: permission(of_user), ..UserFacts::new("eve") };
        let caller = AgentCaller { team: Link::found(team("ops", of_team)), user: Link::found(user) };
        Self { agent_caller: Some(caller), ..self }
    }

    /// In project `p`.
    pub(crate) fn project(self, json: &str) -> Self {
        let project = ProjectFacts { permission: permission(json), ..ProjectFacts::new("p") };
        Self { project: Link::found(project), ..self }
    }
}

/// What a principal reaches, as sorted labels.
pub(crate) fn reached(world: &World, principal: &Principal, rules: &Rules, place: &Place) -> String {
    let grant = crate::grant::compile(world, principal, rules, place);
    let mut labels: Vec<_> = grant.servers().map(|(id, _)| world.server(id.as_str()).unwrap().name.as_str()).collect();
    labels.sort_unstable();
    labels.join(" ")
}

/// Within the gateway's own network.
pub(crate) fn internal() -> Place {
    Place::from(ClientPlace::Internal)
}
