//! What may be given by whom, when a key, team or user is made or changed.
//!
//! Nobody gives what they do not have. The checks here are for the moment of giving; at use a key is narrowed by its
//! team, user and organization again ([`crate::grant`]), so what its giver loses it loses too where it came from them.
//!
//! Stricter than LiteLLM 1.109 where that lets a caller who is no admin widen a key:
//!
//! - A name that leads to no server is refused (LiteLLM drops it): a list that lost its last name would take over the
//!   team's servers, and a kept one would open a server that gets this name later.
//! - Toolsets of a key in a team are among the team's; LiteLLM lets any through where the team has none.
//! - Tools are compared, not only servers, in [`within_grant`].
//! - Whose own key is bound to some routes gives keys no others; a key made without `allowed_routes` would have all.

mod key_scope;
mod own_grant;
mod privileges;

pub use key_scope::{KeyScope, check_key_scope};
pub use own_grant::within_grant;
pub use privileges::{
    check_access_groups, check_allowed_routes, check_created_role, check_max_budget, check_owner, check_role_change,
    check_team, check_team_servers, check_tool_keys,
};

use crate::id::{TeamId, UserId};
use crate::role::Role;

/// Why something may not be given. The texts are LiteLLM's where it has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IssueError {
    /// A key in a team names servers that the team has not.
    #[error(
        "Key requests MCP servers not allowed by team '{team}': {}. Team allows: {}. Global (allow_all_keys) servers: {}.",
        list(.disallowed), list(.allowed), list(.open)
    )]
    ServersNotOfTeam {
        /// The team.
        team: TeamId,
        /// The servers that it has not.
        disallowed: Vec<String>,
        /// Those that it has.
        allowed: Vec<String>,
        /// Those open to all keys.
        open: Vec<String>,
    },
    /// A key without a team names servers.
    #[error(
        "Key is not in a team. Only globally available (allow_all_keys) MCP servers can be assigned: {}. Disallowed servers: {}.",
        list(.open), list(.disallowed)
    )]
    ServersWithoutTeam {
        /// The servers.
        disallowed: Vec<String>,
        /// Those open to all keys.
        open: Vec<String>,
    },
    /// A key in a team names tags that the team has not.
    #[error("Key requests MCP access groups not allowed by team '{team}': {}. Team allows: {}.", list(.disallowed), list(.allowed))]
    TagsNotOfTeam {
        /// The team.
        team: TeamId,
        /// The tags that it has not.
        disallowed: Vec<String>,
        /// Those that it has.
        allowed: Vec<String>,
    },
    /// A key without a team names tags.
    #[error(
        "Key is not in a team. MCP access groups cannot be assigned to keys outside of a team. Disallowed groups: {}.",
        list(.disallowed)
    )]
    TagsWithoutTeam {
        /// The tags.
        disallowed: Vec<String>,
    },
    /// A key in a team names toolsets that the team has not.
    #[error("Key requests MCP toolsets not allowed by team '{team}': {}. Team allows: {}.", list(.disallowed), list(.allowed))]
    ToolsetsNotOfTeam {
        /// The team.
        team: TeamId,
        /// The toolsets that it has not.
        disallowed: Vec<String>,
        /// Those that it has.
        allowed: Vec<String>,
    },
    /// A key without a team names toolsets.
    #[error(
        "Key is not in a team. MCP toolsets cannot be assigned to personal keys by non-admin callers. Disallowed toolsets: {}.",
        list(.disallowed)
    )]
    ToolsetsWithoutTeam {
        /// The toolsets.
        disallowed: Vec<String>,
    },
    /// Names that lead nowhere.
    #[error("these names lead to no MCP server: {}", list(.0))]
    UnknownServers(Vec<String>),
    /// A name in `mcp_tool_permissions` that several servers have.
    #[error(
        "Ambiguous mcp_tool_permissions key: '{identifier}' matches MCP servers {}. \
         Key tool permissions by server_id when servers share a name or alias.",
        list(.servers)
    )]
    AmbiguousServer {
        /// The name.
        identifier: String,
        /// The ids of the servers.
        servers: Vec<String>,
    },
    /// `all-proxy-mcpservers`, by somebody who is no proxy admin.
    #[error("Only a proxy admin can grant a team access to all proxy MCP servers ('all-proxy-mcpservers').")]
    AllServers,
    /// A server that the giver does not reach.
    #[error("you cannot grant MCP server '{0}', which you cannot use yourself")]
    ServerNotHeld(String),
    /// Tools that the giver may not use.
    #[error("you cannot grant all tools of MCP server '{server}' or its tool '{tool}', which you cannot use yourself")]
    ToolNotHeld {
        /// The server.
        server: String,
        /// The tool, `*` for all.
        tool: String,
    },
    /// A change that leaves a permission without any name, or a blocked tool unblocked, would open what it bounds.
    #[error(
        "Only proxy admins can remove the last server of a permission (use 'no-mcp-servers' for none) or unblock tools."
    )]
    RemovesBound,
    /// Access groups, which reach beyond the key's team.
    #[error(
        "Team members cannot assign access groups to keys for team {}. Ask a team or proxy admin to enable the \
         '/key/access_group_assignment' team member permission to allow this.",
        .0.as_ref().map_or("None", TeamId::as_str)
    )]
    AccessGroups(Option<TeamId>),
    /// `allowed_routes`, by somebody who is no proxy admin.
    #[error(
        "Only proxy admins can set `allowed_routes` on a key. Use `key_type` to pick a preset route bucket instead."
    )]
    AllowedRoutes,
    /// More routes than the giver's own key may use.
    #[error("allowed_routes cannot exceed the caller's own allowed_routes ({}).", list(.0))]
    RoutesAboveOwn(Vec<String>),
    /// A budget above the giver's own.
    #[error("max_budget ({requested:?}) cannot exceed the caller's own max_budget ({ceiling:?}).")]
    BudgetAboveOwn {
        /// What was asked for, in USD.
        requested: f64,
        /// What the giver has, in USD.
        ceiling: f64,
    },
    /// No bound where the giver has one.
    #[error("max_budget is needed, and cannot exceed the caller's own max_budget ({ceiling:?}).")]
    BudgetNeeded {
        /// What the giver has, in USD.
        ceiling: f64,
    },
    /// A budget that is no amount.
    #[error("max_budget must be a non-negative finite number. Received: {0:?}")]
    BudgetNoAmount(f64),
    /// A key for somebody else.
    #[error("User can only create keys for themselves. Got user_id={requested}, Your ID={}", .own.as_ref().map_or("None", UserId::as_str))]
    OtherUser {
        /// For whom.
        requested: UserId,
        /// By whom.
        own: Option<UserId>,
    },
    /// Taking a key's user away.
    #[error("Non-admin users cannot remove the user_id from a key.")]
    RemovesUser,
    /// Giving a key to another user.
    #[error("Non-admin caller is not allowed to rebind the key from user={} to user={to}", .from.as_ref().map_or("None", UserId::as_str))]
    RebindsUser {
        /// Whose it is.
        from: Option<UserId>,
        /// Whose it would be.
        to: UserId,
    },
    /// A team that the giver is not in.
    #[error("User={} not assigned to team={team}", .user.as_ref().map_or("None", UserId::as_str))]
    NotInTeam {
        /// The giver.
        user: Option<UserId>,
        /// The team.
        team: TeamId,
    },
    /// An administrative role for a new user.
    #[error(
        "Only proxy admins can create administrative users (proxy_admin, proxy_admin_viewer). \
         Attempted to create user with role: {}. Your role: {}",
        .given.as_str(), .own.map_or("None", Role::as_str)
    )]
    AdministrativeRole {
        /// The role.
        given: Role,
        /// The giver's.
        own: Option<Role>,
    },
    /// Another role for a user.
    #[error("Only proxy admins can modify user roles.")]
    RoleChange,
}

