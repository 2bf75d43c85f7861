//! Pausing, resuming, renaming and clearing queues.

use lavoro_core::{
    ErrorKind, JobState, KeptJob, Lavoro, NewJob, Outcome, PullWorker, Worker, WorkerOptions,
};
use lavoro_tests::{Database, quick, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

async fn all_done(lavoro: &Lavoro) {
    wait_for("all jobs to end", async || {
        let queues = lavoro.queues().await.unwrap();
        let open = |q: &lavoro_core::QueueInfo| q.available + q.scheduled + q.retrying + q.running;
        (queues.iter().map(open).sum::<i64>() == 0).then_some(())
    })
    .await;
}

/// From the return of a pause to the last job that is handed out, and from the call of a resume
/// to the first, over forty workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pause_and_resume_take_hold_at_once() {
    let database = Database::new().await;
    let start = Instant::now();
    let last = Arc::new(AtomicU64::new(0));
    let millis = move || u64::try_from(start.elapsed().as_millis()).unwrap();
    let (mut clients, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let lavoro = database.lavoro().await;
        for _ in 0..5 {
            let last = Arc::clone(&last);
            let handler = move |_| {
                last.fetch_max(millis(), Ordering::Relaxed);
                async { Outcome::complete() }
            };
            let builder = Worker::builder(&lavoro).queue("q", 4).handler("t", handler);
            workers.push(builder.start().await.unwrap());
        }
        clients.push(lavoro);
    }
    let lavoro = database.lavoro().await;
    let (mut paused, mut resumed) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let jobs = (0..4000).map(|n| NewJob::new("t", n).queue("q"));
        lavoro.enqueue_many(jobs).await.unwrap();
        let before = millis();
        wait_for("work", async || (last.load(Ordering::Relaxed) > before).then_some(())).await;
        lavoro.pause_queue("q").await.unwrap();
        let at = millis();
        wait_for("half a second without work", async || {
            let quiet = millis() - at.max(last.load(Ordering::Relaxed));
            (quiet > 500).then_some(())
        })
        .await;
        paused.push(last.load(Ordering::Relaxed).saturating_sub(at));
        lavoro.enqueue_many((0..50).map(|n| NewJob::new("t", n).queue("q"))).await.unwrap();
        let at = millis();
        last.store(0, Ordering::Relaxed);
        lavoro.resume_queue("q").await.unwrap();
        wait_for("the first", async || (last.load(Ordering::Relaxed) > 0).then_some(())).await;
        resumed.push(last.load(Ordering::Relaxed).saturating_sub(at));
        all_done(&lavoro).await;
    }
    println!("pause to the last hand-out: {paused:?} ms; resume to the first: {resumed:?} ms");
    assert!(paused.iter().all(|ms| *ms <= 1000), "{paused:?}");
    assert!(resumed.iter().all(|ms| *ms <= 1000), "{resumed:?}");
    for worker in workers {
        worker.stop(LONG).await;
    }
    database.assert_sound().await;
}

