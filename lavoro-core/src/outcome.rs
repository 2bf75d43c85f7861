//! What becomes of an attempt.

use crate::error::Result;
use crate::json::{Json, sanitise_result, sanitise_text};
use crate::limits::ERROR_BYTES;
use serde::Serialize;
use std::time::Duration;

/// What a handler says of its job.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The job is done. Its result, if any, is kept.
    Complete {
        /// JSON, made fit to be stored.
        result: Option<Json>,
    },
    /// The attempt failed: try again after `delay`, or after the job's backoff. The last
    /// attempt's failure discards the job.
    Retry {
        /// What went wrong.
        failure: Failure,
        /// Overrides the backoff.
        delay: Option<Duration>,
    },
    /// Not now: again after `delay`. The attempt is not counted.
    Snooze {
        /// How long to wait.
        delay: Duration,
    },
    /// The job is no longer wanted.
    Cancel {
        /// Why, if anybody says so.
        reason: Option<Failure>,
    },
    /// The job cannot succeed: discard it without trying again.
    Fail {
        /// What went wrong.
        failure: Failure,
    },
    /// The handler did not run, or was stopped for no fault of its own: hand the job back at
    /// once. The attempt is not counted.
    Release,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The handler reported an error.
    Failed,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The handler panicked, or its process did what amounts to it.
    Panicked,
    /// The worker was lost while it held the job.
    Lost,
    /// The handler said that the job is no longer wanted.
    Cancelled,
    /// No attempt had begun when the job expired.
    Expired,
}

impl FailureKind {
    /// The kind's name in a job's error history.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Panicked => "panicked",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Failure {
    /// A failure of this kind. The message is made fit to be stored: at most 16 KiB, no NUL.
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self { kind, message: sanitise_text(message.as_ref(), ERROR_BYTES) }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Outcome {
    /// Done, without a result.
    #[must_use]
    pub fn complete() -> Self {
        Self::Complete { result: None }
    }

    /// Done, with a result.
    ///
    /// # Errors
    /// `invalid_payload` if the value cannot be written as JSON.
    pub fn complete_with(result: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_string(result).map_err(|error| {
            let message = format!("the result cannot be written as JSON: {error}");
            crate::Error::new(crate::ErrorKind::InvalidPayload, message)
        })?;
        Ok(Self::complete_with_json(&json))
    }

    /// Done, with a result as JSON text. A result that cannot be stored is replaced by a note.
    #[must_use]
    pub fn complete_with_json(json: &str) -> Self {
        Self::Complete { result: Some(sanitise_result(json)) }
    }

    /// Failed: try again after the job's backoff.
    pub fn retry(error: impl AsRef<str>) -> Self {
        Self::Retry { failure: Failure::new(FailureKind::Failed, error), delay: None }
    }

    /// Failed: try again after `delay`.
    pub fn retry_in(delay: Duration, error: impl AsRef<str>) -> Self {
        Self::Retry { failure: Failure::new(FailureKind::Failed, error), delay: Some(delay) }
    }

    /// Not now: again after `delay`, and the attempt is not counted.
    #[must_use]
    pub fn snooze(delay: Duration) -> Self {
        Self::Snooze { delay }
    }

    /// The job is no longer wanted.
    pub fn cancel(reason: impl AsRef<str>) -> Self {
        Self::Cancel { reason: Some(Failure::new(FailureKind::Cancelled, reason)) }
    }

    /// Discard the job without trying again.
    pub fn fail(error: impl AsRef<str>) -> Self {
        Self::Fail { failure: Failure::new(FailureKind::Failed, error) }
    }
}

/// What a finished attempt made of its job, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The outcome stands.
    Accepted,
    /// The lease was no longer the job's current one: the outcome was refused, and nothing of
    /// it was recorded. Another attempt runs the job, or has finished it.
    Stale,
}
