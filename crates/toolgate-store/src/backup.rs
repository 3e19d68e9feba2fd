//! Copies of a database file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::Head;
use crate::cell::{Cell, Kind, args};
use crate::db::Database;
use crate::{Store, StoreError};

/// A copy reads and writes the whole file.
const TIME: Duration = Duration::from_secs(3_600);

impl Store {
    /// Copies a SQLite database into a new file while it is in use. The copy holds every write that was acknowledged
    /// before; the sealing key is not in it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the file exists; [`StoreError::Invalid`] for PostgreSQL, whose own tool is
    /// `pg_dump`.
    pub async fn backup_to(&self, file: &Path) -> Result<(), StoreError> {
        if matches!(self.database(), crate::Database::Postgres(_)) {
            return Err(StoreError::Invalid { what: "a PostgreSQL database in a file: use pg_dump" });
        }
        copy(self.db(), file).await
    }
}

/// What is in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// How many rows each table has, by its name.
    pub rows: BTreeMap<&'static str, i64>,
    /// What is wrong with the file itself, in SQLite's words; empty when nothing is, and for PostgreSQL.
    pub damage: Vec<String>,
    /// Where the audit log ends.
    pub audit: Head,
}

/// Every table that holds what people entrusted to it.
const TABLES: [&str; 19] = [
    "access_groups",
    "audit_log",
    "budgets",
    "customers",
    "deprecated_keys",
    "keys",
    "organization_memberships",
    "organizations",
    "projects",
    "server_oauth_clients",
    "servers",
    "settings",
    "spend_logs",
    "team_memberships",
    "teams",
    "toolsets",
    "user_credentials",
    "user_env_vars",
    "users",
];

impl Store {
    /// Counts everything, and has SQLite check its file. With [`Store::audit_verify`] it is what shows that a backup is
    /// whole; that the sealing key fits was shown by opening it.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut session = self.db().read().await?;
        session.extend(TIME);
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let count = session.value::<i64>(format!("SELECT COUNT(*) FROM {table}"), args![]).await?;
            rows.insert(table, count.unwrap_or_default());
        }
        let mut damage = Vec::new();
        if !session.is_postgres() {
            for row in session.rows("PRAGMA integrity_check", args![], vec![Kind::Text]).await? {
                if let Some(Cell::Text(text)) = row.into_iter().next().filter(|cell| *cell != Cell::Text("ok".into())) {
                    damage.push(text);
                }
            }
        }
        drop(session);
        Ok(Inventory { rows, damage, audit: self.audit_head().await? })
    }
}

/// Puts a copy in the place of a database file that is not there. Open and check it before it is used.
///
/// # Errors
/// [`StoreError::Conflict`] when the file exists.
pub async fn restore_file(backup: &Path, file: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Unavailable { why: format!("{}: {error}", file.display()) };
    if file.exists() {
        return Err(StoreError::Conflict { what: file.display().to_string() });
    }
    let part = part_of(file);
    let outcome = async {
        private(&part)?;
        let (mut from, mut to) =
            (tokio::fs::File::open(backup).await?, tokio::fs::OpenOptions::new().write(true).open(&part).await?);
        tokio::io::copy(&mut from, &mut to).await?;
        to.sync_all().await?;
        tokio::fs::rename(&part, file).await
    };
    let outcome = outcome.await.map_err(failed);
    if outcome.is_err() {
        let _removed = tokio::fs::remove_file(&part).await;
    }
    outcome
}

/// A name beside the file for what is not whole yet.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".part-{}", uuid::Uuid::new_v4()));
    PathBuf::from(name)
}

/// Keeps the file as it was before a migration. A copy that is there already is from a start that came no further.
pub(crate) async fn before_migration(db: &Database, file: &Path) -> Result<(), StoreError> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".before-{}", env!("CARGO_PKG_VERSION")));
    let target = PathBuf::from(name);
    if target.exists() { Ok(()) } else { copy(db, &target).await }
}

/// Writes beside the target first: what carries its name is whole.
async fn copy(db: &Database, target: &Path) -> Result<(), StoreError> {
    if target.exists() {
        return Err(StoreError::Conflict { what: target.display().to_string() });
    }
    let failed = |error: std::io::Error| StoreError::Unavailable { why: format!("{}: {error}", target.display()) };
    let part = part_of(target);
    let text = part.to_str().ok_or(StoreError::Invalid { what: "a file name that is not UTF-8" })?;
    private(&part).map_err(failed)?;
    let outcome = async {
        let mut session = db.read().await?;
        session.extend(TIME);
        session.execute("VACUUM INTO $1", args![text]).await?;
        sync(&part).await.map_err(failed)?;
        tokio::fs::rename(&part, target).await.map_err(failed)
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        // What is left of a copy that failed serves nobody; if it cannot be removed, it is still named as a part.
        let _removed = tokio::fs::remove_file(&part).await;
    }
    outcome
}

/// SQLite writes into an empty file, and leaves it its mode.
fn private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(file).map(|_| ())
}

async fn sync(file: &Path) -> std::io::Result<()> {
    tokio::fs::File::open(file).await?.sync_all().await
}

#[cfg(test)]
mod tests {
    use crate::{Database, KeyRing, Store, StoreSettings};

    #[tokio::test]
    async fn a_file_is_kept_as_it_was_before_a_migration_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("toolgate.db");
        let settings = StoreSettings::new(Database::File(file.clone()), KeyRing::new("key".into(), vec![]));
        let store = Store::open(settings.clone()).await.unwrap();
        super::before_migration(store.db(), &file).await.unwrap();
        super::before_migration(store.db(), &file).await.unwrap();

        let name = format!("toolgate.db.before-{}", env!("CARGO_PKG_VERSION"));
        let kept = StoreSettings { database: Database::File(directory.path().join(name)), ..settings };
        assert_eq!(Store::open(kept).await.unwrap().inventory().await.unwrap(), store.inventory().await.unwrap());
    }
}
