//! `GET /key/list`.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use toolgate_access::key::KeyHash;
use toolgate_store::{Direction, KeyFilter, KeyOrder, KeyScope, PageOf, StoreError};

use super::view;
use crate::admin::body::FieldError;
use crate::admin::{AdminError, Allowed};

/// The most keys on a page, as in LiteLLM.
const MAX_SIZE: u32 = 100;

/// LiteLLM's query.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListQuery {
    page: Option<u32>,
    size: Option<u32>,
    user_id: Option<String>,
    team_id: Option<String>,
    organization_id: Option<String>,
    project_id: Option<String>,
    agent_id: Option<String>,
    access_group_id: Option<String>,
    key_hash: Option<String>,
    key_alias: Option<String>,
    search: Option<String>,
    status: Option<String>,
    expires: Option<String>,
    expand: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    #[serde(deserialize_with = "flag")]
    return_full_object: bool,
    #[serde(deserialize_with = "flag")]
    include_team_keys: bool,
    #[serde(deserialize_with = "flag")]
    include_created_by_keys: bool,
    #[serde(deserialize_with = "flag")]
    substring_matching: bool,
}

/// `true`, and what clients in Python write for it.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" | "" => Ok(false),
        _ => Err(D::Error::custom(format_args!("`{text}` is neither true nor false"))),
    }
}

/// Whose keys a list without more words is of: `None` for all.
pub(super) fn scope_of_lists(allowed: &Allowed) -> Option<KeyScope> {
    let tenant = &allowed.tenant;
    (!allowed.sees_everything()).then(|| KeyScope {
        user_ids: tenant.user_id.clone().into_iter().collect(),
        team_ids: tenant.managed_teams().map(str::to_owned).collect(),
        organization_ids: tenant.managed_organizations().map(str::to_owned).collect(),
        created_by: Vec::new(),
    })
}

impl ListQuery {
    /// The answer for the caller, who sees their own keys and those of teams that they administer.
    pub(super) async fn answer(&self, allowed: &Allowed) -> Result<Value, AdminError> {
        let size = self.size.unwrap_or(10);
        if !(1..=MAX_SIZE).contains(&size) || self.page == Some(0) {
            return Err(
                FieldError::wrong("size", format_args!("a page is 1 or more and has 1 to {MAX_SIZE} keys")).into()
            );
        }
        let page = PageOf::new(self.page.unwrap_or(1), size);
        let found = allowed.store.keys(&self.filter(allowed)?, self.order()?, page).await?;
        let full = self.return_full_object || self.expand.is_some();
        let keys: Result<Vec<Value>, StoreError> = found
            .items
            .iter()
            .map(|key| if full { Ok(Value::Object(view::row(key)?)) } else { Ok(json!(key.token)) })
            .collect();
        Ok(json!({
            "keys": keys?,
            "total_count": found.total,
            "current_page": page.page(),
            "total_pages": found.pages(),
        }))
    }

    fn filter(&self, allowed: &Allowed) -> Result<KeyFilter, AdminError> {
        let sees_all = allowed.sees_everything();
        let alike = self.substring_matching;
        let mut filter = KeyFilter {
            key_alias: self.key_alias.clone().filter(|_| !alike),
            key_alias_contains: self.key_alias.clone().filter(|_| alike),
            user_id: self.user_id.clone().filter(|_| !(alike && sees_all)),
            user_id_contains: self.user_id.clone().filter(|_| alike && sees_all),
            team_id: self.team_id.clone(),
            organization_id: self.organization_id.clone(),
            project_id: self.project_id.clone(),
            agent_id: self.agent_id.clone(),
            access_group_id: self.access_group_id.clone(),
            tokens: self.key_hash.clone().map(|hash| vec![hash]),
            visible: if sees_all { None } else { Some(self.scope(allowed)?) },
            ..KeyFilter::default()
        };
        match &self.search {
            Some(hash) if hash.parse::<KeyHash>().is_ok() => filter.tokens = Some(vec![hash.clone()]),
            Some(words) => filter.key_alias_contains = Some(words.clone()),
            None => {}
        }
        self.state(&mut filter)?;
        Ok(filter)
    }

    fn state(&self, filter: &mut KeyFilter) -> Result<(), AdminError> {
        match self.status.as_deref() {
            None => {}
            Some("active") => (filter.blocked, filter.expired) = (Some(false), Some(false)),
            Some("expired") => (filter.blocked, filter.expired) = (Some(false), Some(true)),
            Some("revoked") => filter.blocked = Some(true),
            // Deleted keys are in the audit log and nowhere else.
            Some("deleted") => filter.tokens = Some(Vec::new()),
            Some(_) => {
                let text = "Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.";
                return Err(AdminError::Invalid(text.to_owned()));
            }
        }
        match self.expires.as_deref() {
            None => {}
            Some("active") => filter.expired = Some(false),
            Some("expired") => filter.expired = Some(true),
            Some(_) => {
                return Err(AdminError::Invalid("Invalid expires value. Supported: 'active', 'expired'.".to_owned()));
            }
        }
        Ok(())
    }

    /// Others' users, teams and organizations are refused in the same words whether they exist or not.
    fn scope(&self, allowed: &Allowed) -> Result<KeyScope, AdminError> {
        let tenant = &allowed.tenant;
        let refused = |text: &str| Err(AdminError::Forbidden(text.to_owned()));
        let Some(user_id) = tenant.user_id.clone() else {
            return refused(
                "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.",
            );
        };
        if self.user_id.as_ref().is_some_and(|asked| *asked != user_id) {
            return refused("You are not authorized to check another user's keys");
        }
        if self.team_id.as_deref().is_some_and(|asked| !tenant.is_in_team(asked)) {
            return refused("You are not authorized to check this team's keys");
        }
        if self.organization_id.as_deref().is_some_and(|asked| !tenant.is_in_organization(asked)) {
            return refused("You are not authorized to check this organization's keys");
        }
        let wants_others = self.include_team_keys || self.team_id.is_some() || self.organization_id.is_some();
        let managed = |ids: Vec<String>| if wants_others { ids } else { Vec::new() };
        Ok(KeyScope {
            user_ids: vec![user_id.clone()],
            team_ids: managed(tenant.managed_teams().map(str::to_owned).collect()),
            organization_ids: managed(tenant.managed_organizations().map(str::to_owned).collect()),
            created_by: if self.include_created_by_keys { vec![user_id] } else { Vec::new() },
        })
    }

    fn order(&self) -> Result<(KeyOrder, Direction), AdminError> {
        let column = match self.sort_by.as_deref() {
            None | Some("created_at") => KeyOrder::CreatedAt,
            Some("updated_at") => KeyOrder::UpdatedAt,
            Some("spend") => KeyOrder::Spend,
            Some("expires") => KeyOrder::Expires,
            Some("key_alias") => KeyOrder::KeyAlias,
            Some("user_id") => KeyOrder::UserId,
            Some("team_id") => KeyOrder::TeamId,
            Some(_) => {
                let text = "Invalid sort column. Must be one of: spend, created_at, updated_at, key_alias, expires, \
                            user_id, team_id";
                return Err(AdminError::Invalid(text.to_owned()));
            }
        };
        let direction = match self.sort_order.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("desc") => Direction::Descending,
            Some("asc") => Direction::Ascending,
            Some(_) => {
                return Err(AdminError::Invalid("Invalid sort order. Must be 'asc' or 'desc'".to_owned()));
            }
        };
        Ok((column, direction))
    }
}
