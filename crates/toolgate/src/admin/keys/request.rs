//! The bodies of key routes: LiteLLM's `GenerateKeyRequest`, `UpdateKeyRequest` and `RegenerateKeyRequest` as one, since
//! they differ in a few fields only. A field that is absent leaves the key as it is, `null` clears.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use toolgate_access::limits::period::Period;
use toolgate_access::permission::{ObjectPermission, ObjectPermissionUpdate};
use toolgate_access::principal::TemporaryIncrease;
use toolgate_store::{Change, Key};

use super::random_id;
use crate::admin::AdminError;
use crate::admin::body::FieldError;

/// A column of the key, or a part of its metadata.
type Sent<T> = Change<Option<T>>;

/// LiteLLM's presets of `allowed_routes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    LlmApi,
    Management,
    ReadOnly,
    Default,
}

impl KeyType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::LlmApi => "llm_api",
            Self::Management => "management",
            Self::ReadOnly => "read_only",
            Self::Default => "default",
        }
    }

    const fn allowed_routes(self) -> Option<&'static str> {
        match self {
            Self::LlmApi => Some("llm_api_routes"),
            Self::Management => Some("management_routes"),
            Self::ReadOnly => Some("info_routes"),
            Self::Default => None,
        }
    }
}

/// What a request says of a key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyRequest {
    /// The key's own text when it is made; else which key.
    #[schemars(with = "Option<String>")]
    pub(super) key: Option<SecretString>,
    /// The text of the key that takes its place.
    #[schemars(with = "Option<String>")]
    pub(super) new_key: Option<SecretString>,
    #[schemars(with = "Option<String>")]
    pub(super) new_master_key: Option<SecretString>,
    /// How long the old key works on.
    pub(super) grace_period: Option<String>,
    /// Taken and not acted on: no mails are sent.
    pub(super) send_invite_email: Option<bool>,

    pub(super) key_alias: Sent<String>,
    pub(super) key_type: Option<KeyType>,
    pub(super) duration: Option<String>,
    pub(super) user_id: Sent<String>,
    pub(super) team_id: Sent<String>,
    pub(super) organization_id: Sent<String>,
    pub(super) project_id: Sent<String>,
    pub(super) agent_id: Sent<String>,
    pub(super) budget_id: Sent<String>,
    pub(super) models: Sent<Vec<String>>,
    pub(super) aliases: Sent<Map<String, Value>>,
    pub(super) config: Sent<Map<String, Value>>,
    pub(super) permissions: Sent<Map<String, Value>>,
    pub(super) metadata: Sent<Map<String, Value>>,
    pub(super) router_settings: Sent<Value>,
    pub(super) blocked: Sent<bool>,
    pub(super) spend: Option<f64>,
    pub(super) max_budget: Sent<f64>,
    pub(super) budget_duration: Sent<String>,
    pub(super) budget_limits: Sent<Value>,
    pub(super) budget_fallbacks: Sent<Map<String, Value>>,
    pub(super) model_max_budget: Sent<Map<String, Value>>,
    pub(super) max_parallel_requests: Sent<i64>,
    pub(super) tpm_limit: Sent<i64>,
    pub(super) rpm_limit: Sent<i64>,
    pub(super) tpd_limit: Sent<i64>,
    pub(super) allowed_cache_controls: Sent<Vec<String>>,
    pub(super) allowed_routes: Sent<Vec<String>>,
    pub(super) policies: Sent<Vec<String>>,
    pub(super) access_group_ids: Sent<Vec<String>>,
    pub(super) object_permission: Sent<ObjectPermissionUpdate>,
    pub(super) auto_rotate: Sent<bool>,
    pub(super) rotation_interval: Sent<String>,

    // LiteLLM keeps these in the key's metadata.
    pub(super) mcp_rpm_limit: Sent<BTreeMap<String, u64>>,
    pub(super) soft_budget: Sent<f64>,
    pub(super) tags: Sent<Vec<String>>,
    pub(super) model_rpm_limit: Sent<Value>,
    pub(super) model_tpm_limit: Sent<Value>,
    pub(super) tag_rpm_limit: Sent<Value>,
    pub(super) guardrails: Sent<Value>,
    pub(super) prompts: Sent<Value>,
    pub(super) enforced_params: Sent<Value>,
    pub(super) disable_global_guardrails: Sent<bool>,
    pub(super) enable_prompt_caching: Sent<bool>,
    pub(super) throttle_on_budget_exceeded: Sent<bool>,
    pub(super) allowed_passthrough_routes: Sent<Value>,
    pub(super) denied_passthrough_routes: Sent<Value>,
    pub(super) allowed_vector_store_indexes: Sent<Value>,
    pub(super) rpm_limit_type: Sent<String>,
    pub(super) tpm_limit_type: Sent<String>,
    pub(super) default_estimated_output_tokens: Sent<u64>,
    pub(super) default_estimated_output_tokens_per_model: Sent<Value>,
    pub(super) end_user_budget_id: Sent<String>,
    pub(super) temp_budget_increase: Sent<f64>,
    pub(super) temp_budget_expiry: Sent<String>,
}

