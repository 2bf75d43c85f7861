//! Rows made into the types of `job`.

use crate::error::{Error, ErrorKind, Result};
use crate::job::{Job, JobInfo, JobState, Progress, Ticket, Times};
use crate::notes::Notes;
use crate::retry::Backoff;
use crate::signal::Signal;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A row of `claim.sql`. By place, not by name: this is the hot path.
pub(super) fn job(row: &PgRow, token: Uuid, queue: &Arc<str>) -> Job {
    let timeout: Option<i32> = row.get(6);
    let backoff: Option<&str> = row.get(10);
    let metadata: Option<&str> = row.get(11);
    Job {
        ticket: Ticket {
            id: row.get(0),
            token,
            place: row.get(14),
            claimed_at: row.get(8),
            suspect: row.get(2),
            keyed: row.get(3),
            attempt: row.get::<i16, _>(1).unsigned_abs().into(),
            max_attempts: row.get::<i16, _>(4).unsigned_abs().into(),
            backoff: backoff.and_then(|text| Backoff::from_json(text).ok()),
            task_backoff: None,
            queue: Arc::clone(queue),
            task: row.get::<&str, _>(9).into(),
            times: Times::default(),
        },
        priority: row.get(5),
        created_at: row.get(7),
        timeout: timeout.map(|ms| Duration::from_millis(ms.unsigned_abs().into())),
        tags: row.get::<Option<Vec<String>>, _>(12).unwrap_or_default().into(),
        payload: row.get::<&str, _>(13).into(),
        metadata: metadata.map(Into::into),
        expired: row.get(16),
        due_at: row.get(17),
        signal: Signal::default(),
        notes: Notes::default(),
        listener: None,
    }
}

/// A row of the view `lavoro.jobs`.
pub(super) fn job_info(row: &PgRow) -> Result<JobInfo> {
    let errors: serde_json::Value = row.get("errors");
    let progress: Option<serde_json::Value> = row.get("progress");
    Ok(JobInfo {
        id: row.get("id"),
        task: row.get("task"),
        queue: row.get("queue"),
        state: row.get::<&str, _>("state").parse::<JobState>()?,
        priority: row.get("priority"),
        attempt: row.get::<i32, _>("attempt").unsigned_abs(),
        max_attempts: row.get::<i32, _>("max_attempts").unsigned_abs(),
        run_at: row.get("run_at"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        worker: row.get("worker"),
        payload: row.get("payload"),
        result: row.get("result"),
        errors: serde_json::from_value(errors).map_err(|error| {
            Error::new(ErrorKind::Internal, "the error history cannot be read").with_source(error)
        })?,
        tags: row.get::<Option<Vec<String>>, _>("tags").unwrap_or_default(),
        metadata: row.get("metadata"),
        unique_key: row.get("unique_key"),
        timeout_ms: row.get::<Option<i32>, _>("timeout_ms").map(i32::unsigned_abs),
        progress: progress.map(progress_of).transpose()?,
        expires_at: row.get("expires_at"),
        on_discarded: row.get("on_discarded"),
    })
}

fn progress_of(json: serde_json::Value) -> Result<Progress> {
    serde_json::from_value(json).map_err(|error| {
        Error::new(ErrorKind::Internal, "the progress cannot be read").with_source(error)
    })
}
