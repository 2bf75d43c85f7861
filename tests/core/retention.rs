//! Ended jobs are kept as long as the database says and no longer, whoever prunes.

use lavoro_core::{
    ConnectOptions, ErrorKind, Job, JobState, Lavoro, NewJob, Outcome, Retention, Worker,
};
use lavoro_tests::{Database, Quick as _, quick, statement, wait_for};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const MINUTE_MS: i64 = 60_000;

/// Everything that may hang on a job, and its column.
const HANGING: [&str; 9] = [
    "outcome",
    "past_outcome",
    "error",
    "log",
    "progress",
    "checkpoint",
    "expiry",
    "cancel_request",
    "unique_key",
];

fn rule(task: Option<&str>) -> Retention {
    Retention { task: task.map(str::to_owned), ..Retention::default() }
}

async fn maintainer(database: &Database) -> Lavoro {
    let timing = quick();
    let options =
        ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

/// Sends the statements of pruning with an instant instead of the server's clock.
struct Hand(PgConnection);

impl Hand {
    async fn new(database: &Database) -> Self {
        let mut connection = PgConnection::connect(&database.direct).await.unwrap();
        let session = "set enable_seqscan = off; set jit = off; \
                       set plan_cache_mode = force_generic_plan; set lock_timeout = '1s'";
        connection.execute(session).await.unwrap();
        Self(connection)
    }

    async fn note(&mut self) -> i64 {
        let note = sqlx::query(statement("kept_note")).bind(0_i64);
        note.fetch_one(&mut self.0).await.unwrap().get("print")
    }

    /// One step, `days` from now. `None`: nothing is due.
    async fn step(&mut self, print: i64, days: f64, limit: i64) -> Option<i64> {
        self.send(statement("prune"), print, days, limit).await
    }

    /// A step that has its snapshot and then waits for the advisory lock 7.
    async fn held_step(&mut self, print: i64, days: f64) -> Option<i64> {
        let AssertSqlSafe(sql) = statement("prune");
        let clock = "with clock as materialized (\n    select coalesce(";
        assert!(sql.contains(clock), "prune.sql has changed: find the new place to wait at");
        let held = "with clock as materialized (\n    \
                    select coalesce(nullif((select pg_advisory_lock(7))::text, '')::timestamptz, ";
        self.send(AssertSqlSafe(sql.replace(clock, held)), print, days, 1000).await
    }

    async fn send(
        &mut self,
        sql: AssertSqlSafe<String>,
        print: i64,
        days: f64,
        limit: i64,
    ) -> Option<i64> {
        let rows = sqlx::query(sql)
            .bind(7 * 24 * 60 * MINUTE_MS)
            .bind(7 * 24 * 60 * MINUTE_MS)
            .bind(30 * 24 * 60 * MINUTE_MS)
            .bind(limit)
            .bind(MINUTE_MS)
            .bind(print)
            .bind(chrono::Utc::now() + DAY.mul_f64(days))
            .fetch_all(&mut self.0)
            .await
            .unwrap();
        rows.first().map(|row| row.get("deleted"))
    }

    /// A whole round, `days` from now. Answers how many jobs went, and how many blocks were
    /// looked at.
    async fn round(&mut self, days: f64) -> (i64, u32) {
        let print = self.note().await;
        let (mut deleted, mut steps) = (0, 0);
        while let Some(more) = self.step(print, days, 1000).await {
            deleted += more;
            steps += 1;
            assert!(steps < 1000, "a round does not end");
        }
        (deleted, steps)
    }
}

/// Ended jobs `from..=to` of a task, in a state (1 completed, 2 cancelled, 3 discarded), that
/// ended just now.
async fn end(database: &Database, task: &str, state: i32, from: i64, to: i64) {
    database
        .run(&format!(
            "insert into lavoro.job (id, created_at, priority, max_attempts, queue, task, payload)
             select i, now() - interval '1 year', 0, 20, 'default', '{task}', '{{}}'
             from generate_series({from}, {to}) i;
             insert into lavoro.outcome (job_id, finished_at, attempt, state)
             select i, now(), 1, {state} from generate_series({from}, {to}) i;
             select setval('lavoro.job_id_seq', greatest({to}, nextval('lavoro.job_id_seq')))"
        ))
        .await;
}

/// How many jobs there are of each task, as text.
async fn tasks(database: &Database) -> String {
    let sql = "select coalesce(string_agg(task || ' ' || n, ', ' order by task), '')
               from (select task, count(*) as n from lavoro.job group by task) t";
    database.one(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_is_kept_for_its_own_time() {
    let database = Database::new().await;
    end(&database, "completed", 1, 1, 10).await;
    end(&database, "cancelled", 2, 11, 20).await;
    end(&database, "discarded", 3, 21, 30).await;
    let mut hand = Hand::new(&database).await;
    assert_eq!(hand.round(6.9).await.0, 0, "what is built in: 7 and 30 days");
    assert_eq!(hand.round(7.1).await.0, 20);
    assert_eq!(tasks(&database).await, "discarded 10");
    assert_eq!(hand.round(29.9).await.0, 0);
    assert_eq!(hand.round(30.4).await.0, 10);
    let marks: i64 = database.one("select count(*) from lavoro.kept where block >= 0").await;
    assert_eq!(marks, 0, "an empty block is forgotten");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_by_its_own_rule_then_by_that_of_every_task() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for (n, task) in ["own", "half", "other"].into_iter().enumerate() {
        let from = 1 + 10 * i64::try_from(n).unwrap();
        end(&database, task, 1, from, from + 4).await;
        end(&database, task, 3, from + 5, from + 9).await;
    }
    let set = async |rule: Retention| lavoro.set_retention(rule).await.unwrap();
    set(Retention { completed: Some(3 * DAY), discarded: Some(20 * DAY), ..rule(None) }).await;
    let own = rule(Some("own"));
    set(Retention { completed: Some(DAY), discarded: Some(40 * DAY), ..own }).await;
    set(Retention { discarded: Some(5 * DAY), ..rule(Some("half")) }).await;
    let mut hand = Hand::new(&database).await;
    for (days, expected) in [
        (0.9, "half 10, other 10, own 10"),
        (1.1, "half 10, other 10, own 5"),
        (3.1, "half 5, other 5, own 5"),
        (5.1, "other 5, own 5"),
        (20.3, "own 5"),
        (39.9, "own 5"),
        (40.5, ""),
    ] {
        hand.round(days).await;
        assert_eq!(tasks(&database).await, expected, "after {days} days");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_listed_changed_and_removed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    assert_eq!(lavoro.retention().await.unwrap(), [Retention::BUILT_IN]);
    let set = async |rule: Retention| lavoro.set_retention(rule).await.unwrap();
    set(Retention { completed: Some(DAY), ..rule(None) }).await;
    set(Retention { discarded: Some(Duration::ZERO), ..rule(Some("b")) }).await;
    set(Retention { cancelled: Some(Duration::from_millis(1500)), ..rule(Some("b")) }).await;
    set(Retention { completed: Some(3650 * DAY), ..rule(Some("a")) }).await;
    let expected = [
        Retention { completed: Some(DAY), ..Retention::BUILT_IN },
        Retention { completed: Some(3650 * DAY), ..rule(Some("a")) },
        Retention {
            cancelled: Some(Duration::from_millis(1500)),
            discarded: Some(Duration::ZERO),
            ..rule(Some("b"))
        },
    ];
    assert_eq!(lavoro.retention().await.unwrap(), expected);
    assert!(lavoro.remove_retention(Some("b")).await.unwrap());
    assert!(!lavoro.remove_retention(Some("b")).await.unwrap());
    assert!(lavoro.remove_retention(None).await.unwrap());
    assert_eq!(lavoro.retention().await.unwrap()[0], Retention::BUILT_IN);

    let refused = async |rule: Retention| lavoro.set_retention(rule).await.unwrap_err();
    let error = refused(Retention { cancelled: Some(3651 * DAY), ..rule(None) }).await;
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.message().starts_with("cancelled is"), "{error}");
    assert_eq!(refused(rule(Some("a"))).await.kind(), ErrorKind::InvalidOption);
    assert_eq!(refused(rule(Some("a\n"))).await.kind(), ErrorKind::InvalidTask);
    let error = lavoro.remove_retention(Some("")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTask);
    for bad in ["'-1 s'", "'3651 days'"] {
        let sql = format!("insert into lavoro.retention values ('t', {bad})");
        assert!(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&database.pool).await.is_err(), "{bad}");
    }
}

/// Zero for completed jobs; the discarded and the waiting stay. And a change reaches a fleet
/// that is running.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_everywhere() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("end", |job: Job| async move {
            match job.payload::<bool>() {
                Ok(true) => Outcome::complete(),
                _ => Outcome::fail("no"),
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let idle = maintainer(&database).await;
    let jobs = (0..20).map(|n| NewJob::new("end", n % 2 == 0));
    for job in lavoro.enqueue_many(jobs).await.unwrap() {
        job.result(LONG).await.unwrap();
    }
    let waiting = lavoro.enqueue(NewJob::new("later", 1)).await.unwrap();
    // A round has seen them all and found nothing to do until next week.
    wait_for("the block to be looked at", async || {
        let seen = "select count(*) from lavoro.kept where block >= 0 and due_at > now() + interval '10 minutes'";
        (database.one::<i64>(seen).await == 1).then_some(())
    })
    .await;
    let completed = Some(Duration::ZERO);
    lavoro.set_retention(Retention { completed, ..rule(None) }).await.unwrap();
    wait_for("completed jobs to be pruned", async || {
        (tasks(&database).await == "end 10, later 1").then_some(())
    })
    .await;
    // Jobs that end from now on go as soon as maintenance comes by.
    let late = lavoro.enqueue(NewJob::new("end", true)).await.unwrap();
    wait_for("a completed job to be pruned", async || {
        late.info().await.is_err_and(|e| e.kind() == ErrorKind::JobNotFound).then_some(())
    })
    .await;
    let discarded = Some(Duration::ZERO);
    lavoro.set_retention(Retention { discarded, ..rule(Some("end")) }).await.unwrap();
    wait_for("discarded jobs to be pruned", async || {
        (tasks(&database).await == "later 1").then_some(())
    })
    .await;
    let errors: i64 = database.one("select count(*) from lavoro.error").await;
    assert_eq!(errors, 0);
    assert_eq!(waiting.info().await.unwrap().state, JobState::Available);
    worker.stop(LONG).await;
    idle.close().await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_hangs_on_a_job_goes_with_it() {
    let database = Database::new().await;
    end(&database, "gone", 1, 1, 500).await;
    end(&database, "kept", 3, 501, 1000).await;
    database
        .run(
            "insert into lavoro.past_outcome (job_id, finished_at, attempt, state)
             select id, now(), 1, 3 from lavoro.job;
             insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
             select id, gen_random_uuid(), now(), 1, true, 'failed', 'x' from lavoro.job, generate_series(1, 3);
             insert into lavoro.log (job_id, id, logged_at, attempt, line)
             select id, n, now(), 1, 'x' from lavoro.job, generate_series(1, 3) n;
             insert into lavoro.progress (job_id, updated_at) select id, now() from lavoro.job;
             insert into lavoro.checkpoint (job_id, saved_at, data) select id, now(), '1' from lavoro.job;
             insert into lavoro.expiry (job_id, expires_at) select id, now() from lavoro.job;
             insert into lavoro.cancel_request (job_id, requested_at) select id, now() from lavoro.job",
        )
        .await;
    assert_eq!(Hand::new(&database).await.round(8.0).await.0, 500);
    for table in HANGING.into_iter().filter(|table| *table != "unique_key") {
        let sql = format!("select min(job_id), count(distinct job_id) from lavoro.{table}");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&database.pool).await.unwrap();
        assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (501, 500), "{table}");
    }
    // No other table knows jobs by a column: a new one must be pruned and listed here.
    let known: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns
         where table_schema = 'lavoro' and column_name = 'job_id'",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    // What schedules know of their jobs is kept by rules of its own.
    let others = ["slot", "schedule_state"];
    let is_new = |table: &&String| ![&HANGING[..], &others].concat().contains(&table.as_str());
    let new: Vec<_> = known.iter().filter(is_new).collect();
    assert_eq!(new, Vec::<&String>::new());
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pruners_share_the_work() {
    let database = Database::new().await;
    end(&database, "t", 1, 1, 30_000).await;
    end(&database, "kept", 3, 30_001, 31_000).await;
    let lavoro = database.lavoro().await;
    lavoro
        .set_retention(Retention { completed: Some(Duration::ZERO), ..rule(None) })
        .await
        .unwrap();
    let mut maintainers = Vec::new();
    for _ in 0..6 {
        maintainers.push(maintainer(&database).await);
    }
    wait_for("all old jobs to be pruned", async || {
        (tasks(&database).await == "kept 1000").then_some(())
    })
    .await;
    for maintainer in maintainers {
        maintainer.close().await;
    }
    let deadlocks: i64 = database
        .one("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
    database.assert_sound().await;
}

/// Jobs that have not ended stay, in the midst of a block that is pruned.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_pruned_around_those_that_have_not_ended() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..5).map(|n| NewJob::new("waits", n));
    lavoro.enqueue_many(jobs).await.unwrap();
    lavoro.enqueue(NewJob::new("later", 1).delay(DAY)).await.unwrap();
    end(&database, "t", 1, 100, 120).await;
    let mut hand = Hand::new(&database).await;
    assert_eq!(hand.round(8.0).await.0, 21);
    assert_eq!(tasks(&database).await, "later 1, waits 5");
    database.assert_sound().await;
}

/// While one prunes a block, another neither waits for it nor starts on the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_pruner_leaves_the_work_to_one_that_is_at_it() {
    let database = Database::new().await;
    end(&database, "t", 1, 1, 10_000).await;
    let (mut first, mut second) = (Hand::new(&database).await, Hand::new(&database).await);
    let print = first.note().await;
    first.0.execute("begin").await.unwrap();
    assert!(first.step(print, 8.0, 1000).await.is_some());
    assert_eq!(second.round(8.0).await, (0, 0));
    first.0.execute("rollback").await.unwrap();
    assert_eq!(second.round(8.0).await.0, 10_000, "what it did not commit is done by another");
}

/// Jobs that someone retries or deletes in an open transaction are passed over.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_keeps_its_jobs_and_holds_up_nobody() {
    let database = Database::new().await;
    end(&database, "t", 1, 1, 100).await;
    let mut hand = Hand::new(&database).await;
    let mut retrying = database.pool.begin().await.unwrap();
    retrying.execute("select lavoro.retry(7), lavoro.retry(8)").await.unwrap();
    let mut deleting = database.pool.begin().await.unwrap();
    deleting.execute("select lavoro.delete(9)").await.unwrap();
    // A job that has no outcome yet as far as others can see.
    let mut completing = database.pool.begin().await.unwrap();
    database
        .run(
            "insert into lavoro.job (id, priority, max_attempts, queue, task, payload)
             values (200, 0, 20, 'default', 'running', '{}');
             insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
             values ('00000000-0000-0000-0000-000000000001', 1, now(), '{200}', '{1}')",
        )
        .await;
    completing
        .execute("select lavoro.complete(200, '00000000-0000-0000-0000-000000000001')")
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(hand.round(8.0).await.0, 97);
    assert!(began.elapsed() < LONG / 6, "it waited");
    assert_eq!(tasks(&database).await, "running 1, t 3");
    retrying.commit().await.unwrap();
    deleting.rollback().await.unwrap();
    completing.commit().await.unwrap();
    assert_eq!(hand.round(8.01).await.0, 1, "9, which was not deleted; a lease lists 200");
    // As its worker does when nothing runs under the lease any more.
    database.run("delete from lavoro.lease").await;
    assert_eq!(hand.round(8.02).await.0, 1, "200");
    let lavoro = database.lavoro().await;
    assert_eq!(lavoro.job(7).info().await.unwrap().state, JobState::Available);
    database.assert_sound().await;
}

