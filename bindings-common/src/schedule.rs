//! Schedules.

use crate::job::{JobFields, set};
use crate::parse::{Instant, Millis, parse};
use lavoro_core::{Error, ErrorKind, Missed, NewJob, OnLost, Overlap, Result, Schedule};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// A schedule: `name`, `task`, `payload`, `options` (those of [`new_job`](crate::new_job)), one of
/// `cron`, `every` (words) and `every_ms`; beside `every` also `at`, `on`, `hour`, `minute`,
/// `day_of_month`; `time_zone`, `start`, `end`, `jitter_ms`, `missed` (`skip`, `latest`, `all`, or
/// `{"policy", "within_ms", "limit"}`), `overlap` (`skip`, `queue`, `allow`), `on_lost` (`retry`,
/// `hold`). See [`Schedule`] for each.
///
/// # Errors
/// `invalid_option`, naming the key. What is out of its limits is said when it is stored.
pub fn schedule(json: &[u8]) -> Result<Schedule> {
    parse::<ScheduleFields>(json)?.into_schedule()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleFields {
    name: String,
    task: String,
    payload: Option<Box<RawValue>>,
    options: Option<JobFields>,
    cron: Option<String>,
    every: Option<String>,
    every_ms: Option<Millis>,
    at: Option<String>,
    on: Option<String>,
    hour: Option<u32>,
    minute: Option<u32>,
    day_of_month: Option<u32>,
    time_zone: Option<String>,
    start: Option<Instant>,
    end: Option<Instant>,
    jitter_ms: Option<Millis>,
    missed: Option<MissedFields>,
    overlap: Option<String>,
    on_lost: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    Skip,
    Latest,
    All,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "missed takes skip, latest, all, or {\"policy\", \"within_ms\", \"limit\"}"
)]
enum MissedFields {
    Policy(Policy),
    Bounded(Bounded),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounded {
    policy: Policy,
    within_ms: Option<Millis>,
    limit: Option<u32>,
}

impl From<MissedFields> for Missed {
    fn from(fields: MissedFields) -> Self {
        let (policy, given_within, given_limit) = match fields {
            MissedFields::Policy(policy) => (policy, None, None),
            MissedFields::Bounded(Bounded { policy, within_ms, limit }) => {
                (policy, within_ms.map(Duration::from), limit)
            }
        };
        match policy {
            Policy::Skip => Self::Skip,
            Policy::Latest => match given_within {
                Some(within) => Self::Latest { within },
                None => Self::latest(),
            },
            Policy::All => match Self::all() {
                Self::All { within, limit } => Self::All {
                    within: given_within.unwrap_or(within),
                    limit: given_limit.unwrap_or(limit),
                },
                other => other,
            },
        }
    }
}

impl ScheduleFields {
    pub(crate) fn into_schedule(self) -> Result<Schedule> {
        let overlap =
            self.overlap.map(|name| named("overlap", &name, &Overlap::ALL, Overlap::as_str));
        let on_lost =
            self.on_lost.map(|name| named("on_lost", &name, &OnLost::ALL, OnLost::as_str));
        let payload = self.payload.as_ref().map_or("null", |payload| payload.get());
        let job = NewJob::from_json(self.task, payload);
        let job = self.options.unwrap_or_default().apply(job);
        let mut schedule = Schedule::new(self.name, job);
        schedule = set(schedule, self.cron, Schedule::cron);
        schedule = set(schedule, self.every, Schedule::every);
        schedule = set(schedule, self.every_ms.map(Into::into), Schedule::every_span);
        schedule = set(schedule, self.at, Schedule::at);
        schedule = set(schedule, self.on, Schedule::on);
        schedule = set(schedule, self.hour, Schedule::hour);
        schedule = set(schedule, self.minute, Schedule::minute);
        schedule = set(schedule, self.day_of_month, Schedule::day_of_month);
        schedule = set(schedule, self.time_zone, Schedule::time_zone);
        schedule = set(schedule, self.start, Schedule::start);
        schedule = set(schedule, self.end, Schedule::end);
        schedule = set(schedule, self.jitter_ms.map(Into::into), Schedule::jitter);
        schedule = set(schedule, self.missed.map(Into::into), Schedule::missed);
        schedule = set(schedule, overlap.transpose()?, Schedule::overlap);
        Ok(set(schedule, on_lost.transpose()?, Schedule::on_lost))
    }
}

/// The one of these that has this name.
fn named<T: Copy>(key: &str, name: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T> {
    all.iter().copied().find(|one| word(*one) == name).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| word(*one)).collect();
        let message = format!("{key} is {name:?}: it takes {}", names.join(", "));
        Error::new(ErrorKind::InvalidOption, message)
    })
}
