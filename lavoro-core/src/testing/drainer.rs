//! The engine of the testing kit: a worker that hands out one job at a time and knows when none
//! is left.

use crate::client::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Job, JobId, JobInfo, JobState};
use crate::options::{Timing, WorkerOptions};
use crate::outcome::{Outcome, Verdict};
use crate::store::JobFilter;
use crate::worker::{Finish, PullWorker};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How many attempts a drain runs unless told otherwise.
const LIMIT: usize = 10_000;
/// How long a job may take to come before the drain looks whether any is left.
const MOMENT: Duration = Duration::from_millis(20);
/// How often in a row it looks while jobs are there and none comes.
const LOOKS: u32 = 500;
/// How many packs one promotion moves.
const PACKS: i64 = 1000;
/// How many jobs are looked at.
const JOBS: u32 = 1000;

/// Hands out every job that may run, one after another, until none is left.
///
/// Nothing happens between its calls: no maintenance runs, and jobs whose time has come are
/// made available only by it. Usable from any thread and any async executor.
#[derive(Debug)]
pub struct Drainer {
    lavoro: Lavoro,
    engine: Arc<Mutex<Engine>>,
}

/// What became of the jobs that a drain ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many attempts ran.
    pub attempts: usize,
    /// How many of the jobs have completed.
    pub completed: usize,
    /// How many were cancelled.
    pub cancelled: usize,
    /// How many were discarded.
    pub discarded: usize,
    /// How many wait for a later time, after a failure or a snooze.
    pub waiting: usize,
    /// The attempts that failed, in their order.
    pub failures: Vec<Failed>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The job.
    pub job: JobId,
    /// Its task.
    pub task: String,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What the handler said.
    pub message: String,
}

impl Drainer {
    /// A drain of all queues. Of the options, `tasks`, `backoff` and `language` count.
    #[must_use]
    pub fn new(lavoro: &Lavoro, options: &WorkerOptions) -> Self {
        let engine = Engine {
            lavoro: lavoro.clone(),
            options: WorkerOptions {
                name: Some(format!("testing-{}", uuid::Uuid::new_v4())),
                queues: std::collections::BTreeMap::new(),
                concurrency: Some(1),
                tasks: options.tasks.clone(),
                backoff: options.backoff.clone(),
                language: options.language.clone(),
                timing: Timing { poll: Duration::from_millis(10), ..Timing::default() },
                maintenance: false,
                ..WorkerOptions::default()
            },
            at: None,
            limit: LIMIT,
            worker: None,
            ran: BTreeSet::new(),
            drained: Drained::default(),
        };
        Self { lavoro: lavoro.clone(), engine: Arc::new(Mutex::new(engine)) }
    }

    /// Runs jobs that are due by then, as if it were then. Default: now, by the server's clock.
    pub async fn at(&self, at: DateTime<Utc>) {
        self.engine.lock().await.at = Some(at);
    }

    /// Ends with an error after so many attempts. Default: 10 000.
    pub async fn limit(&self, attempts: usize) {
        self.engine.lock().await.limit = attempts;
    }

    /// The next job to run. `None`: none is left that may run now.
    ///
    /// # Errors
    /// `invalid_state` if a job's task is none of the tasks, or the limit is reached; `timeout`
    /// if a job is there and cannot be claimed; or what is wrong with the database.
    pub async fn next(&self) -> Result<Option<Job>> {
        let engine = Arc::clone(&self.engine);
        self.lavoro.run(Box::pin(async move { engine.lock().await.next().await })).await
    }

    /// Takes this very job, even before its time and out of a paused queue. Not after
    /// [`next`](Self::next).
    ///
    /// # Errors
    /// `invalid_state` if it does not wait or `next` was called before, `job_not_found`, or what is wrong with the database.
    pub async fn take(&self, id: JobId) -> Result<Job> {
        let engine = Arc::clone(&self.engine);
        self.lavoro.run(Box::pin(async move { engine.lock().await.take(id).await })).await
    }

    /// Reports the outcome of a job that was handed out, and waits until it is committed.
    ///
    /// # Errors
    /// `closed` if nothing was handed out.
    pub async fn finish(&self, job: &Job, outcome: Outcome) -> Result<Verdict> {
        let (engine, job) = (Arc::clone(&self.engine), job.clone());
        self.lavoro
            .run(Box::pin(async move { engine.lock().await.finish(&job, outcome).await }))
            .await
    }

    /// The number in the database of the worker that hands out the jobs; 0 before the first.
    pub async fn worker_id(&self) -> i64 {
        self.engine.lock().await.worker.as_ref().map_or(0, PullWorker::id)
    }

    /// Hands back what was not finished, and says what became of the jobs.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn end(self) -> Result<Drained> {
        let engine = self.engine;
        self.lavoro.run(Box::pin(async move { engine.lock().await.end().await })).await
    }
}

#[derive(Debug)]
struct Engine {
    lavoro: Lavoro,
    options: WorkerOptions,
    at: Option<DateTime<Utc>>,
    limit: usize,
    worker: Option<PullWorker>,
    ran: BTreeSet<JobId>,
    drained: Drained,
}

impl Engine {
    async fn next(&mut self) -> Result<Option<Job>> {
        for _ in 0..LOOKS {
            if let Some(job) = self.quickly().await {
                return self.admit(job).map(Some);
            }
            self.promote().await?;
            let waiting = self.waiting().await?;
            if waiting.is_empty() && !self.holds_some().await? {
                return Ok(None);
            }
            self.check_tasks(&waiting)?;
            self.serve(waiting.into_iter().map(|job| job.queue)).await?;
        }
        Err(Error::new(
            ErrorKind::Timeout,
            "jobs are available and yet cannot be claimed: does another worker or an open \
             transaction hold them?",
        ))
    }

