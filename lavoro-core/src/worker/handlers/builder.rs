//! Describing a worker with handlers.

use super::Worker;
use super::attempt::panicked;
use super::batch::BatchHandler;
use super::middleware::{Next, Wrap};
use super::outcome::IntoOutcome;
use super::registry::{Handler, Handlers, Policy};
use crate::client::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::limits;
use crate::options::{QueueOptions, Timing, WorkerOptions};
use crate::outcome::{Failure, Outcome};
use crate::retry::Backoff;
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Describes a worker. Nothing is checked before [`start`](Self::start).
#[must_use]
pub struct WorkerBuilder {
    lavoro: Lavoro,
    options: WorkerOptions,
    handlers: HashMap<String, Handler>,
    middleware: Vec<Arc<Wrap>>,
    policies: HashMap<String, Arc<Policy>>,
    /// What is wrong so far.
    wrong: Option<Error>,
}

impl std::fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl WorkerBuilder {
    pub(super) fn new(lavoro: &Lavoro) -> Self {
        Self {
            lavoro: lavoro.clone(),
            options: WorkerOptions { queues: BTreeMap::new(), ..WorkerOptions::default() },
            handlers: HashMap::new(),
            middleware: Vec::new(),
            policies: HashMap::new(),
            wrong: None,
        }
    }

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
        self.register(task.into(), Handler::Single { run, droppable: true })
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
                let span = tracing::Span::current();
                let call = move || span.in_scope(|| handler(job).into_outcome());
                let done = tokio::task::spawn_blocking(call).await;
                done.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => panicked(&*panic),
                    Err(_) => Outcome::Release,
                })
            }
            .boxed()
        });
        self.register(task.into(), Handler::Single { run, droppable: false })
    }

    /// Registers a handler that takes up to `max_jobs` jobs (1 to 10 000) in one call and
    /// returns their outcomes in the same order. A panic, or another number of outcomes, makes
    /// each of the attempts fail.
    ///
    /// It never waits for a batch to fill: what is there goes. Jobs are claimed for free slots,
    /// so that a queue's concurrency bounds its batches; give it a multiple of `max_jobs`.
    ///
    /// Each job keeps its own lease, timeout and signal to stop. One that should stop while
    /// others go on is seen by the handler alone ([`Job::stop_reason`]), and its slot stays taken
    /// until the call returns; the call is dropped when all of its jobs should stop. Middleware
    /// does not apply, since it sees one job and one outcome.
    pub fn batch_handler<F, Fut, O>(
        mut self,
        task: impl Into<String>,
        max_jobs: usize,
        handler: F,
    ) -> Self
    where
        F: Fn(Vec<Job>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<O>> + Send + 'static,
        O: IntoOutcome,
    {
        let task = task.into();
        let field = format!("max_jobs of task {task:?}");
        let size = u32::try_from(max_jobs).unwrap_or(u32::MAX);
        let checked = limits::check_range(&field, &size, &limits::CONCURRENCY);
        self.wrong = self.wrong.or(checked.err());
        self.register(task, Handler::Batch(BatchHandler::new(max_jobs.max(1), handler)))
    }

    fn register(mut self, task: String, handler: Handler) -> Self {
        if self.handlers.contains_key(&task) {
            let message = format!("task {task:?} has two handlers in this worker");
            let wrong = Error::new(ErrorKind::DuplicateHandler, message);
            self.wrong = self.wrong.or(Some(wrong));
        }
        self.handlers.insert(task, handler);
        self
    }

    /// Puts code around every handler but those of batches. Any number; the first registered is
    /// the outermost. It sees the outcome, may change it, and decides whether to run the job at
    /// all. A panic in it makes the attempt fail. When the handler should stop, it is dropped
    /// with it.
    ///
    /// ```no_run
    /// # fn example(lavoro: &lavoro_core::Lavoro) {
    /// use lavoro_core::{Job, Worker};
    ///
    /// let worker = Worker::builder(lavoro)
    ///     .middleware(|job: Job, next| async move {
    ///         let began = std::time::Instant::now();
    ///         let outcome = next.run(job.clone()).await;
    ///         println!("{} took {:?}", job.task(), began.elapsed());
    ///         outcome
    ///     })
    ///     .handler("greet", |job: Job| async move { job.payload::<String>() });
    /// # }
    /// ```
    pub fn middleware<F, Fut>(mut self, middleware: F) -> Self
    where
        F: Fn(Job, Next) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoOutcome,
    {
        let wrap = move |job, next| middleware(job, next).map(IntoOutcome::into_outcome).boxed();
        self.middleware.push(Arc::new(wrap));
        self
    }

    /// How long a failed job of this task waits, unless its handler or the job itself says how
    /// long, or [`backoff_with`](Self::backoff_with). Also holds for attempts that take too
    /// long. Default: [`Backoff::default`].
    pub fn backoff(mut self, task: impl Into<String>, backoff: Backoff) -> Self {
        self.options.backoff.insert(task.into(), backoff);
        self
    }

    /// Asks `rule` how long a failed job of this task waits (at most 3650 days), unless its
    /// handler or the job itself says how long. `None`, or a panic in it, leaves that to the
    /// task's [`backoff`](Self::backoff). An attempt that took too long, or was lost, is judged
    /// without the application, so that it is not asked about those.
    pub fn backoff_with<F>(mut self, task: impl Into<String>, rule: F) -> Self
    where
        F: Fn(&Job, &Failure) -> Option<Duration> + Send + Sync + 'static,
    {
        self.policies.insert(task.into(), Arc::new(rule));
        self
    }

    /// How long handlers that are told to stop may go on when the limit of
    /// [`Worker::stop`] is reached; see [`WorkerOptions::grace`]. Default: zero.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
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
    pub async fn start(self) -> Result<Worker> {
        let (lavoro, options, handlers) = self.into_parts()?;
        Worker::start(&lavoro, options, handlers).await
    }

    /// What was described.
    pub(crate) fn into_parts(mut self) -> Result<(Lavoro, WorkerOptions, Handlers)> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        if let Some(task) = self.policies.keys().find(|task| !self.handlers.contains_key(*task)) {
            return Err(Error::new(
                ErrorKind::InvalidOption,
                format!("backoff_with names task {task:?}, which has no handler"),
            ));
        }
        if self.options.queues.is_empty() {
            self.options.queues = WorkerOptions::default().queues;
        }
        self.options.tasks = self.handlers.keys().cloned().collect();
        let handlers = Handlers {
            by_task: self.handlers,
            middleware: self.middleware.into(),
            policies: self.policies,
            grace: self.options.grace,
        };
        Ok((self.lavoro, self.options, handlers))
    }
}
