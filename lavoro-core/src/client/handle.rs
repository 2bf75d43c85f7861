//! A handle on one job.

use super::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobId, JobInfo, JobState};
use crate::job_edit::JobEdit;
use crate::notes::LogLine;
use crate::store::LogFilter;
use crate::why::Why;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// One job, to look at, wait for and change. Holds no copy of it.
#[derive(Clone, Debug)]
pub struct JobHandle {
    lavoro: Lavoro,
    id: JobId,
    created: bool,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// `Completed`, `Cancelled` or `Discarded`.
    pub state: JobState,
    /// What its handler returned, as JSON text.
    pub json: Option<String>,
    /// What its last failed attempt said.
    pub error: Option<String>,
}

impl JobResult {
    /// The result as a value; JSON `null` if there is none.
    ///
    /// # Errors
    /// `invalid_state` if the job did not complete; `invalid_payload` if the result does not
    /// have the shape of `T`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T> {
        if self.state != JobState::Completed {
            let reason = self.error.as_deref().unwrap_or("no error was recorded");
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!("the job has no result: it is {} ({reason})", self.state),
            ));
        }
        serde_json::from_str(self.json.as_deref().unwrap_or("null")).map_err(|error| {
            let message = format!("the result does not fit: {error}");
            Error::new(ErrorKind::InvalidPayload, message).with_source(error)
        })
    }
}

impl JobHandle {
    pub(super) fn new(lavoro: Lavoro, id: JobId, created: bool) -> Self {
        Self { lavoro, id, created }
    }

    /// The job's number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Whether the enqueue that answered this handle made the job: false if another job held
    /// its unique key, which is then the one this handle names.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.created
    }

    /// The job as it stands now.
    ///
    /// # Errors
    /// `job_not_found`, or what is wrong with the database.
    pub async fn info(&self) -> Result<JobInfo> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        self.lavoro.run(async move { store.job(id).await?.ok_or_else(|| not_found(id)) }).await
    }

    /// Why the job does not run: the first thing that would have to go.
    ///
    /// # Errors
    /// `job_not_found`, or what is wrong with the database.
    pub async fn why(&self) -> Result<Why> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        let why = async move { Ok(store.why(id).await?.ok_or_else(|| not_found(id))?.judge()) };
        self.lavoro.run(why).await
    }

    /// Waits until the job has ended, at most as long as `timeout`.
    ///
    /// # Errors
    /// `timeout`, `job_not_found`, or what is wrong with the database.
    pub async fn result(&self, timeout: Duration) -> Result<JobResult> {
        let (lavoro, id) = (self.lavoro.clone(), self.id);
        let wait = async move {
            if !lavoro.store().job_exists(id).await? {
                return Err(not_found(id));
            }
            let ended = tokio::time::timeout(timeout, lavoro.waiter().ended(id)).await;
            let ended = ended.map_err(|_| {
                let message = format!("job {id} has not ended within {timeout:?}");
                Error::new(ErrorKind::Timeout, message).transient()
            })??;
            Ok(JobResult {
                state: ended.state,
                json: ended.result.clone(),
                error: ended.error.clone(),
            })
        };
        self.lavoro.run(wait).await
    }

    /// Lines of the job's log, oldest first: a page of it, after which the next one goes on.
    /// Empty if there are no more, or no such job.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn logs(&self, filter: LogFilter) -> Result<Vec<LogLine>> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        self.lavoro.run(async move { store.log_lines(id, &filter).await }).await
    }

    /// Cancels the job: at once if it waits; a running handler is told to stop. Answers the
    /// state it is in then; `Running` means that its handler has yet to stop.
    ///
    /// # Errors
    /// `job_not_found`, or what is wrong with the database.
    pub async fn cancel(&self) -> Result<JobState> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        let state = self.lavoro.run(async move { store.cancel_job(id).await }).await?;
        if state == "requested" { Ok(JobState::Running) } else { state.parse() }
    }

    /// Makes the job available now: one that waits for its time, or one that has ended, which
    /// gets one more attempt.
    ///
    /// # Errors
    /// `job_not_found`; `invalid_state` if it runs, or if another job holds its unique key.
    pub async fn retry(&self) -> Result<()> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        self.lavoro.run(async move { store.retry_job(id).await }).await
    }

    /// Deletes the job with its history: one that waits, or one that has ended.
    ///
    /// # Errors
    /// `job_not_found`; `invalid_state` if it runs.
    pub async fn delete(&self) -> Result<()> {
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        self.lavoro.run(async move { store.delete_job(id).await }).await
    }

    /// Changes the job while it waits. Its attempts so far stay.
    ///
    /// # Errors
    /// What is wrong with the edit (`payload_too_large`, `invalid_time`, …; `invalid_option` if it
    /// changes nothing); `job_not_found`; `invalid_state` if the job runs or has ended, or if
    /// another job holds its unique key in the new queue; `unique_pending`.
    pub async fn edit(&self, edit: JobEdit) -> Result<()> {
        let edit = edit.check()?;
        let (store, id) = (Arc::clone(self.lavoro.store()), self.id);
        self.lavoro.run(async move { store.edit_job(id, &edit).await }).await
    }
}

fn not_found(id: JobId) -> Error {
    Error::new(
        ErrorKind::JobNotFound,
        format!("there is no job {id}: perhaps it was pruned or deleted"),
    )
}
