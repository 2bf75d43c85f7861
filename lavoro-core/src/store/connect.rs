//! Opening a [`Store`].

use super::statements::Statements;
use super::{Store, translate};
use crate::error::{Error, ErrorKind, Result};
use crate::sabotage::{self, Mutant};
use lavoro_migrations::{LATEST, quote};
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr as _;
use std::time::Duration;

/// The oldest PostgreSQL that Lavoro runs on, as `server_version_num`.
pub(super) const OLDEST_SERVER: i32 = 140_000;

/// Settings of every session. Scans of whole tables are never right for our statements, and a
/// plan made while a table was small must not become one; JIT costs more than they run. Sent
/// after connecting: PgBouncer refuses them as startup parameters.
const SESSION: &str = "set enable_seqscan = off; set jit = off; \
     set plan_cache_mode = force_generic_plan; set lock_timeout = '5s'; \
     set idle_in_transaction_session_timeout = '60s'";

/// What a mutant does: commits are answered before they are on the disk.
const SESSION_IN_HASTE: &str = "set enable_seqscan = off; set jit = off; \
     set plan_cache_mode = force_generic_plan; set lock_timeout = '5s'; \
     set idle_in_transaction_session_timeout = '60s'; set synchronous_commit = off";

/// The same behind a transaction pooler, where nothing outlives a transaction. There even a single
/// statement has a transaction around it: a process that freezes inside must give its locks and its
/// session, of which there are few, back before its lease is over.
pub(super) const BEGIN_WITH_SETTINGS: &str = "begin; set local enable_seqscan = off; \
     set local jit = off; set local lock_timeout = '5s'; \
     set local idle_in_transaction_session_timeout = '10s'";

/// What a [`Store`] is opened with.
#[derive(Debug)]
pub(crate) struct StoreOptions {
    pub(crate) url: String,
    pub(crate) schema: String,
    pub(crate) pool_size: u32,
    pub(crate) transaction_pooler: bool,
    pub(crate) deadline: Duration,
}

/// A pool whose connections have our settings.
fn pool(size: u32, patience: Duration, transaction_pooler: bool) -> PgPoolOptions {
    let options = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience)
        .max_lifetime(Duration::from_mins(30))
        .test_before_acquire(false); // costs a round trip; a stale connection is tried again
    if transaction_pooler {
        return options;
    }
    let settings = if sabotage::is(Mutant::AckBeforeCommit) { SESSION_IN_HASTE } else { SESSION };
    options.after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
    })
}

impl Store {
    /// Opens a pool without connecting yet. Must run inside a tokio runtime.
    pub(crate) fn open(options: &StoreOptions) -> Result<Self> {
        let mut server = PgConnectOptions::from_str(&options.url)
            .map_err(translate)?
            .application_name("lavoro")
            .extra_float_digits(None); // PgBouncer refuses it, and we read no floats
        if options.transaction_pooler {
            server = server.statement_cache_capacity(0);
        }
        let patience = options.deadline.min(Duration::from_secs(10));
        let pool = pool(options.pool_size, patience, options.transaction_pooler)
            .connect_lazy_with(server.clone());
        Ok(Self {
            pool,
            server,
            sql: Statements::new(&options.schema),
            schema: options.schema.clone(),
            transaction_pooler: options.transaction_pooler,
            deadline: options.deadline,
        })
    }

    /// As this store, with one connection of its own: for a thread that must not wait for others.
    pub(crate) fn apart(&self) -> Self {
        let pool = pool(1, Duration::from_secs(3), self.transaction_pooler)
            .connect_lazy_with(self.server.clone());
        Self {
            pool,
            server: self.server.clone(),
            sql: Statements::new(&self.schema),
            schema: self.schema.clone(),
            transaction_pooler: self.transaction_pooler,
            deadline: self.deadline,
        }
    }

    /// As [`apart`](Self::apart), with another deadline for each statement.
    pub(crate) fn apart_within(&self, deadline: Duration) -> Self {
        Self { deadline: deadline.min(self.deadline), ..self.apart() }
    }

    /// As this store, with two connections of its own, and statements that pass through any
    /// pooler.
    pub(super) fn careful(&self) -> Self {
        let server = self.server.clone().statement_cache_capacity(0);
        Self {
            pool: pool(2, self.deadline.min(Duration::from_secs(10)), true)
                .connect_lazy_with(server.clone()),
            server,
            sql: Statements::new(&self.schema),
            schema: self.schema.clone(),
            transaction_pooler: true,
            deadline: self.deadline,
        }
    }

    /// Checks that the server can be written to, is new enough, and has exactly our schema.
    ///
    /// # Errors
    /// Each says what to run.
    pub(crate) async fn check(&self) -> Result<()> {
        if !self.check_server().await? {
            return Err(Error::new(
                ErrorKind::SchemaMissing,
                format!(
                    "there is no schema {} of Lavoro in this database: run `lavoro migrate`{}",
                    quote(&self.schema),
                    self.schema_flag()
                ),
            ));
        }
        let version = self.version().await?;
        match version.cmp(&LATEST) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Error::new(
                ErrorKind::SchemaOutdated,
                format!(
                    "the schema {} has version {version}, and this program needs {LATEST}: run \
                     `lavoro migrate`{}",
                    quote(&self.schema),
                    self.schema_flag()
                ),
            )),
            std::cmp::Ordering::Greater => Err(Error::new(
                ErrorKind::SchemaNewer,
                format!(
                    "the schema {} has version {version}, and this program knows {LATEST}: \
                     upgrade this program to the release of Lavoro that made it",
                    quote(&self.schema)
                ),
            )),
        }
    }

    /// Checks the server itself. Answers whether the schema has a record of migrations.
    pub(super) async fn check_server(&self) -> Result<bool> {
        let query = self.query(&self.sql.server);
        let record = format!("{}.migration", quote(&self.schema));
        let row = self.fetch_one(query.bind(record)).await?;
        let (version, read_only, migrated): (i32, bool, bool) =
            (row.get("version"), row.get("read_only"), row.get("migrated"));
        if version < OLDEST_SERVER {
            let shown = f64::from(version / 100) / 100.0;
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                format!("the server is PostgreSQL {shown}: Lavoro needs 14 or newer"),
            ));
        }
        let encoding: String = row.get("encoding");
        if encoding != "UTF8" {
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                format!("the database's encoding is {encoding}: Lavoro needs UTF8"),
            ));
        }
        if read_only {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "the server is read-only (a standby, or default_transaction_read_only is on): \
                 connect to the primary",
            )
            .transient());
        }
        Ok(migrated)
    }

    /// The version of the schema.
    pub(super) async fn version(&self) -> Result<i32> {
        let query = self.query(&self.sql.schema_version);
        let row = self.fetch_one(query).await?;
        Ok(row.get("version"))
    }

    fn schema_flag(&self) -> String {
        if self.schema == lavoro_migrations::DEFAULT_SCHEMA {
            String::new()
        } else {
            format!(" with `--schema {}`", self.schema)
        }
    }
}
