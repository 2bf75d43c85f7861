//! Deleting jobs that have been kept long enough.

use crate::clock;
use crate::error::Result;
use crate::options::Timing;
use crate::retention::Retention;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How many jobs one step deletes at least and at most: it looks at one block.
const JOBS: (i64, i64) = (16, 4096);

/// How long a step may take before the next one deletes fewer: payloads may be large.
const LONG: Duration = Duration::from_millis(200);

/// Deletes old jobs block by block, in rounds: each ends when no block is due any more, or when
/// another pruner is at work.
#[derive(Debug)]
pub(crate) struct Pruner {
    store: Arc<Store>,
    timing: Timing,
    /// The print of the rules that this round began with; `None`: none has begun.
    round: Option<i64>,
    /// How many jobs the next step may delete.
    jobs: i64,
}

impl Pruner {
    pub(crate) fn new(store: Arc<Store>, timing: Timing) -> Self {
        Self { store, timing, round: None, jobs: JOBS.1 }
    }

    async fn begin(&mut self) -> Result<i64> {
        if let Some(print) = self.round {
            return Ok(print);
        }
        let kept = Retention::BUILT_IN.spans().into_iter().filter_map(|(_, span)| span).max();
        self.store.sweep(kept.unwrap_or_default()).await?;
        let print = self.store.note_kept().await?;
        self.round = Some(print);
        Ok(print)
    }

    /// Fewer after a step that took long, so that none runs into its deadline.
    fn adapt(&mut self, took: Duration) {
        self.jobs = if took > LONG { self.jobs / 2 } else { self.jobs * 2 }.clamp(JOBS.0, JOBS.1);
    }
}

impl Step for Pruner {
    const NAME: &'static str = "pruning";

    async fn run_once(&mut self) -> Result<Duration> {
        let print = self.begin().await?;
        let began = clock::now();
        let Some(pruned) = self.store.prune(self.jobs, print, self.timing.prune, None).await?
        else {
            self.round = None;
            return Ok(self.timing.prune);
        };
        let took = clock::now().saturating_sub(began);
        self.adapt(took);
        if pruned.deleted > 0 {
            tracing::debug!(jobs = pruned.deleted, "pruned ended jobs");
        }
        Ok(took) // leaves room for others
    }

    fn failed(&mut self) {
        self.round = None;
        self.jobs = (self.jobs / 4).max(JOBS.0);
    }
}
