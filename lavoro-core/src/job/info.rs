//! Jobs as a person sees them.

use super::{JobId, JobState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One attempt that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// `failed`, `timeout`, `panicked`, `lost`, `cancelled` or `expired`.
    pub kind: String,
    /// What the handler, or Lavoro, said.
    pub message: String,
    /// Whether the attempt counts against `max_attempts`.
    pub counted: bool,
    /// When it ended, by the server's clock.
    pub failed_at: DateTime<Utc>,
}

/// A job as it stands in the database: a row of the view `lavoro.jobs`.
#[derive(Clone, Debug, Serialize)]
pub struct JobInfo {
    /// The job's number, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: JobId,
    /// The task.
    pub task: String,
    /// The queue.
    pub queue: String,
    /// Where it is in its life.
    pub state: JobState,
    /// The priority.
    pub priority: i32,
    /// The current or last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How many attempts it has.
    pub max_attempts: u32,
    /// When it may run, or might first run.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When its current or last attempt was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The name of the worker that runs or ran it.
    pub worker: Option<String>,
    /// The payload.
    pub payload: serde_json::Value,
    /// What its handler returned.
    pub result: Option<serde_json::Value>,
    /// Its failed attempts, oldest first.
    pub errors: Vec<JobError>,
    /// Its labels.
    pub tags: Vec<String>,
    /// The application's own data beside the payload.
    pub metadata: Option<serde_json::Value>,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// How many milliseconds one attempt may take, if that is limited.
    pub timeout_ms: Option<u32>,
    /// How far its handler says it has come.
    pub progress: Option<Progress>,
    /// When it is cancelled unless an attempt has begun.
    pub expires_at: Option<DateTime<Utc>>,
    /// The task of its follow-up if it is discarded.
    pub on_discarded: Option<String>,
}

/// How far a job's handler says it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 100.
    pub percent: Option<f32>,
    /// For people.
    pub message: Option<String>,
    /// For programs.
    pub data: Option<serde_json::Value>,
    /// When it was said, by the server's clock.
    pub updated_at: DateTime<Utc>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: serde::Serializer>(id: &JobId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
