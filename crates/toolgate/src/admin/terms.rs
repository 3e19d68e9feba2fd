//! What many rows have in common: how much they may spend, in which periods, and what they may reach.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use toolgate_access::limits::period::Period;
use toolgate_access::permission::{ObjectPermission, ObjectPermissionUpdate};
use toolgate_store::{Change, Direction, PageOf};

use super::body::FieldError;
use super::{AdminError, Allowed};

/// A field of an update: absent keeps, null clears.
pub(super) type Sent<T> = Change<Option<T>>;

/// A column that is never null: null empties it.
pub(super) fn or_empty<T: Default>(sent: Sent<T>) -> Change<T> {
    match sent {
        Change::Keep => Change::Keep,
        Change::Set(value) => Change::Set(value.unwrap_or_default()),
    }
}

/// The value that was sent, if one was.
pub(super) fn value<T: Clone>(sent: &Sent<T>) -> Option<T> {
    sent.as_set().cloned().flatten()
}

/// A new id.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Refuses amounts that are none, with LiteLLM's text.
pub(super) fn check_amount(field: &str, amount: Option<f64>) -> Result<(), AdminError> {
    match amount.filter(|amount| !(amount.is_finite() && *amount >= 0.0)) {
        Some(amount) => {
            Err(AdminError::Invalid(format!("{field} must be a non-negative finite number. Received: {amount:?}")))
        }
        None => Ok(()),
    }
}

/// Nobody sets a budget above their own.
pub(super) fn check_given_budget(allowed: &Allowed, sent: &Sent<f64>) -> Result<(), AdminError> {
    match value(sent) {
        Some(asked) => Ok(toolgate_access::issue::check_max_budget(&allowed.giver(), Some(asked))?),
        None => Ok(()),
    }
}

/// Refuses negative limits.
pub(super) fn check_limit(field: &str, limit: Option<i64>) -> Result<(), AdminError> {
    match limit.filter(|limit| *limit < 0) {
        Some(limit) => Err(FieldError::wrong(field, format!("`{limit}` is negative")).into()),
        None => Ok(()),
    }
}

/// When a period of this length, if there is one, begins anew.
pub(super) fn next_reset(duration: Option<&str>) -> Result<Option<DateTime<Utc>>, AdminError> {
    let Some(duration) = duration else { return Ok(None) };
    let period: Period =
        duration.parse().map_err(|why| AdminError::Invalid(format!("budget_duration `{duration}`: {why}")))?;
    Ok(Some(period.next_reset(Utc::now())))
}

/// When the periods of a row begin anew once it has the `duration` that was sent.
pub(super) fn changed_reset(duration: &Sent<String>) -> Result<Sent<DateTime<Utc>>, AdminError> {
    match duration {
        Change::Keep => Ok(Change::Keep),
        Change::Set(duration) => Ok(Change::Set(next_reset(duration.as_deref())?)),
    }
}

/// `soft_budget` is below `max_budget` where there are both, with LiteLLM's text.
pub(super) fn check_soft_budget(soft: Option<f64>, max: Option<f64>) -> Result<(), AdminError> {
    match (soft, max) {
        (Some(soft), Some(max)) if soft >= max => {
            Err(AdminError::Invalid(format!("soft_budget ({soft:?}) must be strictly lower than max_budget ({max:?})")))
        }
        _ => Ok(()),
    }
}

/// Writes fields that LiteLLM keeps in `metadata` there; null takes them out.
pub(super) fn put_into(metadata: &mut Map<String, Value>, fields: Vec<(&str, Sent<Value>)>) {
    for (name, sent) in fields {
        match sent {
            Change::Keep => {}
            Change::Set(None) => {
                metadata.remove(name);
            }
            Change::Set(Some(value)) => {
                metadata.insert(name.to_owned(), value);
            }
        }
    }
}

/// The permission of a row after an update by the caller, who gives only what they may.
pub(super) fn permission(
    allowed: &Allowed,
    before: Option<&ObjectPermission>,
    sent: Option<ObjectPermissionUpdate>,
) -> Result<Sent<ObjectPermission>, AdminError> {
    let after = narrowing_permission(before, sent);
    if let Change::Set(Some(after)) = &after {
        allowed.gateway.identity.check_given(&allowed.giver(), &allowed.caller.grant, before, after)?;
    }
    Ok(after)
}

/// The same for a row whose permission only narrows what others have, and so gives nobody anything.
pub(super) fn narrowing_permission(
    before: Option<&ObjectPermission>,
    sent: Option<ObjectPermissionUpdate>,
) -> Sent<ObjectPermission> {
    let Some(sent) = sent else { return Change::Keep };
    let mut after = sent.apply_to(&before.cloned().unwrap_or_default());
    after.object_permission_id.get_or_insert_with(new_id);
    Change::Set(Some(after))
}

/// `page` and `page_size` of a query.
pub(super) fn page_of(
    page: Option<&str>,
    size: Option<&str>,
    usual_size: u32,
    max_size: u32,
) -> Result<PageOf, AdminError> {
    let number = |field: &str, text: Option<&str>, usual: u32, max: u32| match text {
        None => Ok(usual),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => Err(FieldError::wrong(field, format!("`{text}` is no number from 1 to {max}"))),
        },
    };
    Ok(PageOf::new(number("page", page, 1, u32::MAX)?, number("page_size", size, usual_size, max_size)?))
}

/// `sort_order` of a query.
pub(super) fn direction(order: Option<&str>) -> Result<Direction, AdminError> {
    match order {
        None | Some("asc") => Ok(Direction::Ascending),
        Some("desc") => Ok(Direction::Descending),
        Some(other) => Err(FieldError::wrong("sort_order", format!("`{other}` is neither `asc` nor `desc`")).into()),
    }
}

/// Names separated by commas.
pub(super) fn names(list: Option<&str>) -> Option<Vec<String>> {
    let names = list?.split(',').map(str::trim).filter(|name| !name.is_empty());
    Some(names.map(ToOwned::to_owned).collect())
}

/// A row as LiteLLM shows it: its columns, the permission's id beside the permission, and what else there is to tell.
pub(super) fn shown(row: &impl serde::Serialize, more: Value) -> Value {
    let mut shown = serde_json::to_value(row).unwrap_or_default();
    let Value::Object(fields) = &mut shown else { return shown };
    if let Some(permission) = fields.get("object_permission") {
        let id = permission.get("object_permission_id").cloned().unwrap_or_default();
        fields.insert("object_permission_id".to_owned(), id);
    }
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    shown
}

/// `mcp_rpm_limit`: requests in a minute by server; anything else in it would be no limit at all.
pub(super) fn check_mcp_rpm_limit(sent: &Sent<Map<String, Value>>) -> Result<(), AdminError> {
    let limits = sent.as_set().and_then(Option::as_ref);
    match limits.into_iter().flatten().find(|(_, limit)| !limit.is_u64()) {
        Some((server, limit)) => {
            Err(FieldError::wrong(format!("mcp_rpm_limit.{server}"), format!("`{limit}` is no number of requests"))
                .into())
        }
        None => Ok(()),
    }
}
