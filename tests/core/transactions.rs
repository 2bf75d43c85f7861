//! Enqueueing and completing inside a user's own transaction.

use lavoro_core::{
    Backoff, Error, ErrorKind, Finish, Job, JobState, Lavoro, NewJob, Outcome, PullWorker, Verdict,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, quick};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::time::Duration;
use uuid::Uuid;

const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_commits_and_rolls_back_with_its_transaction() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database.run("create table public.account (name text)").await;
    for commits in [false, true] {
        let mut tx = database.pool.begin().await.unwrap();
        sqlx::raw_sql("insert into public.account values ('ada')").execute(&mut *tx).await.unwrap();
        let plain = lavoro.enqueue_in(&mut tx, NewJob::new("t", 1)).await.unwrap();
        let keyed = NewJob::new("t", 2).unique_key("k").delay(Duration::from_secs(9));
        let keyed = lavoro.enqueue_in(&mut tx, keyed).await.unwrap();
        assert!(plain.is_new() && keyed.is_new());
        assert_eq!(
            plain.info().await.unwrap_err().code(),
            "job_not_found",
            "not before the commit"
        );
        if commits {
            tx.commit().await.unwrap();
            assert_eq!(plain.info().await.unwrap().state, JobState::Available);
            assert_eq!(keyed.info().await.unwrap().state, JobState::Scheduled);
        } else {
            tx.rollback().await.unwrap();
            assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 0);
        }
        let expected = i64::from(commits);
        assert_eq!(database.one::<i64>("select count(*) from public.account").await, expected);
    }
    // A refused job is refused before anything is sent: the transaction goes on.
    let mut tx = database.pool.begin().await.unwrap();
    let error = lavoro.enqueue_in(&mut tx, NewJob::new("", ())).await.unwrap_err();
    assert_eq!(error.code(), "invalid_task");
    lavoro.enqueue_in(&mut tx, NewJob::new("t", ())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 3);
    database.assert_sound().await;
}

async fn claim(lavoro: &Lavoro) -> (PullWorker, Job) {
    let options = WorkerOptions { tasks: vec!["t".into()], timing: quick(), ..Default::default() };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    (worker, job)
}

async fn begin(connection: &mut PgConnection, level: &str) {
    let sql = format!("begin isolation level {level}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
    // Above read committed this takes the snapshot.
    sqlx::raw_sql("select 1 from lavoro.job limit 1").execute(connection).await.unwrap();
}

async fn complete(connection: &mut PgConnection, id: i64, token: Uuid) -> sqlx::Result<()> {
    let query = sqlx::query("select lavoro.complete($1, $2, '\"done\"')::text");
    query.bind(id).bind(token).execute(connection).await.map(drop)
}

fn state(error: &sqlx::Error) -> String {
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_commits_and_rolls_back_with_its_transaction() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ()).unique_key("k")).await.unwrap();
    let (worker, job) = claim(&lavoro).await;
    let mut tx = database.pool.begin().await.unwrap();
    complete(&mut tx, job.id(), job.token()).await.unwrap();
    assert_eq!(handle.info().await.unwrap().state, JobState::Running);
    tx.rollback().await.unwrap();
    assert_eq!(handle.info().await.unwrap().state, JobState::Running);
    let mut tx = database.pool.begin().await.unwrap();
    complete(&mut tx, job.id(), job.token()).await.unwrap();
    tx.commit().await.unwrap();
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.attempt), (JobState::Completed, 1));
    assert_eq!(info.result, Some("done".into()));
    assert!(lavoro.enqueue(NewJob::new("t", ()).unique_key("k")).await.unwrap().is_new());
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}

/// A lease of a worker that has been rescued, and the lease of the attempt after it. Built by
/// hand, so that nothing else touches the job meanwhile.
async fn two_attempts(database: &Database, lavoro: &Lavoro) -> (i64, [Uuid; 2]) {
    let id = lavoro.enqueue(NewJob::new("t", ())).await.unwrap().id();
    let tokens = [Uuid::new_v4(), Uuid::new_v4()];
    let lease = "with gone as (delete from lavoro.ready where $1 = any (jobs))
                 insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
                 values ($2, 1, clock_timestamp(), array[$1], array[1::smallint])";
    sqlx::query(lease).bind(id).bind(tokens[0]).execute(&database.pool).await.unwrap();
    (id, tokens)
}

