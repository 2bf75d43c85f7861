//! A connection to one database and schema.

use crate::answer::Answer;
use crate::drainer::Drainer;
use crate::errors::raise;
use crate::fork::OfProcess;
use crate::job::Job;
use crate::lock::Lock;
use crate::operation::Operation;
use crate::runtime::Runtime;
use crate::worker::Worker;
use lavoro_core::{Lavoro, PullWorker};
use pyo3::prelude::*;
use std::time::Duration;

/// Begins to connect, with the options of `lavoro_bindings::connect_options`.
#[pyfunction]
pub(crate) fn connect(options: &[u8]) -> PyResult<Operation> {
    let options = lavoro_bindings::connect_options(options).map_err(|error| raise(&error))?;
    let runtime = Runtime::new().map_err(|error| raise(&error))?;
    let lent = runtime.clone();
    Ok(Operation::new(&runtime, async move {
        let lavoro = Lavoro::connect_with(options).await?;
        let open = Open { lavoro, runtime: lent };
        Ok(Answer::Client(Box::new(Client(OfProcess::new(open)))))
    }))
}

/// Creates or upgrades the schema; answers JSON, `{"applied": [versions]}`.
#[pyfunction]
pub(crate) fn migrate(options: Vec<u8>) -> PyResult<Operation> {
    let runtime = Runtime::new().map_err(|error| raise(&error))?;
    let work = async move { Ok(Answer::Text(Some(lavoro_bindings::migrate(&options).await?))) };
    Ok(Operation::new(&runtime, work))
}

/// A job as JSON, as `lavoro_bindings::job_json` writes it.
#[pyfunction]
pub(crate) fn job_json(job: &Job) -> PyResult<String> {
    lavoro_bindings::job_json(job.inner()).map_err(|error| raise(&error))
}

/// What `Client.call` knows: name, what it takes, what it answers.
pub(crate) fn methods() -> Vec<(&'static str, &'static str, &'static str)> {
    let all = lavoro_bindings::METHODS.iter();
    all.map(|method| (method.name, method.takes, method.answers)).collect()
}

#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Client(OfProcess<Open>);

#[derive(Debug)]
struct Open {
    lavoro: Lavoro,
    runtime: Runtime,
}

impl Client {
    /// An operation on the client.
    fn operate<F>(&self, work: impl FnOnce(Lavoro, Runtime) -> F) -> PyResult<Operation>
    where
        F: Future<Output = lavoro_core::Result<Answer>> + Send + 'static,
    {
        let Open { lavoro, runtime } = self.0.get()?;
        Ok(Operation::new(runtime, work(lavoro.clone(), runtime.clone())))
    }
}

#[pymethods]
impl Client {
    /// The URL that other programs reach this database under. It may hold a password.
    #[getter]
    fn url(&self) -> PyResult<&str> {
        Ok(self.0.get()?.lavoro.url())
    }

    #[getter]
    fn schema(&self) -> PyResult<&str> {
        Ok(self.0.get()?.lavoro.schema())
    }

    /// Enqueues a job. Answers its number, and whether it is new.
    fn enqueue(&self, task: &str, payload: &[u8], options: &[u8]) -> PyResult<Operation> {
        let job = lavoro_bindings::new_job(task, payload, options).map_err(|e| raise(&e))?;
        self.operate(|lavoro, _| async move { Ok(Answer::Enqueued(lavoro.enqueue(job).await?)) })
    }

    /// Enqueues the jobs of a JSON array. Answers a list of what `enqueue` answers.
    fn enqueue_many(&self, jobs: &[u8]) -> PyResult<Operation> {
        let jobs = lavoro_bindings::new_jobs(jobs).map_err(|error| raise(&error))?;
        self.operate(|lavoro, _| async move {
            Ok(Answer::EnqueuedMany(lavoro.enqueue_many(jobs).await?))
        })
    }

    /// Calls a method of `METHODS`; answers JSON.
    fn call(&self, method: String, arguments: Vec<u8>) -> PyResult<Operation> {
        self.operate(|lavoro, _| async move {
            let text = lavoro_bindings::call(&lavoro, &method, &arguments).await?;
            Ok(Answer::Text(Some(text)))
        })
    }

    /// The statement that completes a job in the caller's transaction, and its parameters.
    fn complete_sql(
        &self,
        job: &Job,
        result: Option<&str>,
    ) -> PyResult<(String, Vec<Option<String>>)> {
        let call = self.0.get()?.lavoro.complete_sql_json(job.inner(), result);
        Ok((call.text, call.parameters))
    }

    /// Starts a worker, with the options of `lavoro_bindings::worker_options`.
    fn start_worker(&self, options: &[u8]) -> PyResult<Operation> {
        let options = lavoro_bindings::worker_options(options).map_err(|error| raise(&error))?;
        self.operate(|lavoro, runtime| async move {
            let worker = PullWorker::start(&lavoro, options).await?;
            Ok(Answer::Worker(Box::new(Worker::new(worker, runtime))))
        })
    }

    /// Takes a lock; waits for it at most as long as `wait_ms`, or not at all.
    #[pyo3(signature = (name, lifetime_ms, wait_ms, owner))]
    fn lock(
        &self,
        name: String,
        lifetime_ms: Option<u64>,
        wait_ms: Option<u64>,
        owner: Option<String>,
    ) -> PyResult<Operation> {
        self.operate(|lavoro, runtime| async move {
            let mut wish = lavoro.lock(name);
            if let Some(lifetime) = lifetime_ms {
                wish = wish.lifetime(Duration::from_millis(lifetime));
            }
            if let Some(owner) = owner {
                wish = wish.owner(owner);
            }
            let lock = match wait_ms {
                Some(wait) => Some(wish.wait(Duration::from_millis(wait)).acquire().await?),
                None => wish.try_acquire().await?,
            };
            Ok(Answer::Lock(lock.map(|lock| Box::new(Lock::new(lock, runtime)))))
        })
    }

    /// Takes over a lock that another process handed over as text.
    fn restore_lock(&self, text: String) -> PyResult<Operation> {
        self.operate(|lavoro, runtime| async move {
            let lock = lavoro.restore_lock(&text).await?;
            Ok(Answer::Lock(Some(Box::new(Lock::new(lock, runtime)))))
        })
    }

    /// A drain, for tests, with the options of a worker.
    fn drainer(&self, options: &[u8]) -> PyResult<Drainer> {
        let options = lavoro_bindings::worker_options(options).map_err(|error| raise(&error))?;
        let Open { lavoro, runtime } = self.0.get()?;
        Ok(Drainer::new(lavoro_core::testing::Drainer::new(lavoro, &options), runtime.clone()))
    }

    /// Closes all connections.
    fn close(&self) -> PyResult<Operation> {
        self.operate(|lavoro, _| async move {
            lavoro.close().await;
            Ok(Answer::Nothing)
        })
    }
}
