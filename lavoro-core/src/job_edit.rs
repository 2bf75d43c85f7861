//! Changes to a job that waits, and their checks.

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::limits;
use crate::new_job::{Due, check_due};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// What to change about jobs that wait. What is not named stays as it is; so do the attempts so
/// far. Nothing is checked before it is sent; the error then names the field and its limit.
///
/// ```
/// use lavoro_core::JobEdit;
///
/// let edit = JobEdit::new().priority(10).queue("urgent");
/// ```
#[derive(Debug, Default)]
pub struct JobEdit {
    payload: Option<Result<Json>>,
    priority: Option<i32>,
    due: Due,
    queue: Option<String>,
}

/// An edit that has passed every check.
#[derive(Clone, Debug)]
pub(crate) struct CheckedEdit {
    pub(crate) payload: Option<Json>,
    pub(crate) priority: Option<i32>,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay_ms: Option<i64>,
    pub(crate) queue: Option<String>,
}

impl JobEdit {
    /// An edit that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another payload: any value that serialises to JSON, at most 1 MiB.
    #[must_use]
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        self.payload = Some(Json::serialize("payload", &payload, limits::PAYLOAD_BYTES));
        self
    }

    /// As [`payload`](Self::payload), as JSON text in UTF-8.
    #[must_use]
    pub fn payload_json(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = Some(Json::parse("payload", payload.as_ref(), limits::PAYLOAD_BYTES));
        self
    }

    /// Another priority. Larger runs first.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Runs the job no sooner than this instant, by the server's clock; one in the past means at
    /// once. Years 1970 to 9999. Not together with [`delay`](Self::delay).
    #[must_use]
    pub fn run_at(mut self, run_at: DateTime<Utc>) -> Self {
        self.due = if matches!(self.due, Due::In(_)) { Due::Both } else { Due::At(run_at) };
        self
    }

    /// Runs the job no sooner than this long from now, by the server's clock. At most 3650 days.
    /// Not together with [`run_at`](Self::run_at).
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.delay_ms(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }

    /// As [`delay`](Self::delay), in milliseconds; a negative one is refused.
    #[must_use]
    pub fn delay_ms(mut self, delay: i64) -> Self {
        self.due = if matches!(self.due, Due::At(_)) { Due::Both } else { Due::In(delay) };
        self
    }

    /// Another queue. The job's unique key goes along; if another job holds it there, the edit
    /// is refused.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Holds every field against its limit, as for a new job.
    pub(crate) fn check(self) -> Result<CheckedEdit> {
        let payload = self.payload.transpose()?;
        check_due(self.due)?;
        if let Some(queue) = &self.queue {
            limits::check_queue(queue)?;
        }
        let (run_at, delay_ms) = match self.due {
            Due::At(at) => (Some(at), None),
            Due::In(delay) => (None, Some(delay)),
            Due::Now | Due::Both => (None, None),
        };
        let edit =
            CheckedEdit { payload, priority: self.priority, run_at, delay_ms, queue: self.queue };
        if edit.is_empty() {
            let complaint = "the edit changes nothing: pass payload, priority, run_at, delay or \
                             queue";
            return Err(Error::new(ErrorKind::InvalidOption, complaint));
        }
        Ok(edit)
    }
}

impl CheckedEdit {
    fn is_empty(&self) -> bool {
        self.payload.is_none()
            && self.priority.is_none()
            && self.run_at.is_none()
            && self.delay_ms.is_none()
            && self.queue.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_held_against_the_limits_of_a_new_job() {
        for (edit, expected) in [
            (JobEdit::new(), ErrorKind::InvalidOption),
            (JobEdit::new().queue(""), ErrorKind::InvalidQueue),
            (JobEdit::new().payload_json("{"), ErrorKind::InvalidPayload),
            (JobEdit::new().payload("a".repeat(1 << 20)), ErrorKind::PayloadTooLarge),
            (JobEdit::new().delay_ms(-1), ErrorKind::InvalidTime),
            (JobEdit::new().delay(Duration::from_hours(3651 * 24)), ErrorKind::InvalidTime),
            (JobEdit::new().delay_ms(0).run_at(DateTime::UNIX_EPOCH), ErrorKind::InvalidTime),
            (JobEdit::new().run_at(DateTime::<Utc>::MAX_UTC), ErrorKind::InvalidTime),
        ] {
            assert_eq!(edit.check().unwrap_err().kind(), expected);
        }
        assert!(JobEdit::new().payload(()).check().is_ok());
        assert!(JobEdit::new().delay_ms(0).check().is_ok());
    }
}
