//! Renames and clears beside producers, workers, promoters and people: each job runs once, and is
//! where its pack is.

use lavoro_core::{ConnectOptions, ErrorKind, Job, JobState, Lavoro, NewJob, Outcome, Worker};
use lavoro_tests::{Database, quick, wait_for};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

/// How often each job completed.
type Runs = Arc<Mutex<HashMap<i64, u32>>>;

/// A worker of both queues. Every third job fails once before it completes.
async fn worker(lavoro: &Lavoro, runs: &Runs) -> Worker {
    let runs = Arc::clone(runs);
    Worker::builder(lavoro)
        .queue("a", 5)
        .queue("b", 5)
        .handler("t", move |job: Job| {
            let runs = Arc::clone(&runs);
            async move {
                if job.attempt() == 1 && job.id() % 3 == 0 {
                    return Outcome::retry_in(Duration::from_millis(5), "once");
                }
                *runs.lock().unwrap().entry(job.id()).or_default() += 1;
                Outcome::complete()
            }
        })
        .start()
        .await
        .unwrap()
}

/// Enqueues until it is told to stop: singles, bulks, delayed and keyed jobs. Answers their ids.
async fn produce(lavoro: Lavoro, stop: Arc<AtomicBool>) -> Vec<i64> {
    let mut ids = Vec::new();
    let name = uuid::Uuid::new_v4();
    for round in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let job = |n: u64| NewJob::new("t", n).queue("a");
        let mut jobs: Vec<NewJob> = (0..20).map(job).collect();
        jobs.extend((0..20).map(|n| job(n).delay(Duration::from_millis(n * 3))));
        jobs.extend((0..3).map(|n| job(n).unique_key(format!("{name}/{round}/{n}")).priority(1)));
        for handle in lavoro.enqueue_many(jobs).await.unwrap() {
            ids.push(handle.id());
        }
    }
    ids
}

async fn all_done(lavoro: &Lavoro) {
    wait_for("all jobs to end", async || {
        let queues = lavoro.queues().await.unwrap();
        let open = |q: &lavoro_core::QueueInfo| q.available + q.scheduled + q.retrying + q.running;
        (queues.iter().map(open).sum::<i64>() == 0).then_some(())
    })
    .await;
}

/// Renames to and fro beside producers, workers, promoters and people: each job runs once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn renames_under_load_lose_and_double_nothing() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let runs = Runs::default();
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(worker(&database.lavoro().await, &runs).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..2)
        .map(|_| {
            let (lavoro, stop) = (lavoro.clone(), Arc::clone(&stop));
            tokio::spawn(produce(lavoro, stop))
        })
        .collect();
    let hands = tokio::spawn(meddle(lavoro.clone(), Arc::clone(&stop)));
    let mut moved = 0;
    let begin = Instant::now();
    while moved < 1000 || begin.elapsed() < Duration::from_secs(3) {
        for (from, to) in [("a", "b"), ("b", "a")] {
            // Waiting jobs are moved in their packs, whoever else wants them.
            let renamed = lavoro.rename_queue(from, to).await.unwrap();
            moved += renamed.waiting + renamed.running;
            assert!(renamed.kept.is_empty(), "no two jobs have one key: {renamed:?}");
            database.assert_sound().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for producer in producers {
        ids.extend(producer.await.unwrap());
    }
    let cancelled = hands.await.unwrap();
    all_done(&lavoro).await;
    database.assert_sound().await;
    let runs = runs.lock().unwrap().clone();
    println!("{} jobs, {moved} moves, {cancelled} cancelled by hand", ids.len());
    let ended: i64 = database.one("select count(*) from lavoro.outcome").await;
    assert_eq!(ended, i64::try_from(ids.len()).unwrap());
    // A retry by hand may have met a job that had just completed: that one ran once more.
    let completed = sqlx::query_as::<_, (i64, i64)>(
        "select job_id, count(*)
         from (select job_id, state from lavoro.outcome
               union all select job_id, state from lavoro.past_outcome) o
         where state = 1 group by job_id",
    );
    let completed = completed.fetch_all(&database.pool).await.unwrap();
    let completed: HashMap<i64, u32> =
        completed.into_iter().map(|(job, times)| (job, u32::try_from(times).unwrap())).collect();
    assert_eq!(runs, completed, "a job ran that did not complete, or the other way round");
    for worker in workers {
        worker.stop(LONG).await;
    }
}

type Query = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// One of the core's own statements.
fn statement(name: &str) -> Query {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../lavoro-core/src/store/sql");
    let text = std::fs::read_to_string(format!("{directory}/{name}.sql")).unwrap();
    sqlx::query(sqlx::AssertSqlSafe(text))
}

/// One step of a rename from a to b, or of a clear of a.
fn step(name: &str) -> Query {
    let query = statement(name).bind("a");
    let query = if name.contains("move") { query.bind("b") } else { query };
    let query = if name.ends_with("ready") { query.bind("t").bind(false).bind(0) } else { query };
    query.bind(0_i64).bind(i64::MAX).bind(16_i64)
}

/// Waits until a session of this database waits for another's lock.
async fn somebody_waits(database: &Database) {
    wait_for("a session that waits for a lock", async || {
        let waits: bool = database
            .one(
                "select exists (select from pg_stat_activity where wait_event_type = 'Lock'
                                and datname = current_database())",
            )
            .await;
        waits.then_some(())
    })
    .await;
}

