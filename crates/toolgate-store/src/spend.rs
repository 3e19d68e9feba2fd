//! What calls cost: a log of calls, and the sums at each who pays.
//!
//! A call is counted once, by its request id: rows and sums are one transaction, and a row that is there already adds
//! nothing. So a batch whose outcome is not known may be written again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::cell::{Arg, Cells, Column, Kind, args};
use crate::page::{Page, PageOf};
use crate::query::{Direction, Where, order_by};
use crate::{Store, StoreError};

mod payers;
mod record;

/// Ids of one statement.
const IDS_AT_ONCE: usize = 64;

macro_rules! spend_row {
    ($($(#[$meta:meta])* $field:ident: $type:ty),* $(,)?) => {
        /// One call, as LiteLLM's `SpendLogs` has it.
        #[derive(Debug, Clone, PartialEq, Default, Serialize)]
        pub struct SpendRow {
            $(#[doc = concat!("Column `", stringify!($field), "`.")] $(#[$meta])* pub $field: $type,)*
        }

        impl SpendRow {
            const COLUMNS: &'static [(&'static str, Kind)] =
                &[$((stringify!($field), <$type as Column>::KIND)),*];

            fn args(&self) -> Vec<Arg> {
                args![$(self.$field),*]
            }

            fn read(cells: &mut Cells) -> Result<Self, StoreError> {
                Ok(Self { $($field: cells.take(stringify!($field))?),* })
            }
        }
    };
}

spend_row! {
    request_id: String,
    /// `call_mcp_tool`, `acompletion`, ...
    call_type: String,
    /// The key's hash in hex; empty for the master key.
    api_key: String,
    /// In USD.
    spend: f64,
    total_tokens: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    request_duration_ms: Option<i64>,
    /// `MCP: {tool}` for tools.
    model: String,
    model_group: Option<String>,
    custom_llm_provider: Option<String>,
    api_base: Option<String>,
    /// LiteLLM's column `user`.
    user_id: Option<String>,
    team_id: Option<String>,
    organization_id: Option<String>,
    project_id: Option<String>,
    end_user: Option<String>,
    agent_id: Option<String>,
    requester_ip_address: Option<String>,
    session_id: Option<String>,
    /// `success` or `failure`.
    status: Option<String>,
    /// `{server}/{tool}`.
    mcp_namespaced_tool_name: Option<String>,
    mcp_server_id: Option<String>,
    metadata: Option<Value>,
    request_tags: Option<Value>,
    /// What was asked, where bodies are kept.
    messages: Option<Value>,
    /// What was answered, where bodies are kept.
    response: Option<Value>,
}

/// Which calls.
#[derive(Debug, Clone, Default)]
pub struct SpendFilter {
    /// One call.
    pub request_id: Option<String>,
    /// Of one key, by its hash in hex.
    pub api_key: Option<String>,
    /// Of one user.
    pub user_id: Option<String>,
    /// Of one team.
    pub team_id: Option<String>,
    /// Of one organization.
    pub organization_id: Option<String>,
    /// Of one customer.
    pub end_user: Option<String>,
    /// In one session.
    pub session_id: Option<String>,
    /// Of one kind.
    pub call_type: Option<String>,
    /// `success` or `failure`.
    pub status: Option<String>,
    /// That ended so, in the gateway's words: `outcome` in their metadata.
    pub outcome: Option<String>,
    /// Of one model.
    pub model: Option<String>,
    /// Of one MCP server.
    pub mcp_server_id: Option<String>,
    /// Of one tool, as `{server}/{tool}`.
    pub mcp_namespaced_tool_name: Option<String>,
    /// Begun then or later.
    pub since: Option<DateTime<Utc>>,
    /// Begun before.
    pub until: Option<DateTime<Utc>>,
    /// Only calls that the caller may see: of these teams, or of these users.
    pub visible: Option<SpendScope>,
}

/// Calls of any of these.
#[derive(Debug, Clone, Default)]
pub struct SpendScope {
    /// These keys, by their hashes in hex.
    pub api_keys: Vec<String>,
    /// These users.
    pub user_ids: Vec<String>,
    /// These teams.
    pub team_ids: Vec<String>,
    /// These organizations.
    pub organization_ids: Vec<String>,
}

/// What a sum of spend is taken by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a column of the log")]
pub enum SpendBy {
    ApiKey,
    UserId,
    TeamId,
    OrganizationId,
    EndUser,
    Model,
    McpServerId,
    McpNamespacedToolName,
}

impl SpendBy {
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::UserId => "user_id",
            Self::TeamId => "team_id",
            Self::OrganizationId => "organization_id",
            Self::EndUser => "end_user",
            Self::Model => "model",
            Self::McpServerId => "mcp_server_id",
            Self::McpNamespacedToolName => "mcp_namespaced_tool_name",
        }
    }
}

