//! A lock that is held.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::operation::Operation;
use crate::runtime::Runtime;
use lavoro_core::LockLoss;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Dropping it releases it in the background.
#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Lock(OfProcess<Held>);

#[derive(Debug)]
struct Held {
    lock: Arc<lavoro_core::Lock>,
    runtime: Runtime,
}

impl Lock {
    pub(crate) fn new(lock: lavoro_core::Lock, runtime: Runtime) -> Self {
        Self(OfProcess::new(Held { lock: Arc::new(lock), runtime }))
    }

    fn operate<F>(&self, work: impl FnOnce(Arc<lavoro_core::Lock>) -> F) -> PyResult<Operation>
    where
        F: Future<Output = lavoro_core::Result<Answer>> + Send + 'static,
    {
        let Held { lock, runtime } = self.0.get()?;
        Ok(Operation::new(runtime, work(Arc::clone(lock))))
    }
}

#[pymethods]
impl Lock {
    #[getter]
    fn name(&self) -> PyResult<&str> {
        Ok(self.0.get()?.lock.name())
    }

    #[getter]
    fn owner(&self) -> PyResult<&str> {
        Ok(self.0.get()?.lock.owner())
    }

    #[getter]
    fn fencing_token(&self) -> PyResult<i64> {
        Ok(self.0.get()?.lock.fencing_token())
    }

    #[getter]
    fn held(&self) -> PyResult<bool> {
        Ok(self.0.get()?.lock.is_held())
    }

    /// Seconds.
    #[getter]
    fn remaining(&self) -> PyResult<f64> {
        Ok(self.0.get()?.lock.remaining().as_secs_f64())
    }

    /// Why it is lost, if so.
    #[getter]
    fn loss(&self) -> PyResult<Option<&'static str>> {
        Ok(self.0.get()?.lock.loss().map(word))
    }

    fn extend(&self, span_ms: u64) -> PyResult<Operation> {
        self.operate(|lock| async move {
            lock.extend(Duration::from_millis(span_ms)).await?;
            Ok(Answer::Nothing)
        })
    }

    /// Waits until it is lost; answers why.
    fn lost(&self) -> PyResult<Operation> {
        self.operate(|lock| async move {
            let why = lock.lost().await;
            Ok(Answer::Text(Some(word(why).to_owned())))
        })
    }

    fn release(&self) -> PyResult<Operation> {
        self.operate(|lock| async move { Ok(Answer::Flag(lock.release().await?)) })
    }

    /// The lock as text, for another process. It is a secret.
    fn serialise(&self) -> PyResult<String> {
        self.0.get()?.lock.serialise().map_err(|error| raise(&error))
    }
}

fn word(why: LockLoss) -> &'static str {
    match why {
        LockLoss::LostContact => "lost_contact",
        LockLoss::Lost => "lost",
        LockLoss::Closed => "closed",
    }
}
