//! `/key/*`: virtual keys are made, changed, looked at and taken back.
//!
//! LiteLLM: `management_endpoints/key_management_endpoints.py`. Whose keys a caller may touch, and what they may give,
//! is in `rights`; a key that the caller may not see answers as one that is not there.

pub mod bulk;
mod list;
mod request;
mod rights;
mod view;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use chrono::Utc;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_access::key::{KeyHash, PREFIX, RANDOM_BYTES, VirtualKey};
use toolgate_access::principal::Credential;
use toolgate_store::{Change, Direction, Key, KeyChanges, KeyFilter, KeyOrder, PageOf, Regenerated, StoreError, Team};

use super::body::{FieldError, JsonBody, QueryOf};
use super::{AdminError, Allowed};
use request::KeyRequest;
use rights::Giving;

pub use list::ListQuery;

/// The shortest key that somebody may choose, in bytes, as in LiteLLM.
const MIN_CUSTOM_KEY: usize = 16;

/// The most keys that one request deletes.
const MAX_DELETED: usize = 1_000;

type Answered = Result<Json<Value>, AdminError>;

/// `POST /key/generate`.
pub async fn generate(allowed: Allowed, JsonBody(sent): JsonBody<KeyRequest>) -> Answered {
    make(&allowed, &sent, Key::default(), "/key/generate").await
}

/// `POST /key/service-account/generate`: a key of a team and nobody's.
pub async fn service_account(allowed: Allowed, JsonBody(mut sent): JsonBody<KeyRequest>) -> Answered {
    if !matches!(&sent.team_id, Change::Set(Some(team)) if !team.is_empty()) {
        let text = "team_id is required for service account keys. Please specify `team_id` in the request body.";
        return Err(AdminError::Invalid(text.to_owned()));
    }
    let alias = sent.key_alias.as_set().cloned().flatten();
    let mut metadata = sent.metadata.as_set().cloned().flatten().unwrap_or_default();
    metadata.entry("service_account_id").or_insert_with(|| json!(alias.unwrap_or_else(random_id)));
    sent.metadata = Change::Set(Some(metadata));
    sent.user_id = Change::Set(None);
    make(&allowed, &sent, Key::default(), "/key/service-account/generate").await
}

async fn make(allowed: &Allowed, sent: &KeyRequest, mut key: Key, route: &'static str) -> Answered {
    sent.refuse_regeneration()?;
    let secret = chosen_or_random("key", sent.key())?;
    key.token = secret.hash().to_hex();
    key.key_name = Some(secret.masked());
    sent.apply_to(&mut key, Utc::now())?;
    let team = team(allowed, key.team_id.as_deref()).await?;
    // Whoever is no admin makes keys for themselves, unless it is a service account's.
    let in_team = key.team_id.as_deref().is_none_or(|team| allowed.tenant.is_in_team(team));
    let for_nobody = matches!(sent.user_id, Change::Set(None));
    if key.user_id.is_none() && in_team && !for_nobody && !allowed.is_admin() {
        key.user_id.clone_from(&allowed.tenant.user_id);
    }
    if rights::is_of_another(allowed, key.user_id.as_deref()) && key.allowed_routes.is_empty() {
        key.allowed_routes = vec![rights::MEMBERS_KEY_ROUTES.to_owned()];
    }
    Giving { allowed, before: None, after: &key, team: team.as_ref(), route }.check()?;
    rights::check_held(allowed, &key).await?;
    rights::check_assigned_user(allowed, key.user_id.as_deref(), team.as_ref()).await?;
    rights::check_project(allowed, None, &key).await?;
    let alias = key.key_alias.clone();
    let key = allowed.store.create_key(&allowed.actor, key).await.map_err(|why| told(why, alias.as_deref()))?;
    Ok(answer(view::made(&key, &secret)?))
}

/// `POST /key/update`.
pub async fn update(allowed: Allowed, JsonBody(sent): JsonBody<KeyRequest>) -> Answered {
    sent.refuse_regeneration()?;
    Ok(answer(update_named(&allowed, &sent, "/key/update").await?))
}

