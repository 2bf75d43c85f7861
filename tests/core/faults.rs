//! Workers that are killed, stopped and frozen: nothing is lost, and nothing late is accepted.

use lavoro_core::{JobState, Lavoro, NewJob, Worker};
use lavoro_tests::{Database, Quick as _, Spec, WorkerProcess, patience, wait_for};
use nix::sys::signal::Signal;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lavoro-test-worker");
const LONG: Duration = Duration::from_mins(1);

fn spec(database: &Database, directory: &Path, name: &str, quick: bool) -> Spec {
    Spec {
        url: database.url.clone(),
        log: directory.join(format!("{name}.log")),
        concurrency: 10,
        quick,
        name: name.to_owned(),
    }
}

async fn wait_for_event(spec: &Spec, what: &'static str) -> Vec<String> {
    let find = || Spec::events(&spec.log).into_iter().find(|event| event[0] == what);
    wait_for(what, async || find()).await
}

async fn wait_until_all_ended(lavoro: &Lavoro, jobs: &[lavoro_core::JobHandle]) {
    for job in jobs {
        job.result(LONG).await.unwrap();
    }
    assert!(lavoro.queues().await.unwrap().iter().all(|queue| queue.running == 0));
}

/// The promise with the default clockwork: killed, running again within 18 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_runs_again_within_18_seconds() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let lavoro = database.lavoro().await;
    let first = spec(&database, directory.path(), "first", false);
    let mut process = WorkerProcess::start(PROGRAM, &first);
    wait_for_event(&first, "ready").await;
    let job = lavoro.enqueue(NewJob::new("sleep", json!({"ms": 600_000}))).await.unwrap();
    wait_for_event(&first, "start").await;
    // The other worker has been connected for long enough to judge.
    let second = spec(&database, directory.path(), "second", false);
    let _other = WorkerProcess::start(PROGRAM, &second);
    wait_for_event(&second, "ready").await;
    wait_for("both to have shown that they live a few times", async || {
        let beats =
            "select count(*) = 2 from lavoro.worker where beat_at > started_at + interval '6 s'";
        database.one::<bool>(beats).await.then_some(())
    })
    .await;

    process.kill();
    let killed = Instant::now();
    let again = wait_for_event(&second, "start").await;
    let took = killed.elapsed();
    assert_eq!(again[1], job.id().to_string());
    assert!(took <= Duration::from_secs(18), "it took {took:?}");
    println!("kill -9 to running again: {took:?}");
    let info = job.info().await.unwrap();
    assert_eq!((info.attempt, info.errors[0].kind.as_str()), (1, "lost"), "{info:?}");
    assert!(!info.errors[0].counted, "a job that was merely held is not blamed");
}

/// One job kills whatever process runs it. Its 499 neighbours complete, it is discarded.
#[tokio::test(flavor = "multi_thread")]
async fn one_poison_among_500_leased_jobs_takes_none_along() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let lavoro = database.lavoro().await;
    let jobs = lavoro
        .enqueue_many((0..500).map(|n| {
            // The neighbours take a moment, so that all are leased when the process dies.
            let payload = json!({"poison": n == 250, "ms": 30});
            NewJob::new("poison", payload).max_attempts(2)
        }))
        .await
        .unwrap();
    let mut spec = spec(&database, directory.path(), "worker", true);
    spec.concurrency = 500;
    // A supervisor that starts the worker again whenever it dies.
    let watch = tokio::spawn(async move {
        let mut deaths = 0;
        let mut process = WorkerProcess::start(PROGRAM, &spec);
        loop {
            if process.has_ended() {
                deaths += 1;
                process = WorkerProcess::start(PROGRAM, &spec);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                () = wait_done(&spec) => return deaths,
            }
        }
    });
    let stop = directory.path().join("worker.log.done");
    wait_until_all_ended(&lavoro, &jobs).await;
    std::fs::write(&stop, "").unwrap();
    let deaths = watch.await.unwrap();
    let states = |state: &'static str| {
        let database = &database;
        async move {
            let sql = "select coalesce(sum((state = 'completed')::int), 0) * 1000
                            + coalesce(sum((state = 'discarded')::int), 0) from lavoro.jobs";
            let both: i64 = database.one(sql).await;
            if state == "completed" { both / 1000 } else { both % 1000 }
        }
    };
    assert_eq!((states("completed").await, states("discarded").await), (499, 1));
    let poison = jobs[250].info().await.unwrap();
    assert_eq!(poison.state, JobState::Discarded);
    assert_eq!(poison.errors.iter().filter(|error| error.counted).count(), 2, "{poison:?}");
    // Once among the others, then alone for each of its attempts.
    assert!((2..=4).contains(&deaths), "{deaths} deaths");
    database.assert_sound().await;
}

