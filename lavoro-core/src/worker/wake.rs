//! Hearing that there is work: hints over LISTEN, where messages arrive.

use super::serving::Serving;
use crate::error::Result;
use crate::service::Step;
use crate::store::{Listener, Store};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the self-test waits for its own message.
const PATIENCE: Duration = Duration::from_secs(3);

/// The queues that a hint named since they were last asked for.
#[derive(Debug)]
pub(super) struct Hints {
    serving: Arc<Serving>,
    queues: Mutex<BTreeSet<String>>,
    pub(super) heard: Arc<Notify>,
}

impl Hints {
    /// For a worker that serves these queues.
    pub(super) fn new(serving: Arc<Serving>) -> Self {
        Self { serving, queues: Mutex::default(), heard: Arc::default() }
    }

    fn add(&self, queue: String) {
        if self.serving.entry(&queue).is_none() {
            return;
        }
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(queue);
        self.heard.notify_one();
    }

    /// Takes what was named.
    pub(super) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.queues.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Listens, and connects again when the connection breaks.
#[derive(Debug)]
pub(super) struct Ear {
    store: Arc<Store>,
    hints: Arc<Hints>,
    listener: Option<Listener>,
}

impl Ear {
    pub(super) fn new(store: Arc<Store>, hints: Arc<Hints>) -> Self {
        Self { store, hints, listener: None }
    }
}

impl Step for Ear {
    const NAME: &'static str = "listening";
    const LISTENS: bool = true;

    /// One message. It never waits longer than a while, so that a stop is noticed, and a
    /// half-open connection replaced.
    async fn run_once(&mut self) -> Result<Duration> {
        let Some(listener) = &mut self.listener else {
            self.listener = self.store.listen(PATIENCE).await?;
            if self.listener.is_none() {
                tracing::info!("messages do not arrive (a transaction pooler?): polling only");
                return Ok(Duration::from_mins(10));
            }
            // What was said before we listened is unknown.
            self.hints.heard.notify_one();
            return Ok(Duration::ZERO);
        };
        match tokio::time::timeout(Duration::from_secs(1), listener.hear()).await {
            Ok(Ok(Some(queue))) => self.hints.add(queue),
            Ok(Ok(None)) => {
                self.listener = None;
                self.hints.heard.notify_one();
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        Ok(Duration::ZERO)
    }

    fn failed(&mut self) {
        self.listener = None;
    }
}
