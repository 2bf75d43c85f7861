//! The worker: JavaScript pulls jobs and reports outcomes.

use crate::desk::{Desk, NativeDesk};
use crate::error::{closed, thrown};
use crate::events::NativeEvents;
use lavoro_core::{Finish, Lavoro, Outcome, PullWorker, Verdict, WorkerOptions};
use napi::Result;
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A worker without handlers.
#[napi]
#[derive(Debug)]
pub struct NativeWorker {
    worker: RwLock<Option<Arc<PullWorker>>>,
    desk: Arc<Desk>,
    stuck: Mutex<Option<JoinHandle<()>>>,
}

impl NativeWorker {
    pub(crate) async fn start(lavoro: &Lavoro, options: WorkerOptions) -> Result<Self> {
        let worker = Box::pin(PullWorker::start(lavoro, options)).await.map_err(thrown)?;
        let (worker, desk) = (Arc::new(worker), Desk::new(lavoro));
        let (watched, told) = (Arc::clone(&worker), Arc::clone(&desk));
        let stuck = tokio::spawn(async move {
            watched.stuck().await;
            told.tell(0, "stuck");
        });
        Ok(Self { worker: RwLock::new(Some(worker)), desk, stuck: Mutex::new(Some(stuck)) })
    }

    fn worker(&self) -> Result<Arc<PullWorker>> {
        let worker = self.worker.read().unwrap_or_else(PoisonError::into_inner);
        worker.clone().ok_or_else(|| closed("worker"))
    }
}

#[napi]
impl NativeWorker {
    /// The worker's number in the database.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> Result<String> {
        Ok(self.worker()?.id().to_string())
    }

    /// Where the worker answers HTTP requests, if it was asked to.
    #[napi(getter, catch_unwind)]
    pub fn address(&self) -> Result<Option<String>> {
        Ok(self.worker()?.address().map(|address| address.to_string()))
    }

    /// What its handlers speak through.
    #[napi(getter, catch_unwind)]
    pub fn desk(&self) -> NativeDesk {
        NativeDesk::new(&self.desk)
    }

    /// How the worker is, as JSON.
    #[napi(catch_unwind)]
    pub fn health(&self) -> Result<String> {
        serde_json::to_string(&self.worker()?.health())
            .map_err(|error| napi::Error::from_reason(error.to_string()))
    }

    /// Listens to what happens from now on.
    #[napi(catch_unwind)]
    pub fn events(&self) -> Result<NativeEvents> {
        Ok(NativeEvents::new(self.worker()?.events()))
    }

    /// Waits for up to `max` jobs, as a JSON array. `null`: the worker stops, no more will come.
    #[napi(catch_unwind)]
    pub async fn next_jobs(&self, max: u32) -> Result<Option<String>> {
        let Ok(worker) = self.worker() else { return Ok(None) };
        let jobs = worker.next_jobs(usize::try_from(max).unwrap_or(usize::MAX)).await;
        if jobs.is_empty() {
            return Ok(None);
        }
        self.desk.admit(jobs).map(Some).map_err(thrown)
    }

    /// Reports outcomes, each as JSON (empty: complete, without a result). Answers, when all are
    /// recorded, the serials of those that were refused.
    #[napi(catch_unwind)]
    pub async fn finish(&self, serials: Vec<u32>, outcomes: Vec<String>) -> Result<Vec<u32>> {
        let worker = self.worker()?;
        let mut reported = Vec::with_capacity(serials.len());
        let mut batch = Vec::with_capacity(serials.len());
        let mut refused = Vec::new();
        for (serial, outcome) in serials.into_iter().zip(outcomes) {
            let Some(job) = self.desk.dismiss(serial) else {
                refused.push(serial);
                continue;
            };
            reported.push(serial);
            batch.push(Finish { job: job.id(), token: job.token(), outcome: read(&outcome) });
        }
        let verdicts = worker.finish(batch).await;
        let stale = reported.into_iter().zip(verdicts);
        refused.extend(stale.filter(|(_, v)| *v == Verdict::Stale).map(|(serial, _)| serial));
        Ok(refused)
    }

    /// Stops. Answers whether all handlers had returned in time; later calls wait for the first,
    /// and answer true.
    #[napi(catch_unwind)]
    pub async fn stop(&self, timeout_ms: u32) -> Result<bool> {
        let Ok(worker) = self.worker() else { return Ok(true) };
        let drained = worker.stop(Duration::from_millis(timeout_ms.into())).await;
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stuck) = stuck {
            stuck.abort();
        }
        self.desk.tell(0, "end");
        self.worker.write().unwrap_or_else(PoisonError::into_inner).take();
        Ok(drained)
    }
}

/// An outcome as JavaScript says it. One that cannot be read is a defect on that side: the
/// attempt has failed, and nobody else's outcome suffers.
pub(crate) fn read(outcome: &str) -> Outcome {
    if outcome.is_empty() {
        return Outcome::complete();
    }
    lavoro_bindings::outcome(outcome.as_bytes())
        .unwrap_or_else(|error| Outcome::retry(format!("the outcome cannot be read: {error}")))
}