/// Changes the key that `sent` names, for a member of its team if the team lets members use `route`.
async fn update_named(
    allowed: &Allowed,
    sent: &KeyRequest,
    route: &'static str,
) -> Result<Map<String, Value>, AdminError> {
    let before = match (sent.key(), &sent.key_alias) {
        (Some(named), _) => Subject::named(allowed, named, "Key not found.").await?,
        (None, Change::Set(Some(alias))) => Subject::of_alias(allowed, alias).await?,
        (None, _) => return Err(AdminError::Invalid("either key or key_alias must be provided".to_owned())),
    };
    rights::check_change(allowed, &before.key, before.team.as_ref(), route)?;
    let after = changed(allowed, &before, sent, route).await?;
    let changes = changes(&before.key, &after);
    let alias = after.key_alias.as_deref();
    let hash = before.hash()?;
    let key = allowed.store.update_key(&allowed.actor, &hash, changes).await.map_err(|why| told(why, alias))?;
    let mut row = view::row(&key)?;
    row.insert("key".to_owned(), json!(before.named));
    Ok(row)
}

/// The key as it shall be, which the caller may make it.
async fn changed(
    allowed: &Allowed,
    before: &Subject,
    sent: &KeyRequest,
    route: &'static str,
) -> Result<Key, AdminError> {
    let now = Utc::now();
    let mut after = before.key.clone();
    sent.apply_to(&mut after, now)?;
    after.settings_updated_at = Some(now);
    let moved = before.key.team_id != after.team_id;
    let other_team = if moved { team(allowed, after.team_id.as_deref()).await? } else { None };
    let team = if moved { other_team.as_ref() } else { before.team.as_ref() };
    Giving { allowed, before: Some(&before.key), after: &after, team, route }.check()?;
    if moved || before.key.user_id != after.user_id {
        rights::check_assigned_user(allowed, after.user_id.as_deref(), team).await?;
    }
    rights::check_project(allowed, Some(&before.key), &after).await?;
    Ok(after)
}

/// LiteLLM's `KeyRequest`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "KeysDeleted")]
pub struct DeleteBody {
    keys: Option<Vec<String>>,
    key_aliases: Option<Vec<String>>,
}

/// `POST /key/delete`. Keys that are not there are passed over, unless none of them is.
pub async fn delete(allowed: Allowed, JsonBody(sent): JsonBody<DeleteBody>) -> Answered {
    let (keys, aliases) = (sent.keys.unwrap_or_default(), sent.key_aliases.unwrap_or_default());
    let (asked, by_alias) = if keys.is_empty() { (aliases, true) } else { (keys, false) };
    if asked.is_empty() {
        return Err(FieldError::wrong("keys", "At least one of 'keys' or 'key_aliases' must be provided.").into());
    }
    if asked.len() > MAX_DELETED {
        return Err(FieldError::wrong("keys", format_args!("at most {MAX_DELETED} keys are deleted at once")).into());
    }
    let (mut hashes, mut deleted) = (Vec::new(), Vec::new());
    for named in asked {
        let subject = if by_alias {
            Subject::of_alias(&allowed, &named).await
        } else {
            Subject::named(&allowed, &named, "Key not found.").await
        };
        match subject {
            Ok(subject) => {
                rights::check_change(&allowed, &subject.key, subject.team.as_ref(), "/key/delete")?;
                hashes.push(subject.hash()?);
                deleted.push(named);
            }
            Err(AdminError::NotFound(_)) => {}
            Err(why) => return Err(why),
        }
    }
    if hashes.is_empty() {
        return Err(AdminError::NotFound("No keys found".to_owned()));
    }
    allowed.store.delete_keys(&allowed.actor, &hashes).await?;
    Ok(Json(json!({ "deleted_keys": deleted })))
}

/// The query of `/key/info`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InfoQuery {
    key: Option<String>,
}

/// `GET /key/info`: of the key that is named, or of the one that the request was let in with.
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<InfoQuery>) -> Answered {
    const MISSING: &str = "Key not found in database";
    let named = match (query.key, &allowed.caller.principal.credential) {
        (Some(named), _) => named,
        (None, Credential::Key(own)) => own.hash.to_hex(),
        (None, Credential::Master | Credential::Token(_) | Credential::Session(_) | Credential::Anonymous) => {
            return Err(AdminError::NotFound(MISSING.to_owned()));
        }
    };
    let subject = Subject::named(&allowed, &named, MISSING).await?;
    let info = view::info(&subject.key, Utc::now())?;
    Ok(Json(json!({ "key": subject.named, "info": info })))
}

