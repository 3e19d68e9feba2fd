//! Calls on their way into the log.

use std::collections::BTreeMap;

use super::{Recorded, SpendRow, payers};
use crate::cell::{Arg, Cell, Kind};
use crate::db::Session;
use crate::{Store, StoreError};

/// Rows of one statement. Few sizes, so that few statements are prepared.
const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];

impl Store {
    /// Writes calls into the log and adds what they cost to keys, users, teams, memberships, organizations, projects and
    /// customers. Calls whose request id is known already are left out, also within the batch.
    ///
    /// Who is named and does not exist pays nothing. After an error that is
    /// [retryable](StoreError::is_retryable), write the same batch again.
    pub async fn record_spend(&self, batch: &[SpendRow]) -> Result<Recorded, StoreError> {
        if batch.is_empty() {
            return Ok(Recorded::default());
        }
        let mut known: BTreeMap<&str, &SpendRow> = BTreeMap::new();
        for row in batch {
            known.entry(&row.request_id).or_insert(row);
        }
        let rows: Vec<&SpendRow> = known.values().copied().collect();
        let mut session = self.begin().await?;
        let new = if insert(&mut session, &rows).await? == rows.len() as u64 {
            rows
        } else {
            // Seldom, after an outcome that was not known. To be told each id costs a third of the whole.
            session.roll_back().await?;
            session = self.begin().await?;
            insert_telling(&mut session, &rows, &known).await?
        };
        let spent = payers::add_up(&mut session, &new).await?;
        session.commit().await?;
        Ok(Recorded { new: new.len(), spent })
    }

    async fn begin(&self) -> Result<Session, StoreError> {
        let mut session = self.db().write().await?;
        session.exclude_writers().await?;
        Ok(session)
    }
}

/// Inserts rows, and says how many were new.
async fn insert(session: &mut Session, rows: &[&SpendRow]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for statement in statements(rows, session.is_postgres()) {
        inserted += session.execute(statement.sql, statement.args).await?;
    }
    Ok(inserted)
}

/// Inserts rows, and says which were new.
async fn insert_telling<'r>(
    session: &mut Session,
    rows: &[&SpendRow],
    by_id: &BTreeMap<&str, &'r SpendRow>,
) -> Result<Vec<&'r SpendRow>, StoreError> {
    let mut new = Vec::new();
    for statement in statements(rows, session.is_postgres()) {
        let sql = format!("{} RETURNING request_id", statement.sql);
        for cell in session.rows(sql, statement.args, vec![Kind::Text]).await?.into_iter().flatten() {
            if let Cell::Text(id) = cell {
                new.extend(by_id.get(id.as_str()).copied());
            }
        }
    }
    Ok(new)
}

struct Statement {
    sql: String,
    args: Vec<Arg>,
}

/// What inserts the rows, in parts of [`CHUNKS`]. Columns that are null in all of them, half of all for a tool's calls, are
/// left out: each costs a binding and an instruction per row.
fn statements(rows: &[&SpendRow], is_postgres: bool) -> impl Iterator<Item = Statement> {
    let width = SpendRow::COLUMNS.len();
    let all: Vec<Arg> = rows.iter().flat_map(|row| row.args()).collect();
    let mut is_used = vec![false; width];
    for (at, arg) in all.iter().enumerate() {
        is_used[at % width] |= arg.cell != Cell::Null;
    }
    let names: Vec<&str> = (0..width).filter(|at| is_used[*at]).map(|at| SpendRow::COLUMNS[at].0).collect();
    let (used, names) = (names.len(), names.join(", "));
    let mut args = all.into_iter().enumerate().filter(move |(at, _)| is_used[at % width]).map(|(_, arg)| arg);
    let mut rest = rows.len();
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= rest)?;
        rest -= size;
        let args = args.by_ref().take(size * used).collect();
        Some(Statement { sql: insert_sql(&names, used, size, is_postgres), args })
    })
}

/// SQLite looks a parameter that has a name (`$1`) up among all names, each time it is bound: with thousands of them that
/// is most of what a call costs to write down. Those without one are in order. And only `OR IGNORE` spares it the copies
/// of pages to which a statement of many rows would go back; no column can be null that must not.
fn insert_sql(names: &str, width: usize, rows: usize, is_postgres: bool) -> String {
    let place = |at: usize| if is_postgres { format!("${at}") } else { "?".to_owned() };
    let tuples: Vec<String> = (0..rows)
        .map(|row| {
            let places: Vec<String> = (1..=width).map(|at| place(row * width + at)).collect();
            format!("({})", places.join(", "))
        })
        .collect();
    let (or, then) = if is_postgres { ("", " ON CONFLICT (request_id) DO NOTHING") } else { ("OR IGNORE ", "") };
    format!("INSERT {or}INTO spend_logs ({names}) VALUES {}{then}", tuples.join(", "))
}
