//! Jobs to enqueue, and changes to those that wait.

use crate::parse::{BackoffFields, Instant, Millis, parse};
use lavoro_core::{Error, ErrorKind, JobEdit, NewJob, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// A job to enqueue of `task`, with its payload as JSON text and its options as a JSON object:
/// `queue`, `priority`, `delay_ms`, `run_at`, `expires_in_ms`, `expires_at`, `on_discarded`,
/// `max_attempts`, `timeout_ms`, `backoff` (`kind`: `exponential`, `linear` or `fixed`;
/// `base_ms`, `max_ms`, `jitter`), `unique_key`, `tags`, `metadata`, `traceparent`, `tracestate`.
/// See [`NewJob`] for each.
///
/// # Errors
/// `invalid_option` or `invalid_time`, naming the key. What is out of its limits is said when
/// the job is enqueued.
pub fn new_job(task: &str, payload: &[u8], options: &[u8]) -> Result<NewJob> {
    let job = NewJob::from_json(task, payload);
    if options.is_empty() {
        return Ok(job);
    }
    let fields: JobFields = parse(options)?;
    if fields.task.is_some() || fields.payload.is_some() {
        return Err(Error::new(
            ErrorKind::InvalidOption,
            "options name a task or payload: they are given beside the options",
        ));
    }
    Ok(fields.apply(job))
}

/// Jobs to enqueue, from an array of objects with `task`, `payload` (default: null) and the
/// options of [`new_job`].
///
/// # Errors
/// As [`new_job`]; the path of the key begins with the job's place in the array.
pub fn new_jobs(json: &[u8]) -> Result<Vec<NewJob>> {
    let jobs: Vec<JobFields> = parse(json)?;
    jobs.into_iter().enumerate().map(|(place, fields)| fields.into_job(place)).collect()
}

/// The options of a job, and in an array its task and payload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobFields {
    task: Option<String>,
    payload: Option<Box<RawValue>>,
    queue: Option<String>,
    priority: Option<i32>,
    delay_ms: Option<i64>,
    run_at: Option<Instant>,
    expires_in_ms: Option<Millis>,
    expires_at: Option<Instant>,
    on_discarded: Option<String>,
    max_attempts: Option<u32>,
    timeout_ms: Option<Millis>,
    backoff: Option<BackoffFields>,
    unique_key: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<Box<RawValue>>,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl JobFields {
    fn into_job(mut self, place: usize) -> Result<NewJob> {
        let task = self.task.take().ok_or_else(|| {
            Error::new(ErrorKind::InvalidTask, format!("[{place}].task: the job names no task"))
        })?;
        let payload = self.payload.take();
        let payload = payload.as_ref().map_or("null", |payload| payload.get());
        Ok(self.apply(NewJob::from_json(task, payload)))
    }

    /// Sets what is given.
    pub(crate) fn apply(self, mut job: NewJob) -> NewJob {
        job = set(job, self.queue, NewJob::queue);
        job = set(job, self.priority, NewJob::priority);
        job = set(job, self.delay_ms, NewJob::delay_ms);
        job = set(job, self.run_at, NewJob::run_at);
        job = set(job, self.expires_in_ms.map(Duration::from), NewJob::expires_in);
        job = set(job, self.expires_at, NewJob::expires_at);
        job = set(job, self.on_discarded, NewJob::on_discarded);
        job = set(job, self.max_attempts, NewJob::max_attempts);
        job = set(job, self.timeout_ms.map(Duration::from), NewJob::timeout);
        job = set(job, self.backoff.map(Into::into), NewJob::backoff);
        job = set(job, self.unique_key, NewJob::unique_key);
        job = set(job, self.tags, NewJob::tags);
        job = set(job, self.metadata, |job, metadata| job.metadata_json(metadata.get()));
        let state = self.tracestate;
        set(job, self.traceparent, |job, parent| job.trace_context(parent, state.as_deref()))
    }
}

/// Changes to a job that waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditFields {
    payload: Option<Box<RawValue>>,
    queue: Option<String>,
    priority: Option<i32>,
    delay_ms: Option<i64>,
    run_at: Option<Instant>,
}

impl From<EditFields> for JobEdit {
    fn from(fields: EditFields) -> Self {
        let mut edit = Self::new();
        edit = set(edit, fields.payload, |edit, payload| edit.payload_json(payload.get()));
        edit = set(edit, fields.queue, Self::queue);
        edit = set(edit, fields.priority, Self::priority);
        edit = set(edit, fields.delay_ms, Self::delay_ms);
        set(edit, fields.run_at, Self::run_at)
    }
}

/// Sets a field if there is a value for it.
pub(crate) fn set<T, V>(target: T, value: Option<V>, setter: impl FnOnce(T, V) -> T) -> T {
    match value {
        Some(value) => setter(target, value),
        None => target,
    }
}
