//! What an attempt leaves for the next one: durable when it is saved, and never overwritten by an
//! attempt that is not the job's current one any more.

use lavoro_core::{
    Finish, Job, Lavoro, NewJob, Outcome, PullWorker, Retention, Timing, Worker, WorkerOptions,
    limits,
};
use lavoro_tests::{Database, Proxy, Quick as _, Spec, WorkerProcess, quick, wait_for};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lavoro-test-worker");
const LONG: Duration = Duration::from_mins(1);

async fn worker(lavoro: &Lavoro, timing: Timing) -> PullWorker {
    let options =
        WorkerOptions { tasks: vec!["t".into()], timing, maintenance: false, ..Default::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn next(worker: &PullWorker) -> Job {
    tokio::time::timeout(LONG, worker.next_jobs(1)).await.unwrap().remove(0)
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    let finish = Finish { job: job.id(), token: job.token(), outcome };
    worker.finish(vec![finish]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_outlives_every_end_of_an_attempt() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let other = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let options = WorkerOptions {
        tasks: vec!["t".into()],
        timing: quick(),
        queues: [("default".to_owned(), 1.into())].into(),
        ..Default::default()
    };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let ends = [
        Outcome::retry_in(Duration::ZERO, "again"),
        Outcome::snooze(Duration::ZERO),
        Outcome::Release,
        Outcome::complete(),
    ];
    let mut last: Option<u32> = None;
    for (n, end) in (0..).zip(ends) {
        // The other job is released behind this one again and again.
        let job = loop {
            let job = next(&worker).await;
            if job.id() == handle.id() {
                break job;
            }
            assert_eq!(job.checkpoint_json().await.unwrap(), None, "another job's");
            finish(&worker, &job, Outcome::snooze(Duration::from_millis(1))).await;
        };
        assert_eq!(job.checkpoint::<u32>().await.unwrap(), last);
        job.save_checkpoint(&json!({"not": "the last"})).await.unwrap();
        job.save_checkpoint(&n).await.unwrap();
        assert_eq!(job.checkpoint::<u32>().await.unwrap(), Some(n), "its own");
        assert_eq!(job.checkpoint::<Vec<u8>>().await.unwrap_err().code(), "invalid_payload");
        last = Some(n);
        finish(&worker, &job, end).await;
    }
    other.cancel().await.unwrap();
    // A retry by hand goes on where the job had ended.
    handle.retry().await.unwrap();
    let job = loop {
        let job = next(&worker).await;
        if job.id() == handle.id() {
            break job;
        }
        finish(&worker, &job, Outcome::complete()).await;
    };
    assert_eq!(job.checkpoint_json().await.unwrap().as_deref(), Some("3"));
    finish(&worker, &job, Outcome::complete()).await;
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_outside_of_its_limits_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro, quick()).await;
    let job = next(&worker).await;
    let most = "x".repeat(limits::CHECKPOINT_BYTES - 2);
    job.save_checkpoint(most.as_str()).await.unwrap();
    let error = job.save_checkpoint(&format!("{most}x")).await.unwrap_err();
    assert_eq!(error.code(), "payload_too_large");
    assert!(error.message().starts_with("checkpoint has 1048577 bytes"), "{error}");
    for (json, code) in [
        ("{", "invalid_payload"),
        ("\"\\u0000\"", "invalid_payload"),
        ("9007199254740993", "number_out_of_range"),
    ] {
        assert_eq!(job.save_checkpoint_json(json).await.unwrap_err().code(), code);
    }
    assert_eq!(job.checkpoint::<String>().await.unwrap(), Some(most));
    worker.stop(Duration::ZERO).await;
}

/// Many at once, several of them by one job: the last of each counts.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_saved_together_and_in_order() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many((0..10).map(|n| NewJob::new("t", n))).await.unwrap();
    let worker = worker(&lavoro, quick()).await;
    let mut jobs = Vec::new();
    while jobs.len() < 10 {
        jobs.extend(worker.next_jobs(10).await);
    }
    let tasks: Vec<_> = jobs
        .iter()
        .cloned()
        .map(|job| {
            tokio::spawn(async move {
                for n in 0..20 {
                    job.save_checkpoint(&n).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for job in jobs {
        assert_eq!(job.checkpoint::<u32>().await.unwrap(), Some(19));
    }
    worker.stop(Duration::ZERO).await;
}

/// A rescue that has begun and not committed: the save waits for it, and is refused after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_beside_a_rescue_waits_for_its_decision() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue_many([NewJob::new("t", 0), NewJob::new("t", 1)]).await.unwrap();
    // The heart beats seldom, so that it does not see what this test does to the lease.
    let calm = Timing { heartbeat: LONG, lease: 10 * LONG, ..Timing::default() };
    let worker = worker(&lavoro, calm).await;
    let mut jobs = Vec::new();
    while jobs.len() < 2 {
        jobs.extend(worker.next_jobs(2).await);
    }
    let (job, mate) = (jobs[0].clone(), jobs[1].clone());
    assert_eq!(job.token(), mate.token());
    for commits in [false, true] {
        let mut rescue = database.pool.begin().await.unwrap();
        // What hold.sql and give_back.sql do to the lease.
        for sql in [
            "select token from lavoro.lease for no key update",
            "update lavoro.lease set jobs = jobs[2:2], attempts = attempts[2:2]",
        ] {
            sqlx::raw_sql(sql).execute(&mut *rescue).await.unwrap();
        }
        let saving = job.clone();
        let saving = tokio::spawn(async move { saving.save_checkpoint("by the older").await });
        wait_for("the save to wait", async || {
            let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                         and datname = current_database()";
            (database.one::<i64>(waits).await > 0).then_some(())
        })
        .await;
        if commits {
            sqlx::query("update lavoro.checkpoint set data = '\"by the newer\"'")
                .execute(&mut *rescue)
                .await
                .unwrap();
            rescue.commit().await.unwrap();
            assert_eq!(saving.await.unwrap().unwrap_err().code(), "stale_lease");
        } else {
            rescue.rollback().await.unwrap();
            saving.await.unwrap().unwrap();
        }
    }
    assert_eq!(job.checkpoint::<String>().await.unwrap().as_deref(), Some("by the newer"));
    // Its neighbour under the same lease is not refused.
    mate.save_checkpoint(&1).await.unwrap();
    // Nor does a completion that is pending in a user's transaction hold anybody up.
    let mut user = database.pool.begin().await.unwrap();
    lavoro.complete_in(&mut user, &mate, ()).await.unwrap();
    mate.save_checkpoint(&2).await.unwrap();
    user.commit().await.unwrap();
    assert_eq!(mate.save_checkpoint(&3).await.unwrap_err().code(), "stale_lease", "it has ended");
    assert_eq!(mate.checkpoint::<i32>().await.unwrap(), Some(2));
}

/// The worker is frozen before it saves. When it thaws, another has run the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_workers_late_checkpoint_is_refused() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let lavoro = database.lavoro().await;
    let spec = Spec {
        url: database.url.clone(),
        log: directory.path().join("log"),
        concurrency: 1,
        quick: true,
        name: "frozen".into(),
    };
    let process = WorkerProcess::start(PROGRAM, &spec);
    let event = async |what: &'static str| {
        let find = || Spec::events(&spec.log).into_iter().find(|event| event[0] == what);
        wait_for(what, async || find()).await
    };
    event("ready").await;
    let job = lavoro.enqueue(NewJob::new("checkpoint", json!({"ms": 1000}))).await.unwrap();
    event("saved").await;
    process.signal(Signal::SIGSTOP);
    let other = Worker::builder(&lavoro)
        .handler("checkpoint", |job: Job| async move {
            let found = job.checkpoint::<String>().await?;
            job.save_checkpoint("by the other").await?;
            Ok::<_, lavoro_core::Error>(found)
        })
        .quick()
        .start()
        .await
        .unwrap();
    let found: String = job.result(LONG).await.unwrap().value().unwrap();
    assert_eq!(found, "early", "a rescue keeps the checkpoint");
    process.signal(Signal::SIGCONT);
    assert_eq!(event("refused").await[4], "stale_lease");
    let saved: String = database.one("select data #>> '{}' from lavoro.checkpoint").await;
    assert_eq!(saved, "by the other");
    other.stop(LONG).await;
    database.assert_sound().await;
}

/// The reply to a save is lost: the save is sent again, and the caller hears that it is saved.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_no_lost_checkpoint() {
    let database = Database::new().await;
    database
        .run(
            "create table public.saves (data jsonb);
             create function public.count_saves() returns trigger language plpgsql as
             'begin insert into public.saves values (new.data); return new; end';
             create trigger saves after insert or update on lavoro.checkpoint
             for each row execute function public.count_saves()",
        )
        .await;
    let proxy = Proxy::start(&database.url).await;
    let direct = database.lavoro().await;
    direct.enqueue(NewJob::new("t", ())).await.unwrap();
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    // Heartbeats are few, so that it is the save whose reply is lost.
    let timing = Timing { heartbeat: LONG, lease: 10 * LONG, poll: LONG, ..Timing::default() };
    let worker = worker(&lavoro, timing).await;
    let job = next(&worker).await;
    for n in 0.. {
        let lost = proxy.lost();
        proxy.lose(lavoro_tests::Reply::Statement);
        job.save_checkpoint(&n).await.unwrap();
        wait_for("a reply to be lost", async || (proxy.lost() > lost).then_some(())).await;
        let sent: i64 = sqlx::query_scalar("select count(*) from public.saves where data = $1")
            .bind(json!(n))
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(job.checkpoint::<i32>().await.unwrap(), Some(n));
        if sent == 2 {
            break;
        }
        assert!(n < 50, "no save's reply was lost");
    }
    // An outage: the save waits for its end. Nothing is left of it if nobody waits any more.
    proxy.refuse(true);
    proxy.cut();
    let gone = tokio::time::timeout(Duration::from_millis(300), job.save_checkpoint("unwanted"));
    assert!(gone.await.is_err(), "there is no database");
    let saving = job.clone();
    let saving = tokio::spawn(async move { saving.save_checkpoint("after the outage").await });
    proxy.refuse(false);
    saving.await.unwrap().unwrap();
    assert_eq!(job.checkpoint::<String>().await.unwrap().as_deref(), Some("after the outage"));
    // No end in sight: the caller is told.
    lavoro.close().await;
    assert_eq!(job.save_checkpoint(&0).await.unwrap_err().code(), "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_goes_with_its_job() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let kept = Retention { completed: Some(Duration::ZERO), ..Retention::default() };
    lavoro.set_retention(kept).await.unwrap();
    let timing = quick();
    let worker = Worker::builder(&lavoro)
        .handler("t", |job: Job| async move {
            job.log("a line");
            job.progress(1.0, "")?;
            job.save_checkpoint(&1).await
        })
        .timing(timing)
        .maintenance(false)
        .start()
        .await
        .unwrap();
    let counts = "select (select count(*) from lavoro.log) * 100
                       + (select count(*) from lavoro.progress) * 10
                       + (select count(*) from lavoro.checkpoint)";
    let job = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    job.result(LONG).await.unwrap();
    assert_eq!(database.one::<i64>(counts).await, 111);
    worker.stop(LONG).await;
    let pruner = WorkerOptions { tasks: vec!["u".into()], timing, ..Default::default() };
    let pruner = PullWorker::start(&lavoro, pruner).await.unwrap();
    wait_for("pruning", async || (database.one::<i64>(counts).await == 0).then_some(())).await;
    pruner.stop(LONG).await;
}
