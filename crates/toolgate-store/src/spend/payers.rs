//! Who pays for calls: what they cost is added to the sums of these.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{PayerKind, SpendRow, Spent};
use crate::StoreError;
use crate::cell::{Arg, Cell, Kind, args};
use crate::db::Session;

/// Sums of one statement.
const SUMS_AT_ONCE: usize = 64;

/// A table whose rows pay, and how its rows are found by what a sum is taken by.
struct Payer {
    kind: PayerKind,
    table: &'static str,
    /// The columns of its id; `v.column1` and, for memberships, `v.column2` hold the values.
    id: &'static [&'static str],
    /// It has a sum over all periods too.
    has_total: bool,
    ids: fn(&SpendRow) -> Option<Vec<&str>>,
}

impl Payer {
    /// Adds sums, and gives what is spent then; the sum is the last column of `v`.
    fn sql(&self, values: &str) -> String {
        let sum = self.id.len() + 1;
        let total = if self.has_total { format!(", total_spend = total_spend + v.column{sum}") } else { String::new() };
        let found: Vec<String> =
            self.id.iter().enumerate().map(|(at, column)| format!("{column} = v.column{}", at + 1)).collect();
        format!(
            "UPDATE {} SET spend = spend + v.column{sum}{total} FROM ({values}) AS v WHERE {} RETURNING {}, spend",
            self.table,
            found.join(" AND "),
            self.id.join(", "),
        )
    }
}

fn one(id: Option<&String>) -> Option<Vec<&str>> {
    id.map(|id| vec![id.as_str()])
}

fn two<'a>(first: Option<&'a String>, second: Option<&'a String>) -> Option<Vec<&'a str>> {
    Some(vec![first?.as_str(), second?.as_str()])
}

const PAYERS: [Payer; 8] = [
    Payer {
        kind: PayerKind::Key,
        table: "keys",
        id: &["token"],
        has_total: true,
        ids: |row| (!row.api_key.is_empty()).then(|| vec![row.api_key.as_str()]),
    },
    Payer {
        kind: PayerKind::User,
        table: "users",
        id: &["user_id"],
        has_total: false,
        ids: |row| one(row.user_id.as_ref()),
    },
    Payer {
        kind: PayerKind::Team,
        table: "teams",
        id: &["team_id"],
        has_total: false,
        ids: |row| one(row.team_id.as_ref()),
    },
    Payer {
        kind: PayerKind::TeamMember,
        table: "team_memberships",
        id: &["team_id", "user_id"],
        has_total: true,
        ids: |row| two(row.team_id.as_ref(), row.user_id.as_ref()),
    },
    Payer {
        kind: PayerKind::Organization,
        table: "organizations",
        id: &["organization_id"],
        has_total: false,
        ids: |row| one(row.organization_id.as_ref()),
    },
    Payer {
        kind: PayerKind::OrganizationMember,
        table: "organization_memberships",
        id: &["organization_id", "user_id"],
        has_total: false,
        ids: |row| two(row.organization_id.as_ref(), row.user_id.as_ref()),
    },
    Payer {
        kind: PayerKind::Project,
        table: "projects",
        id: &["project_id"],
        has_total: false,
        ids: |row| one(row.project_id.as_ref()),
    },
    Payer {
        kind: PayerKind::Customer,
        table: "customers",
        id: &["user_id"],
        has_total: false,
        ids: |row| one(row.end_user.as_ref()),
    },
];

/// Adds what the rows cost to those who pay.
pub(super) async fn add_up(session: &mut Session, rows: &[&SpendRow]) -> Result<Vec<Spent>, StoreError> {
    let mut spent = Vec::new();
    for payer in &PAYERS {
        let mut sums: BTreeMap<Vec<&str>, f64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.spend != 0.0) {
            if let Some(ids) = (payer.ids)(row) {
                *sums.entry(ids).or_default() += row.spend;
            }
        }
        let sums: Vec<_> = sums.into_iter().collect();
        for chunk in sums.chunks(SUMS_AT_ONCE) {
            let (values, args) = values_of(chunk);
            let mut kinds = vec![Kind::Text; payer.id.len()];
            kinds.push(Kind::Real);
            for cells in session.rows(payer.sql(&values), args, kinds).await? {
                spent.extend(spent_of(payer.kind, cells));
            }
        }
    }
    used(session, rows).await?;
    Ok(spent)
}

fn spent_of(kind: PayerKind, mut cells: Vec<Cell>) -> Option<Spent> {
    let Some(Cell::Real(spend)) = cells.pop() else { return None };
    let text = |cell| match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    };
    Some(Spent { kind, id: cells.into_iter().map(text).collect::<Option<_>>()?, spend })
}

/// `VALUES` of ids and a sum. The casts tell PostgreSQL what it cannot know here.
fn values_of(sums: &[(Vec<&str>, f64)]) -> (String, Vec<Arg>) {
    let mut args = Vec::new();
    let mut place = |arg: Arg, as_type: &str| {
        args.push(arg);
        format!("CAST(${} AS {as_type})", args.len())
    };
    let mut tuples = Vec::with_capacity(sums.len());
    for (ids, sum) in sums {
        let mut columns: Vec<String> = ids.iter().map(|id| place(Arg::of(id), "TEXT")).collect();
        columns.push(place(Arg::of(sum), "DOUBLE PRECISION"));
        tuples.push(format!("({})", columns.join(", ")));
    }
    (format!("VALUES {}", tuples.join(", ")), args)
}

/// Notes when keys were last used, whatever it cost.
async fn used(session: &mut Session, rows: &[&SpendRow]) -> Result<(), StoreError> {
    let mut latest: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.api_key.is_empty()) {
        let at = latest.entry(&row.api_key).or_insert(row.end_time);
        *at = row.end_time.max(*at);
    }
    let latest: Vec<_> = latest.into_iter().collect();
    let as_time = session.dialect("INTEGER", "TIMESTAMPTZ");
    for chunk in latest.chunks(SUMS_AT_ONCE) {
        let tuple = |at: usize| format!("(CAST(${} AS TEXT), CAST(${} AS {as_time}))", at * 2 + 1, at * 2 + 2);
        let tuples: Vec<String> = (0..chunk.len()).map(tuple).collect();
        let sql = format!(
            "UPDATE keys SET last_active = v.column2 FROM (VALUES {}) AS v \
             WHERE token = v.column1 AND (last_active IS NULL OR last_active < v.column2)",
            tuples.join(", ")
        );
        let args = chunk.iter().flat_map(|(token, at)| args![*token, *at]).collect();
        session.execute(sql, args).await?;
    }
    Ok(())
}
