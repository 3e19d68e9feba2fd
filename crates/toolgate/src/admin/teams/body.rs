//! The fields of a team, as they are sent to make or change one.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use toolgate_access::permission::{ObjectPermission, ObjectPermissionUpdate};
use toolgate_store::{Change, Team, TeamChanges};

use crate::admin::people::{self, Member};
use crate::admin::terms::{self, Sent, or_empty, value};
use crate::admin::{AdminError, Allowed};

/// The body of `/team/new` and `/team/update`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TeamBody {
    pub(super) team_id: Option<String>,
    team_alias: Sent<String>,
    pub(super) organization_id: Sent<String>,
    pub(super) members_with_roles: Option<Vec<Member>>,
    metadata: Sent<Map<String, Value>>,
    pub(super) max_budget: Sent<f64>,
    soft_budget: Sent<f64>,
    budget_duration: Sent<String>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    tpd_limit: Sent<i64>,
    models: Sent<Vec<String>>,
    blocked: Option<bool>,
    model_aliases: Sent<Value>,
    model_max_budget: Sent<Map<String, Value>>,
    router_settings: Sent<Value>,
    policies: Sent<Vec<String>>,
    team_member_permissions: Sent<Vec<String>>,
    default_team_member_models: Sent<Vec<String>>,
    access_group_ids: Sent<Vec<String>>,
    pub(super) object_permission: Option<ObjectPermissionUpdate>,
    // LiteLLM keeps these in `metadata`.
    tags: Sent<Value>,
    guardrails: Sent<Value>,
    prompts: Sent<Value>,
    model_rpm_limit: Sent<Value>,
    model_tpm_limit: Sent<Value>,
    mcp_rpm_limit: Sent<Map<String, Value>>,
}

impl TeamBody {
    /// Refuses values that make no sense for a team that is `before` now.
    pub(super) fn check(&self, before: Option<&Team>) -> Result<(), AdminError> {
        terms::check_amount("max_budget", value(&self.max_budget))?;
        terms::check_amount("soft_budget", value(&self.soft_budget))?;
        let after = |sent: &Sent<f64>, before: Option<f64>| sent.as_set().map_or(before, |sent| *sent);
        terms::check_soft_budget(
            after(&self.soft_budget, before.and_then(|team| team.soft_budget)),
            after(&self.max_budget, before.and_then(|team| team.max_budget)),
        )?;
        let limits = [
            ("max_parallel_requests", &self.max_parallel_requests),
            ("tpm_limit", &self.tpm_limit),
            ("rpm_limit", &self.rpm_limit),
            ("tpd_limit", &self.tpd_limit),
        ];
        for (field, limit) in limits {
            terms::check_limit(field, value(limit))?;
        }
        terms::check_mcp_rpm_limit(&self.mcp_rpm_limit)?;
        people::check(self.members_with_roles.as_deref().unwrap_or_default())
    }

    /// Makes the metadata that was sent what it is merged with the team's: null takes a field out.
    pub(super) fn merge_metadata(&mut self, before: &Team) {
        let Change::Set(Some(patch)) = &mut self.metadata else { return };
        let mut merged = Value::Object(before.metadata.clone());
        merge(&mut merged, Value::Object(std::mem::take(patch)));
        if let Value::Object(merged) = merged {
            *patch = merged;
        }
    }

    /// Access groups reach beyond an organization, so only proxy admins add some.
    pub(super) fn check_groups(&self, allowed: &Allowed, before: &[String]) -> Result<(), AdminError> {
        let added = value(&self.access_group_ids).unwrap_or_default().into_iter().any(|id| !before.contains(&id));
        if added && !allowed.is_admin() {
            return Err(AdminError::Forbidden("Only proxy admins can give a team access groups.".to_owned()));
        }
        Ok(())
    }

