//! Where the figures come from.

use chrono::{DateTime, Utc};
use lavoro_core::{JobFilter, JobState, Lavoro, QueueStatistics, Result, WorkerInfo};
use serde::Serialize;
use std::time::Duration;

/// How many failures are shown.
const FAILURES: u32 = 10;
/// Over how long rates are taken: workers record what they did every ten seconds.
const WINDOW: Duration = Duration::from_mins(1);

/// One look at the database.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    /// When, by this machine's clock.
    pub(super) at: DateTime<Utc>,
    pub(super) schema: String,
    /// Jobs completed per second, over the last minute.
    pub(super) throughput: f64,
    pub(super) queues: Vec<Queue>,
    pub(super) workers: Vec<Worker>,
    /// The newest discarded jobs.
    pub(super) failures: Vec<Failed>,
}

/// A queue as it is now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) available: i64,
    pub(super) scheduled: i64,
    pub(super) retrying: i64,
    pub(super) running: i64,
    /// For how many seconds its oldest available job has been due.
    pub(super) oldest_seconds: Option<u64>,
    /// Jobs completed per second, over the last minute.
    pub(super) completed_per_second: f64,
    pub(super) paused: bool,
    /// The tasks with waiting jobs that no live worker handles.
    pub(super) unhandled: Vec<String>,
}

/// A worker that has not ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Worker {
    pub(super) name: String,
    /// `alive` or `silent`.
    pub(super) state: String,
    pub(super) language: String,
    pub(super) running: u32,
    pub(super) slots: u32,
    /// For how many seconds it has held its oldest job.
    pub(super) oldest_seconds: Option<u64>,
    pub(super) queues: Vec<String>,
}

/// A job that was discarded.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    /// A decimal string, since JavaScript reads large numbers wrong.
    pub(super) id: String,
    pub(super) queue: String,
    pub(super) task: String,
    pub(super) finished_at: Option<DateTime<Utc>>,
    /// The first line of its last error.
    pub(super) error: String,
}

/// Asks the database.
#[derive(Debug)]
pub(super) struct Source {
    lavoro: Lavoro,
}

impl Source {
    /// A source that asks through this client.
    pub(super) fn new(lavoro: Lavoro) -> Self {
        Self { lavoro }
    }

    /// The client behind it.
    pub(super) fn lavoro(&self) -> &Lavoro {
        &self.lavoro
    }

    /// Looks.
    pub(super) async fn sample(&self) -> Result<Sample> {
        let failed =
            JobFilter { state: Some(JobState::Discarded), limit: FAILURES, ..JobFilter::default() };
        let statistics = self.lavoro.statistics(WINDOW).await?;
        let workers = self.lavoro.workers().await?;
        let failures = self.lavoro.list_jobs(failed).await?;
        let completed = statistics.iter().map(|queue| queue.figures.completed_per_second);
        Ok(Sample {
            at: Utc::now(),
            schema: self.lavoro.schema().to_owned(),
            throughput: rounded(completed.sum()),
            queues: statistics.into_iter().map(Queue::from).collect(),
            workers: workers.into_iter().map(Worker::from).collect(),
            failures: failures.into_iter().map(Failed::from).collect(),
        })
    }
}

impl From<QueueStatistics> for Queue {
    fn from(queue: QueueStatistics) -> Self {
        let figures = queue.figures;
        Self {
            name: queue.queue,
            available: figures.available,
            scheduled: figures.scheduled,
            retrying: figures.retrying,
            running: figures.running,
            oldest_seconds: figures.oldest_wait.map(|wait| wait.as_secs()),
            completed_per_second: rounded(figures.completed_per_second),
            paused: queue.paused_at.is_some(),
            unhandled: queue.unhandled,
        }
    }
}

impl From<WorkerInfo> for Worker {
    fn from(worker: WorkerInfo) -> Self {
        Self {
            name: worker.name,
            state: worker.state.to_string(),
            language: worker.language,
            running: worker.running,
            slots: worker.slots,
            oldest_seconds: worker.oldest_running_ms.map(|ms| ms / 1000),
            queues: worker.queues.into_keys().collect(),
        }
    }
}

impl From<lavoro_core::JobInfo> for Failed {
    fn from(job: lavoro_core::JobInfo) -> Self {
        let error = job.errors.last().and_then(|error| error.message.lines().next());
        let error = error.unwrap_or_default().to_owned();
        Self {
            id: job.id.to_string(),
            queue: job.queue,
            task: job.task,
            finished_at: job.finished_at,
            error,
        }
    }
}

fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}
