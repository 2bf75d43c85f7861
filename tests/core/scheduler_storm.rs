//! Fifty schedulers in ten processes fire schedules of some seconds each, while processes are killed
//! and stopped and the server's clock jumps: an account of every slot.
//!
//! `make storm SECONDS=600` goes on for longer.

use chrono::{DateTime, Utc};
use lavoro_core::{Missed, NewJob, Overlap, Schedule};
use lavoro_tests::{ClockedServer, Database, Schedulers, WorkerProcess, patience};
use nix::sys::signal::Signal;
use sqlx::Row as _;
use std::time::{Duration, Instant};

/// How long faults strike, unless `LAVORO_STORM_SECONDS` says otherwise.
const STORM: Duration = Duration::from_secs(25);
const PROCESSES: usize = 10;
const SCHEDULERS: usize = 5;
const SCHEDULES: u32 = 20;

/// What ought to have been decided: every slot from the declaration up to where each schedule has
/// come, reckoned here from its interval alone.
const EXPECTED: &str = "
    create temporary table expected as
    select b.schedule_id, c.name, b.every_s, to_timestamp(n) as slot
    from began b
    join lavoro.schedule c on c.id = b.schedule_id
    join lavoro.schedule_state t on t.schedule_id = b.schedule_id,
         generate_series((floor(extract(epoch from b.decided) / b.every_s)::bigint + 1) * b.every_s,
                         floor(extract(epoch from t.decided))::bigint, b.every_s) n;
    create temporary table decision as
    select s.schedule_id, e.slot, s.decision, s.job_id
    from lavoro.slot s
    join expected e on e.schedule_id = s.schedule_id and e.slot between s.slot and coalesce(s.until, s.slot);
    create temporary table run as
    select j.id, j.metadata #>> '{schedule,name}' as name,
           (j.metadata #>> '{schedule,slot}')::timestamptz as slot
    from lavoro.job j";

/// What an account must not show, and how to count it.
const WRONG: &[(&str, &str)] = &[
    (
        "undecided slots",
        "select count(*) from expected e
         where not exists (select from decision d where d.schedule_id = e.schedule_id and d.slot = e.slot)",
    ),
    (
        "slots with two decisions",
        "select count(*) - count(distinct (schedule_id, slot)) from decision",
    ),
    (
        "decisions on what is no slot",
        "select count(*) from lavoro.slot s
         where not exists (select from expected e where e.schedule_id = s.schedule_id and e.slot = s.slot)",
    ),
    ("slots with two jobs", "select count(*) - count(distinct (name, slot)) from run"),
    (
        "slots that fired without their job",
        "select count(*) from decision d join expected e using (schedule_id, slot)
         where d.decision = 'fired'
           and not exists (select from run r where r.id = d.job_id and r.name = e.name and r.slot = d.slot)",
    ),
    (
        "jobs of slots that did not fire",
        "select count(*) from run r
         where not exists (select from decision d where d.job_id = r.id and d.decision = 'fired')",
    ),
];

/// What was done to the schedulers.
#[derive(Debug, Default)]
struct Faults {
    kills: usize,
    pauses: usize,
    jumps: usize,
}

struct Storm {
    url: String,
    processes: Vec<WorkerProcess>,
    /// Which are stopped, and until when.
    stopped: Vec<(usize, Instant)>,
    faults: Faults,
    /// A little generator: the faults of each run are the same, their moments are not.
    random: u64,
    clock: i64,
    farthest: i64,
}

impl Storm {
    fn start(url: String) -> Self {
        let processes = (0..PROCESSES).map(|_| start(&url)).collect();
        let (stopped, faults) = (Vec::new(), Faults::default());
        Self { url, processes, stopped, faults, random: 1, clock: 0, farthest: 0 }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % below
    }

    /// One fault: a kill, a pause of up to 8 seconds, or a jump.
    fn strike(&mut self, server: Option<&ClockedServer>) {
        self.thaw(Instant::now());
        let victim = usize::try_from(self.draw(PROCESSES as u64)).unwrap();
        match (self.draw(8), server) {
            (0..=1, Some(server)) => {
                // On the whole it goes on, or schedules would be silent for most of the time.
                let back = self.draw(3) == 0;
                let seconds = self.draw(40).cast_signed() + 1;
                self.clock += if back { -seconds / 2 } else { seconds };
                self.farthest = self.farthest.max(self.clock);
                server.set(self.clock);
                self.faults.jumps += 1;
            }
            (0..=4, _) => {
                if self.stopped.iter().all(|(other, _)| *other != victim) {
                    self.processes[victim].signal(Signal::SIGSTOP);
                    let pause = Duration::from_millis(300 + self.draw(8_000));
                    self.stopped.push((victim, Instant::now() + pause));
                    self.faults.pauses += 1;
                }
            }
            _ => {
                self.processes[victim].kill();
                self.processes[victim] = start(&self.url);
                self.stopped.retain(|(other, _)| *other != victim);
                self.faults.kills += 1;
            }
        }
    }

    /// Lets those go on whose pause is over.
    fn thaw(&mut self, now: Instant) {
        let processes = &self.processes;
        self.stopped.retain(|(place, until)| {
            if *until <= now {
                processes[*place].signal(Signal::SIGCONT);
            }
            *until > now
        });
    }

    /// No more faults. The clock stands where it has been at its farthest: up to there slots may
    /// have been decided.
    fn calm(&mut self, server: Option<&ClockedServer>) {
        self.thaw(Instant::now() + Duration::from_hours(1));
        if let Some(server) = server {
            server.set(self.farthest);
        }
    }
}

fn start(url: &str) -> WorkerProcess {
    let spec = Schedulers { url: url.to_owned(), schedulers: SCHEDULERS };
    WorkerProcess::start_with(env!("CARGO_BIN_EXE_lavoro-test-scheduler"), &spec)
}

/// Every policy, by intervals and by cron, of one to three seconds.
async fn declare(database: &Database) {
    let lavoro = database.lavoro().await;
    for n in 0..SCHEDULES {
        let every = n % 3 + 1;
        let schedule = Schedule::new(format!("schedule {n}"), NewJob::new("noop", ()));
        let schedule = match n % 2 {
            0 => schedule.every(format!("{every}s")),
            // 1, 2 and 3 divide a minute, so that both are the same.
            _ => schedule.cron(format!("*/{every} * * * * *")),
        };
        let schedule = match n % 5 {
            0 => schedule.overlap(Overlap::Skip),
            1 => schedule.overlap(Overlap::Queue),
            2 => schedule.overlap(Overlap::Allow),
            3 => schedule.overlap(Overlap::Allow).missed(Missed::all()),
            _ => schedule.overlap(Overlap::Skip).missed(Missed::Skip),
        };
        lavoro.add_schedule(schedule).await.unwrap();
    }
    lavoro.close().await;
    database
        .run(
            "create table began as
             select c.id as schedule_id, t.decided, substring(c.name from '[0-9]+')::bigint % 3 + 1 as every_s
             from lavoro.schedule c join lavoro.schedule_state t on t.schedule_id = c.id",
        )
        .await;
}

/// Waits until every schedule has come to this instant of the server's clock.
async fn caught_up(database: &Database, until: DateTime<Utc>) {
    let deadline = Instant::now() + 3 * patience();
    loop {
        let least = "select min(decided) from lavoro.schedule_state";
        let least: DateTime<Utc> = database.one(least).await;
        if least >= until {
            return;
        }
        assert!(Instant::now() < deadline, "slots are undecided since {least}: {until} has passed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_schedulers_decide_once_on_each_slot_whatever_happens() {
    let server = tokio::task::spawn_blocking(ClockedServer::start).await.unwrap();
    let database = match &server {
        Some(server) => Database::of(server.url()).await,
        None => Database::new().await,
    };
    let length = std::env::var("LAVORO_STORM_SECONDS").ok();
    let length = length.map_or(STORM, |seconds| Duration::from_secs(seconds.parse().unwrap()));
    declare(&database).await;
    let mut storm = Storm::start(database.url.clone());
    let begin = Instant::now();
    while begin.elapsed() < length || storm.faults.kills < 10 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        storm.strike(server.as_ref());
    }
    storm.calm(server.as_ref());
    // Sessions notice the last jump within a second.
    let end: DateTime<Utc> = database
        .one("select greatest(clock_timestamp(), max(decided)) + interval '3 seconds' from lavoro.schedule_state")
        .await;
    caught_up(&database, end).await;
    let Storm { processes, faults, .. } = storm;
    drop(processes);
    account(&database, &faults).await;
}

/// Holds what was decided against what ought to have been.
async fn account(database: &Database, faults: &Faults) {
    let mut session = database.pool.acquire().await.unwrap();
    sqlx::raw_sql(EXPECTED).execute(&mut *session).await.unwrap();
    let mut found = Vec::new();
    for (what, sql) in WRONG {
        let count: i64 = sqlx::query_scalar(*sql).fetch_one(&mut *session).await.unwrap();
        found.push((*what, count));
    }
    let by = "select decision, count(*) as n from decision group by decision order by decision";
    let by = sqlx::query(by).fetch_all(&mut *session).await.unwrap();
    let by: Vec<(String, i64)> = by.iter().map(|row| (row.get(0), row.get(1))).collect();
    drop(session);
    let slots: i64 = by.iter().map(|(_, n)| n).sum();
    println!("{} schedulers, {faults:?}: {slots} slots {by:?}, {found:?}", PROCESSES * SCHEDULERS);
    let wrong: Vec<_> = found.iter().filter(|(_, count)| *count > 0).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let fired = by.iter().find(|(decision, _)| decision == "fired").map_or(0, |(_, n)| *n);
    assert!(fired > i64::from(10 * SCHEDULES), "only {fired} slots fired");
    database.assert_sound().await;
}
