//! Noticing that a worker can do nothing more: every slot holds a handler that does not return
//! though its attempt is over.

use super::board::Board;
use crate::error::Result;
use crate::service::Step;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Looks at the slots, and closes a worker that is stuck: it neither claims nor hands out any
/// more, so that whoever supervises it starts another.
#[derive(Debug)]
pub(super) struct StuckWatch {
    pub(super) board: Arc<Board>,
    pub(super) after: Duration,
    pub(super) worker: Arc<AtomicI64>,
}

impl Step for StuckWatch {
    const NAME: &'static str = "looking for stuck handlers";

    async fn run_once(&mut self) -> Result<Duration> {
        let Some(before) = Instant::now().checked_sub(self.after) else { return Ok(LOOK) };
        if self.board.close_if_stuck(before) {
            tracing::error!(
                worker = self.worker.load(Ordering::Acquire),
                "every slot holds a handler that does not return though its attempt is over: \
                 this worker can do nothing more and must be started again"
            );
        }
        Ok(LOOK.min(self.after))
    }
}
