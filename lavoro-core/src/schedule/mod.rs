//! Schedules: what is declared, its checks, when its slots are and what becomes of each.

mod cron;
mod decide;
mod info;
mod phrase;
mod policy;
mod timing;
mod zone;

pub use info::{ScheduleInfo, SlotInfo};
pub use phrase::INTERVALS;
pub use policy::{Missed, OnLost, Overlap};

pub(crate) use cron::Cron;
pub(crate) use decide::{Course, Decided, Plan, decide, delay};
pub(crate) use timing::{Pattern, Timing};
pub(crate) use zone::Zone;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::new_job::{CheckedJob, Due, NewJob};
use chrono::{DateTime, Datelike as _, Utc};
use phrase::Resolved;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How far apart slots may be, in milliseconds.
const EVERY_MS: RangeInclusive<i64> = 1000..=315_360_000_000;
/// The key of a fired job's metadata under which its schedule and slot stand.
pub(crate) const METADATA_KEY: &str = "schedule";
/// How much of a job's metadata is left for that.
const METADATA_ROOM: usize = 1 << 10;

/// A rule that enqueues a job for each of its slots.
///
/// One of [`cron`](Self::cron), [`every`](Self::every), [`every_span`](Self::every_span) and
/// [`at`](Self::at) says when. Nothing is checked before it is declared; the error then names the
/// field and its limit.
///
/// ```
/// use lavoro_core::{NewJob, Schedule};
///
/// let digest = Schedule::new("digest", NewJob::new("send_digest", ()))
///     .every("week")
///     .on("monday")
///     .at("09:30")
///     .time_zone("Europe/Rome");
/// ```
#[derive(Debug)]
pub struct Schedule {
    name: String,
    job: NewJob,
    cron: Option<String>,
    span: Option<Duration>,
    every: Every,
    zone: String,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    jitter: Duration,
    missed: Missed,
    overlap: Overlap,
    on_lost: OnLost,
}

/// An interval in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Every {
    interval: Option<String>,
    at: Option<String>,
    on: Option<String>,
    hour: Option<u32>,
    minute: Option<u32>,
    day_of_month: Option<u32>,
}

impl Schedule {
    /// A schedule of this name, unique in its schema, that enqueues this job in each slot. The
    /// job takes no `delay`, `run_at`, `expires_at` and `unique_key`, and its metadata has no key
    /// `schedule`: there each job finds the schedule's name and its slot.
    pub fn new(name: impl Into<String>, job: NewJob) -> Self {
        Self {
            name: name.into(),
            job,
            cron: None,
            span: None,
            every: Every::default(),
            zone: "UTC".to_owned(),
            start: None,
            end: None,
            jitter: Duration::ZERO,
            missed: Missed::default(),
            overlap: Overlap::default(),
            on_lost: OnLost::default(),
        }
    }

    /// By a cron expression: five fields, or six that begin with seconds; lists, ranges, steps,
    /// names, `L`, `LW`, `15W`, `1#2`, and `@daily` and its kin.
    #[must_use]
    pub fn cron(mut self, expression: impl Into<String>) -> Self {
        self.cron = Some(expression.into());
        self
    }

    /// By an interval in words, one of [`INTERVALS`], or as a span: `90s`, `15m`, `6h`, `2d`,
    /// `5 minutes`. Spans are counted in real time from the epoch, whatever the time zone; days
    /// of the week, `day`, `week` (Sunday) and `month` (the first) begin at midnight in it.
    #[must_use]
    pub fn every(mut self, interval: impl Into<String>) -> Self {
        self.every.interval = Some(interval.into());
        self
    }

    /// Every so long, from 1 second to 3650 days in whole milliseconds, counted from the epoch.
    #[must_use]
    pub fn every_span(mut self, span: Duration) -> Self {
        self.span = Some(span);
        self
    }

    /// At this time of the day, `09:30`; every day unless [`every`](Self::every) says otherwise.
    #[must_use]
    pub fn at(mut self, time: impl Into<String>) -> Self {
        self.every.at = Some(time.into());
        self
    }

    /// On this day of the week, `monday`: of `week`, or the first such day of `month`.
    #[must_use]
    pub fn on(mut self, weekday: impl Into<String>) -> Self {
        self.every.on = Some(weekday.into());
        self
    }

    /// At this hour, 0 to 23, of days, weeks and months.
    #[must_use]
    pub fn hour(mut self, hour: u32) -> Self {
        self.every.hour = Some(hour);
        self
    }

    /// At this minute, 0 to 59, of hours and of what is longer.
    #[must_use]
    pub fn minute(mut self, minute: u32) -> Self {
        self.every.minute = Some(minute);
        self
    }

    /// On this day, 1 to 31, of `month`. A month that lacks it has no slot.
    #[must_use]
    pub fn day_of_month(mut self, day: u32) -> Self {
        self.every.day_of_month = Some(day);
        self
    }

