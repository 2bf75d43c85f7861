//! What becomes of slots that were missed, and of those that overlap.

use super::invalid;
use crate::error::Result;
use crate::limits;
use serde::Serialize;
use std::time::Duration;

/// How late the one job of [`Missed::latest`] may be: a day.
const LATE: Duration = Duration::from_hours(24);
/// How many jobs [`Missed::all`] makes up for.
const MANY: u32 = 100;

/// What becomes of slots that passed while nobody was running, that is, which are looked at more
/// than 15 seconds late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// They are recorded as missed.
    Skip,
    /// The latest one fires, unless a slot on time fires anyway; the others are recorded as missed.
    Latest {
        /// How late it may be, up to 3650 days.
        within: Duration,
    },
    /// They all fire, the latest `limit` of them. Only with [`Overlap::Allow`].
    All {
        /// How late they may be, up to 3650 days.
        within: Duration,
        /// How many of them fire at most, from 1 to 1000.
        limit: u32,
    },
}

impl Missed {
    /// The default: one job for the latest, if it is at most a day late.
    #[must_use]
    pub const fn latest() -> Self {
        Self::Latest { within: LATE }
    }

    /// All that are at most a day late, up to 100 of them.
    #[must_use]
    pub const fn all() -> Self {
        Self::All { within: LATE, limit: MANY }
    }

    /// Its name, how late a slot may be in milliseconds, and how many fire.
    pub(crate) fn columns(self) -> (&'static str, Option<i64>, Option<i32>) {
        let ms = |span: Duration| i64::try_from(span.as_millis()).ok();
        match self {
            Self::Skip => ("skip", None, None),
            Self::Latest { within } => ("latest", ms(within), None),
            Self::All { within, limit } => ("all", ms(within), i32::try_from(limit).ok()),
        }
    }

    /// As [`columns`](Self::columns) wrote it, with defaults for what is null.
    pub(crate) fn read(name: &str, within_ms: Option<i64>, limit: Option<i32>) -> Self {
        let within = within_ms.map_or(LATE, |ms| Duration::from_millis(ms.max(0).unsigned_abs()));
        match name {
            "skip" => Self::Skip,
            "all" => Self::All { within, limit: limit.map_or(MANY, i32::unsigned_abs) },
            _ => Self::Latest { within },
        }
    }

    pub(super) fn check(self, overlap: Overlap) -> Result<()> {
        let (Self::Latest { within } | Self::All { within, .. }) = self else { return Ok(()) };
        if within > limits::DELAY {
            return Err(invalid("missed is given more than 3650 days"));
        }
        if let Self::All { limit, .. } = self {
            if !limits::MISSED_JOBS.contains(&limit) {
                return Err(invalid(format!("missed is given {limit} jobs: it takes 1 to 1000")));
            }
            if overlap != Overlap::Allow {
                return Err(invalid(
                    "missed all makes jobs that wait side by side: it takes overlap allow",
                ));
            }
        }
        Ok(())
    }
}

impl Default for Missed {
    fn default() -> Self {
        Self::latest()
    }
}

/// What becomes of a slot while the schedule's latest run has not ended: it waits, runs, or will
/// be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is skipped, and recorded so.
    #[default]
    Skip,
    /// It waits until the run has ended, then fires. While one waits, others are skipped.
    Queue,
    /// It fires all the same.
    Allow,
}

impl Overlap {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Queue, Self::Allow];

    /// Its name: `skip`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

impl std::str::FromStr for Overlap {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|overlap| overlap.as_str() == name)
            .ok_or_else(|| invalid(format!("overlap is {name:?}: it takes skip, queue or allow")))
    }
}

/// What becomes of a run whose worker was lost: it may still be going on in a process that was
/// only frozen or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// Another worker runs it again, like any job.
    #[default]
    Retry,
    /// It is discarded, and slots are skipped until a person has retried it, or has resumed the
    /// schedule. Not with [`Overlap::Allow`].
    Hold,
}

impl OnLost {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Retry, Self::Hold];

    /// Its name: `retry`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
        }
    }

    pub(crate) fn read(name: &str) -> Self {
        if name == "hold" { Self::Hold } else { Self::Retry }
    }

    pub(super) fn check(self, overlap: Overlap) -> Result<()> {
        if self == Self::Hold && overlap == Overlap::Allow {
            return Err(invalid("on_lost hold takes overlap skip or queue"));
        }
        Ok(())
    }
}
