//! Locks through outages and crashes: a holder is told before another may have its lock, and
//! numbers never fall.

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use lavoro_core::{ConnectOptions, Lavoro, LockLoss};
use lavoro_tests::{Database, Proxy, Reply, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

const LIFETIME: Duration = Duration::from_secs(2);

/// Whether the server still keeps the lock for this fence.
async fn stands(database: &Database, fence: i64) -> bool {
    let sql = "select coalesce(max(fence), 0) from lavoro.locks";
    database.one::<i64>(sql).await == fence
}

/// Each way to lose contact: connections are refused, or replies do not arrive.
#[tokio::test(flavor = "multi_thread")]
async fn lost_contact_is_told_before_the_lock_ends() {
    for refused in [true, false] {
        let database = Database::new().await;
        let proxy = Proxy::start(&database.url).await;
        let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
        let lock = lavoro.lock("l").lifetime(LIFETIME).acquire().await.unwrap();
        let began = Instant::now();
        if refused {
            proxy.refuse(true);
            proxy.cut();
        } else {
            proxy.swallow_replies(true);
        }
        assert_eq!(lock.lost().await, LockLoss::LostContact);
        assert!(began.elapsed() < LIFETIME, "{:?}", began.elapsed());
        assert!(stands(&database, lock.fencing_token()).await, "told too late");
        assert!(!lock.is_held() && lock.remaining().is_zero());
        // Another gets it when it has ended.
        let other = database.lavoro().await;
        let next = other.lock("l").acquire().await.unwrap();
        assert!(next.fencing_token() > lock.fencing_token());
        // When contact is back, the old holder cannot take it away.
        proxy.refuse(false);
        proxy.swallow_replies(false);
        proxy.cut();
        wait_for("an answer", async || lock.release().await.ok()).await;
        assert!(stands(&database, next.fencing_token()).await);
        assert!(next.is_held());
    }
}

/// An outage that is shorter than that loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_loses_no_lock() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    let lock = lavoro.lock("l").lifetime(5 * LIFETIME).acquire().await.unwrap();
    for _ in 0..3 {
        proxy.cut();
        lock.extend(LIFETIME)
            .await
            .or_else(|error| error.is_transient().then_some(()).ok_or(error))
            .unwrap();
    }
    wait_for("contact", async || lock.extend(LIFETIME).await.ok()).await;
    assert!(lock.is_held() && stands(&database, lock.fencing_token()).await);
}

/// A grant whose reply is lost is found again, under the same number.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_loses_no_lock() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    proxy.lose(Reply::Statement);
    let lock = lavoro.lock("l").acquire().await.unwrap();
    assert_eq!(proxy.lost(), 1);
    assert!(stands(&database, lock.fencing_token()).await);
    assert_eq!(database.one::<i64>("select last_value from lavoro.lock_fence").await, 1);
    lock.release().await.unwrap();
    // One that only tries is told of the trouble, and leaves nothing behind.
    proxy.lose(Reply::Statement);
    let tried = lavoro.lock("l").try_acquire().await;
    assert!(tried.is_err(), "{tried:?}");
    assert!(database.lavoro().await.lock("l").try_acquire().await.unwrap().is_some());
}

/// Immediate shutdowns, also of a server on which commits do not wait for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_rise_across_crashes_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::persistent(directory.path().join(".lavoro"));
    let start = move || Embedded::start(options);
    let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let options = || ConnectOptions { migrate: Some(true), ..ConnectOptions::url(server.url()) };
    let lavoro = Lavoro::connect_with(options()).await.unwrap();
    let admin = sqlx::PgPool::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("alter database lavoro set synchronous_commit = off")
        .execute(&admin)
        .await
        .unwrap();
    admin.close().await;
    let long = lavoro.lock("long").lifetime(Duration::from_mins(10)).acquire().await.unwrap();
    let mut last = long.fencing_token();
    for _ in 0..3 {
        // New sessions, to which the setting applies.
        let client = Lavoro::connect_with(options()).await.unwrap();
        for _ in 0..5 {
            let lock = client.lock("l").lifetime(Duration::from_secs(1)).acquire().await.unwrap();
            assert!(lock.fencing_token() > last);
            last = lock.fencing_token();
            lock.release().await.unwrap();
        }
        let held = client.lock("l").lifetime(Duration::from_secs(1)).acquire().await.unwrap();
        let old = server.server_pid();
        kill(Pid::from_raw(old.unwrap().cast_signed()), Signal::SIGQUIT).unwrap();
        assert!(held.fencing_token() > last);
        last = held.fencing_token();
        wait_for("the server to be back", async || {
            (server.server_pid() != old).then_some(())?;
            lavoro.locks().await.ok()
        })
        .await;
        drop(held);
    }
    let seen = lavoro.locks().await.unwrap();
    let seen = seen.iter().find(|lock| lock.name == "long").unwrap();
    assert_eq!(seen.fence, long.fencing_token(), "a long lock outlives the crashes");
    assert!(long.is_held());
    lavoro.close().await;
}
