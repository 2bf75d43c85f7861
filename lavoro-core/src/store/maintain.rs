//! Promoting, finding the silent, sweeping.

use super::Store;
use crate::error::Result;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use std::time::Duration;

/// What a promotion did.
#[derive(Debug)]
pub(crate) struct Promoted {
    /// The queues whose jobs are available now.
    pub(crate) queues: Vec<String>,
    pub(crate) packs: i64,
    /// When the next is due, if one is scheduled.
    pub(crate) next: Option<Duration>,
    /// Whether a worker somewhere waits for a wake-up.
    pub(crate) idle: bool,
}

/// A worker that counts as living or holds leases.
#[derive(Clone, Debug)]
pub(crate) struct SilentWorker {
    pub(crate) id: i64,
    /// Its last heartbeat, by the server's clock.
    pub(crate) beat_at: DateTime<Utc>,
    pub(crate) lease: Duration,
    /// Whether that is longer ago than its lease, by the server's clock.
    pub(crate) silent: bool,
}

impl Store {
    /// Moves up to `limit` due packs to ready. `now` stands in for the server's clock in tests.
    pub(crate) async fn promote(&self, limit: i64, now: Option<DateTime<Utc>>) -> Result<Promoted> {
        let query = self.query(&self.sql.promote).bind(limit).bind(now);
        let row = self.fetch_one(query).await?;
        Ok(Promoted {
            queues: row.get("queues"),
            packs: row.get("packs"),
            next: row.get::<Option<i64>, _>("next_ms").map(millis),
            idle: row.get("idle"),
        })
    }

    /// Ends up to `limit` waiting jobs that have expired. Answers how many were looked at and how
    /// many ended. `now` stands in for the server's clock in tests.
    pub(crate) async fn expire(
        &self,
        limit: i64,
        now: Option<DateTime<Utc>>,
    ) -> Result<(i64, i64)> {
        let query = self.query(&self.sql.expire).bind(limit).bind(now);
        let row = self.fetch_one(query).await?;
        Ok((row.get("looked"), row.get("expired")))
    }

    /// When the next pack is due.
    pub(crate) async fn next_due(&self) -> Result<Option<Duration>> {
        let query = self.query(&self.sql.next_due);
        let row = self.fetch_one(query).await?;
        Ok(row.get::<Option<i64>, _>("next_ms").map(millis))
    }

    /// Every worker that counts as living or holds leases.
    pub(crate) async fn workers_to_watch(&self) -> Result<Vec<SilentWorker>> {
        let query = self.query(&self.sql.silent_workers);
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| SilentWorker {
                id: row.get("id"),
                beat_at: row.get("beat_at"),
                lease: Duration::from_millis(row.get::<i32, _>("lease_ms").unsigned_abs().into()),
                silent: row.get("silent"),
            })
            .collect())
    }

    /// Ends a silent worker that holds nothing any more.
    pub(crate) async fn end_silent(&self, worker: &SilentWorker) -> Result<()> {
        let query = self.query(&self.sql.worker_lost).bind(worker.id).bind(worker.beat_at);
        self.execute(query).await
    }

    /// Deletes rows that only served their time. `kept`: how long jobs are kept if no rule keeps
    /// them longer.
    pub(crate) async fn sweep(&self, kept: Duration) -> Result<()> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let query = self.query(&self.sql.sweep).bind(kept);
        self.execute(query).await?;
        self.execute(self.query(&self.sql.lock_sweep)).await
    }
}

/// What is overdue is due now.
fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}
