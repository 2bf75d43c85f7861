//! The engine of the testing kit.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::job::Job;
use crate::operation::Operation;
use crate::runtime::Runtime;
use crate::worker::outcome;
use lavoro_core::testing::{Drained, Drainer as Engine};
use lavoro_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Hands out every job that may run, one after another, until none is left.
#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Drainer(OfProcess<Open>);

#[derive(Debug)]
struct Open {
    engine: Arc<Mutex<Option<Engine>>>,
    runtime: Runtime,
}

impl Drainer {
    pub(crate) fn new(engine: Engine, runtime: Runtime) -> Self {
        Self(OfProcess::new(Open { engine: Arc::new(Mutex::new(Some(engine))), runtime }))
    }

    fn operate<F>(
        &self,
        work: impl FnOnce(Arc<Mutex<Option<Engine>>>, Runtime) -> F,
    ) -> PyResult<Operation>
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        let Open { engine, runtime } = self.0.get()?;
        Ok(Operation::new(runtime, work(Arc::clone(engine), runtime.clone())))
    }
}

#[pymethods]
impl Drainer {
    /// Runs jobs that are due by then (RFC 3339), as if it were then.
    fn at(&self, instant: &str) -> PyResult<Operation> {
        let wrong = |_| {
            let message = format!("at is {instant:?}: it takes an instant as of RFC 3339");
            raise(&Error::new(ErrorKind::InvalidTime, message))
        };
        let instant = serde_json::from_value(serde_json::json!(instant)).map_err(wrong)?;
        self.operate(|engine, _| async move {
            engine.lock().await.as_ref().ok_or_else(over)?.at(instant).await;
            Ok(Answer::Nothing)
        })
    }

    /// Ends with an error after so many attempts.
    fn limit(&self, attempts: usize) -> PyResult<Operation> {
        self.operate(|engine, _| async move {
            engine.lock().await.as_ref().ok_or_else(over)?.limit(attempts).await;
            Ok(Answer::Nothing)
        })
    }

    /// The next job to run; `None` if none is left.
    fn next(&self) -> PyResult<Operation> {
        self.operate(|engine, runtime| async move {
            let job = engine.lock().await.as_ref().ok_or_else(over)?.next().await?;
            Ok(Answer::Job(job.map(|job| Box::new(Job::new(job, runtime)))))
        })
    }

    /// Takes this very job.
    fn take(&self, id: i64) -> PyResult<Operation> {
        self.operate(move |engine, runtime| async move {
            let job = engine.lock().await.as_ref().ok_or_else(over)?.take(id).await?;
            Ok(Answer::Job(Some(Box::new(Job::new(job, runtime)))))
        })
    }

    /// Reports an outcome as `Worker.finish` takes it, and waits until it is committed.
    #[pyo3(signature = (job, said))]
    fn finish(&self, job: &Job, said: Option<Bound<'_, PyAny>>) -> PyResult<Operation> {
        let outcome = outcome(said.as_ref())?;
        let job = job.inner().clone();
        self.operate(|engine, _| async move {
            engine.lock().await.as_ref().ok_or_else(over)?.finish(&job, outcome).await?;
            Ok(Answer::Nothing)
        })
    }

    /// Ends the drain. Answers JSON: `attempts`, `completed`, `cancelled`, `discarded`,
    /// `waiting`, `failures` (`job`, `task`, `attempt`, `message`).
    fn end(&self) -> PyResult<Operation> {
        self.operate(|engine, _| async move {
            let engine = engine.lock().await.take().ok_or_else(over)?;
            Ok(Answer::Text(Some(show(&engine.end().await?))))
        })
    }
}

fn over() -> Error {
    Error::new(ErrorKind::Closed, "the drain has ended")
}

fn show(drained: &Drained) -> String {
    let failures = drained.failures.iter().map(|failed| {
        serde_json::json!({
            "job": failed.job.to_string(),
            "task": failed.task,
            "attempt": failed.attempt,
            "message": failed.message,
        })
    });
    let shown = serde_json::json!({
        "attempts": drained.attempts,
        "completed": drained.completed,
        "cancelled": drained.cancelled,
        "discarded": drained.discarded,
        "waiting": drained.waiting,
        "failures": failures.collect::<Vec<_>>(),
    });
    shown.to_string()
}
