//! What can go wrong with what is kept. No text of a query and no value of a row is in an error.

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, did not answer in time, is out of space or is busy. The same request may succeed
    /// later; whether a write that failed so was carried out is not known.
    #[error("the database is unavailable: {why}")]
    Unavailable {
        /// What the database or the network said.
        why: String,
    },
    /// Something else has this id or name already.
    #[error("`{what}` is taken")]
    Conflict {
        /// The column whose value must be unique.
        what: String,
    },
    /// What is to be changed, or what the new row must belong to, does not exist.
    #[error("no row of {what} with the id `{id}`")]
    NotFound {
        /// The table.
        what: &'static str,
        /// The id that was looked for.
        id: String,
    },
    /// A value that no database can keep: text with a NUL character, a number that is not finite.
    #[error("{what} cannot be stored")]
    Invalid {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The sealing key is not the one that this database was written with. Nothing was written.
    #[error("the sealing key (LITELLM_SALT_KEY) does not match this database; start with the key it was written with")]
    WrongKey,
    /// A newer release has changed the database's schema.
    #[error("the database has schema {found}, this release knows {known} at most; use a newer release")]
    NewerSchema {
        /// The version found in the database.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// What was read is not what was written, or not what this release can read.
    #[error("the database is damaged: {what}")]
    Corrupt {
        /// Where: table, column, row.
        what: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// What a driver's error means here.
pub(crate) fn of_driver(error: sqlx::Error) -> StoreError {
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
        _ => StoreError::Unavailable { why: format!("{} (code {code})", error.message()) },
    }
}

/// By SQLite's primary result code.
fn of_sqlite(code: u32, message: &str) -> StoreError {
    const ERROR: u32 = 1;
    const CORRUPT: u32 = 11;
    const CONSTRAINT: u32 = 19;
    const NOT_A_DATABASE: u32 = 26;
    match code {
        ERROR | CORRUPT | CONSTRAINT | NOT_A_DATABASE => StoreError::corrupt(format!("code {code}: {message}")),
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
