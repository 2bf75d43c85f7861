//! Merging concurrent enqueues into one statement and one commit.
//!
//! The first call goes at once; what arrives while its commit is under way goes together. There
//! is no added delay, and each caller gets its own id or its own error.

use super::closed;
use super::hint::Hinter;
use super::producer::Producer;
use crate::error::{Error, Result};
use crate::new_job::{CheckedJob, Enqueued};
use crate::store::{Batch, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// How many jobs one statement carries at most, and how many may wait.
const JOBS: usize = 1000;
const WAITING: usize = 10_000;
/// How many bytes of payload one statement carries at most, unless its only job is larger.
const BYTES: usize = 4 << 20;

/// A job with the caller that waits for its id.
type Call = (CheckedJob, oneshot::Sender<Result<Enqueued>>);

/// Accepts single jobs and commits them in batches.
#[derive(Debug)]
pub(super) struct Coalescer {
    calls: Mutex<Option<mpsc::Sender<Call>>>,
    sender: mpsc::WeakSender<Call>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Coalescer {
    pub(super) fn start(
        runtime: &Handle,
        store: Arc<Store>,
        hinter: Hinter,
        patience: Duration,
    ) -> Self {
        let (calls, waiting) = mpsc::channel(WAITING);
        let producer = Producer::new(store, patience);
        let sender = calls.downgrade();
        let task = runtime.spawn(Flusher { producer, hinter, waiting }.run());
        Self { calls: Mutex::new(Some(calls)), sender, task: Mutex::new(Some(task)) }
    }

    /// Enqueues a job without a unique key.
    pub(super) async fn enqueue(&self, job: CheckedJob) -> Result<Enqueued> {
        let (reply, answer) = oneshot::channel();
        let calls = self.sender.upgrade().ok_or_else(closed)?;
        calls.send((job, reply)).await.map_err(|_| closed())?;
        drop(calls);
        answer.await.map_err(|_| closed())?
    }

    /// Takes no more jobs, and waits until all that were taken are committed.
    pub(super) async fn close(&self) {
        drop(self.calls.lock().await.take());
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

struct Flusher {
    producer: Producer,
    hinter: Hinter,
    waiting: mpsc::Receiver<Call>,
}

impl Flusher {
    async fn run(mut self) {
        let mut calls = Vec::with_capacity(64);
        while self.waiting.recv_many(&mut calls, JOBS).await > 0 {
            while !calls.is_empty() {
                let bytes = calls.iter().scan(0, |sum, (job, _)| {
                    *sum += job.payload.size();
                    Some(*sum)
                });
                let fitting = bytes.take_while(|sum| *sum <= BYTES).count().max(1);
                let batch = calls.drain(..fitting).collect();
                self.flush(batch).await;
            }
        }
    }

    /// Commits calls together. If the database refuses them, halves find the one to blame.
    async fn flush(&mut self, calls: Vec<Call>) {
        let mut parts = vec![calls];
        while let Some(mut calls) = parts.pop() {
            let batch = Batch::new(calls.iter().map(|(job, _)| job));
            match self.producer.enqueue(&batch).await {
                Ok((ids, idle)) => {
                    for ((job, reply), id) in calls.into_iter().zip(ids) {
                        if idle {
                            self.hinter.hint(&job.queue);
                        }
                        let _ = reply.send(Ok(Enqueued { id, created: true }));
                    }
                }
                Err(error) if error.is_transient() || calls.len() == 1 => refuse(calls, &error),
                Err(_) => {
                    let second = calls.split_off(calls.len() / 2);
                    parts.push(second);
                    parts.push(calls);
                }
            }
        }
    }
}

fn refuse(calls: Vec<Call>, error: &Error) {
    for (_, reply) in calls {
        let copy = Error::new(error.kind(), error.message().to_owned());
        let copy = if error.is_transient() { copy.transient() } else { copy };
        let _ = reply.send(Err(copy));
    }
}