/// Someone cancels or retries a job while a step of a rename or clear is under way and holds it:
/// the call waits, and then finds the job where it is, or that it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_waits_for_a_step_and_finds_the_job_again() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for name in
        ["queue_move_ready", "queue_move_scheduled", "queue_clear_ready", "queue_clear_scheduled"]
    {
        for retry in [false, true] {
            let delay = if name.ends_with("ready") { Duration::ZERO } else { LONG };
            let jobs = (0..10).map(|n| NewJob::new("t", n).queue("a").delay(delay));
            let job = lavoro.enqueue_many(jobs).await.unwrap().remove(4);
            let mut open = database.pool.begin().await.unwrap();
            step(name).execute(&mut *open).await.unwrap();
            let hand = job.clone();
            let call = tokio::spawn(async move {
                if retry { hand.retry().await } else { hand.cancel().await.map(drop) }
            });
            somebody_waits(&database).await;
            open.commit().await.unwrap();
            let answer = call.await.unwrap();
            if name.contains("clear") {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::JobNotFound, "{name}");
            } else {
                answer.unwrap();
                let info = job.info().await.unwrap();
                let state = if retry { JobState::Available } else { JobState::Cancelled };
                assert_eq!((info.queue.as_str(), info.state), ("b", state), "{name}");
            }
            database.assert_sound().await;
            for queue in ["a", "b"] {
                lavoro.clear_queue(queue).await.unwrap();
            }
        }
    }
}

/// A claim and a promotion pass over what a step holds, and take it when it has been moved.
#[tokio::test(flavor = "multi_thread")]
async fn claims_and_promotions_pass_over_what_a_step_holds() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let soon = Duration::from_millis(1);
    let jobs = (0..20).map(|n| {
        NewJob::new("t", n).queue("a").delay(if n % 2 == 0 { Duration::ZERO } else { soon })
    });
    lavoro.enqueue_many(jobs).await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    for name in ["queue_move_ready", "queue_move_scheduled"] {
        step(name).execute(&mut *open).await.unwrap();
    }
    let runs = Runs::default();
    let worker = worker(&lavoro, &runs).await;
    let other = lavoro.enqueue(NewJob::new("t", 1).queue("a")).await.unwrap();
    other.result(LONG).await.unwrap();
    assert_eq!(runs.lock().unwrap().len(), 1, "what is held is not claimed");
    open.commit().await.unwrap();
    all_done(&lavoro).await;
    assert_eq!(runs.lock().unwrap().values().collect::<Vec<_>>(), vec![&1; 21]);
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Between the look at a lease and the lock on its job the job may have returned to its pack: then
/// the pack says where it is, and the second statement leaves it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_returned_is_not_moved_without_its_pack() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let waiting = lavoro.enqueue(NewJob::new("t", 1).queue("a").unique_key("k")).await.unwrap();
    let ended = lavoro.enqueue(NewJob::new("t", 1).queue("a")).await.unwrap();
    ended.cancel().await.unwrap();
    let moved = statement("queue_move_running")
        .bind(vec![waiting.id(), ended.id()])
        .bind("b")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(sqlx::Row::get::<i64, _>(&moved, "jobs"), 0);
    assert_eq!(waiting.info().await.unwrap().queue, "a");
    database.assert_sound().await;
}

/// Cancels, retries and edits jobs that wait. Answers how many it cancelled.
async fn meddle(lavoro: Lavoro, stop: Arc<AtomicBool>) -> u32 {
    let mut cancelled = 0;
    while !stop.load(Ordering::Relaxed) {
        let newest = lavoro.jobs(lavoro_core::JobFilter::default()).await.unwrap();
        for (n, job) in newest.jobs.iter().enumerate() {
            let handle = lavoro.job(job.id);
            let answer = match n % 3 {
                0 => handle.cancel().await.map(|state| {
                    cancelled += u32::from(state == JobState::Cancelled);
                }),
                1 if job.state == JobState::Scheduled => handle.retry().await,
                _ => Ok(()),
            };
            if let Err(error) = answer {
                assert_eq!(error.kind(), ErrorKind::InvalidState, "{error}");
            }
        }
    }
    cancelled
}

/// Clears beside producers and workers: every job has completed, or is gone without a trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clears_under_load_delete_each_job_once_or_not_at_all() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let runs = Runs::default();
    let mut workers = Vec::new();
    for _ in 0..2 {
        workers.push(worker(&database.lavoro().await, &runs).await);
    }
    let maintainer = Lavoro::connect_with(ConnectOptions {
        maintenance: true,
        timing: quick(),
        ..ConnectOptions::url(&database.url)
    });
    let maintainer = maintainer.await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let producer = tokio::spawn(produce(lavoro.clone(), Arc::clone(&stop)));
    let mut deleted = 0;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        deleted += lavoro.clear_queue("a").await.unwrap().deleted;
        database.assert_sound().await;
    }
    stop.store(true, Ordering::Relaxed);
    let enqueued = producer.await.unwrap().len();
    all_done(&lavoro).await;
    database.assert_sound().await;
    let runs = runs.lock().unwrap().clone();
    println!("{enqueued} jobs, {deleted} deleted, {} completed", runs.len());
    assert!(deleted > 0 && !runs.is_empty());
    assert!(runs.values().all(|times| *times == 1), "a job ran twice");
    assert_eq!(enqueued, usize::try_from(deleted).unwrap() + runs.len());
    let kept: i64 = database.one("select count(*) from lavoro.job").await;
    assert_eq!(kept, i64::try_from(runs.len()).unwrap());
    maintainer.close().await;
    for worker in workers {
        worker.stop(LONG).await;
    }
}
