//! Locks by plain SQL.

use lavoro_core::{ErrorKind, Lavoro};
use lavoro_tests::{Database, wait_for};
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// The SQLSTATE and message that a statement fails with.
async fn refused(database: &Database, sql: &str) -> (String, String) {
    let answer = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&database.pool).await;
    let error = answer.expect_err(sql);
    let error = error.as_database_error().unwrap();
    (error.code().unwrap().into_owned(), error.message().to_owned())
}

async fn rows(database: &Database, sql: &str) -> usize {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&database.pool).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_lives_by_sql() {
    let database = Database::new().await;
    let take = "select token, fence, expires_at from lavoro.lock_acquire('l', 'me', '1 minute')";
    let (token, fence): (String, i64) =
        sqlx::query_as("select token::text, fence from lavoro.lock_acquire('l', 'me', '1 minute')")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(rows(&database, take).await, 0, "it is held");
    let lavoro = database.lavoro().await;
    let seen = lavoro.locks().await.unwrap().remove(0);
    assert_eq!((seen.owner.as_str(), seen.fence, seen.lifetime_ms), ("me", fence, 60_000));
    assert_eq!(seen.pid, None);
    database.run(&format!("select lavoro.lock_extend('l', '{token}', '1 hour')")).await;
    database.run(&format!("select lavoro.lock_check('l', {fence})")).await;
    let left =
        "select extract(epoch from expires_at - clock_timestamp())::float8 from lavoro.locks";
    assert!(database.one::<f64>(left).await > 3500.0);
    let other = "select lavoro.lock_release('l', gen_random_uuid())";
    assert!(!database.one::<bool>(other).await, "only the owner releases");
    assert!(lavoro.lock("l").try_acquire().await.unwrap().is_none());
    let release = format!("select lavoro.lock_release('l', '{token}')");
    let released: bool =
        sqlx::query_scalar(AssertSqlSafe(release.clone())).fetch_one(&database.pool).await.unwrap();
    assert!(released);
    let again: bool =
        sqlx::query_scalar(AssertSqlSafe(release)).fetch_one(&database.pool).await.unwrap();
    assert!(!again);
    for sql in [
        format!("select lavoro.lock_extend('l', '{token}')"),
        format!("select lavoro.lock_check('l', {fence})"),
        "select lavoro.lock_check('never', 1)".to_owned(),
    ] {
        let (code, _) = refused(&database, &sql).await;
        assert_eq!(ErrorKind::from_sqlstate(&code), Some(ErrorKind::LockLost), "{sql}");
    }
    database.run("select lavoro.lock_acquire('l')").await;
    let owner = database.one::<Option<String>>("select lavoro.lock_force_release('l')").await;
    assert!(owner.is_some(), "without an owner the role and backend are named");
    assert_eq!(database.one::<Option<String>>("select lavoro.lock_force_release('l')").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    let database = Database::new().await;
    for (arguments, says) in [
        ("''", "lock is empty"),
        ("null", "lock is empty"),
        ("repeat('é', 128)", "lock has 256 bytes"),
        ("E'a\\n'", "lock holds a control character"),
        ("'l', ''", "owner is empty"),
        ("'l', 'o', '999 ms'", "lifetime is"),
        ("'l', 'o', '25 hours'", "lifetime is"),
        ("'l', 'o', null", "lifetime is null"),
    ] {
        let (code, message) =
            refused(&database, &format!("select lavoro.lock_acquire({arguments})")).await;
        assert_eq!(ErrorKind::from_sqlstate(&code), Some(ErrorKind::InvalidOption), "{arguments}");
        assert!(message.starts_with(says), "{message}");
    }
}

/// A lock that an open transaction took is nobody's yet, and makes nobody wait for long.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_stands_in_the_way_of_no_other_lock() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let other = lavoro.lock("other").acquire().await.unwrap();
    for sql in ["select lavoro.lock_acquire('new')", "select lavoro.lock_force_release('other')"] {
        let mut transaction = database.pool.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *transaction).await.unwrap();
        assert!(
            lavoro.lock("new").try_acquire().await.unwrap().is_none_or(|_| sql.contains("force"))
        );
        let free = lavoro.lock("free").acquire().await.unwrap();
        free.release().await.unwrap();
        transaction.rollback().await.unwrap();
    }
    other.extend(Duration::from_secs(15)).await.unwrap();
    wait_for("the lock is free", async || lavoro.lock("new").try_acquire().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_search_path_changes_nothing() {
    let database = Database::new().await;
    database
        .run("create function public.clock_timestamp() returns timestamptz language sql as $$ select 'epoch'::timestamptz $$;
              create function public.nextval(text) returns bigint language sql as $$ select 0::bigint $$;
              create function public.pg_notify(text, text) returns void language sql as $$ select $$;
              create table public.lock (name text)")
        .await;
    let url = database.url.clone();
    let mut connection = database.pool.acquire().await.unwrap();
    sqlx::raw_sql("set search_path = public, pg_catalog").execute(&mut *connection).await.unwrap();
    for sql in ["select lavoro.lock_acquire('l')", "select lavoro.lock_force_release('l')"] {
        sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap();
    }
    let (token, fence): (String, i64) =
        sqlx::query_as("select token::text, fence from lavoro.lock_acquire('l')")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    assert_eq!(fence, 2);
    for sql in [
        format!("select lavoro.lock_extend('l', '{token}')"),
        format!("select lavoro.lock_check('l', {fence})"),
        format!("select lavoro.lock_release('l', '{token}')"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
    }
    sqlx::raw_sql("reset search_path").execute(&mut *connection).await.unwrap();
    let lavoro = Lavoro::connect(url).await.unwrap();
    assert!(lavoro.locks().await.unwrap().is_empty());
    let pinned = "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                  where n.nspname = 'lavoro' and p.proname like 'lock%'
                    and not p.proconfig::text like '%search_path=pg_catalog, %lavoro%, pg_temp%'";
    assert_eq!(database.one::<i64>(pinned).await, 0);
}