/// Copies columns: what was sent is the new value, `null` the column's empty one.
macro_rules! columns {
    ($from:ident to $to:ident: $($field:ident),+) => {
        $(if let Change::Set(value) = &$from.$field { $to.$field = value.clone().into_column(); })+
    };
}

/// Copies parts of the metadata.
macro_rules! noted {
    ($from:ident to $metadata:ident: $($field:ident),+) => {
        $(match &$from.$field {
            Change::Keep => {}
            Change::Set(None) => { $metadata.remove(stringify!($field)); }
            Change::Set(Some(value)) => { $metadata.insert(stringify!($field).to_owned(), serde_json::json!(value)); }
        })+
    };
}

/// A value that was sent, as its column has it.
trait IntoColumn<C> {
    fn into_column(self) -> C;
}

impl<T> IntoColumn<Option<T>> for Option<T> {
    fn into_column(self) -> Option<T> {
        self
    }
}

impl<T> IntoColumn<Vec<T>> for Option<Vec<T>> {
    fn into_column(self) -> Vec<T> {
        self.unwrap_or_default()
    }
}

impl IntoColumn<Map<String, Value>> for Option<Map<String, Value>> {
    fn into_column(self) -> Map<String, Value> {
        self.unwrap_or_default()
    }
}

impl IntoColumn<bool> for Option<bool> {
    fn into_column(self) -> bool {
        self.unwrap_or_default()
    }
}

