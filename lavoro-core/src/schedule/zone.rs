//! Time zones: wall clocks to instants and back.
//!
//! The zones are compiled in, so that all processes of one version agree, whatever their machines
//! have installed.

use crate::error::{Error, ErrorKind, Result};
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{GapInfo, Tz};

/// The longest stretch of time that a clock set back repeats.
const REPEATED: TimeDelta = TimeDelta::hours(25);

/// A zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone(Tz);

/// The instants at which a wall clock shows a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instants {
    One(DateTime<Utc>),
    /// The clock was set back in between.
    Two(DateTime<Utc>, DateTime<Utc>),
    /// The clock was set forward over it: the first instant after that.
    Gap(DateTime<Utc>),
}

impl Zone {
    /// The zone of this name.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        name.parse().map(Self).map_err(|_| {
            let message = format!(
                "time_zone is {name:?}: it takes a name of the IANA database ({}), such as \
                 Europe/Rome or UTC",
                chrono_tz::IANA_TZDB_VERSION
            );
            Error::new(ErrorKind::InvalidSchedule, message)
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a wall clock shows.
    pub(super) fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// When a wall clock shows this. `None`: beyond what can be reckoned with.
    pub(super) fn instants(self, local: NaiveDateTime) -> Option<Instants> {
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(at) => Some(Instants::One(at.to_utc())),
            LocalResult::Ambiguous(first, second) => {
                let (first, second) = (first.to_utc(), second.to_utc());
                Some(Instants::Two(first.min(second), first.max(second)))
            }
            LocalResult::None => {
                let end = GapInfo::new(&local, &self.0)?.end?;
                Some(Instants::Gap(end.to_utc()))
            }
        }
    }

    /// When the clock is next set back, if that is after `after`, not after `until`, and near
    /// enough to repeat what the clock showed at `after`.
    pub(super) fn set_back(
        self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let until = until.min(after + REPEATED);
        let (mut low, mut offset) = (after, self.offset(after));
        while low < until {
            let high = (low + TimeDelta::hours(1)).min(until);
            let next = self.offset(high);
            if next < offset {
                return Some(self.turn(low, high, offset));
            }
            (low, offset) = (high, next);
        }
        None
    }

    /// The first second of (low, high] at which the offset is another one.
    fn turn(self, low: DateTime<Utc>, high: DateTime<Utc>, offset: i32) -> DateTime<Utc> {
        let (mut low, mut high) = (low.timestamp(), high.timestamp());
        while high - low > 1 {
            let middle = low.midpoint(high);
            let at = DateTime::from_timestamp(middle, 0).unwrap_or_default();
            if self.offset(at) == offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        DateTime::from_timestamp(high, 0).unwrap_or_default()
    }

    fn offset(self, at: DateTime<Utc>) -> i32 {
        self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
    }
}
