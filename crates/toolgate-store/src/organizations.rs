//! Organizations and who is in them.

use serde_json::{Map, Value};
use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::keys::delete_keys_where;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::row;
use crate::{Actor, Noun, OwnBudget, Store, StoreError, Team, teams};

row! {
    /// An organization.
    pub struct Organization, OrganizationChanges in Noun::Organization;
    id { organization_id }
    free {
        organization_alias: String,
        budget_id: Option<String>,
        metadata: Map<String, Value>,
        models: Vec<String>,
        /// In this budget period, in USD.
        spend: f64,
        model_spend: Map<String, Value>,
        object_permission: Option<ObjectPermission>,
    }
}

row! {
    /// A user's place in an organization.
    pub struct OrganizationMembership, OrganizationMembershipChanges in Noun::OrganizationMembership;
    id { organization_id, user_id }
    free {
        /// `org_admin`, `internal_user` or `internal_user_viewer`.
        user_role: Option<String>,
        spend: f64,
        budget_id: Option<String>,
    }
}

/// Which organizations.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFilter {
    /// Of these ids.
    pub organization_ids: Option<Vec<String>>,
    /// With this in the alias, whatever the case.
    pub organization_alias_contains: Option<String>,
    /// With this user in it.
    pub member: Option<String>,
}

impl Store {
    /// Keeps a new organization, with its bounds if there are some.
    pub async fn create_organization(
        &self,
        actor: &Actor,
        organization: Organization,
        own: Option<OwnBudget>,
    ) -> Result<Organization, StoreError> {
        self.create_bounded(actor, organization, own).await
    }

    /// The organization with this id.
    pub async fn organization(&self, organization_id: &str) -> Result<Option<Organization>, StoreError> {
        self.get(&[organization_id]).await
    }

    /// A page of organizations, by alias.
    pub async fn organizations(
        &self,
        filter: &OrganizationFilter,
        page: PageOf,
    ) -> Result<Page<Organization>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("organization_id", filter.organization_ids.as_deref());
        conditions.contains("organization_alias", filter.organization_alias_contains.as_ref());
        let members = "SELECT organization_id FROM organization_memberships WHERE user_id";
        conditions.is_in("organization_id", members, filter.member.as_ref());
        conditions.page_of_rows(&mut session, self.sealer(), "organization_alias, organization_id", page).await
    }

    /// Changes an organization, and its bounds if some are sent.
    pub async fn update_organization(
        &self,
        actor: &Actor,
        organization_id: &str,
        changes: OrganizationChanges,
        own: Option<OwnBudget>,
    ) -> Result<Organization, StoreError> {
        self.change_bounded(actor, &[organization_id], changes, own).await
    }

    /// Deletes an organization with its teams, keys and memberships. `None` when there was none.
    pub async fn delete_organization(
        &self,
        actor: &Actor,
        organization_id: &str,
    ) -> Result<Option<Organization>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let Some(organization) = edit.find::<Organization>(&[organization_id]).await? else { return Ok(None) };
            let its = "WHERE organization_id = $1";
            delete_keys_where(&mut edit, its, args![organization_id]).await?;
            let of_it = edit.select::<Team>(its, args![organization_id]).await?;
            for team in &of_it {
                teams::delete_whole(&mut edit, team).await?;
            }
            edit.delete_where::<OrganizationMembership>(its, args![organization_id]).await?;
            edit.delete(&organization).await?;
            edit.commit().await?;
            Ok(Some(organization))
        })
        .await
    }

    /// Who is in an organization, by user id.
    pub async fn organization_members(&self, organization_id: &str) -> Result<Vec<OrganizationMembership>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE organization_id = $1 ORDER BY user_id", args![organization_id]).await
    }

    /// The organizations that a user is in, by their id.
    pub async fn organization_memberships_of(&self, user_id: &str) -> Result<Vec<OrganizationMembership>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE user_id = $1 ORDER BY organization_id", args![user_id]).await
    }

    /// Puts a user into an organization, with bounds if there are some.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such an organization; [`StoreError::Conflict`] when the user is in it already.
    pub async fn add_organization_member(
        &self,
        actor: &Actor,
        member: OrganizationMembership,
        own: Option<OwnBudget>,
    ) -> Result<OrganizationMembership, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.existing::<Organization>(&[&member.organization_id]).await?;
            let member = edit.insert_bounded(member, own).await?;
            edit.commit().await?;
            Ok(member)
        })
        .await
    }

    /// Changes a user's place in an organization.
    pub async fn update_organization_member(
        &self,
        actor: &Actor,
        organization_id: &str,
        user_id: &str,
        changes: OrganizationMembershipChanges,
        own: Option<OwnBudget>,
    ) -> Result<OrganizationMembership, StoreError> {
        self.change_bounded(actor, &[organization_id, user_id], changes, own).await
    }

    /// Takes a user out of an organization. `None` when the user was not in it.
    pub async fn remove_organization_member(
        &self,
        actor: &Actor,
        organization_id: &str,
        user_id: &str,
    ) -> Result<Option<OrganizationMembership>, StoreError> {
        self.remove(actor, &[organization_id, user_id]).await
    }
}