/// What a rescue and the next claim do.
async fn rescue(database: &Database, id: i64, tokens: [Uuid; 2]) {
    let sql = "with held as (
                   select job.id from lavoro.job where id = $1 for no key update
               ), gone as (
                   delete from lavoro.lease where token = $2 and exists (select from held)
               )
               insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
               values ($3, 2, clock_timestamp(), array[$1], array[2::smallint])";
    let query = sqlx::query(sql).bind(id).bind(tokens[0]).bind(tokens[1]);
    query.execute(&database.pool).await.unwrap();
}

/// The older attempt's transaction began before the rescue, the newer one's after it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_attempts_one_commits_in_either_order_at_every_level() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for level in LEVELS {
        for older_first in [true, false] {
            let (id, tokens) = two_attempts(&database, &lavoro).await;
            let mut older = database.pool.acquire().await.unwrap();
            let mut newer = database.pool.acquire().await.unwrap();
            begin(&mut older, level).await;
            rescue(&database, id, tokens).await;
            begin(&mut newer, level).await;
            let order = [(&mut older, tokens[0], false), (&mut newer, tokens[1], true)];
            let order: Vec<_> =
                if older_first { order.into() } else { order.into_iter().rev().collect() };
            for (connection, token, wins) in order {
                let answer = complete(connection, id, token).await;
                let case = format!("{level}, older first: {older_first}, newer: {wins}");
                if wins {
                    answer.unwrap();
                    sqlx::raw_sql("commit").execute(&mut **connection).await.unwrap();
                } else {
                    let state = state(&answer.unwrap_err());
                    assert!(["LV014", "40001"].contains(&state.as_str()), "{case}: {state}");
                    sqlx::raw_sql("rollback").execute(&mut **connection).await.unwrap();
                }
            }
            let outcome = sqlx::query("select attempt from lavoro.outcome where job_id = $1");
            let row = outcome.bind(id).fetch_one(&database.pool).await.unwrap();
            assert_eq!(row.get::<i16, _>(0), 2, "{level}");
        }
    }
    database.assert_sound().await;
}

/// Two transactions complete one attempt at the same time: the second waits for the first.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_open_completions_the_second_waits_and_follows_the_first() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for level in LEVELS {
        for commits in [true, false] {
            let (id, [token, _]) = two_attempts(&database, &lavoro).await;
            let mut first = database.pool.acquire().await.unwrap();
            let mut second = database.pool.acquire().await.unwrap();
            begin(&mut first, level).await;
            begin(&mut second, level).await;
            complete(&mut first, id, token).await.unwrap();
            let waiting = tokio::spawn(async move {
                let answer = complete(&mut second, id, token).await;
                let end = if answer.is_ok() { "commit" } else { "rollback" };
                sqlx::raw_sql(end).execute(&mut *second).await.unwrap();
                answer
            });
            lavoro_tests::wait_for("the second to wait", async || {
                let blocked = "select count(*) from pg_locks where not granted";
                (database.one::<i64>(blocked).await > 0).then_some(())
            })
            .await;
            let end = if commits { "commit" } else { "rollback" };
            sqlx::raw_sql(end).execute(&mut *first).await.unwrap();
            let answer = waiting.await.unwrap();
            if commits {
                let state = state(&answer.unwrap_err());
                assert!(["LV014", "40001"].contains(&state.as_str()), "{level}: {state}");
            } else {
                answer.unwrap();
            }
            let outcomes = sqlx::query("select count(*) from lavoro.outcome where job_id = $1");
            let row = outcomes.bind(id).fetch_one(&database.pool).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 1, "{level}");
        }
    }
    database.assert_sound().await;
}

/// The real machinery: a worker is lost, another rescues and claims its job, and the first one's
/// transaction comes too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_cannot_complete_what_another_runs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    // A worker's row whose heart has stopped, with a lease of its own.
    let token = Uuid::new_v4();
    let lost = "with dead as (
                    insert into lavoro.worker (beat_at, started_at, lease_ms, pid, name, host,
                                               language, version, queues, tasks)
                    values (clock_timestamp() - interval '1 hour', now(), 1500, 1, 'dead', 'h',
                            'rust', '0', '{}', '{t}')
                    returning id
                ), gone as (delete from lavoro.ready where $1 = any (jobs))
                insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
                select $2, id, clock_timestamp(), array[$1], array[1::smallint] from dead";
    sqlx::query(lost).bind(handle.id()).bind(token).execute(&database.pool).await.unwrap();
    let (worker, job) = claim(&lavoro).await;
    assert_eq!(job.id(), handle.id());
    assert!(job.is_suspect(), "rescued: {job:?}");
    let mut connection = database.pool.acquire().await.unwrap();
    let late = complete(&mut connection, job.id(), token).await.unwrap_err();
    assert_eq!(state(&late), "LV014");
    complete(&mut connection, job.id(), job.token()).await.unwrap();
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.errors.len()), (JobState::Completed, 1));
    assert_eq!(info.errors[0].kind, "lost");
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}

