//! The testing kit keeps its own promises.

use lavoro_core::testing::{self, Drainer, assert_enqueued, enqueued, refute_enqueued};
use lavoro_core::{
    Backoff, Error, ErrorKind, Job, JobState, Lavoro, NewJob, Outcome, Worker, WorkerBuilder,
    WorkerOptions,
};
use lavoro_tests::Database;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Handlers for every way to end.
fn worker(lavoro: &Lavoro) -> WorkerBuilder {
    let client = lavoro.clone();
    Worker::builder(lavoro)
        .handler("ok", |job: Job| async move { job.payload::<serde_json::Value>() })
        .handler("fails", |_| async { Outcome::retry("broken") })
        .handler("never", |_| async { Outcome::fail("for good") })
        .handler("unwanted", |_| async { Outcome::cancel("no longer") })
        .handler("later", |_| async { Outcome::snooze(Duration::from_hours(1)) })
        .handler("chain", move |job: Job| {
            let client = client.clone();
            async move {
                let left: u32 = job.payload()?;
                if left > 0 {
                    let next = NewJob::new("chain", left - 1).queue(format!("q{left}"));
                    client.enqueue(next).await?;
                }
                Ok::<_, Error>(left)
            }
        })
        .backoff("fails", Backoff::fixed(Duration::from_mins(10)))
}

#[tokio::test]
async fn a_drain_runs_all_that_may_run_and_counts_it() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for task in ["ok", "fails", "never", "unwanted", "later"] {
        lavoro.enqueue(NewJob::new(task, 1).queue(format!("of {task}"))).await.unwrap();
    }
    lavoro.enqueue(NewJob::new("chain", 3)).await.unwrap();
    lavoro.enqueue(NewJob::new("ok", 1).delay(Duration::from_hours(1))).await.unwrap();
    lavoro.enqueue(NewJob::new("nobody's", 1).queue("paused")).await.unwrap();
    lavoro.pause_queue("paused").await.unwrap();

    let drained = testing::drain(worker(&lavoro)).run().await.unwrap();
    assert_eq!(drained.attempts, 9);
    let counts = (drained.completed, drained.cancelled, drained.discarded, drained.waiting);
    assert_eq!(counts, (5, 1, 1, 2));
    let mut said: Vec<&str> = drained.failures.iter().map(|f| f.message.as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, ["broken", "for good"]);

    let again = testing::drain(worker(&lavoro)).run().await.unwrap();
    assert_eq!(again, testing::Drained::default(), "nothing was left");
    database.assert_sound().await;
}

#[tokio::test]
async fn a_drain_runs_jobs_by_priority_and_age() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let jobs = [(1, 0), (2, 5), (3, 0), (4, 5)];
    lavoro.enqueue_many(jobs.map(|(n, p)| NewJob::new("t", n).priority(p))).await.unwrap();
    let worker = Worker::builder(&lavoro).handler("t", move |job: Job| {
        seen.lock().unwrap().push(job.payload::<u32>().unwrap());
        async {}
    });
    assert_eq!(testing::drain(worker).run().await.unwrap().completed, 4);
    assert_eq!(*order.lock().unwrap(), [2, 4, 1, 3]);
}

