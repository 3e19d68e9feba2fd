//! What a key's hash leads to: the key with everything that bounds it, in one query.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use toolgate_access::key::KeyHash;
use toolgate_access::permission::ObjectPermission;
use toolgate_access::principal::{
    AgentFacts, Credential, CustomerFacts, KeyFacts, LimitFacts, Link, MemberFacts, OrganizationFacts, Permission,
    Principal, ProjectFacts, TeamFacts, TemporaryIncrease, TokenFacts, UserFacts,
};
use toolgate_access::role::{OrganizationRole, Role, TeamRole};

use crate::cell::{Cell, Kind, args};
use crate::row::{Row, column_list, kinds, open_joined};
use crate::secret::Sealer;
use crate::{
    Budget, Customer, Key, Organization, OrganizationMembership, Project, Store, StoreError, Team, TeamMembership, User,
};

/// A key with the rows that it names. A row that is named and not there is `None` beside the id in [`Key`].
#[derive(Debug, Clone, PartialEq)]
pub struct Authorization {
    /// The key. When its former hash was asked for, during the grace period, this is the key that took its place.
    pub key: Key,
    /// The budget that the key refers to.
    pub key_budget: Option<Budget>,
    /// Its team.
    pub team: Option<Team>,
    /// The user's place in the team.
    pub team_membership: Option<TeamMembership>,
    /// The budget of that place.
    pub team_membership_budget: Option<Budget>,
    /// The key's own organization.
    pub organization: Option<Organization>,
    /// Its budget.
    pub organization_budget: Option<Budget>,
    /// The user's place in it.
    pub organization_membership: Option<OrganizationMembership>,
    /// The team's organization.
    pub team_organization: Option<Organization>,
    /// Its budget.
    pub team_organization_budget: Option<Budget>,
    /// The user's place in it.
    pub team_organization_membership: Option<OrganizationMembership>,
    /// Its user.
    pub user: Option<User>,
    /// Its project.
    pub project: Option<Project>,
    /// The project's budget.
    pub project_budget: Option<Budget>,
}

/// The joined tables, in the order of [`Authorization`]'s fields: alias, columns, kinds.
struct Select {
    columns: Vec<String>,
    kinds: Vec<Kind>,
}

impl Select {
    fn add<R: Row>(mut self, alias: &str) -> Self {
        self.columns.push(column_list::<R>(alias));
        self.kinds.extend(kinds::<R>());
        self
    }
}

const JOINS: &str = "FROM keys k \
    LEFT JOIN budgets kb ON kb.budget_id = k.budget_id \
    LEFT JOIN teams t ON t.team_id = k.team_id \
    LEFT JOIN team_memberships tm ON tm.team_id = k.team_id AND tm.user_id = k.user_id \
    LEFT JOIN budgets tmb ON tmb.budget_id = tm.budget_id \
    LEFT JOIN organizations o ON o.organization_id = k.organization_id \
    LEFT JOIN budgets ob ON ob.budget_id = o.budget_id \
    LEFT JOIN organization_memberships om ON om.organization_id = k.organization_id AND om.user_id = k.user_id \
    LEFT JOIN organizations too ON too.organization_id = t.organization_id \
    LEFT JOIN budgets tob ON tob.budget_id = too.budget_id \
    LEFT JOIN organization_memberships tom ON tom.organization_id = t.organization_id AND tom.user_id = k.user_id \
    LEFT JOIN users u ON u.user_id = k.user_id \
    LEFT JOIN projects p ON p.project_id = k.project_id \
    LEFT JOIN budgets pb ON pb.budget_id = p.budget_id \
    WHERE k.token = COALESCE((SELECT d.active_token_id FROM deprecated_keys d WHERE d.token = $1 AND d.revoke_at > $2), $1)";

/// Takes the joined rows apart.
struct Joined<'a> {
    cells: Vec<Cell>,
    sealer: &'a Sealer,
}

impl Joined<'_> {
    fn take<R: Row>(&mut self) -> Result<Option<R>, StoreError> {
        let rest = self.cells.split_off(R::COLUMNS.len());
        open_joined(std::mem::replace(&mut self.cells, rest), self.sealer)
    }
}

