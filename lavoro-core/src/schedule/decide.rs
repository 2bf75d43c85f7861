//! What becomes of each slot: a pure function of the schedule, its state and the time.

use super::{Missed, Overlap, Timing};
use chrono::{DateTime, TimeDelta, Utc};

/// A slot that is looked at later than this was missed: nobody was running.
const ON_TIME: TimeDelta = TimeDelta::seconds(15);
/// How many missed slots are recorded one by one; those before are recorded together.
const RECORDED: usize = 1000;
/// How long until it is looked again whether a run has ended that a slot waits for.
const LOOK: TimeDelta = TimeDelta::milliseconds(200);

/// What is decided by.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(crate) timing: &'a Timing,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
    /// Every slot up to here has been decided.
    pub(crate) decided: DateTime<Utc>,
    /// The slot that waits for a run to end.
    pub(crate) queued: Option<DateTime<Utc>>,
    /// The latest run has not ended.
    pub(crate) open: bool,
    /// The latest run was lost, and a person must look at it.
    pub(crate) held: bool,
    pub(crate) now: DateTime<Utc>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) slot: DateTime<Utc>,
    /// `fired`, `skipped`, `missed` or, until that is known, `queued`.
    pub(crate) decision: &'static str,
    pub(crate) reason: Option<&'static str>,
    /// The decision is that on all slots from `slot` to this one.
    pub(crate) until: Option<DateTime<Utc>>,
}

/// What is to be done with a schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) decisions: Vec<Decided>,
    /// Every slot up to here has been decided then.
    pub(crate) decided: DateTime<Utc>,
    pub(crate) queued: Option<DateTime<Utc>>,
    /// When to look again.
    pub(crate) next: Option<DateTime<Utc>>,
}

/// Decides on every slot up to now that has not been decided.
pub(crate) fn decide(course: &Course<'_>) -> Plan {
    let Course { timing, now, .. } = course;
    let mut run = Run { course, open: course.open, queued: None, decisions: Vec::new() };
    if let Some(slot) = course.queued {
        run.fire(slot);
    }
    let on_time = (*now - ON_TIME).max(course.decided);
    let prompt = timing.slots_between(on_time, *now, usize::MAX);
    if on_time > course.decided {
        run.late(on_time, prompt.is_empty());
    }
    for slot in prompt {
        run.fire(slot);
    }
    let decided = course.decided.max(*now);
    let next = timing.next_after(decided);
    let look = run.queued.map(|_| *now + LOOK);
    Plan {
        decisions: run.decisions,
        decided,
        queued: run.queued,
        next: [next, look].into_iter().flatten().min(),
    }
}

/// How many milliseconds after its slot a job is due: always the same for one slot, and spread
/// evenly over those of many schedules.
pub(crate) fn delay(schedule: i64, slot: DateTime<Utc>, jitter: i64) -> i64 {
    if jitter <= 0 {
        return 0;
    }
    // SplitMix64: neighbouring numbers give unlike ones.
    let mut x = schedule.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ slot.timestamp_millis().cast_unsigned();
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        x = (x ^ (x >> 30)).wrapping_mul(factor);
    }
    i64::try_from((x ^ (x >> 31)) % jitter.cast_unsigned()).unwrap_or(0)
}

/// A plan in the making.
struct Run<'a> {
    course: &'a Course<'a>,
    open: bool,
    queued: Option<DateTime<Utc>>,
    decisions: Vec<Decided>,
}

impl Run<'_> {
    /// A slot that fires if nothing is in its way.
    fn fire(&mut self, slot: DateTime<Utc>) {
        let waits = self.course.queued == Some(slot);
        let overlap = self.course.overlap;
        let (decision, reason) = if self.course.held {
            ("skipped", Some("a lost run is held"))
        } else if !self.open || overlap == Overlap::Allow {
            self.open = true;
            ("fired", None)
        } else if overlap == Overlap::Queue && self.queued.is_none() {
            self.queued = Some(slot);
            if waits {
                return; // recorded when it began to wait
            }
            ("queued", None)
        } else if overlap == Overlap::Queue {
            ("skipped", Some("another slot waits"))
        } else {
            ("skipped", Some("the previous run has not ended"))
        };
        self.decisions.push(Decided { slot, decision, reason, until: None });
    }

    /// The slots that are late, up to `until`.
    fn late(&mut self, until: DateTime<Utc>, alone: bool) {
        let Course { timing, missed, decided, now, .. } = *self.course;
        let slots = timing.latest_slots(decided, until, RECORDED + 1);
        let fires = |slot: &DateTime<Utc>, within: std::time::Duration| {
            TimeDelta::from_std(within).is_ok_and(|within| now - *slot <= within)
        };
        let first = match missed {
            Missed::Skip => slots.len(),
            Missed::Latest { within } => match slots.last() {
                Some(slot) if alone && fires(slot, within) => slots.len() - 1,
                _ => slots.len(),
            },
            Missed::All { within, limit } => {
                let few = slots.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
                slots[few..]
                    .iter()
                    .position(|slot| fires(slot, within))
                    .map_or(slots.len(), |n| few + n)
            }
        };
        let mut gone = slots.as_slice();
        if slots.len() > RECORDED {
            let together = timing.next_after(decided).unwrap_or(slots[0]);
            self.miss(together, Some(slots[0]).filter(|until| *until > together));
            gone = &slots[1..];
        }
        let skipped = slots.len() - gone.len();
        for (place, slot) in gone.iter().enumerate() {
            if place + skipped < first {
                self.miss(*slot, None);
            } else {
                self.fire(*slot);
            }
        }
    }

    fn miss(&mut self, slot: DateTime<Utc>, until: Option<DateTime<Utc>>) {
        let reason = Some("nobody was running");
        self.decisions.push(Decided { slot, decision: "missed", reason, until });
    }
}