/// A job that was retried by hand is old, has no outcome, and stays; it goes once it has ended
/// again for long enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_retried_job_stays_until_it_has_ended_again() {
    let database = Database::new().await;
    end(&database, "t", 3, 1, 3).await;
    let lavoro = database.lavoro().await;
    let mut hand = Hand::new(&database).await;
    hand.round(1.0).await;
    lavoro.job(1).retry().await.unwrap();
    hand.round(100.0).await;
    assert_eq!(tasks(&database).await, "t 1");
    assert_eq!(lavoro.job(1).info().await.unwrap().state, JobState::Available);
    database.assert_sound().await;
    lavoro.job(1).cancel().await.unwrap();
    hand.round(6.0).await;
    assert_eq!(tasks(&database).await, "t 1");
    assert_eq!(hand.round(7.2).await.0, 1);
    let past: i64 = database.one("select count(*) from lavoro.past_outcome").await;
    assert_eq!(past, 0);
}

/// What commits between the snapshot of a step and its locks wins.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_saw_an_old_state_deletes_nothing_that_has_changed() {
    let database = Database::new().await;
    end(&database, "t", 1, 1, 100).await;
    let mut holder = PgConnection::connect(&database.direct).await.unwrap();
    holder.execute("select pg_advisory_lock(7)").await.unwrap();
    let mut hand = Hand::new(&database).await;
    hand.0.execute("set lock_timeout = 0").await.unwrap();
    let print = hand.note().await;
    let step = tokio::spawn(async move { hand.held_step(print, 8.0).await });
    wait_for("the step to wait", async || {
        let waits = "select count(*) from pg_locks
                     where locktype = 'advisory' and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        (database.one::<i64>(waits).await == 1).then_some(())
    })
    .await;
    // One waits again, one has ended again, one is gone.
    database
        .run("select lavoro.retry(1); select lavoro.retry(2), lavoro.cancel(2); select lavoro.delete(3)")
        .await;
    holder.execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(step.await.unwrap(), Some(97));
    let left: String = database
        .one("select string_agg(id || ' ' || state, ', ' order by id) from lavoro.jobs")
        .await;
    assert_eq!(left, "1 available, 2 cancelled");
    database.assert_sound().await;
    // What was seen wrongly is looked at again in the next round.
    assert_eq!(Hand::new(&database).await.round(8.01).await.0, 1);
}

