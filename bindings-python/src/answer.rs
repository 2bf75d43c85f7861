//! What operations answer.

use crate::client::Client;
use crate::job::Job;
use crate::lock::Lock;
use crate::worker::Worker;
use lavoro_core::JobHandle;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;

/// The answer of an operation, before it is Python's.
pub(crate) enum Answer {
    Nothing,
    Flag(bool),
    Text(Option<String>),
    Enqueued(JobHandle),
    EnqueuedMany(Vec<JobHandle>),
    Client(Box<Client>),
    Worker(Box<Worker>),
    Lock(Option<Box<Lock>>),
    Job(Option<Box<Job>>),
    Jobs(Vec<Job>),
}

impl Answer {
    /// Makes it Python's.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Nothing => Ok(py.None()),
            Self::Flag(flag) => flag.into_py_any(py),
            Self::Text(text) => text.into_py_any(py),
            Self::Enqueued(job) => (job.id(), job.is_new()).into_py_any(py),
            Self::EnqueuedMany(jobs) => {
                let jobs: Vec<_> = jobs.iter().map(|job| (job.id(), job.is_new())).collect();
                jobs.into_py_any(py)
            }
            Self::Client(client) => (*client).into_py_any(py),
            Self::Worker(worker) => (*worker).into_py_any(py),
            Self::Lock(lock) => lock.map(|lock| *lock).into_py_any(py),
            Self::Job(job) => job.map(|job| *job).into_py_any(py),
            Self::Jobs(jobs) => jobs.into_py_any(py),
        }
    }
}