/// A sum of spend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpendSum {
    /// Whose; empty where the calls name none.
    pub of: String,
    /// In USD.
    pub spend: f64,
    /// How many calls.
    pub calls: i64,
    /// How many tokens.
    pub total_tokens: i64,
}

/// A sum of spend of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct DaySpend {
    /// Which day since 1970, in UTC.
    pub day: i64,
    /// The key's hash in hex.
    pub api_key: String,
    /// The user; empty where the calls name none.
    pub user_id: String,
    /// `MCP: {tool}` for tools.
    pub model: String,
    /// In USD.
    pub spend: f64,
}

/// A kind of row that pays for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a table")]
pub enum PayerKind {
    Key,
    User,
    Team,
    TeamMember,
    Organization,
    OrganizationMember,
    Project,
    Customer,
}

/// What somebody has spent, as the database has it once a batch is written: also what others wrote is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spent {
    /// The kind of row.
    pub kind: PayerKind,
    /// Its id: one text, or two for memberships.
    pub id: Vec<String>,
    /// In USD, in the current period.
    pub spend: f64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recorded {
    /// How many of the calls were new.
    pub new: usize,
    /// What those who paid for new calls have spent.
    pub spent: Vec<Spent>,
}

impl Store {
    /// Deletes these calls from the log; what they cost stays where it was added.
    pub async fn forget_calls(&self, request_ids: &[String]) -> Result<u64, StoreError> {
        let mut session = self.db().write().await?;
        let mut deleted = 0;
        for some in request_ids.chunks(IDS_AT_ONCE) {
            let mut conditions = Where::new(&session);
            conditions.one_of("request_id", Some(some));
            let (condition, args) = conditions.into_sql();
            deleted += session.execute(format!("DELETE FROM spend_logs {condition}"), args).await?;
        }
        session.commit().await?;
        Ok(deleted)
    }

    /// A page of the log, by when calls began.
    pub async fn spend_logs(
        &self,
        filter: &SpendFilter,
        direction: Direction,
        page: PageOf,
    ) -> Result<Page<SpendRow>, StoreError> {
        let mut session = self.db().read().await?;
        let conditions = filter.conditions(Where::new(&session));
        let (columns, kinds) = columns_and_kinds();
        let order = order_by("start_time", direction, "request_id");
        let (rows, total) = conditions.page(&mut session, "spend_logs", &columns, &kinds, &order, page).await?;
        let read = |cells| SpendRow::read(&mut Cells::new("spend_logs", cells));
        Ok(Page { items: rows.into_iter().map(read).collect::<Result<_, _>>()?, total, page })
    }

