//! A verdict is about one attempt, even when two attempts of a job are recorded together.

use lavoro_core::{Finish, Job, NewJob, Outcome, PullWorker, Verdict, WorkerOptions};
use lavoro_tests::{Database, quick, wait_for};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What a rescue leaves: the jobs of every lease wait again.
const RESCUE: &str = "
    with taken as (delete from lavoro.lease returning jobs)
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select u, 0, 2, 0, false, 'default', 'noop', array[u] from taken, unnest(jobs) as u";

/// Statements that wait for a lock on the table of outcomes.
const WAITING: &str = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
     where not l.granted and c.relname = 'outcome' and l.database =
           (select oid from pg_database where datname = current_database())";

async fn take(worker: &PullWorker, count: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    while jobs.len() < count {
        jobs.extend(worker.next_jobs(count).await);
    }
    jobs
}

fn finish(worker: &Arc<PullWorker>, jobs: &[Job]) -> JoinHandle<Vec<Verdict>> {
    let done =
        |job: &Job| Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    let (worker, batch) = (Arc::clone(worker), jobs.iter().map(done).collect());
    tokio::spawn(async move { worker.finish(batch).await })
}

/// Found by the soak: a worker was rescued while it could not record an outcome, and claimed the
/// same job again. When both outcomes went in one statement, the refused one was reported as
/// accepted, since the other was.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_attempt_is_not_told_of_the_acceptance_of_the_next() {
    const JOBS: usize = 8;
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let options = WorkerOptions {
        queues: BTreeMap::from([("default".to_owned(), 100.into())]),
        tasks: vec!["noop".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = Arc::new(PullWorker::start(&lavoro, options).await.unwrap());
    lavoro.enqueue_many((0..JOBS).map(|_| NewJob::new("noop", json!({})))).await.unwrap();
    let first = take(&worker, JOBS).await;

    // Nothing can be recorded while this transaction is open; claims go on.
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table lavoro.outcome in share mode").execute(&mut *lock).await.unwrap();
    let refused = finish(&worker, &first);
    let waits = || {
        wait_for("an outcome to wait", async || {
            (database.one::<i64>(WAITING).await > 0).then_some(())
        })
    };
    waits().await;
    database.run(RESCUE).await;
    let second = take(&worker, JOBS).await;
    let accepted = finish(&worker, &second);
    waits().await;
    lock.commit().await.unwrap();

    assert_eq!(accepted.await.unwrap(), [Verdict::Accepted; JOBS]);
    assert_eq!(refused.await.unwrap(), [Verdict::Stale; JOBS]);
    worker.stop(std::time::Duration::from_secs(10)).await;
    database.assert_sound().await;
}
