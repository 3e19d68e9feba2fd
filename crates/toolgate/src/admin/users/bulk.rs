//! `/user/bulk_update`: several users at once, or all. Each is judged as if it were sent alone.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::UserBody;
use super::changed;
use crate::admin::body::{FieldError, JsonBody};
use crate::admin::terms::value;
use crate::admin::{AdminError, Allowed, people};

/// The body of `/user/bulk_update`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UsersBulkUpdate")]
pub struct BulkUpdate {
    /// For each user what changes.
    #[serde(default)]
    users: Option<Vec<UserBody>>,
    /// Everybody there is, by `user_updates`.
    #[serde(default)]
    all_users: bool,
    /// What changes for all users.
    #[serde(default)]
    user_updates: Option<UserBody>,
}

/// The most users that one request names, as in LiteLLM, and that its answer tells of.
const MAX_UPDATED: usize = 500;

/// The most users there may be where all are changed.
const MAX_OF_ALL: usize = 5_000;

/// `POST /user/bulk_update`: what can be changed is, and the answer says what was not and why. Of more than
/// 500 it tells of those that were not changed before all others.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<BulkUpdate>) -> Result<Json<Value>, AdminError> {
    let mut told = Told::default();
    match (body.users, body.all_users, body.user_updates) {
        (Some(users), false, None) if (1..=MAX_UPDATED).contains(&users.len()) => {
            for user in users {
                told.change(&allowed, user).await?;
            }
        }
        (None, true, Some(updates)) => {
            if updates.user_id.is_some() || updates.user_email.as_set().is_some() {
                return Err(FieldError::wrong("user_updates", "it is for all users, and names none").into());
            }
            for user_id in people::everybody(&allowed, MAX_OF_ALL).await? {
                told.change(&allowed, updates.for_user(user_id)).await?;
            }
        }
        _ => {
            let why =
                format!("give either `users`, 1 to {MAX_UPDATED} of them, or `all_users`: true and `user_updates`");
            return Err(FieldError::wrong("users", why).into());
        }
    }
    Ok(Json(told.answer()))
}

/// What became of users who were to be changed.
#[derive(Default)]
struct Told {
    /// Of at most [`MAX_UPDATED`] users.
    results: Vec<Value>,
    requested: usize,
    updated: usize,
}

impl Told {
    async fn change(&mut self, allowed: &Allowed, body: UserBody) -> Result<(), AdminError> {
        let (user_id, user_email) = (body.user_id.clone(), value(&body.user_email));
        let (error, user) = match changed(allowed, body).await {
            Ok(mut answer) => (None, answer["data"].take()),
            Err(AdminError::Store(why)) => return Err(why.into()),
            Err(why) => (Some(why.to_string()), Value::Null),
        };
        self.requested += 1;
        self.updated += usize::from(error.is_none());
        let is_told = self.results.len() < MAX_UPDATED || (error.is_some() && self.forget_a_success());
        if is_told {
            self.results.push(json!({
                "user_id": user_id, "user_email": user_email, "success": error.is_none(), "error": error,
                "updated_user": user,
            }));
        }
        Ok(())
    }

    /// Makes room for what must be told, if there is any.
    fn forget_a_success(&mut self) -> bool {
        let success = self.results.iter().rposition(|result| result["success"] == true);
        success.map(|at| self.results.remove(at)).is_some()
    }

    fn answer(self) -> Value {
        json!({
            "results": self.results,
            "total_requested": self.requested,
            "successful_updates": self.updated,
            "failed_updates": self.requested - self.updated,
        })
    }
}