impl Store {
    /// What the hash of a key leads to. `None` when there is no such key. Whether it is blocked, expired or out of
    /// budget is for others to judge.
    pub async fn authorization(&self, hash: &KeyHash) -> Result<Option<Box<Authorization>>, StoreError> {
        Box::pin(async move {
            let select = Select { columns: Vec::new(), kinds: Vec::new() }
                .add::<Key>("k")
                .add::<Budget>("kb")
                .add::<Team>("t")
                .add::<TeamMembership>("tm")
                .add::<Budget>("tmb")
                .add::<Organization>("o")
                .add::<Budget>("ob")
                .add::<OrganizationMembership>("om")
                .add::<Organization>("too")
                .add::<Budget>("tob")
                .add::<OrganizationMembership>("tom")
                .add::<User>("u")
                .add::<Project>("p")
                .add::<Budget>("pb");
            let sql = format!("SELECT {} {JOINS}", select.columns.join(", "));
            let rows = self.db().read().await?.rows(sql, args![hash.to_hex(), self.now()], select.kinds).await?;
            let Some(cells) = rows.into_iter().next() else { return Ok(None) };
            let mut joined = Joined { cells, sealer: self.sealer() };
            let Some(key) = joined.take()? else { return Ok(None) };
            Ok(Some(Box::new(Authorization {
                key,
                key_budget: joined.take()?,
                team: joined.take()?,
                team_membership: joined.take()?,
                team_membership_budget: joined.take()?,
                organization: joined.take()?,
                organization_budget: joined.take()?,
                organization_membership: joined.take()?,
                team_organization: joined.take()?,
                team_organization_budget: joined.take()?,
                team_organization_membership: joined.take()?,
                user: joined.take()?,
                project: joined.take()?,
                project_budget: joined.take()?,
            })))
        })
        .await
    }
}

impl Store {
    /// The rows that a token names, as far as they are there.
    pub async fn authorization_of(
        &self,
        user_id: Option<&str>,
        team_id: Option<&str>,
        organization_id: Option<&str>,
    ) -> Result<Box<Authorization>, StoreError> {
        Box::pin(async move {
            let mut session = self.db().read().await?;
            let mut rows = Rows { session: &mut session, sealer: self.sealer(), user_id };
            let team: Option<Team> = rows.named(team_id).await?;
            let team_membership: Option<TeamMembership> = rows.place(team_id).await?;
            let budget = team_membership.as_ref().and_then(|place| place.budget_id.clone());
            let team_membership_budget = rows.named(budget.as_deref()).await?;
            let above = team.as_ref().and_then(|team| team.organization_id.clone());
            let (team_organization, team_organization_budget, team_organization_membership) =
                rows.organization(above.as_deref()).await?;
            let (organization, organization_budget, organization_membership) =
                rows.organization(organization_id).await?;
            let owned = |id: Option<&str>| id.map(str::to_owned);
            Ok(Box::new(Authorization {
                key: Key {
                    token: KeyHash::from([0; 32]).to_hex(),
                    user_id: owned(user_id),
                    team_id: owned(team_id),
                    organization_id: owned(organization_id),
                    ..Key::default()
                },
                key_budget: None,
                team,
                team_membership,
                team_membership_budget,
                organization,
                organization_budget,
                organization_membership,
                team_organization,
                team_organization_budget,
                team_organization_membership,
                user: rows.named(user_id).await?,
                project: None,
                project_budget: None,
            }))
        })
        .await
    }
}

/// Reads rows one by one.
struct Rows<'a> {
    session: &'a mut crate::db::Session,
    sealer: &'a Sealer,
    user_id: Option<&'a str>,
}

impl Rows<'_> {
    async fn named<R: Row>(&mut self, id: Option<&str>) -> Result<Option<R>, StoreError> {
        match id {
            Some(id) => self.session.by_id(self.sealer, &[id]).await,
            None => Ok(None),
        }
    }

    /// The user's place in something.
    async fn place<R: Row>(&mut self, id: Option<&str>) -> Result<Option<R>, StoreError> {
        match (id, self.user_id) {
            (Some(id), Some(user_id)) => self.session.by_id(self.sealer, &[id, user_id]).await,
            _ => Ok(None),
        }
    }

    async fn organization(
        &mut self,
        id: Option<&str>,
    ) -> Result<(Option<Organization>, Option<Budget>, Option<OrganizationMembership>), StoreError> {
        let organization: Option<Organization> = self.named(id).await?;
        let budget = organization.as_ref().and_then(|organization| organization.budget_id.clone());
        Ok((organization, self.named(budget.as_deref()).await?, self.place(id).await?))
    }
}

impl Authorization {
    /// The facts of a token that names these rows.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] as for [`Authorization::principal`].
    pub fn token_principal(&self) -> Result<Principal, StoreError> {
        let user_id = self.key.user_id.clone().map(Into::into);
        Ok(Principal { credential: Credential::Token(TokenFacts { user_id }), ..self.principal()? })
    }

