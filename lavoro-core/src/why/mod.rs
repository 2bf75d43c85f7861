//! Why a job does not run: facts in, verdict out.
//!
//! Of all that stands in a job's way one thing is named: the first that would have to go. The
//! order of the questions is in `judge`, the sentences are in `words`.

mod judge;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use judge::{Facts, Holder, Load};

use crate::job::{JobId, JobState};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Why a job does not run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The job, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: JobId,
    /// Where it is in its life.
    pub state: JobState,
    /// What stands in its way. Its details lie beside `reason` in JSON.
    #[serde(flatten)]
    pub reason: Reason,
    /// The same for people, in one sentence or two.
    pub message: String,
}

/// What keeps a job from running.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// It has ended.
    Ended {
        /// When, by the server's clock.
        finished_at: Option<DateTime<Utc>>,
        /// What its last failed attempt said.
        error: Option<String>,
    },
    /// It has ended, and cannot be retried: another job holds its unique key.
    UniqueKey {
        /// When it ended.
        finished_at: Option<DateTime<Utc>>,
        /// The key.
        unique_key: String,
        /// The job that holds it, a decimal string in JSON.
        #[serde(serialize_with = "as_string")]
        holder: JobId,
    },
    /// It expired before an attempt began: it is cancelled, or will be in a moment.
    Expired {
        /// When.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A worker runs it.
    Running {
        /// The worker's name.
        worker: Option<String>,
        /// Since when.
        started_at: Option<DateTime<Utc>>,
    },
    /// A worker runs it, and has not obeyed a wish to cancel it yet.
    CancelRequested {
        /// The worker's name.
        worker: Option<String>,
        /// Since when it runs.
        started_at: Option<DateTime<Utc>>,
        /// When the wish was uttered.
        requested_at: DateTime<Utc>,
    },
    /// The worker that holds it is silent, or gone: others will take the job from it.
    LostWorker {
        /// The worker's name.
        worker: Option<String>,
        /// When it last showed that it lives.
        beat_at: Option<DateTime<Utc>>,
        /// From when on another worker may take the job.
        rescue_at: DateTime<Utc>,
        /// How many live workers could.
        rescuers: usize,
    },
    /// Its time has not come.
    Scheduled {
        /// When it does.
        run_at: DateTime<Utc>,
    },
    /// It waits after a failed attempt.
    Retrying {
        /// Until when.
        run_at: DateTime<Utc>,
        /// How many attempts were counted so far.
        attempt: u32,
        /// Of how many.
        max_attempts: u32,
        /// What the last one said.
        error: Option<String>,
    },
    /// Its time has come, and nobody has made it available yet.
    NotPromoted {
        /// When its time came.
        run_at: DateTime<Utc>,
        /// How many live workers could do it.
        promoters: usize,
    },
    /// Its queue is paused.
    PausedQueue {
        /// The queue.
        queue: String,
        /// Since when.
        paused_at: DateTime<Utc>,
    },
    /// No worker lives.
    NoWorker,
    /// Workers live, and none has a handler for its task.
    NoWorkerForTask {
        /// The task.
        task: String,
        /// What the live workers have handlers for.
        tasks: Vec<String>,
    },
    /// Workers with a handler for its task live, and none of them serves its queue.
    NoWorkerForQueue {
        /// The queue.
        queue: String,
        /// The queues of those that have a handler for its task.
        queues: Vec<String>,
    },
    /// Every worker that could take it has all its slots taken.
    Busy {
        /// Those workers.
        workers: Vec<BusyWorker>,
        /// How long ago the oldest of their jobs was taken, in milliseconds.
        oldest_running_ms: Option<u64>,
    },
    /// It was leased beside a crash, and waits for a process that holds no other such job.
    Suspect {
        /// How many processes could take it if they did not.
        processes: usize,
    },
    /// Others of its lane (queue, task, priority) come first.
    Behind {
        /// How many, about.
        jobs: u64,
        /// Whether there may be more: not all were counted.
        at_least: bool,
    },
    /// Nothing is in its way.
    AboutToBeClaimed,
}

/// A worker that could take a job if it had a free slot for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BusyWorker {
    /// Its number, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How many jobs it holds that take the same slots.
    pub running: u32,
    /// How many slots there are.
    pub slots: u32,
    /// How long ago it took the oldest of all its jobs, in milliseconds.
    pub oldest_running_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