#[tokio::test]
async fn a_drain_at_a_later_time_runs_what_is_due_then() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let hours = |n| chrono::Utc::now() + chrono::TimeDelta::hours(n);
    for n in 1..4 {
        lavoro.enqueue(NewJob::new("ok", n).run_at(hours(n))).await.unwrap();
    }
    lavoro.enqueue(NewJob::new("fails", 1).max_attempts(3)).await.unwrap();
    let drained = testing::drain(worker(&lavoro)).at(hours(2)).run().await.unwrap();
    // Its failures wait ten minutes each, which are over by then.
    assert_eq!((drained.completed, drained.discarded, drained.attempts), (2, 1, 5));
    assert_eq!(drained.failures.iter().map(|f| f.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(testing::drain(worker(&lavoro)).run().await.unwrap().attempts, 0);
    assert_eq!(testing::drain(worker(&lavoro)).at(hours(4)).run().await.unwrap().completed, 1);
    database.assert_sound().await;
}

#[tokio::test]
async fn a_drain_names_a_job_without_a_handler() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("ok", 1)).await.unwrap();
    lavoro.enqueue(NewJob::new("sendmail", 1).queue("mail")).await.unwrap();
    let error = testing::drain(worker(&lavoro)).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert_eq!(
        error.message(),
        "job 2 in queue \"mail\" is of task \"sendmail\", which has no handler; there are \
         handlers for: chain, fails, later, never, ok, unwanted"
    );
    assert_eq!(lavoro.job(1).info().await.unwrap().state, JobState::Available, "none has run");
    database.assert_sound().await;
}

#[tokio::test]
async fn a_job_that_enqueues_itself_cannot_hang_a_drain() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("chain", 1_000_000)).await.unwrap();
    let error = testing::drain(worker(&lavoro)).limit(3).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert!(error.message().contains("has run 3 attempts, its limit"), "{error}");
    assert!(error.message().contains("\"chain\""), "{error}");
    let ran = enqueued("chain").state(JobState::Completed).count(3);
    assert_enqueued(&lavoro, &ran).await;
    let left = assert_enqueued(&lavoro, &enqueued("chain").count(1)).await;
    assert_eq!((left[0].state, left[0].attempt), (JobState::Available, 0), "it is handed back");
    database.assert_sound().await;
}

#[tokio::test]
async fn a_drain_applies_middleware_and_takes_batches() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..3).map(|n| NewJob::new("batch", n))).await.unwrap();
    lavoro.enqueue(NewJob::new("ok", 1)).await.unwrap();
    let worker =
        worker(&lavoro)
            .batch_handler("batch", 2, |jobs: Vec<Job>| async move {
                vec![Outcome::complete(); jobs.len()]
            })
            .middleware(|_, _| async { Outcome::cancel("wrapped") });
    let drained = testing::drain(worker).run().await.unwrap();
    assert_eq!((drained.completed, drained.cancelled), (3, 1));
}

#[tokio::test]
async fn inline_runs_this_job_and_no_other() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..5).map(|n| NewJob::new("ok", n).priority(9))).await.unwrap();
    lavoro.pause_queue("default").await.unwrap();

    let job = NewJob::new("ok", json!({"a": [1]})).delay(Duration::from_hours(1));
    let result = testing::inline(worker(&lavoro), job).await.unwrap();
    assert_eq!(result.value::<serde_json::Value>().unwrap(), json!({"a": [1]}));
    let failed = testing::inline(worker(&lavoro), NewJob::new("fails", 1)).await.unwrap();
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Retrying, Some("broken")));
    let unwanted = testing::inline(worker(&lavoro), NewJob::new("unwanted", 1)).await.unwrap();
    assert_eq!(unwanted.state, JobState::Cancelled);
    assert_enqueued(&lavoro, &enqueued("ok").state(JobState::Available).count(5)).await;

    let unknown = testing::inline(worker(&lavoro), NewJob::new("x", 1)).await.unwrap_err();
    assert_eq!(unknown.message(), "task \"x\" has no handler");
    let keyed = || NewJob::new("ok", 1).unique_key("k");
    lavoro.enqueue(keyed()).await.unwrap();
    let held = testing::inline(worker(&lavoro), keyed()).await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::InvalidState);
    database.assert_sound().await;
}

