//! Hearing that someone wants a running job cancelled.

use super::board::Board;
use crate::error::Result;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often wishes are looked for while jobs run.
const LOOK: Duration = Duration::from_millis(500);

/// Tells handlers. A look, not a message: it works behind poolers too, and finds nothing nearly
/// always, for the price of one look at an empty table.
#[derive(Debug)]
pub(super) struct Cancels {
    pub(super) store: Arc<Store>,
    pub(super) board: Arc<Board>,
    pub(super) worker: Arc<AtomicI64>,
}

impl Step for Cancels {
    const NAME: &'static str = "looking for jobs to cancel";

    async fn run_once(&mut self) -> Result<Duration> {
        if self.board.is_running() {
            let wanted = self.store.cancels_wanted(self.worker.load(Ordering::Acquire)).await?;
            self.board.cancel(&wanted);
        }
        Ok(LOOK)
    }
}
