//! A hundred contenders for one lock, some of which are killed or frozen while they hold it.

use lavoro_tests::{Contenders, Database, WorkerProcess, contend, contenders_pool, wait_for};
use nix::sys::signal::Signal;

const PROCESSES: usize = 5;

fn start(database: &Database) -> WorkerProcess {
    let spec = Contenders { url: database.url.clone(), tasks: 10 };
    WorkerProcess::start_with(env!("CARGO_BIN_EXE_lavoro-test-locker"), &spec)
}

/// Stops a process that holds the lock, and answers which it is.
async fn freeze_holder(database: &Database, processes: &[WorkerProcess]) -> usize {
    let sql = "select coalesce(max(pid), 0) from lavoro.locks";
    wait_for("a process holds the lock while it is stopped", async || {
        let pid = database.one::<i32>(sql).await.cast_unsigned();
        let place = processes.iter().position(|process| process.pid() == pid)?;
        processes[place].signal(Signal::SIGSTOP);
        // It may have released it just before, and what it has sent is still done.
        for _ in 0..3 {
            if database.one::<i32>(sql).await.cast_unsigned() != pid {
                processes[place].signal(Signal::SIGCONT);
                return None;
            }
        }
        Some(place)
    })
    .await
}

async fn next_holder(database: &Database) {
    let sql = "select last_value from lavoro.lock_fence";
    let before = database.one::<i64>(sql).await;
    wait_for("another holder", async || (database.one::<i64>(sql).await > before).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_writers_are_accepted_whatever_happens_to_holders() {
    let database = Database::new().await;
    database.contest().await;
    let lavoro = database.lavoro().await;
    let pool = contenders_pool(&database.url).await;
    let task = |n| tokio::spawn(contend(lavoro.clone(), pool.clone(), format!("task {n}")));
    let tasks: Vec<_> = (0..50).map(task).collect();
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| start(&database)).collect();
    let all = "select count(distinct who) from turns";
    wait_for("all to have had a turn", async || {
        let over = database.one::<i64>(all).await >= 100 || !database.unfenced().await.is_empty();
        over.then_some(())
    })
    .await;
    assert_eq!(database.unfenced().await, Vec::<&str>::new(), "before any fault");
    for _ in 0..4 {
        // Frozen beyond the lifetime, and thawed while another holds the lock.
        let frozen = freeze_holder(&database, &processes).await;
        next_holder(&database).await;
        processes[frozen].signal(Signal::SIGCONT);
        let killed = freeze_holder(&database, &processes).await;
        processes[killed].kill();
        next_holder(&database).await;
        processes[killed] = start(&database);
    }
    // With all of this behind them, everyone gets another turn.
    database.run("truncate turns").await;
    wait_for("all to have another turn", async || {
        (database.one::<i64>(all).await >= 100).then_some(())
    })
    .await;
    let often = "select max(n) - min(n) from (select count(*) as n from turns where who like 'task %' group by who) t";
    let spread = database.one::<i64>(often).await;
    for task in tasks {
        task.abort();
    }
    drop(processes);
    let (grants, refused): (i64, i64) = (
        database.one("select last_value from lavoro.lock_fence").await,
        database.one("select count(*) from refused").await,
    );
    println!("{grants} grants, {refused} writes refused, turns differ by {spread}");
    assert!(spread <= 3, "one had {spread} turns more than another");
    assert_eq!(database.unfenced().await, Vec::<&str>::new());
}

/// Breaks a function of the schema: replaces a part of its text.
async fn sabotage(database: &Database, function: &str, part: &str, by: &str) {
    let sql = lavoro_migrations::MIGRATIONS.iter().find(|step| step.name == "locks").unwrap().sql;
    let (_, rest) = sql.split_once(&format!("create function lavoro.{function}(")).unwrap();
    let (body, _) = rest.split_once("\n$$;").unwrap();
    assert!(body.contains(part), "there is nothing to break in {function}");
    let broken = body.replace(part, by);
    database.run(&format!("create or replace function lavoro.{function}({broken}\n$$")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_ignores_its_holder_is_noticed() {
    let database = Database::new().await;
    database.contest().await;
    sabotage(&database, "lock_take", "holder is null or until <= clock_timestamp()", "true").await;
    let lavoro = database.lavoro().await;
    let first = lavoro.lock("l").acquire().await.unwrap();
    let second = lavoro.lock("l").acquire().await.unwrap();
    assert!(second.fencing_token() > first.fencing_token());
    assert_eq!(database.unfenced().await, ["two holders at one time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_ignored_is_noticed() {
    let database = Database::new().await;
    database.contest().await;
    let ends = " and l.expires_at > clock_timestamp()";
    sabotage(&database, "lock_extend", ends, "").await;
    let token: String = database.one("select token::text from lavoro.lock_acquire('l')").await;
    database.run("update lavoro.lock set expires_at = now() - interval '1 s'").await;
    database.run(&format!("select lavoro.lock_extend('l', '{token}')")).await;
    assert_eq!(database.unfenced().await, ["a lock was extended that had ended"]);
}

/// Without the check of the token, a stale release frees another's lock.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_releases() {
    for broken in [false, true] {
        let database = Database::new().await;
        if broken {
            sabotage(&database, "lock_release", " and l.token = lock_release.token", "").await;
        }
        let lavoro = database.lavoro().await;
        let stale = lavoro.lock("l").acquire().await.unwrap();
        lavoro.force_release("l").await.unwrap();
        let held = lavoro.lock("l").acquire().await.unwrap();
        stale.release().await.unwrap();
        let stands = lavoro.locks().await.unwrap().iter().any(|l| l.fence == held.fencing_token());
        assert_eq!(stands, !broken);
    }
}
