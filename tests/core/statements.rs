//! The statements that run all the time never scan a whole table, whatever the tables hold, and
//! jobs that a worker cannot run do not slow its claims.

use lavoro_tests::Database;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use std::fs;
use std::path::Path;

/// The settings of a client's sessions (`store/connect.rs`).
const SESSION: &str = "set enable_seqscan = off; set jit = off; \
                       set plan_cache_mode = force_generic_plan";

/// The hot statements, with parameters that stand for a worker's.
const HOT: &[(&str, &str)] = &[
    (
        "claim",
        "(1::bigint, gen_random_uuid(), 'default'::text, 100::bigint, '{t}'::text[],
          16777216::bigint, false, 4::bigint)",
    ),
    (
        "finish",
        "('{1,2}'::bigint[], array[gen_random_uuid(), gen_random_uuid()], '{1,2}'::integer[],
          '{1,1}'::smallint[], '{null,null}'::text[], '{null,null}'::text[],
          '{null,null}'::text[], array[gen_random_uuid()], array[gen_random_uuid()],
          '{}'::bigint[])",
    ),
    (
        "enqueue_lone",
        "(gen_random_uuid(), 1::bigint, '{}'::text, 2, 'default'::text, 't'::text, 0,
          null::bigint, null::timestamptz, 20::smallint, null::integer, null::text, null::text,
          null::text, null::bigint, null::timestamptz, null::text)",
    ),
    ("promote", "(100::bigint, null::timestamptz)"),
    (
        "prune",
        "(604800000::bigint, 604800000::bigint, 2592000000::bigint, 4096::bigint, 60000::bigint,
          0::bigint, null::timestamptz)",
    ),
    ("kept_note", "(60000::bigint)"),
    ("sweep", "(2592000000::bigint)"),
    ("peek", "('{default}'::text[], '{t}'::text[], false)"),
    ("job_ended", "('{1,2}'::bigint[])"),
    ("next_due", ""),
    ("schedule_next", ""),
    ("schedule_due", "(1000::bigint, null::timestamptz)"),
    ("schedule_read", "('{1,2}'::bigint[], null::timestamptz)"),
    (
        "schedule_advance",
        "('{1}'::bigint[], array[now()], array[now()], array[now()], array[now()], '{1}'::bigint[],
          array[now()], '{skipped}'::text[], '{x}'::text[], array[now()], '{1}'::bigint[],
          '{x}'::text[])",
    ),
    ("slot_list", "(1::bigint, 10::bigint)"),
    ("slot_prune", "(1000::bigint, 604800000::bigint)"),
    (
        "progress_write",
        "('{1,2}'::bigint[], array[gen_random_uuid(), gen_random_uuid()], array[now(), now()],
          '{1,1}'::bigint[], '{1,2}'::real[], '{null,null}'::text[], '{null,null}'::text[])",
    ),
    (
        "log_write",
        "('{1,2}'::bigint[], array[gen_random_uuid(), gen_random_uuid()], array[now(), now()],
          '{1,1}'::smallint[], '{1,2}'::bigint[], '{1,2}'::bigint[], '{a,b}'::text[])",
    ),
    (
        "checkpoint_save",
        "('{1,2}'::bigint[], array[gen_random_uuid(), gen_random_uuid()], '{1,2}'::text[],
          array[gen_random_uuid()])",
    ),
    (
        "lock_extend",
        "('{a,b}'::text[], array[gen_random_uuid(), gen_random_uuid()], '{1000,1000}'::bigint[])",
    ),
    ("lock_sweep", ""),
    ("log_list", "(1::bigint, 0::bigint, 100::bigint)"),
    (
        "tally_write",
        "('{1}'::bigint[], '{1}'::bigint[], '{q}'::text[], '{t}'::text[], '{1}'::bigint[],
          '{1}'::bigint[], '{1}'::bigint[], '{1}'::bigint[], '{1}'::bigint[], '{1}'::bigint[],
          array['{1}'], array['{1}'], '{1}'::bigint[])",
    ),
    ("tally_read", "(300000::bigint)"),
    ("search_all", "(1000::bigint, 2048::bigint)"),
    ("search_outcome", "(1000::bigint, 2048::bigint, '{1}'::smallint[])"),
    ("search_unsuccessful", "(1000::bigint, 2048::bigint, 3::smallint)"),
    ("search_ready", "(1000::bigint, 1::bigint, null::text, null::text)"),
    ("search_scheduled", "(1000::bigint, 1::bigint, null::text, null::text, true, true)"),
    (
        "search_match",
        "('{1,2}'::bigint[], 't'::text, null::text, null::text, null::timestamptz,
          null::timestamptz, 'x'::text, 50::bigint)",
    ),
    ("bulk_lock", "('{1,2}'::bigint[])"),
    (
        "queue_move_ready",
        "('default'::text, 'b'::text, 't'::text, false, 0, 0::bigint, 1000000::bigint, 16::bigint)",
    ),
    (
        "queue_move_scheduled",
        "('default'::text, 'b'::text, 0::bigint, 1000000::bigint, 16::bigint)",
    ),
    (
        "queue_clear_ready",
        "('default'::text, 't'::text, false, 0, 0::bigint, 1000000::bigint, 16::bigint)",
    ),
    ("queue_clear_scheduled", "('default'::text, 0::bigint, 1000000::bigint, 16::bigint)"),
];

const TABLES: &[&str] = &[
    "job",
    "ready",
    "scheduled",
    "outcome",
    "lease",
    "error",
    "progress",
    "checkpoint",
    "log",
    "tally",
    "past_outcome",
    "expiry",
    "cancel_request",
    "lock",
    "schedule",
    "schedule_state",
    "slot",
];

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lavoro-core/src/store/sql")
}

