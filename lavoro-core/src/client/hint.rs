//! Waking idle workers, at most once per queue and moment.

use crate::store::Store;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The least time between two hints. NOTIFY makes commits wait for each other, so that one per
/// insert would halve the rate of a busy producer.
const INTERVAL: Duration = Duration::from_millis(5);

/// Sends hints behind the commits of a client. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hinter {
    queues: mpsc::UnboundedSender<String>,
}

impl Hinter {
    /// Starts the loop that sends them. It ends with the last clone.
    pub(crate) fn start(runtime: &Handle, store: Arc<Store>) -> Self {
        let (queues, mut wanted) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            while let Some(first) = wanted.recv().await {
                let mut queues = BTreeSet::from([first]);
                while let Ok(next) = wanted.try_recv() {
                    queues.insert(next);
                }
                // A hint that fails costs a late pick-up and no more: workers poll.
                let _ = store.hint(queues.into_iter().collect()).await;
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { queues }
    }

    /// Asks for the idle workers of a queue to be woken.
    pub(crate) fn hint(&self, queue: &str) {
        let _ = self.queues.send(queue.to_owned());
    }
}
