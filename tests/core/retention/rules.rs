//! Rules: which there are, and what they do.

use super::hand::{DAY, HANGING, Hand, LONG, end, maintainer, rule, tasks};
use lavoro_core::{ErrorKind, Job, JobState, NewJob, Outcome, Retention, Worker};
use lavoro_tests::{Database, Quick as _, wait_for};
use sqlx::{AssertSqlSafe, Row as _};
use std::time::Duration;

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
