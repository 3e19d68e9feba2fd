//! What was spent and called on each day, read from the log of calls.

use crate::cell::{Arg, Cells, Kind};
use crate::query::Where;
use crate::spend::{SpendBy, SpendFilter};
use crate::{Store, StoreError};

/// Whose activity is asked for.
#[derive(Debug, Clone)]
pub struct ActivityOf {
    /// By what the answer is told apart.
    pub by: SpendBy,
    /// Only these; `None` stands for all.
    pub only: Option<Vec<String>>,
    /// Not these.
    pub except: Vec<String>,
}

/// The calls of one day that have all this in common.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "each is a column of the log, or a sum of one")]
pub struct Activity {
    /// Which day since 1970, in UTC.
    pub day: i64,
    /// The user, team, organization or customer.
    pub entity: String,
    pub api_key: String,
    pub model: String,
    pub model_group: String,
    pub custom_llm_provider: String,
    pub mcp_namespaced_tool_name: String,
    pub spend: f64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub total_tokens: i64,
    pub calls: i64,
    /// Those that did not succeed.
    pub failures: i64,
}

impl Store {
    /// What happened on each day, newest first; at most `limit` rows.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn activity(
        &self,
        filter: &SpendFilter,
        of: &ActivityOf,
        limit: u32,
    ) -> Result<Vec<Activity>, StoreError> {
        let mut session = self.db().read().await?;
        let day = session
            .dialect("start_time / 86400000000", "CAST(FLOOR(EXTRACT(EPOCH FROM start_time) / 86400) AS BIGINT)");
        let entity = of.by.column();
        let mut conditions = filter.conditions(Where::new(&session));
        conditions.one_of(entity, of.only.as_deref());
        let (condition, mut args) = conditions.into_sql();
        args.push(Arg::of(&i64::from(limit)));
        let sql = format!(
            "SELECT {day}, COALESCE({entity}, ''), api_key, model, COALESCE(model_group, ''), \
             COALESCE(custom_llm_provider, ''), COALESCE(mcp_namespaced_tool_name, ''), SUM(spend), \
             CAST(SUM(prompt_tokens) AS BIGINT), CAST(SUM(completion_tokens) AS BIGINT), \
             CAST(SUM(total_tokens) AS BIGINT), COUNT(*), \
             CAST(SUM(CASE WHEN status = 'failure' THEN 1 ELSE 0 END) AS BIGINT) \
             FROM spend_logs {condition} GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1 DESC, 2, 3, 4, 5, 6, 7 LIMIT ${}",
            args.len()
        );
        let (text, int) = (Kind::Text, Kind::Int);
        let kinds = vec![int, text, text, text, text, text, text, Kind::Real, int, int, int, int, int];
        let rows = session.rows(sql, args, kinds).await?;
        let read = |cells| {
            let mut cells = Cells::new("spend_logs", cells);
            Ok(Activity {
                day: cells.take("day")?,
                entity: cells.take("entity")?,
                api_key: cells.take("api_key")?,
                model: cells.take("model")?,
                model_group: cells.take("model_group")?,
                custom_llm_provider: cells.take("custom_llm_provider")?,
                mcp_namespaced_tool_name: cells.take("mcp_namespaced_tool_name")?,
                spend: cells.take("spend")?,
                prompt_tokens: cells.take("prompt_tokens")?,
                completion_tokens: cells.take("completion_tokens")?,
                total_tokens: cells.take("total_tokens")?,
                calls: cells.take("calls")?,
                failures: cells.take("failures")?,
            })
        };
        let mut found = rows.into_iter().map(read).collect::<Result<Vec<Activity>, StoreError>>()?;
        found.retain(|row| !of.except.contains(&row.entity));
        Ok(found)
    }
}