impl KeyRequest {
    /// The key that is meant or wanted.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.expose_secret())
    }

    /// The text that somebody chose for a regenerated key.
    pub(super) fn new_key(&self) -> Option<&str> {
        self.new_key.as_ref().map(|key| key.expose_secret())
    }

    /// Refuses what only a regeneration has, as a slip elsewhere.
    ///
    /// # Errors
    /// 422.
    pub(super) fn refuse_regeneration(&self) -> Result<(), AdminError> {
        let sent = [
            ("new_key", self.new_key.is_some()),
            ("new_master_key", self.new_master_key.is_some()),
            ("grace_period", self.grace_period.is_some()),
        ];
        match sent.into_iter().find(|(_, sent)| *sent) {
            Some((name, _)) => Err(FieldError::wrong(name, "this is for /key/regenerate").into()),
            None => Ok(()),
        }
    }

    /// Writes what was sent into `key` at the time `now`.
    ///
    /// # Errors
    /// 422 for a value that means nothing, 400 for a change of what cannot change.
    pub(super) fn apply_to(&self, key: &mut Key, now: DateTime<Utc>) -> Result<(), AdminError> {
        self.check()?;
        self.metadata(key)?;
        columns!(self to key: key_alias, user_id, agent_id, budget_id, models, aliases, config, permissions,
            router_settings, blocked, max_budget, budget_limits, budget_fallbacks, model_max_budget,
            max_parallel_requests, tpm_limit, rpm_limit, tpd_limit, allowed_cache_controls, allowed_routes, policies,
            access_group_ids, organization_id, project_id, auto_rotate, rotation_interval);
        // LiteLLM's forms send an empty text for a team that nobody chose.
        if let Change::Set(team) = &self.team_id
            && team.as_deref() != Some("")
        {
            key.team_id.clone_from(team);
        }
        for id in [&mut key.key_alias, &mut key.user_id, &mut key.organization_id, &mut key.project_id] {
            id.take_if(|id| id.is_empty());
        }
        if let Some(spend) = self.spend {
            key.spend = spend;
        }
        if let Some(kind) = self.key_type {
            key.key_type = Some(kind.as_str().to_owned());
            if let Some(routes) = kind.allowed_routes() {
                key.allowed_routes = vec![routes.to_owned()];
            }
        }
        self.times(key, now)?;
        self.permission(key);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        let limits = [
            ("max_parallel_requests", &self.max_parallel_requests),
            ("tpm_limit", &self.tpm_limit),
            ("rpm_limit", &self.rpm_limit),
            ("tpd_limit", &self.tpd_limit),
        ];
        for (name, limit) in limits {
            if let Change::Set(Some(..0)) = limit {
                return Err(FieldError::wrong(name, "a limit is 0 or more"));
            }
        }
        let increase = matches!(self.temp_budget_increase, Change::Set(Some(_)));
        if increase != matches!(self.temp_budget_expiry, Change::Set(Some(_))) {
            let why = "temp_budget_increase and temp_budget_expiry must be set together";
            return Err(FieldError::wrong("temp_budget_increase", why));
        }
        if let (Change::Set(Some(amount)), Change::Set(Some(until))) =
            (&self.temp_budget_increase, &self.temp_budget_expiry)
            && TemporaryIncrease::read(*amount, until).is_none()
        {
            return Err(FieldError::wrong("temp_budget_expiry", "expected a time, like `2026-12-31T23:59:59Z`"));
        }
        Ok(())
    }

    fn metadata(&self, key: &mut Key) -> Result<(), AdminError> {
        let before = key.metadata.get("service_account_id").cloned();
        if let Change::Set(metadata) = &self.metadata {
            key.metadata = metadata.clone().unwrap_or_default();
        }
        if let Some(before) = before {
            let after = key.metadata.entry("service_account_id").or_insert_with(|| before.clone());
            if *after != before {
                let text = "service_account_id is immutable once set and cannot be changed via update.";
                return Err(AdminError::Invalid(text.to_owned()));
            }
        }
        let metadata = &mut key.metadata;
        noted!(self to metadata: mcp_rpm_limit, soft_budget, tags, model_rpm_limit, model_tpm_limit, tag_rpm_limit,
            guardrails, prompts, enforced_params, disable_global_guardrails, enable_prompt_caching,
            throttle_on_budget_exceeded, allowed_passthrough_routes, denied_passthrough_routes,
            allowed_vector_store_indexes, rpm_limit_type, tpm_limit_type, default_estimated_output_tokens,
            default_estimated_output_tokens_per_model, end_user_budget_id, temp_budget_increase, temp_budget_expiry);
        Ok(())
    }

    fn times(&self, key: &mut Key, now: DateTime<Utc>) -> Result<(), FieldError> {
        match self.duration.as_deref() {
            None | Some("") => {}
            Some("-1") => key.expires = None,
            Some(duration) => key.expires = Some(period("duration", duration)?.after(now)),
        }
        if let Change::Set(duration) = &self.budget_duration
            && *duration != key.budget_duration
        {
            let period = duration.as_deref().map(|duration| period("budget_duration", duration)).transpose()?;
            key.budget_reset_at = period.map(|period| period.next_reset(now));
            key.budget_duration.clone_from(duration);
        }
        if !matches!((&self.auto_rotate, &self.rotation_interval), (Change::Keep, Change::Keep)) {
            let interval = key.rotation_interval.as_deref().filter(|_| key.auto_rotate);
            let interval = interval.map(|interval| period("rotation_interval", interval)).transpose()?;
            key.key_rotation_at = interval.map(|interval| interval.after(now));
        }
        Ok(())
    }

    /// `null` takes the whole permission away; anything else is merged into what is there.
    fn permission(&self, key: &mut Key) {
        match &self.object_permission {
            Change::Keep => {}
            Change::Set(None) => key.object_permission = None,
            Change::Set(Some(update)) => {
                let before = key.object_permission.take().unwrap_or_else(|| ObjectPermission {
                    object_permission_id: Some(random_id()),
                    ..ObjectPermission::default()
                });
                key.object_permission = Some(update.apply_to(&before));
            }
        }
    }
}

/// Reads one of LiteLLM's durations.
///
/// # Errors
/// 422 that names the field.
pub(super) fn period(field: &str, text: &str) -> Result<Period, FieldError> {
    text.parse().map_err(|why| FieldError::wrong(field, why))
}
