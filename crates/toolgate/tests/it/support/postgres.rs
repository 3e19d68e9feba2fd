//! A PostgreSQL database of the test's own, where there is a server for tests.

use std::process::{Command, Stdio};

use toolgate_store::{Database, KeyRing, Store, StoreSettings};

/// An empty database, dropped with this.
pub(crate) struct PgDatabase {
    server: String,
    name: String,
}

impl PgDatabase {
    /// A new one. `None`, and a printed line, where no server was named.
    #[expect(clippy::print_stdout, reason = "what was not tested is said")]
    pub(crate) fn create() -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            println!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set");
            return None;
        };
        let name = format!("toolgate_it_{}", uuid::Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name}"));
        Some(Self { server, name })
    }

    /// One process's way to it.
    pub(crate) async fn open(&self) -> Store {
        let keys = KeyRing::new("a sealing key of a test".to_owned().into(), Vec::new());
        Store::open(StoreSettings::new(Database::Postgres(self.url().into()), keys)).await.unwrap()
    }

    /// Cuts every connection that anybody has to it, those that listen too.
    pub(crate) fn cut_connections(&self) {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        run(&self.url(), cut);
    }

    fn url(&self) -> String {
        let (base, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = base.rsplit_once('/').unwrap();
        format!("{host}/{}?{query}", self.name)
    }
}

impl Drop for PgDatabase {
    fn drop(&mut self) {
        run(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn run(url: &str, sql: &str) {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql, url]).stdout(Stdio::null());
    assert!(command.status().expect("psql is there where PostgreSQL is").success(), "{sql}");
}
