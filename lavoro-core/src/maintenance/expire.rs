//! Ending jobs whose time to begin is over.

use crate::error::Result;
use crate::options::Timing;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How many jobs one step ends.
const JOBS: i64 = 500;

/// Cancels waiting jobs that have expired. A worker that claims one before sees it too, and does
/// not run it.
#[derive(Debug)]
pub(crate) struct Expirer {
    store: Arc<Store>,
    scan: Duration,
}

impl Expirer {
    pub(crate) fn new(store: Arc<Store>, timing: Timing) -> Self {
        Self { store, scan: timing.scan }
    }
}

impl Step for Expirer {
    const NAME: &'static str = "expiring";

    async fn run_once(&mut self) -> Result<Duration> {
        let (looked, expired) = self.store.expire(JOBS, None).await?;
        if expired > 0 {
            tracing::info!(jobs = expired, "cancelled jobs that had expired");
        }
        // What someone else holds is looked at again with the next scan.
        Ok(if looked == JOBS && expired > 0 { Duration::ZERO } else { self.scan })
    }
}