impl IssueError {
    /// Whether the request makes no sense whoever sends it (LiteLLM answers 400), rather than being refused to this
    /// caller (403).
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::UnknownServers(_)
            | Self::AmbiguousServer { .. }
            | Self::BudgetAboveOwn { .. }
            | Self::BudgetNeeded { .. }
            | Self::BudgetNoAmount(_) => true,
            Self::ServersNotOfTeam { .. }
            | Self::ServersWithoutTeam { .. }
            | Self::TagsNotOfTeam { .. }
            | Self::TagsWithoutTeam { .. }
            | Self::ToolsetsNotOfTeam { .. }
            | Self::ToolsetsWithoutTeam { .. }
            | Self::AllServers
            | Self::ServerNotHeld(_)
            | Self::ToolNotHeld { .. }
            | Self::RemovesBound
            | Self::AccessGroups(_)
            | Self::AllowedRoutes
            | Self::RoutesAboveOwn(_)
            | Self::OtherUser { .. }
            | Self::RemovesUser
            | Self::RebindsUser { .. }
            | Self::NotInTeam { .. }
            | Self::AdministrativeRole { .. }
            | Self::RoleChange => false,
        }
    }
}

/// As LiteLLM prints lists: `['a', 'b']`.
fn list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Who gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Giver {
    /// Their role on the whole gateway.
    pub role: Option<Role>,
    /// Their user, if they have one.
    pub user_id: Option<UserId>,
    /// The most that they may spend themselves, in USD: the least of their key's and user's budgets.
    pub max_budget: Option<f64>,
    /// Which routes their own key may use; empty: all that their role has.
    pub allowed_routes: Vec<String>,
}

impl Giver {
    /// Whoever has the master key.
    pub fn master() -> Self {
        Self { role: Some(Role::ProxyAdmin), ..Self::default() }
    }

    fn is_proxy_admin(&self) -> bool {
        self.role.is_some_and(Role::manages_everything)
    }
}
