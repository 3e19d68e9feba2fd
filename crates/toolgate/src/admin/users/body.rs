//! The fields of a user, as they are sent to make or change one.

use chrono::Utc;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use toolgate_access::key::VirtualKey;
use toolgate_access::limits::period::Period;
use toolgate_access::permission::{ObjectPermission, ObjectPermissionUpdate};
use toolgate_access::role::Role;
use toolgate_store::{Change, Key, User, UserChanges};

use super::new_key;
use crate::admin::AdminError;
use crate::admin::body::FieldError;
use crate::admin::terms::{self, Sent, or_empty, value};

/// Roles that a user may have on the whole gateway.
const ROLES: [Role; 4] = [Role::ProxyAdmin, Role::ProxyAdminViewer, Role::InternalUser, Role::InternalUserViewer];

/// The body of `/user/new` and `/user/update`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserBody {
    pub(super) user_id: Option<String>,
    pub(super) user_email: Sent<String>,
    user_alias: Sent<String>,
    user_role: Sent<String>,
    sso_user_id: Sent<String>,
    pub(super) max_budget: Sent<f64>,
    budget_duration: Sent<String>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    models: Sent<Vec<String>>,
    metadata: Sent<Map<String, Value>>,
    model_max_budget: Sent<Map<String, Value>>,
    pub(super) object_permission: Option<ObjectPermissionUpdate>,
    spend: Option<f64>,
    // What follows is for new users only.
    teams: Option<Vec<TeamOf>>,
    team_id: Option<String>,
    pub(super) organizations: Option<Vec<String>>,
    auto_create_key: Option<bool>,
    send_invite_email: Option<bool>,
    key_alias: Option<String>,
    duration: Option<String>,
}

/// A team by its id, or with the user's role in it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TeamOf {
    Id(String),
    Place(Place),
}

/// A place in a team.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) team_id: String,
    #[serde(default = "member")]
    pub(super) user_role: String,
}

fn member() -> String {
    "user".to_owned()
}

impl UserBody {
    /// The same for this user.
    pub(super) fn for_user(&self, user_id: String) -> Self {
        Self { user_id: Some(user_id), ..self.clone() }
    }

    pub(super) fn check(&self) -> Result<(), AdminError> {
        terms::check_amount("max_budget", value(&self.max_budget))?;
        terms::check_amount("spend", self.spend)?;
        terms::check_limit("max_parallel_requests", value(&self.max_parallel_requests))?;
        terms::check_limit("tpm_limit", value(&self.tpm_limit))?;
        terms::check_limit("rpm_limit", value(&self.rpm_limit))?;
        if self.send_invite_email == Some(true) {
            return Err(FieldError::wrong("send_invite_email", "the gateway sends no mail; leave it out").into());
        }
        Ok(())
    }

    /// The role that is sent.
    pub(super) fn role(&self) -> Result<Option<Role>, AdminError> {
        let Some(name) = value(&self.user_role) else { return Ok(None) };
        let role = Role::from_name(&name).filter(|role| ROLES.contains(role));
        let names = || ROLES.map(Role::as_str).join(", ");
        let role = role.ok_or_else(|| FieldError::wrong("user_role", format!("`{name}` is none of {}", names())))?;
        Ok(Some(role))
    }

    pub(super) fn sends_role(&self) -> bool {
        self.user_role != Change::Keep
    }

    /// The teams that the user is put into.
    pub(super) fn places(&self) -> Vec<Place> {
        let teams = self.teams.iter().flatten().map(|team| match team {
            TeamOf::Id(id) => Place { team_id: id.clone(), user_role: member() },
            TeamOf::Place(place) => place.clone(),
        });
        let one = self.team_id.iter().map(|id| Place { team_id: id.clone(), user_role: member() });
        let mut places: Vec<Place> = Vec::new();
        for place in teams.chain(one) {
            if !places.iter().any(|other| other.team_id == place.team_id) {
                places.push(place);
            }
        }
        places
    }

