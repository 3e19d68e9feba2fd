//! `/user/daily/activity` and its like for teams, organizations and customers: what was called and spent on each day, as
//! LiteLLM tells it. LiteLLM: `common_daily_activity.py`.
//!
//! The days are read from the log of calls, so they reach back as far as that is kept. Everybody is told of calls that
//! they may see; of others' there are none.

use std::collections::BTreeMap;

use axum::Json;
use chrono::DateTime;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_store::{Activity, ActivityOf, SpendBy, SpendFilter};

use super::body::{FieldError, QueryOf};
use super::spend::{hash_of, instant, visible};
use super::{AdminError, Allowed, terms};

/// The most rows that are summed up for one answer.
const MAX_ROWS: u32 = 100_000;

/// Days on a page: LiteLLM's usual and largest number of rows.
const PAGE_SIZES: (u32, u32) = (50, 1_000);

macro_rules! queries {
    ($($(#[$meta:meta])* $name:ident: $only:ident, $except:ident, $by:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(default)]
        pub struct $name {
            /// The first day, in UTC.
            start_date: Option<String>,
            /// The last day.
            end_date: Option<String>,
            /// Only these, separated by commas.
            $only: Option<String>,
            /// Not these, separated by commas.
            $except: Option<String>,
            /// A key, or its hash.
            api_key: Option<String>,
            /// `MCP: {tool}` for tools.
            model: Option<String>,
            #[schemars(with = "Option<u32>")]
            page: Option<String>,
            #[schemars(with = "Option<u32>")]
            page_size: Option<String>,
        }

        impl From<$name> for Asked {
            fn from(query: $name) -> Self {
                Self {
                    of: ActivityOf {
                        by: $by,
                        only: terms::names(query.$only.as_deref()),
                        except: terms::names(query.$except.as_deref()).unwrap_or_default(),
                    },
                    start_date: query.start_date,
                    end_date: query.end_date,
                    api_key: query.api_key,
                    model: query.model,
                    page: query.page,
                    page_size: query.page_size,
                }
            }
        }
    )*};
}

queries! {
    /// The query for users.
    UserActivity: user_id, exclude_user_ids, SpendBy::UserId;
    /// The query for teams.
    TeamActivity: team_ids, exclude_team_ids, SpendBy::TeamId;
    /// The query for organizations.
    OrganizationActivity: organization_ids, exclude_organization_ids, SpendBy::OrganizationId;
    /// The query for customers.
    CustomerActivity: end_user_ids, exclude_end_user_ids, SpendBy::EndUser;
}

/// What all queries have in common.
struct Asked {
    of: ActivityOf,
    start_date: Option<String>,
    end_date: Option<String>,
    api_key: Option<String>,
    model: Option<String>,
    page: Option<String>,
    page_size: Option<String>,
}

/// `GET /user/daily/activity`
pub async fn users(allowed: Allowed, QueryOf(query): QueryOf<UserActivity>) -> Result<Json<Value>, AdminError> {
    Asked::from(query).page(&allowed).await
}

/// `GET /user/daily/activity/aggregated`: all days at once.
pub async fn users_at_once(allowed: Allowed, QueryOf(query): QueryOf<UserActivity>) -> Result<Json<Value>, AdminError> {
    let asked = Asked::from(query);
    let days = asked.days(&allowed).await?;
    Ok(Json(told(&days, 1, usize::MAX)))
}

/// `GET /team/daily/activity`
pub async fn teams(allowed: Allowed, QueryOf(query): QueryOf<TeamActivity>) -> Result<Json<Value>, AdminError> {
    Asked::from(query).page(&allowed).await
}

/// `GET /organization/daily/activity`
pub async fn organizations(
    allowed: Allowed,
    QueryOf(query): QueryOf<OrganizationActivity>,
) -> Result<Json<Value>, AdminError> {
    Asked::from(query).page(&allowed).await
}

/// `GET /customer/daily/activity`
pub async fn customers(allowed: Allowed, QueryOf(query): QueryOf<CustomerActivity>) -> Result<Json<Value>, AdminError> {
    Asked::from(query).page(&allowed).await
}

impl Asked {
    async fn page(&self, allowed: &Allowed) -> Result<Json<Value>, AdminError> {
        let (usual, max) = PAGE_SIZES;
        let page = terms::page_of(self.page.as_deref(), self.page_size.as_deref(), usual, max)?;
        let days = self.days(allowed).await?;
        Ok(Json(told(&days, page.page() as usize, page.size() as usize)))
    }

    /// The newest first.
    async fn days(&self, allowed: &Allowed) -> Result<Vec<Day>, AdminError> {
        let (Some(start), Some(end)) = (&self.start_date, &self.end_date) else {
            return Err(AdminError::Detail(
                super::error::Detail::Invalid,
                "Please provide start_date and end_date".to_owned(),
            ));
        };
        let filter = SpendFilter {
            api_key: self.api_key.clone().map(hash_of),
            model: self.model.clone(),
            since: Some(instant("start_date", start, false)?),
            until: Some(instant("end_date", end, true)?),
            visible: visible(allowed),
            ..SpendFilter::default()
        };
        let rows = allowed.store.activity(&filter, &self.of, MAX_ROWS + 1).await?;
        if rows.len() > MAX_ROWS as usize {
            let why = format!("these days have more than {MAX_ROWS} rows; ask for fewer days, or for fewer ids");
            return Err(FieldError::wrong("start_date", why).into());
        }
        let mut days: Vec<Day> = Vec::new();
        for row in rows {
            if days.last().is_none_or(|day| day.number != row.day) {
                days.push(Day { number: row.day, ..Day::default() });
            }
            if let Some(day) = days.last_mut() {
                day.add(&row);
            }
        }
        Ok(days)
    }
}

/// Sums.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sums {
    spend: f64,
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    calls: i64,
    failures: i64,
}

