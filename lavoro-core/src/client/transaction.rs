//! Enqueueing and completing inside the caller's own transaction, on its own connection.

use super::{JobHandle, Lavoro};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::json::{Json, sanitise_result};
use crate::new_job::NewJob;
use serde::Serialize;

/// A statement for any driver of any language, to be sent in a transaction of the caller's.
///
/// Placeholders are `$1`, `$2`, …; every parameter is text or null, whatever the driver would
/// take it for.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlCall {
    /// The statement.
    pub text: String,
    /// The parameters, in the order of the placeholders.
    pub parameters: Vec<Option<String>>,
}

impl std::fmt::Debug for SqlCall {
    /// Leaves out the parameters, which hold payloads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlCall").field("text", &self.text).finish_non_exhaustive()
    }
}

impl From<(String, Vec<Option<String>>)> for SqlCall {
    fn from((text, parameters): (String, Vec<Option<String>>)) -> Self {
        Self { text, parameters }
    }
}

impl Lavoro {
    /// Enqueues a job inside the caller's own transaction: it exists if that commits.
    ///
    /// Runs on the caller's connection and executor. No worker is woken, since none may see the
    /// job before the commit: idle workers find it within their poll interval.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue). After an error of the database the transaction must be
    /// rolled back.
    pub async fn enqueue_in(
        &self,
        transaction: &mut sqlx::PgConnection,
        job: NewJob,
    ) -> Result<JobHandle> {
        let job = job.check()?;
        self.note(&job);
        let enqueued = self.inner.store.enqueue_in(transaction, &job).await?;
        Ok(self.handle(enqueued.id, enqueued.created))
    }

    /// Completes a running job inside the caller's own transaction: its effects and the
    /// completion commit together or not at all. `result` is kept as by
    /// [`Outcome::complete_with`](crate::Outcome::complete_with); `()` is none.
    ///
    /// Runs on the caller's connection and executor. The handler returns normally after the
    /// commit; whatever it returns then changes nothing. Keep the transaction short: until it
    /// ends, the job can be neither ended otherwise nor rescued.
    ///
    /// # Errors
    /// `stale_lease` if this attempt is not the job's current one any more: roll back. Above
    /// `read committed` that may show as a failure to serialise instead (`database`,
    /// [`is_transient`](crate::Error::is_transient)): roll back as well. `invalid_payload` if
    /// the result cannot be written as JSON; what is wrong with the database.
    pub async fn complete_in(
        &self,
        transaction: &mut sqlx::PgConnection,
        job: &Job,
        result: impl Serialize,
    ) -> Result<()> {
        let result = checked(&result)?;
        self.store().complete_in(transaction, job.id(), job.token(), result).await
    }

    /// The statement that enqueues a job, for a driver that Lavoro does not know: it answers one
    /// row, `id` and `created` (false: another job holds the unique key, and `id` is its).
    ///
    /// Nothing is sent here. The job is held against the limits first; what the database says
    /// later has the SQLSTATEs of `docs/limits.md`.
    ///
    /// # Errors
    /// What is wrong with the job (`invalid_task`, `payload_too_large`, …).
    pub fn enqueue_sql(&self, job: NewJob) -> Result<SqlCall> {
        Ok(self.store().enqueue_call(&job.check()?).into())
    }

    /// The statement that completes a running job as [`complete_in`](Self::complete_in) does,
    /// for a driver that Lavoro does not know. The database raises SQLSTATE `LV014` if the
    /// lease is stale.
    ///
    /// # Errors
    /// `invalid_payload` if the result cannot be written as JSON.
    pub fn complete_sql(&self, job: &Job, result: impl Serialize) -> Result<SqlCall> {
        let result = checked(&result)?;
        Ok(self.store().complete_call(job.id(), job.token(), result).into())
    }

    /// As [`complete_sql`](Self::complete_sql), with the result as JSON text, if there is any.
    #[must_use]
    pub fn complete_sql_json(&self, job: &Job, result: Option<&str>) -> SqlCall {
        self.store().complete_call(job.id(), job.token(), result.map(sanitise_result)).into()
    }
}

/// A result fit to be stored; JSON `null` is none.
fn checked(result: &impl Serialize) -> Result<Option<Json>> {
    let json = serde_json::to_string(result).map_err(|error| {
        let message = format!("the result cannot be written as JSON: {error}");
        Error::new(ErrorKind::InvalidPayload, message)
    })?;
    Ok((json != "null").then(|| sanitise_result(&json)))
}
