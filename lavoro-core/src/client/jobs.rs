//! Looking for jobs, and changing all that are found.

use super::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobInfo, JobState};
use crate::job_edit::JobEdit;
use crate::limits;
use crate::store::{BulkAction, BulkOutcome, JobFilter, JobPage};
use chrono::Datelike as _;
use std::sync::Arc;

impl Lavoro {
    /// A page of jobs, newest first. It looks at a bounded number of jobs, so it may hold fewer
    /// than asked for although [`JobPage::next`] says that more follow.
    ///
    /// # Errors
    /// `invalid_option`, `invalid_task`, `invalid_queue` or `invalid_time` if the filter is out
    /// of its limits, or what is wrong with the database.
    pub async fn jobs(&self, filter: JobFilter) -> Result<JobPage> {
        check(&filter)?;
        limits::check_range("limit", &filter.limit, &limits::PAGE)?;
        let store = Arc::clone(self.store());
        self.run(async move { store.page(&filter).await }).await
    }

    /// The newest jobs that match, at most `limit`, from as many pages as that takes: where few
    /// match, it looks at all.
    ///
    /// # Errors
    /// As [`jobs`](Self::jobs).
    pub async fn list_jobs(&self, mut filter: JobFilter) -> Result<Vec<JobInfo>> {
        let mut jobs = Vec::new();
        loop {
            let page = self.jobs(filter.clone()).await?;
            let found = u32::try_from(page.jobs.len()).unwrap_or(u32::MAX);
            filter.limit = filter.limit.saturating_sub(found);
            jobs.extend(page.jobs);
            filter.before = page.next;
            if filter.limit == 0 || page.next.is_none() {
                return Ok(jobs);
            }
        }
    }

    /// How many jobs match. Looks at every candidate, so it takes a moment where there are
    /// millions; `limit` does not matter.
    ///
    /// # Errors
    /// As [`jobs`](Self::jobs).
    pub async fn count_jobs(&self, filter: JobFilter) -> Result<u64> {
        check(&filter)?;
        let store = Arc::clone(self.store());
        self.run(async move { store.count(&filter).await }).await
    }

    /// Cancels all jobs that match and have not ended; those that run are asked to stop.
    ///
    /// As every change of many jobs, it takes those that exist when it begins, newest first, a
    /// few hundred in a transaction. A job that has gone on meanwhile, or that another
    /// transaction is changing or completing, is skipped. `limit` does not matter. If it fails
    /// half-way, the error says how many jobs were changed; calling again does the rest.
    ///
    /// # Errors
    /// As [`jobs`](Self::jobs); `invalid_option` if the filter's state is one in which jobs
    /// cannot be cancelled.
    pub async fn cancel_jobs(&self, filter: JobFilter) -> Result<BulkOutcome> {
        self.change(filter, &JobState::CANCELLABLE, BulkAction::Cancel).await
    }

    /// Makes all jobs that match available now. The filter must name a state: `Discarded`,
    /// `Cancelled` or `Completed` for those that have ended, which get one more attempt;
    /// `Retrying` or `Scheduled` for those that wait for their time. Otherwise as
    /// [`cancel_jobs`](Self::cancel_jobs); a job whose unique key another holds is skipped.
    ///
    /// # Errors
    /// As [`cancel_jobs`](Self::cancel_jobs); `invalid_option` if the filter names no state.
    pub async fn retry_jobs(&self, filter: JobFilter) -> Result<BulkOutcome> {
        if filter.state.is_none() {
            let names = names(&JobState::RETRYABLE);
            let complaint = format!("state is missing: say which jobs to retry, one of {names}");
            return Err(Error::new(ErrorKind::InvalidOption, complaint));
        }
        self.change(filter, &JobState::RETRYABLE, BulkAction::Retry).await
    }

    /// Deletes all jobs that match and do not run, with their history. Otherwise as
    /// [`cancel_jobs`](Self::cancel_jobs).
    ///
    /// # Errors
    /// As [`cancel_jobs`](Self::cancel_jobs).
    pub async fn delete_jobs(&self, filter: JobFilter) -> Result<BulkOutcome> {
        self.change(filter, &JobState::DELETABLE, BulkAction::Delete).await
    }

    /// Changes all jobs that match and wait. Otherwise as [`cancel_jobs`](Self::cancel_jobs); a
    /// job whose unique key another holds in the new queue is skipped.
    ///
    /// # Errors
    /// As [`cancel_jobs`](Self::cancel_jobs) and [`JobHandle::edit`](super::JobHandle::edit).
    pub async fn edit_jobs(&self, filter: JobFilter, edit: JobEdit) -> Result<BulkOutcome> {
        let edit = edit.check()?;
        self.change(filter, &JobState::EDITABLE, BulkAction::Edit(edit)).await
    }

    async fn change(
        &self,
        filter: JobFilter,
        possible: &[JobState],
        action: BulkAction,
    ) -> Result<BulkOutcome> {
        check(&filter)?;
        let states = match filter.state {
            None => possible.to_vec(),
            Some(state) if possible.contains(&state) => vec![state],
            Some(state) => {
                let complaint = format!(
                    "state is {state}: this can be done to jobs that are {}",
                    names(possible)
                );
                return Err(Error::new(ErrorKind::InvalidOption, complaint));
            }
        };
        let store = Arc::clone(self.store());
        self.run(async move { store.bulk(&filter, &states, &action).await }).await
    }
}

fn names(states: &[JobState]) -> String {
    let names: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    names.join(", ")
}

/// Holds the fields of a filter against their limits, but for the size of the page.
fn check(filter: &JobFilter) -> Result<()> {
    filter.task.as_deref().map_or(Ok(()), limits::check_task)?;
    filter.queue.as_deref().map_or(Ok(()), limits::check_queue)?;
    filter.tag.as_deref().map_or(Ok(()), limits::check_tag)?;
    filter.error_contains.as_deref().map_or(Ok(()), limits::check_error_text)?;
    for (field, instant) in
        [("created_after", filter.created_after), ("created_before", filter.created_before)]
    {
        if instant.is_some_and(|at| !limits::RUN_AT_YEARS.contains(&at.year())) {
            let complaint = format!("{field} lies outside the years 1970 to 9999");
            return Err(Error::new(ErrorKind::InvalidTime, complaint));
        }
    }
    Ok(())
}
