//! What can go wrong with what is kept. No text of a query and no value of a row is in an error.

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, did not answer in time or is busy. The same request may succeed
    /// later; whether a write that failed so was carried out is not known.
    #[error("the database is unavailable: {why}")]
    Unavailable {
        /// What the database or the network said.
        why: String,
    },
    /// There is no room left where the database is. Nothing was written; the same request may succeed when there is.
    #[error("the database has no room left: {why}")]
    Full {
        /// What the database said.
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
    /// What is to be deleted is something else's, which must go first.
    #[error("`{id}` still has {by} {what}")]
    InUse {
        /// The id of what is to be deleted.
        id: String,
        /// How many rows refer to it.
        by: i64,
        /// The table of those rows.
        what: &'static str,
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
    /// A newer release has changed the database's schema, and taken away what this one uses.
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
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}
