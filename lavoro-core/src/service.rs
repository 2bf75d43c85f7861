//! The one lifecycle of every background loop: start, one step at a time, stop.

use crate::error::Result;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a loop waits after its first failure, and at most after many.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a step may go on when its loop is stopped.
const MOMENT: Duration = Duration::from_millis(200);

/// What a background loop does, one step at a time.
pub(crate) trait Step: Send + 'static {
    /// For logs.
    const NAME: &'static str;
    /// Whether a step only waits for something to hear, so that a stop need not wait for it.
    const LISTENS: bool = false;

    /// Does what there is to do now. Answers how long to wait before the next step.
    fn run_once(&mut self) -> impl Future<Output = Result<Duration>> + Send;

    /// Called when a step has failed, before it is tried again.
    fn failed(&mut self) {}
}

/// A running loop.
#[derive(Debug)]
pub(crate) struct Service {
    /// Ends the loop when it is dropped.
    stop: DropGuard,
    listens: bool,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts a loop. `wake` cuts its waits short.
    pub(crate) fn start<S: Step>(runtime: &Handle, mut step: S, wake: Arc<Notify>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = runtime.spawn(async move {
            let mut patience = Patience::default();
            while !stopped.is_cancelled() {
                let pause = match step.run_once().await {
                    Ok(pause) => {
                        patience.reset();
                        pause
                    }
                    Err(error) => {
                        step.failed();
                        patience.next_after(S::NAME, &error)
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = wake.notified() => {}
                    () = stopped.cancelled() => {}
                }
            }
        });
        Self { stop: stop.drop_guard(), listens: S::LISTENS, task }
    }

    /// Ends the loop after its current step, which is given a moment: every step is safe to be
    /// broken off, and may be waiting for a database that does not answer.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let mut task = self.task;
        if self.listens || tokio::time::timeout(MOMENT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Waits that double with each failure in a row, with jitter so that a fleet does not come back
/// as one.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// After a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// After a failure: how long to wait. The first of a row is logged as a warning.
    pub(crate) fn next_after(&mut self, what: &str, error: &crate::Error) -> Duration {
        if self.failures == 0 {
            tracing::warn!(code = error.code(), %error, "{what} failed, and is tried again");
        } else {
            tracing::debug!(code = error.code(), %error, "{what} failed again");
        }
        self.pause()
    }

    /// The next wait.
    pub(crate) fn pause(&mut self) -> Duration {
        let doubled = PATIENCE.0 * 2_u32.saturating_pow(self.failures.min(10));
        self.failures += 1;
        doubled.min(PATIENCE.1).mul_f64(rand::random_range(0.5..1.0))
    }
}
