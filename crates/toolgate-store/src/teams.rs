//! Teams and who is in them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::edit::Edit;
use crate::keys::delete_keys_where;
use crate::page::{Page, PageOf};
use crate::query::{Direction, Where, order_by};
use crate::row::{ChangesOf as _, row};
use crate::{Actor, Noun, Organization, OwnBudget, Project, Store, StoreError};

row! {
    /// A team.
    pub struct Team, TeamChanges in Noun::Team;
    id { team_id }
    free {
        team_alias: Option<String>,
        organization_id: Option<String>,
        metadata: Map<String, Value>,
        max_budget: Option<f64>,
        soft_budget: Option<f64>,
        /// In this budget period, in USD.
        spend: f64,
        models: Vec<String>,
        max_parallel_requests: Option<i64>,
        tpm_limit: Option<i64>,
        rpm_limit: Option<i64>,
        tpd_limit: Option<i64>,
        budget_duration: Option<String>,
        budget_reset_at: Option<DateTime<Utc>>,
        budget_limits: Option<Value>,
        blocked: bool,
        model_spend: Map<String, Value>,
        model_max_budget: Map<String, Value>,
        /// LiteLLM keeps these in a table of their own.
        model_aliases: Option<Value>,
        router_settings: Option<Value>,
        team_member_permissions: Vec<String>,
        /// Unified access groups.
        access_group_ids: Vec<String>,
        policies: Vec<String>,
        default_team_member_models: Vec<String>,
        allow_team_guardrail_config: bool,
        object_permission: Option<ObjectPermission>,
    }
}

row! {
    /// A user's place in a team. LiteLLM keeps the roles in the team's `members_with_roles`; here they are only here.
    pub struct TeamMembership, TeamMembershipChanges in Noun::TeamMembership;
    id { team_id, user_id }
    free {
        /// `admin` or `user`.
        role: String = "user".to_owned(),
        user_email: Option<String>,
        /// In this budget period, in USD.
        spend: f64,
        /// Ever, in USD.
        total_spend: f64,
        budget_id: Option<String>,
    }
}

/// Which teams.
#[derive(Debug, Clone, Default)]
pub struct TeamFilter {
    /// Of these ids.
    pub team_ids: Option<Vec<String>>,
    /// Of exactly this alias.
    pub team_alias: Option<String>,
    /// With this in the alias, whatever the case.
    pub team_alias_contains: Option<String>,
    /// Of one organization.
    pub organization_id: Option<String>,
    /// With this user in it.
    pub member: Option<String>,
    /// With one unified access group.
    pub access_group_id: Option<String>,
    /// In any of these, or of any of these organizations: what the caller may see.
    pub visible: Option<TeamScope>,
}

/// Teams that are, or belong to, any of these.
#[derive(Debug, Clone, Default)]
pub struct TeamScope {
    /// These teams.
    pub team_ids: Vec<String>,
    /// Teams of these organizations.
    pub organization_ids: Vec<String>,
}

/// What a list of teams is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is a column of the team")]
pub enum TeamOrder {
    #[default]
    CreatedAt,
    TeamAlias,
    Spend,
}

impl TeamOrder {
    fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::TeamAlias => "team_alias",
            Self::Spend => "spend",
        }
    }
}

