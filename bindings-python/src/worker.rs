//! The pull worker and its events.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::job::Job;
use crate::operation::Operation;
use crate::runtime::Runtime;
use futures_util::FutureExt as _;
use lavoro_core::{EventStream, Finish, Outcome, PullWorker};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Worker(OfProcess<Running>);

#[derive(Debug)]
struct Running {
    worker: Arc<PullWorker>,
    runtime: Runtime,
}

impl Worker {
    pub(crate) fn new(worker: PullWorker, runtime: Runtime) -> Self {
        Self(OfProcess::new(Running { worker: Arc::new(worker), runtime }))
    }

    fn operate<F>(&self, work: impl FnOnce(Arc<PullWorker>, Runtime) -> F) -> PyResult<Operation>
    where
        F: Future<Output = lavoro_core::Result<Answer>> + Send + 'static,
    {
        let Running { worker, runtime } = self.0.get()?;
        Ok(Operation::new(runtime, work(Arc::clone(worker), runtime.clone())))
    }
}

#[pymethods]
impl Worker {
    #[getter]
    fn id(&self) -> PyResult<i64> {
        Ok(self.0.get()?.worker.id())
    }

    /// Where it answers HTTP requests, if it does.
    #[getter]
    fn address(&self) -> PyResult<Option<String>> {
        Ok(self.0.get()?.worker.address().map(|address| address.to_string()))
    }

    /// JSON text.
    fn health(&self) -> PyResult<String> {
        let health = self.0.get()?.worker.health();
        serde_json::to_string(&health).map_err(|error| {
            raise(&lavoro_core::Error::new(lavoro_core::ErrorKind::Internal, error.to_string()))
        })
    }

    /// Waits for jobs; answers up to `max` of them. None: the worker stops.
    fn next_jobs(&self, max: usize) -> PyResult<Operation> {
        self.operate(|worker, runtime| async move {
            let jobs = worker.next_jobs(max).await;
            Ok(Answer::Jobs(jobs.into_iter().map(|job| Job::new(job, runtime.clone())).collect()))
        })
    }

    /// Reports outcomes: `None` for done, a `str` for done with this JSON as its result, `bytes`
    /// for the JSON of `lavoro_bindings::outcome`. Their slots are free at once. Never waits.
    fn finish(&self, outcomes: Vec<(Bound<'_, Job>, Option<Bound<'_, PyAny>>)>) -> PyResult<()> {
        let worker = &self.0.get()?.worker;
        let batch = outcomes.iter().map(|(job, said)| {
            let job = job.get().inner();
            let outcome = outcome(said.as_ref())?;
            Ok(Finish { job: job.id(), token: job.token(), outcome })
        });
        let batch = batch.collect::<PyResult<Vec<_>>>()?;
        // The reports are made when it is polled first; what comes later are the verdicts.
        let _ = worker.finish(batch).now_or_never();
        Ok(())
    }

    /// Stops; see `PullWorker::stop`. Answers whether all handlers had returned in time.
    fn stop(&self, timeout_ms: u64) -> PyResult<Operation> {
        self.operate(|worker, _| async move {
            Ok(Answer::Flag(worker.stop(Duration::from_millis(timeout_ms)).await))
        })
    }

    /// Waits until every slot is held by a handler that does not return.
    fn stuck(&self) -> PyResult<Operation> {
        self.operate(|worker, _| async move {
            worker.stuck().await;
            Ok(Answer::Nothing)
        })
    }

    /// Listens from now on.
    fn events(&self) -> PyResult<Events> {
        let Running { worker, runtime } = self.0.get()?;
        let stream = Arc::new(Mutex::new(worker.events()));
        Ok(Events(OfProcess::new(Listening { stream, runtime: runtime.clone() })))
    }
}

/// What a handler said of its job.
pub(crate) fn outcome(said: Option<&Bound<'_, PyAny>>) -> PyResult<Outcome> {
    let Some(said) = said else { return Ok(Outcome::complete()) };
    if let Ok(json) = said.cast::<PyString>() {
        return Ok(Outcome::complete_with_json(json.to_cow()?.as_ref()));
    }
    let json = said.cast::<PyBytes>()?;
    lavoro_bindings::outcome(json.as_bytes()).map_err(|error| raise(&error))
}

#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Events(OfProcess<Listening>);

#[derive(Debug)]
struct Listening {
    stream: Arc<Mutex<EventStream>>,
    runtime: Runtime,
}

#[pymethods]
impl Events {
    /// Waits for the next event, JSON text; `None`: the worker has ended.
    fn next(&self) -> PyResult<Operation> {
        let Listening { stream, runtime } = self.0.get()?;
        let stream = Arc::clone(stream);
        Ok(Operation::new(runtime, async move {
            let event = stream.lock().await.next().await;
            let text = event.map(|event| lavoro_bindings::event_json(&event)).transpose()?;
            Ok(Answer::Text(text))
        }))
    }
}
