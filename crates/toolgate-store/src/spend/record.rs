//! Calls on their way into the log.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Recorded, SpendRow, payers};
use crate::cell::{Arg, Cell, Kind};
use crate::db::Session;
use crate::{Store, StoreError};

/// Rows of one statement. Few sizes, so that few statements are prepared.
const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];

/// Columns that a tool's call does not fill, where bodies are not kept. They are left out of a batch that has nothing in any
/// of them, since each costs a binding and an instruction per row. All or none: each set of columns is a statement more per
/// size, and one of 256 rows holds some hundred kilobytes in every connection.
const SELDOM: [&str; 7] =
    ["model_group", "custom_llm_provider", "api_base", "agent_id", "request_tags", "messages", "response"];

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
            // Only after an outcome that was not known. To be told each id is work for each call.
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
    sql: &'static str,
    args: Vec<Arg>,
}

/// What inserts the rows, in parts of [`CHUNKS`].
fn statements(rows: &[&SpendRow], is_postgres: bool) -> impl Iterator<Item = Statement> {
    let is_seldom: Vec<bool> = SpendRow::COLUMNS.iter().map(|(name, _)| SELDOM.contains(name)).collect();
    let all: Vec<Arg> = rows.iter().flat_map(|row| row.args()).collect();
    let is_whole =
        all.iter().zip(is_seldom.iter().cycle()).any(|(arg, is_seldom)| *is_seldom && arg.cell != Cell::Null);
    let is_used: Vec<bool> = is_seldom.into_iter().map(|is_seldom| is_whole || !is_seldom).collect();
    let width = is_used.iter().filter(|is_used| **is_used).count();
    let mut args = all.into_iter().enumerate().filter(move |(at, _)| is_used[at % is_used.len()]).map(|(_, arg)| arg);
    let mut rest = rows.len();
    std::iter::from_fn(move || {
        let which = CHUNKS.iter().position(|size| *size <= rest)?;
        rest -= CHUNKS[which];
        let args = args.by_ref().take(CHUNKS[which] * width).collect();
        Some(Statement { sql: insert_sql(which, is_whole, is_postgres), args })
    })
}

fn insert_sql(which: usize, is_whole: bool, is_postgres: bool) -> &'static str {
    static MADE: [[[OnceLock<String>; CHUNKS.len()]; 2]; 2] =
        [const { [const { [const { OnceLock::new() }; CHUNKS.len()] }; 2] }; 2];
    let make = || {
        let names = SpendRow::COLUMNS.iter().map(|(name, _)| *name).filter(|name| is_whole || !SELDOM.contains(name));
        written_sql(&names.collect::<Vec<_>>(), CHUNKS[which], is_postgres)
    };
    MADE[usize::from(is_postgres)][usize::from(is_whole)][which].get_or_init(make)
}

/// SQLite looks a parameter that has a name (`$1`) up among all names, each time it is bound: with thousands of them that
/// is most of what a call costs to write down. Those without one are in order. And only `OR IGNORE` spares it the copies
/// of pages to which a statement of many rows would go back; no column can be null that must not.
fn written_sql(names: &[&str], rows: usize, is_postgres: bool) -> String {
    let place = |at: usize| if is_postgres { format!("${at}") } else { "?".to_owned() };
    let tuples: Vec<String> = (0..rows)
        .map(|row| {
            let places: Vec<String> = (1..=names.len()).map(|at| place(row * names.len() + at)).collect();
            format!("({})", places.join(", "))
        })
        .collect();
    let (or, then) = if is_postgres { ("", " ON CONFLICT (request_id) DO NOTHING") } else { ("OR IGNORE ", "") };
    format!("INSERT {or}INTO spend_logs ({}) VALUES {}{then}", names.join(", "), tuples.join(", "))
}
