//! The facts about one job that say why it does not run.

use super::{Store, fleet, rows};
use crate::error::Result;
use crate::job::JobId;
use crate::why::{Facts, Holder, Load};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::time::Duration;

/// How many packs before a job are counted.
const PACKS: i64 = 10_000;
/// The lease of a worker that is not in the books any more.
const LEASE_MS: i32 = 15_000;

impl Store {
    /// All that stands in a job's way, seen at one moment. `None`: there is no such job.
    pub(crate) async fn why(&self, id: JobId) -> Result<Option<Facts>> {
        let mut transaction = self.begin().await?;
        transaction.raw("set transaction isolation level repeatable read, read only").await?;
        let job = transaction.fetch_all(self.query(&self.sql.job_get).bind(id)).await?;
        let Some(job) = job.first().map(rows::job_info).transpose()? else {
            transaction.commit().await?;
            return Ok(None);
        };
        let query = self.query(&self.sql.why).bind(id).bind(PACKS);
        let own = transaction.fetch_one(query).await?;
        let workers = self.query(&self.sql.worker_list).bind(false);
        let workers = transaction.fetch_all(workers).await?;
        let loads = transaction.fetch_all(self.query(&self.sql.worker_load)).await?;
        transaction.commit().await?;
        let ready: bool = own.get("ready");
        let packs_ahead: i64 = own.get("packs_ahead");
        Ok(Some(Facts {
            now: own.get("now"),
            paused_at: own.get("paused_at"),
            cancel_at: own.get("cancel_at"),
            key_holder: own.get("key_holder"),
            suspect: own.get("suspect"),
            due_at: own.get("due_at"),
            ahead: if ready { own.get::<i64, _>("ahead").max(0).unsigned_abs() } else { 0 },
            ahead_at_least: packs_ahead >= PACKS,
            holder: own.get::<Option<i64>, _>("worker_id").map(|_| holder(&own)),
            job,
            workers: workers.iter().map(fleet::worker).collect(),
            loads: loads.iter().map(load).collect(),
        }))
    }
}

fn holder(row: &PgRow) -> Holder {
    let lease_ms = row.get::<Option<i32>, _>("lease_ms").unwrap_or(LEASE_MS);
    Holder {
        beat_at: row.get("beat_at"),
        lease: Duration::from_millis(lease_ms.unsigned_abs().into()),
        ended: row.get("worker_ended"),
    }
}

fn load(row: &PgRow) -> Load {
    Load {
        worker: row.get("worker_id"),
        queue: row.get("queue"),
        running: u32::try_from(row.get::<i64, _>("running")).unwrap_or(u32::MAX),
    }
}
