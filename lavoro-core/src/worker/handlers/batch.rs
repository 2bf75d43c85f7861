//! Handlers that take several jobs in one call.

use super::attempt::{given_up, panicked};
use super::outcome::IntoOutcome;
use crate::job::Job;
use crate::outcome::Outcome;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

type Run = dyn Fn(Vec<Job>) -> BoxFuture<'static, Vec<Outcome>> + Send + Sync;

/// A batch handler, in its common form.
#[derive(Clone)]
pub(super) struct BatchHandler {
    pub(super) max_jobs: usize,
    run: Arc<Run>,
}

impl BatchHandler {
    pub(super) fn new<F, Fut, O>(max_jobs: usize, handler: F) -> Self
    where
        F: Fn(Vec<Job>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<O>> + Send + 'static,
        O: IntoOutcome,
    {
        let into_outcomes =
            |said: Vec<O>| said.into_iter().map(IntoOutcome::into_outcome).collect();
        let run = Arc::new(move |jobs| handler(jobs).map(into_outcomes).boxed());
        Self { max_jobs, run }
    }

    /// Runs the jobs and answers an outcome for each, in their order. The call is dropped only
    /// when every one of them should stop.
    pub(super) async fn attempt(&self, jobs: Vec<Job>, grace: Duration) -> Vec<Outcome> {
        let watched = jobs.clone();
        let run = AssertUnwindSafe(async { (self.run)(jobs).await }).catch_unwind();
        tokio::pin!(run);
        let reasons = tokio::select! {
            biased;
            said = &mut run => return fit(said, watched.len()),
            reasons = join_all(watched.iter().map(Job::stopped)) => reasons,
        };
        if !grace.is_zero()
            && reasons.contains(&crate::signal::StopReason::Shutdown)
            && let Ok(said) = tokio::time::timeout(grace, run).await
        {
            return fit(said, watched.len());
        }
        reasons.into_iter().map(given_up).collect()
    }
}

/// One outcome per job, or the same failure for each.
fn fit(said: std::thread::Result<Vec<Outcome>>, jobs: usize) -> Vec<Outcome> {
    match said {
        Ok(outcomes) if outcomes.len() == jobs => outcomes,
        Ok(outcomes) => {
            let count = outcomes.len();
            let complaint =
                format!("the batch handler returned {count} outcomes for {jobs} jobs: none counts");
            vec![Outcome::retry(complaint); jobs]
        }
        Err(panic) => vec![panicked(&*panic); jobs],
    }
}
