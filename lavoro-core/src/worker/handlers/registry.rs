//! The handlers of a worker, and running jobs with them.

use super::attempt::{guarded, until_stopped};
use super::batch::BatchHandler;
use super::middleware::{Next, Run, Wrap};
use super::span;
use crate::job::Job;
use crate::outcome::{Failure, Outcome};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// When to try a failed job again.
pub(super) type Policy = dyn Fn(&Job, &Failure) -> Option<Duration> + Send + Sync;

/// How a task's jobs are run.
#[derive(Clone)]
pub(super) enum Handler {
    /// One by one.
    Single {
        run: Arc<Run>,
        /// Whether its future may be dropped before it is done.
        droppable: bool,
    },
    /// Several in one call.
    Batch(BatchHandler),
}

/// All that a worker runs jobs with.
pub(crate) struct Handlers {
    pub(super) by_task: HashMap<String, Handler>,
    pub(super) middleware: Arc<[Arc<Wrap>]>,
    pub(super) policies: HashMap<String, Arc<Policy>>,
    pub(super) grace: Duration,
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handlers").field("tasks", &self.by_task.keys()).finish_non_exhaustive()
    }
}

impl Handlers {
    /// How many jobs one call for this task takes.
    pub(super) fn batch_size(&self, task: &str) -> usize {
        match self.by_task.get(task) {
            Some(Handler::Batch(batch)) => batch.max_jobs,
            _ => 1,
        }
    }

    /// How many jobs one call takes at most, whatever the task.
    pub(super) fn largest_batch(&self) -> usize {
        self.by_task.keys().map(|task| self.batch_size(task)).max().unwrap_or(1)
    }

    /// Runs jobs of one task, no more than one call takes, and answers their outcomes in order.
    pub(crate) async fn attempt(&self, jobs: Vec<Job>, worker: i64) -> Vec<Outcome> {
        let handler = jobs.first().and_then(|job| self.by_task.get(job.task()));
        let outcomes = match handler {
            Some(Handler::Batch(batch)) => {
                let span = span::of_batch(&jobs, worker);
                batch.attempt(jobs.clone(), self.grace).instrument(span).await
            }
            Some(Handler::Single { run, droppable }) => {
                let mut outcomes = Vec::with_capacity(jobs.len());
                for job in &jobs {
                    outcomes.push(self.attempt_one(run, *droppable, job, worker).await);
                }
                outcomes
            }
            // A worker claims only tasks that it has handlers for.
            None => vec![Outcome::Release; jobs.len()],
        };
        let judged = jobs.iter().zip(outcomes);
        judged.map(|(job, outcome)| self.with_delay(job, outcome)).collect()
    }

    async fn attempt_one(
        &self,
        run: &Arc<Run>,
        droppable: bool,
        job: &Job,
        worker: i64,
    ) -> Outcome {
        let span = span::of_job(job, worker);
        let next = Next::new(&self.middleware, run);
        let run = guarded(next.run(job.clone()));
        let outcome =
            async { if droppable { until_stopped(run, job, self.grace).await } else { run.await } };
        let outcome = outcome.instrument(span.clone()).await;
        span::end(&span, &outcome);
        outcome
    }

    /// The task's own rule decides the delay if neither the handler nor the job does.
    fn with_delay(&self, job: &Job, outcome: Outcome) -> Outcome {
        let Outcome::Retry { failure, delay: None } = &outcome else { return outcome };
        let Some(policy) = self.policies.get(job.task()) else { return outcome };
        if job.has_own_backoff() {
            return outcome;
        }
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| policy(job, failure)));
        if asked.is_err() {
            tracing::error!(task = job.task(), job = job.id(), "a backoff rule panicked");
        }
        match asked.ok().flatten() {
            Some(delay) => Outcome::Retry { failure: failure.clone(), delay: Some(delay) },
            None => outcome,
        }
    }
}
