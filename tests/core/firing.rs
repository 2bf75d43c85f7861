//! Many processes fire the same schedules, and some are killed: each slot is decided once.

use chrono::{DateTime, TimeDelta, Utc};
use lavoro_core::{ConnectOptions, JobState, Lavoro, NewJob, OnLost, Overlap, Schedule};
use lavoro_tests::{Database, Spec, WorkerProcess, quick, statement, wait_for};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};

/// How long schedules fire while processes are killed.
const STORM: Duration = Duration::from_secs(25);

/// A client that does maintenance, and so fires.
async fn firer(database: &Database) -> Lavoro {
    let options =
        ConnectOptions { maintenance: true, timing: quick(), ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

fn process(database: &Database, log: &std::path::Path, name: &str) -> WorkerProcess {
    let spec = Spec {
        url: database.url.clone(),
        log: log.to_owned(),
        concurrency: 10,
        quick: true,
        name: name.to_owned(),
    };
    WorkerProcess::start(env!("CARGO_BIN_EXE_lavoro-test-worker"), &spec)
}

/// Kills one of these processes after the other with SIGKILL, and starts it anew, for a while, and
/// then on, ever less often, until `runs` jobs have ended: a machine that has much else to do
/// takes longer to start a process than it is left alive.
async fn storm(database: &Database, log: &std::path::Path, processes: u32, runs: i64) -> u32 {
    let mut workers: Vec<_> =
        (0..processes).map(|n| process(database, log, &format!("worker {n}"))).collect();
    let start = Instant::now();
    let mut pause = Duration::from_millis(700);
    let mut kills = 0;
    loop {
        tokio::time::sleep(pause).await;
        let victim = kills as usize % workers.len();
        workers[victim].kill();
        workers[victim] = process(database, log, &format!("worker {victim}"));
        kills += 1;
        if start.elapsed() > STORM {
            let ended: i64 = database.one("select count(*) from lavoro.outcome").await;
            if ended >= runs {
                return kills;
            }
            assert!(start.elapsed() < 8 * STORM, "{ended} jobs have ended after {kills} kills");
            pause = pause.mul_f64(1.3);
        }
    }
}

/// Slots without a decision between a schedule's first and last: seconds that no row stands for.
const UNDECIDED: &str = "
    select count(*) from (
        select s.slot - lag(coalesce(s.until, s.slot)) over (partition by s.schedule_id order by s.slot)
               as step
        from lavoro.slot s
    ) q where step <> interval '1 second'";

/// Jobs of one slot beyond the first, and slots that fired without their job, or the reverse.
const DUPLICATES: &str = "
    select (select count(*) - count(distinct (j.metadata #>> '{schedule,name}', j.metadata #>> '{schedule,slot}'))
            from lavoro.job j)
         + (select count(*) from lavoro.slot s
            full join lavoro.job j on j.id = s.job_id
            where (s.decision = 'fired' and j.id is null) or (j.id is not null and s.job_id is null))";

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_decided_once_while_schedulers_are_killed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for n in 0..20 {
        let schedule = Schedule::new(format!("schedule {n}"), NewJob::new("noop", ()))
            .every("second")
            .overlap(Overlap::Allow);
        lavoro.declare(schedule).await.unwrap();
    }
    let mut firers = Vec::new();
    for _ in 0..8 {
        firers.push(firer(&database).await);
    }
    let directory = tempfile::tempdir().unwrap();
    let kills = storm(&database, &directory.path().join("log"), 4, 100).await;
    for firer in firers {
        firer.close().await;
    }
    let undecided: i64 = database.one(UNDECIDED).await;
    let duplicates: i64 = database.one(DUPLICATES).await;
    let slots: i64 = database.one("select count(*) from lavoro.slot").await;
    println!("{slots} slots, {kills} kills: {duplicates} duplicates, {undecided} undecided");
    assert_eq!((duplicates, undecided), (0, 0));
    assert!(slots > 20 * 15 && kills > 10, "{slots} slots, {kills} kills");
    database.assert_sound().await;
    // The checks see what they are for.
    database
        .run(
            "delete from lavoro.slot where ctid = (select ctid from lavoro.slot s
        where s.slot = (select min(slot) + interval '5 seconds' from lavoro.slot) limit 1)",
        )
        .await;
    assert_eq!(database.one::<i64>(UNDECIDED).await, 1);
    assert_eq!(database.one::<i64>(DUPLICATES).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_never_overlap_while_workers_are_killed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for (n, overlap) in [Overlap::Skip, Overlap::Queue, Overlap::Skip].into_iter().enumerate() {
        let schedule = Schedule::new(format!("{n}"), NewJob::new("sleep", json!({"ms": 1200})))
            .every("second")
            .overlap(overlap);
        lavoro.declare(schedule).await.unwrap();
    }
    let firer = firer(&database).await;
    let directory = tempfile::tempdir().unwrap();
    storm(&database, &directory.path().join("log"), 3, 8).await;
    firer.close().await;
    // A job was made before the one of the slot before it had ended.
    let overlaps: i64 = database
        .one(
            "select count(*) from (
                 select j.created_at,
                        lag(coalesce(o.finished_at, 'infinity')) over w as before
                 from lavoro.slot s
                 join lavoro.job j on j.id = s.job_id
                 left join lavoro.outcome o on o.job_id = j.id
                 window w as (partition by s.schedule_id order by s.slot)
             ) q where before > created_at",
        )
        .await;
    let runs: i64 = database.one("select count(*) from lavoro.outcome").await;
    let undecided: i64 = database.one(UNDECIDED).await;
    println!("{runs} runs, {overlaps} overlaps");
    assert_eq!((overlaps, undecided), (0, 0));
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_run_that_is_held_waits_for_a_person() {
    let database = Database::new().await;
    let lavoro = firer(&database).await;
    let schedule = Schedule::new("s", NewJob::new("sleep", json!({"ms": 600_000})))
        .every("second")
        .on_lost(OnLost::Hold);
    lavoro.declare(schedule).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut worker = process(&database, &log, "worker");
    wait_for("a run", async || {
        Spec::events(&log).iter().any(|words| words[0] == "start").then_some(())
    })
    .await;
    let job = lavoro.schedule("s").await.unwrap().last_job.unwrap();
    worker.kill();
    wait_for("the hold", async || lavoro.schedule("s").await.unwrap().held.then_some(())).await;
    let info = lavoro.job(job).info().await.unwrap();
    assert_eq!((info.state, info.attempt), (JobState::Discarded, 1));
    assert_eq!(info.errors.last().unwrap().kind, "lost");
    wait_for("a slot that is skipped", async || {
        let slots = lavoro.slots("s", 1).await.unwrap();
        (slots[0].reason.as_deref() == Some("a lost run is held")).then_some(())
    })
    .await;
    assert_eq!(lavoro.schedule("s").await.unwrap().last_job, Some(job), "nothing fires");
    lavoro.resume_schedule("s").await.unwrap();
    wait_for("another run", async || {
        let schedule = lavoro.schedule("s").await.unwrap();
        (!schedule.held && schedule.last_job > Some(job)).then_some(())
    })
    .await;
    lavoro.close().await;
    database.assert_sound().await;
}

/// The lock on a schedule's state is not all there is: were the state set back, by a restore or by a
/// fault, what has been decided would stand.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_comes_up_again_is_not_fired_again() {
    let database = Database::new().await;
    let lavoro = firer(&database).await;
    let schedule = Schedule::new("s", NewJob::new("t", ())).every("second");
    lavoro.declare(schedule.overlap(Overlap::Allow)).await.unwrap();
    for slots in [3, 6, 9] {
        wait_for("slots", async || {
            (database.one::<i64>("select count(*) from lavoro.slot").await >= slots).then_some(())
        })
        .await;
        database
            .run(
                "update lavoro.schedule_state
                 set decided = decided - interval '2 seconds', next_at = '-infinity'",
            )
            .await;
    }
    wait_for("it to go on", async || {
        (database.one::<i64>("select count(*) from lavoro.slot").await >= 12).then_some(())
    })
    .await;
    lavoro.close().await;
    assert_eq!(database.one::<i64>(DUPLICATES).await, 0);
    database.assert_sound().await;
}

/// Its session ends before the slots that it holds up count as missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_freezes_in_the_act_holds_nothing_up_for_long() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let schedule = Schedule::new("s", NewJob::new("t", ())).every("second");
    lavoro.declare(schedule.overlap(Overlap::Allow)).await.unwrap();
    let mut frozen = PgConnection::connect(&database.direct).await.unwrap();
    wait_for("the schedule to be due", async || {
        sqlx::raw_sql("begin").execute(&mut frozen).await.unwrap();
        let due = sqlx::query(statement("schedule_due")).bind(1000_i64);
        let due = due.bind(None::<DateTime<Utc>>).fetch_all(&mut frozen).await.unwrap();
        if due.is_empty() {
            sqlx::raw_sql("rollback").execute(&mut frozen).await.unwrap();
        }
        (!due.is_empty()).then_some(())
    })
    .await;
    let firer = firer(&database).await;
    wait_for("ten slots", async || {
        (database.one::<i64>("select count(*) from lavoro.slot").await >= 10).then_some(())
    })
    .await;
    firer.close().await;
    let missed = "select count(*) from lavoro.slot where decision <> 'fired'";
    assert_eq!(database.one::<i64>(missed).await, 0);
    assert_eq!(database.one::<i64>(UNDECIDED).await, 0);
    assert!(sqlx::raw_sql("select 1").execute(&mut frozen).await.is_err(), "it was shown out");
}

/// Schedules with a slot each day, the next one at `slot`, or never to be looked at.
async fn many(database: &Database, slot: Option<DateTime<Utc>>) {
    let offset = slot.map_or(0, |slot| slot.timestamp_millis() % 86_400_000);
    let next = slot.map_or("now() + interval '1 year'".to_owned(), |slot| format!("'{slot}'"));
    database
        .run(&format!(
            "with made as (
                 insert into lavoro.schedule (name, every_ms, offset_ms, queue, task, payload)
                 select 's' || n, 86400000, {offset}, 'q', 't', '{{}}' from generate_series(1, 10000) n
                 returning id
             )
             insert into lavoro.schedule_state (schedule_id, decided, next_at)
             select id, now(), {next} from made"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slots_in_one_second_are_enqueued_at_once() {
    let database = Database::new().await;
    let now: DateTime<Utc> = database.one("select date_trunc('second', clock_timestamp())").await;
    let slot = now + TimeDelta::seconds(6);
    many(&database, Some(slot)).await;
    database.run("analyze").await;
    let firers = [firer(&database).await, firer(&database).await];
    wait_for("ten thousand jobs", async || {
        let jobs: i64 = database.one("select count(*) from lavoro.job").await;
        (jobs == 10_000).then_some(())
    })
    .await;
    let took: f64 = database
        .one("select extract(epoch from max(decided_at) - min(slot))::float8 from lavoro.slot")
        .await;
    let slots: i64 =
        database.one("select count(distinct (schedule_id, slot)) from lavoro.slot").await;
    println!("10000 slots were decided within {took:.2} s of their second");
    assert_eq!(slots, 10_000);
    assert!(took < 20.0, "{took} s");
    for firer in firers {
        firer.close().await;
    }
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_schedules_cost_a_look_at_an_index() {
    let database = Database::new().await;
    many(&database, None).await;
    database.run("analyze").await;
    let directory =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../lavoro-core/src/store/sql");
    let sql = std::fs::read_to_string(directory.join("schedule_next.sql")).unwrap();
    let mut session = database.pool.acquire().await.unwrap();
    let mut pages = u64::MAX;
    for _ in 0..3 {
        let explain = format!("explain (analyze, buffers, timing off, costs off) {sql}");
        let rows =
            sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *session).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        let buffers = plan.iter().find(|line| line.contains("Buffers:")).unwrap();
        let read = buffers
            .split_whitespace()
            .filter_map(|word| {
                word.split_once('=').filter(|(name, _)| ["hit", "read"].contains(name))
            })
            .map(|(_, number)| number.parse::<u64>().unwrap())
            .sum();
        pages = pages.min(read);
    }
    println!("a look at 10000 idle schedules reads {pages} pages");
    assert!(pages <= 6, "{pages} pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_decided_soon_after_they_come() {
    let database = Database::new().await;
    let options = ConnectOptions { maintenance: true, ..ConnectOptions::url(&database.url) };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    for n in 0..10 {
        let schedule = Schedule::new(format!("{n}"), NewJob::new("t", ()));
        let schedule = schedule.every("second").overlap(Overlap::Allow);
        lavoro.declare(schedule).await.unwrap();
    }
    wait_for("a hundred slots", async || {
        let slots: i64 = database.one("select count(*) from lavoro.slot").await;
        (slots >= 100).then_some(())
    })
    .await;
    // The first one comes while the schedule is new.
    let late: f64 = database
        .one(
            "select percentile_cont(0.99) within group (order by extract(epoch from decided_at - slot))
             from lavoro.slot s
             where slot > (select min(f.slot) from lavoro.slot f where f.schedule_id = s.schedule_id)",
        )
        .await;
    println!("slots are decided {:.0} ms late (p99)", late * 1000.0);
    assert!(late < 2.0, "{late} s");
    lavoro.close().await;
}