/// `GET /key/list`.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<ListQuery>) -> Answered {
    Ok(Json(query.answer(&allowed).await?))
}

/// `POST /key/regenerate`, with the key in the body.
pub async fn regenerate(allowed: Allowed, JsonBody(sent): JsonBody<KeyRequest>) -> Answered {
    renew(&allowed, None, &sent).await
}

/// `POST /key/{key}/regenerate`.
pub async fn regenerate_named(
    allowed: Allowed,
    path: Result<Path<String>, PathRejection>,
    JsonBody(sent): JsonBody<KeyRequest>,
) -> Answered {
    let Path(named) = path.map_err(|why| AdminError::Invalid(why.body_text()))?;
    renew(&allowed, Some(&named), &sent).await
}

async fn renew(allowed: &Allowed, in_path: Option<&str>, sent: &KeyRequest) -> Answered {
    const ROUTE: &str = "/key/regenerate";
    if sent.new_master_key.is_some() {
        let why = "the master key is in the configuration; change it there and restart";
        return Err(FieldError::wrong("new_master_key", why).into());
    }
    let Some(named) = sent.key().or(in_path) else {
        return Err(AdminError::Invalid("No key passed in.".to_owned()));
    };
    let before = Subject::named(allowed, named, "Key not found.").await?;
    rights::check_change(allowed, &before.key, before.team.as_ref(), ROUTE)?;
    rights::check_held(allowed, &before.key).await?;
    let now = Utc::now();
    let grace = sent.grace_period.as_deref().filter(|grace| !grace.is_empty());
    let grace = grace.map(|grace| request::period("grace_period", grace)).transpose()?;
    let after = changed(allowed, &before, sent, ROUTE).await?;
    let secret = chosen_or_random("new_key", sent.new_key())?;
    let new = Regenerated {
        hash: secret.hash(),
        key_name: secret.masked(),
        old_until: grace.map(|grace| grace.after(now)),
        changes: changes(&before.key, &after),
    };
    let (hash, alias) = (before.hash()?, after.key_alias.as_deref());
    let key = allowed.store.regenerate_key(&allowed.actor, &hash, new).await.map_err(|why| told(why, alias))?;
    Ok(answer(view::made(&key, &secret)?))
}

/// LiteLLM's `BlockKeyRequest`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "KeyNamed")]
pub struct BlockBody {
    key: String,
}

/// `POST /key/block`.
pub async fn block(allowed: Allowed, JsonBody(sent): JsonBody<BlockBody>) -> Answered {
    set_blocked(&allowed, &sent.key, true, "/key/block").await
}

/// `POST /key/unblock`.
pub async fn unblock(allowed: Allowed, JsonBody(sent): JsonBody<BlockBody>) -> Answered {
    set_blocked(&allowed, &sent.key, false, "/key/unblock").await
}

async fn set_blocked(allowed: &Allowed, named: &str, blocked: bool, route: &'static str) -> Answered {
    let subject = Subject::named(allowed, named, "Key not found.").await?;
    rights::check_block(allowed, &subject.key, subject.team.as_ref(), route)?;
    let key = allowed.store.set_key_blocked(&allowed.actor, &subject.hash()?, blocked).await?;
    Ok(answer(view::row(&key)?))
}

fn answer(row: Map<String, Value>) -> Json<Value> {
    Json(Value::Object(row))
}

/// A key that a request is about, which its caller may see.
struct Subject {
    /// As the request named it, or its hash where it did so by alias.
    named: String,
    key: Key,
    team: Option<Team>,
}

impl Subject {
    /// The key with this text or hash. `missing` is the text for one that is not there or not to be seen.
    async fn named(allowed: &Allowed, named: &str, missing: &str) -> Result<Self, AdminError> {
        let not_found = || AdminError::NotFound(missing.to_owned());
        let hash = match named.starts_with(PREFIX) {
            true => VirtualKey::parse(named).map_err(|_| not_found())?.hash(),
            false => named.parse::<KeyHash>().map_err(|_| not_found())?,
        };
        let key = allowed.store.key(&hash).await?.ok_or_else(not_found)?;
        Self::seen(allowed, named.to_owned(), key).await?.ok_or_else(not_found)
    }

