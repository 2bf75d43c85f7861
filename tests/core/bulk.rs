//! Changing many jobs at once.

use crate::jobs::all;
use lavoro_core::{
    BulkOutcome, Finish, Job, JobEdit, JobFilter, JobState, Lavoro, NewJob, Outcome, PullWorker,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

fn of_task(task: &str) -> JobFilter {
    JobFilter { task: Some(task.to_owned()), ..JobFilter::default() }
}

fn outcome(matched: u64, changed: u64) -> BulkOutcome {
    BulkOutcome { matched, changed, skipped: matched - changed }
}

/// A worker that holds `count` jobs.
async fn holding(lavoro: &Lavoro, count: usize) -> (PullWorker, Vec<Job>) {
    let options = WorkerOptions {
        queues: [("default".to_owned(), u32::try_from(count).unwrap().into())].into(),
        tasks: vec!["t".into()],
        timing: quick(),
        ..Default::default()
    };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let mut jobs = Vec::new();
    while jobs.len() < count {
        jobs.extend(worker.next_jobs(count).await);
    }
    (worker, jobs)
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_takes_the_waiting_and_asks_the_running() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..1500).map(|n| {
        let job = NewJob::new(if n % 3 == 0 { "other" } else { "t" }, n);
        if n % 2 == 0 { job.delay(LONG) } else { job }
    });
    lavoro.enqueue_many(jobs).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1).unique_key("k")).await.unwrap();
    let (worker, held) = holding(&lavoro, 20).await;
    assert_eq!(lavoro.count_jobs(of_task("t")).await.unwrap(), 1001);
    assert_eq!(lavoro.cancel_jobs(of_task("t")).await.unwrap(), outcome(1001, 1001));
    for job in &held {
        assert_eq!(job.stopped().await, lavoro_core::StopReason::Cancelled);
    }
    let again = lavoro.cancel_jobs(of_task("t")).await.unwrap();
    assert_eq!(again, outcome(20, 0), "they were asked before");
    let done = held.iter().map(|job| Finish {
        job: job.id(),
        token: job.token(),
        outcome: Outcome::cancel("told to"),
    });
    worker.finish(done.collect()).await;
    worker.stop(LONG).await;
    let cancelled = JobFilter { state: Some(JobState::Cancelled), ..of_task("t") };
    assert_eq!(lavoro.count_jobs(cancelled).await.unwrap(), 1001);
    assert_eq!(lavoro.count_jobs(of_task("other")).await.unwrap(), 500);
    assert!(lavoro.enqueue(NewJob::new("t", 1).unique_key("k")).await.unwrap().is_new());
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_gives_ended_jobs_another_attempt() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..300).map(|n| NewJob::new("t", n))).await.unwrap();
    for key in ["a", "b"] {
        lavoro.enqueue(NewJob::new("t", 1).unique_key(key)).await.unwrap();
    }
    let (worker, held) = holding(&lavoro, 302).await;
    let done = held.iter().enumerate().map(|(n, job)| Finish {
        job: job.id(),
        token: job.token(),
        outcome: if n < 299 { Outcome::fail("broken") } else { Outcome::complete() },
    });
    worker.finish(done.collect()).await;
    worker.stop(LONG).await;
    // The three that completed stay, and the key of one that failed is taken.
    database.run("update lavoro.outcome set state = 3 where job_id > 300").await;
    let holder = lavoro.enqueue(NewJob::new("t", 1).unique_key("a")).await.unwrap();
    let failed = JobFilter { state: Some(JobState::Discarded), ..of_task("t") };
    let count = lavoro.count_jobs(failed.clone()).await.unwrap();
    let error = lavoro.retry_jobs(of_task("t")).await.unwrap_err();
    assert_eq!(error.code(), "invalid_option", "{error}");
    assert_eq!(lavoro.retry_jobs(failed.clone()).await.unwrap(), outcome(count, count - 1));
    assert_eq!(all(&lavoro, failed).await, [301], "another job holds its key");
    holder.delete().await.unwrap();
    let waiting = JobFilter { state: Some(JobState::Available), ..of_task("t") };
    assert_eq!(lavoro.count_jobs(waiting).await.unwrap(), count - 1);
    let largest: i32 = database.one("select max(cardinality(jobs)) from lavoro.ready").await;
    assert!(largest > 30, "they lie in packs again, of up to {largest}");
    let (worker, held) = holding(&lavoro, usize::try_from(count - 1).unwrap()).await;
    assert!(held.iter().all(|job| job.attempt() == 2));
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_makes_scheduled_jobs_available() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..300).map(|n| NewJob::new("t", n).delay(LONG))).await.unwrap();
    let later = JobFilter { state: Some(JobState::Scheduled), ..JobFilter::default() };
    assert_eq!(lavoro.retry_jobs(later.clone()).await.unwrap(), outcome(300, 300));
    assert_eq!(lavoro.count_jobs(later).await.unwrap(), 0);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_leaves_nothing_but_what_runs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..600).map(|n| NewJob::new("t", n))).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1).unique_key("k").delay(LONG)).await.unwrap();
    let (worker, held) = holding(&lavoro, 100).await;
    lavoro.pause_queue("default").await.unwrap(); // the worker shall claim no more
    let done = held.iter().take(90).map(|job| Finish {
        job: job.id(),
        token: job.token(),
        outcome: Outcome::fail("broken"),
    });
    worker.finish(done.collect()).await;
    wait_for("the ends to be recorded", async || {
        (database.one::<i64>("select count(*) from lavoro.outcome").await == 90).then_some(())
    })
    .await;
    assert_eq!(lavoro.delete_jobs(of_task("t")).await.unwrap(), outcome(591, 591));
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 10);
    for table in ["outcome", "error", "ready", "scheduled", "unique_key"] {
        let sql = format!("select count(*) from lavoro.{table}");
        let left: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&database.pool).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let done = held.iter().skip(90).map(|job| Finish {
        job: job.id(),
        token: job.token(),
        outcome: Outcome::complete(),
    });
    assert!(
        worker.finish(done.collect()).await.iter().all(|v| *v == lavoro_core::Verdict::Accepted)
    );
    worker.stop(LONG).await;
    assert_eq!(database.one::<i64>("select count(*) from lavoro.lease").await, 0);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_moves_all_that_wait_and_skips_taken_keys() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..500).map(|n| NewJob::new("t", n))).await.unwrap();
    let key = |queue: &str, key: &str| NewJob::new("t", 1).queue(queue).unique_key(key);
    lavoro.enqueue(key("default", "free")).await.unwrap();
    let taken = lavoro.enqueue(key("default", "taken")).await.unwrap();
    lavoro.enqueue(key("b", "taken")).await.unwrap();
    let here = JobFilter { queue: Some("default".into()), ..JobFilter::default() };
    let edit = JobEdit::new().queue("b").priority(4).delay(LONG).payload("new");
    assert_eq!(lavoro.edit_jobs(here.clone(), edit).await.unwrap(), outcome(502, 501));
    assert_eq!(all(&lavoro, here).await, [taken.id()]);
    let there: i64 = database
        .one(
            "select count(*) from lavoro.jobs
             where queue = 'b' and state = 'scheduled' and priority = 4 and payload = '\"new\"'",
        )
        .await;
    assert_eq!(there, 501);
    let packs: i64 = database.one("select count(*) from lavoro.scheduled").await;
    assert!(packs < 50, "they lie in packs again: {packs}");
    let ended = JobFilter { state: Some(JobState::Completed), ..JobFilter::default() };
    let error = lavoro.edit_jobs(ended, JobEdit::new().priority(1)).await.unwrap_err();
    assert_eq!(error.code(), "invalid_option", "{error}");
    database.assert_sound().await;
}