    /// The facts that access is decided by. The customer, whom a request names, is added by whoever knows the request.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the key's hash is none.
    pub fn principal(&self) -> Result<Principal, StoreError> {
        let key = &self.key;
        let team = link(key.team_id.as_ref(), self.team.as_ref().map(|team| self.team_facts(team)));
        let own = self.organization.as_ref().map(|organization| {
            organization_facts(organization, self.organization_budget.as_ref(), self.organization_membership.as_ref())
        });
        let project = self.project.as_ref().map(|project| project_facts(project, self.project_budget.as_ref()));
        Ok(Principal {
            user: self.user.as_ref().map(user_facts),
            team,
            organization: link(key.organization_id.as_ref(), own),
            project: link(key.project_id.as_ref(), project),
            // There is no table of agents: a key that is bound to one reaches nothing past it.
            agent: link(key.agent_id.as_ref(), None::<AgentFacts>),
            ..Principal::with(Credential::Key(Box::new(self.key_facts()?)))
        })
    }

    fn key_facts(&self) -> Result<KeyFacts, StoreError> {
        let key = &self.key;
        let hash = key.token.parse().map_err(|_| StoreError::corrupt("keys.token holds no hash"))?;
        let own = Bounds {
            max_budget: key.max_budget,
            spend: key.spend,
            budget_duration: key.budget_duration.as_ref(),
            budget_reset_at: key.budget_reset_at,
            rpm_limit: key.rpm_limit,
            tpm_limit: key.tpm_limit,
            max_parallel_requests: key.max_parallel_requests,
            metadata: Some(&key.metadata),
            ..Bounds::default()
        };
        Ok(KeyFacts {
            key_alias: key.key_alias.clone(),
            key_name: key.key_name.clone(),
            user_id: key.user_id.clone().map(Into::into),
            permission: permission(key.object_permission.as_ref()),
            access_group_ids: key.access_group_ids.iter().map(|id| id.as_str().into()).collect(),
            blocked: key.blocked.unwrap_or_default(),
            expires: key.expires,
            models: key.models.clone(),
            allowed_routes: key.allowed_routes.clone(),
            limits: own.or(self.key_budget.as_ref()),
            ..KeyFacts::new(hash)
        })
    }

    fn team_facts(&self, team: &Team) -> TeamFacts {
        let organization = self.team_organization.as_ref().map(|organization| {
            let budget = self.team_organization_budget.as_ref();
            organization_facts(organization, budget, self.team_organization_membership.as_ref())
        });
        let member = self.team_membership.as_ref().and_then(|member| {
            let limits = Bounds { spend: member.spend, ..Bounds::default() };
            let role = TeamRole::from_name(&member.role)?;
            Some(MemberFacts { role, limits: limits.or(self.team_membership_budget.as_ref()) })
        });
        TeamFacts { organization: link(team.organization_id.as_ref(), organization), member, ..team_facts(team) }
    }
}

/// A team by itself, without organization and member.
pub fn team_facts(team: &Team) -> TeamFacts {
    let own = Bounds {
        max_budget: team.max_budget,
        soft_budget: team.soft_budget,
        spend: team.spend,
        budget_duration: team.budget_duration.as_ref(),
        budget_reset_at: team.budget_reset_at,
        rpm_limit: team.rpm_limit,
        tpm_limit: team.tpm_limit,
        max_parallel_requests: team.max_parallel_requests,
        metadata: Some(&team.metadata),
    };
    TeamFacts {
        team_alias: team.team_alias.clone(),
        permission: permission(team.object_permission.as_ref()),
        access_group_ids: team.access_group_ids.iter().map(|id| id.as_str().into()).collect(),
        blocked: team.blocked,
        models: team.models.clone(),
        limits: own.or(None),
        ..TeamFacts::new(team.team_id.as_str())
    }
}

/// An organization with its budget and the caller's place in it.
pub fn organization_facts(
    organization: &Organization,
    budget: Option<&Budget>,
    membership: Option<&OrganizationMembership>,
) -> OrganizationFacts {
    let own = Bounds { spend: organization.spend, metadata: Some(&organization.metadata), ..Bounds::default() };
    OrganizationFacts {
        organization_alias: Some(organization.organization_alias.clone()),
        permission: permission(organization.object_permission.as_ref()),
        models: organization.models.clone(),
        member_role: membership.and_then(|member| member.user_role.as_deref()).and_then(OrganizationRole::from_name),
        limits: own.or(budget),
        ..OrganizationFacts::new(organization.organization_id.as_str())
    }
}

