//! What a caller is in teams and organizations.

use toolgate_access::role::{OrganizationRole, TeamRole};
use toolgate_store::{OrganizationMembership, Store, StoreError, TeamMembership};

/// A user's places in teams and organizations, as they are now.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    /// The user; `None` for keys that are nobody's, and for admins, who need no place.
    pub user_id: Option<String>,
    /// Their places in teams.
    pub teams: Vec<TeamMembership>,
    /// Their places in organizations.
    pub organizations: Vec<OrganizationMembership>,
}

impl Tenant {
    /// The places of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn of(store: &Store, user_id: &str) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: Some(user_id.to_owned()),
            teams: store.team_memberships_of(user_id).await?,
            organizations: store.organization_memberships_of(user_id).await?,
        })
    }

    /// Administers a team or an organization.
    #[must_use]
    pub fn manages_something(&self) -> bool {
        self.managed_teams().next().is_some() || self.managed_organizations().next().is_some()
    }

    /// The teams that the user administers.
    pub fn managed_teams(&self) -> impl Iterator<Item = &str> {
        let manages = |of: &&TeamMembership| TeamRole::from_name(&of.role).is_some_and(TeamRole::manages);
        self.teams.iter().filter(manages).map(|of| of.team_id.as_str())
    }

    /// The organizations that the user administers.
    pub fn managed_organizations(&self) -> impl Iterator<Item = &str> {
        let role = |of: &OrganizationMembership| of.user_role.as_deref().and_then(OrganizationRole::from_name);
        let manages = move |of: &&OrganizationMembership| role(of).is_some_and(OrganizationRole::manages);
        self.organizations.iter().filter(manages).map(|of| of.organization_id.as_str())
    }

    /// Is in this team.
    #[must_use]
    pub fn is_in_team(&self, team_id: &str) -> bool {
        self.teams.iter().any(|of| of.team_id == team_id)
    }

    /// Administers this team by a place in it or in its organization.
    #[must_use]
    pub fn manages_team(&self, team_id: &str, organization_id: Option<&str>) -> bool {
        self.managed_teams().any(|team| team == team_id)
            || organization_id.is_some_and(|id| self.manages_organization(id))
    }

    /// Is in this organization.
    #[must_use]
    pub fn is_in_organization(&self, organization_id: &str) -> bool {
        self.organizations.iter().any(|of| of.organization_id == organization_id)
    }

    /// Administers this organization.
    #[must_use]
    pub fn manages_organization(&self, organization_id: &str) -> bool {
        self.managed_organizations().any(|organization| organization == organization_id)
    }
}
