//! The client.

use crate::drainer::NativeDrainer;
use crate::error::{closed, thrown};
use crate::lock::{NativeLock, NativeLockRequest};
use crate::worker::NativeWorker;
use lavoro_core::{JobHandle, Lavoro};
use napi::Result;
use napi_derive::napi;
use std::sync::{PoisonError, RwLock};

/// A connection to one database and schema.
#[napi]
#[derive(Debug)]
pub struct NativeClient {
    lavoro: RwLock<Option<Lavoro>>,
}

/// Jobs that were enqueued, in the order in which they were given.
#[napi(object)]
#[derive(Debug)]
pub struct NativeEnqueued {
    /// Their numbers.
    pub ids: Vec<String>,
    /// The places of those that another job of the same unique key stands for.
    pub existing: Vec<u32>,
}

impl NativeEnqueued {
    fn of(handles: &[JobHandle]) -> Self {
        let old = handles.iter().zip(0..).filter(|(handle, _)| !handle.is_new());
        Self {
            ids: handles.iter().map(|handle| handle.id().to_string()).collect(),
            existing: old.map(|(_, place)| place).collect(),
        }
    }
}

/// Connects. Takes options as JSON.
#[napi(catch_unwind)]
pub async fn connect(options: String) -> Result<NativeClient> {
    let options = lavoro_bindings::connect_options(options.as_bytes()).map_err(thrown)?;
    let lavoro = Lavoro::connect_with(options).await.map_err(thrown)?;
    Ok(NativeClient { lavoro: RwLock::new(Some(lavoro)) })
}

impl NativeClient {
    fn lavoro(&self) -> Result<Lavoro> {
        let lavoro = self.lavoro.read().unwrap_or_else(PoisonError::into_inner);
        lavoro.clone().ok_or_else(|| closed("client"))
    }
}

#[napi]
impl NativeClient {
    /// The URL that other programs reach this database under. It may hold a password.
    #[napi(getter, catch_unwind)]
    pub fn url(&self) -> Result<String> {
        Ok(self.lavoro()?.url().to_owned())
    }

    /// The schema.
    #[napi(getter, catch_unwind)]
    pub fn schema(&self) -> Result<String> {
        Ok(self.lavoro()?.schema().to_owned())
    }

    /// Enqueues a job. Payload and options are JSON.
    #[napi(catch_unwind)]
    pub async fn enqueue(
        &self,
        task: String,
        payload: String,
        options: String,
    ) -> Result<NativeEnqueued> {
        let job = lavoro_bindings::new_job(&task, payload.as_bytes(), options.as_bytes());
        let handle = self.lavoro()?.enqueue(job.map_err(thrown)?).await.map_err(thrown)?;
        Ok(NativeEnqueued::of(&[handle]))
    }

    /// Enqueues jobs, given as a JSON array.
    #[napi(catch_unwind)]
    pub async fn enqueue_many(&self, jobs: String) -> Result<NativeEnqueued> {
        let jobs = lavoro_bindings::new_jobs(jobs.as_bytes()).map_err(thrown)?;
        let handles = self.lavoro()?.enqueue_many(jobs).await.map_err(thrown)?;
        Ok(NativeEnqueued::of(&handles))
    }

    /// Calls a method by its name. Arguments and answer are JSON.
    #[napi(catch_unwind)]
    pub async fn call(&self, method: String, arguments: String) -> Result<String> {
        let lavoro = self.lavoro()?;
        lavoro_bindings::call(&lavoro, &method, arguments.as_bytes()).await.map_err(thrown)
    }

    /// Starts a worker. Takes options as JSON.
    #[napi(catch_unwind)]
    pub async fn start_worker(&self, options: String) -> Result<NativeWorker> {
        let options = lavoro_bindings::worker_options(options.as_bytes()).map_err(thrown)?;
        NativeWorker::start(&self.lavoro()?, options).await
    }

    /// Begins a drain for a test. Takes a worker's options as JSON.
    #[napi(catch_unwind)]
    pub fn drainer(&self, options: String) -> Result<NativeDrainer> {
        let options = lavoro_bindings::worker_options(options.as_bytes()).map_err(thrown)?;
        Ok(NativeDrainer::new(&self.lavoro()?, &options))
    }

    /// Begins to take a lock. Nothing is sent yet.
    #[napi(catch_unwind)]
    pub fn lock(
        &self,
        name: String,
        lifetime_ms: Option<u32>,
        wait_ms: Option<u32>,
        owner: Option<String>,
    ) -> Result<NativeLockRequest> {
        Ok(NativeLockRequest::new(self.lavoro()?.lock(name), lifetime_ms, wait_ms, owner))
    }

    /// Holds a lock on that another process handed over.
    #[napi(catch_unwind)]
    pub async fn restore_lock(&self, text: String) -> Result<NativeLock> {
        let lock = self.lavoro()?.restore_lock(&text).await.map_err(thrown)?;
        Ok(NativeLock::new(lock))
    }

    /// Closes the client, after what is being enqueued has been committed. Later calls of
    /// methods are refused; a second close does nothing.
    #[napi(catch_unwind)]
    pub async fn close(&self) -> Result<()> {
        let lavoro = self.lavoro.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lavoro) = lavoro {
            lavoro.close().await;
            // An embedded server is waited for as it stops.
            let _ = tokio::task::spawn_blocking(move || drop(lavoro)).await;
        }
        Ok(())
    }
}
