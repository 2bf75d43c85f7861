//! Gathering the facts that the doctor judges. Every statement only reads, and stands in a
//! transaction of its own, so that it works through any pooler.

mod facts;
mod line;

use super::connect::OLDEST_SERVER;
use super::{Query, Store};
use crate::doctor::{Facts, Look, Server};
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use lavoro_migrations::LATEST;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::sync::Arc;

impl Store {
    /// Gathers what the doctor judges. What cannot be looked at is part of the answer.
    ///
    /// # Errors
    /// If the server cannot be reached at all.
    pub(crate) async fn examine(&self) -> Result<Facts> {
        let store = self.careful();
        let facts = Box::pin(store.facts(self)).await; // large, from its many statements
        store.close().await;
        facts
    }

    async fn facts(&self, line: &Self) -> Result<Facts> {
        let server = self.server_facts().await?;
        // What lies in the schema is asked for only where there is something to ask.
        let version = if server.migrated && server.usable == Some(true) {
            self.version().await.map_err(|error| said(&error))
        } else {
            Ok(0)
        };
        Ok(Facts {
            server,
            schema: self.schema.clone(),
            version,
            latest: LATEST,
            collation: self.collation_facts().await,
            settings: self.settings_facts().await,
            relaxed: self.relaxed_facts().await,
            standbys: self.standby_facts().await,
            line: line.line_facts(self).await,
            tables: self.table_facts().await,
            snapshots: self.snapshot_facts().await,
            idle: self.idle_facts().await,
            ages: self.age_facts().await,
            objects: self.object_facts().await,
            lacks: self.privilege_facts().await,
            unserved: self.unserved_facts().await,
            workers: self.worker_facts().await,
            leftovers: self.leftover_facts().await,
            schedules: self.schedule_facts().await,
        })
    }

    async fn server_facts(&self) -> Result<Server> {
        // The first call also connects, which would be taken for a slow clock.
        self.fetch_all(self.of_schema(&self.sql.doctor_server)).await?;
        let before = Utc::now();
        let row = self.fetch_one(self.of_schema(&self.sql.doctor_server)).await?;
        let round_trip = Utc::now() - before;
        let now: DateTime<Utc> = row.get("now");
        Ok(Server {
            version: row.get("version"),
            oldest: OLDEST_SERVER,
            version_text: row.get("version_text"),
            encoding: row.get("encoding"),
            read_only: row.get("read_only"),
            standby: row.get("standby"),
            role: row.get("role"),
            database: row.get("database"),
            sees_all: row.get("sees_all"),
            usable: row.get("usable"),
            migrated: row.get("migrated"),
            ahead_ms: (before + round_trip / 2 - now).num_milliseconds(),
            error_ms: round_trip.num_milliseconds() / 2,
        })
    }

    /// A statement that asks for a schema by name.
    fn of_schema(&self, sql: &Arc<str>) -> Query {
        self.query(sql).bind(self.schema.clone())
    }

    /// The rows of a statement, each made into a fact.
    async fn look<T>(&self, query: Query, read: impl Fn(&PgRow) -> T) -> Look<Vec<T>> {
        let rows = self.fetch_all(query).await.map_err(|error| said(&error))?;
        Ok(rows.iter().map(read).collect())
    }

    /// As [`look`](Self::look), for a statement that answers one row.
    async fn look_once<T>(&self, query: Query, read: impl Fn(&PgRow) -> T) -> Look<T> {
        let row = self.fetch_one(query).await.map_err(|error| said(&error))?;
        Ok(read(&row))
    }
}

/// What an error said, for a finding.
fn said(error: &Error) -> String {
    error.message().to_owned()
}