    async fn take(&mut self, id: JobId) -> Result<Job> {
        let not_found = || Error::new(ErrorKind::JobNotFound, format!("there is no job {id}"));
        let job = self.lavoro.store().job(id).await?.ok_or_else(not_found)?;
        // A queue that nobody uses, since this worker must claim nothing by itself.
        let nobodys = self.options.name.clone().unwrap_or_default();
        if self.options.queues.keys().any(|queue| *queue != nobodys) {
            return Err(Error::new(
                ErrorKind::InvalidState,
                "this drainer hands out jobs of its own choice already: use another one",
            ));
        }
        self.serve(std::iter::once(nobodys)).await?;
        let taken = match &self.worker {
            Some(worker) => worker.take(id).await?,
            None => false,
        };
        if !taken {
            let message = format!("job {id} cannot be run: it is {}", job.state);
            return Err(Error::new(ErrorKind::InvalidState, message));
        }
        let job = self.quickly().await.ok_or_else(closed)?;
        self.admit(job)
    }

    /// A job that the worker has, or claims in a moment.
    async fn quickly(&self) -> Option<Job> {
        let worker = self.worker.as_ref()?;
        let jobs = tokio::time::timeout(MOMENT, worker.next_jobs(1)).await;
        jobs.unwrap_or_default().pop()
    }

    fn admit(&mut self, job: Job) -> Result<Job> {
        if self.drained.attempts >= self.limit {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "the drain has run {} attempts, its limit, and job {} of task {:?} is still \
                     there: does a job enqueue itself?",
                    self.limit,
                    job.id(),
                    job.task()
                ),
            ));
        }
        self.drained.attempts += 1;
        self.ran.insert(job.id());
        Ok(job)
    }

    async fn promote(&self) -> Result<()> {
        while self.lavoro.store().promote(PACKS, self.at).await?.packs == PACKS {}
        Ok(())
    }

    /// Jobs that may run now.
    async fn waiting(&self) -> Result<Vec<JobInfo>> {
        let mut jobs = self.list(JobState::Available).await?;
        if !jobs.is_empty() {
            let queues = self.lavoro.store().queues().await?;
            let paused: BTreeSet<String> =
                queues.into_iter().filter(|q| q.paused_at.is_some()).map(|q| q.name).collect();
            jobs.retain(|job| !paused.contains(&job.queue));
        }
        Ok(jobs)
    }

    /// Whether the worker has claimed a job that it has not handed out yet.
    async fn holds_some(&self) -> Result<bool> {
        let running = self.list(JobState::Running).await?;
        Ok(running.iter().any(|job| job.worker == self.options.name))
    }

    async fn list(&self, state: JobState) -> Result<Vec<JobInfo>> {
        let filter = JobFilter { state: Some(state), limit: JOBS, ..JobFilter::default() };
        self.lavoro.list_jobs(filter).await
    }

    fn check_tasks(&self, waiting: &[JobInfo]) -> Result<()> {
        let tasks = &self.options.tasks;
        let Some(job) = waiting.iter().find(|job| !tasks.contains(&job.task)) else {
            return Ok(());
        };
        let mut tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        tasks.sort_unstable();
        Err(Error::new(
            ErrorKind::InvalidState,
            format!(
                "job {} in queue {:?} is of task {:?}, which has no handler; there are handlers \
                 for: {}",
                job.id,
                job.queue,
                job.task,
                if tasks.is_empty() { "no task".to_owned() } else { tasks.join(", ") }
            ),
        ))
    }

    /// Makes sure that the worker serves these queues.
    async fn serve(&mut self, queues: impl Iterator<Item = String>) -> Result<()> {
        let before = self.options.queues.len();
        self.options.queues.extend(queues.map(|queue| (queue, 1.into())));
        if self.options.queues.len() == before && self.worker.is_some() {
            return Ok(());
        }
        if let Some(worker) = self.worker.take() {
            worker.stop(Duration::ZERO).await;
        }
        let started = Box::pin(PullWorker::start(&self.lavoro, self.options.clone())).await?;
        self.worker = Some(started);
        Ok(())
    }

    async fn finish(&mut self, job: &Job, outcome: Outcome) -> Result<Verdict> {
        if let Outcome::Retry { failure, .. } | Outcome::Fail { failure } = &outcome {
            self.drained.failures.push(Failed {
                job: job.id(),
                task: job.task().to_owned(),
                attempt: job.attempt(),
                message: failure.message().to_owned(),
            });
        }
        let worker = self.worker.as_ref().ok_or_else(closed)?;
        let finish = Finish { job: job.id(), token: job.token(), outcome };
        worker.finish(vec![finish]).await.pop().ok_or_else(closed)
    }

    async fn end(&mut self) -> Result<Drained> {
        if let Some(worker) = self.worker.take() {
            worker.stop(Duration::ZERO).await;
        }
        let mut drained = std::mem::take(&mut self.drained);
        let ended = self.lavoro.store().ended(self.ran.iter().copied().collect()).await?;
        let count = |state| ended.iter().filter(|job| job.state == state).count();
        drained.completed = count(JobState::Completed);
        drained.cancelled = count(JobState::Cancelled);
        drained.discarded = count(JobState::Discarded);
        drained.waiting = self.ran.len() - ended.len();
        Ok(drained)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "no job was handed out")
}
