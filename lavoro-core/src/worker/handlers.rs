//! The Rust worker: handlers on the application's own tokio runtime.

use super::events::EventStream;
use super::health::Health;
use super::pull::{Finish, PullWorker};
use crate::client::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::options::{QueueOptions, Timing, WorkerOptions};
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::signal::StopReason;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many jobs are asked for at once.
const BATCH: usize = 256;

type Run = dyn Fn(Job) -> BoxFuture<'static, Outcome> + Send + Sync;

#[derive(Clone)]
struct Handler {
    run: Arc<Run>,
    /// Whether its future may be dropped before it is done.
    droppable: bool,
}

/// What a handler may return: an [`Outcome`], nothing (the job is done), or a `Result` whose value is the job's result and
/// whose error makes the attempt fail, to be tried again.
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::complete()
    }
}

impl<T: Serialize, E: Display> IntoOutcome for std::result::Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => match serde_json::to_string(&value) {
                Ok(json) if json == "null" => Outcome::complete(),
                Ok(json) => Outcome::complete_with_json(&json),
                Err(error) => {
                    Outcome::retry(format!("the result cannot be written as JSON: {error}"))
                }
            },
            Err(error) => Outcome::retry(error.to_string()),
        }
    }
}

/// A running worker with handlers.
///
/// ```no_run
/// # async fn example() -> lavoro_core::Result<()> {
/// use lavoro_core::{Lavoro, Outcome, Worker};
/// use std::time::Duration;
///
/// let lavoro = Lavoro::connect("postgres://localhost/app").await?;
/// let worker = Worker::builder(&lavoro)
///     .queue("mail", 10)
///     .handler("send_email", |job| async move {
///         let to: serde_json::Value = job.payload()?;
///         Ok::<_, lavoro_core::Error>(format!("sent to {to}"))
///     })
///     .start()
///     .await?;
/// worker.stop(Duration::from_secs(30)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Worker {
    pull: Arc<PullWorker>,
    pump: JoinHandle<()>,
}

impl Worker {
    /// Starts describing a worker.
    pub fn builder(lavoro: &Lavoro) -> WorkerBuilder {
        WorkerBuilder {
            lavoro: lavoro.clone(),
            options: WorkerOptions { queues: BTreeMap::new(), ..WorkerOptions::default() },
            handlers: HashMap::new(),
            duplicate: None,
        }
    }

    /// The worker's number in the database.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.pull.id()
    }

    /// Waits until every slot holds a handler that does not return though its attempt is over,
    /// so that the worker can do nothing more: the program should end with a message, and be
    /// started again. Never returns otherwise.
    pub async fn stuck(&self) {
        self.pull.stuck().await;
    }

    /// Listens to what happens to the worker's jobs from now on. Any number may listen.
    pub fn events(&self) -> EventStream {
        self.pull.events()
    }

    /// How the worker is.
    pub fn health(&self) -> Health {
        self.pull.health()
    }

    /// Where the worker answers HTTP requests, if it was asked to.
    pub fn address(&self) -> Option<SocketAddr> {
        self.pull.address()
    }

    /// Stops: claims no more, waits for running handlers at most as long as `timeout`, drops
    /// those that still run and hands their jobs back uncounted, and records every outcome.
    /// Answers whether all handlers had returned in time.
    pub async fn stop(self, timeout: Duration) -> bool {
        let pull = Arc::clone(&self.pull);
        let stopped = self.pull.runtime().run(async move { Ok(pull.stop(timeout).await) }).await;
        self.pump.abort();
        stopped.unwrap_or(false)
    }
}

/// Describes a worker. Nothing is checked before [`start`](Self::start).
#[must_use]
pub struct WorkerBuilder {
    lavoro: Lavoro,
    options: WorkerOptions,
    handlers: HashMap<String, Handler>,
    duplicate: Option<String>,
}

impl std::fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl WorkerBuilder {
    /// Serves a queue, running up to `concurrency` of its jobs at once (1 to 10 000). A name that
    /// ends in `*` stands for all queues that begin alike and are not named themselves: these
    /// share the slots evenly.
    /// Default, if no queue is named: `default` with 10.
    pub fn queue(mut self, queue: impl Into<String>, concurrency: u32) -> Self {
        self.options.queues.insert(queue.into(), concurrency.into());
        self
    }

    /// As [`queue`](Self::queue), with a weight (1 to 1000, otherwise 1): where the worker's slots
    /// do not suffice for all queues, a queue of weight 3 gets three times as many as one of
    /// weight 1.
    pub fn weighted_queue(
        mut self,
        queue: impl Into<String>,
        concurrency: u32,
        weight: u32,
    ) -> Self {
        self.options.queues.insert(queue.into(), QueueOptions { concurrency, weight });
        self
    }

    /// Runs up to this many jobs at once over all queues. Default: the sum of the queues'.
    pub fn concurrency(mut self, concurrency: u32) -> Self {
        self.options.concurrency = Some(concurrency);
        self
    }

