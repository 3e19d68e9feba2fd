//! Virtual keys. A key is known by its hash alone.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use toolgate_access::key::KeyHash;
use toolgate_access::permission::ObjectPermission;

use crate::audit::Action;
use crate::cell::args;
use crate::edit::Edit;
use crate::page::{Page, PageOf};
use crate::query::{Direction, Where, order_by};
use crate::row::row;
use crate::{Actor, Budget, Change, Noun, Organization, Project, Store, StoreError, Team};

row! {
    /// A virtual key. `token` is its hash in hex; the key itself is nowhere.
    pub struct Key, KeyChanges in Noun::Key;
    id { token }
    free {
        /// What lists show of the key: `sk-...` and its last characters.
        key_name: Option<String>,
        key_alias: Option<String>,
        key_type: Option<String>,
        user_id: Option<String>,
        team_id: Option<String>,
        organization_id: Option<String>,
        project_id: Option<String>,
        agent_id: Option<String>,
        budget_id: Option<String>,
        models: Vec<String>,
        aliases: Map<String, Value>,
        config: Map<String, Value>,
        permissions: Map<String, Value>,
        metadata: Map<String, Value>,
        router_settings: Option<Value>,
        blocked: Option<bool>,
        expires: Option<DateTime<Utc>>,
        /// In this budget period, in USD.
        spend: f64,
        /// Ever, in USD.
        total_spend: f64,
        max_budget: Option<f64>,
        soft_budget_cooldown: bool,
        /// LiteLLM's form: `30s`, `30m`, `24h`, `7d`, `1mo`.
        budget_duration: Option<String>,
        budget_reset_at: Option<DateTime<Utc>>,
        budget_limits: Option<Value>,
        budget_fallbacks: Map<String, Value>,
        model_spend: Map<String, Value>,
        model_max_budget: Map<String, Value>,
        max_parallel_requests: Option<i64>,
        tpm_limit: Option<i64>,
        rpm_limit: Option<i64>,
        tpd_limit: Option<i64>,
        allowed_cache_controls: Vec<String>,
        allowed_routes: Vec<String>,
        policies: Vec<String>,
        /// Unified access groups.
        access_group_ids: Vec<String>,
        object_permission: Option<ObjectPermission>,
        settings_updated_at: Option<DateTime<Utc>>,
        /// When a call was last accounted to it.
        last_active: Option<DateTime<Utc>>,
        rotation_count: i64,
        auto_rotate: bool,
        rotation_interval: Option<String>,
        last_rotation_at: Option<DateTime<Utc>>,
        key_rotation_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A former hash of a key that was regenerated, good until `revoke_at`.
    pub struct DeprecatedKey, DeprecatedKeyChanges in Noun::DeprecatedKey;
    id { token }
    free {
        /// The hash of the key that it stands for.
        active_token_id: String,
        revoke_at: DateTime<Utc> = DateTime::UNIX_EPOCH,
    }
}

/// Which keys.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Of these hashes.
    pub tokens: Option<Vec<String>>,
    /// Of exactly this alias.
    pub key_alias: Option<String>,
    /// With this in the alias, whatever the case.
    pub key_alias_contains: Option<String>,
    /// Of one user.
    pub user_id: Option<String>,
    /// With this in the user's id, whatever the case.
    pub user_id_contains: Option<String>,
    /// Of one team.
    pub team_id: Option<String>,
    /// Of one organization.
    pub organization_id: Option<String>,
    /// Of one project.
    pub project_id: Option<String>,
    /// Bound to one agent.
    pub agent_id: Option<String>,
    /// With one unified access group.
    pub access_group_id: Option<String>,
    /// Made by one user.
    pub created_by: Option<String>,
    /// Blocked or not.
    pub blocked: Option<bool>,
    /// Expired by now, or not.
    pub expired: Option<bool>,
    /// To be rotated by now.
    pub rotation_due: bool,
    /// Only what the caller may see.
    pub visible: Option<KeyScope>,
}

/// Keys that belong to any of these.
#[derive(Debug, Clone, Default)]
pub struct KeyScope {
    /// Of these users.
    pub user_ids: Vec<String>,
    /// Of these teams.
    pub team_ids: Vec<String>,
    /// Of these organizations.
    pub organization_ids: Vec<String>,
    /// Made by these users.
    pub created_by: Vec<String>,
}

