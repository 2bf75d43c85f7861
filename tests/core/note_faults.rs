//! What handlers say when the database is slow, away or forgetful, and when they are stale.

use lavoro_core::{
    Finish, Job, JobHandle, JobState, Lavoro, LogFilter, NewJob, Outcome, PullWorker, Timing,
    Verdict, WorkerOptions, limits,
};
use lavoro_tests::{Database, Proxy, Reply, wait_for};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

/// A worker whose heart beats seldom: it does not see what a test does to its leases, and sends
/// little beside notes.
async fn worker(lavoro: &Lavoro) -> PullWorker {
    let timing = Timing { heartbeat: LONG, lease: 10 * LONG, ..Timing::default() };
    let options =
        WorkerOptions { tasks: vec!["t".into()], timing, maintenance: false, ..Default::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn next(worker: &PullWorker) -> Job {
    tokio::time::timeout(LONG, worker.next_jobs(1)).await.unwrap().remove(0)
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    let finish = Finish { job: job.id(), token: job.token(), outcome };
    assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
}

async fn texts(handle: &JobHandle) -> Vec<String> {
    let filter = LogFilter { limit: 100_000, ..LogFilter::default() };
    handle.logs(filter).await.unwrap().into_iter().map(|line| line.line).collect()
}

/// Makes each write into a table take this many seconds.
async fn slow_down(database: &Database, table: &str, seconds: f32) {
    database
        .run(&format!(
            "create or replace function public.slow_{table}() returns trigger language plpgsql as
             'begin perform pg_sleep({seconds}); return new; end';
             create or replace trigger slow before insert or update on lavoro.{table}
             for each row execute function public.slow_{table}()"
        ))
        .await;
}

/// An outcome waits for the words before it, but not for ever: then they follow it.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_waits_for_words_but_not_for_long() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = worker(&lavoro).await;
    for (seconds, is_first) in [(0.4, true), (3.0, false)] {
        slow_down(&database, "progress", seconds).await;
        let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
        let job = next(&worker).await;
        job.progress(100.0, "done").unwrap();
        let began = Instant::now();
        finish(&worker, &job, Outcome::complete()).await;
        assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
        let info = handle.info().await.unwrap();
        assert_eq!((info.state, info.progress.is_some()), (JobState::Completed, is_first));
        let progress =
            wait_for("the last word", async || handle.info().await.unwrap().progress).await;
        assert_eq!(progress.message.as_deref(), Some("done"));
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// The database refuses every word: outcomes do not suffer.
#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_refused_hold_nothing_up() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database.run("alter table lavoro.progress add check (percent < 50)").await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    job.progress(99.0, "refused").unwrap();
    job.log("a line");
    finish(&worker, &job, Outcome::complete()).await;
    assert_eq!(handle.info().await.unwrap().progress, None);
    assert_eq!(texts(&handle).await, ["a line"], "what is not refused is written");
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Replies are lost, and more is said before the lines are sent again: each is there once.
#[tokio::test(flavor = "multi_thread")]
async fn lines_whose_reply_is_lost_are_written_once() {
    let database = Database::new().await;
    let direct = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let handle = direct.enqueue(NewJob::new("t", ())).await.unwrap();
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    let mut expected = Vec::new();
    for n in 0..20 {
        let lost = proxy.lost();
        proxy.lose(Reply::Statement);
        job.log(format!("{n} early"));
        wait_for("a reply to be lost", async || (proxy.lost() > lost).then_some(())).await;
        job.log(format!("{n} late"));
        expected.extend([format!("{n} early"), format!("{n} late")]);
    }
    wait_for("all lines", async || (texts(&handle).await.len() >= 40).then_some(())).await;
    assert_eq!(texts(&handle).await, expected);
    worker.stop(Duration::ZERO).await;
}

/// An outage: the last word and the first lines are kept, and written after it.
#[tokio::test(flavor = "multi_thread")]
async fn words_outlast_an_outage() {
    let database = Database::new().await;
    let direct = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let handle = direct.enqueue(NewJob::new("t", ())).await.unwrap();
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    job.log("before");
    wait_for("the first line", async || (texts(&handle).await.len() == 1).then_some(())).await;
    proxy.refuse(true);
    proxy.cut();
    for n in 0..200_000_u32 {
        job.progress(1.0, &n.to_string()).unwrap();
        job.log(n.to_string());
    }
    proxy.refuse(false);
    let last = async || {
        let message = handle.info().await.unwrap().progress?.message;
        (message.as_deref() == Some("199999")).then_some(())
    };
    wait_for("the last word after the outage", last).await;
    for n in 0..50 {
        proxy.cut();
        job.progress(2.0, &n.to_string()).unwrap();
        tokio::task::yield_now().await;
    }
    finish(&worker, &job, Outcome::complete()).await;
    wait_for("the last word", async || {
        let message = handle.info().await.unwrap().progress.unwrap().message;
        (message.as_deref() == Some("49")).then_some(())
    })
    .await;
    // They may come after the outcome, if connections broke for long enough.
    let lines = wait_for("the lines", async || {
        Some(texts(&handle).await).filter(|lines| lines.len() > limits::LOG_LINES)
    })
    .await;
    assert_eq!(lines.len(), limits::LOG_LINES + 1);
    assert_eq!((lines[0].as_str(), lines[1].as_str(), lines[999].as_str()), ("before", "0", "998"));
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Words of an attempt whose lease is gone and that has left nothing are dropped: the job may be
/// in other hands, or gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_attempt_is_not_heard() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    let neighbour = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let other = next(&worker).await;
    database
        .run(&format!(
            "update lavoro.lease set token = gen_random_uuid() where {} = any (jobs);
             insert into lavoro.progress values ({}, now(), 7, 'of the newer attempt')",
            job.id(),
            job.id()
        ))
        .await;
    job.progress(99.0, "stale").unwrap();
    job.log("stale");
    other.log("heard");
    finish(&worker, &other, Outcome::complete()).await;
    assert_eq!(texts(&neighbour).await, ["heard"]);
    let again = next_words(&worker, &lavoro).await;
    assert_eq!(again, ["and again"], "written after the stale ones");
    assert_eq!(texts(&handle).await, Vec::<String>::new());
    assert_eq!(handle.info().await.unwrap().progress.unwrap().percent, Some(7.0));
}

async fn next_words(worker: &PullWorker, lavoro: &Lavoro) -> Vec<String> {
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let job = next(worker).await;
    job.log("and again");
    finish(worker, &job, Outcome::complete()).await;
    texts(&handle).await
}
