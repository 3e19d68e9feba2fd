//! Several keys at once: `/key/bulk_update`, `/team/key/bulk_update`, `/v2/key/info`, `/key/aliases`; and
//! `/key/{key}/reset_spend`. Each key is judged as if it were sent alone.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use chrono::Utc;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_store::{Change, Direction, Key, KeyChanges, KeyFilter, KeyOrder, MAX_PAGE_SIZE, PageOf, StoreError};

use super::list::scope_of_lists;
use super::request::KeyRequest;
use super::{Answered, Subject, rights, update_named, view};
use crate::admin::body::{FieldError, JsonBody, QueryOf};
use crate::admin::{AdminError, Allowed, terms};

/// The most keys of one request, as in LiteLLM.
const MAX_KEYS: usize = 500;

/// One key of a bulk update.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyBulkUpdate")]
struct Item {
    /// The key or its hash.
    #[schemars(with = "String")]
    key: SecretString,
    #[serde(default)]
    budget_id: Option<String>,
    #[serde(default)]
    max_budget: Option<f64>,
    #[serde(default)]
    team_id: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// The body of `/key/bulk_update`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "KeysBulkUpdate")]
pub struct BulkBody {
    keys: Vec<Item>,
}

fn sent<T>(value: Option<T>) -> Change<Option<T>> {
    value.map_or(Change::Keep, |value| Change::Set(Some(value)))
}

/// `POST /key/bulk_update`: what can be changed is, and the answer says what was not and why.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<BulkBody>) -> Answered {
    check_number("keys", body.keys.len())?;
    let mut told = Told::default();
    for item in body.keys {
        let request = KeyRequest {
            key: Some(item.key),
            budget_id: sent(item.budget_id),
            max_budget: sent(item.max_budget),
            team_id: sent(item.team_id),
            tags: sent(item.tags),
            ..KeyRequest::default()
        };
        told.one(&allowed, &request, "/key/bulk_update").await?;
    }
    Ok(told.answer())
}

fn check_number(field: &str, number: usize) -> Result<(), FieldError> {
    if (1..=MAX_KEYS).contains(&number) {
        return Ok(());
    }
    Err(FieldError::wrong(field, format_args!("name 1 to {MAX_KEYS} keys")))
}

/// What has become of a bulk update.
#[derive(Default)]
struct Told {
    done: Vec<Value>,
    failed: Vec<Value>,
}

impl Told {
    /// Changes one key. What one key's change fails by is told of that key; what would fail for all ends the request.
    async fn one(&mut self, allowed: &Allowed, request: &KeyRequest, route: &'static str) -> Result<(), AdminError> {
        let named = hash_or_hidden(request.key().unwrap_or_default());
        match update_named(allowed, request, route).await {
            Ok(row) => self.done.push(json!({ "key": named, "key_info": row })),
            Err(AdminError::Store(why)) if !is_of_one_row(&why) => return Err(why.into()),
            Err(why) => {
                self.failed.push(json!({ "key": named, "key_info": null, "failed_reason": why.to_string() }));
            }
        }
        Ok(())
    }

    fn answer(self) -> Json<Value> {
        Json(json!({
            "total_requested": self.done.len() + self.failed.len(),
            "successful_updates": self.done,
            "failed_updates": self.failed,
        }))
    }
}

/// Whether what the database says is about the row that was to be changed.
fn is_of_one_row(why: &StoreError) -> bool {
    match why {
        StoreError::Conflict { .. }
        | StoreError::NotFound { .. }
        | StoreError::InUse { .. }
        | StoreError::Invalid { .. } => true,
        StoreError::Unavailable { .. }
        | StoreError::Full { .. }
        | StoreError::WrongKey
        | StoreError::NewerSchema { .. }
        | StoreError::Corrupt { .. } => false,
    }
}

/// How a key is named in an answer: never by its own text.
fn hash_or_hidden(named: &str) -> String {
    crate::admin::spend::hash_of(named.to_owned())
}