async fn wait_done(spec: &Spec) {
    let done = spec.log.with_extension("log.done");
    while !done.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Frozen for three leases, then thawed: the job has run elsewhere, and what the frozen worker
/// says of it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_workers_late_completion_is_refused() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let lavoro = database.lavoro().await;
    let frozen = spec(&database, directory.path(), "frozen", true);
    let process = WorkerProcess::start(PROGRAM, &frozen);
    wait_for_event(&frozen, "ready").await;
    let job = lavoro.enqueue(NewJob::new("sleep", json!({"ms": 1000}))).await.unwrap();
    wait_for_event(&frozen, "start").await;
    process.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    let other = Worker::builder(&lavoro)
        .handler("sleep", |_| async { Ok::<_, String>("by the other") })
        .quick()
        .start()
        .await
        .unwrap();
    job.result(LONG).await.unwrap();
    let three_leases = 3 * lavoro_tests::quick().lease;
    wait_for("three leases", async || (stopped.elapsed() > three_leases).then_some(())).await;
    process.signal(Signal::SIGCONT);
    let end = wait_for_event(&frozen, "end").await;
    assert_eq!(end[4], "Stale");
    let result: String = job.result(LONG).await.unwrap().value().unwrap();
    assert_eq!(result, "by the other");
    other.stop(LONG).await;
    database.assert_sound().await;
}

/// Every backend of the worker is terminated again and again: each job still runs once.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_connections_lose_and_double_nothing() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let runs = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashMap::new()));
    let seen = std::sync::Arc::clone(&runs);
    let worker = Worker::builder(&lavoro)
        .queue("default", 20)
        .handler("count", move |job: lavoro_core::Job| {
            *seen.lock().unwrap().entry(job.id()).or_insert(0) += 1;
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, String>(())
            }
        })
        .start()
        .await
        .unwrap();
    let nemesis = {
        let pool = database.pool.clone();
        tokio::spawn(async move {
            let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                        where datname = current_database() and application_name = 'lavoro'";
            for _ in 0..40 {
                sqlx::raw_sql(kill).execute(&pool).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    let mut jobs = Vec::new();
    for n in 0..1000 {
        jobs.push(lavoro.enqueue(NewJob::new("count", n)).await.unwrap());
    }
    nemesis.await.unwrap();
    wait_until_all_ended(&lavoro, &jobs).await;
    worker.stop(LONG).await;
    let total: i64 = database.one("select count(*) from lavoro.job").await;
    assert_eq!(total, 1000, "every enqueue was applied exactly once");
    database.assert_sound().await;
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), 1000);
    assert!(runs.values().all(|count| *count == 1), "no job ran twice: its worker lived");
}

/// A completion that hangs in a user's open transaction for ten leases holds up the rescue of
/// its own job and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_holds_up_only_its_own_job() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let lavoro = database.lavoro().await;
    let jobs = lavoro
        .enqueue_many((0..64).map(|_| NewJob::new("sleep", json!({"ms": 600_000}))))
        .await
        .unwrap();
    let mut held = spec(&database, directory.path(), "held", true);
    held.concurrency = 64;
    let mut process = WorkerProcess::start(PROGRAM, &held);
    wait_for("all to run", async || {
        (Spec::events(&held.log).iter().filter(|event| event[0] == "start").count() == 64)
            .then_some(())
    })
    .await;
    let token: uuid::Uuid = database.one("select token from lavoro.lease").await;
    let mut user = database.pool.begin().await.unwrap();
    sqlx::query("select lavoro.complete($1, $2)")
        .bind(jobs[10].id())
        .bind(token)
        .execute(&mut *user)
        .await
        .unwrap();
    // The worker goes on showing that it lives.
    let began: chrono::DateTime<chrono::Utc> = database.one("select clock_timestamp()").await;
    wait_for("heartbeats beside the open transaction", async || {
        let beat: chrono::DateTime<chrono::Utc> =
            database.one("select beat_at from lavoro.worker").await;
        (beat > began + Duration::from_secs(1)).then_some(())
    })
    .await;
    process.kill();
    // Its 63 mates are rescued and run elsewhere while the transaction stays open.
    let other = Worker::builder(&lavoro)
        .queue("default", 64)
        .handler("sleep", |_| async { Ok::<_, String>(()) })
        .quick()
        .start()
        .await
        .unwrap();
    for (n, job) in jobs.iter().enumerate().filter(|(n, _)| *n != 10) {
        let result = job.result(patience()).await.unwrap();
        assert_eq!(result.state, JobState::Completed, "job {n}");
    }
    let ten_leases = began + 10 * lavoro_tests::quick().lease;
    wait_for("ten leases", async || {
        let now: chrono::DateTime<chrono::Utc> = database.one("select clock_timestamp()").await;
        (now > ten_leases).then_some(())
    })
    .await;
    assert_eq!(jobs[10].info().await.unwrap().state, JobState::Running);
    user.commit().await.unwrap();
    assert_eq!(jobs[10].result(LONG).await.unwrap().state, JobState::Completed);
    other.stop(LONG).await;
    database.assert_sound().await;
}
