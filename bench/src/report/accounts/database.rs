//! The gateway's database, filled and asked behind its back. The statements know the first schema's tables by name, and
//! their columns only as far as they differ from row to row.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(super) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// PostgreSQL's counts of what was done come late: a connection tells them at the end of a transaction once a second, and
/// what was done after that when it has been idle for ten.
const COUNTS_AFTER: Duration = Duration::from_secs(12);

pub(super) struct Database {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    /// SQLite's file.
    file: PathBuf,
    /// PostgreSQL's server and the database there.
    server: Option<(String, String)>,
}

impl Database {
    /// An empty one.
    pub(super) fn new(engine: Engine, postgres: Option<&str>, dir: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        // Where `start_toolgate` has its home.
        let file = dir.join(".local/share/toolgate/toolgate.db");
        let mut database = Self { engine, runtime, file, server: None };
        if engine == Engine::Postgres {
            let server = postgres.context("no PostgreSQL was named")?.to_owned();
            let name = format!("toolgate_bench_{}_{}", std::process::id(), super::super::cell::started_ns()?);
            database.on_server(&server, &format!("CREATE DATABASE {name}"))?;
            database.server = Some((server, name));
        }
        Ok(database)
    }

    /// What the gateway finds it by.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        self.url().map(|url| ("DATABASE_URL", url)).into_iter().collect()
    }

    /// Makes so many keys and teams like those with the alias `template`; each team has its part of the keys.
    pub(super) fn fill(&self, keys: u32, teams: u32) -> anyhow::Result<()> {
        let token = match self.engine {
            Engine::Sqlite => "printf('%064x', bench_i)",
            Engine::Postgres => "lpad(to_hex(bench_i), 64, '0')",
        };
        let differ = "team_id = 'bench-team-' || bench_i, team_alias = 'bench-team-' || bench_i";
        self.run(&copies("teams", "team_alias", differ, teams))?;
        let differ = format!(
            "token = {token}, key_alias = 'bench-' || bench_i, team_id = 'bench-team-' || (bench_i % {teams} + 1)"
        );
        self.run(&copies("keys", "key_alias", &differ, keys))
    }

    /// How often `keys` was read by an index, and whole. `None` where nobody counts.
    pub(super) fn scans(&self) -> anyhow::Result<Option<(i64, i64)>> {
        let Some(url) = self.url() else { return Ok(None) };
        self.runtime.block_on(async {
            tokio::time::sleep(COUNTS_AFTER).await;
            let mut connection = PgConnection::connect(&url).await?;
            let sql =
                "SELECT COALESCE(idx_scan, 0), COALESCE(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'keys'";
            Ok(Some(sqlx::query_as(sql).fetch_one(&mut connection).await?))
        })
    }

    fn url(&self) -> Option<String> {
        let (server, name) = self.server.as_ref()?;
        let (base, query) = server.split_once('?').unwrap_or((server, ""));
        let (host, _) = base.rsplit_once('/')?;
        Some(format!("{host}/{name}?{query}"))
    }

    fn run(&self, script: &[String]) -> anyhow::Result<()> {
        ensure!(self.server.is_some() || self.file.exists(), "there is no database at {}", self.file.display());
        for sql in script {
            let done = match self.url() {
                Some(url) => self.on_server(&url, sql),
                None => self.runtime.block_on(async {
                    let mut connection =
                        SqliteConnection::connect(&format!("sqlite://{}", self.file.display())).await?;
                    connection.execute(AssertSqlSafe(sql.clone())).await?;
                    Ok(())
                }),
            };
            done.with_context(|| sql.clone())?;
        }
        Ok(())
    }

    fn on_server(&self, url: &str, sql: &str) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await?;
            connection.execute(AssertSqlSafe(sql.to_owned())).await?;
            Ok(())
        })
    }
}

/// Statements that copy the row with the alias `template`, each copy with what `differs` says of its number.
fn copies(table: &str, alias: &str, differs: &str, count: u32) -> [String; 5] {
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    [
        format!(
            "CREATE TABLE bench_copies AS {numbers} \
             SELECT {table}.*, n.i AS bench_i FROM {table} CROSS JOIN n WHERE {table}.{alias} = 'template'"
        ),
        format!("UPDATE bench_copies SET {differs}"),
        "ALTER TABLE bench_copies DROP COLUMN bench_i".to_owned(),
        format!("INSERT INTO {table} SELECT * FROM bench_copies"),
        "DROP TABLE bench_copies".to_owned(),
    ]
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.server {
            // It is the bench's own server, which ends with it.
            drop(self.on_server(server, &format!("DROP DATABASE {name} WITH (FORCE)")));
        }
    }
}