impl Store {
    /// Keeps a new team with its first members.
    pub async fn create_team(
        &self,
        actor: &Actor,
        team: Team,
        members: Vec<TeamMembership>,
    ) -> Result<Team, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.require::<Organization>(team.organization_id.as_ref()).await?;
            let team = edit.insert(team).await?;
            for member in members {
                edit.insert(TeamMembership { team_id: team.team_id.clone(), ..member }).await?;
            }
            edit.commit().await?;
            Ok(team)
        })
        .await
    }

    /// The team with this id.
    pub async fn team(&self, team_id: &str) -> Result<Option<Team>, StoreError> {
        self.get(&[team_id]).await
    }

    /// A page of teams.
    pub async fn teams(
        &self,
        filter: &TeamFilter,
        order: (TeamOrder, Direction),
        page: PageOf,
    ) -> Result<Page<Team>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("team_id", filter.team_ids.as_deref());
        conditions.equals("team_alias", filter.team_alias.as_ref());
        conditions.contains("team_alias", filter.team_alias_contains.as_ref());
        conditions.equals("organization_id", filter.organization_id.as_ref());
        conditions.lists("access_group_ids", filter.access_group_id.as_ref());
        conditions.is_in("team_id", "SELECT team_id FROM team_memberships WHERE user_id", filter.member.as_ref());
        if let Some(scope) = &filter.visible {
            conditions.any_of(&[("team_id", &scope.team_ids), ("organization_id", &scope.organization_ids)]);
        }
        let order = order_by(order.0.column(), order.1, "team_id");
        conditions.page_of_rows(&mut session, self.sealer(), &order, page).await
    }

    /// Changes a team.
    pub async fn update_team(&self, actor: &Actor, team_id: &str, changes: TeamChanges) -> Result<Team, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<Team>(&[team_id]).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            if after.organization_id != before.organization_id {
                edit.require::<Organization>(after.organization_id.as_ref()).await?;
            }
            let team = edit.write(&before, after).await?;
            edit.commit().await?;
            Ok(team)
        })
        .await
    }

    /// Deletes teams with their keys and memberships; returns those that were there.
    pub async fn delete_teams(&self, actor: &Actor, team_ids: &[String]) -> Result<Vec<Team>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let mut deleted = Vec::new();
            for team_id in team_ids {
                if let Some(team) = edit.find::<Team>(&[team_id]).await? {
                    delete_whole(&mut edit, &team).await?;
                    deleted.push(team);
                }
            }
            edit.commit().await?;
            Ok(deleted)
        })
        .await
    }

    /// Who is in a team, by user id.
    pub async fn team_members(&self, team_id: &str) -> Result<Vec<TeamMembership>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE team_id = $1 ORDER BY user_id", args![team_id]).await
    }

    /// Who is in which of these teams, by team and user id.
    pub async fn members_of_teams(&self, team_ids: &[String]) -> Result<Vec<TeamMembership>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("team_id", Some(team_ids));
        conditions.rows(&mut session, self.sealer(), "team_id, user_id").await
    }

    /// The teams that a user is in, by team id.
    pub async fn team_memberships_of(&self, user_id: &str) -> Result<Vec<TeamMembership>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE user_id = $1 ORDER BY team_id", args![user_id]).await
    }

    /// Puts users into a team, each with their bounds if there are some.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a team; [`StoreError::Conflict`] when one is in it already.
    pub async fn add_team_members(
        &self,
        actor: &Actor,
        team_id: &str,
        members: Vec<(TeamMembership, Option<OwnBudget>)>,
    ) -> Result<Vec<TeamMembership>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.existing::<Team>(&[team_id]).await?;
            let mut added = Vec::with_capacity(members.len());
            for (member, own) in members {
                let member = TeamMembership { team_id: team_id.to_owned(), ..member };
                added.push(edit.insert_bounded(member, own).await?);
            }
            edit.commit().await?;
            Ok(added)
        })
        .await
    }

    /// Changes a user's place in a team.
    pub async fn update_team_member(
        &self,
        actor: &Actor,
        team_id: &str,
        user_id: &str,
        changes: TeamMembershipChanges,
        own: Option<OwnBudget>,
    ) -> Result<TeamMembership, StoreError> {
        self.change_bounded(actor, &[team_id, user_id], changes, own).await
    }

    /// Takes a user out of a team, and away the keys that the user has there. `None` when the user was not in it.
    pub async fn remove_team_member(
        &self,
        actor: &Actor,
        team_id: &str,
        user_id: &str,
    ) -> Result<Option<TeamMembership>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let Some(member) = edit.find::<TeamMembership>(&[team_id, user_id]).await? else { return Ok(None) };
            delete_keys_where(&mut edit, "WHERE team_id = $1 AND user_id = $2", args![team_id, user_id]).await?;
            edit.delete(&member).await?;
            edit.commit().await?;
            Ok(Some(member))
        })
        .await
    }
}

/// Deletes a team, and what has no meaning without it.
pub(crate) async fn delete_whole(edit: &mut Edit<'_>, team: &Team) -> Result<(), StoreError> {
    delete_keys_where(edit, "WHERE team_id = $1", args![team.team_id]).await?;
    edit.delete_where::<TeamMembership>("WHERE team_id = $1", args![team.team_id]).await?;
    edit.delete_where::<Project>("WHERE team_id = $1", args![team.team_id]).await?;
    edit.delete(team).await
}
