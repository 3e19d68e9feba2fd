//! Brings a database to this release's schema.
//!
//! Each migration is one transaction that first takes a lock and then looks whether somebody else was faster, so two
//! replicas that start at once migrate once. See `migrations/README.md` for how a migration is written.
//!
//! Replicas are replaced one by one, and one of the former release may start again meanwhile. So a schema that is newer
//! than this release is used as it is: migrations only add to what was there. Those that do not say so in their names.

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

/// The oldest schema that a release must know to work with what the migration of this name left. Most leave what was
/// there, and need none.
fn needed(name: &str) -> i64 {
    name.rsplit_once("_needs_").map_or(0, |(_, version)| version.parse().unwrap_or(i64::MAX))
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
    let Applied { known, found } = applied(&mut session).await?;
    if found > known {
        tracing::info!(
            "the database has schema {found} of a newer release; this one, which knows {known}, works with it"
        );
    }
    Ok(match known {
        0 => Standing::Empty,
        version if version < newest() => Standing::Behind,
        _ => Standing::Current,
    })
}

/// How far a database is.
struct Applied {
    /// The newest version applied that this release knows.
    known: i64,
    /// The newest version applied.
    found: i64,
}

/// Which migrations were applied, all of those that this release knows being what it has.
async fn applied(session: &mut Session) -> Result<Applied, StoreError> {
    let sql = "SELECT version, name, checksum FROM toolgate_migrations ORDER BY version";
    let mut applied = Applied { known: 0, found: 0 };
    for row in session.rows(sql, args![], vec![Kind::Int, Kind::Text, Kind::Text]).await? {
        let Ok([Cell::Int(version), Cell::Text(name), Cell::Text(checksum)]) = <[Cell; 3]>::try_from(row) else {
            return Err(StoreError::corrupt("toolgate_migrations"));
        };
        applied.found = version;
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.version == version) else {
            if needed(&name) > newest() {
                return Err(StoreError::NewerSchema { found: version, known: newest() });
            }
            continue;
        };
        let text = session.dialect(known.sqlite, known.postgres);
        if sha256_hex(text.as_bytes()) != checksum {
            return Err(StoreError::corrupt(format!("migration {} is not the one that was applied", known.name)));
        }
        applied.known = version;
    }
    if applied.found > applied.known && applied.known < newest() {
        return Err(StoreError::corrupt("a migration is missing before the last one that was applied"));
    }
    Ok(applied)
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
        if applied(&mut session).await?.known < migration.version {
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
    use super::{MIGRATIONS, needed};

    #[test]
    fn versions_count_up_from_one_and_stand_in_the_name() {
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            let version = i64::try_from(at).unwrap() + 1;
            assert_eq!(migration.version, version);
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
            assert!(needed(migration.name) < version, "{}", migration.name);
        }
    }

    #[test]
    fn each_file_is_in_the_list() {
        for engine in ["sqlite", "postgres"] {
            let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
            let mut files: Vec<_> = files.collect();
            files.sort();
            let listed: Vec<_> = MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
            assert_eq!(files, listed, "{engine}");
        }
    }

    #[test]
    fn what_takes_something_away_says_which_release_it_needs() {
        assert_eq!(needed("0002_more_columns"), 0);
        assert_eq!(needed("0009_drop_old_columns_needs_0007"), 7);
        assert_eq!(needed("0009_drop_needs_seven"), i64::MAX, "what cannot be read lets nobody in");
    }
}
