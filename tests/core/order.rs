//! In which order jobs run, and how much a claim takes.

use lavoro_core::{Finish, NewJob, Outcome, PullWorker, WorkerOptions};
use lavoro_tests::{Database, quick};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

async fn one_slot_worker(lavoro: &lavoro_core::Lavoro, tasks: &[&str]) -> PullWorker {
    let options = WorkerOptions {
        queues: [("default".to_owned(), 1.into())].into(),
        tasks: tasks.iter().map(ToString::to_string).collect(),
        timing: quick(),
        ..WorkerOptions::default()
    };
    PullWorker::start(lavoro, options).await.unwrap()
}

/// Runs `count` jobs one after the other and answers their numbers.
async fn run(worker: &PullWorker, count: usize) -> Vec<i64> {
    let mut order = Vec::new();
    while order.len() < count {
        for job in worker.next_jobs(1).await {
            order.push(job.id());
            let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
            worker.finish(vec![done]).await;
        }
    }
    order
}

/// Larger priorities first, equals first in, first out: over several tasks, over jobs that came
/// alone and in bulk, and over packs that are claimed in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_by_priority_and_then_in_the_order_they_came() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let mut expected = Vec::new();
    for round in 0..3 {
        let bulk = (0..70).map(|n| {
            NewJob::new(["a", "b", "c"][n % 3], n).priority([0, 5, -5, 0][(n + round) % 4])
        });
        for job in lavoro.enqueue_many(bulk).await.unwrap() {
            let info = job.info().await.unwrap();
            expected.push((-info.priority, info.id));
        }
        let single = lavoro.enqueue(NewJob::new("b", 1).priority(5)).await.unwrap();
        expected.push((-5, single.id()));
    }
    expected.sort_unstable();
    let expected: Vec<i64> = expected.into_iter().map(|(_, id)| id).collect();
    let worker = one_slot_worker(&lavoro, &["a", "b", "c"]).await;
    assert_eq!(run(&worker, expected.len()).await, expected);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// A job whose time has come takes its place by its number: before those that came after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_job_keeps_its_place() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let early = lavoro.enqueue(NewJob::new("a", 1).delay(LONG)).await.unwrap();
    let late = lavoro.enqueue(NewJob::new("a", 2)).await.unwrap();
    early.retry().await.unwrap(); // makes it available now
    let worker = one_slot_worker(&lavoro, &["a"]).await;
    assert_eq!(run(&worker, 2).await, [early.id(), late.id()]);
    worker.stop(LONG).await;
}

/// A claim takes about 16 MiB of payload at most, however many slots are free.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_bounded_by_bytes() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let megabyte = "x".repeat((1 << 20) - 100);
    lavoro.enqueue_many((0..40).map(|_| NewJob::new("big", &megabyte))).await.unwrap();
    let options = WorkerOptions {
        queues: [("default".to_owned(), 100.into())].into(),
        tasks: vec!["big".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let mut seen = worker.next_jobs(100).await;
    assert!((1..=17).contains(&seen.len()), "one claim took {}", seen.len());
    while seen.len() < 40 {
        seen.extend(worker.next_jobs(100).await);
    }
    let largest: i32 = database.one("select max(cardinality(jobs)) from lavoro.lease").await;
    assert!(largest <= 17, "{largest}");
    let done = seen.iter().map(|job| Finish {
        job: job.id(),
        token: job.token(),
        outcome: Outcome::complete(),
    });
    worker.finish(done.collect()).await;
    worker.stop(LONG).await;
    database.assert_sound().await;
}
