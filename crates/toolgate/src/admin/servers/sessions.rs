//! `/v1/mcp/sessions`: the sessions of MCP clients that are in use in this process, for admins.
//!
//! A session's token is its client's and is not told; sessions have a name of their own here. What idles is nowhere kept,
//! so it is not in the list; behind several replicas each tells its own.

use axum::Json;
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::body::{FieldError, QueryOf};
use super::super::error::Detail;
use super::super::{AdminError, Allowed};
use crate::mcp::live::{self, SessionFacts};

/// The shortest beginning of a name that means a session.
const MIN_PREFIX: usize = 8;

/// LiteLLM's query.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SessionQuery {
    session_id_prefix: Option<String>,
    user_id: Option<String>,
}

impl SessionQuery {
    fn check(&self) -> Result<(), FieldError> {
        match &self.session_id_prefix {
            Some(prefix) if prefix.len() < MIN_PREFIX => {
                Err(FieldError::wrong("session_id_prefix", format!("at least {MIN_PREFIX} characters are needed")))
            }
            _ => Ok(()),
        }
    }

    fn has(&self, session: &SessionFacts) -> bool {
        let prefix = self.session_id_prefix.as_deref();
        let user = self.user_id.as_deref();
        prefix.is_none_or(|prefix| name(session).starts_with(&prefix.to_ascii_lowercase()))
            && user.is_none_or(|user| session.user_id.as_deref() == Some(user))
    }
}

/// `GET /v1/mcp/sessions`
///
/// # Errors
/// [`AdminError`].
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<SessionQuery>) -> Result<Json<Value>, AdminError> {
    query.check()?;
    let mut sessions = allowed.gateway.lives.told();
    sessions.retain(|session| query.has(session));
    sessions.sort_by_key(|session| (std::cmp::Reverse(session.opened), session.key));
    let told: Vec<Value> = sessions.iter().map(told).collect();
    Ok(Json(json!({ "total": told.len(), "sessions": told })))
}

/// `DELETE /v1/mcp/sessions`: ends those of a user, or the one whose name begins so. Clients open new ones, unless their
/// keys are blocked as well.
///
/// # Errors
/// [`AdminError`].
pub async fn end(allowed: Allowed, QueryOf(query): QueryOf<SessionQuery>) -> Result<Json<Value>, AdminError> {
    query.check()?;
    if query.session_id_prefix.is_none() && query.user_id.is_none() {
        let text = "say which: `session_id_prefix` or `user_id` is needed";
        return Err(AdminError::Detail(Detail::Invalid, text.to_owned()));
    }
    let mut ended = Vec::new();
    for session in allowed.gateway.lives.told().iter().filter(|session| query.has(session)) {
        if live::end(&allowed.gateway, session.key).await {
            tracing::info!(caller = %session.caller, by = allowed.actor.changed_by, "a session was ended by an admin");
            ended.push(name(session));
        }
    }
    Ok(Json(json!({ "terminated": ended.len(), "session_ids": ended })))
}

/// A session's name in hexadecimal digits.
fn name(session: &SessionFacts) -> String {
    format!("{:032x}", u128::from_be_bytes(session.key.0))
}

fn told(session: &SessionFacts) -> Value {
    let opened: DateTime<Utc> = session.opened.into();
    json!({
        "session_id": name(session),
        "user_id": session.user_id,
        "key": session.caller.as_str(),
        "protocol_version": session.revision.name(),
        "created_at": opened.to_rfc3339_opts(SecondsFormat::Secs, true),
        "idle_seconds": session.idle.as_secs(),
        "running_requests": session.running,
        "has_stream": session.listens,
    })
}
