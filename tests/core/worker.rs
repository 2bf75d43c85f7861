//! What workers promise: claims, limits, timeouts, stops.

use lavoro_core::{
    ErrorKind, Finish, Job, JobState, Lavoro, NewJob, Outcome, PullWorker, StopReason, Verdict,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick, wait_for};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

fn pull_options(tasks: &[&str], concurrency: u32) -> WorkerOptions {
    WorkerOptions {
        queues: [("default".to_owned(), concurrency.into())].into(),
        tasks: tasks.iter().map(ToString::to_string).collect(),
        timing: quick(),
        ..WorkerOptions::default()
    }
}

/// 64 workers with one slot each on one pack of 64 jobs: all are claimed within 250 ms. Machines
/// that run tests are busy, so the best of five rounds counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_one_slot_workers_share_one_pack_quickly() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let options = || WorkerOptions { maintenance: false, ..pull_options(&["t"], 1) };
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(Lavoro::connect(&database.url).await.unwrap());
    }
    let mut workers = Vec::new();
    for n in 0..64 {
        workers.push(Arc::new(PullWorker::start(&clients[n % 8], options()).await.unwrap()));
    }
    let mut best = Duration::MAX;
    for _ in 0..5 {
        wait_for("all workers to be idle", async || {
            let idle: i64 = database.one("select count(*) from lavoro.worker where idle").await;
            (idle == 64).then_some(())
        })
        .await;
        best = best.min(claim_one_pack(&lavoro, &workers).await);
        if best <= Duration::from_millis(250) {
            break;
        }
    }
    println!("64 one-slot workers on one pack: all claimed within {best:?}");
    assert!(best <= Duration::from_millis(250), "{best:?}");
    database.assert_sound().await;
}

/// Enqueues 64 jobs at once and answers how long it took until each worker had one.
async fn claim_one_pack(lavoro: &Lavoro, workers: &[Arc<PullWorker>]) -> Duration {
    let waiting: Vec<_> = workers
        .iter()
        .map(|worker| {
            let worker = Arc::clone(worker);
            tokio::spawn(async move { (worker.next_jobs(1).await.remove(0), Instant::now()) })
        })
        .collect();
    lavoro.enqueue_many((0..64).map(|n| NewJob::new("t", n))).await.unwrap();
    let enqueued = Instant::now();
    let mut ids = HashSet::new();
    let mut slowest = Duration::ZERO;
    let mut claimed = Vec::new();
    for (task, worker) in waiting.into_iter().zip(workers) {
        let (job, at) = task.await.unwrap();
        assert!(ids.insert(job.id()));
        slowest = slowest.max(at.saturating_duration_since(enqueued));
        claimed.push((job, worker));
    }
    for (job, worker) in claimed {
        let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
        assert_eq!(worker.finish(vec![done]).await, [Verdict::Accepted]);
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_kept_per_queue_and_in_total() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let worker = Worker::builder(&lavoro)
        .queue("a", 3)
        .queue("b", 4)
        .concurrency(5)
        .handler("t", move |_| {
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            async move {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Outcome::complete()
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let jobs = (0..60).map(|n| NewJob::new("t", n).queue(if n % 2 == 0 { "a" } else { "b" }));
    for job in lavoro.enqueue_many(jobs).await.unwrap() {
        job.result(LONG).await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 5);
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_handled_tasks_are_claimed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let other = lavoro.enqueue(NewJob::new("other", 1)).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .handler("mine", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    lavoro.enqueue(NewJob::new("mine", 1)).await.unwrap().result(LONG).await.unwrap();
    assert_eq!(other.info().await.unwrap().state, JobState::Available);
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.pause_queue("default").await.unwrap();
    let worker = Worker::builder(&lavoro)
        .queue("default", 5)
        .queue("open", 5)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let held = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1).queue("open")).await.unwrap().result(LONG).await.unwrap();
    assert_eq!(held.info().await.unwrap().state, JobState::Available);
    lavoro.resume_queue("default").await.unwrap();
    held.result(LONG).await.unwrap();
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_fails_with_its_timeout() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("slow", |_| async {
            tokio::time::sleep(LONG).await;
            Outcome::complete()
        })
        .quick()
        .start()
        .await
        .unwrap();
    let job = NewJob::new("slow", 1).timeout(Duration::from_millis(100)).max_attempts(1);
    let job = lavoro.enqueue(job).await.unwrap();
    assert_eq!(job.result(LONG).await.unwrap().state, JobState::Discarded);
    assert_eq!(job.info().await.unwrap().errors[0].kind, "timeout");
    assert!(worker.stop(LONG).await, "the slot is free again");
    database.assert_sound().await;
}

/// A handler that ignores the timeout: its attempt has failed, and what it says is refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_timeout_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, pull_options(&["t"], 1)).await.unwrap();
    let new = NewJob::new("t", 1).timeout(Duration::from_millis(50)).max_attempts(1);
    let handle = lavoro.enqueue(new).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!(job.stopped().await, StopReason::Timeout);
    assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Discarded);
    let late = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![late]).await, [Verdict::Stale]);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_running_job_tells_its_handler() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("long", |_| async {
            tokio::time::sleep(LONG).await;
            Outcome::complete()
        })
        .quick()
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(NewJob::new("long", 1)).await.unwrap();
    wait_for("the job to run", async || {
        (job.info().await.unwrap().state == JobState::Running).then_some(())
    })
    .await;
    assert_eq!(job.cancel().await.unwrap(), JobState::Running);
    assert_eq!(job.result(LONG).await.unwrap().state, JobState::Cancelled);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_hands_back_what_does_not_finish_in_time() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("default", 2)
        .handler("t", |job: Job| async move {
            let ms: u64 = job.payload().unwrap();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Outcome::complete()
        })
        .quick()
        .start()
        .await
        .unwrap();
    let quickly = lavoro.enqueue(NewJob::new("t", 300)).await.unwrap();
    let slowly = lavoro.enqueue(NewJob::new("t", 60_000)).await.unwrap();
    let waiting = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    wait_for("both to run", async || {
        (slowly.info().await.unwrap().state == JobState::Running).then_some(())
    })
    .await;
    lavoro.pause_queue("default").await.unwrap();
    let began = Instant::now();
    assert!(!worker.stop(Duration::from_secs(1)).await);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(quickly.info().await.unwrap().state, JobState::Completed);
    let info = slowly.info().await.unwrap();
    assert_eq!((info.state, info.attempt, info.errors.len()), (JobState::Available, 0, 0));
    assert_ne!(waiting.info().await.unwrap().state, JobState::Running);
    let ended: bool = database.one("select ended_at is not null from lavoro.worker").await;
    assert!(ended);
    let leases: i64 = database.one("select count(*) from lavoro.lease").await;
    assert_eq!(leases, 0);
    database.assert_sound().await;
}

