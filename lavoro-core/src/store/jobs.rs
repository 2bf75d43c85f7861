//! Looking at jobs, and changing one.

use super::{Store, rows};
use crate::error::Result;
use crate::job::{JobId, JobInfo, JobState};
use crate::job_edit::CheckedEdit;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;

/// Which jobs: those to which every field that is given applies. The default is all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs of this task.
    pub task: Option<String>,
    /// Only jobs of this queue.
    pub queue: Option<String>,
    /// Only jobs with this tag.
    pub tag: Option<String>,
    /// Only jobs that were enqueued at this instant or later, by the server's clock.
    pub created_after: Option<DateTime<Utc>>,
    /// Only jobs that were enqueued before this instant, by the server's clock.
    pub created_before: Option<DateTime<Utc>>,
    /// Only jobs with this text in the message of an error in their history. Upper and lower case
    /// are alike; no character has a special meaning. 1 to 16384 bytes.
    pub error_contains: Option<String>,
    /// Only jobs below this number: [`JobPage::next`] of the page before.
    pub before: Option<JobId>,
    /// How many jobs a page holds at most, from 1 to 10000. Default: 50. Counting and changing
    /// jobs does not look at it.
    pub limit: u32,
}

impl Default for JobFilter {
    fn default() -> Self {
        Self {
            state: None,
            task: None,
            queue: None,
            tag: None,
            created_after: None,
            created_before: None,
            error_contains: None,
            before: None,
            limit: 50,
        }
    }
}

/// A page of jobs.
#[derive(Clone, Debug, Serialize)]
pub struct JobPage {
    /// The jobs, newest first. May be fewer than asked for, or none, although more follow: a page
    /// looks at a bounded number of jobs.
    pub jobs: Vec<JobInfo>,
    /// What to pass as [`JobFilter::before`] for the next page; `None`: this was the last one.
    pub next: Option<JobId>,
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

    /// A page of jobs, newest first.
    pub(crate) async fn page(&self, filter: &JobFilter) -> Result<JobPage> {
        let states: Vec<JobState> = filter.state.into_iter().collect();
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let found = self.search(filter, &states, filter.before, limit).await?;
        if found.ids.is_empty() {
            return Ok(JobPage { jobs: Vec::new(), next: found.next });
        }
        let query = self.query(&self.sql.job_page).bind(found.ids);
        let rows = self.fetch_all(query).await?;
        let mut jobs = rows.iter().map(rows::job_info).collect::<Result<Vec<_>>>()?;
        // A job may have gone on since it was found.
        jobs.retain(|job| filter.state.is_none_or(|state| job.state == state));
        Ok(JobPage { jobs, next: found.next })
    }

    /// The number above the newest job's.
    pub(crate) async fn top(&self) -> Result<JobId> {
        let row = self.fetch_one(self.query(&self.sql.job_top)).await?;
        Ok(row.get("top"))
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

    /// Deletes a job that does not run.
    pub(crate) async fn delete_job(&self, id: JobId) -> Result<()> {
        let query = self.query(&self.sql.job_delete).bind(id);
        self.execute(query).await
    }

    /// Changes a job that waits.
    pub(crate) async fn edit_job(&self, id: JobId, edit: &CheckedEdit) -> Result<()> {
        let query = bind_edit(self.query(&self.sql.job_edit).bind(id), edit);
        self.execute(query).await
    }
}

/// Binds payload, priority, `run_at`, queue and delay.
pub(super) fn bind_edit(query: super::Query, edit: &CheckedEdit) -> super::Query {
    query
        .bind(edit.payload.as_ref().map(|json| json.as_str().to_owned()))
        .bind(edit.priority)
        .bind(edit.run_at)
        .bind(edit.queue.clone())
        .bind(edit.delay_ms)
}
