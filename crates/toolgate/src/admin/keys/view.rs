//! Keys as answers show them: LiteLLM's columns. The key itself is in none but the answer to its making.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use toolgate_access::key::VirtualKey;
use toolgate_store::{Key, StoreError};

/// A key's row, with its hash as `token`.
///
/// # Errors
/// [`StoreError::Corrupt`] for a row that is not one.
pub(super) fn row(key: &Key) -> Result<Map<String, Value>, StoreError> {
    let Ok(Value::Object(mut row)) = serde_json::to_value(key) else {
        return Err(StoreError::Corrupt { what: format!("keys, row {}", key.token) });
    };
    let permission = key.object_permission.as_ref();
    row.insert("object_permission_id".into(), json!(permission.and_then(|row| row.object_permission_id.as_ref())));
    row.insert("litellm_budget_table".into(), Value::Null);
    Ok(row)
}

/// The answer to making a key, with the key: this once.
pub(super) fn made(key: &Key, secret: &VirtualKey) -> Result<Map<String, Value>, StoreError> {
    let mut row = row(key)?;
    row.insert("key".into(), json!(secret.secret().expose_secret()));
    row.insert("token_id".into(), json!(key.token));
    // LiteLLM's answer has what it keeps in the metadata as it was sent too.
    for name in ["soft_budget", "tags", "guardrails", "mcp_rpm_limit", "model_rpm_limit", "model_tpm_limit"] {
        row.insert(name.into(), key.metadata.get(name).cloned().unwrap_or_default());
    }
    Ok(row)
}

/// What `/key/info` tells: everything but the hash.
pub(super) fn info(key: &Key, now: DateTime<Utc>) -> Result<Map<String, Value>, StoreError> {
    let mut row = row(key)?;
    row.remove("token");
    let status = if key.blocked == Some(true) {
        "revoked"
    } else if key.expires.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "active"
    };
    row.insert("status".into(), json!(status));
    Ok(row)
}
