//! The things that are managed, by the name of their table.

use std::fmt;

macro_rules! nouns {
    ($($(#[$meta:meta])* $noun:ident = $table:literal),* $(,)?) => {
        /// A kind of thing that the store keeps and that people manage.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Noun {
            $($(#[$meta])* $noun),*
        }

        impl Noun {
            /// The name of its table, as the audit log says it.
            pub const fn table(self) -> &'static str {
                match self {
                    $(Self::$noun => $table),*
                }
            }

            pub(crate) fn of_table(table: &str) -> Option<Self> {
                match table {
                    $($table => Some(Self::$noun),)*
                    _ => None,
                }
            }
        }
    };
}

nouns! {
    /// A virtual key; its id is the hash.
    Key = "keys",
    /// A former hash of a key that was regenerated; its id is that hash.
    DeprecatedKey = "deprecated_keys",
    /// A team.
    Team = "teams",
    /// A user's place in a team; its id is `team_id/user_id`.
    TeamMembership = "team_memberships",
    /// An organization.
    Organization = "organizations",
    /// A user's place in an organization; its id is `organization_id/user_id`.
    OrganizationMembership = "organization_memberships",
    /// An internal user.
    User = "users",
    /// An end user.
    Customer = "customers",
    /// A project.
    Project = "projects",
    /// A budget that others refer to.
    Budget = "budgets",
    /// A unified access group.
    AccessGroup = "access_groups",
    /// A toolset.
    Toolset = "toolsets",
    /// An MCP server.
    Server = "servers",
    /// A user's own credential for a server; its id is `user_id/server_id`.
    UserCredential = "user_credentials",
    /// A user's own environment values for a server; its id is `user_id/server_id`.
    UserEnvVars = "user_env_vars",
    /// The gateway's own OAuth client at a server's authorization server; its id is `server_id`.
    ServerOauthClient = "server_oauth_clients",
    /// A setting that is kept in the database.
    Setting = "settings",
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table())
    }
}
