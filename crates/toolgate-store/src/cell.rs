//! Values on their way to and from a column. The rest of the crate speaks in these, so that what sqlx generates for each
//! engine is generated once, in `db`.

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toolgate_access::permission::{ObjectPermission, ToolPermissions};

use crate::StoreError;
use crate::secret::Secret;

/// What a column holds when it is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Real,
    Bool,
    /// Microseconds since 1970 in SQLite, `timestamptz` in PostgreSQL.
    Time,
    /// Text in SQLite, `jsonb` in PostgreSQL.
    Json,
    /// Sealed text. Never reaches the engines: it is sealed and opened in `row`.
    Sealed,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Int(i64),
    Real(f64),
    Bool(bool),
    Time(DateTime<Utc>),
    Json(Value),
    /// JSON on its way to a column, written already.
    JsonText(String),
    Secret(Secret),
}

/// A value with the kind of its column, which a null alone does not tell.
#[derive(Debug, Clone)]
pub(crate) struct Arg {
    pub kind: Kind,
    pub cell: Cell,
}

impl Arg {
    pub(crate) fn of<T: Column>(value: &T) -> Self {
        Self { kind: T::KIND, cell: value.to_written() }
    }

    /// Refuses what one of the engines would refuse, or keep as something else.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &self.cell {
            Cell::Text(text) if text.contains('\0') => Err(StoreError::Invalid { what: "text with a NUL character" }),
            Cell::Json(value) if has_nul(value) => Err(StoreError::Invalid { what: "text with a NUL character" }),
            Cell::Real(number) if !number.is_finite() => {
                Err(StoreError::Invalid { what: "a number that is not finite" })
            }
            _ => Ok(()),
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The arguments of a query, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::cell::Arg::of(&$value)),*] };
}
pub(crate) use args;

/// A type that a column can hold.
pub(crate) trait Column: Sized {
    const KIND: Kind;
    fn to_cell(&self) -> Cell;
    /// The same where it is only to be written.
    fn to_written(&self) -> Cell {
        self.to_cell()
    }
    /// `None` when the cell holds something else.
    fn from_cell(cell: Cell) -> Option<Self>;
}

macro_rules! plain_column {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl Column for $type {
            const KIND: Kind = Kind::$kind;
            fn to_cell(&self) -> Cell {
                Cell::$kind(self.clone())
            }
            fn from_cell(cell: Cell) -> Option<Self> {
                match cell {
                    Cell::$kind(value) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

plain_column! { String => Text, i64 => Int, f64 => Real, bool => Bool }

impl Column for Value {
    const KIND: Kind = Kind::Json;
    fn to_cell(&self) -> Cell {
        Cell::Json(self.clone())
    }
    /// Without a copy of the whole; what no engine keeps is left for [`Arg::check`] to refuse.
    fn to_written(&self) -> Cell {
        if has_nul(self) { self.to_cell() } else { Cell::JsonText(self.to_string()) }
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Json(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for &str {
    const KIND: Kind = Kind::Text;
    fn to_cell(&self) -> Cell {
        Cell::Text((*self).to_owned())
    }
    /// Nothing that was read is borrowed.
    fn from_cell(_: Cell) -> Option<Self> {
        None
    }
}

impl Column for DateTime<Utc> {
    const KIND: Kind = Kind::Time;
    /// Cut to microseconds, which is what PostgreSQL keeps: what is read equals what was written, on both.
    fn to_cell(&self) -> Cell {
        Cell::Time(self.trunc_subsecs(6))
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Time(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for Secret {
    const KIND: Kind = Kind::Sealed;
    fn to_cell(&self) -> Cell {
        Cell::Secret(self.clone())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Secret(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    const KIND: Kind = T::KIND;
    fn to_cell(&self) -> Cell {
        self.as_ref().map_or(Cell::Null, Column::to_cell)
    }
    fn to_written(&self) -> Cell {
        self.as_ref().map_or(Cell::Null, Column::to_written)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

/// A type that is kept as JSON. What cannot be written as JSON becomes null, and there is none of that kind here:
/// strings, numbers, lists, and maps by strings.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Cell {
    Cell::Json(serde_json::to_value(value).unwrap_or(Value::Null))
}

pub(crate) fn from_json<T: DeserializeOwned>(cell: Cell) -> Option<T> {
    match cell {
        Cell::Json(value) => serde_json::from_value(value).ok(),
        _ => None,
    }
}

macro_rules! json_column {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::cell::Column for $type {
            const KIND: $crate::cell::Kind = $crate::cell::Kind::Json;
            fn to_cell(&self) -> $crate::cell::Cell {
                $crate::cell::to_json(self)
            }
            fn from_cell(cell: $crate::cell::Cell) -> Option<Self> {
                $crate::cell::from_json(cell)
            }
        }
    )*};
}
pub(crate) use json_column;

json_column! { Vec<String>, serde_json::Map<String, Value>, ObjectPermission, ToolPermissions }

/// The cells of one row, taken one by one.
pub(crate) struct Cells {
    table: &'static str,
    rest: std::vec::IntoIter<Cell>,
}

impl Cells {
    pub(crate) fn new(table: &'static str, cells: Vec<Cell>) -> Self {
        Self { table, rest: cells.into_iter() }
    }

    /// The next cell.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is missing or holds something else.
    pub(crate) fn take<T: Column>(&mut self, column: &str) -> Result<T, StoreError> {
        self.rest
            .next()
            .and_then(T::from_cell)
            .ok_or_else(|| StoreError::corrupt(format!("{}.{column} holds what this release cannot read", self.table)))
    }
}