    /// A field that is for new users only, if one is sent.
    pub(super) fn only_new(&self) -> Option<&'static str> {
        let sent = [
            ("teams", self.teams.is_some()),
            ("team_id", self.team_id.is_some()),
            ("organizations", self.organizations.is_some()),
            ("auto_create_key", self.auto_create_key.is_some()),
            ("send_invite_email", self.send_invite_email.is_some()),
            ("key_alias", self.key_alias.is_some()),
            ("duration", self.duration.is_some()),
        ];
        sent.into_iter().find(|(_, is_sent)| *is_sent).map(|(name, _)| name)
    }

    /// A field that says who the user is, which organizations' admins do not change, if one is sent.
    pub(super) fn identity(&self) -> Option<&'static str> {
        let sent = [
            ("user_role", self.sends_role()),
            ("user_email", self.user_email != Change::Keep),
            ("sso_user_id", self.sso_user_id != Change::Keep),
            ("metadata", self.metadata != Change::Keep),
            ("spend", self.spend.is_some()),
        ];
        sent.into_iter().find(|(_, is_sent)| *is_sent).map(|(name, _)| name)
    }

    /// A field that users do not change of themselves, if one is sent.
    pub(super) fn other_than_name(&self) -> Option<&'static str> {
        let sent = [
            ("max_budget", self.max_budget != Change::Keep),
            ("budget_duration", self.budget_duration != Change::Keep),
            ("max_parallel_requests", self.max_parallel_requests != Change::Keep),
            ("tpm_limit", self.tpm_limit != Change::Keep),
            ("rpm_limit", self.rpm_limit != Change::Keep),
            ("models", self.models != Change::Keep),
            ("model_max_budget", self.model_max_budget != Change::Keep),
            ("object_permission", self.object_permission.is_some()),
        ];
        self.identity().or_else(|| sent.into_iter().find(|(_, is_sent)| *is_sent).map(|(name, _)| name))
    }

    /// The key that is made with the user.
    pub(super) fn key(&self, user_id: &str) -> Result<Option<(VirtualKey, Key)>, AdminError> {
        if self.auto_create_key == Some(false) {
            return Ok(None);
        }
        let expires = match &self.duration {
            Some(duration) => {
                let period: Result<Period, _> = duration.parse();
                Some(period.map_err(|why| FieldError::wrong("duration", why))?.after(Utc::now()))
            }
            None => None,
        };
        let secret = new_key();
        let key = Key {
            token: secret.hash().to_hex(),
            key_name: Some(secret.masked()),
            key_alias: self.key_alias.clone(),
            user_id: Some(user_id.to_owned()),
            models: value(&self.models).unwrap_or_default(),
            expires,
            ..Key::default()
        };
        Ok(Some((secret, key)))
    }

    /// The user that it makes.
    pub(super) fn made(
        self,
        user_id: String,
        role: Role,
        object_permission: Option<ObjectPermission>,
    ) -> Result<User, AdminError> {
        Ok(User {
            user_id,
            user_email: value(&self.user_email),
            user_alias: value(&self.user_alias),
            user_role: Some(role.as_str().to_owned()),
            sso_user_id: value(&self.sso_user_id),
            max_budget: value(&self.max_budget),
            budget_reset_at: terms::next_reset(value(&self.budget_duration).as_deref())?,
            budget_duration: value(&self.budget_duration),
            max_parallel_requests: value(&self.max_parallel_requests),
            tpm_limit: value(&self.tpm_limit),
            rpm_limit: value(&self.rpm_limit),
            models: value(&self.models).unwrap_or_default(),
            metadata: value(&self.metadata).unwrap_or_default(),
            model_max_budget: value(&self.model_max_budget).unwrap_or_default(),
            object_permission,
            ..User::default()
        })
    }

    /// The changes to a user who is `before` now. An address that the user has already was sent to find them.
    pub(super) fn changes(self, before: &User, permission: Sent<ObjectPermission>) -> Result<UserChanges, AdminError> {
        let role = match self.role()? {
            Some(role) => Change::Set(Some(role.as_str().to_owned())),
            None if self.sends_role() => Change::Set(None),
            None => Change::Keep,
        };
        let is_same_email = value(&self.user_email).is_some() && value(&self.user_email) == before.user_email;
        Ok(UserChanges {
            user_email: if is_same_email { Change::Keep } else { self.user_email },
            user_alias: self.user_alias,
            user_role: role,
            sso_user_id: self.sso_user_id,
            max_budget: self.max_budget,
            budget_reset_at: terms::changed_reset(&self.budget_duration)?,
            budget_duration: self.budget_duration,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            models: or_empty(self.models),
            metadata: or_empty(self.metadata),
            model_max_budget: or_empty(self.model_max_budget),
            spend: self.spend.into(),
            object_permission: permission,
            ..UserChanges::default()
        })
    }
}