    /// The time zone in which times of day are meant, by its name in the IANA database. Default:
    /// `UTC`.
    #[must_use]
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.zone = name.into();
        self
    }

    /// No slot is sooner than this. Default: from now on.
    #[must_use]
    pub fn start(mut self, start: DateTime<Utc>) -> Self {
        self.start = Some(start);
        self
    }

    /// This and what is later is no slot. Default: no end.
    #[must_use]
    pub fn end(mut self, end: DateTime<Utc>) -> Self {
        self.end = Some(end);
        self
    }

    /// Spreads jobs over this long after their slots, up to 24 hours, so that schedules of one
    /// slot do not all run at once. The same slot is always given the same delay. Default: none.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// What becomes of slots that passed while nobody was running. Default:
    /// [`Missed::latest`].
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// What becomes of a slot while an earlier run has not ended. Default: [`Overlap::Skip`].
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// What becomes of a run whose worker was lost. Default: [`OnLost::Retry`].
    #[must_use]
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.on_lost = on_lost;
        self
    }

    /// Its first `limit` slots after an instant: a pure function, without jitter.
    ///
    /// # Errors
    /// `invalid_schedule`.
    pub fn preview(&self, after: DateTime<Utc>, limit: usize) -> Result<Vec<DateTime<Utc>>> {
        let timing = Timing::read(&self.source()?, self.start, self.end)?;
        Ok(timing.slots_between(after, DateTime::<Utc>::MAX_UTC, limit))
    }

    /// Holds every field against its limit.
    pub(crate) fn check(self) -> Result<CheckedSchedule> {
        check_name(&self.name)?;
        let source = self.source()?;
        Timing::read(&source, self.start, self.end)?;
        for (field, at) in [("start", self.start), ("end", self.end)] {
            if at.is_some_and(|at| !limits::RUN_AT_YEARS.contains(&at.year())) {
                return Err(invalid(format!("{field} lies outside the years 1970 to 9999")));
            }
        }
        if self.end <= self.start && self.end.is_some() && self.start.is_some() {
            return Err(invalid("end is not after start: there would be no slot"));
        }
        if self.jitter > limits::JITTER {
            return Err(invalid(format!("jitter is {:?}: it takes 0 to 24 hours", self.jitter)));
        }
        self.missed.check(self.overlap)?;
        self.on_lost.check(self.overlap)?;
        Ok(CheckedSchedule {
            name: self.name,
            source,
            start: self.start,
            end: self.end,
            jitter: self.jitter,
            missed: self.missed,
            overlap: self.overlap,
            on_lost: self.on_lost,
            job: check_job(self.job)?,
        })
    }

    /// What repeats, as it is stored.
    fn source(&self) -> Result<Source> {
        let words = self.every != Every::default();
        let given = [self.cron.is_some(), self.span.is_some(), words];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(invalid(
                "a schedule takes exactly one of cron, every (with at and on) and every_span",
            ));
        }
        let zone = Zone::parse(&self.zone)?.name().to_owned();
        let source = |cron, every_ms, offset_ms| Source { cron, every_ms, offset_ms, zone };
        if let Some(cron) = &self.cron {
            return Ok(source(Some(cron.trim().to_owned()), None, 0));
        }
        if let Some(span) = self.span {
            return Ok(source(None, Some(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)), 0));
        }
        Ok(match phrase::resolve(&self.every)? {
            Resolved::Cron(cron) => source(Some(cron), None, 0),
            Resolved::Every { every, offset } => source(None, Some(every), offset),
        })
    }
}

/// What repeats, as it is stored: a cron expression in a zone, or an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) cron: Option<String>,
    pub(crate) every_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) zone: String,
}

impl Timing {
    /// Understands what is stored.
    pub(crate) fn read(
        source: &Source,
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let zone = Zone::parse(&source.zone)?;
        let pattern = match (&source.cron, source.every_ms) {
            (Some(cron), _) => Pattern::Cron(Box::new(Cron::parse(cron)?), zone),
            (None, Some(every)) if EVERY_MS.contains(&every) => {
                Pattern::Every { every, offset: source.offset_ms }
            }
            _ => return Err(invalid("every takes 1 second to 3650 days")),
        };
        Ok(Self { pattern, start, end })
    }
}

/// A schedule that has passed every check.
#[derive(Clone, Debug)]
pub(crate) struct CheckedSchedule {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) end: Option<DateTime<Utc>>,
    pub(crate) jitter: Duration,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
    pub(crate) on_lost: OnLost,
    pub(crate) job: CheckedJob,
}

impl CheckedSchedule {
    /// All that was declared, as text: two declarations are the same if these are.
    pub(crate) fn print(&self) -> String {
        let CheckedJob { task, queue, priority, expiry, max_attempts, timeout, .. } = &self.job;
        let CheckedJob { backoff, on_discarded, tags, metadata, payload, .. } = &self.job;
        let metadata = metadata.as_ref().map(crate::json::Json::as_str);
        format!(
            "{:?}",
            (
                (&self.source, self.start, self.end, self.jitter),
                (self.missed, self.overlap, self.on_lost),
                (task, queue, priority, expiry, max_attempts, timeout),
                (backoff, on_discarded, tags, metadata, payload.as_str()),
            )
        )
    }
}

/// Checks a schedule's name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    limits::check_schedule(name)
}

/// Holds the job of a schedule against what such a job may have.
fn check_job(job: NewJob) -> Result<CheckedJob> {
    let job = job.check_untraced()?;
    let refused = match &job {
        CheckedJob { due: Due::In(_) | Due::At(_) | Due::Both, .. } => {
            "delay and run_at: its slots say when"
        }
        CheckedJob { expiry: Due::At(_) | Due::Both, .. } => {
            "expires_at: use expires_in, which counts from when it is enqueued"
        }
        CheckedJob { unique_key: Some(_), .. } => "unique_key: overlap says what it is for",
        _ => return check_metadata(job),
    };
    Err(invalid(format!("the job of a schedule takes no {refused}")))
}

fn check_metadata(job: CheckedJob) -> Result<CheckedJob> {
    if let Some(metadata) = &job.metadata {
        let most = limits::METADATA_BYTES - METADATA_ROOM;
        if metadata.size() > most {
            let message = format!("metadata has {} bytes: the limit is {most}", metadata.size());
            return Err(invalid(message));
        }
        let value: serde_json::Value = serde_json::from_str(metadata.as_str()).unwrap_or_default();
        if value.get(METADATA_KEY).is_some() {
            return Err(invalid(
                "metadata holds the key \"schedule\", which its slot is put under",
            ));
        }
    }
    Ok(job)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidSchedule, message)
}
