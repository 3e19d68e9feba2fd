//! Internal users.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::keys::delete_keys_where;
use crate::page::{Page, PageOf};
use crate::query::{Direction, Where, order_by};
use crate::row::{ChangesOf as _, row};
use crate::{
    Actor, Noun, OrganizationMembership, Secret, Store, StoreError, TeamMembership, UserCredential, UserEnvVars,
};

row! {
    /// An internal user. The teams are the memberships.
    pub struct User, UserChanges in Noun::User;
    id { user_id }
    free {
        user_alias: Option<String>,
        team_id: Option<String>,
        sso_user_id: Option<String>,
        organization_id: Option<String>,
        /// The password's hash, which is sealed as well.
        password: Option<Secret>,
        password_reset_required: Option<bool>,
        user_role: Option<String>,
        max_budget: Option<f64>,
        /// In this budget period, in USD.
        spend: f64,
        user_email: Option<String>,
        models: Vec<String>,
        metadata: Map<String, Value>,
        max_parallel_requests: Option<i64>,
        tpm_limit: Option<i64>,
        rpm_limit: Option<i64>,
        budget_duration: Option<String>,
        budget_reset_at: Option<DateTime<Utc>>,
        allowed_cache_controls: Vec<String>,
        policies: Vec<String>,
        model_spend: Map<String, Value>,
        model_max_budget: Map<String, Value>,
        object_permission: Option<ObjectPermission>,
    }
}

/// Which users.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Of these ids.
    pub user_ids: Option<Vec<String>>,
    /// With this in the id, whatever the case.
    pub user_id_contains: Option<String>,
    /// Of exactly this e-mail address, whatever the case.
    pub user_email: Option<String>,
    /// With this in the e-mail address, whatever the case.
    pub user_email_contains: Option<String>,
    /// Of one role.
    pub user_role: Option<String>,
    /// Of these ids at the identity provider.
    pub sso_user_ids: Option<Vec<String>>,
    /// In one team.
    pub team_id: Option<String>,
    /// In one organization.
    pub organization_id: Option<String>,
    /// In any of these organizations: what the caller may see.
    pub visible_organization_ids: Option<Vec<String>>,
}

/// What a list of users is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is a column of the user")]
pub enum UserOrder {
    #[default]
    CreatedAt,
    UserId,
    UserEmail,
    UserAlias,
    UserRole,
    Spend,
}

impl UserOrder {
    fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UserId => "user_id",
            Self::UserEmail => "user_email",
            Self::UserAlias => "user_alias",
            Self::UserRole => "user_role",
            Self::Spend => "spend",
        }
    }
}

const IN_ORGANIZATION: &str = "SELECT user_id FROM organization_memberships WHERE organization_id";

impl Store {
    /// Keeps a new user with their places in teams.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id, the id at the identity provider or the e-mail address is taken.
    pub async fn create_user(&self, actor: &Actor, user: User, teams: Vec<TeamMembership>) -> Result<User, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.require_free_email(&user).await?;
            let user = edit.insert(user).await?;
            for place in teams {
                edit.existing::<crate::Team>(&[&place.team_id]).await?;
                edit.insert(TeamMembership { user_id: user.user_id.clone(), ..place }).await?;
            }
            edit.commit().await?;
            Ok(user)
        })
        .await
    }

    /// The user with this id.
    pub async fn user(&self, user_id: &str) -> Result<Option<User>, StoreError> {
        self.get(&[user_id]).await
    }

    /// A page of users.
    pub async fn users(
        &self,
        filter: &UserFilter,
        order: (UserOrder, Direction),
        page: PageOf,
    ) -> Result<Page<User>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("user_id", filter.user_ids.as_deref());
        conditions.contains("user_id", filter.user_id_contains.as_ref());
        conditions.equals_any_case("user_email", filter.user_email.as_ref());
        conditions.contains("user_email", filter.user_email_contains.as_ref());
        conditions.equals("user_role", filter.user_role.as_ref());
        conditions.one_of("sso_user_id", filter.sso_user_ids.as_deref());
        conditions.is_in("user_id", "SELECT user_id FROM team_memberships WHERE team_id", filter.team_id.as_ref());
        conditions.is_in("user_id", IN_ORGANIZATION, filter.organization_id.as_ref());
        conditions.is_in_any("user_id", IN_ORGANIZATION, filter.visible_organization_ids.as_ref());
        let order = order_by(order.0.column(), order.1, "user_id");
        conditions.page_of_rows(&mut session, self.sealer(), &order, page).await
    }

    /// Changes a user.
    pub async fn update_user(&self, actor: &Actor, user_id: &str, changes: UserChanges) -> Result<User, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<User>(&[user_id]).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            if after.user_email != before.user_email {
                edit.require_free_email(&after).await?;
            }
            let user = edit.write(&before, after).await?;
            edit.commit().await?;
            Ok(user)
        })
        .await
    }

    /// Deletes users with their keys, memberships, credentials and environment values; returns those that were there.
    pub async fn delete_users(&self, actor: &Actor, user_ids: &[String]) -> Result<Vec<User>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let mut deleted = Vec::new();
            let theirs = "WHERE user_id = $1";
            for user_id in user_ids {
                let Some(user) = edit.find::<User>(&[user_id]).await? else { continue };
                delete_keys_where(&mut edit, theirs, args![*user_id]).await?;
                edit.delete_where::<OrganizationMembership>(theirs, args![*user_id]).await?;
                edit.delete_where::<TeamMembership>(theirs, args![*user_id]).await?;
                edit.delete_where::<UserCredential>(theirs, args![*user_id]).await?;
                edit.delete_where::<UserEnvVars>(theirs, args![*user_id]).await?;
                edit.delete(&user).await?;
                deleted.push(user);
            }
            edit.commit().await?;
            Ok(deleted)
        })
        .await
    }
}
