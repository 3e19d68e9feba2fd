//! Who somebody is on the whole gateway, in an organization and in a team, and what that lets them do.
//!
//! A role opens nothing by itself on the way to tools, but for proxy admins (see [`crate::grant`]).

use serde::{Deserialize, Serialize};

/// A role on the whole gateway (`user_role`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Administers everything. The master key has this role.
    #[serde(rename = "proxy_admin")]
    ProxyAdmin,
    /// Sees everything that an admin sees, and changes nothing of others.
    #[serde(rename = "proxy_admin_viewer")]
    ProxyAdminViewer,
    /// Administers organizations: those in which they are an [`OrganizationRole::OrgAdmin`].
    #[serde(rename = "org_admin")]
    OrgAdmin,
    /// Makes and deletes their own keys and sees what they spend.
    #[serde(rename = "internal_user")]
    InternalUser,
    /// Sees their own keys and what they spend.
    #[serde(rename = "internal_user_viewer")]
    InternalUserViewer,
    /// A team that authenticates as itself, by a JWT.
    #[serde(rename = "team")]
    Team,
    /// A customer of whoever runs the gateway, who authenticates as themselves.
    #[serde(rename = "customer")]
    Customer,
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 7] = [
        Self::ProxyAdmin,
        Self::ProxyAdminViewer,
        Self::OrgAdmin,
        Self::InternalUser,
        Self::InternalUserViewer,
        Self::Team,
        Self::Customer,
    ];

    /// LiteLLM's word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProxyAdmin => "proxy_admin",
            Self::ProxyAdminViewer => "proxy_admin_viewer",
            Self::OrgAdmin => "org_admin",
            Self::InternalUser => "internal_user",
            Self::InternalUserViewer => "internal_user_viewer",
            Self::Team => "team",
            Self::Customer => "customer",
        }
    }

    /// The role of that name; `None` for any other text, which gives nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// May change everything of everybody.
    pub const fn manages_everything(self) -> bool {
        matches!(self, Self::ProxyAdmin)
    }

    /// May see everything of everybody.
    pub const fn sees_everything(self) -> bool {
        matches!(self, Self::ProxyAdmin | Self::ProxyAdminViewer)
    }

    /// May make keys for themselves, change and delete them.
    pub const fn manages_own_keys(self) -> bool {
        matches!(self, Self::ProxyAdmin | Self::OrgAdmin | Self::InternalUser)
    }

    /// May see their own keys and spend.
    pub const fn sees_own(self) -> bool {
        !matches!(self, Self::Team | Self::Customer)
    }

    /// May propose servers for others to use (`/v1/mcp/server/register`).
    pub const fn submits_servers(self) -> bool {
        matches!(self, Self::ProxyAdmin | Self::OrgAdmin | Self::InternalUser)
    }

    /// May give another user this role.
    pub const fn may_give(self, _role: Self) -> bool {
        matches!(self, Self::ProxyAdmin)
    }
}

/// A role in one organization (`user_role` of an organization's member).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrganizationRole {
    /// Administers the organization's teams, users and keys, but not its own bounds.
    #[serde(rename = "org_admin")]
    OrgAdmin,
    /// A member.
    #[serde(rename = "internal_user")]
    InternalUser,
    /// A member who only sees.
    #[serde(rename = "internal_user_viewer")]
    InternalUserViewer,
}

impl OrganizationRole {
    /// LiteLLM's word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrgAdmin => "org_admin",
            Self::InternalUser => "internal_user",
            Self::InternalUserViewer => "internal_user_viewer",
        }
    }

    /// The role of that name; `None` for any other text, which gives nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OrgAdmin, Self::InternalUser, Self::InternalUserViewer].into_iter().find(|role| role.as_str() == name)
    }

    /// May manage the organization's teams, members and keys.
    pub const fn manages(self) -> bool {
        matches!(self, Self::OrgAdmin)
    }
}

/// A role in one team (`role` in `members_with_roles`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TeamRole {
    /// Administers the team's members and keys, but not its own bounds.
    #[serde(rename = "admin")]
    Admin,
    /// A member.
    #[serde(rename = "user")]
    User,
}

impl TeamRole {
    /// LiteLLM's word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    /// The role of that name; `None` for any other text, which gives nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Admin, Self::User].into_iter().find(|role| role.as_str() == name)
    }

    /// May manage the team's members and keys.
    pub const fn manages(self) -> bool {
        matches!(self, Self::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("{:?}", role.as_str()));
        }
        for role in [TeamRole::Admin, TeamRole::User] {
            assert_eq!(TeamRole::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("{:?}", role.as_str()));
        }
        let organization =
            [OrganizationRole::OrgAdmin, OrganizationRole::InternalUser, OrganizationRole::InternalUserViewer];
        for role in organization {
            assert_eq!(OrganizationRole::from_name(role.as_str()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("{:?}", role.as_str()));
        }
        for unknown in ["", "PROXY_ADMIN", "proxy_admin ", "app_owner"] {
            assert_eq!(Role::from_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_role_does_what_litellm_lets_it() {
        let all = |may: fn(Role) -> bool| Role::ALL.into_iter().filter(|role| may(*role)).collect::<Vec<_>>();

        assert_eq!(all(Role::manages_everything), [Role::ProxyAdmin]);
        assert_eq!(all(Role::sees_everything), [Role::ProxyAdmin, Role::ProxyAdminViewer]);
        assert_eq!(all(Role::manages_own_keys), [Role::ProxyAdmin, Role::OrgAdmin, Role::InternalUser]);
        assert_eq!(all(|role| role.may_give(Role::InternalUserViewer)), [Role::ProxyAdmin]);
    }
}
