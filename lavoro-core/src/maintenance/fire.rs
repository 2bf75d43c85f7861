//! Firing schedules.

use crate::error::Result;
use crate::options::Timing;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many schedules one transaction decides on; after failures.
const SCHEDULES: (i64, i64) = (1000, 50);

/// Decides on slots as they come, and on those that passed while nobody was running.
#[derive(Debug)]
pub(crate) struct Firer {
    store: Arc<Store>,
    poll: Duration,
    woken: Arc<Notify>,
    limit: i64,
}

impl Firer {
    pub(crate) fn new(store: Arc<Store>, timing: Timing, woken: Arc<Notify>) -> Self {
        Self { store, poll: timing.poll, woken, limit: SCHEDULES.0 }
    }
}

impl Step for Firer {
    const NAME: &'static str = "firing schedules";

    async fn run_once(&mut self) -> Result<Duration> {
        // Others may make a schedule at any time, so no wait is longer than a poll.
        let next = self.store.next_slot().await?;
        if next != Some(Duration::ZERO) {
            return Ok(next.unwrap_or(self.poll).min(self.poll));
        }
        let fired = self.store.fire(self.limit, None).await?;
        self.limit = SCHEDULES.0;
        if fired.schedules == 0 {
            // Another firer holds what is due.
            return Ok(self.poll / 10);
        }
        if fired.jobs > 0 {
            tracing::debug!(jobs = fired.jobs, "schedules enqueued jobs");
            self.woken.notify_one();
            if fired.idle {
                self.store.hint(fired.queues).await?;
            }
        }
        Ok(Duration::ZERO)
    }

    fn failed(&mut self) {
        self.limit = SCHEDULES.1;
    }
}
