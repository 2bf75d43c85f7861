//! Schedules and their slots as a person sees them.

use super::{OnLost, Overlap};
use crate::job::JobId;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

/// A schedule as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleInfo {
    #[serde(skip)]
    pub(crate) id: i64,
    /// Its name.
    pub name: String,
    /// The task of its jobs.
    pub task: String,
    /// Their queue.
    pub queue: String,
    /// Its cron expression; one of this and `every_ms` is given.
    pub cron: Option<String>,
    /// Its interval, in milliseconds.
    pub every_ms: Option<u64>,
    /// How long after multiples of the interval, counted from the epoch, its slots are, in
    /// milliseconds.
    pub offset_ms: i64,
    /// The time zone in which the cron expression is meant.
    pub time_zone: String,
    /// No slot is sooner.
    pub start: Option<DateTime<Utc>>,
    /// This and what is later is no slot.
    pub end: Option<DateTime<Utc>>,
    /// Over how long its jobs are spread, in milliseconds.
    pub jitter_ms: u64,
    /// What becomes of missed slots: `skip`, `latest` or `all`.
    pub missed: String,
    /// How late a missed slot may be, in milliseconds.
    pub missed_within_ms: Option<u64>,
    /// How many missed slots fire at most.
    pub missed_limit: Option<u32>,
    /// What becomes of a slot while the latest run has not ended.
    pub overlap: Overlap,
    /// What becomes of a run whose worker was lost.
    pub on_lost: OnLost,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Whether its latest run was lost, and it skips slots until a person has retried that job or
    /// resumed the schedule.
    pub held: bool,
    /// Whether it was declared in code.
    pub declared: bool,
    /// Whether it was declared in code once, and no process that lives declares it now.
    pub undeclared: bool,
    /// Why it cannot fire, if it cannot.
    pub problem: Option<String>,
    /// The priority of its jobs.
    pub priority: i32,
    /// How often they are tried.
    pub max_attempts: u32,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// How long after they were enqueued they expire unless they have begun, in milliseconds.
    pub expires_ms: Option<u64>,
    /// The task of a follow-up job if one is discarded.
    pub on_discarded: Option<String>,
    /// Their tags.
    pub tags: Vec<String>,
    /// Their metadata, without their slot.
    pub metadata: Option<serde_json::Value>,
    /// Their payload.
    pub payload: serde_json::Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; a pause is no change.
    pub changed_at: DateTime<Utc>,
    /// Its next five slots; none while it is paused.
    pub next: Vec<DateTime<Utc>>,
    /// The slot that waits for a run to end.
    pub queued: Option<DateTime<Utc>>,
    /// The latest slot with a decision that is still recorded.
    pub last_slot: Option<DateTime<Utc>>,
    /// That decision: `fired`, `skipped`, `missed` or `queued`.
    pub last_decision: Option<String>,
    /// Its reason, unless it fired as usual.
    pub last_reason: Option<String>,
    /// The latest job. A decimal string in JSON.
    #[serde(serialize_with = "as_string_or_null")]
    pub last_job: Option<JobId>,
}

/// What became of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotInfo {
    /// The slot.
    pub slot: DateTime<Utc>,
    /// When that was decided, by the server's clock.
    pub decided_at: DateTime<Utc>,
    /// `fired`, `skipped`, `missed`, or `queued` while it waits for a run to end.
    pub decision: String,
    /// Why, unless it fired as usual.
    pub reason: Option<String>,
    /// The decision stands for all slots from `slot` to this one.
    pub until: Option<DateTime<Utc>>,
    /// The job of a slot that fired. A decimal string in JSON.
    #[serde(serialize_with = "as_string_or_null")]
    pub job: Option<JobId>,
}

#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
fn as_string_or_null<S: Serializer>(id: &Option<JobId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}