/// Dropping the wait for jobs, at whatever moment, loses none.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_for_jobs_loses_none() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, pull_options(&["t"], 50)).await.unwrap();
    // They come one by one, so that waits are dropped before, while and after each arrives.
    let producer = tokio::spawn(async move {
        for n in 0..300 {
            lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        }
    });
    let mut seen = HashSet::new();
    let mut dropped = 0_u64;
    while seen.len() < 300 {
        let patience = Duration::from_micros(dropped % 100 * 20);
        match tokio::time::timeout(patience, worker.next_jobs(7)).await {
            Ok(got) => {
                let done = got.iter().map(|job| Finish {
                    job: job.id(),
                    token: job.token(),
                    outcome: Outcome::complete(),
                });
                let verdicts = worker.finish(done.collect()).await;
                assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted));
                assert!(got.iter().all(|job| seen.insert(job.id())), "handed out twice");
            }
            Err(_) => dropped += 1,
        }
    }
    producer.await.unwrap();
    assert!(dropped > 0, "no wait was cancelled: the test shows nothing");
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_outcome_per_attempt_is_accepted() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, pull_options(&["t"], 1)).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    let finish = |outcome| vec![Finish { job: job.id(), token: job.token(), outcome }];
    assert_eq!(worker.finish(finish(Outcome::complete())).await, [Verdict::Accepted]);
    assert_eq!(worker.finish(finish(Outcome::complete())).await, [Verdict::Stale]);
    worker.stop(LONG).await;
}

/// A job that its handler completed in the user's own transaction: reporting it again is fine.
#[tokio::test(flavor = "multi_thread")]
async fn completing_in_a_transaction_and_returning_agree() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database.run("create table effect (job bigint)").await;
    let pool = database.pool.clone();
    let worker = Worker::builder(&lavoro)
        .handler("pay", move |job: Job| {
            let pool = pool.clone();
            async move {
                let mut tx = pool.begin().await?;
                sqlx::query("insert into effect values ($1)")
                    .bind(job.id())
                    .execute(&mut *tx)
                    .await?;
                sqlx::query("select lavoro.complete($1, $2, '\"paid\"')")
                    .bind(job.id())
                    .bind(job.token())
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok::<_, sqlx::Error>("returned")
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(NewJob::new("pay", 1)).await.unwrap();
    let result: String = job.result(LONG).await.unwrap().value().unwrap();
    assert_eq!(result, "paid");
    worker.stop(LONG).await;
    assert_eq!(database.one::<i64>("select count(*) from effect").await, 1);
    assert_eq!(database.one::<i64>("select count(*) from lavoro.lease").await, 0);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handlers_for_one_task_are_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let start = Worker::builder(&lavoro)
        .handler("t", |_| async { Outcome::complete() })
        .handler("t", |_| async { Outcome::complete() })
        .start();
    assert_eq!(start.await.unwrap_err().kind(), ErrorKind::DuplicateHandler);
    let none = Worker::builder(&lavoro).start().await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidOption);
    let zero =
        Worker::builder(&lavoro).queue("q", 0).handler("t", |_| async { Outcome::complete() });
    assert!(zero.start().await.unwrap_err().message().contains("concurrency of queue \"q\""));
}

/// A blocked application runtime cannot starve the heartbeat.
#[test]
fn a_blocked_event_loop_loses_no_lease() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::new().await;
        let lavoro = database.lavoro().await;
        let watcher = Lavoro::connect_with(lavoro_core::ConnectOptions {
            maintenance: true,
            timing: quick(),
            ..lavoro_core::ConnectOptions::url(&database.url)
        })
        .await
        .unwrap();
        let worker = PullWorker::start(&lavoro, pull_options(&["t"], 1)).await.unwrap();
        let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        // Five leases without a single turn of this runtime's loop.
        std::thread::sleep(5 * quick().lease);
        let finish = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
        assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
        assert!(handle.info().await.unwrap().errors.is_empty());
        worker.stop(LONG).await;
        watcher.close().await;
        database.assert_sound().await;
    });
}
