//! How a connection to each engine is made.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use tokio::time::Instant;

use super::failure::is_busy;
use super::{Pool, of_driver};
use crate::StoreError;

/// SQLite so that an acknowledged write survives the loss of power.
fn file_options(file: &Path, busy: Duration) -> SqliteConnectOptions {
    durable(
        SqliteConnectOptions::new().filename(file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal),
        busy,
    )
}

fn durable(options: SqliteConnectOptions, busy: Duration) -> SqliteConnectOptions {
    options
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(busy)
        // What a statement would undo stays in memory: as a file it was more to write than the calls in the log.
        .pragma("temp_store", "MEMORY")
        // Statements are said to nobody; what failed is in the error.
        .disable_statement_logging()
}

/// Pages that the writer keeps, in KiB with a minus (<https://www.sqlite.org/pragma.html#pragma_cache_size>): those of a
/// batch of a thousand calls. With SQLite's own 2 MB some are written twice. It is memory only while there is as much to
/// write.
const WRITER_CACHE: &str = "-8000";

/// How long is waited before a file that is busy is opened again.
const AGAIN: Duration = Duration::from_millis(10);

/// Makes the file a database with a write-ahead log, as all later connections find it.
///
/// Of several that open a new file at once SQLite lets one set this mode, and tells the others that the file is busy
/// without the waiting that it does elsewhere (<https://www.sqlite.org/rescode.html#busy>).
///
/// # Errors
/// [`StoreError::Unavailable`] when the file stays busy for as long as `deadline`, or cannot be opened.
pub(crate) async fn begin_file(file: &Path, deadline: Duration) -> Result<(), StoreError> {
    let options = file_options(file, deadline);
    let until = Instant::now() + deadline;
    loop {
        match SqliteConnection::connect_with(&options).await {
            Ok(connection) => return connection.close().await.map_err(of_driver),
            Err(error) if is_busy(&error) && Instant::now() < until => tokio::time::sleep(AGAIN).await,
            Err(error) => return Err(of_driver(error)),
        }
    }
}

/// # Errors
/// [`StoreError::Unavailable`] when the URL cannot be understood. Its text, which may hold a password, is in no error.
pub(super) fn postgres_options(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|_| StoreError::Unavailable { why: "the database URL cannot be understood".into() })?;
    Ok(options
        .application_name("toolgate")
        // Statements are said to nobody; what failed is in the error.
        .disable_statement_logging())
}

/// Connects once, since a pool only says that no connection came about, and not why.
///
/// # Errors
/// [`StoreError::Unavailable`] with what the network or the server said.
pub(crate) async fn try_postgres(url: &SecretString, deadline: Duration) -> Result<(), StoreError> {
    let options = postgres_options(url)?;
    match tokio::time::timeout(deadline, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => connection.close().await.map_err(of_driver),
        Ok(Err(error)) => Err(of_driver(error)),
        Err(_) => Err(StoreError::Unavailable { why: format!("no answer within {deadline:?}") }),
    }
}

impl Pool {
    pub(crate) fn memory() -> Self {
        let options = durable(SqliteConnectOptions::new().in_memory(true), Duration::ZERO);
        // The database lives as long as its one connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self::Sqlite { writer: pool.clone(), readers: pool, in_memory: true }
    }

    pub(crate) fn file(file: &Path, deadline: Duration, readers: u32) -> Self {
        let pool = |connections, options| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(deadline)
                .test_before_acquire(false)
                .connect_lazy_with(options)
        };
        let options = file_options(file, deadline);
        let writer = pool(1, options.clone().pragma("cache_size", WRITER_CACHE));
        Self::Sqlite { writer, readers: pool(readers, options), in_memory: false }
    }

    pub(crate) fn postgres(url: &SecretString, deadline: Duration, connections: u32) -> Result<Self, StoreError> {
        let options = postgres_options(url)?;
        Ok(Self::Postgres(
            PgPoolOptions::new().max_connections(connections).acquire_timeout(deadline).connect_lazy_with(options),
        ))
    }
}
