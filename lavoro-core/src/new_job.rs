//! A job to enqueue, and its checks.

use crate::error::{Error, ErrorKind, Result};
use crate::job::{DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, JobId};
use crate::json::Json;
use crate::limits;
use crate::retry::Backoff;
use crate::trace::{self, TraceContext};
use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;
use std::time::Duration;

/// When a new job may first run.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) enum Due {
    #[default]
    Now,
    In(i64), // milliseconds
    At(DateTime<Utc>),
    Both,
}

/// A job to enqueue.
///
/// Nothing is checked before it is enqueued; the error then names the field and its limit.
///
/// ```
/// use lavoro_core::NewJob;
/// use std::time::Duration;
///
/// let job = NewJob::new("send_email", serde_json::json!({"to": "ada@example.org"}))
///     .queue("mail")
///     .delay(Duration::from_secs(60))
///     .max_attempts(5);
/// ```
#[derive(Debug)]
pub struct NewJob {
    task: String,
    payload: Result<Json>,
    queue: String,
    priority: i32,
    due: Due,
    expiry: Due,
    max_attempts: u32,
    timeout: Option<Duration>,
    backoff: Option<Backoff>,
    unique_key: Option<String>,
    on_discarded: Option<String>,
    tags: Vec<String>,
    metadata: Option<Result<Json>>,
    trace: Option<Result<TraceContext>>,
}

impl NewJob {
    /// A job for the handler of `task`, with any value that serialises to JSON as its payload.
    pub fn new(task: impl Into<String>, payload: impl Serialize) -> Self {
        Self::with(task.into(), Json::serialize("payload", &payload, limits::PAYLOAD_BYTES))
    }

    /// As [`new`](Self::new), with the payload as JSON text in UTF-8.
    pub fn from_json(task: impl Into<String>, payload: impl AsRef<[u8]>) -> Self {
        Self::with(task.into(), Json::parse("payload", payload.as_ref(), limits::PAYLOAD_BYTES))
    }

    fn with(task: String, payload: Result<Json>) -> Self {
        Self {
            task,
            payload,
            queue: DEFAULT_QUEUE.to_owned(),
            priority: 0,
            due: Due::Now,
            expiry: Due::Now,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            timeout: None,
            backoff: None,
            unique_key: None,
            on_discarded: None,
            tags: Vec::new(),
            metadata: None,
            trace: None,
        }
    }

    /// The queue. Default: `default`.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// Larger runs first; equals run first in, first out. Default: 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Runs the job no sooner than this long after it was enqueued, by the server's clock.
    /// Default: at once. At most 3650 days. Not together with [`run_at`](Self::run_at).
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.delay_ms(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }

    /// As [`delay`](Self::delay), in milliseconds; a negative one is refused at enqueue.
    #[must_use]
    pub fn delay_ms(mut self, delay: i64) -> Self {
        self.due = if matches!(self.due, Due::At(_)) { Due::Both } else { Due::In(delay) };
        self
    }

    /// Runs the job no sooner than this instant, by the server's clock. One in the past means
    /// at once. Years 1970 to 9999. Not together with [`delay`](Self::delay).
    #[must_use]
    pub fn run_at(mut self, run_at: DateTime<Utc>) -> Self {
        self.due = if matches!(self.due, Due::In(_)) { Due::Both } else { Due::At(run_at) };
        self
    }

