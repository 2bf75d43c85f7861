//! Being told of jobs that nobody handles.

use lavoro_core::{
    ConnectOptions, Lavoro, NewJob, Outcome, PullWorker, Unhandled, Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick, wait_for, warnings};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

/// One warning per queue and task, which names both and no payload; none for what is handled.
#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_that_nobody_handles_is_warned_of_once() {
    assert_eq!(warnings("consumers-test").len(), 0);
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("consumers-test", 1)
        .handler("handled", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    for round in 0..3 {
        let job = |task: &str| NewJob::new(task, "a secret").queue("consumers-test");
        for task in ["handled", "single"] {
            lavoro.enqueue(job(task)).await.unwrap();
        }
        lavoro.enqueue(job("keyed").unique_key(round.to_string())).await.unwrap();
        lavoro.enqueue_many([job("bulk"), job("bulk")]).await.unwrap();
        let mut own = database.pool.begin().await.unwrap();
        lavoro.enqueue_in(&mut own, job("own")).await.unwrap();
        own.commit().await.unwrap();
    }
    let seen = wait_for("four warnings", async || {
        let seen = warnings("consumers-test");
        (seen.len() >= 4).then_some(seen)
    })
    .await;
    assert_eq!(seen.len(), 4, "{seen:#?}");
    for task in ["single", "keyed", "bulk", "own"] {
        let of = |line: &&String| line.contains(&format!("task=\"{task}\""));
        assert_eq!(seen.iter().filter(of).count(), 1, "{task}: {seen:#?}");
    }
    assert!(seen.iter().all(|line| line.contains("no live worker") && !line.contains("secret")));
    worker.stop(LONG).await;
    lavoro.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_be_told_not_to_warn() {
    assert_eq!(warnings("unwarned-test").len(), 0);
    let database = Database::new().await;
    let quiet = ConnectOptions { warn_unhandled: false, ..ConnectOptions::url(&database.url) };
    let quiet = Lavoro::connect_with(quiet).await.unwrap();
    let loud = database.lavoro().await;
    quiet.enqueue(NewJob::new("t", 1).queue("unwarned-test")).await.unwrap();
    loud.enqueue(NewJob::new("t", 1).queue("warned-test")).await.unwrap();
    // The loud one began later: when it has warned, the other would have too.
    wait_for("a warning", async || warnings("\"warned-test\"").pop()).await;
    assert_eq!(warnings("unwarned-test").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unhandled_lanes_are_listed_with_their_jobs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = |queue: &str, task: &str| NewJob::new(task, 1).queue(queue);
    let jobs = [job("a", "t"), job("a", "t").delay(LONG), job("a", "t").priority(2), job("b", "t")];
    let jobs = lavoro.enqueue_many(jobs).await.unwrap();
    let lanes = |unhandled: Vec<Unhandled>| -> Vec<(String, String, i64)> {
        unhandled.into_iter().map(|u| (u.queue, u.task, u.jobs)).collect()
    };
    let lane = |queue: &str, jobs: i64| (queue.to_owned(), "t".to_owned(), jobs);
    let unhandled = lavoro.unhandled().await.unwrap();
    assert_eq!(unhandled[0].oldest, Some(jobs[0].info().await.unwrap().created_at));
    assert_eq!(lanes(unhandled), [lane("a", 3), lane("b", 1)]);
    assert!(!lavoro.is_handled("a", "t").await.unwrap());
    let options = WorkerOptions {
        queues: [("a".to_owned(), 1.into())].into(),
        tasks: vec!["t".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    assert_eq!(lanes(lavoro.unhandled().await.unwrap()), [lane("b", 1)]);
    assert!(lavoro.is_handled("a", "t").await.unwrap());
    assert!(!lavoro.is_handled("a", "u").await.unwrap());
    // A queue that ends in * stands for all that begin alike.
    let all = r#"update lavoro.worker set queues = '{"*": {"concurrency": 1, "weight": 1}}'"#;
    database.run(all).await;
    assert!(lavoro.unhandled().await.unwrap().is_empty());
    worker.stop(Duration::ZERO).await;
    assert_eq!(lavoro.unhandled().await.unwrap().len(), 2);
}