    async fn of_alias(allowed: &Allowed, alias: &str) -> Result<Self, AdminError> {
        let not_found = || AdminError::NotFound(format!("Key not found. No key with key_alias='{alias}'."));
        let filter = KeyFilter { key_alias: Some(alias.to_owned()), ..KeyFilter::default() };
        let order = (KeyOrder::CreatedAt, Direction::Ascending);
        // Aliases are unique.
        let found = allowed.store.keys(&filter, order, PageOf::new(1, 1)).await?;
        let key = found.items.into_iter().next().ok_or_else(not_found)?;
        Self::seen(allowed, key.token.clone(), key).await?.ok_or_else(not_found)
    }

    async fn seen(allowed: &Allowed, named: String, key: Key) -> Result<Option<Self>, StoreError> {
        let team = match &key.team_id {
            Some(team) => allowed.store.team(team).await?,
            None => None,
        };
        Ok(rights::may_see(allowed, &key, team.as_ref()).then_some(Self { named, key, team }))
    }

    fn hash(&self) -> Result<KeyHash, StoreError> {
        let corrupt = |_| StoreError::Corrupt { what: "keys.token holds no hash".to_owned() };
        self.key.token.parse().map_err(corrupt)
    }
}

/// The team of a key that is made or moved. One that is not there is, to whoever is no admin, one that they are not in.
async fn team(allowed: &Allowed, team_id: Option<&str>) -> Result<Option<Team>, AdminError> {
    let Some(team_id) = team_id else { return Ok(None) };
    match allowed.store.team(team_id).await? {
        Some(team) => Ok(Some(team)),
        None if allowed.is_admin() => {
            Err(AdminError::Invalid(format!("Unable to find team object in database. Team id={team_id}")))
        }
        None => Err(toolgate_access::issue::IssueError::NotInTeam {
            user: allowed.tenant.user_id.as_deref().map(Into::into),
            team: team_id.into(),
        }
        .into()),
    }
}

/// What to tell of a key that the database did not take.
fn told(why: StoreError, alias: Option<&str>) -> AdminError {
    match why {
        StoreError::Conflict { what } if what.contains("key_alias") => AdminError::Taken(format!(
            "Key with alias '{}' already exists. Unique key aliases across all keys are required.",
            alias.unwrap_or_default()
        )),
        StoreError::Conflict { what } if what.contains("token") => {
            AdminError::Taken("this key is taken already; choose another one, or let one be made".to_owned())
        }
        why => why.into(),
    }
}

/// A key of somebody's choice, or a new one.
fn chosen_or_random(field: &str, chosen: Option<&str>) -> Result<VirtualKey, AdminError> {
    let Some(chosen) = chosen else { return Ok(random_key()) };
    let key = VirtualKey::parse(chosen).map_err(|why| AdminError::Invalid(format!("`{field}`: {why}")))?;
    if chosen.len() < MIN_CUSTOM_KEY {
        return Err(AdminError::Invalid(format!(
            "Invalid key format. LiteLLM Virtual Key must be at least {MIN_CUSTOM_KEY} characters long."
        )));
    }
    Ok(key)
}

fn random_key() -> VirtualKey {
    let mut bytes = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    VirtualKey::from_random(&bytes)
}

/// An id of a row, or of a service account.
fn random_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of a key is different. Only that is written, so that two changes of different things both hold.
fn changes(before: &Key, after: &Key) -> KeyChanges {
    macro_rules! differing {
        ($($field:ident),+ $(,)?) => {
            KeyChanges {
                $($field: if before.$field == after.$field { Change::Keep } else { Change::Set(after.$field.clone()) },)+
                ..KeyChanges::default()
            }
        };
    }
    differing!(
        key_alias,
        key_type,
        user_id,
        team_id,
        organization_id,
        project_id,
        agent_id,
        budget_id,
        models,
        aliases,
        config,
        permissions,
        metadata,
        router_settings,
        blocked,
        expires,
        spend,
        max_budget,
        budget_duration,
        budget_reset_at,
        budget_limits,
        budget_fallbacks,
        model_max_budget,
        max_parallel_requests,
        tpm_limit,
        rpm_limit,
        tpd_limit,
        allowed_cache_controls,
        allowed_routes,
        policies,
        access_group_ids,
        object_permission,
        settings_updated_at,
        auto_rotate,
        rotation_interval,
        key_rotation_at,
    )
}