    /// Cancels the job if no attempt has begun this long after it was enqueued, by the server's
    /// clock: from 1 millisecond to 3650 days. Its history then says `expired`. Default: never.
    /// Not together with [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        self.expiry = if matches!(self.expiry, Due::At(_)) { Due::Both } else { Due::In(lifetime) };
        self
    }

    /// Cancels the job if no attempt has begun at this instant, by the server's clock. Years
    /// 1970 to 9999. Not together with [`expires_in`](Self::expires_in).
    #[must_use]
    pub fn expires_at(mut self, at: DateTime<Utc>) -> Self {
        self.expiry = if matches!(self.expiry, Due::In(_)) { Due::Both } else { Due::At(at) };
        self
    }

    /// The task of a follow-up job that is enqueued if this job is discarded, together with its
    /// end. Its payload is `{"job_id", "task", "queue", "attempt", "error", "payload"}`; queue,
    /// priority, tags and metadata are this job's. Default: none.
    #[must_use]
    pub fn on_discarded(mut self, task: impl Into<String>) -> Self {
        self.on_discarded = Some(task.into());
        self
    }

    /// How often the job is tried before it is discarded, from 1 to 1000. Default: 20.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// How long one attempt may take, from 1 millisecond to 14 days. Default: no limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long to wait before a failed job is tried again. Default: [`Backoff::default`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Enqueues the job only if no job of this queue and task with this key is scheduled,
    /// available, retrying or running; otherwise its handle names that job. 1 to 512 bytes.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Labels to find the job by: at most 32, each of 1 to 255 bytes.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// A JSON object for the application's own use beside the payload, at most 64 KiB.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = Some(Json::serialize("metadata", &metadata, limits::METADATA_BYTES));
        self
    }

    /// As [`metadata`](Self::metadata), as JSON text in UTF-8.
    #[must_use]
    pub fn metadata_json(mut self, metadata: impl AsRef<[u8]>) -> Self {
        let json = Json::parse("metadata", metadata.as_ref(), limits::METADATA_BYTES);
        self.metadata = Some(json);
        self
    }

    /// The trace that the job belongs to, as W3C's `traceparent` and `tracestate` headers. They
    /// are kept in the metadata under these names, in place of any that are there, and count
    /// towards its size; other keys stay. Default: none; with the crate's feature
    /// `opentelemetry`, that of the current span when the job is enqueued, unless the metadata
    /// has one.
    #[must_use]
    pub fn trace_context(mut self, traceparent: impl AsRef<str>, tracestate: Option<&str>) -> Self {
        self.trace = Some(TraceContext::new(traceparent.as_ref(), tracestate));
        self
    }

    /// The task.
    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    /// Holds every field against its limit.
    pub(crate) fn check(mut self) -> Result<CheckedJob> {
        let trace = self.trace.take();
        let mut job = self.check_untraced()?;
        job.metadata = trace::carry(trace, job.metadata)?;
        Ok(job)
    }

    /// As [`check`](Self::check), for a job that belongs to no trace.
    pub(crate) fn check_untraced(self) -> Result<CheckedJob> {
        limits::check_task(&self.task)?;
        limits::check_queue(&self.queue)?;
        let payload = self.payload?;
        check_due(self.due)?;
        check_expiry(self.expiry)?;
        limits::check_range("max_attempts", &self.max_attempts, &limits::MAX_ATTEMPTS)?;
        if let Some(timeout) = &self.timeout {
            limits::check_range("timeout", timeout, &limits::TIMEOUT)?;
        }
        if let Some(backoff) = &self.backoff {
            backoff.check()?;
        }
        if let Some(key) = &self.unique_key {
            limits::check_unique_key(key)?;
        }
        if let Some(task) = &self.on_discarded {
            limits::check_follow_up(task)?;
        }
        limits::check_tags(&self.tags)?;
        let metadata = self.metadata.transpose()?;
        if metadata.as_ref().is_some_and(|json| !json.as_str().starts_with('{')) {
            return Err(Error::new(ErrorKind::InvalidOption, "metadata is no JSON object"));
        }
        Ok(CheckedJob {
            task: self.task,
            queue: self.queue,
            priority: self.priority,
            due: self.due,
            expiry: self.expiry,
            max_attempts: self.max_attempts,
            timeout: self.timeout,
            backoff: self.backoff,
            unique_key: self.unique_key,
            on_discarded: self.on_discarded,
            tags: self.tags,
            metadata,
            payload,
        })
    }
}

/// Holds the time that a job is due against its limits.
pub(crate) fn check_due(due: Due) -> Result<()> {
    let complaint = match due {
        Due::Both => "run_at and delay are both given: pass one of them",
        Due::In(delay) if delay < 0 => "delay is negative",
        Due::In(delay) if u128::from(delay.unsigned_abs()) > limits::DELAY.as_millis() => {
            "delay is longer than 3650 days"
        }
        Due::At(at) if !limits::RUN_AT_YEARS.contains(&at.year()) => {
            "run_at lies outside the years 1970 to 9999"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidTime, complaint))
}

fn check_expiry(expiry: Due) -> Result<()> {
    let complaint = match expiry {
        Due::Both => "expires_at and expires_in are both given: pass one of them",
        Due::In(lifetime) if lifetime < 1 => "expires_in is shorter than 1 millisecond",
        Due::In(lifetime) if u128::from(lifetime.unsigned_abs()) > limits::DELAY.as_millis() => {
            "expires_in is longer than 3650 days"
        }
        Due::At(at) if !limits::RUN_AT_YEARS.contains(&at.year()) => {
            "expires_at lies outside the years 1970 to 9999"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidTime, complaint))
}

/// A job that has passed every check.
#[derive(Clone, Debug)]
pub(crate) struct CheckedJob {
    pub(crate) task: String,
    pub(crate) queue: String,
    pub(crate) priority: i32,
    pub(crate) due: Due,
    pub(crate) expiry: Due,
    pub(crate) max_attempts: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) unique_key: Option<String>,
    pub(crate) on_discarded: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Option<Json>,
    pub(crate) payload: Json,
}

/// What an enqueue did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enqueued {
    /// The job's number; with a unique key that another job holds, that job's.
    pub(crate) id: JobId,
    /// Whether the job is new.
    pub(crate) created: bool,
}
