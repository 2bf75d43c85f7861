//! Running all jobs in a test.

use super::drainer::{Drained, Drainer};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::worker::{Handlers, WorkerBuilder};
use chrono::{DateTime, Utc};

/// Runs every job that may run, of all queues, with the handlers and the middleware of this
/// worker, one after another in the caller's task, until none is left: also those that handlers
/// enqueue meanwhile. The worker itself is not started, and its queues and concurrency do not
/// matter.
///
/// ```
/// use lavoro_core::{Error, Job, Lavoro, NewJob, Worker, testing};
/// use std::time::Duration;
///
/// # fn main() -> lavoro_core::Result<()> {
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let lavoro = Lavoro::connect("memory:").await?;
/// let worker = || {
///     Worker::builder(&lavoro)
///         .handler("remind", |job: Job| async move { job.payload::<String>() })
/// };
///
/// let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
/// lavoro.enqueue(NewJob::new("remind", "Ada").run_at(tomorrow)).await?;
///
/// assert_eq!(testing::drain(worker()).run().await?.attempts, 0);
/// assert_eq!(testing::drain(worker()).at(tomorrow).run().await?.completed, 1);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn drain(worker: WorkerBuilder) -> Drain {
    Drain { worker, at: None, limit: None }
}

/// A drain to [`run`](Self::run).
#[derive(Debug)]
#[must_use = "a drain runs nothing before `run`"]
pub struct Drain {
    worker: WorkerBuilder,
    at: Option<DateTime<Utc>>,
    limit: Option<usize>,
}

impl Drain {
    /// Runs jobs that are due by then, as if it were then: also those that wait after a failure.
    /// Default: now, by the server's clock.
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Ends with an error after so many attempts, so that a job that enqueues itself cannot hang
    /// a test. Default: 10 000.
    pub fn limit(mut self, attempts: usize) -> Self {
        self.limit = Some(attempts);
        self
    }

    /// Runs the jobs. That handlers fail is no error: see [`Drained`].
    ///
    /// # Errors
    /// `invalid_state` if a job has no handler, or the limit is reached; `timeout` if a job is
    /// there and cannot be claimed; what is wrong with the description of the worker, or with
    /// the database.
    pub async fn run(self) -> Result<Drained> {
        let (lavoro, options, handlers) = self.worker.into_parts()?;
        let drainer = Drainer::new(&lavoro, &options);
        if let Some(at) = self.at {
            drainer.at(at).await;
        }
        if let Some(limit) = self.limit {
            drainer.limit(limit).await;
        }
        let ran = run_all(&drainer, &handlers).await;
        let drained = drainer.end().await;
        ran.and(drained)
    }
}

async fn run_all(drainer: &Drainer, handlers: &Handlers) -> Result<()> {
    while let Some(job) = drainer.next().await? {
        let worker = drainer.worker_id().await;
        let outcome = handlers.attempt(vec![job.clone()], worker).await.pop();
        drainer.finish(&job, outcome.unwrap_or(Outcome::Release)).await?;
    }
    Ok(())
}