fn statement(name: &str) -> String {
    fs::read_to_string(directory().join(format!("{name}.sql"))).unwrap()
}

/// `count` jobs of a lane in packs of 64, `later` of them due next year.
async fn load(database: &Database, count: u32, queue: &str, task: &str, scheduled: bool) {
    let (table, column, due) = if scheduled {
        ("scheduled", "run_at, ", "now() + interval '1 year', ")
    } else {
        ("ready", "", "")
    };
    database
        .run(&format!(
            "with new as (
                 select nextval('lavoro.job_id_seq') as id from generate_series(1, {count})
             ), job as (
                 insert into lavoro.job (id, priority, max_attempts, queue, task, payload)
                 select id, 0, 20, '{queue}', '{task}', '{{}}' from new
             )
             insert into lavoro.{table} (id, {column}priority, bytes, attempt, suspect, queue, task, jobs)
             select min(id), {due}0, 2 * count(*)::integer, 0, false, '{queue}', '{task}',
                    array_agg(id order by id)
             from new group by id >> 6"
        ))
        .await;
}

async fn session(database: &Database, settings: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&database.direct).await.unwrap();
    raw(&mut connection, settings).await;
    for (name, _) in HOT {
        raw(&mut connection, &format!("prepare {name} as {}", statement(name))).await;
    }
    connection
}

async fn raw(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn explain(connection: &mut PgConnection, options: &str, call: &str) -> String {
    let sql = format!("explain ({options}) execute {call}");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
}

fn scanned(plan: &str) -> Vec<&str> {
    TABLES
        .iter()
        .copied()
        .filter(|table| {
            plan.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                line.contains("Seq Scan on") && words.contains(table)
            })
        })
        .collect()
}

async fn assert_no_scans(database: &Database, settings: &str, hot: &[&str]) {
    let mut connection = session(database, settings).await;
    for (name, parameters) in HOT.iter().filter(|(name, _)| hot.contains(name)) {
        let plan = explain(&mut connection, "costs off", &format!("{name} {parameters}")).await;
        assert_eq!(scanned(&plan), Vec::<&str>::new(), "{name} under {settings}:\n{plan}");
    }
}

#[test]
fn the_guard_sees_a_scan() {
    assert_eq!(scanned("  ->  Seq Scan on ready r"), ["ready"]);
    assert_eq!(scanned("  ->  Index Scan using job_pkey on job"), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_prepares() {
    let database = Database::new().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut count = 0;
    for file in fs::read_dir(directory()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let sql = fs::read_to_string(&path).unwrap();
        assert!(sql.starts_with("-- "), "{name} says what it does");
        let prepare = format!("prepare {name} as {sql}");
        let answer = sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
        count += 1;
    }
    assert!(count >= 30, "{count} statements");
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_statements_never_scan_a_table() {
    let database = Database::new().await;
    let all: Vec<&str> = HOT.iter().map(|(name, _)| *name).collect();
    // A plan made while the tables were empty must not be a scan: it is kept for later.
    assert_no_scans(&database, SESSION, &all).await;
    load(&database, 100_000, "default", "t", false).await;
    load(&database, 50_000, "default", "other", false).await;
    load(&database, 50_000, "default", "t", true).await;
    // Without statistics, and with them.
    assert_no_scans(&database, SESSION, &all).await;
    database.run("analyze").await;
    assert_no_scans(&database, SESSION, &all).await;
    // The big tables are not scanned even where nothing forbids it.
    let free = "set enable_seqscan = on; set jit = off; set plan_cache_mode = force_generic_plan";
    assert_no_scans(&database, free, &["claim", "promote", "next_due"]).await;
    database.assert_sound().await;
}

/// How many pages a claim of 100 jobs looks at. It is rolled back.
async fn pages_of_a_claim(database: &Database) -> u64 {
    let mut connection = session(database, SESSION).await;
    let (name, parameters) = HOT[0];
    let mut least = u64::MAX;
    // The first run of a session also reads catalogs.
    for _ in 0..3 {
        raw(&mut connection, "begin").await;
        let options = "analyze, buffers, timing off, costs off";
        let plan = explain(&mut connection, options, &format!("{name} {parameters}")).await;
        raw(&mut connection, "rollback").await;
        assert!(plan.contains("Insert on lease"), "{plan}");
        let buffers = plan.lines().find(|line| line.contains("Buffers:")).unwrap();
        let shared = buffers.split("shared ").nth(1).unwrap().split(',').next().unwrap();
        let pages = shared
            .split_whitespace()
            .filter(|word| word.starts_with("hit=") || word.starts_with("read="))
            .map(|word| word.split_once('=').unwrap().1.parse::<u64>().unwrap())
            .sum();
        least = least.min(pages);
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_jobs_that_it_cannot_run_do_not_slow_a_claim() {
    let database = Database::new().await;
    load(&database, 2_000, "default", "t", false).await;
    database.run("analyze").await;
    let alone = pages_of_a_claim(&database).await;
    assert!(alone > 10, "a claim looked at {alone} pages");
    database.run("insert into lavoro.queue values ('paused', now())").await;
    load(&database, 400_000, "default", "other", false).await;
    load(&database, 300_000, "paused", "t", false).await;
    load(&database, 300_000, "default", "t", true).await;
    // Before and after statistics know of them.
    for analyze in ["select 1", "analyze"] {
        database.run(analyze).await;
        let beside = pages_of_a_claim(&database).await;
        assert!(beside <= 2 * alone, "{beside} pages beside a million jobs, {alone} without");
    }
}
