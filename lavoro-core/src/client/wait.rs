//! Waiting for jobs to end: one query for all that are waited for.

use super::closed;
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::service::Patience;
use crate::store::{Ended, Store};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// How often the waited-for are looked at: soon after the first of them came, then less often.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

type Call = (JobId, oneshot::Sender<Arc<Ended>>);

/// Tells callers when their jobs have ended.
#[derive(Debug)]
pub(crate) struct Waiter {
    calls: mpsc::UnboundedSender<Call>,
}

impl Waiter {
    pub(super) fn start(runtime: &Handle, store: Arc<Store>) -> Self {
        let (calls, waiting) = mpsc::unbounded_channel();
        runtime.spawn(watch(store, waiting));
        Self { calls }
    }

    /// Waits for a job's end, however long it takes.
    pub(super) async fn ended(&self, id: JobId) -> Result<Arc<Ended>> {
        let (reply, answer) = oneshot::channel();
        self.calls.send((id, reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| -> Error { closed() })
    }
}

async fn watch(store: Arc<Store>, mut waiting: mpsc::UnboundedReceiver<Call>) {
    let mut watched: HashMap<JobId, Vec<oneshot::Sender<Arc<Ended>>>> = HashMap::new();
    let mut pause = PAUSES.0;
    let mut patience = Patience::default();
    loop {
        let news = if watched.is_empty() {
            waiting.recv().await
        } else {
            let Ok(news) = tokio::time::timeout(pause, waiting.recv()).await else {
                pause = match look(&store, &mut watched).await {
                    Ok(()) => {
                        patience.reset();
                        (pause * 2).min(PAUSES.1)
                    }
                    Err(error) => patience.next_after("waiting for jobs", &error),
                };
                continue;
            };
            news
        };
        let Some((id, reply)) = news else { return };
        watched.entry(id).or_default().push(reply);
        pause = PAUSES.0;
    }
}

async fn look(
    store: &Store,
    watched: &mut HashMap<JobId, Vec<oneshot::Sender<Arc<Ended>>>>,
) -> Result<()> {
    watched.retain(|_, replies| {
        replies.retain(|reply| !reply.is_closed());
        !replies.is_empty()
    });
    for ended in store.ended(watched.keys().copied().collect()).await? {
        let ended = Arc::new(ended);
        for reply in watched.remove(&ended.job).unwrap_or_default() {
            let _ = reply.send(Arc::clone(&ended));
        }
    }
    Ok(())
}
