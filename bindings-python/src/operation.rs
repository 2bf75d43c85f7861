//! Something that takes time, to be waited for in one of two ways.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::mailbox::{Delivery, Mailbox};
use crate::runtime::Runtime;
use futures_util::future::BoxFuture;
use lavoro_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a thread that waits looks whether the user has pressed Ctrl-C.
const GLANCE: Duration = Duration::from_millis(100);

type Work = BoxFuture<'static, Result<Answer>>;

/// Something that has not begun yet. It is used once, by `wait` or by `send`.
#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Operation(OfProcess<Waiting>);

struct Waiting {
    runtime: Runtime,
    work: Mutex<Option<Work>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Operation {
    pub(crate) fn new(
        runtime: &Runtime,
        work: impl Future<Output = Result<Answer>> + Send + 'static,
    ) -> Self {
        let work: Work = Box::pin(work);
        Self(OfProcess::new(Waiting { runtime: runtime.clone(), work: Mutex::new(Some(work)) }))
    }

    fn take(&self) -> PyResult<(Runtime, Work)> {
        let waiting = self.0.get()?;
        let work = waiting.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work = work.ok_or_else(|| {
            raise(&Error::new(ErrorKind::Internal, "an operation was used twice"))
        })?;
        Ok((waiting.runtime.clone(), work))
    }
}

#[pymethods]
impl Operation {
    /// Waits for the answer. Other threads of Python's go on meanwhile; Ctrl-C ends the wait.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (runtime, work) = self.take()?;
        let (reply, answer) = channel();
        let task = runtime.handle().spawn(async move {
            let _ = reply.send(work.await);
        });
        let answer = Mutex::new(answer);
        loop {
            let came = py.detach(|| {
                answer.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(GLANCE)
            });
            match came {
                Ok(answer) => {
                    return answer.map_err(|error| raise(&error))?.into_python(py);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(interrupt) = py.check_signals() {
                        task.abort();
                        return Err(interrupt);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(raise(&Error::new(ErrorKind::Internal, "a task ended early")));
                }
            }
        }
    }

    /// Has the answer put into the mailbox, under this number.
    fn send(&self, mailbox: &Mailbox, number: u64) -> PyResult<()> {
        let (runtime, work) = self.take()?;
        let mail = mailbox.open()?;
        let inner = mail.clone();
        let task = runtime.handle().spawn(async move {
            let answer = work.await;
            inner.put(Delivery { number, answer });
        });
        mail.expect(number, task.abort_handle());
        Ok(())
    }
}
