//! The Rust worker: handlers on the application's own tokio runtime.

mod attempt;
mod batch;
mod builder;
mod middleware;
mod outcome;
mod registry;
mod span;

pub use builder::WorkerBuilder;
pub use middleware::Next;
pub use outcome::IntoOutcome;
pub(crate) use registry::Handlers;

use super::events::EventStream;
use super::health::Health;
use super::pull::{Finish, PullWorker};
use crate::client::Lavoro;
use crate::error::Result;
use crate::job::Job;
use crate::options::WorkerOptions;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many jobs are asked for at once.
const BATCH: usize = 256;

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
        WorkerBuilder::new(lavoro)
    }

    async fn start(lavoro: &Lavoro, options: WorkerOptions, handlers: Handlers) -> Result<Self> {
        let pull = Arc::new(PullWorker::start(lavoro, options).await?);
        let pump = tokio::spawn(pump(Arc::clone(&pull), Arc::new(handlers)));
        Ok(Self { pull, pump })
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

    /// Stops: claims no more, waits for running handlers at most as long as `timeout`, then tells
    /// them to stop and waits for the worker's grace (none by default), drops those that still
    /// run and hands their jobs back uncounted, and records every outcome. Answers whether all
    /// handlers had returned before they were told to stop.
    pub async fn stop(self, timeout: Duration) -> bool {
        let pull = Arc::clone(&self.pull);
        let stopped = self.pull.runtime().run(async move { Ok(pull.stop(timeout).await) }).await;
        self.pump.abort();
        stopped.unwrap_or(false)
    }
}

/// Pulls jobs and gives each, or each batch, a task of its own.
async fn pump(pull: Arc<PullWorker>, handlers: Arc<Handlers>) {
    let max = handlers.largest_batch().max(BATCH);
    loop {
        let jobs = pull.next_jobs(max).await;
        if jobs.is_empty() {
            return;
        }
        for jobs in calls(jobs, &handlers) {
            let (pull, handlers) = (Arc::clone(&pull), Arc::clone(&handlers));
            tokio::spawn(async move {
                let keys: Vec<_> = jobs.iter().map(|job| (job.id(), job.token())).collect();
                let outcomes = handlers.attempt(jobs, pull.id()).await;
                let finish = |((job, token), outcome)| Finish { job, token, outcome };
                pull.finish(keys.into_iter().zip(outcomes).map(finish).collect()).await;
            });
        }
    }
}

/// The calls of handlers that it takes to run these jobs.
fn calls(jobs: Vec<Job>, handlers: &Handlers) -> Vec<Vec<Job>> {
    let mut calls: Vec<Vec<Job>> = Vec::with_capacity(jobs.len());
    // Where the batch of a task and queue is that has room.
    let mut open: HashMap<(Arc<str>, Arc<str>), usize> = HashMap::new();
    for job in jobs {
        let size = handlers.batch_size(job.task());
        if size > 1 {
            let key = (Arc::clone(&job.ticket.task), Arc::clone(&job.ticket.queue));
            let at = *open.entry(key.clone()).or_insert(calls.len());
            if at < calls.len() {
                calls[at].push(job);
                if calls[at].len() == size {
                    open.remove(&key);
                }
                continue;
            }
        }
        calls.push(vec![job]);
    }
    calls
}