/// What `/team/key/bulk_update` changes: LiteLLM's fields, among which there are none that give rights.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TeamKeyFields")]
struct Fields {
    max_budget: Option<f64>,
    budget_id: Option<String>,
    budget_duration: Option<String>,
    budget_limits: Option<Value>,
    model_max_budget: Option<Map<String, Value>>,
    tpm_limit: Option<i64>,
    rpm_limit: Option<i64>,
    model_tpm_limit: Option<Value>,
    model_rpm_limit: Option<Value>,
    max_parallel_requests: Option<i64>,
    rpm_limit_type: Option<String>,
    tpm_limit_type: Option<String>,
    temp_budget_increase: Option<f64>,
    temp_budget_expiry: Option<String>,
    duration: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<Map<String, Value>>,
}

impl Fields {
    fn request(&self, hash: &str) -> KeyRequest {
        KeyRequest {
            key: Some(hash.to_owned().into()),
            max_budget: sent(self.max_budget),
            budget_id: sent(self.budget_id.clone()),
            budget_duration: sent(self.budget_duration.clone()),
            budget_limits: sent(self.budget_limits.clone()),
            model_max_budget: sent(self.model_max_budget.clone()),
            tpm_limit: sent(self.tpm_limit),
            rpm_limit: sent(self.rpm_limit),
            model_tpm_limit: sent(self.model_tpm_limit.clone()),
            model_rpm_limit: sent(self.model_rpm_limit.clone()),
            max_parallel_requests: sent(self.max_parallel_requests),
            rpm_limit_type: sent(self.rpm_limit_type.clone()),
            tpm_limit_type: sent(self.tpm_limit_type.clone()),
            temp_budget_increase: sent(self.temp_budget_increase),
            temp_budget_expiry: sent(self.temp_budget_expiry.clone()),
            duration: self.duration.clone(),
            tags: sent(self.tags.clone()),
            metadata: sent(self.metadata.clone()),
            ..KeyRequest::default()
        }
    }
}

/// The body of `/team/key/bulk_update`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamKeysBulkUpdate")]
pub struct TeamBulkBody {
    team_id: String,
    /// Keys or their hashes.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    key_ids: Option<Vec<SecretString>>,
    #[serde(default)]
    all_keys_in_team: bool,
    update_fields: Fields,
}

/// `POST /team/key/bulk_update`: the same change of many keys of a team.
pub async fn update_of_team(allowed: Allowed, JsonBody(body): JsonBody<TeamBulkBody>) -> Answered {
    const ROUTE: &str = "/team/key/bulk_update";
    crate::admin::teams::check_managed(&allowed, &body.team_id).await?;
    let asked = body.key_ids.unwrap_or_default();
    if asked.is_empty() != body.all_keys_in_team {
        let why = "Provide either `key_ids` (non-empty) or `all_keys_in_team=true`, not both.";
        return Err(FieldError::wrong("key_ids", why).into());
    }
    let mut told = Told::default();
    let hashes = if asked.is_empty() {
        let filter = KeyFilter { team_id: Some(body.team_id.clone()), ..KeyFilter::default() };
        let order = (KeyOrder::CreatedAt, Direction::Ascending);
        let found = allowed.store.keys(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?;
        if found.total > i64::try_from(MAX_KEYS).unwrap_or(i64::MAX) {
            let why = format!("the team has more than {MAX_KEYS} keys; name them in parts by `key_ids`");
            return Err(FieldError::wrong("all_keys_in_team", why).into());
        }
        found.items.into_iter().map(|key| key.token).collect()
    } else {
        check_number("key_ids", asked.len())?;
        let text = |key: &SecretString| hash_or_hidden(secrecy::ExposeSecret::expose_secret(key));
        asked.iter().map(text).collect::<Vec<_>>()
    };
    for hash in hashes {
        let is_of_team = matches!(Subject::named(&allowed, &hash, "Key not found.").await,
            Ok(subject) if subject.key.team_id.as_ref() == Some(&body.team_id));
        if is_of_team {
            told.one(&allowed, &body.update_fields.request(&hash), ROUTE).await?;
        } else {
            let why = "Key not found in the team.";
            told.failed.push(json!({ "key": hash, "key_info": null, "failed_reason": why }));
        }
    }
    Ok(told.answer())
}

/// The body of `/v2/key/info`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "KeysNamed")]
pub struct InfoBody {
    /// Keys or their hashes.
    keys: Vec<String>,
}

/// `POST /v2/key/info`: several keys. Those that are not there or not the caller's to see are left out.
pub async fn info(allowed: Allowed, JsonBody(body): JsonBody<InfoBody>) -> Answered {
    check_number("keys", body.keys.len())?;
    let now = Utc::now();
    let (mut named, mut infos) = (Vec::new(), Vec::new());
    for key in body.keys {
        match Subject::named(&allowed, &key, "Key not found.").await {
            Ok(subject) => {
                infos.push(view::info(&subject.key, now)?);
                named.push(subject.named);
            }
            Err(AdminError::NotFound(_)) => {}
            Err(why) => return Err(why),
        }
    }
    if infos.is_empty() {
        return Err(AdminError::NotFound("No keys found".to_owned()));
    }
    Ok(Json(json!({ "key": named, "info": infos })))
}

/// The query of `/key/aliases`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AliasQuery {
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    size: Option<String>,
    /// A part of the alias.
    search: Option<String>,
    team_id: Option<String>,
}

