//! Why a job does not run, asked of a real database.

use lavoro_core::{
    ConnectOptions, ErrorKind, Finish, Job, JobHandle, JobState, Lavoro, NewJob, Outcome,
    PullWorker, Reason, Why, WorkerOptions,
};
use lavoro_tests::{Database, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

async fn worker(lavoro: &Lavoro, queue: &str, slots: u32, task: &str) -> PullWorker {
    let options = WorkerOptions {
        name: Some("w".to_owned()),
        queues: [(queue.to_owned(), slots.into())].into(),
        tasks: vec![task.to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn next(worker: &PullWorker) -> Job {
    tokio::time::timeout(LONG, worker.next_jobs(1)).await.expect("no job came").remove(0)
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    worker.finish(vec![Finish { job: job.id(), token: job.token(), outcome }]).await;
}

/// The verdict's stable name, and the verdict.
async fn why(job: &JobHandle) -> (String, Why) {
    let why = job.why().await.unwrap();
    let json = serde_json::to_value(&why).unwrap();
    assert_eq!(json["id"], job.id().to_string());
    assert_eq!(json["state"], why.state.as_str());
    assert_eq!(json["message"], why.message);
    (json["reason"].as_str().unwrap().to_owned(), why)
}

async fn reason(job: &JobHandle) -> String {
    why(job).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_does_not_exist_is_an_error() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let pooled = ConnectOptions { transaction_pooler: true, ..ConnectOptions::url(&database.url) };
    for lavoro in [lavoro, Lavoro::connect_with(pooled).await.unwrap()] {
        let error = lavoro.job(99).why().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JobNotFound);
        assert!(error.message().contains("pruned"), "{error}");
        let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
        assert_eq!(reason(&job).await, "no_worker");
    }
}

/// The fleet stands in the way, in this order: nobody, nobody for the task, for the queue, no
/// free slot, others first.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_the_right_worker() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let of = |n: u32| NewJob::new("t", n).queue("mail");
    let first = lavoro.enqueue(of(1)).await.unwrap();
    assert_eq!(reason(&first).await, "no_worker");
    let other = worker(&lavoro, "mail", 1, "u").await;
    assert_eq!(reason(&first).await, "no_worker_for_task");
    let elsewhere = worker(&lavoro, "post", 1, "t").await;
    assert_eq!(reason(&first).await, "no_worker_for_queue");
    lavoro.pause_queue("mail").await.unwrap();
    let (name, paused) = why(&first).await;
    assert_eq!((name.as_str(), paused.state), ("paused_queue", JobState::Available));
    let right = worker(&lavoro, "mail", 1, "t").await;
    assert_eq!(reason(&first).await, "paused_queue");
    lavoro.resume_queue("mail").await.unwrap();
    let job = next(&right).await;
    let (name, running) = why(&first).await;
    assert_eq!(name, "running");
    assert!(
        running.message.contains("\"w\"") && running.message.contains("1 of 20"),
        "{running:?}"
    );
    let second = lavoro.enqueue(of(2)).await.unwrap();
    let Reason::Busy { workers, oldest_running_ms } = why(&second).await.1.reason else {
        panic!("{:?}", second.why().await)
    };
    assert_eq!((workers.len(), workers[0].running, workers[0].slots), (1, 1, 1));
    assert_eq!(workers[0].id, right.id());
    assert!(oldest_running_ms.is_some());
    finish(&right, &job, Outcome::complete()).await;
    assert_eq!(reason(&first).await, "ended");
    for worker in [other, elsewhere, right] {
        worker.stop(Duration::ZERO).await;
    }
    database.assert_sound().await;
}

/// A worker that lives by its row but claims nothing: what would be claimed next stands still.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_those_before_it_and_then_for_nothing() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    idle_worker(&database, 77, "h").await;
    let bulk = lavoro.enqueue_many((0..100).map(|n| NewJob::new("t", n))).await.unwrap();
    assert_eq!(reason(&bulk[0]).await, "about_to_be_claimed");
    for place in [1, 63, 64, 99] {
        let expected = Reason::Behind { jobs: place, at_least: false };
        let index = usize::try_from(place).unwrap();
        assert_eq!(why(&bulk[index]).await.1.reason, expected);
    }
    let urgent = NewJob::new("t", 1).priority(9);
    let urgent = lavoro.enqueue(urgent).await.unwrap();
    assert_eq!(reason(&urgent).await, "about_to_be_claimed");
    assert_eq!(why(&bulk[0]).await.1.reason, Reason::Behind { jobs: 1, at_least: false });
}

async fn idle_worker(database: &Database, id: i64, host: &str) {
    database
        .run(&format!(
            "insert into lavoro.worker (id, beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values ({id}, now(), now(), 3600000, 1, 'w{id}', '{host}', 'rust', '0',
                     '{{\"default\": {{\"concurrency\": 5, \"weight\": 1}}}}', '{{t}}')"
        ))
        .await;
}

