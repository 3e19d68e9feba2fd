//! Databases for tests: each test has its own, on each engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use toolgate_access::key::KeyHash;
use toolgate_store::{Actor, Database, Key, KeyRing, Store, StoreSettings};

/// A database that is empty, and gone when the test ends.
pub struct TestDatabase {
    pub engine: &'static str,
    pub database: Database,
    /// Where PostgreSQL's is made and dropped.
    server: Option<(String, String)>,
    _directory: Option<tempfile::TempDir>,
}

/// An empty file, and an empty PostgreSQL database where there is a server.
pub async fn databases() -> Vec<TestDatabase> {
    let mut all = vec![file()];
    match postgres_url() {
        Some(url) => all.push(postgres(url).await),
        None => println!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set"),
    }
    all
}

pub fn file() -> TestDatabase {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::File(directory.path().join("toolgate.db"));
    TestDatabase { engine: "sqlite", database, server: None, _directory: Some(directory) }
}

#[expect(clippy::disallowed_methods, reason = "where the tests' server is, is told to them in the environment")]
fn postgres_url() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

/// A new database on the tests' server.
async fn postgres(server: String) -> TestDatabase {
    let name = format!("toolgate_test_{}", uuid::Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let url = with_database(&server, &name);
    TestDatabase {
        engine: "postgres",
        database: Database::Postgres(url.into()),
        server: Some((server, name)),
        _directory: None,
    }
}

/// The URL with another database's name.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (host, _) = base.rsplit_once('/').unwrap();
    format!("{host}/{name}?{query}")
}

/// All databases, opened.
pub async fn stores() -> Vec<(TestDatabase, Store)> {
    let mut all = Vec::new();
    for database in databases().await {
        let store = database.open().await;
        all.push((database, store));
    }
    all
}

impl TestDatabase {
    pub fn settings(&self) -> StoreSettings {
        StoreSettings::new(self.database.clone(), ring("a sealing key", &[]))
    }

    pub async fn open(&self) -> Store {
        Store::open(self.settings()).await.unwrap()
    }

    /// Its place as the example `writer` takes it.
    pub fn place(&self) -> String {
        use secrecy::ExposeSecret as _;
        match &self.database {
            Database::File(path) => path.to_str().unwrap().to_owned(),
            Database::Postgres(url) => url.expose_secret().to_owned(),
            Database::Memory => unreachable!("no test's database is in memory"),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.place().into()
    }

    /// Does something to the database behind the store's back.
    pub async fn sabotage(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.engine {
            "sqlite" => {
                let mut raw = SqliteConnection::connect(&format!("sqlite://{}", self.place())).await.unwrap();
                raw.execute(sql).await.unwrap();
            }
            _ => {
                let mut raw = PgConnection::connect(&self.place()).await.unwrap();
                raw.execute(sql).await.unwrap();
            }
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else { return };
        // A runtime of its own, since the test's may not wait here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&server).await.unwrap();
                admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
            });
        });
        dropping.join().unwrap();
    }
}

pub fn ring(primary: &str, old: &[&str]) -> KeyRing {
    KeyRing::new(primary.into(), old.iter().map(|key| (*key).into()).collect())
}

pub fn actor() -> Actor {
    Actor { changed_by: "alice".into(), changed_by_api_key: "hash".into(), request_id: "req-1".into() }
}

pub fn hash(number: u8) -> KeyHash {
    KeyHash::from([number; 32])
}

/// A key with nothing but its hash.
pub fn key(number: u8) -> Key {
    Key { token: hash(number).to_hex(), ..Key::default() }
}

/// A clock that stands until it is moved.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn at(text: &str) -> Self {
        Self(Arc::new(AtomicI64::new(time(text).timestamp_micros())))
    }

    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).unwrap()
    }

    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_microseconds().unwrap(), Ordering::SeqCst);
    }

    pub fn settings(&self, database: &TestDatabase) -> StoreSettings {
        let clock = self.clone();
        StoreSettings { clock: Arc::new(move || clock.now()), ..database.settings() }
    }
}

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Long enough on a busy machine, and an end to a test that hangs.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("this takes no half minute")
}
