//! The two engines behind one face: connections, transactions, and values to and from them. The only place that knows
//! sqlx; everything above it speaks in [`Cell`]s.
//!
//! One text of SQL serves both engines, with `$1` for values. Where their words differ, [`Session::dialect`] picks one.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor as _, PgPool, Postgres, SqlSafeStr as _, SqlStr, Sqlite, SqlitePool};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::StoreError;
use crate::cell::{Arg, Cell, Kind};

mod bind;
mod connect;
mod failure;
mod listen;

use connect::postgres_options;
pub(crate) use connect::{begin_file, try_postgres};
use failure::of_driver;
pub(crate) use listen::{Listener, Notices};

/// The text of a query. It is made of constants of this crate; values are always arguments.
pub(crate) type Sql = Cow<'static, str>;

fn text(sql: Sql) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

/// The pools.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite {
        /// One connection: SQLite has one writer at a time, and waiting for it here is fair and bounded.
        writer: SqlitePool,
        /// The same pool as `writer` for a database in memory, which exists only in its connection.
        readers: SqlitePool,
        in_memory: bool,
    },
    Postgres(PgPool),
}

/// Repeats one body for the connection of each engine.
macro_rules! on_pool {
    ($conn:expr, |$db:ident| $body:expr) => {
        match $conn {
            Conn::Sqlite { conn: $db, .. } => $body,
            Conn::Postgres($db) => $body,
        }
    };
}

/// How much time one piece of work has, and who ends what it leaves behind.
#[derive(Clone)]
pub(crate) struct Database {
    pub pool: Pool,
    pub deadline: Duration,
    pub tasks: TaskTracker,
}