/// Gives what is ready to a worker, as suspects or not.
async fn take(database: &Database, worker: i64, suspect: bool) {
    database
        .run(&format!(
            "with pack as (delete from lavoro.ready returning jobs)
             insert into lavoro.lease (token, worker_id, claimed_at, suspect, jobs, attempts)
             select gen_random_uuid(), {worker}, now(), case when {suspect} then jobs[1] end, jobs,
                    '{{1}}'
             from pack"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_waits_for_a_process_without_one() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    idle_worker(&database, 77, "h").await;
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    take(&database, 77, true).await;
    let second = lavoro.enqueue(NewJob::new("t", 2)).await.unwrap();
    assert_eq!(reason(&second).await, "about_to_be_claimed");
    database.run("update lavoro.ready set suspect = true").await;
    assert_eq!(why(&second).await.1.reason, Reason::Suspect { processes: 1 });
    idle_worker(&database, 78, "another").await;
    assert_eq!(reason(&second).await, "about_to_be_claimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_its_time_and_then_for_its_promotion() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let later = lavoro.enqueue(NewJob::new("t", 1).delay(LONG)).await.unwrap();
    let (name, scheduled) = why(&later).await;
    assert_eq!((name.as_str(), scheduled.state), ("scheduled", JobState::Scheduled));
    database.run("update lavoro.scheduled set run_at = now() - interval '1 minute'").await;
    let (name, late) = why(&later).await;
    assert_eq!(name, "not_promoted");
    assert!(late.message.contains("no worker lives"), "{}", late.message);
    // A worker that promotes: the job is run, fails, and waits for its next attempt.
    let worker = worker(&lavoro, "default", 1, "t").await;
    let job = next(&worker).await;
    finish(&worker, &job, Outcome::retry_in(LONG, "boom\nand more")).await;
    let (name, retrying) = why(&later).await;
    assert_eq!((name.as_str(), retrying.state), ("retrying", JobState::Retrying));
    assert!(retrying.message.contains("1 of 20"), "{}", retrying.message);
    assert!(retrying.message.contains("boom") && !retrying.message.contains("more"));
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_told_to_stop_and_its_worker_falls_silent() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    idle_worker(&database, 77, "h").await;
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    take(&database, 77, false).await;
    assert_eq!(reason(&job).await, "running");
    job.cancel().await.unwrap();
    assert_eq!(reason(&job).await, "cancel_requested");
    let silent = "update lavoro.worker set lease_ms = 15000, beat_at = now() - interval '10 s'";
    database.run(silent).await;
    let Reason::LostWorker { rescuers: 1, rescue_at, beat_at, .. } = why(&job).await.1.reason
    else {
        panic!("{:?}", job.why().await)
    };
    assert_eq!((rescue_at - beat_at.unwrap()).num_seconds(), 15);
    database.run("update lavoro.worker set beat_at = now() - interval '1 minute'").await;
    let why_lost = why(&job).await.1;
    assert!(why_lost.message.contains("no worker lives"), "{}", why_lost.message);
    database.run("delete from lavoro.worker").await;
    assert_eq!(reason(&job).await, "lost_worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_job_says_what_a_retry_would_meet() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let keyed = || NewJob::new("t", 1).unique_key("k");
    let first = lavoro.enqueue(keyed()).await.unwrap();
    first.cancel().await.unwrap();
    let (name, ended) = why(&first).await;
    assert_eq!((name.as_str(), ended.state), ("ended", JobState::Cancelled));
    let second = lavoro.enqueue(keyed()).await.unwrap();
    let Reason::UniqueKey { holder, unique_key, .. } = why(&first).await.1.reason else {
        panic!("{:?}", first.why().await)
    };
    assert_eq!((holder, unique_key.as_str()), (second.id(), "k"));
    assert_eq!(first.retry().await.unwrap_err().kind(), ErrorKind::InvalidState);
    assert_eq!(reason(&second).await, "no_worker");
    // Failed for good: the last error is told.
    let worker = worker(&lavoro, "default", 1, "t").await;
    let job = next(&worker).await;
    finish(&worker, &job, Outcome::fail("no such file")).await;
    let (name, failed) = why(&second).await;
    assert_eq!(name, "ended");
    assert!(failed.message.contains("no such file"), "{}", failed.message);
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_expires_says_so_before_and_after() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = NewJob::new("t", 1).expires_in(Duration::from_millis(1));
    let job = lavoro.enqueue(job).await.unwrap();
    wait_for("the expiry", async || (reason(&job).await == "expired").then_some(())).await;
    assert_eq!(why(&job).await.1.state, JobState::Available);
    let expired = format!("select lavoro.expire({}, clock_timestamp())", job.id());
    database.run(&expired).await;
    let (name, after) = why(&job).await;
    assert_eq!((name.as_str(), after.state), ("expired", JobState::Cancelled));
    database.assert_sound().await;
}
