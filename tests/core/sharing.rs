//! Queues that share one worker: wildcards, weights, and none that starves.

use lavoro_core::{ErrorKind, Finish, Verdict};
use lavoro_core::{Job, Lavoro, NewJob, Outcome, PullWorker, QueueOptions, WorkerOptions};
use lavoro_tests::{Database, quick, wait_for};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn options(queues: &[(&str, u32, u32)], concurrency: Option<u32>) -> WorkerOptions {
    let queue = |(name, concurrency, weight): &(&str, u32, u32)| {
        let options = QueueOptions { concurrency: *concurrency, weight: *weight };
        ((*name).to_owned(), options)
    };
    WorkerOptions {
        queues: queues.iter().map(queue).collect(),
        concurrency,
        tasks: vec!["t".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    }
}

async fn enqueue(lavoro: &Lavoro, queue: &str, count: usize) {
    let jobs = (0..count).map(|n| NewJob::new("t", n).queue(queue));
    lavoro.enqueue_many(jobs).await.unwrap();
}

async fn finish(worker: &PullWorker, jobs: Vec<Job>) {
    let outcome = Outcome::complete;
    let finish = |job: &Job| Finish { job: job.id(), token: job.token(), outcome: outcome() };
    let verdicts = worker.finish(jobs.iter().map(finish).collect()).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
}

/// Runs jobs until `count` have run. Answers how many there were of each queue.
async fn serve(worker: &PullWorker, count: usize) -> HashMap<String, usize> {
    let mut served = HashMap::new();
    let mut left = count;
    while left > 0 {
        let jobs = tokio::time::timeout(LONG, worker.next_jobs(left)).await.unwrap();
        left -= jobs.len();
        for job in &jobs {
            *served.entry(job.queue().to_owned()).or_default() += 1;
        }
        finish(worker, jobs).await;
    }
    served
}

/// A queue of weight 3 gets three times the slots of one of weight 1, while both have work.
#[tokio::test(flavor = "multi_thread")]
async fn scarce_slots_are_shared_by_weight() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    enqueue(&lavoro, "light", 400).await;
    enqueue(&lavoro, "heavy", 400).await;
    let options = options(&[("light", 8, 1), ("heavy", 8, 3)], Some(8));
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let served = serve(&worker, 200).await;
    let (light, heavy) = (served["light"], served["heavy"]);
    assert!((100..=180).contains(&heavy) && (20..=100).contains(&light), "{served:?}");
    // Nothing is kept free for a queue without work.
    let rest = serve(&worker, 600).await;
    assert_eq!(rest["light"] + light, 400);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// A worker with one slot serves a small queue beside one that never runs dry.
#[tokio::test(flavor = "multi_thread")]
async fn a_deep_queue_does_not_starve_another() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    enqueue(&lavoro, "deep", 600).await;
    let options = options(&[("deep", 4, 1), ("small-*", 4, 1), ("z", 4, 1)], Some(4));
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    serve(&worker, 10).await;
    let names = ["small-a", "small-b", "z"];
    for queue in names {
        enqueue(&lavoro, queue, 1).await;
    }
    let (mut seen, mut ran) = (HashMap::<String, usize>::new(), 0);
    let begin = Instant::now();
    while !names.iter().all(|queue| seen.contains_key(*queue)) {
        assert!(begin.elapsed() < LONG && ran < 580, "starved: {seen:?} after {ran} jobs");
        let jobs = worker.next_jobs(1).await;
        for job in &jobs {
            *seen.entry(job.queue().to_owned()).or_default() += 1;
        }
        ran += jobs.len();
        // The clock of polls must get its turn, as it does with handlers that take time.
        tokio::time::sleep(Duration::from_millis(1)).await;
        finish(&worker, jobs).await;
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Queues that come into being are found; the most specific entry serves each; the slots of a
/// wildcard are shared by all its queues.
#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_serves_queues_that_come_into_being() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker =
        PullWorker::start(&lavoro, options(&[("tenant-*", 3, 1), ("tenant-x", 1, 1)], None))
            .await
            .unwrap();
    wait_for("the worker to be idle", async || {
        database.one::<bool>("select idle from lavoro.worker").await.then_some(())
    })
    .await;
    for queue in ["tenant-1", "tenant-2", "tenant-é", "tenant-x", "other", "tenan"] {
        enqueue(&lavoro, queue, 2).await;
    }
    let mut held = Vec::new();
    while held.len() < 4 {
        held.extend(tokio::time::timeout(LONG, worker.next_jobs(10)).await.unwrap());
    }
    let of = |queue: &str| held.iter().filter(|job| job.queue() == queue).count();
    assert_eq!(of("tenant-x"), 1, "it has an entry of its own, with one slot");
    assert_eq!(held.len() - of("tenant-x"), 3);
    finish(&worker, held).await;
    let rest = serve(&worker, 4).await;
    assert!(rest.keys().all(|queue| queue.starts_with("tenant-")), "{rest:?}");
    let left: Vec<(String, i64)> =
        lavoro.queues().await.unwrap().into_iter().map(|q| (q.name, q.available)).collect();
    assert_eq!(left, [("other".to_owned(), 2), ("tenan".to_owned(), 2)]);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// A paused queue rests under its wildcard too.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_for_wildcards() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.pause_queue("a-1").await.unwrap();
    enqueue(&lavoro, "a-1", 1).await;
    enqueue(&lavoro, "a-2", 1).await;
    let worker = PullWorker::start(&lavoro, options(&[("*", 5, 1)], None)).await.unwrap();
    assert_eq!(serve(&worker, 1).await, [("a-2".to_owned(), 1)].into());
    lavoro.resume_queue("a-1").await.unwrap();
    assert_eq!(serve(&worker, 1).await, [("a-1".to_owned(), 1)].into());
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_have_limits() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for weight in [0, 1001] {
        let error =
            PullWorker::start(&lavoro, options(&[("q", 1, weight)], None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.message().contains("weight of queue \"q\""), "{error}");
    }
}
