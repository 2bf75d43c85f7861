//! Looking at jobs, and the little that is changed from there.

use super::{Store, rows};
use crate::error::Result;
use crate::job::{JobId, JobInfo, JobState};
use sqlx::Row as _;

/// Which jobs to list. The default is the newest 50.
#[derive(Clone, Debug)]
pub struct JobFilter {
    /// Only jobs below this number: the last one of the page before.
    pub before: Option<JobId>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs of this task.
    pub task: Option<String>,
    /// Only jobs of this queue.
    pub queue: Option<String>,
    /// How many at most. Default: 50.
    pub limit: u32,
}

impl Default for JobFilter {
    fn default() -> Self {
        Self { before: None, state: None, task: None, queue: None, limit: 50 }
    }
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) job: JobId,
    pub(crate) state: JobState,
    pub(crate) result: Option<String>,
    pub(crate) error: Option<String>,
}

impl Store {
    /// One job, if there is one with this number.
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<JobInfo>> {
        let query = self.query(&self.sql.job_get).bind(id);
        let rows = self.fetch_all(query).await?;
        rows.first().map(rows::job_info).transpose()
    }

    /// Jobs, newest first.
    pub(crate) async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobInfo>> {
        let query = self
            .query(&self.sql.job_list)
            .bind(filter.before)
            .bind(filter.state.map(JobState::as_str))
            .bind(filter.task.clone())
            .bind(filter.queue.clone())
            .bind(i64::from(filter.limit));
        let rows = self.fetch_all(query).await?;
        rows.iter().map(rows::job_info).collect()
    }

    /// Those of the jobs that have ended.
    pub(crate) async fn ended(&self, jobs: Vec<JobId>) -> Result<Vec<Ended>> {
        let query = self.query(&self.sql.job_ended).bind(jobs);
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| Ended {
                job: row.get("job_id"),
                state: match row.get::<i16, _>("state") {
                    1 => JobState::Completed,
                    2 => JobState::Cancelled,
                    _ => JobState::Discarded,
                },
                result: row.get("result"),
                error: row.get("error"),
            })
            .collect())
    }

    /// Whether there is a job with this number.
    pub(crate) async fn job_exists(&self, id: JobId) -> Result<bool> {
        let query = self.query(&self.sql.job_exists).bind(id);
        let row = self.fetch_one(query).await?;
        Ok(row.get("found"))
    }

    /// Cancels a job. Answers `cancelled`, `requested`, or the state of one that has ended.
    pub(crate) async fn cancel_job(&self, id: JobId) -> Result<String> {
        let query = self.query(&self.sql.job_cancel).bind(id);
        let row = self.fetch_one(query).await?;
        Ok(row.get("state"))
    }

    /// Makes a job available now.
    pub(crate) async fn retry_job(&self, id: JobId) -> Result<()> {
        let query = self.query(&self.sql.job_retry).bind(id);
        self.execute(query).await
    }

    /// How many bytes of write-ahead log the server has written so far.
    pub(crate) async fn wal_position(&self) -> Result<i64> {
        let row = self.fetch_one(self.query(&self.sql.wal_position)).await?;
        Ok(row.get("bytes"))
    }
}
