//! `/audit`: the log of what was changed, and of who was refused. LiteLLM: `audit_logging_endpoints.py`.

use axum::Json;
use axum::extract::Path;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolgate_store::{AuditEntry, AuditFilter, Direction};

use super::body::{FieldError, QueryOf};
use super::{AdminError, Allowed, terms};

/// Rows of a page when the query does not say.
const USUAL_SIZE: u32 = 10;

/// The most rows of a page, as in LiteLLM.
const MAX_SIZE: u32 = 100;

/// Our tables, with LiteLLM's names for them, by which its clients ask.
const TABLES: [(&str, &str); 17] = [
    ("keys", "LiteLLM_VerificationToken"),
    ("deprecated_keys", "LiteLLM_DeprecatedVerificationToken"),
    ("teams", "LiteLLM_TeamTable"),
    ("team_memberships", "LiteLLM_TeamMembership"),
    ("organizations", "LiteLLM_OrganizationTable"),
    ("organization_memberships", "LiteLLM_OrganizationMembership"),
    ("users", "LiteLLM_UserTable"),
    ("customers", "LiteLLM_EndUserTable"),
    ("projects", "LiteLLM_ProjectTable"),
    ("budgets", "LiteLLM_BudgetTable"),
    ("access_groups", "LiteLLM_AccessGroupTable"),
    ("toolsets", "LiteLLM_MCPToolsetTable"),
    ("servers", "LiteLLM_MCPServerTable"),
    ("user_credentials", "LiteLLM_MCPUserCredentials"),
    ("user_env_vars", "LiteLLM_MCPUserEnvVars"),
    ("server_oauth_clients", "LiteLLM_MCPServerOAuthClient"),
    ("settings", "LiteLLM_Config"),
];

/// LiteLLM's query.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditQuery {
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
    changed_by: Option<String>,
    changed_by_api_key: Option<String>,
    action: Option<String>,
    table_name: Option<String>,
    object_id: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    object_team_id: Option<String>,
    object_key_hash: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

impl AuditQuery {
    fn filter(self) -> Result<AuditFilter, AdminError> {
        if let Some(by) = self.sort_by.filter(|by| by != "updated_at") {
            return Err(
                FieldError::wrong("sort_by", format!("the log is sorted by `updated_at`, not by `{by}`")).into()
            );
        }
        let since = self.start_date.as_deref().map(|text| moment("start_date", text)).transpose()?;
        let until = self.end_date.as_deref().map(|text| moment("end_date", text)).transpose()?;
        Ok(AuditFilter {
            changed_by: self.changed_by,
            changed_by_api_key: self.changed_by_api_key,
            action: self.action,
            table_name: self.table_name.map(own_table),
            object_id: self.object_id,
            since: since.map(|moment| moment.begins),
            until: until.map(|moment| moment.ends),
            team_id: self.object_team_id,
            key_hash: self.object_key_hash,
            direction: match self.sort_order.as_deref() {
                None => Direction::Descending,
                order => terms::direction(order)?,
            },
        })
    }
}

/// A time as people write it: a whole day, or an instant.
struct Moment {
    begins: DateTime<Utc>,
    /// The first instant after it.
    ends: DateTime<Utc>,
}

fn moment(field: &str, text: &str) -> Result<Moment, FieldError> {
    let instant = |at: DateTime<Utc>| Moment { begins: at, ends: at + TimeDelta::microseconds(1) };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant(at.to_utc()));
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(instant(at.and_utc()));
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    match day.map(|day| day.and_utc()) {
        Some(begins) => Ok(Moment { begins, ends: begins + TimeDelta::days(1) }),
        None => Err(FieldError::wrong(field, "it is no time such as `2026-01-31` or `2026-01-31T12:00:00Z`")),
    }
}

fn own_table(name: String) -> String {
    TABLES.iter().find(|(_, theirs)| *theirs == name).map_or(name, |(own, _)| (*own).to_owned())
}

/// A row as LiteLLM shows it, with what proves it beside.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    id: String,
    updated_at: DateTime<Utc>,
    changed_by: String,
    changed_by_api_key: String,
    action: String,
    table_name: String,
    object_id: String,
    before_value: Option<Value>,
    updated_values: Option<Value>,
    request_id: String,
    hash: String,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let theirs = TABLES.iter().find(|(own, _)| *own == entry.table_name);
        Self {
            id: entry.seq.to_string(),
            updated_at: entry.updated_at,
            changed_by: entry.changed_by,
            changed_by_api_key: entry.changed_by_api_key,
            action: entry.action,
            table_name: theirs.map_or(entry.table_name, |(_, theirs)| (*theirs).to_owned()),
            object_id: entry.object_id,
            before_value: entry.before_value,
            updated_values: entry.updated_values,
            request_id: entry.request_id,
            hash: entry.hash,
        }
    }
}

/// A page of the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntries")]
pub struct Entries {
    audit_logs: Vec<Entry>,
    total: i64,
    page: u32,
    page_size: u32,
    total_pages: i64,
}

/// `GET /audit`
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<AuditQuery>) -> Result<Json<Entries>, AdminError> {
    let page = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), USUAL_SIZE, MAX_SIZE)?;
    let found = allowed.store.audit_log(&query.filter()?, page).await?;
    Ok(Json(Entries {
        total: found.total,
        page: page.page(),
        page_size: page.size(),
        total_pages: found.pages(),
        audit_logs: found.items.into_iter().map(Entry::from).collect(),
    }))
}

/// `GET /audit/{id}`
pub async fn get(allowed: Allowed, Path(id): Path<String>) -> Result<Json<Entry>, AdminError> {
    let found = match id.parse() {
        Ok(seq) => allowed.store.audit_entry(seq).await?,
        Err(_) => None,
    };
    found
        .map(|entry| Json(entry.into()))
        .ok_or_else(|| AdminError::NotFound(format!("Audit log with ID {id} not found")))
}

#[cfg(test)]
mod tests {
    use toolgate_store::Noun;

    use super::*;

    #[test]
    fn every_table_has_litellms_name() {
        for (own, theirs) in TABLES {
            assert_eq!(own_table(theirs.to_owned()), own);
        }
        for noun in [Noun::Key, Noun::Server, Noun::Setting, Noun::UserEnvVars, Noun::ServerOauthClient] {
            assert!(TABLES.iter().any(|(own, _)| *own == noun.table()), "{noun}");
        }
        assert_eq!(own_table("teams".into()), "teams");
    }

    #[test]
    fn days_and_instants_are_read() {
        let read =
            |text| moment("start_date", text).map(|moment| (moment.begins.to_rfc3339(), moment.ends.to_rfc3339()));
        let day = ("2026-01-31T00:00:00+00:00".into(), "2026-02-01T00:00:00+00:00".into());
        assert_eq!(read("2026-01-31"), Ok(day));
        for text in
            ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31 12:00:00", "2026-01-31T12:00:00.0"]
        {
            assert_eq!(read(text).unwrap().0, "2026-01-31T12:00:00+00:00", "{text}");
        }
        assert!(read("yesterday").is_err());
    }
}
