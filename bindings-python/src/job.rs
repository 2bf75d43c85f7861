//! A job that a worker holds.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::operation::Operation;
use crate::runtime::Runtime;
use lavoro_core::StopReason;
use pyo3::prelude::*;

#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Job(OfProcess<Held>);

#[derive(Debug)]
struct Held {
    job: lavoro_core::Job,
    runtime: Runtime,
}

impl Job {
    pub(crate) fn new(job: lavoro_core::Job, runtime: Runtime) -> Self {
        Self(OfProcess::new(Held { job, runtime }))
    }

    /// The job. What is only read may be read in a forked process too.
    pub(crate) fn inner(&self) -> &lavoro_core::Job {
        &self.0.anywhere().job
    }
}

#[pymethods]
impl Job {
    #[getter]
    fn id(&self) -> i64 {
        self.inner().id()
    }

    #[getter]
    fn token(&self) -> String {
        self.inner().token().to_string()
    }

    #[getter]
    fn task(&self) -> &str {
        self.inner().task()
    }

    #[getter]
    fn queue(&self) -> &str {
        self.inner().queue()
    }

    #[getter]
    fn attempt(&self) -> u32 {
        self.inner().attempt()
    }

    #[getter]
    fn max_attempts(&self) -> u32 {
        self.inner().max_attempts()
    }

    #[getter]
    fn priority(&self) -> i32 {
        self.inner().priority()
    }

    #[getter]
    fn suspect(&self) -> bool {
        self.inner().is_suspect()
    }

    #[getter]
    fn created_at(&self) -> String {
        self.inner().created_at().to_rfc3339()
    }

    #[getter]
    fn claimed_at(&self) -> String {
        self.inner().claimed_at().to_rfc3339()
    }

    /// Seconds.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.inner().timeout().map(|timeout| timeout.as_secs_f64())
    }

    #[getter]
    fn tags(&self) -> Vec<String> {
        self.inner().tags().to_vec()
    }

    /// JSON text.
    #[getter]
    fn payload(&self) -> &str {
        self.inner().payload_json()
    }

    /// JSON text.
    #[getter]
    fn metadata(&self) -> Option<&str> {
        self.inner().metadata_json()
    }

    #[getter]
    fn traceparent(&self) -> Option<String> {
        self.inner().traceparent()
    }

    #[getter]
    fn tracestate(&self) -> Option<String> {
        self.inner().tracestate()
    }

    /// The schedule's name, and the slot as of RFC 3339.
    #[getter]
    fn slot(&self) -> Option<(String, String)> {
        self.inner().slot().map(|slot| (slot.schedule, slot.slot.to_rfc3339()))
    }

    /// Why the handler should stop, if it should.
    #[getter]
    fn stop_reason(&self) -> Option<&'static str> {
        self.inner().stop_reason().map(|reason| match reason {
            StopReason::Cancelled => "cancelled",
            StopReason::Timeout => "timeout",
            StopReason::Shutdown => "shutdown",
            StopReason::LostContact => "lost_contact",
            StopReason::LostLease => "lost_lease",
        })
    }

    /// Says how far the job has come; `data` is JSON text. Never waits.
    #[pyo3(signature = (percent, message, data))]
    fn progress(
        &self,
        percent: Option<f32>,
        message: Option<&str>,
        data: Option<&str>,
    ) -> PyResult<()> {
        let job = &self.0.get()?.job;
        job.progress_json(percent, message, data).map_err(|error| raise(&error))
    }

    /// Adds lines to the job's log. Never waits.
    fn log(&self, line: &str) -> PyResult<()> {
        self.0.get()?.job.log(line);
        Ok(())
    }

    /// Saves JSON text for the next attempt.
    fn save_checkpoint(&self, data: String) -> PyResult<Operation> {
        let Held { job, runtime } = self.0.get()?;
        let job = job.clone();
        Ok(Operation::new(runtime, async move {
            job.save_checkpoint_json(&data).await?;
            Ok(Answer::Nothing)
        }))
    }

    /// What was saved last, as JSON text.
    fn checkpoint(&self) -> PyResult<Operation> {
        let Held { job, runtime } = self.0.get()?;
        let job = job.clone();
        let work = async move { Ok(Answer::Text(job.checkpoint_json().await?)) };
        Ok(Operation::new(runtime, work))
    }
}
