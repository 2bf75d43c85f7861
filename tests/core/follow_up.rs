//! What is enqueued when a job is discarded.

use lavoro_core::{Finish, Job, JobState, Lavoro, NewJob, Outcome, PullWorker, WorkerOptions};
use lavoro_tests::{Database, PATIENCE, Spec, WorkerProcess, quick, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

async fn worker(lavoro: &Lavoro, tasks: &[&str]) -> PullWorker {
    let options = WorkerOptions {
        queues: [("q".to_owned(), 10.into())].into(),
        tasks: tasks.iter().map(ToString::to_string).collect(),
        timing: quick(),
        ..WorkerOptions::default()
    };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    worker.finish(vec![Finish { job: job.id(), token: job.token(), outcome }]).await;
}

/// It names the job, its last error and its payload, waits in the same queue, and comes once:
/// with the last attempt, or when the handler fails the job for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_job_has_its_follow_up() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let new = |n: i32| {
        NewJob::new("pay", json!({"n": n}))
            .queue("q")
            .priority(7)
            .max_attempts(2)
            .tags(["money"])
            .metadata(json!({"tenant": 3}))
            .on_discarded("refund")
    };
    let handles = lavoro.enqueue_many([new(1), new(2), new(3)]).await.unwrap();
    let payer = worker(&lavoro, &["pay"]).await;
    let mut left = 3;
    while left > 0 {
        for job in payer.next_jobs(10).await {
            let n = job.payload::<Value>().unwrap()["n"].as_i64().unwrap();
            let (outcome, ends) = match n {
                1 => (Outcome::retry_in(Duration::ZERO, "no money"), job.attempt() == 2),
                2 => (Outcome::fail("no account"), true),
                _ => (Outcome::complete(), true),
            };
            finish(&payer, &job, outcome).await;
            left -= usize::from(ends);
        }
    }
    payer.stop(LONG).await;
    let refunder = worker(&lavoro, &["refund"]).await;
    let mut follow_ups = Vec::new();
    while follow_ups.len() < 2 {
        for job in refunder.next_jobs(10).await {
            finish(&refunder, &job, Outcome::complete()).await;
            follow_ups.push(job);
        }
    }
    refunder.stop(LONG).await;
    follow_ups.sort_by_key(|job| job.payload::<Value>().unwrap()["payload"]["n"].as_i64());
    let payloads: Vec<Value> = follow_ups.iter().map(|job| job.payload().unwrap()).collect();
    let expected = |place: usize, attempt: i32, error: &str| {
        json!({"job_id": handles[place].id().to_string(), "task": "pay", "queue": "q",
               "attempt": attempt, "error": error, "payload": {"n": place + 1}})
    };
    assert_eq!(payloads, [expected(0, 2, "no money"), expected(1, 1, "no account")]);
    assert_eq!((follow_ups[0].priority(), follow_ups[0].tags()), (7, &["money".to_owned()][..]));
    assert_eq!(follow_ups[0].metadata_json(), Some("{\"tenant\": 3}"));
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 5);
    database.assert_sound().await;
}

/// A job that is discarded because it killed its process has one too.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_job_has_its_follow_up() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let poison =
        NewJob::new("poison", json!({"poison": true})).max_attempts(1).on_discarded("mourn");
    let poison = lavoro.enqueue(poison).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let spec = Spec {
        url: database.url.clone(),
        log: directory.path().join("log"),
        concurrency: 4,
        quick: true,
        name: "victim".to_owned(),
    };
    let program = env!("CARGO_BIN_EXE_lavoro-test-worker");
    let mut process = WorkerProcess::start(program, &spec);
    let deadline = std::time::Instant::now() + PATIENCE;
    while poison.info().await.unwrap().state != JobState::Discarded {
        assert!(std::time::Instant::now() < deadline, "the poison was not discarded");
        if process.has_ended() {
            process = WorkerProcess::start(program, &spec);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_for("the follow-up", async || {
        let sql = "select count(*) from lavoro.jobs where task = 'mourn' and state = 'available'";
        (database.one::<i64>(sql).await == 1).then_some(())
    })
    .await;
    database.assert_sound().await;
}
