//! The plain life of a job: enqueued, run, finished in each of the ways there are.

use lavoro_core::{Job, JobState, NewJob, Outcome, Worker};
use lavoro_tests::{Database, Quick as _, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_and_its_result_comes_back() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("greet", |job: Job| async move {
            let name: String = job.payload()?;
            Ok::<_, lavoro_core::Error>(format!("Hello, {name}!"))
        })
        .quick()
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(NewJob::new("greet", "Ada")).await.unwrap();
    let greeting: String = job.result(LONG).await.unwrap().value().unwrap();
    assert_eq!(greeting, "Hello, Ada!");
    let info = job.info().await.unwrap();
    assert_eq!((info.state, info.attempt), (JobState::Completed, 1));
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_leads_to_its_state() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("end", |job: Job| async move {
            let how: String = job.payload().unwrap();
            match how.as_str() {
                "cancel" => Outcome::cancel("not needed"),
                "fail" => Outcome::fail("hopeless"),
                "retry" if job.attempt() < 3 => Outcome::retry_in(Duration::ZERO, "not yet"),
                "snooze" if job.tags().is_empty() => Outcome::snooze(Duration::from_hours(1)),
                "panic" => panic!("handler broke"),
                _ => Outcome::complete(),
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let expected = [
        ("complete", JobState::Completed, 1, 0),
        ("cancel", JobState::Cancelled, 1, 1),
        ("fail", JobState::Discarded, 1, 1),
        ("retry", JobState::Completed, 3, 2),
        ("panic", JobState::Discarded, 1, 1),
    ];
    for (how, state, attempt, errors) in expected {
        let attempts = if how == "panic" { 1 } else { 20 };
        let job = lavoro.enqueue(NewJob::new("end", how).max_attempts(attempts)).await.unwrap();
        let result = job.result(LONG).await.unwrap();
        let info = job.info().await.unwrap();
        assert_eq!(result.state, state, "{how}");
        assert_eq!((info.attempt, info.errors.len()), (attempt, errors), "{how}: {info:?}");
    }
    let snoozed = lavoro.enqueue(NewJob::new("end", "snooze")).await.unwrap();
    wait_for("the snooze", async || {
        let info = snoozed.info().await.unwrap();
        (info.state == JobState::Scheduled && info.attempt == 0).then_some(())
    })
    .await;
    worker.stop(LONG).await;
    database.assert_sound().await;
}
