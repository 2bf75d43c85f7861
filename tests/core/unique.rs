//! Unique keys: one job per key that has yet to end, however many try at once.

use lavoro_core::{
    ErrorKind, Finish, JobState, Lavoro, NewJob, Outcome, PullWorker, Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick, wait_for};
use sqlx::Row as _;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn keyed(key: &str) -> NewJob {
    NewJob::new("t", ()).unique_key(key)
}

async fn pull(lavoro: &Lavoro) -> PullWorker {
    let options = WorkerOptions { tasks: vec!["t".into()], timing: quick(), ..Default::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_concurrent_producers_one_makes_the_job() {
    let database = Database::new().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(database.lavoro().await);
    }
    for round in 0..5 {
        let calls: Vec<_> = (0..64)
            .map(|n| {
                let lavoro = clients[n % 4].clone();
                let job = keyed(&round.to_string());
                tokio::spawn(async move {
                    if n % 3 == 0 {
                        lavoro.enqueue_many([job]).await.unwrap().remove(0)
                    } else {
                        lavoro.enqueue(job).await.unwrap()
                    }
                })
            })
            .collect();
        let (mut ids, mut made) = (HashSet::new(), 0);
        for call in calls {
            let handle = call.await.unwrap();
            ids.insert(handle.id());
            made += u32::from(handle.is_new());
        }
        assert_eq!((ids.len(), made), (1, 1), "round {round}");
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 5);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_within_its_queue_and_task() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = |queue: &str, task: &str, key: &str| {
        NewJob::new(task, ()).queue(queue.to_owned()).unique_key(key)
    };
    for (queue, task, key) in [("a", "t", "k"), ("b", "t", "k"), ("a", "u", "k"), ("a", "t", "K")] {
        assert!(lavoro.enqueue(job(queue, task, key)).await.unwrap().is_new());
        assert!(!lavoro.enqueue(job(queue, task, key)).await.unwrap().is_new());
    }
    // Of two in one call, the second names the first.
    let twice = lavoro.enqueue_many([keyed("x"), NewJob::new("t", ()), keyed("x")]).await.unwrap();
    assert_eq!(twice[0].id(), twice[2].id());
    assert_eq!(
        twice.iter().map(lavoro_core::JobHandle::is_new).collect::<Vec<_>>(),
        [true, true, false]
    );
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_until_its_job_has_ended() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let held = async |state: JobState, id: i64| {
        let info = lavoro.job(id).info().await.unwrap();
        assert_eq!(info.state, state);
        let again = lavoro.enqueue(keyed("k")).await.unwrap();
        assert_eq!((again.id(), again.is_new()), (id, false), "held while {state}");
    };
    let worker = pull(&lavoro).await;
    let hour = Duration::from_hours(1);
    let ends = [
        (Outcome::complete(), JobState::Completed),
        (Outcome::cancel("not wanted"), JobState::Cancelled),
        (Outcome::fail("hopeless"), JobState::Discarded),
    ];
    for (outcome, state) in ends {
        let job = lavoro.enqueue(keyed("k").delay(hour)).await.unwrap();
        assert!(job.is_new(), "freed before {state}");
        held(JobState::Scheduled, job.id()).await;
        job.retry().await.unwrap();
        let claimed = worker.next_jobs(1).await.remove(0);
        held(JobState::Running, job.id()).await;
        let again = |outcome| Finish { job: claimed.id(), token: claimed.token(), outcome };
        worker.finish(vec![again(Outcome::retry_in(hour, "not yet"))]).await;
        held(JobState::Retrying, job.id()).await;
        job.retry().await.unwrap();
        let claimed = worker.next_jobs(1).await.remove(0);
        let end = Finish { job: claimed.id(), token: claimed.token(), outcome };
        worker.finish(vec![end]).await;
        assert_eq!(job.info().await.unwrap().state, state);
        let next = lavoro.enqueue(keyed("k").delay(hour)).await.unwrap();
        assert!(next.is_new(), "freed when {state}");
        // Waiting, it is freed by its cancellation.
        assert_eq!(next.cancel().await.unwrap(), JobState::Cancelled);
    }
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_cannot_take_back_a_key_that_another_holds() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let first = lavoro.enqueue(keyed("k")).await.unwrap();
    first.cancel().await.unwrap();
    let second = lavoro.enqueue(keyed("k")).await.unwrap();
    let error = first.retry().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState, "{error}");
    assert_eq!(first.info().await.unwrap().state, JobState::Cancelled);
    second.cancel().await.unwrap();
    first.retry().await.unwrap();
    assert_eq!(lavoro.enqueue(keyed("k")).await.unwrap().id(), first.id());
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_open_transaction_is_bounded() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let mut open = database.pool.begin().await.unwrap();
    let hold = "select id from lavoro.enqueue_unique('t', unique_key => 'k')";
    let held: i64 = sqlx::query_scalar(hold).fetch_one(&mut *open).await.unwrap();

    let started = Instant::now();
    let waiting = lavoro.clone();
    let refused = tokio::spawn(async move { waiting.enqueue(keyed("k")).await });
    // Neither other keys nor plain jobs wait with it.
    assert!(lavoro.enqueue(keyed("other")).await.unwrap().is_new());
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    assert!(!refused.is_finished(), "the keyed one still waits");
    let error = refused.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniquePending, "{error}");
    assert!(
        error.message().contains("unique_key") && error.message().contains("ry again"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(20), "bounded: {:?}", started.elapsed());

    // The next waits again, until the transaction is rolled back: then the job is its own.
    let waiting = lavoro.clone();
    let next = tokio::spawn(async move { waiting.enqueue(keyed("k")).await });
    wait_for("the wait", async || {
        let blocked = "select count(*) from pg_locks where not granted";
        (database.one::<i64>(blocked).await > 0).then_some(())
    })
    .await;
    open.rollback().await.unwrap();
    let next = next.await.unwrap().unwrap();
    assert!(next.is_new() && next.id() != held);

    // Committed instead, it names the other's job.
    let mut open = database.pool.begin().await.unwrap();
    let hold = "select id from lavoro.enqueue_unique('t', unique_key => 'm')";
    let held: i64 = sqlx::query_scalar(hold).fetch_one(&mut *open).await.unwrap();
    let waiting = lavoro.clone();
    let next = tokio::spawn(async move { waiting.enqueue(keyed("m")).await });
    open.commit().await.unwrap();
    let next = next.await.unwrap().unwrap();
    assert_eq!((next.id(), next.is_new()), (held, false));
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_and_a_worker_race_for_one_key() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("default", 4)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let producers: Vec<_> = (0..8)
        .map(|_| {
            let lavoro = lavoro.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    lavoro.enqueue(keyed("k")).await.unwrap();
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    wait_for("all jobs", async || {
        let left = "select count(*) from lavoro.jobs where state <> 'completed'";
        (database.one::<i64>(left).await == 0).then_some(())
    })
    .await;
    // No two of them ran at the same time.
    let overlaps = "select count(*) from lavoro.outcome a join lavoro.outcome b
                    on a.job_id < b.job_id and a.finished_at > b.started_at
                    and b.finished_at > a.started_at";
    assert_eq!(database.one::<i64>(overlaps).await, 0);
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_sql_and_a_callers_transaction_wait_no_longer_either() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let mut open = database.pool.begin().await.unwrap();
    sqlx::raw_sql("select lavoro.enqueue('t', unique_key => 'k')")
        .execute(&mut *open)
        .await
        .unwrap();
    let mut other = database.pool.begin().await.unwrap();
    let error = lavoro.enqueue_in(&mut other, keyed("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniquePending, "{error}");
    other.rollback().await.unwrap();
    let answer = sqlx::raw_sql("select lavoro.enqueue('t', unique_key => 'k')")
        .execute(&database.pool)
        .await
        .unwrap_err();
    assert_eq!(answer.as_database_error().unwrap().code().unwrap(), "LV011");
    open.commit().await.unwrap();
    database.assert_sound().await;
}

/// What the client sends again when a reply was lost, number and all.
async fn send(database: &Database, number: i64) -> (i64, bool) {
    let sql = include_str!("../../lavoro-core/src/store/sql/enqueue_keyed.sql");
    let row = sqlx::query(sql)
        .bind(number)
        .bind("t")
        .bind("1")
        .bind("default")
        .bind(0)
        .bind(None::<chrono::DateTime<chrono::Utc>>)
        .bind(None::<i64>)
        .bind(None::<i32>)
        .bind("k")
        .bind(None::<i64>)
        .bind(None::<String>)
        .bind(None::<Vec<String>>)
        .bind(None::<String>)
        .bind(None::<i64>)
        .bind(None::<chrono::DateTime<chrono::Utc>>)
        .bind(None::<String>)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    (row.get("id"), row.get("created"))
}

/// Its reply lost, an enqueue is sent again: while its job waits, and after that has ended and
/// freed the key. Both times it finds its own job.
#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_that_is_sent_again_finds_its_own_job() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let number: i64 = database.one("select nextval('lavoro.job_id_seq')").await;
    assert_eq!(send(&database, number).await, (number, true));
    assert_eq!(send(&database, number).await, (number, true), "it waits");
    lavoro.job(number).cancel().await.unwrap();
    assert_eq!(send(&database, number).await, (number, true), "it has ended");
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 1);
    database.assert_sound().await;
}
