//! A database for one test.

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

/// The URL of the tests' server, with its empty database `lavoro`. `LAVORO_TEST_SERVER` names one
/// that several processes share.
#[must_use]
pub fn server_url() -> String {
    std::env::var("LAVORO_TEST_SERVER").unwrap_or_else(|_| server().url())
}

/// A database of a test's own, with Lavoro's schema.
#[derive(Debug)]
pub struct Database {
    /// How other programs reach it.
    pub url: String,
    /// For looking at it with plain SQL.
    pub pool: PgPool,
}

impl Database {
    /// Makes a database with Lavoro's schema.
    pub async fn new() -> Self {
        let database = Self::empty().await;
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
        let url = base.strip_suffix("/lavoro").map(|server| format!("{server}/{name}")).unwrap();
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        Self { url, pool }
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