/// Whatever the handler returns after its transaction has committed: the job is completed, and
/// the worker is told that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_completion_in_a_transaction_the_handler_may_return_anything() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let outcomes = [
        Outcome::complete(),
        Outcome::complete_with_json("\"another result\""),
        Outcome::retry("an error after the commit"),
        Outcome::fail("a fatal error after the commit"),
        Outcome::snooze(Duration::from_secs(1)),
        Outcome::cancel("unwanted"),
        Outcome::Release,
    ];
    for outcome in outcomes {
        let handle = lavoro.enqueue(NewJob::new("t", ()).unique_key("k")).await.unwrap();
        let (worker, job) = claim(&lavoro).await;
        let mut tx = database.pool.begin().await.unwrap();
        lavoro.complete_in(&mut tx, &job, "kept").await.unwrap();
        tx.commit().await.unwrap();
        let finish = Finish { job: job.id(), token: job.token(), outcome: outcome.clone() };
        assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted], "{outcome:?}");
        let info = handle.info().await.unwrap();
        assert_eq!((info.state, info.attempt), (JobState::Completed, 1), "{outcome:?}");
        assert_eq!(info.result, Some("kept".into()), "{outcome:?}");
        assert!(info.errors.is_empty(), "{outcome:?}");
        worker.stop(Duration::ZERO).await;
    }
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_the_outcome_counts() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database.run("create table public.account (name text)").await;
    let worker = Worker::builder(&lavoro)
        .handler("t", {
            let (lavoro, pool) = (lavoro.clone(), database.pool.clone());
            move |job: Job| {
                let (lavoro, pool) = (lavoro.clone(), pool.clone());
                async move {
                    let mut tx = pool.begin().await.unwrap();
                    let insert = "insert into public.account values ('ada')";
                    sqlx::raw_sql(insert).execute(&mut *tx).await.unwrap();
                    lavoro.complete_in(&mut tx, &job, job.attempt()).await?;
                    if job.attempt() == 1 {
                        tx.rollback().await.unwrap();
                        return Err(Error::new(ErrorKind::Internal, "rolled back"));
                    }
                    tx.commit().await.unwrap();
                    Ok(())
                }
            }
        })
        .timing(quick())
        .start()
        .await
        .unwrap();
    let job = NewJob::new("t", ()).backoff(Backoff::fixed(Duration::from_millis(1)));
    let handle = lavoro.enqueue(job).await.unwrap();
    let result: u32 = handle.result(lavoro_tests::PATIENCE).await.unwrap().value().unwrap();
    assert_eq!(result, 2);
    let info = handle.info().await.unwrap();
    assert_eq!((info.errors.len(), info.errors[0].message.as_str()), (1, "rolled back"));
    assert_eq!(database.one::<i64>("select count(*) from public.account").await, 1);
    worker.stop(lavoro_tests::PATIENCE).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_completion_in_a_transaction_says_so() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let (worker, job) = claim(&lavoro).await;
    let finish = Finish { job: job.id(), token: job.token(), outcome: Outcome::Release };
    worker.finish(vec![finish]).await;
    let mut tx = database.pool.begin().await.unwrap();
    let error = lavoro.complete_in(&mut tx, &job, ()).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("stale_lease", false), "{error}");
    tx.rollback().await.unwrap();
    // What cannot be written as JSON never reaches the transaction; what is too large is noted.
    let job = worker.next_jobs(1).await.remove(0);
    let mut tx = database.pool.begin().await.unwrap();
    let bad = std::collections::HashMap::from([(vec![1], 1)]);
    let error = lavoro.complete_in(&mut tx, &job, &bad).await.unwrap_err();
    assert_eq!(error.code(), "invalid_payload");
    lavoro.complete_in(&mut tx, &job, "x".repeat(2 << 20)).await.unwrap();
    tx.commit().await.unwrap();
    let result = lavoro.job(job.id()).info().await.unwrap().result.unwrap();
    assert!(result.to_string().contains("lavoro_note"), "a result is mended, not refused");
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}