    /// Registers an async handler. It runs on the tokio runtime that [`start`](Self::start) is
    /// called on. When it should stop (see [`Job::stopped`]) its future is dropped at its next
    /// await. A panic makes the attempt fail.
    pub fn handler<F, Fut>(self, task: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Job) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoOutcome,
    {
        let run = Arc::new(move |job| handler(job).map(IntoOutcome::into_outcome).boxed());
        self.register(task.into(), Handler { run, droppable: true })
    }

    /// Registers a handler that blocks its thread. It runs on tokio's pool for such work, cannot
    /// be dropped, and should look at [`Job::stop_reason`] now and then; its slot stays taken
    /// until it returns.
    pub fn blocking_handler<F, R>(self, task: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Job) -> R + Send + Sync + 'static,
        R: IntoOutcome + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run = Arc::new(move |job| {
            let handler = Arc::clone(&handler);
            async move {
                let done = tokio::task::spawn_blocking(move || handler(job).into_outcome()).await;
                done.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => panicked(&*panic),
                    Err(_) => Outcome::Release,
                })
            }
            .boxed()
        });
        self.register(task.into(), Handler { run, droppable: false })
    }

    fn register(mut self, task: String, handler: Handler) -> Self {
        if self.handlers.insert(task.clone(), handler).is_some() {
            self.duplicate = Some(task);
        }
        self
    }

    /// How long handlers may run on after their attempts are over before they count as stuck.
    /// Default: 60 s. See [`Worker::stuck`].
    pub fn stuck_after(mut self, after: Duration) -> Self {
        self.options.stuck_after = after;
        self
    }

    /// Lets the handlers of a task run on when contact with the database is lost for nearly a
    /// lease. Another worker may then run the same job; only one outcome is accepted.
    pub fn continue_on_lost_contact(mut self, task: impl Into<String>) -> Self {
        self.options.continue_on_lost_contact.push(task.into());
        self
    }

    /// The worker's name in listings. Default: `host:pid`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// The clockwork of leases and maintenance. Default: [`Timing::default`].
    pub fn timing(mut self, timing: Timing) -> Self {
        self.options.timing = timing;
        self
    }

    /// Answers `GET /health` (200 or 503, JSON) and `GET /metrics` (`OpenMetrics` text) at this
    /// address. There is no authentication: name 127.0.0.1, or an address behind a network
    /// policy. Port 0 takes a free port, see [`Worker::address`]. Default: off.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.options.listen = Some(address.into());
        self
    }

    /// Whether the worker promotes, rescues and prunes beside its work. Default: true.
    pub fn maintenance(mut self, maintenance: bool) -> Self {
        self.options.maintenance = maintenance;
        self
    }

    /// Registers the worker and starts claiming. Must be called on a tokio runtime: the handlers
    /// will run there.
    ///
    /// # Errors
    /// `duplicate_handler`, `invalid_option`, `invalid_queue`, `invalid_task`, or what is wrong
    /// with the database.
    pub async fn start(mut self) -> Result<Worker> {
        if let Some(task) = self.duplicate {
            return Err(Error::new(
                ErrorKind::DuplicateHandler,
                format!("task {task:?} has two handlers in this worker"),
            ));
        }
        if self.options.queues.is_empty() {
            self.options.queues = WorkerOptions::default().queues;
        }
        self.options.tasks = self.handlers.keys().cloned().collect();
        let pull = Arc::new(PullWorker::start(&self.lavoro, self.options).await?);
        let pump = tokio::spawn(pump(Arc::clone(&pull), self.handlers));
        Ok(Worker { pull, pump })
    }
}

/// Pulls jobs and gives each a task of its own.
async fn pump(pull: Arc<PullWorker>, handlers: HashMap<String, Handler>) {
    loop {
        let jobs = pull.next_jobs(BATCH).await;
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            // A worker claims only tasks that it has handlers for.
            let Some(handler) = handlers.get(job.task()).cloned() else { continue };
            let pull = Arc::clone(&pull);
            tokio::spawn(async move {
                let (id, token) = (job.id(), job.token());
                let outcome = attempt(&handler, job).await;
                pull.finish(vec![Finish { job: id, token, outcome }]).await;
            });
        }
    }
}

/// Runs a handler until it returns, panics, or should stop.
async fn attempt(handler: &Handler, job: Job) -> Outcome {
    let watched = job.clone();
    let run = AssertUnwindSafe(async { (handler.run)(job).await }).catch_unwind();
    if !handler.droppable {
        return run.await.unwrap_or_else(|panic| panicked(&*panic));
    }
    tokio::select! {
        biased;
        outcome = run => outcome.unwrap_or_else(|panic| panicked(&*panic)),
        reason = watched.stopped() => match reason {
            StopReason::Cancelled => Outcome::Cancel { reason: None },
            _ => Outcome::Release,
        },
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    let said = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned());
    Outcome::Retry { failure: Failure::new(FailureKind::Panicked, said), delay: None }
}