/// `GET /key/aliases`: the aliases of keys that the caller may see.
pub async fn aliases(allowed: Allowed, QueryOf(query): QueryOf<AliasQuery>) -> Answered {
    let page = terms::page_of(query.page.as_deref(), query.size.as_deref(), 50, 100)?;
    let filter = KeyFilter {
        // Every alias has something in it, which a key without one has not.
        key_alias_contains: Some(query.search.unwrap_or_default()),
        team_id: query.team_id,
        visible: scope_of_lists(&allowed),
        ..KeyFilter::default()
    };
    let found = allowed.store.keys(&filter, (KeyOrder::KeyAlias, Direction::Ascending), page).await?;
    let aliases: Vec<_> = found.items.iter().filter_map(|key| key.key_alias.as_deref()).collect();
    Ok(Json(json!({
        "aliases": aliases,
        "total_count": found.total,
        "current_page": page.page(),
        "total_pages": found.pages(),
        "size": page.size(),
    })))
}

/// The body of `/key/{key}/reset_spend`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "KeySpendReset")]
pub struct ResetBody {
    /// In USD; not more than has been spent.
    reset_to: f64,
}

/// `POST /key/{key}/reset_spend`: by whoever administers the gateway, or the key's team or organization.
pub async fn reset_spend(
    allowed: Allowed,
    path: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody<ResetBody>,
) -> Answered {
    let Path(named) = path.map_err(|why| AdminError::Invalid(why.body_text()))?;
    let subject = Subject::named(&allowed, &named, "Key not found.").await?;
    rights::check_block(&allowed, &subject.key, subject.team.as_ref(), "/key/{key}/reset_spend")?;
    check_reset(body.reset_to, &subject.key)?;
    let changes = KeyChanges { spend: Change::Set(body.reset_to), ..KeyChanges::default() };
    let key = allowed.store.update_key(&allowed.actor, &subject.hash()?, changes).await?;
    Ok(Json(json!({
        "key_hash": key.token,
        "spend": key.spend,
        "previous_spend": subject.key.spend,
        "max_budget": key.max_budget,
        "budget_reset_at": key.budget_reset_at,
    })))
}

fn check_reset(to: f64, key: &Key) -> Result<(), AdminError> {
    if !(to.is_finite() && to >= 0.0) {
        return Err(AdminError::Invalid("reset_to must be >= 0".to_owned()));
    }
    if to > key.spend {
        return Err(AdminError::Invalid(format!("reset_to ({to}) must be <= current spend ({})", key.spend)));
    }
    Ok(())
}
