//! Making jobs available whose time has come.

use crate::error::Result;
use crate::options::Timing;
use crate::service::Step;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many packs one step moves.
const PACKS: i64 = 1000;

/// Moves due packs from `scheduled` to `ready`.
#[derive(Debug)]
pub(crate) struct Promoter {
    store: Arc<Store>,
    poll: Duration,
    woken: Arc<Notify>,
}

impl Promoter {
    pub(crate) fn new(store: Arc<Store>, timing: Timing, woken: Arc<Notify>) -> Self {
        Self { store, poll: timing.poll, woken }
    }
}

impl Step for Promoter {
    const NAME: &'static str = "promoting";

    async fn run_once(&mut self) -> Result<Duration> {
        // Others may schedule something sooner at any time, so no wait is longer than a poll.
        let pause = |next: Option<Duration>| next.unwrap_or(self.poll).min(self.poll);
        let next = self.store.next_due().await?;
        if next != Some(Duration::ZERO) {
            return Ok(pause(next));
        }
        let promoted = self.store.promote(PACKS, None).await?;
        if promoted.packs == 0 {
            // Another promoter holds what is due.
            return Ok(pause(promoted.next).max(Duration::from_millis(5)));
        }
        self.woken.notify_one();
        if promoted.idle {
            self.store.hint(promoted.queues).await?;
        }
        let more = promoted.packs == PACKS;
        Ok(if more { Duration::ZERO } else { pause(promoted.next) })
    }
}
