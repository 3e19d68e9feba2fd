//! Brings a database to this release's schema.
//!
//! Each migration is one transaction that first takes a lock and then looks whether somebody else was faster, so two
//! replicas that start at once migrate once. See `migrations/README.md` for how a migration is written.

use std::time::Duration;

use crate::StoreError;
use crate::cell::{Cell, Kind, args};
use crate::db::{Database, Session};
use crate::secret::sha256_hex;

struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal),* $(,)?) => {
        /// All of them, in order.
        const MIGRATIONS: &[Migration] = &[$(Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),*];
    };
}

migrations! {
    1 "0001_first",
    2 "0002_fewer_indexes_of_calls",
}

/// One migration may rewrite a large table.
const TIME_FOR_ONE: Duration = Duration::from_secs(600);

/// Any number, the same in every replica.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock(7243392)";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS toolgate_migrations \
                     (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at_ms BIGINT NOT NULL)";

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// How a database stands to this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is nothing in it.
    Empty,
    /// Migrations are to be applied.
    Behind,
    /// Nothing is to be done.
    Current,
}

/// Looks, and writes nothing.
///
/// # Errors
/// [`StoreError::NewerSchema`]; [`StoreError::Corrupt`] when an applied migration is not the one that this release has.
pub(crate) async fn standing(db: &Database) -> Result<Standing, StoreError> {
    let mut session = db.read().await?;
    let exists = session.dialect(
        "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'toolgate_migrations'",
        "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'toolgate_migrations' AND schemaname = ANY(current_schemas(false))",
    );
    if session.value::<i64>(exists, args![]).await? == Some(0) {
        return Ok(Standing::Empty);
    }
    let applied = applied(&mut session).await?;
    Ok(match applied {
        0 => Standing::Empty,
        version if version < newest() => Standing::Behind,
        _ => Standing::Current,
    })
}

/// The newest version applied, all of them being known.
async fn applied(session: &mut Session) -> Result<i64, StoreError> {
    let sql = "SELECT version, checksum FROM toolgate_migrations ORDER BY version";
    let mut last = 0;
    for row in session.rows(sql, args![], vec![Kind::Int, Kind::Text]).await? {
        let Ok([Cell::Int(version), Cell::Text(checksum)]) = <[Cell; 2]>::try_from(row) else {
            return Err(StoreError::corrupt("toolgate_migrations"));
        };
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.version == version) else {
            return Err(StoreError::NewerSchema { found: version, known: newest() });
        };
        let text = session.dialect(known.sqlite, known.postgres);
        if sha256_hex(text.as_bytes()) != checksum {
            return Err(StoreError::corrupt(format!("migration {} is not the one that was applied", known.name)));
        }
        last = version;
    }
    Ok(last)
}

/// Applies what is missing.
pub(crate) async fn migrate(db: &Database, now_ms: i64) -> Result<(), StoreError> {
    for migration in MIGRATIONS {
        let mut session = db.write().await?;
        session.extend(TIME_FOR_ONE);
        if session.is_postgres() {
            session.script(ADVISORY_LOCK.into()).await?;
        }
        session.script(TABLE.into()).await?;
        if applied(&mut session).await? < migration.version {
            let text = session.dialect(migration.sqlite, migration.postgres);
            session.script(text.into()).await?;
            let sql =
                "INSERT INTO toolgate_migrations (version, name, checksum, applied_at_ms) VALUES ($1, $2, $3, $4)";
            let checksum = sha256_hex(text.as_bytes());
            session.execute(sql, args![migration.version, migration.name, checksum, now_ms]).await?;
        }
        session.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn versions_count_up_from_one_and_stand_in_the_name() {
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            let version = i64::try_from(at).unwrap() + 1;
            assert_eq!(migration.version, version);
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
        }
    }
}