/// What a list of keys is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is a column of the key")]
pub enum KeyOrder {
    #[default]
    CreatedAt,
    UpdatedAt,
    Spend,
    Expires,
    KeyAlias,
    UserId,
    TeamId,
}

impl KeyOrder {
    fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::Spend => "spend",
            Self::Expires => "expires",
            Self::KeyAlias => "key_alias",
            Self::UserId => "user_id",
            Self::TeamId => "team_id",
        }
    }
}

/// What takes the place of a key that is regenerated.
#[derive(Debug, Clone)]
pub struct Regenerated {
    /// The new key's hash.
    pub hash: KeyHash,
    /// The new key, masked.
    pub key_name: String,
    /// Until when the old key works; `None`: it stops at once.
    pub old_until: Option<DateTime<Utc>>,
    /// What else changes.
    pub changes: KeyChanges,
}

impl Store {
    /// Keeps a new key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its hash or alias is taken; [`StoreError::NotFound`] when its team, organization,
    /// project or budget does not exist.
    pub async fn create_key(&self, actor: &Actor, key: Key) -> Result<Key, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            check(&mut edit, &key).await?;
            let former = edit.find::<DeprecatedKey>(&[&key.token]).await?;
            if former.is_some() {
                return Err(StoreError::Conflict { what: "token".into() });
            }
            let key = edit.insert(key).await?;
            edit.commit().await?;
            Ok(key)
        })
        .await
    }

    /// The key with this hash. A former hash of a regenerated key leads nowhere here.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<Key>, StoreError> {
        self.get(&[&hash.to_hex()]).await
    }

    /// A page of keys.
    pub async fn keys(
        &self,
        filter: &KeyFilter,
        order: (KeyOrder, Direction),
        page: PageOf,
    ) -> Result<Page<Key>, StoreError> {
        let mut session = self.db().read().await?;
        let conditions = filter.conditions(Where::new(&session), &self.now());
        let order = order_by(order.0.column(), order.1, "token");
        conditions.page_of_rows(&mut session, self.sealer(), &order, page).await
    }

    /// Changes a key.
    pub async fn update_key(&self, actor: &Actor, hash: &KeyHash, changes: KeyChanges) -> Result<Key, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<Key>(&[&hash.to_hex()]).await?;
            let after = changed(&mut edit, &before, changes).await?;
            let key = edit.write(&before, after).await?;
            edit.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Blocks keys or opens them again; returns them.
    pub async fn set_key_blocked(&self, actor: &Actor, hash: &KeyHash, blocked: bool) -> Result<Key, StoreError> {
        self.update_key(actor, hash, KeyChanges { blocked: Change::Set(Some(blocked)), ..KeyChanges::default() }).await
    }

    /// Deletes keys with their former hashes; returns those that were there.
    pub async fn delete_keys(&self, actor: &Actor, hashes: &[KeyHash]) -> Result<Vec<Key>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let mut deleted = Vec::new();
            for hash in hashes {
                if let Some(key) = edit.find::<Key>(&[&hash.to_hex()]).await? {
                    delete_with_former(&mut edit, &key).await?;
                    deleted.push(key);
                }
            }
            edit.commit().await?;
            Ok(deleted)
        })
        .await
    }

    /// Gives a key a new hash. What was spent, granted and logged stays with it.
    pub async fn regenerate_key(&self, actor: &Actor, old: &KeyHash, new: Regenerated) -> Result<Key, StoreError> {
        Box::pin(async move {
            let (old_token, token) = (old.to_hex(), new.hash.to_hex());
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<Key>(&[&old_token]).await?;
            let mut after = changed(&mut edit, &before, new.changes).await?;
            after.key_name = Some(new.key_name);
            after.rotation_count += 1;
            after.last_rotation_at = Some(edit.now);
            if edit.find::<DeprecatedKey>(&[&token]).await?.is_some() {
                return Err(StoreError::Conflict { what: "token".into() });
            }
            edit.session.execute("UPDATE keys SET token = $1 WHERE token = $2", args![token, old_token]).await?;
            let moved = Key { token: token.clone(), ..before };
            after.token.clone_from(&token);
            let key = edit.write(&moved, after).await?;
            edit.log(Noun::Key, old_token.clone(), Action::Rotated, None, Some(json!({ "token": token }))).await?;
            move_former(&mut edit, &old_token, &token).await?;
            if let Some(revoke_at) = new.old_until {
                let former =
                    DeprecatedKey { token: old_token, active_token_id: token, revoke_at, ..DeprecatedKey::default() };
                edit.insert(former).await?;
            }
            edit.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Forgets former hashes that no longer work; returns how many.
    pub async fn prune_deprecated_keys(&self, actor: &Actor) -> Result<usize, StoreError> {
        let mut edit = self.edit(actor).await?;
        let now = edit.now;
        let gone = edit.delete_where::<DeprecatedKey>("WHERE revoke_at <= $1", args![now]).await?;
        edit.commit().await?;
        Ok(gone.len())
    }
}

/// Former hashes of the former key lead to the new one.
async fn move_former(edit: &mut Edit<'_>, old: &str, new: &str) -> Result<(), StoreError> {
    let former = edit.select::<DeprecatedKey>("WHERE active_token_id = $1", args![old]).await?;
    for before in former {
        let after = DeprecatedKey { active_token_id: new.to_owned(), ..before.clone() };
        edit.write(&before, after).await?;
    }
    Ok(())
}

/// The key after the changes, if they may be made.
async fn changed(edit: &mut Edit<'_>, before: &Key, changes: KeyChanges) -> Result<Key, StoreError> {
    let mut after = before.clone();
    crate::row::ChangesOf::apply(changes, &mut after);
    if after != *before {
        // What the key belonged to before is not asked again: it may be gone.
        let mut news = after.clone();
        unless_new(&mut news.team_id, &before.team_id);
        unless_new(&mut news.organization_id, &before.organization_id);
        unless_new(&mut news.project_id, &before.project_id);
        unless_new(&mut news.budget_id, &before.budget_id);
        unless_new(&mut news.key_alias, &before.key_alias);
        check(edit, &news).await?;
        after.settings_updated_at = Some(edit.now);
    }
    Ok(after)
}

fn unless_new(value: &mut Option<String>, before: &Option<String>) {
    if *value == *before {
        *value = None;
    }
}

async fn check(edit: &mut Edit<'_>, key: &Key) -> Result<(), StoreError> {
    edit.require::<Team>(key.team_id.as_ref()).await?;
    edit.require::<Organization>(key.organization_id.as_ref()).await?;
    edit.require::<Project>(key.project_id.as_ref()).await?;
    edit.require::<Budget>(key.budget_id.as_ref()).await?;
    edit.require_free::<Key>("key_alias", key.key_alias.as_ref(), &key.token).await
}

/// Deletes a key so that no former hash of it leads anywhere.
pub(crate) async fn delete_with_former(edit: &mut Edit<'_>, key: &Key) -> Result<(), StoreError> {
    edit.delete_where::<DeprecatedKey>("WHERE active_token_id = $1", args![key.token]).await?;
    edit.delete(key).await
}

/// Deletes the keys that a condition picks.
pub(crate) async fn delete_keys_where(
    edit: &mut Edit<'_>,
    condition: &str,
    args: Vec<crate::cell::Arg>,
) -> Result<(), StoreError> {
    let keys = edit.select::<Key>(condition, args).await?;
    for key in &keys {
        delete_with_former(edit, key).await?;
    }
    Ok(())
}

impl KeyFilter {
    fn conditions(&self, mut conditions: Where, now: &DateTime<Utc>) -> Where {
        conditions.one_of("token", self.tokens.as_deref());
        conditions.equals("key_alias", self.key_alias.as_ref());
        conditions.contains("key_alias", self.key_alias_contains.as_ref());
        conditions.equals("user_id", self.user_id.as_ref());
        conditions.contains("user_id", self.user_id_contains.as_ref());
        conditions.equals("team_id", self.team_id.as_ref());
        conditions.equals("organization_id", self.organization_id.as_ref());
        conditions.equals("project_id", self.project_id.as_ref());
        conditions.equals("agent_id", self.agent_id.as_ref());
        conditions.lists("access_group_ids", self.access_group_id.as_ref());
        conditions.equals("created_by", self.created_by.as_ref());
        conditions.is("blocked", self.blocked);
        match self.expired {
            Some(true) => conditions.at_most("expires", now),
            Some(false) => conditions.null_or_more("expires", now),
            None => {}
        }
        if self.rotation_due {
            conditions.at_most("key_rotation_at", now);
            conditions.is("auto_rotate", Some(true));
        }
        if let Some(scope) = &self.visible {
            conditions.any_of(&[
                ("user_id", &scope.user_ids),
                ("team_id", &scope.team_ids),
                ("organization_id", &scope.organization_ids),
                ("created_by", &scope.created_by),
            ]);
        }
        conditions
    }
}
