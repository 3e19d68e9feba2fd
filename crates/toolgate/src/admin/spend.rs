//! `GET /spend/logs`: the log of calls as LiteLLM tells it. LiteLLM: `spend_management_endpoints.py`.

use std::collections::BTreeMap;

use axum::Json;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_access::key::VirtualKey;
use toolgate_access::principal::Credential;
use toolgate_store::{DaySpend, Direction, PageOf, SpendFilter, SpendRow, SpendScope};

use super::body::{FieldError, QueryOf};
use super::{AdminError, Allowed};

/// The most sums of a summary: a year of a hundred keys with ten tools each.
const MAX_SUMS: u32 = 365_000;

/// LiteLLM's query; pages are ours, since it gives all rows at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogsQuery {
    /// A key, or its hash.
    api_key: Option<String>,
    user_id: Option<String>,
    request_id: Option<String>,
    /// A day, or a time of it, in UTC.
    start_date: Option<String>,
    /// The last day, or a time of it.
    end_date: Option<String>,
    summarize: Option<String>,
    page: Option<u32>,
    page_size: Option<u32>,
}

/// The calls that the caller may see: all, those of who they administer, or their own.
pub(super) fn visible(allowed: &Allowed) -> Option<SpendScope> {
    if allowed.sees_everything() {
        return None;
    }
    let tenant = &allowed.tenant;
    let owned = |ids: &mut dyn Iterator<Item = &str>| ids.map(str::to_owned).collect();
    let api_keys = match &allowed.caller.principal.credential {
        Credential::Key(key) => vec![key.hash.to_hex()],
        Credential::Master | Credential::Token(_) | Credential::Session(_) | Credential::Anonymous => Vec::new(),
    };
    Some(SpendScope {
        api_keys,
        user_ids: allowed.user_id().map(str::to_owned).into_iter().collect(),
        team_ids: owned(&mut tenant.managed_teams()),
        organization_ids: owned(&mut tenant.managed_organizations()),
    })
}

/// The hash that a key is kept under, given the key or the hash.
pub(super) fn hash_of(key: String) -> String {
    VirtualKey::parse(&key).map_or(key, |key| key.hash().to_hex())
}

/// `GET /spend/logs`. Between two dates the answer is a summary for each day, unless `summarize=false`.
///
/// # Errors
/// [`AdminError`].
pub async fn logs(allowed: Allowed, QueryOf(query): QueryOf<LogsQuery>) -> Result<Json<Value>, AdminError> {
    let summarize = match query.summarize.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1") => true,
        Some("false" | "0") => false,
        Some(_) => return Err(FieldError::wrong("summarize", "it is true or false").into()),
    };
    let since = query.start_date.as_deref().map(|text| instant("start_date", text, false)).transpose()?;
    let until = query.end_date.as_deref().map(|text| instant("end_date", text, true)).transpose()?;
    let filter = SpendFilter {
        api_key: query.api_key.map(hash_of),
        user_id: query.user_id,
        request_id: query.request_id,
        since,
        until,
        visible: visible(&allowed),
        ..SpendFilter::default()
    };
    if let (Some(_), Some(until), true) = (since, until, summarize) {
        let sums = allowed.store.spend_by_day(&filter, MAX_SUMS).await?;
        return Ok(Json(summary(sums, until)));
    }
    let page = PageOf::new(query.page.unwrap_or(1), query.page_size.unwrap_or(toolgate_store::MAX_PAGE_SIZE));
    let found = allowed.store.spend_logs(&filter, Direction::Descending, page).await?;
    Ok(Json(found.items.into_iter().map(row).collect()))
}

