//! Running jobs in a test.

use crate::desk::{Desk, NativeDesk};
use crate::error::{closed, thrown};
use crate::worker::read;
use lavoro_core::testing::Drainer;
use lavoro_core::{Error, ErrorKind, Lavoro, Verdict, WorkerOptions};
use napi::Result;
use napi_derive::napi;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Hands out one job after another until none is left.
#[napi]
#[derive(Debug)]
pub struct NativeDrainer {
    drainer: Mutex<Option<Drainer>>,
    desk: Arc<Desk>,
}

impl NativeDrainer {
    pub(crate) fn new(lavoro: &Lavoro, options: &WorkerOptions) -> Self {
        let drainer = Drainer::new(lavoro, options);
        Self { drainer: Mutex::new(Some(drainer)), desk: Desk::new(lavoro) }
    }
}

#[napi]
impl NativeDrainer {
    /// What its handlers speak through.
    #[napi(getter, catch_unwind)]
    pub fn desk(&self) -> NativeDesk {
        NativeDesk::new(&self.desk)
    }

    /// Runs jobs as if it were then.
    #[napi(catch_unwind)]
    pub async fn at(&self, instant: String) -> Result<()> {
        let instant = instant.parse().map_err(|_| {
            thrown(Error::new(ErrorKind::InvalidTime, format!("at is {instant:?}: no instant")))
        })?;
        if let Some(drainer) = &*self.drainer.lock().await {
            drainer.at(instant).await;
        }
        Ok(())
    }

    /// Ends with an error after so many attempts.
    #[napi(catch_unwind)]
    pub async fn limit(&self, attempts: u32) -> Result<()> {
        if let Some(drainer) = &*self.drainer.lock().await {
            drainer.limit(usize::try_from(attempts).unwrap_or(usize::MAX)).await;
        }
        Ok(())
    }

    /// The next job, as a JSON array of one. `null`: none is left.
    #[napi(catch_unwind)]
    pub async fn next(&self) -> Result<Option<String>> {
        let drainer = self.drainer.lock().await;
        let drainer = drainer.as_ref().ok_or_else(|| closed("drain"))?;
        let job = drainer.next().await.map_err(thrown)?;
        job.map(|job| self.desk.admit(vec![job]).map_err(thrown)).transpose()
    }

    /// Takes this very job, as a JSON array of one.
    #[napi(catch_unwind)]
    pub async fn take(&self, id: String) -> Result<String> {
        let id = id.parse().map_err(|_| {
            thrown(Error::new(ErrorKind::InvalidOption, "a job's number is a decimal string"))
        })?;
        let drainer = self.drainer.lock().await;
        let drainer = drainer.as_ref().ok_or_else(|| closed("drain"))?;
        let job = drainer.take(id).await.map_err(thrown)?;
        self.desk.admit(vec![job]).map_err(thrown)
    }

    /// Reports an outcome. Answers whether it was accepted.
    #[napi(catch_unwind)]
    pub async fn finish(&self, serial: u32, outcome: String) -> Result<bool> {
        let drainer = self.drainer.lock().await;
        let drainer = drainer.as_ref().ok_or_else(|| closed("drain"))?;
        let Some(job) = self.desk.dismiss(serial) else { return Ok(false) };
        let verdict = drainer.finish(&job, read(&outcome)).await.map_err(thrown)?;
        Ok(verdict == Verdict::Accepted)
    }

    /// Says what became of the jobs, as JSON.
    #[napi(catch_unwind)]
    pub async fn end(&self) -> Result<String> {
        let drainer = self.drainer.lock().await.take().ok_or_else(|| closed("drain"))?;
        let drained = drainer.end().await;
        self.desk.tell(0, "end");
        let drained = drained.map_err(thrown)?;
        let failures = drained.failures.iter().map(|failed| {
            json!({
                "job": failed.job.to_string(),
                "task": failed.task,
                "attempt": failed.attempt,
                "message": failed.message,
            })
        });
        let shown = json!({
            "attempts": drained.attempts,
            "completed": drained.completed,
            "cancelled": drained.cancelled,
            "discarded": drained.discarded,
            "waiting": drained.waiting,
            "failures": failures.collect::<Vec<_>>(),
        });
        Ok(shown.to_string())
    }
}
