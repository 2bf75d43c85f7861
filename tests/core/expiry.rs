//! Jobs that are not worth running any more: they expire unless an attempt has begun.

use chrono::Utc;
use lavoro_core::{
    ConnectOptions, Finish, Job, JobHandle, JobState, Lavoro, NewJob, Outcome, PullWorker,
    WorkerOptions,
};
use lavoro_tests::{Database, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(50);

async fn maintainer(database: &Database) -> Lavoro {
    let options =
        ConnectOptions { maintenance: true, timing: quick(), ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

async fn worker(lavoro: &Lavoro) -> PullWorker {
    let options = WorkerOptions {
        tasks: vec!["t".to_owned()],
        timing: quick(),
        maintenance: false,
        ..WorkerOptions::default()
    };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    worker.finish(vec![Finish { job: job.id(), token: job.token(), outcome }]).await;
}

async fn assert_expired(job: &JobHandle) {
    let ended = job.result(LONG).await.unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    let info = job.info().await.unwrap();
    assert_eq!(info.errors.last().unwrap().kind, "expired", "{info:?}");
}

/// Nobody works, but somebody maintains: waiting jobs expire, in ready and in scheduled, from
/// among others and with their unique keys.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_expire_without_a_worker() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..20).map(|n| {
        let job = NewJob::new("t", n);
        if n % 2 == 0 { job.expires_in(SOON) } else { job }
    });
    let handles = lavoro.enqueue_many(jobs).await.unwrap();
    let at = Utc::now() + SOON;
    let keyed = lavoro.enqueue(NewJob::new("t", 1).unique_key("k").expires_at(at)).await.unwrap();
    let later = NewJob::new("t", 1).delay(Duration::from_hours(1)).expires_in(SOON);
    let later = lavoro.enqueue(later).await.unwrap();
    let sql: i64 = database
        .one("select lavoro.enqueue('t', expires_at => clock_timestamp() + interval '50 ms')")
        .await;
    assert!(keyed.info().await.unwrap().expires_at.is_some());
    let maintainer = maintainer(&database).await;
    for job in handles.iter().step_by(2).chain([&keyed, &later, &lavoro.job(sql)]) {
        assert_expired(job).await;
    }
    for job in handles.iter().skip(1).step_by(2) {
        assert_eq!(job.info().await.unwrap().state, JobState::Available);
    }
    assert!(lavoro.enqueue(NewJob::new("t", 1).unique_key("k")).await.unwrap().is_new());
    assert_eq!(database.one::<i64>("select count(*) from lavoro.expiry").await, 0);
    maintainer.close().await;
    database.assert_sound().await;
}

/// A worker that comes before maintenance does not run it either, and goes on with the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_run_what_has_expired() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let past = Utc::now() - Duration::from_mins(1);
    let jobs = (0..10).map(|n| {
        let job = NewJob::new("t", n);
        if n < 5 { job.expires_at(past) } else { job }
    });
    let handles = lavoro.enqueue_many(jobs).await.unwrap();
    let worker = worker(&lavoro).await;
    let mut ran = Vec::new();
    while ran.len() < 5 {
        for job in worker.next_jobs(10).await {
            finish(&worker, &job, Outcome::complete()).await;
            ran.push(job.payload::<usize>().unwrap());
        }
    }
    ran.sort_unstable();
    assert_eq!(ran, [5, 6, 7, 8, 9]);
    for job in &handles[..5] {
        assert_expired(job).await;
    }
    worker.stop(LONG).await;
    assert_eq!(database.one::<i64>("select count(*) from lavoro.lease").await, 0);
    database.assert_sound().await;
}

/// An attempt that has begun ends in its own time, and the job is tried again after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_begun_does_not_expire() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle =
        lavoro.enqueue(NewJob::new("t", 1).expires_in(Duration::from_secs(1))).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = worker.next_jobs(1).await.remove(0);
    let maintainer = maintainer(&database).await;
    wait_for("the expiry to be looked at", async || {
        (database.one::<i64>("select count(*) from lavoro.expiry").await == 0).then_some(())
    })
    .await;
    assert_eq!(handle.info().await.unwrap().state, JobState::Running);
    finish(&worker, &job, Outcome::retry_in(Duration::ZERO, "once more")).await;
    let again = worker.next_jobs(1).await.remove(0);
    assert_eq!((again.id(), again.attempt()), (job.id(), 2));
    finish(&worker, &again, Outcome::complete()).await;
    assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Completed);
    worker.stop(LONG).await;
    maintainer.close().await;
    database.assert_sound().await;
}

/// Whoever retries an expired job wants it run.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_job_that_is_retried_runs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", 1).expires_in(SOON)).await.unwrap();
    let maintainer = maintainer(&database).await;
    assert_expired(&handle).await;
    handle.retry().await.unwrap();
    let worker = worker(&lavoro).await;
    let job = tokio::time::timeout(LONG, worker.next_jobs(1)).await.unwrap().remove(0);
    finish(&worker, &job, Outcome::complete()).await;
    assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Completed);
    worker.stop(LONG).await;
    maintainer.close().await;
    database.assert_sound().await;
}