impl Sums {
    fn add(&mut self, row: &Activity) {
        self.spend += row.spend;
        self.prompt_tokens += row.prompt_tokens;
        self.completion_tokens += row.completion_tokens;
        self.total_tokens += row.total_tokens;
        self.calls += row.calls;
        self.failures += row.failures;
    }

    fn told(&self) -> Value {
        json!({
            "spend": self.spend,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "total_tokens": self.total_tokens,
            "successful_requests": self.calls - self.failures,
            "failed_requests": self.failures,
            "api_requests": self.calls,
        })
    }
}

/// LiteLLM's breakdowns that have something in them here.
const BREAKDOWNS: [&str; 6] = ["mcp_servers", "models", "model_groups", "providers", "api_keys", "entities"];

/// One day.
#[derive(Default)]
struct Day {
    number: i64,
    sums: Sums,
    breakdowns: [BTreeMap<String, Sums>; BREAKDOWNS.len()],
}

impl Day {
    fn add(&mut self, row: &Activity) {
        self.sums.add(row);
        // The master key's calls have no hash, models' calls no tool, and tools' calls no provider.
        let parts = [
            &row.mcp_namespaced_tool_name,
            &row.model,
            &row.model_group,
            &row.custom_llm_provider,
            &row.api_key,
            &row.entity,
        ];
        for (sums, part) in self.breakdowns.iter_mut().zip(parts) {
            if !part.is_empty() {
                sums.entry(part.clone()).or_default().add(row);
            }
        }
    }

    fn told(&self) -> Value {
        let of = |sums: &BTreeMap<String, Sums>| {
            let one =
                |(name, sums): (&String, &Sums)| (name.clone(), json!({ "metrics": sums.told(), "metadata": {} }));
            Value::Object(sums.iter().map(one).collect())
        };
        let breakdown: Map<String, Value> =
            BREAKDOWNS.iter().zip(&self.breakdowns).map(|(name, sums)| ((*name).to_owned(), of(sums))).collect();
        let date = DateTime::from_timestamp(self.number * 86_400, 0).map(|at| at.date_naive().to_string());
        json!({ "date": date, "metrics": self.sums.told(), "breakdown": breakdown })
    }
}

/// One page of days, and the sums of all.
fn told(days: &[Day], page: usize, size: usize) -> Value {
    let mut all = Sums::default();
    for day in days {
        let Sums { spend, prompt_tokens, completion_tokens, total_tokens, calls, failures } = day.sums;
        all.spend += spend;
        all.prompt_tokens += prompt_tokens;
        all.completion_tokens += completion_tokens;
        all.total_tokens += total_tokens;
        all.calls += calls;
        all.failures += failures;
    }
    let pages = days.len().div_ceil(size).max(1);
    let results: Vec<Value> = days.iter().skip((page - 1).saturating_mul(size)).take(size).map(Day::told).collect();
    json!({
        "results": results,
        "metadata": {
            "total_spend": all.spend,
            "total_prompt_tokens": all.prompt_tokens,
            "total_completion_tokens": all.completion_tokens,
            "total_tokens": all.total_tokens,
            "total_api_requests": all.calls,
            "total_successful_requests": all.calls - all.failures,
            "total_failed_requests": all.failures,
            "total_cache_read_input_tokens": 0,
            "total_cache_creation_input_tokens": 0,
            "page": page,
            "total_pages": pages,
            "has_more": page < pages,
        },
    })
}
