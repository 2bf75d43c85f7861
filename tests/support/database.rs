//! A database for one test.

use crate::PgBouncer;
use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use lavoro_core::{ConnectOptions, JobId, JobInfo, Lavoro, Migrations};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Row as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The server that all tests of this process share. It ends with the process.
fn server() -> &'static Embedded {
    static SERVER: OnceLock<Embedded> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut options = EmbeddedOptions::memory();
        options.settings = vec![("max_connections".into(), "500".into())];
        Embedded::start(options).unwrap()
    })
}

/// The pooler that all tests of this process share, where they use one. It ends with the process.
fn shared_pooler() -> &'static PgBouncer {
    static POOLER: OnceLock<PgBouncer> = OnceLock::new();
    POOLER.get_or_init(|| PgBouncer::start(&server_url(), "transaction"))
}

/// The URL of the tests' server, with its empty database `lavoro`. `LAVORO_TEST_SERVER` names one
/// that several processes share.
#[must_use]
pub fn server_url() -> String {
    std::env::var("LAVORO_TEST_SERVER").unwrap_or_else(|_| server().url())
}

/// A database of a test's own, with Lavoro's schema.
#[derive(Debug)]
pub struct Database {
    /// How clients reach it: through a pooler in transaction mode where `LAVORO_TEST_POOLER` says
    /// so, as `make test-pooler` does.
    pub url: String,
    /// How programs reach it that need a session of their own, or other rights.
    pub direct: String,
    /// For looking at it with plain SQL.
    pub pool: PgPool,
}

impl Database {
    /// Makes a database with Lavoro's schema.
    pub async fn new() -> Self {
        Self::empty().await.migrated().await
    }

    /// As [`new`](Self::new), in the database of a server of the test's own.
    pub async fn of(server: String) -> Self {
        let pool = PgPoolOptions::new().max_connections(4).connect(&server).await.unwrap();
        Self { url: server.clone(), direct: server, pool }.migrated().await
    }

    async fn migrated(self) -> Self {
        let database = self;
        let migrations = Migrations::open(ConnectOptions::url(&database.url)).await.unwrap();
        migrations.apply().await.unwrap();
        for function in crate::sabotage::functions() {
            database.run(&function).await;
        }
        database
    }

    /// Makes a database without Lavoro's schema.
    pub async fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{count}", std::process::id());
        let base = tokio::task::spawn_blocking(server_url).await.unwrap();
        let admin = PgPoolOptions::new().max_connections(1).connect(&base).await.unwrap();
        let create = format!("create database {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&admin).await.unwrap();
        admin.close().await;
        let direct = base.strip_suffix("/lavoro").map(|server| format!("{server}/{name}")).unwrap();
        let url = match std::env::var("LAVORO_TEST_POOLER").as_deref() {
            Ok("transaction") => {
                let pooler = tokio::task::spawn_blocking(shared_pooler).await.unwrap();
                format!("{}?pooler=transaction", pooler.url(&name))
            }
            Ok("") | Err(_) => direct.clone(),
            Ok(other) => panic!("LAVORO_TEST_POOLER takes transaction, not {other:?}"),
        };
        let pool = PgPoolOptions::new().max_connections(4).connect(&direct).await.unwrap();
        Self { url, direct, pool }
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        self.direct.rsplit_once('/').unwrap().1
    }

    /// A client with default options.
    pub async fn lavoro(&self) -> Lavoro {
        Lavoro::connect(&self.url).await.unwrap()
    }

    /// One value of one row.
    pub async fn one<T>(&self, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query(sql).fetch_one(&self.pool).await.unwrap().get(0)
    }

    /// Runs statements without looking at their answers.
    pub async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// A job as it stands.
    pub async fn job(&self, lavoro: &Lavoro, id: JobId) -> JobInfo {
        lavoro.job(id).info().await.unwrap()
    }
}
