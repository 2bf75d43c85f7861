//! Workers as the database knows them.

use super::Store;
use crate::error::Result;
use crate::job::JobId;
use sqlx::Row as _;
use uuid::Uuid;

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) language: String,
    pub(crate) lease_ms: i32,
    /// `{"queue": concurrency}`
    pub(crate) queues: String,
    pub(crate) tasks: Vec<String>,
}

/// What a heartbeat brings back.
#[derive(Debug)]
pub(crate) struct Beat {
    /// Whether the worker is still registered.
    pub(crate) alive: bool,
    /// The leases that stand.
    pub(crate) tokens: Vec<Uuid>,
}

impl Store {
    /// Registers a worker and answers its number.
    pub(crate) async fn start_worker(&self, worker: &Registration) -> Result<i64> {
        let query = self
            .query(&self.sql.worker_start)
            .bind(worker.lease_ms)
            .bind(i32::try_from(worker.pid).unwrap_or(i32::MAX))
            .bind(worker.name.clone())
            .bind(worker.host.clone())
            .bind(worker.language.clone())
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(worker.queues.clone())
            .bind(worker.tasks.clone());
        let row = self.fetch_one(query).await?;
        Ok(row.get("id"))
    }

    /// Shows that a worker lives.
    pub(crate) async fn beat(&self, worker: i64) -> Result<Beat> {
        let query = self.query(&self.sql.worker_beat).bind(worker);
        let row = self.fetch_one(query).await?;
        Ok(Beat { alive: row.get("alive"), tokens: row.get("tokens") })
    }

    /// Which of the jobs that a worker holds someone wants cancelled.
    pub(crate) async fn cancels_wanted(&self, worker: i64) -> Result<Vec<JobId>> {
        let query = self.query(&self.sql.cancel_wanted).bind(worker);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("job_id")).collect())
    }

    /// Says whether a worker waits for a wake-up.
    pub(crate) async fn set_idle(&self, worker: i64, idle: bool) -> Result<()> {
        let query = self.query(&self.sql.worker_idle).bind(worker).bind(idle);
        self.execute(query).await
    }

    /// Ends a worker that holds nothing any more.
    pub(crate) async fn end_worker(&self, worker: i64) -> Result<()> {
        let query = self.query(&self.sql.worker_end).bind(worker);
        self.execute(query).await
    }
}