    /// The latest calls, at most `limit`; those before the one that began then and has this id, if there is one.
    pub async fn calls_before(
        &self,
        filter: &SpendFilter,
        before: Option<&(DateTime<Utc>, String)>,
        limit: u32,
    ) -> Result<Vec<SpendRow>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = filter.conditions(Where::new(&session));
        conditions.before(["start_time", "request_id"], before);
        let (condition, mut args) = conditions.into_sql();
        args.push(Arg::of(&i64::from(limit)));
        let (columns, kinds) = columns_and_kinds();
        let order = order_by("start_time", Direction::Descending, "request_id");
        let sql = format!("SELECT {columns} FROM spend_logs {condition} ORDER BY {order} LIMIT ${}", args.len());
        let rows = session.rows(sql, args, kinds).await?;
        rows.into_iter().map(|cells| SpendRow::read(&mut Cells::new("spend_logs", cells))).collect()
    }

    /// What was spent on each day, by key, user and model; at most `limit` sums, the earliest days first.
    pub async fn spend_by_day(&self, filter: &SpendFilter, limit: u32) -> Result<Vec<DaySpend>, StoreError> {
        let mut session = self.db().read().await?;
        let day = session
            .dialect("start_time / 86400000000", "CAST(FLOOR(EXTRACT(EPOCH FROM start_time) / 86400) AS BIGINT)");
        let (condition, mut args) = filter.conditions(Where::new(&session)).into_sql();
        args.push(Arg::of(&i64::from(limit)));
        let sql = format!(
            "SELECT {day}, api_key, COALESCE(user_id, ''), model, SUM(spend) FROM spend_logs {condition} \
             GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT ${}",
            args.len()
        );
        let rows = session.rows(sql, args, vec![Kind::Int, Kind::Text, Kind::Text, Kind::Text, Kind::Real]).await?;
        let sum = |cells| {
            let mut cells = Cells::new("spend_logs", cells);
            Ok(DaySpend {
                day: cells.take("day")?,
                api_key: cells.take("api_key")?,
                user_id: cells.take("user_id")?,
                model: cells.take("model")?,
                spend: cells.take("spend")?,
            })
        };
        rows.into_iter().map(sum).collect()
    }

    /// What was spent, by one column of the log, the largest sum first; at most `limit` sums.
    pub async fn spend_sums(&self, filter: &SpendFilter, by: SpendBy, limit: u32) -> Result<Vec<SpendSum>, StoreError> {
        let mut session = self.db().read().await?;
        let (condition, mut args) = filter.conditions(Where::new(&session)).into_sql();
        args.push(Arg::of(&i64::from(limit)));
        let sql = format!(
            "SELECT COALESCE({column}, ''), SUM(spend), COUNT(*), CAST(SUM(total_tokens) AS BIGINT) FROM spend_logs \
             {condition} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${place}",
            column = by.column(),
            place = args.len(),
        );
        let rows = session.rows(sql, args, vec![Kind::Text, Kind::Real, Kind::Int, Kind::Int]).await?;
        let sum = |cells| {
            let mut cells = Cells::new("spend_logs", cells);
            Ok(SpendSum {
                of: cells.take("of")?,
                spend: cells.take("spend")?,
                calls: cells.take("calls")?,
                total_tokens: cells.take("total_tokens")?,
            })
        };
        rows.into_iter().map(sum).collect()
    }

    /// Deletes calls that began before `before`, at most `limit` of them; returns how many. Sums stay.
    pub async fn delete_spend_logs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let sql = "DELETE FROM spend_logs WHERE request_id IN \
                   (SELECT request_id FROM spend_logs WHERE start_time < $1 ORDER BY start_time, request_id LIMIT $2)";
        let mut session = self.db().write().await?;
        let deleted = session.execute(sql, args![before, i64::from(limit)]).await?;
        session.commit().await?;
        Ok(deleted)
    }
}

fn columns_and_kinds() -> (String, Vec<Kind>) {
    let names: Vec<&str> = SpendRow::COLUMNS.iter().map(|(name, _)| *name).collect();
    (names.join(", "), SpendRow::COLUMNS.iter().map(|(_, kind)| *kind).collect())
}

impl SpendFilter {
    pub(crate) fn conditions(&self, mut conditions: Where) -> Where {
        conditions.equals("request_id", self.request_id.as_ref());
        conditions.equals("api_key", self.api_key.as_ref());
        conditions.equals("user_id", self.user_id.as_ref());
        conditions.equals("team_id", self.team_id.as_ref());
        conditions.equals("organization_id", self.organization_id.as_ref());
        conditions.equals("end_user", self.end_user.as_ref());
        conditions.equals("session_id", self.session_id.as_ref());
        conditions.equals("call_type", self.call_type.as_ref());
        conditions.equals("status", self.status.as_ref());
        conditions.json_equals("metadata", "outcome", self.outcome.as_ref());
        conditions.equals("model", self.model.as_ref());
        conditions.equals("mcp_server_id", self.mcp_server_id.as_ref());
        conditions.equals("mcp_namespaced_tool_name", self.mcp_namespaced_tool_name.as_ref());
        conditions.at_least("start_time", self.since.as_ref());
        conditions.less_than("start_time", self.until.as_ref());
        if let Some(scope) = &self.visible {
            conditions.any_of(&[
                ("api_key", &scope.api_keys),
                ("user_id", &scope.user_ids),
                ("team_id", &scope.team_ids),
                ("organization_id", &scope.organization_ids),
            ]);
        }
        conditions
    }
}
