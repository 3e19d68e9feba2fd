//! Opening the database, and the handle to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::db::{self, Pool};
use crate::migrate::{self, Standing};
use crate::revision::{self, Revision};
use crate::secret::{KeyRing, Sealer};
use crate::{StoreError, backup, canary};

/// Which database.
#[derive(Clone)]
pub enum Database {
    /// SQLite in this file, which is made if it is not there. Its directory must exist.
    File(PathBuf),
    /// SQLite in memory: for tests.
    Memory,
    /// PostgreSQL at this URL.
    Postgres(SecretString),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

/// What the time is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreSettings {
    /// Which database.
    pub database: Database,
    /// The keys that secrets are sealed with.
    pub keys: KeyRing,
    /// How long one operation may take, waiting for a connection included.
    pub deadline: Duration,
    /// The most connections to PostgreSQL, or readers of the file.
    pub connections: u32,
    /// How often the revision is asked for, beside being told of it.
    pub poll: Duration,
    /// What the time is.
    pub clock: Clock,
}

impl StoreSettings {
    /// Five seconds for an operation, ten connections, the revision every two seconds, the system's clock.
    pub fn new(database: Database, keys: KeyRing) -> Self {
        Self {
            database,
            keys,
            deadline: Duration::from_secs(5),
            connections: 10,
            poll: Duration::from_secs(2),
            clock: Arc::new(Utc::now),
        }
    }
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Everything that toolgate keeps. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    db: db::Database,
    database: Database,
    sealer: Sealer,
    clock: Clock,
    revision: watch::Sender<Revision>,
    stop: CancellationToken,
    /// Ends what runs beside, also when nobody called [`Store::close`].
    _stop_on_drop: DropGuard,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.shared.database).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, and brings its schema to this release's. A file that has something in it is copied before,
    /// beside it, as `{name}.before-{release's schema}`.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] and [`StoreError::NewerSchema`], before anything is written;
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub async fn open(settings: StoreSettings) -> Result<Self, StoreError> {
        let sealer = Sealer::new(&settings.keys)?;
        if let Database::Postgres(url) = &settings.database {
            db::try_postgres(url, settings.deadline).await?;
        }
        if let Database::File(file) = &settings.database {
            private_file(file)?;
            db::begin_file(file, settings.deadline).await?;
        }
        let db = connect(&settings)?;
        let clock = settings.clock.clone();
        prepare(&db, &settings.database, &sealer, clock()).await?;
        let stop = CancellationToken::new();
        let (sender, _) = watch::channel(revision::current(&db).await?);
        let notices = db.notices(&settings.database)?;
        // A database in memory has no other writers.
        if !matches!(settings.database, Database::Memory) {
            db.tasks.spawn(revision::follow(db.clone(), notices, sender.clone(), settings.poll, stop.clone()));
        }
        let shared = Shared {
            db,
            database: settings.database,
            sealer,
            clock,
            revision: sender,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Ends the store: what runs beside stops, connections are closed, the file's write-ahead log is folded into it.
    /// Every later request fails with [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.db.tasks.close();
        let ended = async {
            self.shared.db.close().await;
            self.shared.db.tasks.wait().await;
        };
        // A connection behind which nobody answers is given up.
        if tokio::time::timeout(self.shared.db.deadline * 2, ended).await.is_err() {
            tracing::warn!("the database did not answer while its connections were closed");
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        revision::current(&self.shared.db).await.map(|_| ())
    }

    /// Which database this is.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    pub(crate) fn db(&self) -> &db::Database {
        &self.shared.db
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.shared.sealer
    }

    /// The time, as the database can keep it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)().trunc_subsecs(6)
    }

    pub(crate) fn revision_sender(&self) -> &watch::Sender<Revision> {
        &self.shared.revision
    }

    pub(crate) fn announce(&self, revision: Revision) {
        revision::announce(&self.shared.revision, revision);
    }
}

fn connect(settings: &StoreSettings) -> Result<db::Database, StoreError> {
    let pool = match &settings.database {
        Database::Memory => Pool::memory(),
        Database::File(file) => Pool::file(file, settings.deadline, settings.connections),
        Database::Postgres(url) => Pool::postgres(url, settings.deadline, settings.connections)?,
    };
    Ok(db::Database { pool, deadline: settings.deadline, tasks: TaskTracker::new() })
}

/// Makes the file, readable for its owner alone. What SQLite puts beside it takes its mode.
fn private_file(file: &std::path::Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    opened.map(|_| ()).map_err(|error| StoreError::Unavailable { why: format!("{}: {error}", file.display()) })
}

async fn prepare(
    db: &db::Database,
    database: &Database,
    sealer: &Sealer,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let standing = migrate::standing(db).await?;
    if standing != Standing::Empty {
        canary::check(db, sealer).await?;
    }
    if let (Standing::Behind, Database::File(file)) = (standing, database) {
        backup::before_migration(db, file).await?;
    }
    if standing != Standing::Current {
        migrate::migrate(db, now.timestamp_millis()).await?;
    }
    canary::set(db, sealer).await
}

#[cfg(test)]
mod tests {
    use toolgate_access::key::KeyHash;

    use super::{Database, Store, StoreSettings};
    use crate::{Actor, Key, KeyChanges, KeyRing, ServerChanges, Team, User};

    /// Whoever awaits these holds them: they must fit into a handler's future.
    #[tokio::test]
    async fn futures_are_small() {
        let settings = StoreSettings::new(Database::Memory, KeyRing::new("key".into(), vec![]));
        let store = Store::open(settings).await.unwrap();
        let (actor, hash) = (Actor::default(), KeyHash::from([1; 32]));
        let sizes = [
            size_of_val(&store.authorization(&hash)),
            size_of_val(&store.create_key(&actor, Key::default())),
            size_of_val(&store.update_key(&actor, &hash, KeyChanges::default())),
            size_of_val(&store.create_team(&actor, Team::default(), vec![])),
            size_of_val(&store.create_user(&actor, User::default(), vec![])),
            size_of_val(&store.update_server(&actor, "s", ServerChanges::default())),
            size_of_val(&store.delete_keys(&actor, &[hash])),
            size_of_val(&store.record_spend(&[])),
        ];
        assert!(sizes.iter().all(|size| *size < 6_000), "{sizes:?}");
    }
}
