//! Looking at jobs and queues, and the little that is changed from there.

use super::{Store, rows};
use crate::error::Result;
use crate::job::{JobId, JobInfo, JobState};
use chrono::{DateTime, Utc};
use serde::Serialize;
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

/// A queue and how many jobs it holds.
#[derive(Clone, Debug, Serialize)]
pub struct QueueInfo {
    /// The queue.
    pub name: String,
    /// Jobs that may run now.
    pub available: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that wait after a failed attempt.
    pub retrying: i64,
    /// Jobs that workers hold.
    pub running: i64,
    /// Since when the queue is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// When its oldest available job was enqueued.
    pub oldest: Option<DateTime<Utc>>,
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

    /// The newest discarded jobs.
    pub(crate) async fn recent_failures(&self, limit: u32) -> Result<Vec<JobInfo>> {
        let query = self.query(&self.sql.job_failed).bind(i64::from(limit));
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

    /// Every queue that holds jobs or settings, by name.
    pub(crate) async fn queues(&self) -> Result<Vec<QueueInfo>> {
        let query = self.query(&self.sql.queue_list);
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| QueueInfo {
                name: row.get("queue"),
                available: row.get("available"),
                scheduled: row.get("scheduled"),
                retrying: row.get("retrying"),
                running: row.get("running"),
                paused_at: row.get("paused_at"),
                oldest: row.get("oldest"),
            })
            .collect())
    }

    /// How many bytes of write-ahead log the server has written so far.
    pub(crate) async fn wal_position(&self) -> Result<i64> {
        let row = self.fetch_one(self.query(&self.sql.wal_position)).await?;
        Ok(row.get("bytes"))
    }

    /// Pauses a queue, or resumes it.
    pub(crate) async fn pause_queue(&self, queue: &str, paused: bool) -> Result<()> {
        let query = self.query(&self.sql.queue_pause).bind(queue.to_owned()).bind(paused);
        self.execute(query).await
    }

    /// Wakes idle workers of these queues.
    pub(crate) async fn hint(&self, queues: Vec<String>) -> Result<()> {
        let query = self.query(&self.sql.hint).bind(self.channel()).bind(queues);
        self.execute(query).await
    }

    /// The channel of this schema's wake-ups.
    pub(super) fn channel(&self) -> String {
        self.schema.clone()
    }
}