/// A resume wakes idle workers by a hint: they need not wait for their next look.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_wakes_idle_workers() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.pause_queue("default").await.unwrap();
    let timing = lavoro_core::Timing { poll: LONG, ..quick() };
    let options = WorkerOptions { tasks: vec!["t".into()], timing, ..WorkerOptions::default() };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    wait_for("an idle worker that listens", async || {
        let idle: bool = database.one("select bool_or(idle) from lavoro.worker").await;
        let listens: bool = database
            .one(
                "select exists (select from pg_stat_activity
                                where datname = current_database() and query ilike 'listen%')",
            )
            .await;
        (idle && listens).then_some(())
    })
    .await;
    lavoro.resume_queue("default").await.unwrap();
    let jobs = tokio::time::timeout(LONG / 2, worker.next_jobs(1)).await;
    assert_eq!(jobs.expect("no hint came").len(), 1);
    worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_takes_everything_along_but_history() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = |n: u32| NewJob::new("t", n).queue("a");
    // What ends before keeps the old name.
    let ended = lavoro.enqueue(job(0)).await.unwrap();
    ended.cancel().await.unwrap();
    let options = WorkerOptions {
        queues: [("a".to_owned(), 2.into())].into(),
        tasks: vec!["t".into()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let running = lavoro.enqueue_many([job(1), job(2).unique_key("running")]).await.unwrap();
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let mut held = worker.next_jobs(2).await;
    while held.len() < 2 {
        held.extend(worker.next_jobs(2).await);
    }
    lavoro.pause_queue("a").await.unwrap();
    let mut jobs: Vec<NewJob> = (0..500).map(job).collect();
    jobs.extend((0..300).map(|n| job(n).delay(LONG)));
    jobs.extend((0..40).map(|n| job(n).unique_key(n.to_string()).priority(3)));
    jobs.push(job(0).unique_key("later").delay(LONG));
    jobs.push(NewJob::new("u", 1).queue("a"));
    jobs.push(NewJob::new("t", 1).queue("other"));
    lavoro.enqueue_many(jobs).await.unwrap();

    let renamed = lavoro.rename_queue("a", "b").await.unwrap();
    assert_eq!((renamed.waiting, renamed.running, renamed.left), (842, 2, 0));
    assert!(renamed.kept.is_empty(), "{renamed:?}");
    database.assert_sound().await;
    let queues = lavoro.queues().await.unwrap();
    let names: Vec<&str> = queues.iter().map(|q| q.name.as_str()).collect();
    assert_eq!(names, ["b", "other"]);
    let b = &queues[0];
    assert_eq!((b.available, b.scheduled, b.running), (541, 301, 2));
    assert!(b.paused_at.is_some(), "the pause moves along");
    assert_eq!(ended.info().await.unwrap().queue, "a");
    // The key is taken in the new queue and free in the old.
    let key = |queue: &str| NewJob::new("t", 1).queue(queue).unique_key("running");
    assert_eq!(lavoro.enqueue(key("b")).await.unwrap().id(), running[1].id());
    assert!(lavoro.enqueue(key("a")).await.unwrap().is_new());
    // What runs is accepted, and returns to the new name when it fails.
    for job in held {
        let outcome = Outcome::retry("once");
        let finish = lavoro_core::Finish { job: job.id(), token: job.token(), outcome };
        worker.finish(vec![finish]).await;
        let info = lavoro.job(job.id()).info().await.unwrap();
        assert_eq!((info.queue.as_str(), info.state), ("b", JobState::Retrying));
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_joins_a_queue_and_names_the_jobs_whose_keys_are_taken() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let keyed = |queue: &str, key: &str| NewJob::new("t", 1).queue(queue).unique_key(key);
    let in_the_way = lavoro.enqueue(keyed("b", "k")).await.unwrap();
    let stays = lavoro.enqueue(keyed("a", "k")).await.unwrap();
    let later = lavoro.enqueue(keyed("a", "later").delay(LONG)).await.unwrap();
    let pending = lavoro.enqueue(keyed("a", "pending")).await.unwrap();
    lavoro.enqueue(keyed("a", "free")).await.unwrap();
    lavoro.pause_queue("b").await.unwrap();
    lavoro.pause_queue("a").await.unwrap();
    // A user's open transaction is about to take a key of the new queue.
    let mut open = database.pool.begin().await.unwrap();
    lavoro.enqueue_in(&mut open, keyed("b", "pending")).await.unwrap();
    let renamed = lavoro.rename_queue("a", "b").await.unwrap();
    open.rollback().await.unwrap();
    assert_eq!((renamed.waiting, renamed.left), (2, 0), "{renamed:?}");
    let kept = [
        KeptJob { id: stays.id(), holder: Some(in_the_way.id()) },
        KeptJob { id: pending.id(), holder: None },
    ];
    assert_eq!(renamed.kept, kept);
    assert_eq!(later.info().await.unwrap().queue, "b");
    assert_eq!(stays.info().await.unwrap().queue, "a");
    let paused = lavoro.queues().await.unwrap();
    assert!(paused.iter().all(|queue| queue.paused_at.is_some()), "what stays is paused still");
    database.assert_sound().await;
    // Called again when the way is free, it moves the rest.
    in_the_way.cancel().await.unwrap();
    let again = lavoro.rename_queue("a", "b").await.unwrap();
    assert_eq!((again.waiting, again.kept.len()), (2, 0));
    assert_eq!(lavoro.queues().await.unwrap().len(), 1);
    database.assert_sound().await;
}

/// A job that a user's transaction holds is not waited for: it stays, and the answer says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_hold_stays_and_is_counted() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..3).map(|n| NewJob::new("t", n).queue("a").priority(n));
    let held = lavoro.enqueue_many(jobs).await.unwrap().remove(0);
    let mut open = database.pool.begin().await.unwrap();
    sqlx::query("select from lavoro.job where id = $1 for no key update")
        .bind(held.id())
        .execute(&mut *open)
        .await
        .unwrap();
    let renamed = lavoro.rename_queue("a", "b").await.unwrap();
    assert_eq!((renamed.waiting, renamed.left), (2, 1));
    let cleared = lavoro.clear_queue("a").await.unwrap();
    assert_eq!((cleared.deleted, cleared.left), (0, 1));
    open.rollback().await.unwrap();
    assert_eq!(lavoro.clear_queue("a").await.unwrap().deleted, 1);
    assert_eq!(held.info().await.unwrap_err().kind(), ErrorKind::JobNotFound);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for (from, to, kind) in [
        ("", "b", ErrorKind::InvalidQueue),
        ("a", "b\n", ErrorKind::InvalidQueue),
        ("a", "a", ErrorKind::InvalidOption),
    ] {
        let error = lavoro.rename_queue(from, to).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{from:?} {to:?}");
    }
    assert_eq!(lavoro.clear_queue("").await.unwrap_err().kind(), ErrorKind::InvalidQueue);
    // Names that nobody uses are no error: there is nothing to do.
    assert_eq!(lavoro.rename_queue("x", "y").await.unwrap().waiting, 0);
    assert_eq!(lavoro.clear_queue("x").await.unwrap().deleted, 0);
    assert!(lavoro.queues().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_deletes_what_waits_and_all_that_hangs_on_it() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = |n: u32| NewJob::new("t", n).queue("a");
    let options = WorkerOptions {
        queues: [("a".to_owned(), 1.into())].into(),
        tasks: vec!["t".into()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    lavoro.enqueue(job(0)).await.unwrap();
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let held = worker.next_jobs(1).await.remove(0);
    let mut jobs: Vec<NewJob> = (0..300).map(job).collect();
    jobs.extend((0..200).map(|n| job(n).delay(LONG).expires_in(LONG * 2)));
    jobs.extend((0..10).map(|n| job(n).unique_key(n.to_string())));
    lavoro.enqueue_many(jobs).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1).queue("other")).await.unwrap();
    database
        .run(
            "insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
             select id, gen_random_uuid(), now(), 1, true, 'failed', 'x' from lavoro.job limit 100",
        )
        .await;
    let cleared = lavoro.clear_queue("a").await.unwrap();
    assert_eq!((cleared.deleted, cleared.left), (510, 0));
    let finish =
        lavoro_core::Finish { job: held.id(), token: held.token(), outcome: Outcome::complete() };
    worker.finish(vec![finish]).await;
    worker.stop(LONG).await;
    let left: String = database
        .one(
            "select concat_ws(' ', (select count(*) from lavoro.job),
                (select count(*) from lavoro.unique_key), (select count(*) from lavoro.expiry),
                (select count(*) from lavoro.error e where not exists
                    (select from lavoro.job j where j.id = e.job_id)))",
        )
        .await;
    assert_eq!(left, "2 0 0 0");
    assert!(lavoro.enqueue(job(1).unique_key("1")).await.unwrap().is_new());
    database.assert_sound().await;
}
