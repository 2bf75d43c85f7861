//! Deleting jobs that have been kept long enough.

use crate::error::Result;
use crate::options::Timing;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How many ended jobs one step looks at.
const JOBS: i64 = 2000;

/// Walks over ended jobs in the order of their ids, a bounded number at a time, and deletes the
/// old among them.
#[derive(Debug)]
pub(crate) struct Pruner {
    store: Arc<Store>,
    timing: Timing,
    after: i64,
}

impl Pruner {
    pub(crate) fn new(store: Arc<Store>, timing: Timing) -> Self {
        Self { store, timing, after: 0 }
    }
}

impl Step for Pruner {
    const NAME: &'static str = "pruning";

    async fn run_once(&mut self) -> Result<Duration> {
        let keep = (self.timing.keep_completed, self.timing.keep_discarded);
        let pruned = self.store.prune(self.after, JOBS, keep, None).await?;
        if pruned.deleted > 0 {
            tracing::debug!(jobs = pruned.deleted, "pruned ended jobs");
        }
        if let Some(next) = pruned.next {
            self.after = next;
            return Ok(Duration::from_millis(10)); // leaves room for others
        }
        self.after = 0;
        self.store.sweep(keep.0.max(keep.1)).await?;
        self.store.fold_tally().await?;
        Ok(self.timing.prune)
    }
}
