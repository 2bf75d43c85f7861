//! Wishes to cancel that come late.

use lavoro_core::{
    Finish, Job, JobState, Lavoro, NewJob, Outcome, PullWorker, StopReason, Verdict, WorkerOptions,
};
use lavoro_tests::Database;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

/// A worker with the usual clockwork: it may not have heard of a wish yet when it reports.
async fn worker(lavoro: &Lavoro) -> PullWorker {
    let options = WorkerOptions { tasks: vec!["t".to_owned()], ..WorkerOptions::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    let finish = Finish { job: job.id(), token: job.token(), outcome };
    assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
}

/// The attempt fails before its worker has heard of the wish: the job ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_after_the_wish_is_not_tried_again() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).await;
    let handle = lavoro.enqueue(NewJob::new("t", 1).unique_key("k")).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!(handle.cancel().await.unwrap(), JobState::Running);
    finish(&worker, &job, Outcome::retry("failed meanwhile")).await;
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.errors.len()), (JobState::Cancelled, 1), "{info:?}");
    assert!(lavoro.enqueue(NewJob::new("t", 1).unique_key("k")).await.unwrap().is_new());
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// The job completed before the wish came through. When it is retried, the wish is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_does_not_outlive_the_run_it_was_for() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).await;
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    handle.cancel().await.unwrap();
    finish(&worker, &job, Outcome::complete()).await;
    handle.retry().await.unwrap();
    let again = worker.next_jobs(1).await.remove(0);
    assert_eq!((again.id(), again.attempt()), (job.id(), 2));
    assert_eq!(database.one::<i64>("select count(*) from lavoro.cancel_request").await, 0);
    finish(&worker, &again, Outcome::complete()).await;
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// With the usual clockwork a handler hears of the wish within a second, ten times in a row.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_handler_hears_of_the_wish_within_a_second() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).await;
    let mut took = Vec::new();
    for _ in 0..10 {
        let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        handle.cancel().await.unwrap();
        let asked = Instant::now();
        let reason = tokio::time::timeout(LONG, job.stopped()).await.unwrap();
        assert_eq!(reason, StopReason::Cancelled);
        took.push(asked.elapsed());
        finish(&worker, &job, Outcome::Release).await;
        assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Cancelled);
    }
    took.sort_unstable();
    println!("cancel to signal: median {:?}, worst {:?}", took[5], took[9]);
    assert!(took[5] < Duration::from_secs(1), "{took:?}");
    worker.stop(LONG).await;
    database.assert_sound().await;
}
