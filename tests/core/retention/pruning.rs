//! Pruning beside everything else that changes jobs.

use super::hand::{DAY, Hand, LONG, end, maintainer, rule, tasks};
use lavoro_core::{JobState, NewJob, Retention};
use lavoro_tests::{Database, wait_for};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::time::{Duration, Instant};

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