/// A day means all of it; `is_end` gives the moment after it.
pub(super) fn instant(field: &str, text: &str, is_end: bool) -> Result<DateTime<Utc>, FieldError> {
    if let Ok(time) = text.parse::<DateTime<Utc>>() {
        return Ok(time);
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S") {
        return Ok(time.and_utc());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| FieldError::wrong(field, "write a day as 2026-12-31, or a time as 2026-12-31T23:59:59Z"))?;
    let day = if is_end { day.checked_add_days(Days::new(1)).unwrap_or(day) } else { day };
    Ok(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// For each day with calls its spend, by key, user and model; days without any follow to the end.
fn summary(sums: Vec<DaySpend>, until: DateTime<Utc>) -> Value {
    let mut days: BTreeMap<i64, Map<String, Value>> = BTreeMap::new();
    let add = |map: &mut Map<String, Value>, key: &str, amount: f64| {
        let so_far = map.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        map.insert(key.to_owned(), json!(so_far + amount));
    };
    for DaySpend { day, api_key, user_id, model, spend } in sums {
        let of_day = days.entry(day).or_insert_with(empty_day);
        add(of_day, "spend", spend);
        // The master key's calls have no hash.
        if !api_key.is_empty() {
            add(of_day, &api_key, spend);
        }
        for (by, key) in [("users", &user_id), ("models", &model)] {
            if let Some(Value::Object(sums)) = of_day.get_mut(by) {
                add(sums, key, spend);
            }
        }
    }
    if let Some((&last, _)) = days.last_key_value() {
        let end = (until - TimeDelta::microseconds(1)).timestamp().div_euclid(86_400);
        // What somebody asks for may lie far ahead.
        for day in last + 1..=end.min(last + 366) {
            days.insert(day, empty_day());
        }
    }
    let date = |day: i64| DateTime::from_timestamp(day * 86_400, 0).map(|at| at.date_naive().to_string());
    days.into_iter()
        .map(|(day, mut of_day)| {
            of_day.insert("startTime".to_owned(), json!(date(day)));
            Value::Object(of_day)
        })
        .collect()
}

fn empty_day() -> Map<String, Value> {
    let fields = [("spend", json!(0.0)), ("users", json!({})), ("models", json!({}))];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A call with LiteLLM's columns.
fn row(row: SpendRow) -> Value {
    json!({
        "request_id": row.request_id,
        "call_type": row.call_type,
        "api_key": row.api_key,
        "spend": row.spend,
        "total_tokens": row.total_tokens,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "startTime": row.start_time,
        "endTime": row.end_time,
        "request_duration_ms": row.request_duration_ms,
        "completionStartTime": null,
        "model": row.model,
        "model_id": "",
        "model_group": row.model_group,
        "custom_llm_provider": row.custom_llm_provider,
        "api_base": row.api_base,
        "user": row.user_id,
        "metadata": row.metadata,
        "cache_hit": "",
        "cache_key": "",
        "request_tags": row.request_tags,
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "end_user": row.end_user,
        "requester_ip_address": row.requester_ip_address,
        "messages": row.messages,
        "response": row.response,
        "session_id": row.session_id,
        "status": row.status,
        "mcp_namespaced_tool_name": row.mcp_namespaced_tool_name,
        "agent_id": row.agent_id,
        "proxy_server_request": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_each_day_from_the_first_with_calls_to_the_end() {
        let sum = |day, api_key: &str, user: &str, model: &str, spend| DaySpend {
            day,
            api_key: api_key.into(),
            user_id: user.into(),
            model: model.into(),
            spend,
        };
        let sums =
            vec![sum(0, "k", "u", "MCP: a", 1.0), sum(0, "k", "u", "MCP: b", 2.0), sum(0, "", "", "MCP: a", 4.0)];
        let expected = json!([
            {"spend": 7.0, "users": {"u": 3.0, "": 4.0}, "models": {"MCP: a": 5.0, "MCP: b": 2.0}, "k": 3.0,
             "startTime": "1970-01-01"},
            {"spend": 0.0, "users": {}, "models": {}, "startTime": "1970-01-02"},
        ]);
        let until = instant("end_date", "1970-01-02", true).unwrap();
        assert_eq!(summary(sums, until), expected);
        assert_eq!(summary(Vec::new(), until), json!([]));
    }

    #[test]
    fn a_day_means_all_of_it_and_a_time_itself() {
        let cases = [
            ("2026-12-31", false, Some("2026-12-31T00:00:00Z")),
            ("2026-12-31", true, Some("2027-01-01T00:00:00Z")),
            ("2026-12-31 12:30:00", true, Some("2026-12-31T12:30:00Z")),
            ("2026-12-31T12:30:00+01:00", true, Some("2026-12-31T11:30:00Z")),
            ("yesterday", true, None),
            ("2026-13-31", true, None),
        ];
        for (text, is_end, expected) in cases {
            let expected = expected.map(|text| text.parse::<DateTime<Utc>>().unwrap());
            assert_eq!(instant("start_date", text, is_end).ok(), expected, "{text}");
        }
    }
}
