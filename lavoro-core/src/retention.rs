//! How long ended jobs are kept.

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use serde::Serialize;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// How long ended jobs are kept: those of one task, or of every task without a rule of its own.
///
/// It is stored in the database and holds for the whole fleet. What a rule leaves open is taken
/// from the rule for every task, and what that leaves open from [`Retention::BUILT_IN`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The task; `None`: every task without a rule of its own.
    pub task: Option<String>,
    /// How long completed jobs are kept, 0 to 3650 days in whole milliseconds. Zero: until
    /// maintenance comes by. Built in: 7 days.
    pub completed: Option<Duration>,
    /// As `completed`, for cancelled jobs. Built in: 7 days.
    pub cancelled: Option<Duration>,
    /// As `completed`, for discarded jobs. Built in: 30 days.
    pub discarded: Option<Duration>,
}

impl Retention {
    /// What holds where nothing has been set.
    pub const BUILT_IN: Self = Self {
        task: None,
        completed: Some(Duration::from_hours(7 * 24)),
        cancelled: Some(Duration::from_hours(7 * 24)),
        discarded: Some(Duration::from_hours(30 * 24)),
    };

    pub(crate) fn check(&self) -> Result<()> {
        check_task(self.task.as_deref())?;
        let spans = self.spans();
        if spans.iter().all(|(_, span)| span.is_none()) {
            return Err(Error::new(
                ErrorKind::InvalidOption,
                "retention sets nothing: it takes completed, cancelled or discarded",
            ));
        }
        for (field, span) in spans {
            if let Some(span) = span.filter(|span| *span > limits::RETENTION) {
                return Err(Error::new(
                    ErrorKind::InvalidOption,
                    format!(
                        "{field} is {} s: it takes 0 to {} s ({} days)",
                        span.as_secs_f64(),
                        limits::RETENTION.as_secs(),
                        limits::RETENTION.as_secs() / DAY.as_secs()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Its times with their names.
    pub(crate) fn spans(&self) -> [(&'static str, Option<Duration>); 3] {
        [
            ("completed", self.completed),
            ("cancelled", self.cancelled),
            ("discarded", self.discarded),
        ]
    }
}

impl Serialize for Retention {
    /// Times in milliseconds.
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut map = serializer.serialize_struct("Retention", 4)?;
        let millis = |span: Option<Duration>| {
            span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        };
        map.serialize_field("task", &self.task)?;
        map.serialize_field("completed_ms", &millis(self.completed))?;
        map.serialize_field("cancelled_ms", &millis(self.cancelled))?;
        map.serialize_field("discarded_ms", &millis(self.discarded))?;
        map.end()
    }
}

/// Checks the task of a rule.
pub(crate) fn check_task(task: Option<&str>) -> Result<()> {
    task.map_or(Ok(()), limits::check_task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_something_and_keeps_to_the_limit() {
        let rule = |completed| Retention { completed, ..Retention::default() }.check();
        assert!(rule(Some(Duration::ZERO)).is_ok());
        assert!(rule(Some(3650 * DAY)).is_ok());
        let late = rule(Some(3650 * DAY + Duration::from_secs(1))).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::InvalidOption);
        assert_eq!(
            late.message(),
            "completed is 315360001 s: it takes 0 to 315360000 s (3650 days)"
        );
        assert_eq!(rule(None).unwrap_err().kind(), ErrorKind::InvalidOption);
        let nameless = Retention { task: Some(String::new()), ..Retention::BUILT_IN };
        assert_eq!(nameless.check().unwrap_err().kind(), ErrorKind::InvalidTask);
    }
}
