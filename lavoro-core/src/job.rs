//! Jobs: what a worker is handed, and what an operator sees.

mod info;
mod slot;
mod speech;

pub use info::{JobError, JobInfo, Progress};
pub use slot::JobSlot;

use crate::error::{Error, ErrorKind, Result};
use crate::notes::Notes;
use crate::retry::Backoff;
use crate::signal::{Signal, StopReason};
use crate::trace::TraceContext;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The number of a job, unique in its schema. A decimal string in JavaScript and `--json`.
pub type JobId = i64;

/// The queue of a job that names none.
pub const DEFAULT_QUEUE: &str = "default";
/// How many attempts a job gets unless it says otherwise.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 20;

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its `run_at`.
    Scheduled,
    /// May run now.
    Available,
    /// A worker holds it.
    Running,
    /// Waits after a failed or lost attempt.
    Retrying,
    /// Its handler succeeded.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// Its attempts are exhausted, or it failed for good.
    Discarded,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retrying,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The states in which a job can be cancelled; a running one is asked to stop.
    pub const CANCELLABLE: [Self; 4] =
        [Self::Scheduled, Self::Available, Self::Running, Self::Retrying];
    /// The states in which a job can be retried, that is, made available now.
    pub const RETRYABLE: [Self; 5] =
        [Self::Scheduled, Self::Retrying, Self::Completed, Self::Cancelled, Self::Discarded];
    /// The states in which a job can be deleted: all but `Running`.
    pub const DELETABLE: [Self; 6] = [
        Self::Scheduled,
        Self::Available,
        Self::Retrying,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];
    /// The states in which a job can be edited: it waits.
    pub const EDITABLE: [Self; 3] = [Self::Scheduled, Self::Available, Self::Retrying];

    /// The state's name: `available`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// Whether the job has ended and stays as it is unless someone retries it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }

    /// Whether the job waits: for its time, after a failed attempt, or for a worker.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Available | Self::Retrying)
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for JobState {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidOption, format!("state is {name:?}: it takes {names}"))
        })
    }
}

/// What it takes to end an attempt: who runs which job, under which lease.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: JobId,
    pub(crate) token: Uuid,
    /// Where in its lease the job was when it was claimed, from 1.
    pub(crate) place: i32,
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) suspect: bool,
    pub(crate) keyed: bool,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Option<Backoff>,
    /// What holds if the job has no backoff of its own.
    pub(crate) task_backoff: Option<Backoff>,
    pub(crate) queue: Arc<str>,
    pub(crate) task: Arc<str>,
    pub(crate) times: Times,
}

/// How long an attempt waited and ran, as far as it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// When the job was handed out.
    pub(crate) started: Option<Instant>,
    /// See [`Job::waited`].
    pub(crate) waited: Option<Duration>,
    /// From the hand-out to the report of the outcome.
    pub(crate) ran: Option<Duration>,
}

impl Times {
    /// The attempt is over.
    pub(crate) fn end(&mut self) {
        self.ran = self.started.map(|started| started.elapsed());
    }
}

/// Whoever wants to hear at once how far an attempt says it has come.
pub(crate) trait ProgressListener: std::fmt::Debug + Send + Sync {
    /// A handler has said so.
    fn progressed(&self, ticket: &Ticket, percent: Option<f32>, message: Option<&str>);
}

/// A job that a worker holds: what its handler is given. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Job {
    pub(crate) ticket: Ticket,
    pub(crate) priority: i32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tags: Arc<[String]>,
    pub(crate) payload: Arc<str>,
    pub(crate) metadata: Option<Arc<str>>,
    /// It had expired when it was claimed: it is not handed out.
    pub(crate) expired: bool,
    /// Since when it might have run for the first time.
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) signal: Signal,
    /// The way to the worker that holds it, which fills it in.
    pub(crate) notes: Notes,
    pub(crate) listener: Option<Arc<dyn ProgressListener>>,
}

impl Job {
    /// The job's number: the key that makes effects outside the database idempotent.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.ticket.id
    }

    /// The token of the lease under which this attempt runs: what `lavoro.complete` takes.
    #[must_use]
    pub fn token(&self) -> Uuid {
        self.ticket.token
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.ticket.task
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.ticket.queue
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.ticket.attempt
    }

    /// How many attempts the job has in all.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.ticket.max_attempts
    }

    /// Whether the job runs as a suspect: it was leased beside a crash, and runs alone among
    /// its kind in this process.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.ticket.suspect
    }

    /// The priority.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// When the job was enqueued, by the server's clock.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// When this attempt was claimed, by the server's clock.
    #[must_use]
    pub fn claimed_at(&self) -> DateTime<Utc> {
        self.ticket.claimed_at
    }

    /// How long the job had been due when it was claimed, by the server's clock. Only of a first
    /// attempt; one that was not counted is followed by another first one, which has waited since
    /// the job was first due.
    #[must_use]
    pub fn waited(&self) -> Option<Duration> {
        let waited = self.ticket.claimed_at - self.due_at;
        (self.ticket.attempt == 1).then(|| waited.to_std().unwrap_or_default())
    }

    /// How long this attempt may take, if it is limited.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether the job was enqueued with a backoff, so that its task's does not matter.
    pub(crate) fn has_own_backoff(&self) -> bool {
        self.ticket.backoff.is_some()
    }

    /// The trace that the job was enqueued in, as a W3C `traceparent`, if it carries a valid one.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        TraceContext::of(self.metadata_json()?).map(|context| context.traceparent)
    }

    /// What vendors add to [`traceparent`](Self::traceparent), as a W3C `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<String> {
        TraceContext::of(self.metadata_json()?)?.tracestate
    }

    /// The labels.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Why the handler should stop, if it should. See [`stopped`](Self::stopped).
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.signal.reason()
    }

    /// Waits until the handler should stop, and says why: the attempt is over for Lavoro, or
    /// will be, and whatever else the handler does may be done a second time by another worker.
    pub async fn stopped(&self) -> StopReason {
        self.signal.raised().await
    }

    /// The payload as JSON text.
    #[must_use]
    pub fn payload_json(&self) -> &str {
        &self.payload
    }

    /// The schedule and the slot that the job was enqueued for, if it was.
    #[must_use]
    pub fn slot(&self) -> Option<JobSlot> {
        JobSlot::of(&serde_json::from_str(self.metadata_json()?).ok()?)
    }

    /// The metadata as JSON text, if there is any.
    #[must_use]
    pub fn metadata_json(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// The payload as a value.
    ///
    /// # Errors
    /// `invalid_payload` if the payload does not have the shape of `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.payload).map_err(|error| {
            let message = format!("the payload of job {} does not fit: {error}", self.id());
            Error::new(ErrorKind::InvalidPayload, message).with_source(error)
        })
    }
}
