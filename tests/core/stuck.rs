//! Handlers that do not return: their attempts end, their slots stay taken, and a worker that
//! has no other slot left says so.

use lavoro_core::{
    Finish, JobState, NewJob, Outcome, PullWorker, StopReason, Verdict, WorkerOptions,
};
use lavoro_tests::{Database, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn options(slots: u32) -> WorkerOptions {
    WorkerOptions {
        queues: [("default".to_owned(), slots.into())].into(),
        tasks: vec!["t".to_owned()],
        timing: quick(),
        stuck_after: Duration::from_millis(200),
        ..WorkerOptions::default()
    }
}

fn limited(n: i32) -> NewJob {
    NewJob::new("t", n).timeout(Duration::from_millis(100)).max_attempts(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_slots_are_all_stuck_says_so() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options(2)).await.unwrap();
    let first = lavoro.enqueue(limited(1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!(job.stopped().await, StopReason::Timeout);
    // The attempt has failed at its timeout, though its handler has not returned.
    assert_eq!(first.result(LONG).await.unwrap().state, JobState::Discarded);
    // One slot is left: the worker works on, and is not stuck.
    let second = lavoro.enqueue(NewJob::new("t", 2)).await.unwrap();
    let next = worker.next_jobs(1).await.remove(0);
    let outcome = Outcome::complete();
    worker.finish(vec![Finish { job: next.id(), token: next.token(), outcome }]).await;
    assert_eq!(second.result(LONG).await.unwrap().state, JobState::Completed);

    lavoro.enqueue(limited(3)).await.unwrap();
    let other = worker.next_jobs(1).await.remove(0);
    let waiting = lavoro.enqueue(NewJob::new("t", 4)).await.unwrap();
    assert!(worker.health().healthy);
    tokio::time::timeout(LONG, worker.stuck()).await.unwrap();
    assert!(worker.health().stuck && !worker.health().healthy);
    assert!(worker.next_jobs(1).await.is_empty(), "nothing more is handed out");
    // What they say now comes too late, for both.
    for job in [job, other] {
        let finish = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
        assert_eq!(worker.finish(vec![finish]).await, [Verdict::Stale]);
    }
    worker.stop(LONG).await;
    assert_eq!(waiting.info().await.unwrap().state, JobState::Available);
    database.assert_sound().await;
}

/// A handler that runs long within its rights is not stuck.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_is_not_stuck() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options(1)).await.unwrap();
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    handle.cancel().await.unwrap();
    assert_eq!(job.stopped().await, StopReason::Cancelled);
    // Its lease is renewed all the while: longer than a stuck handler would be given.
    wait_for("ten heartbeats", async || {
        let beats = "select extract(epoch from beat_at - started_at) > 1 from lavoro.worker";
        database.one::<bool>(beats).await.then_some(())
    })
    .await;
    let stuck = tokio::time::timeout(Duration::from_millis(1), worker.stuck()).await;
    assert!(stuck.is_err());
    let finish = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
    worker.stop(LONG).await;
    database.assert_sound().await;
}
