//! Deleting jobs that have been kept long enough.

use crate::clock;
use crate::error::Result;
use crate::options::Timing;
use crate::retention::Retention;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How many jobs one step deletes at most, all of a block; after steps that took long, since
/// payloads may be large or the server busy; and after failures.
const JOBS: [i64; 3] = [4096, 256, 16];

/// How many decisions on slots of schedules a round deletes at most, and how long they are kept.
const SLOTS: i64 = 50_000;
const SLOTS_KEPT: Duration = Duration::from_hours(7 * 24);

/// How long a step may take before the next one deletes fewer.
const LONG: Duration = Duration::from_millis(500);

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
        Self { store, timing, round: None, jobs: JOBS[0] }
    }

    async fn begin(&mut self) -> Result<i64> {
        if let Some(print) = self.round {
            return Ok(print);
        }
        let kept = Retention::BUILT_IN.spans().into_iter().filter_map(|(_, span)| span).max();
        self.store.sweep(kept.unwrap_or_default()).await?;
        self.store.fold_tally().await?;
        self.store.prune_slots(SLOTS, SLOTS_KEPT).await?;
        let print = self.store.note_kept(self.timing.prune).await?;
        self.round = Some(print);
        Ok(print)
    }

    /// Fewer after a step that took long, so that none runs into its deadline; but a block is
    /// looked at in every step, so not too few.
    fn adapt(&mut self, took: Duration) {
        let [most, few, _] = JOBS;
        self.jobs = if took > LONG {
            few.max(self.jobs / 2).min(self.jobs)
        } else {
            most.min(self.jobs * 2)
        };
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
        Ok(took / 4) // leaves room for others
    }

    fn failed(&mut self) {
        self.round = None;
        self.jobs = (self.jobs / 4).max(JOBS[2]);
    }
}
