//! One attempt of one job: until its handler returns, panics, or should stop.

use crate::job::Job;
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::signal::StopReason;
use futures_util::FutureExt as _;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Makes a panic an outcome.
pub(super) async fn guarded(run: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic))
}

/// Runs until it is done, or drops it when its job should stop. A stop of the worker leaves it
/// the worker's grace.
pub(super) async fn until_stopped(
    run: impl Future<Output = Outcome>,
    job: &Job,
    grace: Duration,
) -> Outcome {
    tokio::pin!(run);
    let reason = tokio::select! {
        biased;
        outcome = &mut run => return outcome,
        reason = job.stopped() => reason,
    };
    if reason == StopReason::Shutdown
        && !grace.is_zero()
        && let Ok(outcome) = tokio::time::timeout(grace, run).await
    {
        return outcome;
    }
    given_up(reason)
}

/// The outcome of an attempt whose handler was not waited for.
pub(super) fn given_up(reason: StopReason) -> Outcome {
    match reason {
        StopReason::Cancelled => Outcome::Cancel { reason: None },
        _ => Outcome::Release,
    }
}

/// The outcome of an attempt whose handler panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let said = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned());
    Outcome::Retry { failure: Failure::new(FailureKind::Panicked, said), delay: None }
}
