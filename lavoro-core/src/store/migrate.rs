//! Bringing the schema up to date.

use super::Store;
use super::connect::StoreOptions;
use crate::error::{Error, ErrorKind, Result};
use lavoro_migrations::{LATEST, MIGRATIONS, Migration, RECORD, UNINSTALL, quote, render};
use sqlx::{AssertSqlSafe, Row as _};
use std::time::Duration;

/// The advisory lock that migrators of one database take in turn: "lavoro" in ASCII. It ends
/// with the transaction, so it is safe through a transaction pooler.
const LOCK: &str = "select pg_advisory_xact_lock(118964979201647)";

const FIND_SCHEMA: &str = "select nspname::text from pg_catalog.pg_namespace where nspname = $1";

/// Creates, upgrades and removes the schema.
#[derive(Debug)]
pub(crate) struct Migrator {
    store: Store,
}

impl Migrator {
    pub(crate) fn new(mut options: StoreOptions) -> Result<Self> {
        options.pool_size = 1;
        // Others may migrate first, one after the other.
        options.deadline = options.deadline.max(Duration::from_mins(5));
        Ok(Self { store: Store::open(&options)? })
    }

    /// Applies what is missing, in one transaction. Answers the versions that were applied.
    /// Safe when any number of processes do it at once.
    pub(crate) async fn migrate(&self) -> Result<Vec<i32>> {
        self.store.check_server().await?;
        let schema = &self.store.schema;
        let mut transaction = self.store.begin().await?;
        transaction.raw("set local lock_timeout = 0").await?;
        transaction.raw(LOCK).await?;
        // A role that merely owns the schema may not create schemas, and `if not exists` would
        // ask for that right all the same.
        let found = sqlx::query(FIND_SCHEMA).persistent(false).bind(schema.clone());
        if transaction.fetch_all(found).await?.is_empty() {
            let create = format!("create schema {}", quote(schema));
            transaction.raw(AssertSqlSafe(create)).await?;
        }
        transaction.raw(AssertSqlSafe(render(RECORD, schema))).await?;
        let version =
            transaction.fetch_one(self.store.query(&self.store.sql.schema_version)).await?;
        let version: i32 = version.get("version");
        if version > LATEST {
            return Err(newer(version));
        }
        let mut applied = Vec::new();
        for migration in pending(version) {
            transaction.raw(AssertSqlSafe(script(migration, schema))).await?;
            applied.push(migration.version);
        }
        transaction.commit().await?;
        Ok(applied)
    }

    /// The SQL that [`migrate`](Self::migrate) would run now.
    pub(crate) async fn dry_run(&self) -> Result<String> {
        let version =
            if self.store.check_server().await? { self.store.version().await? } else { 0 };
        let mut sql = String::new();
        if version == 0 {
            sql += "create schema if not exists ";
            sql += &quote(&self.store.schema);
            sql += ";\n";
            sql += &render(RECORD, &self.store.schema);
        }
        for migration in pending(version) {
            sql += &script(migration, &self.store.schema);
        }
        Ok(sql)
    }

    /// Removes everything that the migrations made. Every job is lost.
    pub(crate) async fn uninstall(&self) -> Result<()> {
        if !self.store.check_server().await? {
            return Ok(());
        }
        let mut transaction = self.store.begin().await?;
        transaction.raw(LOCK).await?;
        transaction.raw(AssertSqlSafe(render(UNINSTALL, &self.store.schema))).await?;
        transaction.commit().await
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }
}

fn pending(version: i32) -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(move |migration| migration.version > version)
}

fn script(migration: &Migration, schema: &str) -> String {
    let record = format!(
        "insert into lavoro.migration (version, name) values ({}, '{}');\n",
        migration.version, migration.name
    );
    render(&format!("{}\n{record}\n", migration.sql), schema)
}

fn newer(version: i32) -> Error {
    Error::new(
        ErrorKind::SchemaNewer,
        format!(
            "the schema has version {version}, and this program knows {LATEST}: upgrade this program"
        ),
    )
}
