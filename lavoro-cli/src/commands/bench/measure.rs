//! How fast jobs are enqueued and drained.

use super::progress::Progress;
use super::report::Rate;
use crate::exit::{Failure, Result};
use futures_util::future::try_join_all;
use lavoro_core::{Lavoro, NewJob, Outcome, Worker};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The task of jobs that do nothing.
const TASK: &str = "noop";
/// The queue that is drained.
const BULK: &str = "bulk";
/// How many tasks enqueue at once.
const TASKS: u32 = 64;
/// How many jobs run at once.
const CONCURRENCY: u32 = 1000;
/// How long to wait for the next job before something is taken to be wrong.
const PATIENCE: Duration = Duration::from_mins(1);

fn job(number: u32, queue: &str) -> NewJob {
    NewJob::new(TASK, json!({"id": number})).queue(queue)
}

/// One enqueue after another, each awaited.
pub(super) async fn one_by_one(lavoro: &Lavoro, jobs: u32, progress: &Progress) -> Result<Rate> {
    progress.begin("enqueueing one by one", jobs);
    let since = Instant::now();
    for number in 0..jobs {
        lavoro.enqueue(job(number, "one_by_one")).await?;
        progress.step();
    }
    Ok(Rate::new(jobs, since.elapsed()))
}

/// Tasks that enqueue at the same time, each awaiting one after another.
pub(super) async fn concurrent(lavoro: &Lavoro, jobs: u32, progress: &Progress) -> Result<Rate> {
    progress.begin("enqueueing from 64 tasks", jobs);
    let next = Arc::new(AtomicU32::new(0));
    let since = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let (lavoro, next, progress) = (lavoro.clone(), Arc::clone(&next), progress.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return Ok::<_, lavoro_core::Error>(());
                }
                lavoro.enqueue(job(number, "concurrent")).await?;
                progress.step();
            }
        })
    });
    let ended = try_join_all(tasks).await;
    let ended = ended.map_err(|error| Failure::io("a task broke", &error.into()))?;
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(Rate::new(jobs, since.elapsed()))
}

/// All in one call.
pub(super) async fn bulk(lavoro: &Lavoro, jobs: u32, progress: &Progress) -> Result<Rate> {
    progress.begin("enqueueing in bulk", jobs);
    let batch: Vec<_> = (0..jobs).map(|number| job(number, BULK)).collect();
    let since = Instant::now();
    lavoro.enqueue_many(batch).await?;
    Ok(Rate::new(jobs, since.elapsed()))
}

/// What was seen while a queue was drained.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) rate: Rate,
    /// Of the server, for each job, in microseconds.
    pub(super) server_cpu_us: Option<f64>,
}

/// Runs all jobs of the bulk with a handler that does nothing. The clock stops when every
/// outcome is committed and the worker has stopped.
pub(super) async fn drain(
    lavoro: &Lavoro,
    jobs: u32,
    server_cpu: &impl Fn() -> Option<Duration>,
    progress: &Progress,
) -> Result<Drained> {
    progress.begin("draining", jobs);
    let (left, done) = (Arc::new(AtomicU32::new(jobs)), Arc::new(Notify::new()));
    let (counted, told, shown) = (Arc::clone(&left), Arc::clone(&done), progress.clone());
    let (cpu, since) = (server_cpu(), Instant::now());
    let builder = Worker::builder(lavoro).queue(BULK, CONCURRENCY).handler(TASK, move |_| {
        shown.step();
        if counted.fetch_sub(1, Ordering::Relaxed) == 1 {
            told.notify_one();
        }
        std::future::ready(Outcome::complete())
    });
    let worker = builder.start().await?;
    let complete = wait(&left, &done).await;
    worker.stop(PATIENCE).await;
    let elapsed = since.elapsed();
    complete?;
    let used = server_cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let server_cpu_us = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(jobs));
    Ok(Drained { rate: Rate::new(jobs, elapsed), server_cpu_us })
}

/// Waits until no job is left, as long as their number falls.
async fn wait(left: &AtomicU32, done: &Notify) -> Result<()> {
    loop {
        let before = left.load(Ordering::Relaxed);
        if tokio::time::timeout(PATIENCE, done.notified()).await.is_ok() {
            return Ok(());
        }
        let now = left.load(Ordering::Relaxed);
        if now == before {
            return Err(Failure::io(
                "the drain stands still",
                &std::io::Error::other(format!("{now} jobs are left after a minute without one")),
            ));
        }
    }
}
