//! When the slots of a schedule are: pure functions of an instant.

use super::cron::Cron;
use super::zone::Zone;
use chrono::{DateTime, TimeDelta, Utc};

/// What repeats.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Wall clocks in a zone make an expression true.
    Cron(Box<Cron>, Zone),
    /// Every so many milliseconds, counted in real time from the epoch plus an offset.
    Every { every: i64, offset: i64 },
}

/// The slots of a schedule: strictly ascending instants.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) pattern: Pattern,
    /// No slot is sooner.
    pub(crate) start: Option<DateTime<Utc>>,
    /// This and what is later is no slot.
    pub(crate) end: Option<DateTime<Utc>>,
}

impl Timing {
    /// The first slot after an instant; `None`: there is none any more.
    pub(crate) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let floor = self.start.map(|start| start - TimeDelta::microseconds(1));
        let after = floor.map_or(after, |floor| floor.max(after));
        let next = match &self.pattern {
            Pattern::Cron(cron, zone) => cron.next_after(*zone, after)?,
            Pattern::Every { every, offset } => next_multiple(*every, *offset, after)?,
        };
        Some(next).filter(|next| self.end.is_none_or(|end| *next < end))
    }

    /// The first `limit` slots after `after` and not after `until`.
    pub(crate) fn slots_between(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<DateTime<Utc>> {
        let next = |at: &DateTime<Utc>| self.next_after(*at).filter(|slot| *slot <= until);
        std::iter::successors(next(&after), next).take(limit).collect()
    }

    /// The last `limit` slots after `after` and not after `until`, ascending; found without
    /// walking over what may be years of others.
    pub(crate) fn latest_slots(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<DateTime<Utc>> {
        let mut window = TimeDelta::seconds(1);
        loop {
            let from = until.checked_sub_signed(window).map_or(after, |from| from.max(after));
            let mut slots = self.slots_between(from, until, usize::MAX);
            if slots.len() >= limit || from <= after {
                return slots.split_off(slots.len().saturating_sub(limit));
            }
            window = window * 2;
        }
    }
}

/// The first multiple of `every` plus `offset` after an instant.
fn next_multiple(every: i64, offset: i64, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let passed = after.timestamp_millis().checked_sub(offset)?.div_euclid(every);
    DateTime::from_timestamp_millis(passed.checked_add(1)?.checked_mul(every)?.checked_add(offset)?)
}
