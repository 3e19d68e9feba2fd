//! Identifiers as types, so that a team's can never be used as a server's.
//!
//! All are strings as LiteLLM stores them (mostly UUIDs, but any text is possible), cheap to clone, compared exactly.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as it is stored.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(Arc::from(id))
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(Arc::from(id))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }
    )*};
}

id! {
    /// An MCP server (`server_id`).
    ServerId;
    /// A team (`team_id`).
    TeamId;
    /// An organization (`organization_id`).
    OrganizationId;
    /// An internal user (`user_id`): a person with a role.
    UserId;
    /// A customer, also called end user (`end_user_id`): whom a caller acts for.
    CustomerId;
    /// A project (`project_id`).
    ProjectId;
    /// An agent that a key is bound to (`agent_id`).
    AgentId;
    /// A unified access group (`access_group_id`), not the tags on servers that are called access groups too.
    AccessGroupId;
    /// A toolset (`toolset_id`).
    ToolsetId;
}
