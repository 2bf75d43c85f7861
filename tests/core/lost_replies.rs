//! A statement is carried out and its reply is lost: the worker finds out what came of it.

use lavoro_core::{Finish, JobState, Lavoro, NewJob, Outcome, PullWorker, Verdict, WorkerOptions};
use lavoro_tests::{Database, Proxy, Reply, quick};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

async fn worker(proxy: &Proxy) -> PullWorker {
    let options = WorkerOptions { tasks: vec!["t".into()], timing: quick(), ..Default::default() };
    PullWorker::start(&Lavoro::connect(proxy.url()).await.unwrap(), options).await.unwrap()
}

/// Nobody else would run these jobs while the worker lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_reply_is_lost_is_recovered() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let worker = worker(&proxy).await;
    for lost in 1..=3 {
        proxy.lose(Reply::To("-- Claims up to"));
        let handles = lavoro.enqueue_many((0..5).map(|n| NewJob::new("t", n))).await.unwrap();
        let mut left = handles.len();
        while left > 0 {
            let jobs = tokio::time::timeout(LONG, worker.next_jobs(10)).await;
            let jobs = jobs.expect("claimed jobs are handed out though the reply was lost");
            left -= jobs.len();
            let done = |job: &lavoro_core::Job| {
                assert_eq!(job.attempt(), 1);
                Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() }
            };
            worker.finish(jobs.iter().map(done).collect()).await;
        }
        assert_eq!(proxy.lost(), lost, "a reply was lost");
        for handle in handles {
            assert_eq!(handle.info().await.unwrap().state, JobState::Completed);
        }
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// It is recorded once, and whoever reported it learns so.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_whose_reply_is_lost_is_accepted() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let worker = worker(&proxy).await;
    let outcomes = [Outcome::complete(), Outcome::fail("hopeless"), Outcome::cancel("unwanted")];
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let handle = lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        proxy.lose(Reply::To("-- Records the ends"));
        let finish = Finish { job: job.id(), token: job.token(), outcome };
        assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
        assert_eq!(proxy.lost(), n + 1, "a reply was lost");
        let info = handle.info().await.unwrap();
        assert!(info.finished_at.is_some() && info.errors.len() <= 1, "{info:?}");
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// A snooze leaves no outcome and no error behind; it is known by what is not there any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_whose_reply_is_lost_is_accepted() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let worker = worker(&proxy).await;
    let hour = Duration::from_hours(1);
    let outcomes = [Outcome::snooze(hour), Outcome::retry_in(hour, "not yet")];
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let handle = lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        proxy.lose(Reply::Commit);
        let finish = Finish { job: job.id(), token: job.token(), outcome };
        assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
        assert_eq!(proxy.lost(), n + 1, "a reply was lost");
        let state = handle.info().await.unwrap().state;
        assert!(matches!(state, JobState::Scheduled | JobState::Retrying), "{state}");
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}
