//! What an engine's errors mean in the store's terms.

use crate::StoreError;

/// What a driver's error means here.
pub(super) fn of_driver(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. }) => {
            StoreError::corrupt(error.to_string())
        }
        sqlx::Error::PoolTimedOut => StoreError::Unavailable { why: "no connection became free in time".into() },
        sqlx::Error::PoolClosed => StoreError::Unavailable { why: "the store was closed".into() },
        other => StoreError::Unavailable { why: other.to_string() },
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> StoreError {
    if error.is_unique_violation() {
        return StoreError::Conflict { what: unique_column(error) };
    }
    if error.is_foreign_key_violation() {
        return StoreError::Conflict { what: "a row that others refer to".into() };
    }
    let code = error.code().unwrap_or_default();
    if let Ok(sqlite) = code.parse::<u32>()
        && error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
    {
        return of_sqlite(sqlite & 0xff, error.message());
    }
    match &code[..code.len().min(2)] {
        "22" => StoreError::Invalid { what: "a value of this kind" },
        // 23: constraints; 25: wrong state of a transaction; 42: names that do not exist.
        "23" | "42" | "XX" => StoreError::corrupt(format!("code {code}")),
        _ if code == "53100" => StoreError::Full { why: format!("{} (code {code})", error.message()) },
        _ => StoreError::Unavailable { why: format!("{} (code {code})", error.message()) },
    }
}

/// Whether SQLite said that another connection is at the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: u32 = 5;
    let error =
        error.as_database_error().filter(|error| error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some());
    error.and_then(|error| error.code()?.parse::<u32>().ok()).is_some_and(|code| code & 0xff == BUSY)
}

/// By SQLite's primary result code.
fn of_sqlite(code: u32, message: &str) -> StoreError {
    const ERROR: u32 = 1;
    const CORRUPT: u32 = 11;
    const FULL: u32 = 13;
    const CONSTRAINT: u32 = 19;
    const NOT_A_DATABASE: u32 = 26;
    match code {
        ERROR | CORRUPT | CONSTRAINT | NOT_A_DATABASE => StoreError::corrupt(format!("code {code}: {message}")),
        FULL => StoreError::Full { why: format!("{message} (code {code})") },
        _ => StoreError::Unavailable { why: format!("{message} (code {code})") },
    }
}

/// The column of a unique constraint, by the names that constraints have here: `{table}_{column}_key`. PostgreSQL does not
/// say which column the id is: `id`.
fn unique_column(error: &dyn sqlx::error::DatabaseError) -> String {
    if let (Some(constraint), Some(table)) = (error.constraint(), error.table()) {
        let inner = constraint.strip_prefix(table).unwrap_or(constraint).trim_start_matches('_');
        return inner.trim_end_matches("_key").replace("pkey", "id");
    }
    // SQLite: "UNIQUE constraint failed: toolsets.toolset_name".
    let first = error.message().rsplit(": ").next().unwrap_or_default().split(',').next().unwrap_or_default();
    first.rsplit('.').next().unwrap_or_default().to_owned()
}