/// A user. A role that nobody knows is none.
pub fn user_facts(user: &User) -> UserFacts {
    let own = Bounds {
        max_budget: user.max_budget,
        spend: user.spend,
        budget_duration: user.budget_duration.as_ref(),
        budget_reset_at: user.budget_reset_at,
        rpm_limit: user.rpm_limit,
        tpm_limit: user.tpm_limit,
        max_parallel_requests: user.max_parallel_requests,
        metadata: Some(&user.metadata),
        ..Bounds::default()
    };
    UserFacts {
        user_alias: user.user_alias.clone(),
        user_role: user.user_role.as_deref().and_then(Role::from_name),
        permission: permission(user.object_permission.as_ref()),
        models: user.models.clone(),
        limits: own.or(None),
        ..UserFacts::new(user.user_id.as_str())
    }
}

/// A customer with their budget.
pub fn customer_facts(customer: &Customer, budget: Option<&Budget>) -> CustomerFacts {
    let own = Bounds { spend: customer.spend, ..Bounds::default() };
    CustomerFacts {
        alias: customer.alias.clone(),
        permission: permission(customer.object_permission.as_ref()),
        blocked: customer.blocked,
        limits: own.or(budget),
        ..CustomerFacts::new(customer.user_id.as_str())
    }
}

fn project_facts(project: &Project, budget: Option<&Budget>) -> ProjectFacts {
    let own = Bounds { spend: project.spend, metadata: Some(&project.metadata), ..Bounds::default() };
    ProjectFacts {
        project_alias: project.project_alias.clone(),
        permission: permission(project.object_permission.as_ref()),
        blocked: project.blocked,
        models: project.models.clone(),
        limits: own.or(budget),
        ..ProjectFacts::new(project.project_id.as_str())
    }
}

fn permission(kept: Option<&ObjectPermission>) -> Permission {
    kept.cloned().map_or(Link::None, Link::found)
}

fn link<T>(id: Option<&String>, row: Option<T>) -> Link<T> {
    match (id, row) {
        (None, _) => Link::None,
        (Some(_), Some(row)) => Link::found(row),
        (Some(id), None) => Link::Missing(id.clone()),
    }
}

/// A row's own bounds.
#[derive(Default)]
struct Bounds<'a> {
    max_budget: Option<f64>,
    soft_budget: Option<f64>,
    spend: f64,
    budget_duration: Option<&'a String>,
    budget_reset_at: Option<DateTime<Utc>>,
    rpm_limit: Option<i64>,
    tpm_limit: Option<i64>,
    max_parallel_requests: Option<i64>,
    metadata: Option<&'a Map<String, Value>>,
}

impl Bounds<'_> {
    /// `temp_budget_increase` of the metadata, where LiteLLM keeps it of keys.
    fn temporary(&self) -> Option<TemporaryIncrease> {
        let metadata = self.metadata?;
        let amount = metadata.get("temp_budget_increase")?.as_f64()?;
        TemporaryIncrease::read(amount, metadata.get("temp_budget_expiry")?.as_str()?)
    }

    /// These, and the budget's where the row has none of its own.
    fn or(self, budget: Option<&Budget>) -> LimitFacts {
        let number =
            |own: Option<i64>, shared: Option<i64>| own.or(shared).map(|limit| u64::try_from(limit).unwrap_or(0));
        let period = self.budget_duration.or(budget.and_then(|budget| budget.budget_duration.as_ref()));
        LimitFacts {
            max_budget: self.max_budget.or(budget.and_then(|budget| budget.max_budget)),
            temporary: self.temporary().or(budget.and_then(|budget| {
                Some(TemporaryIncrease { amount: budget.temp_budget_increase?, until: budget.temp_budget_expiry? })
            })),
            soft_budget: (self.soft_budget.or_else(|| self.metadata?.get("soft_budget")?.as_f64()))
                .or(budget.and_then(|budget| budget.soft_budget)),
            spend: self.spend,
            budget_duration: period.cloned(),
            budget_reset_at: self.budget_reset_at.or(budget.and_then(|budget| budget.budget_reset_at)),
            rpm_limit: number(self.rpm_limit, budget.and_then(|budget| budget.rpm_limit)),
            tpm_limit: number(self.tpm_limit, budget.and_then(|budget| budget.tpm_limit)),
            max_parallel_requests: number(
                self.max_parallel_requests,
                budget.and_then(|budget| budget.max_parallel_requests),
            ),
            mcp_rpm_limit: self.metadata.map(mcp_rpm_limit).unwrap_or_default(),
        }
    }
}

/// `mcp_rpm_limit: {server: requests per minute}` of a row's metadata, where LiteLLM keeps it.
fn mcp_rpm_limit(metadata: &Map<String, Value>) -> BTreeMap<String, u64> {
    let limits = metadata.get("mcp_rpm_limit").and_then(Value::as_object);
    let each = limits.into_iter().flatten();
    each.filter_map(|(server, limit)| Some((server.clone(), limit.as_u64()?))).collect()
}