/// A job that an open transaction is changing is skipped, not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_hold_is_skipped() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = lavoro.enqueue_many((0..10).map(|n| NewJob::new("t", n))).await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    let lock = sqlx::query("select id from lavoro.job where id = $1 for no key update");
    lock.bind(jobs[3].id()).execute(&mut *open).await.unwrap();
    assert_eq!(lavoro.cancel_jobs(of_task("t")).await.unwrap(), outcome(10, 9));
    open.rollback().await.unwrap();
    assert_eq!(lavoro.cancel_jobs(of_task("t")).await.unwrap(), outcome(1, 1));
    database.assert_sound().await;
}

/// Bulk changes of all kinds race each other, workers, and a producer that never rests: they end,
/// and no job is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn bulk_changes_race_workers_and_each_other() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = |from: usize| {
        (from..from + 500).map(|n| {
            let job = NewJob::new("t", n).queue(["a", "b"][n % 2]);
            if n % 3 == 0 { job.delay(Duration::from_millis(30)) } else { job }
        })
    };
    lavoro.enqueue_many(jobs(0)).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let worker = Worker::builder(&lavoro)
            .queue("a", 5)
            .queue("b", 5)
            .handler("t", |_: Job| async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok::<_, lavoro_core::Error>(())
            })
            .quick()
            .start()
            .await
            .unwrap();
        workers.push(worker);
    }
    let producer = tokio::spawn({
        let lavoro = lavoro.clone();
        async move {
            let mut from = 500;
            loop {
                lavoro.enqueue_many(jobs(from)).await.unwrap();
                from += 500;
                if from > 10_000 {
                    break;
                }
            }
        }
    });
    let queue = |name: &str| JobFilter { queue: Some(name.to_owned()), ..JobFilter::default() };
    let in_state = |state| JobFilter { state: Some(state), ..JobFilter::default() };
    for round in 0..3 {
        let (moved, back, cancelled, retried, deleted) = tokio::join!(
            lavoro.edit_jobs(queue("a"), JobEdit::new().queue("b").priority(round)),
            lavoro.edit_jobs(queue("b"), JobEdit::new().queue("a").delay_ms(5)),
            lavoro.cancel_jobs(JobFilter { state: Some(JobState::Available), ..queue("b") }),
            lavoro.retry_jobs(in_state(JobState::Cancelled)),
            lavoro.delete_jobs(in_state(JobState::Completed)),
        );
        for outcome in [moved, back, cancelled, retried, deleted] {
            let outcome = outcome.unwrap();
            assert_eq!(outcome.matched, outcome.changed + outcome.skipped);
        }
    }
    producer.await.unwrap();
    wait_for("all jobs to end", async || {
        let open = "select count(*) from lavoro.job j
                    where not exists (select from lavoro.outcome o where o.job_id = j.id)";
        (database.one::<i64>(open).await == 0).then_some(())
    })
    .await;
    for worker in workers {
        worker.stop(LONG).await;
    }
    database.assert_sound().await;
}
