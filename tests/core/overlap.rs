//! Runs of a schedule with `overlap` `skip` are never two at once, at whichever step of firing,
//! claiming, running and completing a process is killed.

use lavoro_core::{NewJob, Schedule};
use lavoro_tests::{Database, Spec, WorkerProcess, wait_for};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeMap;
use std::path::Path;

const PROCESSES: usize = 2;
const SCHEDULES: i64 = 3;

/// Where a process is killed: a trigger makes its session wait there. `deferred`: when the transaction
/// commits, which the server then does without it.
const STEPS: &[(&str, &str)] = &[
    ("firing", "after update on lavoro.schedule_state"),
    ("firing, the slot", "after insert on lavoro.slot"),
    ("firing, the job", "after insert on lavoro.job"),
    ("firing, the pack", "after insert on lavoro.ready"),
    ("firing, the commit", "deferred update on lavoro.schedule_state"),
    ("claiming, the pack", "after delete on lavoro.ready"),
    ("claiming, the lease", "after insert on lavoro.lease"),
    ("claiming, the commit", "deferred insert on lavoro.lease"),
    ("completing, the outcome", "after insert on lavoro.outcome"),
    ("completing, the lease", "after delete on lavoro.lease"),
    ("completing, the commit", "deferred insert on lavoro.outcome"),
];

/// Jobs that were made before the run of the slot before had ended.
const OVERLAPS: &str = "
    select count(*) from (
        select j.created_at, lag(coalesce(o.finished_at, 'infinity')) over w as before
        from lavoro.slot s
        join lavoro.job j on j.id = s.job_id
        left join lavoro.outcome o on o.job_id = j.id
        window w as (partition by s.schedule_id order by s.slot)
    ) q where before > created_at";

/// Makes sessions of workers wait at each step while someone holds its lock.
async fn gates(database: &Database) {
    database
        .run(
            "create function gate() returns trigger language plpgsql as $$
             begin
                 if current_setting('application_name') = 'lavoro' then
                     perform pg_advisory_xact_lock_shared(7, tg_argv[0]::integer);
                 end if;
                 return null;
             end $$",
        )
        .await;
    for (n, (_, place)) in STEPS.iter().enumerate() {
        let trigger = match place.strip_prefix("deferred ") {
            Some(event) => format!(
                "create constraint trigger gate_{n} after {event} deferrable initially deferred
                 for each row execute function gate({n})"
            ),
            None => {
                format!("create trigger gate_{n} {place} for each row execute function gate({n})")
            }
        };
        database.run(&trigger).await;
    }
}

/// How many runs of one schedule were at work at the same time, at most, as the workers tell. Those of
/// a process end when it is killed. A run that another worker has begun again counts once: what a
/// lease cannot do is told in docs/schedules.md.
fn most_at_once(log: &Path, schedules: &BTreeMap<String, String>) -> usize {
    let mut at_work: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let mut most = 0;
    for words in Spec::events(log) {
        let (event, job, process) = (words[0].as_str(), &words[1], &words[3]);
        let Some(schedule) = schedules.get(job) else {
            for runs in at_work.values_mut() {
                runs.retain(|_, by| by != process);
            }
            continue;
        };
        let runs = at_work.entry(schedule.as_str()).or_default();
        if event == "start" {
            runs.insert(job.clone(), process.clone());
            most = most.max(runs.len());
        } else if event == "done" && runs.get(job) == Some(process) {
            runs.remove(job);
        }
    }
    most
}

struct Fleet {
    spec: Spec,
    workers: Vec<WorkerProcess>,
}

impl Fleet {
    fn start(url: String, log: &Path) -> Self {
        let (log, name) = (log.to_owned(), "worker".to_owned());
        let spec = Spec { url, log, concurrency: 10, quick: true, name };
        let workers = (0..PROCESSES).map(|_| worker(&spec)).collect();
        Self { spec, workers }
    }

    /// Kills one, says so in the log, and starts another.
    fn replace(&mut self, place: usize) {
        use std::io::Write as _;
        let pid = self.workers[place].pid();
        self.workers[place].kill();
        let mut log = std::fs::OpenOptions::new().append(true).open(&self.spec.log).unwrap();
        log.write_all(format!("killed 0 0 {pid} \n").as_bytes()).unwrap();
        self.workers[place] = worker(&self.spec);
    }
}

fn worker(spec: &Spec) -> WorkerProcess {
    WorkerProcess::start(env!("CARGO_BIN_EXE_lavoro-test-worker"), spec)
}

async fn outcomes(database: &Database) -> i64 {
    database.one("select count(*) from lavoro.outcome").await
}

/// All schedules go on after what was done.
async fn goes_on(database: &Database) {
    let before = outcomes(database).await;
    wait_for("runs to end", async || {
        (outcomes(database).await >= before + SCHEDULES).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_no_step_does_a_kill_make_runs_overlap() {
    let database = Database::new().await;
    gates(&database).await;
    let lavoro = database.lavoro().await;
    for n in 0..SCHEDULES {
        let schedule = Schedule::new(format!("{n}"), NewJob::new("sleep", json!({"ms": 1500})));
        lavoro.declare(schedule.every("second")).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut fleet = Fleet::start(database.url.clone(), &log);
    goes_on(&database).await;
    let mut door = PgConnection::connect(&database.direct).await.unwrap();
    for (n, (step, _)) in STEPS.iter().enumerate() {
        let lock = format!("select pg_advisory_lock(7, {n})");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut door).await.unwrap();
        // Either process may be the one that waits, or both: each is killed in turn.
        for place in 0..PROCESSES {
            wait_for(&format!("a session that is {step}"), async || {
                let waits = "select count(*) from pg_locks
                             where locktype = 'advisory' and classid = 7 and not granted
                               and database = (select oid from pg_database where datname = current_database())";
                (database.one::<i64>(waits).await > 0).then_some(())
            })
            .await;
            fleet.replace(place);
        }
        sqlx::raw_sql("select pg_advisory_unlock_all()").execute(&mut door).await.unwrap();
        goes_on(&database).await;
    }
    // And in the middle of runs.
    for place in 0..PROCESSES {
        let starts = || Spec::events(&log).iter().filter(|words| words[0] == "start").count();
        let before = starts();
        wait_for("a run to begin", async || (starts() > before).then_some(())).await;
        fleet.replace(place);
        goes_on(&database).await;
    }
    drop(fleet);
    let rows = sqlx::query_as("select id::text, metadata #>> '{schedule,name}' from lavoro.job");
    let schedules: Vec<(String, String)> = rows.fetch_all(&database.pool).await.unwrap();
    let most = most_at_once(&log, &schedules.into_iter().collect());
    let overlaps: i64 = database.one(OVERLAPS).await;
    println!(
        "{} runs, killed at {} steps: at most {most} at once, {overlaps} overlaps",
        outcomes(&database).await,
        STEPS.len()
    );
    assert_eq!((most, overlaps), (1, 0));
    database.assert_sound().await;
}
