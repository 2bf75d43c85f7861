//! Claiming.

use super::{Store, rows};
use crate::error::Result;
use crate::job::{Job, JobId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::sync::Arc;
use uuid::Uuid;

/// What to claim.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The worker's number.
    pub(crate) worker: i64,
    /// The new lease. The caller chooses it, so that it can ask for what it got when a reply
    /// is lost.
    pub(crate) token: Uuid,
    /// The queue.
    pub(crate) queue: Arc<str>,
    /// How many jobs at most.
    pub(crate) slots: u32,
    /// The tasks.
    pub(crate) tasks: Arc<[String]>,
    /// How many bytes of payload about.
    pub(crate) bytes: i64,
    /// Whether one of the jobs may be a suspect.
    pub(crate) suspect: bool,
    /// How many packs of each lane to look at.
    pub(crate) depth: u32,
}

/// What a claim got.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) jobs: Vec<Job>,
    /// From how many packs they came.
    pub(crate) packs: u32,
}

impl Store {
    /// Claims jobs, best first.
    pub(crate) async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        let query = self
            .query(&self.sql.claim)
            .bind(claim.worker)
            .bind(claim.token)
            .bind(claim.queue.to_string())
            .bind(i64::from(claim.slots))
            .bind(claim.tasks.to_vec())
            .bind(claim.bytes)
            .bind(claim.suspect)
            .bind(i64::from(claim.depth));
        let rows = self.fetch_all(query).await?;
        let packs = rows.first().map_or(0, |row| row.get::<i32, _>("packs"));
        let jobs = rows.iter().map(|row| rows::job(row, claim.token, &claim.queue)).collect();
        Ok(Claimed { jobs, packs: packs.unsigned_abs() })
    }

    /// What a claim whose reply was lost has got. It cannot get anything later.
    pub(crate) async fn resolve(&self, claim: &Claim) -> Result<Claimed> {
        let void = self.query(&self.sql.claim_void).bind(claim.token).bind(claim.worker);
        self.execute(void).await?;
        let query = self.query(&self.sql.claimed).bind(claim.token);
        let rows = self.fetch_all(query).await?;
        let jobs = rows.iter().map(|row| rows::job(row, claim.token, &claim.queue)).collect();
        Ok(Claimed { jobs, packs: 1 })
    }

    /// The queues with jobs in them whose names begin with one of these prefixes.
    pub(crate) async fn discover(&self, prefixes: Vec<String>) -> Result<Vec<String>> {
        let query = self.query(&self.sql.discover).bind(prefixes);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("queue")).collect())
    }

    /// Takes one job, wherever it waits, into a new lease. Empty: it does not wait.
    pub(crate) async fn take(&self, id: JobId, token: Uuid, worker: i64) -> Result<Vec<Job>> {
        let query = self.query(&self.sql.job_take).bind(id).bind(token).bind(worker);
        let rows = self.fetch_all(query).await?;
        let queue = |row: &PgRow| Arc::from(row.get::<&str, _>("queue"));
        Ok(rows.iter().map(|row| rows::job(row, token, &queue(row))).collect())
    }

    /// Which of the queues have jobs for these tasks now.
    pub(crate) async fn peek(
        &self,
        queues: Vec<String>,
        tasks: &Arc<[String]>,
        suspect: bool,
    ) -> Result<Vec<String>> {
        let query = self.query(&self.sql.peek).bind(queues).bind(tasks.to_vec()).bind(suspect);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("queue")).collect())
    }
}
