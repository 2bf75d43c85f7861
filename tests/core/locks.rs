//! Named locks: one holder at a time, numbers that rise, waiters in order, nothing silent.

use lavoro_core::{ConnectOptions, ErrorKind, Lavoro, Lock, LockLoss};
use lavoro_tests::{Database, PATIENCE, wait_for};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

async fn waiting(database: &Database) -> i64 {
    database.one("select coalesce(max(waiting), 0) from lavoro.locks").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_taken_once_seen_and_released() {
    let database = Database::new().await;
    let (ours, theirs) = (database.lavoro().await, database.lavoro().await);
    let lock = ours.lock("l").owner("me").acquire().await.unwrap();
    assert!(lock.is_held() && lock.remaining() > Duration::from_secs(14), "{lock:?}");
    assert!(theirs.lock("l").try_acquire().await.unwrap().is_none());
    let other = theirs.lock("other").try_acquire().await.unwrap().unwrap();
    assert!(other.fencing_token() > lock.fencing_token());
    let seen = theirs.locks().await.unwrap().remove(0);
    assert_eq!((seen.name.as_str(), seen.owner.as_str()), ("l", "me"));
    assert_eq!((seen.fence, seen.lifetime_ms), (lock.fencing_token(), 15_000));
    assert_eq!(seen.pid, Some(std::process::id().cast_signed()));

    assert!(lock.release().await.unwrap());
    assert!(!lock.release().await.unwrap(), "a second time does nothing");
    assert!(!lock.is_held() && lock.remaining().is_zero() && lock.loss().is_none());
    assert_eq!(lock.extend(SECOND).await.unwrap_err().kind(), ErrorKind::LockLost);
    let next = theirs.lock("l").try_acquire().await.unwrap().unwrap();
    assert!(next.fencing_token() > other.fencing_token());
    // Dropping releases in the background.
    drop(next);
    wait_for("the lock to be free", async || ours.lock("l").try_acquire().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let long = "é".repeat(128);
    for (lock, field) in [
        (lavoro.lock(""), "lock is empty"),
        (lavoro.lock(long.as_str()), "lock has 256 bytes: the limit is 255"),
        (lavoro.lock("a\0"), "lock holds a control character"),
        (lavoro.lock("l").owner("\n"), "owner holds a control character"),
        (lavoro.lock("l").lifetime(Duration::from_millis(999)), "lifetime is 999ms"),
        (lavoro.lock("l").lifetime(Duration::from_hours(25)), "lifetime is"),
        (lavoro.lock("l").wait(Duration::from_hours(25)), "wait is"),
    ] {
        let error = lock.clone().acquire().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(error.message().starts_with(field), "{error}");
        assert_eq!(lock.try_acquire().await.unwrap_err().kind(), ErrorKind::InvalidOption);
    }
    assert_eq!(lavoro.force_release("").await.unwrap_err().kind(), ErrorKind::InvalidOption);
    let hostile = "'; drop table lavoro.lock; -- \"🔒";
    let lock = lavoro.lock(hostile).acquire().await.unwrap();
    assert_eq!(lavoro.locks().await.unwrap()[0].name, hostile);
    assert!(lock.release().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_has_an_end() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let lock = lavoro.lock("l").acquire().await.unwrap();
    let began = Instant::now();
    let wait = Duration::from_millis(300);
    let error = lavoro.lock("l").wait(wait).acquire().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Timeout, "the lock \"l\" was not free within 300ms")
    );
    assert!(began.elapsed() >= wait);
    let error = lavoro.lock("l").wait(Duration::ZERO).acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // Who gave up, or was dropped, stands in nobody's way.
    let dropped = lavoro.lock("l").acquire();
    assert!(tokio::time::timeout(wait, dropped).await.is_err());
    wait_for("the line to be empty", async || (waiting(&database).await == 0).then_some(())).await;
    lock.release().await.unwrap();
    assert!(lavoro.lock("l").try_acquire().await.unwrap().is_some());
}

/// Takes the lock when it is its turn, and notes who it was.
fn queue(
    lavoro: &Lavoro,
    name: usize,
    order: &Arc<Mutex<Vec<usize>>>,
) -> tokio::task::JoinHandle<()> {
    let (lavoro, order) = (lavoro.clone(), Arc::clone(order));
    tokio::spawn(async move {
        let lock = lavoro.lock("l").wait(PATIENCE).acquire().await.unwrap();
        order.lock().unwrap().push(name);
        lock.release().await.unwrap();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_first_is_served_first() {
    let database = Database::new().await;
    let clients = [database.lavoro().await, database.lavoro().await];
    let lock = clients[0].lock("l").acquire().await.unwrap();
    let order = Arc::default();
    let mut tasks = Vec::new();
    for name in 0..20 {
        tasks.push(queue(&clients[name % 2], name, &order));
        wait_for("one more in line", async || {
            (waiting(&database).await == i64::try_from(name + 1).unwrap()).then_some(())
        })
        .await;
    }
    // Who only tries does not get in before those who wait.
    assert!(lock.release().await.unwrap());
    let barged = clients[1].lock("l").try_acquire().await.unwrap();
    assert!(barged.is_none() || order.lock().unwrap().len() == 20);
    drop(barged);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

async fn extended_beyond(database: &Database, lock: &Lock) {
    let first: String = database.one("select expires_at::text from lavoro.locks").await;
    wait_for("an extension", async || {
        let now: String = database.one("select expires_at::text from lavoro.locks").await;
        (now > first).then_some(())
    })
    .await;
    assert!(lock.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_extended_by_itself_and_by_hand() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let lock = lavoro.lock("l").lifetime(SECOND).acquire().await.unwrap();
    for _ in 0..4 {
        extended_beyond(&database, &lock).await;
    }
    lock.extend(Duration::from_mins(1)).await.unwrap();
    assert!(lock.remaining() > Duration::from_secs(55), "{:?}", lock.remaining());
    let left =
        "select extract(epoch from expires_at - clock_timestamp())::float8 from lavoro.locks";
    assert!(database.one::<f64>(left).await > 55.0);
    lock.extend(SECOND).await.unwrap();
    assert!(database.one::<f64>(left).await > 55.0, "an extension shortens nothing");
    let error = lock.extend(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}

/// A runtime with one thread, which the application blocks for three lifetimes.
#[test]
fn a_blocked_runtime_does_not_lose_its_lock() {
    let other = tokio::runtime::Runtime::new().unwrap();
    let database = other.block_on(Database::new());
    let url = database.url.clone();
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ours.block_on(async {
        let lavoro = Lavoro::connect(&url).await.unwrap();
        let lock = lavoro.lock("l").lifetime(SECOND).acquire().await.unwrap();
        let fence = lock.fencing_token();
        // Nothing runs on this thread but this.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                other.block_on(async {
                    let began = Instant::now();
                    while began.elapsed() < 3 * SECOND {
                        let sql = "select coalesce(max(fence), 0) from lavoro.locks";
                        assert_eq!(database.one::<i64>(sql).await, fence);
                    }
                });
            });
        });
        assert!(lock.is_held() && lock.release().await.unwrap());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_handed_over_as_text() {
    let database = Database::new().await;
    let (ours, theirs) = (database.lavoro().await, database.lavoro().await);
    let lock = ours.lock("l").lifetime(SECOND).owner("first").acquire().await.unwrap();
    let fence = lock.fencing_token();
    let copy = theirs.restore_lock(&lock.serialise().unwrap()).await.unwrap();
    assert_eq!((copy.name(), copy.owner(), copy.fencing_token()), ("l", "first", fence));
    let text = lock.hand_over().await.unwrap();
    // The first process extends it no more, and the copy lives on.
    ours.close().await;
    for _ in 0..4 {
        extended_beyond(&database, &copy).await;
    }
    let again = theirs.restore_lock(&text).await.unwrap();
    assert!(copy.release().await.unwrap());
    assert_eq!(again.lost().await, LockLoss::Lost);
    let gone = theirs.restore_lock(&text).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::LockLost, "{gone}");
    for bad in [
        "",
        "{}",
        "[1]",
        &text.replace("\"version\":1", "\"version\":2"),
        &text.replace("\"fence\":\"", "\"fence\":\"x"),
    ] {
        let error = theirs.restore_lock(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{bad}");
    }
    let token = text.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let lock = theirs.lock("l").acquire().await.unwrap();
    assert!(!format!("{lock:?} {again:?}").contains(&token), "the token is a secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_release_tells_the_holder() {
    let database = Database::new().await;
    let (ours, theirs) = (database.lavoro().await, database.lavoro().await);
    assert_eq!(theirs.force_release("l").await.unwrap(), None, "it is free");
    // Long, so that only a message can tell it in time.
    let lifetime = Duration::from_hours(24);
    let lock = ours.lock("l").lifetime(lifetime).owner("me").acquire().await.unwrap();
    let listening = "select count(*) from pg_stat_activity where datname = current_database()
                     and query ilike 'listen%'";
    wait_for("the client listens", async || {
        (database.one::<i64>(listening).await > 0).then_some(())
    })
    .await;
    assert_eq!(theirs.force_release("l").await.unwrap().as_deref(), Some("me"));
    let told = tokio::time::timeout(PATIENCE, lock.lost()).await.unwrap();
    assert_eq!((told, lock.is_held()), (LockLoss::Lost, false));
    let next = theirs.lock("l").acquire().await.unwrap();
    assert!(!lock.release().await.unwrap(), "it is another's now");
    assert!(next.is_held());
    assert_eq!(theirs.locks().await.unwrap()[0].fence, next.fencing_token());
    let mut connection = database.pool.acquire().await.unwrap();
    assert_eq!(lock.check_in(&mut connection).await.unwrap_err().kind(), ErrorKind::LockLost);
    next.check_in(&mut connection).await.unwrap();
}

/// A transaction that has checked the lock is done under it: however long it takes, and though
/// the lock ends meanwhile, nobody else gets it before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_checked_transaction_does_is_done_under_the_lock() {
    let database = Database::new().await;
    let (ours, theirs) = (database.lavoro().await, database.lavoro().await);
    let lock = ours.lock("l").lifetime(SECOND).acquire().await.unwrap();
    let mut transaction = database.pool.begin().await.unwrap();
    lock.check_in(&mut transaction).await.unwrap();
    extended_beyond(&database, &lock).await;
    theirs.force_release("l").await.unwrap();
    assert!(theirs.lock("l").try_acquire().await.unwrap().is_none());
    let next = tokio::spawn(async move { theirs.lock("l").acquire().await.unwrap() });
    wait_for("a look in vain", async || {
        let sql = "select count(*) from lavoro.lock_waiter";
        (database.one::<i64>(sql).await == 1).then_some(())
    })
    .await;
    assert!(!next.is_finished());
    transaction.commit().await.unwrap();
    assert!(next.await.unwrap().fencing_token() > lock.fencing_token());
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_alone_hands_over_as_behind_a_transaction_pooler() {
    let database = Database::new().await;
    let options = ConnectOptions { transaction_pooler: true, ..ConnectOptions::url(&database.url) };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    let order = Arc::default();
    let lock = lavoro.lock("l").acquire().await.unwrap();
    let tasks: Vec<_> = (0..5).map(|name| queue(&lavoro, name, &order)).collect();
    wait_for("five in line", async || (waiting(&database).await == 5).then_some(())).await;
    lock.release().await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(order.lock().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_closed_says_so_to_its_holders() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let lock = lavoro.lock("l").acquire().await.unwrap();
    lavoro.close().await;
    assert_eq!((lock.lost().await, lock.is_held()), (LockLoss::Closed, false));
    assert_eq!(lavoro.lock("l").acquire().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(lavoro.lock("l").try_acquire().await.unwrap_err().kind(), ErrorKind::Closed);
}

/// Names that were used go after an hour; the numbers go on.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_forgotten_and_numbers_go_on() {
    let database = Database::new().await;
    let options = ConnectOptions {
        maintenance: true,
        timing: lavoro_tests::quick(),
        ..ConnectOptions::url(&database.url)
    };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    let held = lavoro.lock("held").acquire().await.unwrap();
    let used = lavoro.lock("used").acquire().await.unwrap();
    used.release().await.unwrap();
    database
        .run("update lavoro.lock set acquired_at = now() - interval '2 hours';
              update lavoro.lock set expires_at = now() - interval '61 minutes' where name = 'used'")
        .await;
    wait_for("the name to be forgotten", async || {
        (database.one::<i64>("select count(*) from lavoro.lock").await == 1).then_some(())
    })
    .await;
    let again = lavoro.lock("used").acquire().await.unwrap();
    assert!(held.is_held() && again.fencing_token() > used.fencing_token());
}

/// From the call of `release` here until `acquire` has returned there.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_takes_milliseconds() {
    let database = Database::new().await;
    let clients = [database.lavoro().await, database.lavoro().await];
    let mut lock = clients[0].lock("l").acquire().await.unwrap();
    let mut times = Vec::new();
    for round in 1..=300 {
        let next = clients[round % 2].clone();
        let next = tokio::spawn(async move {
            let lock = next.lock("l").wait(PATIENCE).acquire().await.unwrap();
            (Instant::now(), lock)
        });
        wait_for("someone waits", async || (waiting(&database).await == 1).then_some(())).await;
        let released = Instant::now();
        lock.release().await.unwrap();
        let (acquired, taken) = next.await.unwrap();
        lock = taken;
        times.push(acquired.saturating_duration_since(released));
    }
    // Until both listen, the first few are polled for.
    let mut times = times.split_off(20);
    times.sort_unstable();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("hand-over: median {median:?}, p99 {p99:?}, longest {:?}", times[times.len() - 1]);
    // Polling alone would take 250 ms; what a quiet machine shows is in docs/adr/0010-locks.md.
    assert!(median < Duration::from_millis(200), "{times:?}");
}