    /// Whether it sends anything but what a team's own admins may change.
    pub(super) fn sets_bounds(&self) -> bool {
        let Self {
            team_id: _,
            team_alias: _,
            object_permission: _,
            members_with_roles,
            organization_id,
            metadata,
            max_budget,
            soft_budget,
            budget_duration,
            max_parallel_requests,
            tpm_limit,
            rpm_limit,
            tpd_limit,
            models,
            blocked,
            model_aliases,
            model_max_budget,
            router_settings,
            policies,
            team_member_permissions,
            default_team_member_models,
            access_group_ids,
            tags,
            guardrails,
            prompts,
            model_rpm_limit,
            model_tpm_limit,
            mcp_rpm_limit,
        } = self;
        let numbers = [max_parallel_requests, tpm_limit, rpm_limit, tpd_limit].into_iter().any(is_sent);
        let amounts = [max_budget, soft_budget].into_iter().any(is_sent);
        let lists = [models, policies, team_member_permissions, default_team_member_models, access_group_ids];
        let maps = [metadata, model_max_budget, mcp_rpm_limit].into_iter().any(is_sent);
        let values = [model_aliases, router_settings, tags, guardrails, prompts, model_rpm_limit, model_tpm_limit];
        let texts = [organization_id, budget_duration].into_iter().any(is_sent);
        let others = blocked.is_some() || members_with_roles.is_some();
        numbers
            || amounts
            || maps
            || texts
            || others
            || lists.into_iter().any(is_sent)
            || values.into_iter().any(is_sent)
    }

    /// The changes to a team that is `before` now.
    pub(super) fn changes(self, before: &Team, permission: Sent<ObjectPermission>) -> Result<TeamChanges, AdminError> {
        let metadata = self.metadata_after(&before.metadata);
        Ok(TeamChanges {
            team_alias: self.team_alias,
            organization_id: match self.organization_id {
                Change::Set(id) => Change::Set(id.filter(|id| !id.is_empty())),
                Change::Keep => Change::Keep,
            },
            metadata,
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            models: or_empty(self.models),
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            tpd_limit: self.tpd_limit,
            budget_reset_at: terms::changed_reset(&self.budget_duration)?,
            budget_duration: self.budget_duration,
            blocked: self.blocked.into(),
            model_max_budget: or_empty(self.model_max_budget),
            model_aliases: self.model_aliases,
            router_settings: self.router_settings,
            team_member_permissions: or_empty(self.team_member_permissions),
            access_group_ids: or_empty(self.access_group_ids),
            policies: or_empty(self.policies),
            default_team_member_models: or_empty(self.default_team_member_models),
            object_permission: permission,
            ..TeamChanges::default()
        })
    }

    fn metadata_after(&self, before: &Map<String, Value>) -> Change<Map<String, Value>> {
        let mut metadata = match &self.metadata {
            Change::Keep => before.clone(),
            Change::Set(metadata) => metadata.clone().unwrap_or_default(),
        };
        let mcp_rpm_limit = match &self.mcp_rpm_limit {
            Change::Keep => Change::Keep,
            Change::Set(limits) => Change::Set(limits.clone().map(Value::Object)),
        };
        let fields = vec![
            ("tags", self.tags.clone()),
            ("guardrails", self.guardrails.clone()),
            ("prompts", self.prompts.clone()),
            ("model_rpm_limit", self.model_rpm_limit.clone()),
            ("model_tpm_limit", self.model_tpm_limit.clone()),
            ("mcp_rpm_limit", mcp_rpm_limit),
        ];
        terms::put_into(&mut metadata, fields);
        if &metadata == before { Change::Keep } else { Change::Set(metadata) }
    }

    /// The team that it makes, without an id.
    pub(super) fn made(self, permission: Sent<ObjectPermission>) -> Result<Team, AdminError> {
        fn column<T: Default>(change: Change<T>) -> T {
            match change {
                Change::Keep => T::default(),
                Change::Set(value) => value,
            }
        }
        let changes = self.changes(&Team::default(), permission)?;
        Ok(Team {
            team_alias: column(changes.team_alias),
            organization_id: column(changes.organization_id),
            metadata: column(changes.metadata),
            max_budget: column(changes.max_budget),
            soft_budget: column(changes.soft_budget),
            models: column(changes.models),
            max_parallel_requests: column(changes.max_parallel_requests),
            tpm_limit: column(changes.tpm_limit),
            rpm_limit: column(changes.rpm_limit),
            tpd_limit: column(changes.tpd_limit),
            budget_duration: column(changes.budget_duration),
            budget_reset_at: column(changes.budget_reset_at),
            blocked: column(changes.blocked),
            model_max_budget: column(changes.model_max_budget),
            model_aliases: column(changes.model_aliases),
            router_settings: column(changes.router_settings),
            team_member_permissions: column(changes.team_member_permissions),
            access_group_ids: column(changes.access_group_ids),
            policies: column(changes.policies),
            default_team_member_models: column(changes.default_team_member_models),
            object_permission: column(changes.object_permission),
            ..Team::default()
        })
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn is_sent<T: PartialEq>(sent: &Sent<T>) -> bool {
    *sent != Change::Keep
}
