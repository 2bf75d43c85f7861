//! A process that runs jobs and writes down every start and every end.

use crate::Result;
use crate::kind::Kind;
use crate::log::{Log, now};
use crate::options::timing;
use crate::probe::Probe;
use crate::producer::{connect, stop_with_stdin};
use lavoro_core::{Finish, Job, Outcome, PullWorker, WorkerOptions};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many jobs a worker runs at once.
const CONCURRENCY: u32 = 30;

struct Work {
    worker: PullWorker,
    pool: PgPool,
    log: Log,
    lease: Duration,
}

/// Works until its standard input ends.
///
/// # Errors
/// If the ledger cannot be opened.
pub async fn work(url: &str, dir: &Path, lease: Duration) -> Result<()> {
    let stop = stop_with_stdin();
    let log = Log::open(dir, &format!("worker-{}", std::process::id()))?;
    let Some(worker) = start(url, &stop, lease).await else { return Ok(()) };
    let pool = PgPoolOptions::new()
        .max_connections(3)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(url)?;
    let seen = Arc::new(Log::open(dir, &format!("nemesis-{}", std::process::id()))?);
    let _probe = Probe::start(pool.clone(), seen, lease, Some(std::process::id()));
    let work = Arc::new(Work { worker, pool, log, lease });
    let ending = Arc::clone(&work);
    tokio::spawn(async move {
        while !stop.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ending.worker.stop(Duration::from_secs(20)).await;
    });
    let mut running = tokio::task::JoinSet::new();
    loop {
        let jobs = work.worker.next_jobs(100).await;
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            let work = Arc::clone(&work);
            running.spawn(async move { work.run(job).await });
        }
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
    // The second call waits until the first has ended.
    work.worker.stop(Duration::ZERO).await;
    Ok(())
}

async fn start(url: &str, stop: &AtomicBool, lease: Duration) -> Option<PullWorker> {
    let lavoro = connect(url, stop).await?;
    let options = WorkerOptions {
        queues: [("default".to_owned(), CONCURRENCY.into())].into(),
        tasks: Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(),
        timing: timing(lease),
        ..WorkerOptions::default()
    };
    while !stop.load(Ordering::SeqCst) {
        match PullWorker::start(&lavoro, options.clone()).await {
            Ok(worker) => return Some(worker),
            Err(error) => eprintln!("not started yet: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

impl Work {
    async fn run(&self, job: Job) {
        let (id, token, attempt) = (job.id(), job.token(), job.attempt());
        let pid = std::process::id();
        self.log.line(format_args!("start {id} {attempt} {token} {pid} {}", now()));
        let outcome = self.handle(&job).await;
        let said = match &outcome {
            Outcome::Complete { .. } => "complete",
            Outcome::Snooze { .. } => "snooze",
            _ => "retry",
        };
        let verdict = self.worker.finish(vec![Finish { job: id, token, outcome }]).await;
        let verdict = verdict.first().map_or_else(String::new, |verdict| format!("{verdict:?}"));
        self.log.line(format_args!("end {id} {attempt} {token} {verdict} {said} {}", now()));
    }

    /// Handlers heed no request to stop: the late ones are what the fences are for.
    async fn handle(&self, job: &Job) -> Outcome {
        let wait = |share: f64| tokio::time::sleep(self.lease.mul_f64(share));
        match job.task() {
            "slow" => wait(1.3).await,
            "failing" if job.attempt() < 3 => return Outcome::retry("not yet"),
            "doomed" => return Outcome::retry("never"),
            "snoozing" if job.id() % 3 > 0 && job.waited().is_some_and(|w| w < self.lease) => {
                return Outcome::snooze(self.lease);
            }
            "transactional" => return self.transaction(job).await,
            "poison" => {
                self.log.line(format_args!("poison {} {} {}", job.id(), std::process::id(), now()));
                std::process::abort();
            }
            _ => {}
        }
        Outcome::complete()
    }

    async fn transaction(&self, job: &Job) -> Outcome {
        let (how, outcome) = match self.effect(job).await {
            Ok(()) => ("ok", Outcome::complete()),
            Err(error) => {
                let stale = error
                    .downcast_ref::<lavoro_core::Error>()
                    .is_some_and(|e| e.kind() == lavoro_core::ErrorKind::StaleLease);
                let how = if stale { "refused" } else { "unknown" };
                (how, Outcome::retry(error.to_string()))
            }
        };
        self.log.line(format_args!("commit {} {} {how} {}", job.id(), job.token(), now()));
        outcome
    }

    /// An effect and the job's end in one transaction.
    async fn effect(&self, job: &Job) -> Result<()> {
        let patience = self.lease * 3 + Duration::from_secs(5);
        tokio::time::timeout(patience, async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query("insert into public.effect (job_id, token) values ($1, $2)")
                .bind(job.id())
                .bind(job.token())
                .execute(&mut *transaction)
                .await?;
            // Late before the completion, which a rescue can overtake; late after it, which
            // holds the rescue up.
            let (before, after) = match job.id() % 200 {
                0 => (1.2, 0.0),
                100 => (0.0, 1.2),
                _ => (0.0, 0.0),
            };
            tokio::time::sleep(self.lease.mul_f64(before)).await;
            self.worker.lavoro().complete_in(&mut transaction, job, ()).await?;
            tokio::time::sleep(self.lease.mul_f64(after)).await;
            transaction.commit().await?;
            Ok(())
        })
        .await?
    }
}
