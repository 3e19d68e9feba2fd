//! Reading LiteLLM's tables: rows as JSON, so that a column which another release has or lacks is no error.

use chrono::{DateTime, NaiveDateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;

use crate::StoreError;
use crate::cell::{Cell, Cells, Kind, args};
use crate::db::{self, Pool, Session};
use crate::row::Row;

/// Rows that are read at once.
pub(super) const PAGE: i64 = 500;

/// How long the reading may take.
pub(super) const TIME: std::time::Duration = std::time::Duration::from_secs(3_600);

/// A LiteLLM database at one moment. Nothing in it is ever changed.
pub(super) struct Source {
    session: Session,
    schema: String,
}

impl Source {
    pub(super) async fn open(url: &SecretString, deadline: std::time::Duration) -> Result<Self, StoreError> {
        db::try_postgres(url, deadline).await?;
        let database = db::Database { pool: Pool::postgres(url, deadline, 1)?, deadline, tasks: TaskTracker::new() };
        let mut session = database.read().await?;
        session.extend(TIME);
        session.snapshot().await?;
        Ok(Self { session, schema: schema_of(url) })
    }

    pub(super) async fn has(&mut self, table: &str) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2";
        let count = self.session.value::<i64>(sql, args![self.schema, table]).await?;
        Ok(count.unwrap_or_default() > 0)
    }

    /// The page of a table's rows behind the first `skip`, in the order of its id; none where there is no such table.
    pub(super) async fn page(
        &mut self,
        table: &str,
        id: &'static str,
        skip: i64,
    ) -> Result<Vec<Map<String, Value>>, StoreError> {
        if !self.has(table).await? {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT to_jsonb(t) FROM \"{}\".\"{table}\" t ORDER BY {id} LIMIT $1 OFFSET $2", self.schema);
        let rows = self.session.rows(sql, args![PAGE, skip], vec![Kind::Json]).await?;
        let object = |cells: Vec<Cell>| match cells.into_iter().next() {
            Some(Cell::Json(Value::Object(object))) => Ok(object),
            _ => Err(StoreError::corrupt("a row of LiteLLM's database")),
        };
        rows.into_iter().map(object).collect()
    }

    /// All rows of a table.
    pub(super) async fn all(&mut self, table: &str, id: &'static str) -> Result<Vec<Map<String, Value>>, StoreError> {
        let mut all = Vec::new();
        loop {
            let page = self.page(table, id, i64::try_from(all.len()).unwrap_or(i64::MAX)).await?;
            let is_last = i64::try_from(page.len()).unwrap_or(i64::MAX) < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// `schema=` of the URL, which is Prisma's; a name of letters, digits and `_`.
fn schema_of(url: &SecretString) -> String {
    let query = url.expose_secret().split_once('?').map_or("", |(_, query)| query);
    let named = query.split('&').find_map(|pair| pair.strip_prefix("schema="));
    let is_plain =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    named.filter(is_plain).unwrap_or("public").to_owned()
}

/// A row of ours from one of LiteLLM's, whose columns have the same names. What is sealed here is left out; `more` is
/// columns under our names that LiteLLM keeps elsewhere.
pub(super) fn row_of<R: Row + Default>(
    source: &Map<String, Value>,
    more: &[(&str, Value)],
    now: DateTime<Utc>,
) -> Result<R, String> {
    let mut cells = Vec::with_capacity(R::COLUMNS.len());
    for ((name, kind), default) in R::COLUMNS.iter().zip(R::default().cells()) {
        let given =
            more.iter().find(|(column, _)| column == name).map(|(_, value)| value).or_else(|| source.get(*name));
        cells.push(match given {
            _ if *kind == Kind::Sealed => Cell::Null,
            None | Some(Value::Null) => match (*name, default) {
                ("created_at" | "updated_at", _) => Cell::Time(now),
                (_, default) => default,
            },
            Some(value) => cell(*kind, value).ok_or_else(|| format!("`{name}` holds what cannot be read"))?,
        });
    }
    R::from_cells(&mut Cells::new(R::NOUN.table(), cells)).map_err(|error| error.to_string())
}

fn cell(kind: Kind, value: &Value) -> Option<Cell> {
    match kind {
        Kind::Text => value.as_str().map(|text| Cell::Text(text.to_owned())),
        Kind::Int => value.as_i64().map(Cell::Int),
        Kind::Real => value.as_f64().map(Cell::Real),
        Kind::Bool => value.as_bool().map(Cell::Bool),
        Kind::Time => value.as_str().and_then(time).map(Cell::Time),
        Kind::Json => Some(Cell::Json(json(value))),
        Kind::Sealed => None,
    }
}

/// LiteLLM's columns have no time zone and mean UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Some(at.to_utc()),
        Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|at| at.and_utc()),
    }
}

/// Some rows hold JSON within JSON, as text.
pub(super) fn json(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        value => value.clone(),
    }
}

pub(super) fn text(source: &Map<String, Value>, name: &str) -> Option<String> {
    source.get(name).and_then(Value::as_str).map(str::to_owned)
}
