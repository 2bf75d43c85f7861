//! The only code that speaks SQL: one statement per file under `sql/`.
//!
//! A [`Store`] is a pool of connections and the statements for one schema. Every call has a
//! deadline: a connection that does not answer in time is closed, never handed on.

mod bulk;
mod claim;
mod connect;
mod doctor;
mod enqueue;
mod errors;
mod finish;
mod fleet;
mod inspect;
mod jobs;
mod listen;
mod locks;
mod maintain;
mod migrate;
mod notes;
mod queues;
mod retention;
mod rows;
mod schedules;
mod search;
mod session;
mod slots;
mod statements;
mod tally;
mod transaction;
mod why;
mod workers;

pub(crate) use bulk::BulkAction;
pub use bulk::BulkOutcome;
pub(crate) use claim::{Claim, Claimed};
pub(crate) use connect::StoreOptions;
pub(crate) use enqueue::{Batch, KeyedAnswer};
pub(crate) use errors::translate;
pub(crate) use finish::{Ending, Final, Held, Return};
pub use fleet::Unhandled;
pub(crate) use jobs::Ended;
pub use jobs::{JobFilter, JobPage};
pub(crate) use listen::Listener;
pub use locks::LockInfo;
pub(crate) use locks::{LockWish, Taken};
pub(crate) use maintain::SilentWorker;
pub(crate) use migrate::Migrator;
pub use notes::LogFilter;
pub use queues::QueueInfo;
pub(crate) use queues::{Chunk, Lane};
pub(crate) use schedules::Put;
pub(crate) use tally::TallyRow;
pub(crate) use workers::Registration;

use crate::error::{Error, ErrorKind, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Postgres};
use statements::Statements;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// One prepared or unnamed statement, to which parameters are bound.
type Query = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A pool of connections to one schema.
pub(crate) struct Store {
    pool: PgPool,
    server: PgConnectOptions,
    sql: Statements,
    schema: String,
    /// A pooler in transaction mode lies between.
    transaction_pooler: bool,
    deadline: Duration,
}

impl std::fmt::Debug for Store {
    /// Leaves out the server's address, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Store {
    /// The schema's name.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// A statement that awaits its parameters. Behind a transaction pooler it stays unnamed.
    fn query(&self, sql: &Arc<str>) -> Query {
        sqlx::query(AssertSqlSafe(Arc::clone(sql))).persistent(!self.transaction_pooler)
    }

    /// The same with parameters that are encoded already.
    fn query_with(&self, sql: &Arc<str>, parameters: PgArguments) -> Query {
        sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), parameters)
            .persistent(!self.transaction_pooler)
    }

    /// Runs one statement in a transaction of its own and answers its rows.
    async fn fetch_all(&self, query: Query) -> Result<Vec<PgRow>> {
        if self.transaction_pooler {
            let mut transaction = self.begin().await?;
            let rows = transaction.fetch_all(query).await?;
            return transaction.commit().await.map(|()| rows);
        }
        let mut connection = self.pool.acquire().await.map_err(translate)?;
        let answer = timeout(self.deadline, query.fetch_all(&mut *connection)).await;
        let answer = self.judge(answer);
        if answer.as_ref().is_err_and(is_broken) {
            connection.close_on_drop();
        }
        answer
    }

    /// As [`fetch_all`](Self::fetch_all), for a statement that answers exactly one row.
    async fn fetch_one(&self, query: Query) -> Result<PgRow> {
        let rows = self.fetch_all(query).await?;
        rows.into_iter().next().ok_or_else(|| translate(sqlx::Error::RowNotFound))
    }

    /// As [`fetch_all`](Self::fetch_all), for a statement that answers nothing.
    async fn execute(&self, query: Query) -> Result<()> {
        self.fetch_all(query).await.map(drop)
    }

    /// Begins a transaction of several statements.
    async fn begin(&self) -> Result<Transaction<'_>> {
        let connection = self.pool.acquire().await.map_err(translate)?;
        let mut transaction = Transaction { store: self, connection, committed: false };
        let begin = if self.transaction_pooler { connect::BEGIN_WITH_SETTINGS } else { "begin" };
        transaction.raw(begin).await?;
        Ok(transaction)
    }

    fn judge<T>(&self, answer: std::result::Result<sqlx::Result<T>, Elapsed>) -> Result<T> {
        match answer {
            Ok(answer) => answer.map_err(translate),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Error {
        let message = format!("the database did not answer within {:?}", self.deadline);
        Error::new(ErrorKind::Timeout, message).transient()
    }
}

/// Whether a connection that answered so must not be used again.
fn is_broken(error: &Error) -> bool {
    !matches!(
        std::error::Error::source(error).and_then(|source| source.downcast_ref()),
        Some(sqlx::Error::Database(_))
    )
}

/// Several statements in one transaction. One that is not committed closes its connection, which
/// rolls it back whatever state the connection is in.
#[derive(Debug)]
struct Transaction<'a> {
    store: &'a Store,
    connection: PoolConnection<Postgres>,
    committed: bool,
}

impl Transaction<'_> {
    async fn fetch_all(&mut self, query: Query) -> Result<Vec<PgRow>> {
        let answer = timeout(self.store.deadline, query.fetch_all(&mut *self.connection)).await;
        self.store.judge(answer)
    }

    async fn fetch_one(&mut self, query: Query) -> Result<PgRow> {
        let rows = self.fetch_all(query).await?;
        rows.into_iter().next().ok_or_else(|| translate(sqlx::Error::RowNotFound))
    }

    /// Runs statements without parameters.
    async fn raw(&mut self, sql: impl sqlx::SqlSafeStr) -> Result<()> {
        let work = sqlx::raw_sql(sql).execute(&mut *self.connection);
        let answer = timeout(self.store.deadline, work).await;
        self.store.judge(answer).map(drop)
    }

    async fn commit(mut self) -> Result<()> {
        self.raw("commit").await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