impl Database {
    /// A connection for one or more reads.
    pub(crate) fn read(&self) -> BoxFuture<'_, Result<Session, StoreError>> {
        Box::pin(self.session(false))
    }

    /// A transaction that may write.
    pub(crate) fn write(&self) -> BoxFuture<'_, Result<Session, StoreError>> {
        Box::pin(async {
            let mut session = self.session(true).await?;
            let begin = session.dialect("BEGIN IMMEDIATE", "BEGIN");
            // Before, since a BEGIN that is given up half-way may still be carried out.
            session.in_transaction = true;
            session.script(begin.into()).await?;
            Ok(session)
        })
    }

    async fn session(&self, writes: bool) -> Result<Session, StoreError> {
        let deadline = Instant::now() + self.deadline;
        let acquire = async {
            Ok(match &self.pool {
                Pool::Sqlite { writer, readers, in_memory } => {
                    let pool = if writes { writer } else { readers };
                    Conn::Sqlite { conn: pool.acquire().await?, in_memory: *in_memory }
                }
                Pool::Postgres(pool) => Conn::Postgres(pool.acquire().await?),
            })
        };
        let conn = within(deadline, self.deadline, acquire).await?;
        let tasks = self.tasks.clone();
        Ok(Session { conn: Some(conn), in_transaction: false, given_up: false, deadline, limit: self.deadline, tasks })
    }

    /// Whether changes by others can be heard of, and how.
    pub(crate) fn notices(&self, database: &crate::Database) -> Result<Option<Notices>, StoreError> {
        match database {
            crate::Database::Postgres(url) => {
                Ok(Some(Notices { options: postgres_options(url)?, limit: self.deadline }))
            }
            crate::Database::File(_) | crate::Database::Memory => Ok(None),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

enum Conn {
    Sqlite { conn: PoolConnection<Sqlite>, in_memory: bool },
    Postgres(PoolConnection<Postgres>),
}

/// One connection, with a deadline for all that is done on it. Dropped within a transaction, it rolls back.
pub(crate) struct Session {
    /// Always there until it is dropped.
    conn: Option<Conn>,
    in_transaction: bool,
    given_up: bool,
    deadline: Instant,
    limit: Duration,
    tasks: TaskTracker,
}

impl Session {
    /// The word for the engine in use.
    pub(crate) fn dialect(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.conn {
            Some(Conn::Postgres(_)) => postgres,
            Some(Conn::Sqlite { .. }) | None => sqlite,
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.conn, Some(Conn::Postgres(_)))
    }

    /// Gives work that is longer than a request, such as a migration, more time.
    pub(crate) fn extend(&mut self, limit: Duration) {
        self.limit = limit;
        self.deadline = Instant::now() + limit;
    }

    /// What is read from here on is as it was at one moment, and nothing can be written. PostgreSQL only.
    pub(crate) async fn snapshot(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".into()).await
    }

    /// Carries a statement out and says how many rows it touched.
    pub(crate) fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.execute_text(sql.into(), args)
    }

    fn execute_text(&mut self, sql: Sql, args: Vec<Arg>) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            check(&args)?;
            self.on_time(|conn| {
                Box::pin(async move {
                    on_pool!(conn, |db| {
                        let query = args.into_iter().fold(sqlx::query(text(sql)), bind::bind);
                        Ok(query.execute(&mut **db).await?.rows_affected())
                    })
                })
            })
            .await
        })
    }

    /// The rows that a query gives, each as cells of these kinds.
    pub(crate) fn rows(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
        kinds: Vec<Kind>,
    ) -> BoxFuture<'_, Result<Vec<Vec<Cell>>, StoreError>> {
        self.rows_text(sql.into(), args, kinds)
    }

    fn rows_text(
        &mut self,
        sql: Sql,
        args: Vec<Arg>,
        kinds: Vec<Kind>,
    ) -> BoxFuture<'_, Result<Vec<Vec<Cell>>, StoreError>> {
        Box::pin(async move {
            check(&args)?;
            self.on_time(|conn| {
                Box::pin(async move {
                    on_pool!(conn, |db| {
                        let query = args.into_iter().fold(sqlx::query(text(sql)), bind::bind);
                        let rows = query.fetch_all(&mut **db).await?;
                        let cells = |row| (0..kinds.len()).map(|at| bind::read(row, at, kinds[at])).collect();
                        rows.iter().map(cells).collect()
                    })
                })
            })
            .await
        })
    }

    /// The first cell of the first row.
    pub(crate) async fn value<T: crate::cell::Column>(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.rows(sql, args, vec![T::KIND]).await?;
        let Some(cell) = rows.into_iter().next().and_then(|row| row.into_iter().next()) else { return Ok(None) };
        T::from_cell(cell).map(Some).ok_or_else(|| StoreError::corrupt("a value of another kind than expected"))
    }

    /// Several statements without arguments.
    pub(crate) fn script(&mut self, sql: Sql) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.on_time(|conn| {
            Box::pin(async move {
                on_pool!(conn, |db| {
                    db.execute(sqlx::raw_sql(text(sql))).await?;
                    Ok(())
                })
            })
        }))
    }

    /// Until the transaction ends, no other takes this: changes and batches of spend write the same rows in their own
    /// orders, and would hold each other up. SQLite has one writer anyway.
    pub(crate) async fn exclude_writers(&mut self) -> Result<(), StoreError> {
        // Any number, the same in every replica.
        if self.is_postgres() { self.script("SELECT pg_advisory_xact_lock(7243393)".into()).await } else { Ok(()) }
    }

    /// Makes the transaction last.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.script("COMMIT".into()).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction. The connection is free for others when this has come back.
    pub(crate) async fn roll_back(mut self) -> Result<(), StoreError> {
        self.script("ROLLBACK".into()).await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn on_time<'s, T>(
        &'s mut self,
        work: impl FnOnce(&'s mut Conn) -> BoxFuture<'s, Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let conn = self.conn.as_mut().expect("the connection is taken only when the session is dropped");
        let outcome = within(self.deadline, self.limit, work(conn)).await;
        if outcome.as_ref().is_err_and(StoreError::is_retryable) {
            self.given_up = true;
        }
        outcome
    }
}

async fn within<T>(
    deadline: Instant,
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout_at(deadline, work).await {
        Ok(outcome) => outcome.map_err(of_driver),
        Err(_) => Err(StoreError::Unavailable { why: format!("no answer within {limit:?}") }),
    }
}

fn check(args: &[Arg]) -> Result<(), StoreError> {
    args.iter().try_for_each(Arg::check)
}

impl Drop for Session {
    /// A connection that failed is closed and not used again: behind a network that lost it, rolling back would keep its
    /// place in the pool for minutes. The only connection of a database in memory is kept in any case.
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let keep = matches!(conn, Conn::Sqlite { in_memory: true, .. });
        if self.given_up && !keep {
            on_pool!(&mut conn, |db| db.close_on_drop());
        } else if self.in_transaction {
            self.tasks.spawn(roll_back(conn, self.limit));
        }
    }
}

async fn roll_back(mut conn: Conn, limit: Duration) {
    let rollback = async { on_pool!(&mut conn, |db| db.execute("ROLLBACK").await.map(|_| ())) };
    let outcome = tokio::time::timeout(limit, rollback).await;
    let keep = matches!(conn, Conn::Sqlite { in_memory: true, .. });
    // Without a transaction to end (BEGIN failed), the error says that there is none.
    if !matches!(outcome, Ok(Ok(()))) && !keep {
        on_pool!(&mut conn, |db| db.close_on_drop());
    }
}
