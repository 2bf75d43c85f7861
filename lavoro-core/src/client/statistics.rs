//! Figures of queues and workers.

use super::Lavoro;
use crate::error::Result;
use crate::limits;
use crate::statistics::{self, QueueStatistics};
use std::sync::Arc;
use std::time::Duration;

impl Lavoro {
    /// What every queue holds, and what workers did with its jobs within a window that ends now
    /// (1 second to 24 hours, for which counts are kept).
    ///
    /// # Errors
    /// `invalid_option`, or what is wrong with the database.
    pub async fn statistics(&self, window: Duration) -> Result<Vec<QueueStatistics>> {
        limits::check_range("window", &window, &limits::WINDOW)?;
        let store = Arc::clone(self.store());
        self.run(async move {
            let (depths, done) = (store.depths().await?, store.read_tally(window).await?);
            Ok(statistics::merge(depths, done, window))
        })
        .await
    }

    /// Figures of all queues and workers as `OpenMetrics` text, which Prometheus reads: depths,
    /// waits, what workers did so far and within the window, paused queues, unhandled jobs. It
    /// tells of at most 1000 pairs of queue and task.
    ///
    /// # Errors
    /// As [`statistics`](Self::statistics).
    pub async fn metrics(&self, window: Duration) -> Result<String> {
        let queues = self.statistics(window).await?;
        let store = Arc::clone(self.store());
        self.run(async move {
            let (totals, workers) = (store.tally_totals().await?, store.workers(false).await?);
            Ok(statistics::text(&queues, &totals, &workers))
        })
        .await
    }
}
