//! What a job that a schedule enqueued stands for.

use super::JobInfo;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The schedule that a job comes from, and the slot that it stands for: what its metadata holds
/// under the key `schedule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSlot {
    /// The schedule's name.
    #[serde(rename = "name")]
    pub schedule: String,
    /// The slot; of a run by hand, when it was asked for.
    pub slot: DateTime<Utc>,
}

impl JobSlot {
    /// The slot that metadata names, if it names one.
    pub(super) fn of(metadata: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(metadata.get("schedule")?.clone()).ok()
    }
}

impl JobInfo {
    /// The schedule and the slot that the job was enqueued for, if it was.
    #[must_use]
    pub fn slot(&self) -> Option<JobSlot> {
        JobSlot::of(self.metadata.as_ref()?)
    }
}