/// The engine that other languages' kits stand on.
#[tokio::test]
async fn the_drainer_takes_a_job_only_while_it_waits() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let ids: Vec<i64> = lavoro
        .enqueue_many((0..3).map(|n| NewJob::new("t", n)))
        .await
        .unwrap()
        .iter()
        .map(lavoro_core::JobHandle::id)
        .collect();
    let options = WorkerOptions { tasks: vec!["t".to_owned()], ..WorkerOptions::default() };
    let drainer = Drainer::new(&lavoro, &options);
    let job = drainer.take(ids[1]).await.unwrap();
    assert_eq!((job.id(), job.payload_json(), job.attempt()), (ids[1], "1", 1));
    let taken = drainer.take(ids[1]).await.unwrap_err();
    assert_eq!(taken.message(), format!("job {} cannot be run: it is running", ids[1]));
    assert_eq!(drainer.take(999).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    database.assert_sound().await;
    drainer.finish(&job, Outcome::complete()).await.unwrap();
    // Handed out and not finished: back it goes.
    assert_eq!(drainer.take(ids[0]).await.unwrap().id(), ids[0]);
    let drained = drainer.end().await.unwrap();
    assert_eq!((drained.attempts, drained.completed, drained.waiting), (2, 1, 1));
    let drainer = Drainer::new(&lavoro, &options);
    drainer.next().await.unwrap().unwrap();
    assert_eq!(drainer.take(ids[2]).await.unwrap_err().kind(), ErrorKind::InvalidState);
    drainer.end().await.unwrap();
    let info = lavoro.job(ids[0]).info().await.unwrap();
    assert_eq!((info.state, info.attempt), (JobState::Available, 0));
    database.assert_sound().await;
}

#[tokio::test]
async fn a_failed_assertion_lists_what_is_enqueued_instead() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let none = enqueued("mail").find(&lavoro).await.unwrap_err();
    assert_eq!(
        none.message(),
        "expected at least 1 of task \"mail\", waiting, found 0; nothing is enqueued"
    );
    let job = NewJob::new("mail", json!({"to": "ada", "n": [1, 2]})).queue("q").unique_key("k");
    lavoro.enqueue(job).await.unwrap();
    lavoro
        .enqueue(NewJob::new("other", "x".repeat(300)).delay(Duration::from_mins(1)))
        .await
        .unwrap();

    let mail = || enqueued("mail");
    for expected in [
        mail(),
        mail().queue("q").state(JobState::Available).unique_key("k").count(1),
        mail().payload(json!({"to": "ada"})),
        mail().payload(json!({"n": [2]})),
        enqueued("other").state(JobState::Scheduled),
    ] {
        assert_eq!(assert_enqueued(&lavoro, &expected).await.len(), 1);
        assert!(expected.find_none(&lavoro).await.is_err());
    }
    for unexpected in [
        mail().queue("default"),
        mail().state(JobState::Scheduled),
        mail().payload(json!({"to": "bob"})),
        mail().payload(json!({"to": "ada", "cc": null})),
        mail().unique_key("other"),
        enqueued("nothing"),
    ] {
        refute_enqueued(&lavoro, &unexpected).await;
        assert!(unexpected.find(&lavoro).await.is_err());
    }
    let wrong = mail().queue("q").payload(json!({"to": "bob"})).count(2);
    let message = wrong.find(&lavoro).await.unwrap_err().message().to_owned();
    let shown = format!("\"{}…", "x".repeat(199));
    assert_eq!(
        message,
        format!(
            "expected 2 of task \"mail\" in queue \"q\", waiting, whose payload contains \
             {{\"to\":\"bob\"}}, found 0; enqueued are:\n  \
             2: task \"other\" in queue \"default\", scheduled: {shown}\n  \
             1: task \"mail\" in queue \"q\", available: {{\"n\":[1,2],\"to\":\"ada\"}}"
        )
    );
}

#[tokio::test]
#[should_panic(expected = "expected none of task \"mail\", waiting, found 1; they are:\n  1: task")]
async fn a_refuted_job_fails_the_test() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("mail", 1)).await.unwrap();
    refute_enqueued(&lavoro, &enqueued("mail")).await;
}
