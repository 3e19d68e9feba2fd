//! One value to and from each engine.

use chrono::{DateTime, Utc};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::types::Json;
use sqlx::{Postgres, Row as _, Sqlite};

use crate::cell::{Arg, Cell, Kind};

/// An engine's way with values.
pub(super) trait Bind: Sized {
    fn arg(self, arg: Arg) -> Self;
}

pub(super) fn bind<Q: Bind>(query: Q, arg: Arg) -> Q {
    query.arg(arg)
}

impl Bind for Query<'_, Sqlite, SqliteArguments> {
    fn arg(self, arg: Arg) -> Self {
        match arg.cell {
            Cell::Null | Cell::Secret(_) => self.bind(None::<String>),
            Cell::Text(value) => self.bind(value),
            Cell::Int(value) => self.bind(value),
            Cell::Real(value) => self.bind(value),
            Cell::Bool(value) => self.bind(value),
            Cell::Time(value) => self.bind(value.timestamp_micros()),
            Cell::Json(value) => self.bind(value.to_string()),
            Cell::JsonText(text) => self.bind(text),
        }
    }
}

impl Bind for Query<'_, Postgres, PgArguments> {
    fn arg(self, arg: Arg) -> Self {
        match arg.cell {
            Cell::Text(value) => self.bind(value),
            Cell::Int(value) => self.bind(value),
            Cell::Real(value) => self.bind(value),
            Cell::Bool(value) => self.bind(value),
            Cell::Time(value) => self.bind(value),
            Cell::Json(value) => self.bind(Json(value)),
            Cell::JsonText(text) => self.bind(RawValue::from_string(text).ok().map(Json)),
            Cell::Null | Cell::Secret(_) => match arg.kind {
                Kind::Text | Kind::Sealed => self.bind(None::<String>),
                Kind::Int => self.bind(None::<i64>),
                Kind::Real => self.bind(None::<f64>),
                Kind::Bool => self.bind(None::<bool>),
                Kind::Time => self.bind(None::<DateTime<Utc>>),
                Kind::Json => self.bind(None::<Json<Value>>),
            },
        }
    }
}

/// An engine's row.
pub(super) trait Read {
    fn cell(&self, at: usize, kind: Kind) -> Result<Cell, sqlx::Error>;
}

pub(super) fn read<R: Read>(row: &R, at: usize, kind: Kind) -> Result<Cell, sqlx::Error> {
    row.cell(at, kind)
}

impl Read for SqliteRow {
    fn cell(&self, at: usize, kind: Kind) -> Result<Cell, sqlx::Error> {
        Ok(match kind {
            Kind::Text | Kind::Sealed => self.try_get::<Option<String>, _>(at)?.map(Cell::Text),
            Kind::Int => self.try_get::<Option<i64>, _>(at)?.map(Cell::Int),
            Kind::Real => self.try_get::<Option<f64>, _>(at)?.map(Cell::Real),
            Kind::Bool => self.try_get::<Option<bool>, _>(at)?.map(Cell::Bool),
            Kind::Time => match self.try_get::<Option<i64>, _>(at)? {
                Some(micros) => Some(Cell::Time(
                    DateTime::from_timestamp_micros(micros)
                        .ok_or_else(|| sqlx::Error::Decode("a time out of range".into()))?,
                )),
                None => None,
            },
            Kind::Json => self.try_get::<Option<Json<Value>>, _>(at)?.map(|Json(value)| Cell::Json(value)),
        }
        .unwrap_or(Cell::Null))
    }
}

impl Read for PgRow {
    fn cell(&self, at: usize, kind: Kind) -> Result<Cell, sqlx::Error> {
        Ok(match kind {
            Kind::Text | Kind::Sealed => self.try_get::<Option<String>, _>(at)?.map(Cell::Text),
            Kind::Int => self.try_get::<Option<i64>, _>(at)?.map(Cell::Int),
            Kind::Real => self.try_get::<Option<f64>, _>(at)?.map(Cell::Real),
            Kind::Bool => self.try_get::<Option<bool>, _>(at)?.map(Cell::Bool),
            Kind::Time => self.try_get::<Option<DateTime<Utc>>, _>(at)?.map(Cell::Time),
            Kind::Json => self.try_get::<Option<Json<Value>>, _>(at)?.map(|Json(value)| Cell::Json(value)),
        }
        .unwrap_or(Cell::Null))
    }
}