/// Retries and deletions at full speed beside pruners: each job is either retried or gone.
#[tokio::test(flavor = "multi_thread")]
async fn retries_and_deletions_race_pruners() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    end(&database, "t", 1, 1, 4000).await;
    let completed = Some(Duration::ZERO);
    lavoro.set_retention(Retention { completed, ..rule(None) }).await.unwrap();
    let mut hands = Vec::new();
    for side in 0..2_i64 {
        let (url, retry) = (database.direct.clone(), side == 0);
        hands.push(tokio::spawn(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let sql = if retry { "select lavoro.retry($1)" } else { "select lavoro.delete($1)" };
            let mut done = Vec::new();
            for n in 0..2000 {
                // Against the direction of pruning, so that they meet.
                let id = 4000 - 2 * n - side;
                match sqlx::query(sql).bind(id).execute(&mut connection).await {
                    Ok(_) => done.push(id),
                    Err(error) => {
                        let code =
                            error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                        assert_eq!(code.as_deref(), Some("LV012"), "{error}");
                    }
                }
            }
            done
        }));
    }
    let prune = {
        let mut hand = Hand::new(&database).await;
        tokio::spawn(async move {
            let print = hand.note().await;
            let mut deleted = 0;
            for _ in 0..400 {
                deleted += hand.step(print, 8.0, 16).await.unwrap_or(0);
            }
            deleted
        })
    };
    let deleted = prune.await.unwrap();
    let mut counts = Vec::new();
    for hand in hands {
        counts.push(i64::try_from(hand.await.unwrap().len()).unwrap());
    }
    let waiting: i64 = database.one("select sum(cardinality(jobs)) from lavoro.ready").await;
    assert_eq!(waiting, counts[0], "a job that was retried is there");
    let left: i64 = database.one("select count(*) from lavoro.outcome").await;
    assert_eq!(deleted + counts[0] + counts[1] + left, 4000, "each job has one fate");
    assert!(deleted > 0 && counts[0] > 0 && counts[1] > 0, "{deleted} {counts:?}: no race");
    database.assert_sound().await;
}

/// Jobs that are kept long, in front of young ones, are not looked at in every round.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_long_costs_nothing() {
    let database = Database::new().await;
    end(&database, "t", 3, 1, 200_000).await;
    end(&database, "t", 1, 200_001, 210_000).await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let mut hand = Hand::new(&database).await;
    assert_eq!(hand.round(0.0).await, (0, 52), "each block is looked at once");
    assert_eq!(hand.round(0.01).await, (0, 0), "and not again a quarter of an hour later");
    let (deleted, steps) = hand.round(7.1).await;
    assert_eq!(deleted, 10_000);
    assert!(steps <= 65, "{steps} steps: the old ones and the hourly look");
    assert_eq!(hand.round(7.11).await, (0, 0));
    // Rules of single tasks do not change that.
    lavoro
        .set_retention(Retention { completed: Some(Duration::ZERO), ..rule(Some("u")) })
        .await
        .unwrap();
    hand.round(7.12).await;
    assert_eq!(hand.round(7.13).await, (0, 0));
}
