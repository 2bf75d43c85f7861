//! Retention: does the disk reach a plateau, what does pruning cost, and would partitions be
//! better? The figures of docs/adr/0006-retention.md.

use crate::client::{Client, Statements};
use crate::cluster::{Cluster, Database};
use crate::drain::fill;
use crate::{Result, setting};
use lavoro_core::{ConnectOptions, Lavoro, Retention, Timing};
use sqlx::{AssertSqlSafe, Row as _};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Jobs of one statement that enqueues or ends them.
const CHUNK: i64 = 10_000;
/// Jobs that are kept, or deleted at once: whole blocks of 4096.
const MILLION: i64 = 245 * 4096;

const DEAD: &str = "select sum(n_dead_tup)::bigint from pg_stat_user_tables";
/// How many dead rows autovacuum may leave in small tables.
const DEAD_LIMIT: i64 = 25_000;

const TABLES: [&str; 8] = [
    "job",
    "job_pkey",
    "outcome",
    "outcome_pkey",
    "outcome_unsuccessful",
    "error",
    "error_pkey",
    "kept",
];

/// Everything about retention.
pub(crate) async fn all(cluster: &Cluster) -> Result<()> {
    steady(cluster).await?;
    pruning(cluster).await?;
    idle(cluster).await?;
    vacuums(cluster).await?;
    crate::partitions::compare(cluster).await
}

async fn maintainer(db: &Database, prune: Duration) -> Result<Lavoro> {
    let timing = Timing { prune, ..Timing::default() };
    let options = ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(db.url()) };
    Ok(Lavoro::connect_with(options).await?)
}

fn keep(completed: Duration) -> Retention {
    Retention { completed: Some(completed), discarded: Some(completed), ..Retention::default() }
}

/// All jobs pass through, enqueued and ended as the engine does, while about a million are kept.
async fn steady(cluster: &Cluster) -> Result<()> {
    let jobs = setting("JOBS", 10_000_000) as i64;
    let rate = setting("RATE", 20_000) as i64;
    let kept = setting("KEPT", 1_000_000) as i64;
    let db = cluster.database().await?;
    let lavoro = maintainer(&db, Duration::from_secs(5)).await?;
    let span = Duration::from_secs_f64(kept as f64 / rate as f64);
    lavoro.set_retention(keep(span)).await?;
    println!("{jobs} jobs at {rate}/s, each kept {span:.0?}; 1 in 100 is discarded");
    println!("     jobs  seconds     kept  dead rows   MB: all  {}", TABLES.join("  "));
    let mut connection = db.connect().await?;
    let (start, cpu) = (Instant::now(), cluster.cpu());
    let mut most = 0;
    for passed in (CHUNK..=jobs).step_by(CHUNK as usize) {
        for statement in PASS {
            let sql = statement.replace("{CHUNK}", &CHUNK.to_string());
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        if passed % (jobs / 10) == 0 {
            most = most.max(sizes(&db, passed, start).await?);
        }
        let due = Duration::from_secs_f64(passed as f64 / rate as f64);
        tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cluster.cpu() - cpu);
    println!(
        "{:.0} jobs/s; {:.1} us of server CPU per job for everything; at most {most} MB",
        jobs as f64 / seconds,
        cpu * 1e6 / jobs as f64
    );
    tokio::time::sleep(span + Duration::from_secs(8)).await;
    let left = db.number("select count(*) from lavoro.outcome").await?;
    println!("left after all were old: {left}");
    lavoro.close().await;
    let start = Instant::now();
    let mut dead = DEAD_LIMIT;
    while dead >= DEAD_LIMIT && start.elapsed() < Duration::from_secs(150) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        dead = db.number(DEAD).await?;
    }
    println!("dead rows after autovacuum came by ({:.0?} later): {dead}", start.elapsed());
    durations(cluster, "steady")?;
    cluster.drop(db).await
}

/// A chunk's life: enqueue, claim, finish. The same rows as the engine's, by sets.
const PASS: [&str; 3] = [
    "with new as (
         select nextval('lavoro.job_id_seq') as id from generate_series(1, {CHUNK})
     ), job as (
         insert into lavoro.job (id, priority, max_attempts, queue, task, payload)
         select id, 0, 20, 'default', 'task0', jsonb_build_object('id', id) from new
     )
     insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
     select min(id), 0, 14 * count(*)::integer, 0, false, 'default', 'task0', array_agg(id order by id)
     from new group by id >> 6",
    "with pack as (delete from lavoro.ready returning jobs)
     insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
     select gen_random_uuid(), 1, clock_timestamp(), jobs, array_fill(1, array[cardinality(jobs)])
     from pack",
    "with held as (
         delete from lavoro.lease returning token, worker_id, claimed_at, jobs
     ), done as (
         insert into lavoro.outcome (job_id, worker_id, started_at, finished_at, attempt, state)
         select u, h.worker_id, h.claimed_at, clock_timestamp(), 1,
                case when u % 100 = 0 then 3 else 1 end
         from held h, unnest(h.jobs) as u
     )
     insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
     select u, h.token, clock_timestamp(), 1, true, 'failed', 'no such customer'
     from held h, unnest(h.jobs) as u where u % 100 = 0",
];

/// Prints the sizes, and answers the whole in MB.
async fn sizes(db: &Database, passed: i64, start: Instant) -> Result<i64> {
    let kept = db.number("select count(*) from lavoro.outcome").await?;
    let dead = db.number(DEAD).await?;
    let all = "select sum(pg_total_relation_size(c.oid))::bigint >> 20 from pg_class c
               where c.relkind = 'r' and c.relnamespace = 'lavoro'::regnamespace";
    let all = db.number(all).await?;
    let mut line =
        format!("{passed:9}  {:7.0}  {kept:7}  {dead:9}  {all:8}", start.elapsed().as_secs_f64());
    for table in TABLES {
        let size = format!("select pg_relation_size('lavoro.{table}') >> 20");
        let size = db.number(&size).await?;
        let _ = write!(line, "  {size:0$}", table.len());
    }
    println!("{line}");
    Ok(all)
}

/// A million jobs become old at once: alone, and beside a worker.
async fn pruning(cluster: &Cluster) -> Result<()> {
    for (name, by_task, beside) in [
        ("alone", false, false),
        ("alone, rules by task", true, false),
        ("beside a worker", false, true),
    ] {
        let db = cluster.database().await?;
        old(&db, MILLION).await?;
        if by_task {
            db.execute("insert into lavoro.retention values ('other', '1 day')").await?;
        }
        fill(&db, "default", 300_000, 64, 1).await?;
        db.settle().await?;
        if beside {
            let before = work(&db, Duration::from_secs(15)).await?;
            report("15 s without pruning", before);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let worker = beside.then(|| {
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            tokio::spawn(async move { cycles(&db, &stop).await })
        });
        let (start, cpu, wal) = (Instant::now(), cluster.cpu(), db.wal().await?);
        let lavoro = maintainer(&db, Duration::from_secs(1)).await?;
        let last = 4096 + MILLION;
        emptied(&db, last).await?;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cluster.cpu() - cpu);
        let wal = (db.wal().await? - wal) as f64 / MILLION as f64;
        stop.store(true, Ordering::Relaxed);
        println!(
            "{MILLION} pruned {name}: {:.0} jobs/s, {:.1} us of server CPU, {wal:.0} B of WAL each",
            MILLION as f64 / seconds,
            cpu * 1e6 / MILLION as f64
        );
        if let Some(worker) = worker {
            report("while pruning", worker.await??);
        }
        let gone = format!("select count(*) from lavoro.job where id < {last}");
        if db.number(&gone).await? != 0 {
            return Err("some were not pruned".into());
        }
        lavoro.close().await;
        if beside {
            let after = work(&db, Duration::from_secs(15)).await?;
            report("15 s after pruning", after);
        }
        durations(cluster, name)?;
        cluster.drop(db).await?;
    }
    Ok(())
}

/// Waits until the blocks before the id `last` have been found, and emptied.
async fn emptied(db: &Database, last: i64) -> Result<()> {
    let left =
        format!("select count(*) from lavoro.kept where block between 0 and ({last} - 1) >> 12");
    let mut seen = false;
    loop {
        let left = db.number(&left).await?;
        seen |= left > 0;
        if seen && left == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `count` jobs that ended 31 days ago, from the id 4096.
pub(crate) async fn old(db: &Database, count: i64) -> Result<()> {
    let last = 4096 + count - 1;
    db.execute(&format!(
        "insert into lavoro.job (id, created_at, priority, max_attempts, queue, task, payload)
         select i, now() - interval '31 days', 0, 20, 'default', 'task0', jsonb_build_object('id', i)
         from generate_series(4096, {last}) i;
         insert into lavoro.outcome (job_id, worker_id, started_at, finished_at, attempt, state)
         select i, 1, now() - interval '31 days', now() - interval '31 days', 1,
                case when i % 100 = 0 then 3 else 1 end
         from generate_series(4096, {last}) i;
         insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
         select i, gen_random_uuid(), now(), 1, true, 'failed', 'no such customer'
         from generate_series(4100, {last}, 100) i;
         select setval('lavoro.job_id_seq', {last})"
    ))
    .await
}

async fn work(db: &Database, time: Duration) -> Result<Vec<f64>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (own, stopped) = (db.clone(), Arc::clone(&stop));
    let worker = tokio::spawn(async move { cycles(&own, &stopped).await });
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    worker.await?
}

/// Claims and finishes 10 jobs at a time until it is stopped. Answers how many ms each took.
async fn cycles(db: &Database, stop: &AtomicBool) -> Result<Vec<f64>> {
    let mut client = Client::connect(db, &Statements::default(), &crate::drain::tasks(1)).await?;
    client.warm().await?;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let Some(batch) = client.claim(10).await? else { break };
        if client.finish(&batch).await? != batch.ids.len() {
            return Err("an outcome was refused".into());
        }
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

fn report(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "claim and finish of 10 {what}: {} cycles, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// What a round costs while a million jobs are kept and nothing is to be done.
async fn idle(cluster: &Cluster) -> Result<()> {
    let db = cluster.database().await?;
    old(&db, MILLION).await?;
    db.settle().await?;
    let mut connection = db.connect().await?;
    db.execute("insert into lavoro.retention values ('', '60 days', '60 days', '60 days')").await?;
    let mut rounds = async |count: u32| -> Result<(f64, f64, u32)> {
        let (start, cpu, mut steps) = (Instant::now(), cluster.cpu(), 0);
        for _ in 0..count {
            let note = include_str!("../../lavoro-core/src/store/sql/kept_note.sql");
            let print: i64 =
                sqlx::query(note).bind(0_i64).fetch_one(&mut connection).await?.get("print");
            loop {
                let day = 86_400_000_i64;
                let step = sqlx::query(include_str!("../../lavoro-core/src/store/sql/prune.sql"))
                    .bind(7 * day)
                    .bind(7 * day)
                    .bind(30 * day)
                    .bind(4096_i64)
                    .bind(60_000_i64)
                    .bind(print)
                    .bind(None::<sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>>);
                if step.fetch_all(&mut connection).await?.is_empty() {
                    break;
                }
                steps += 1;
            }
        }
        let each = f64::from(count);
        Ok((start.elapsed().as_secs_f64() * 1e3 / each, (cluster.cpu() - cpu) * 1e3 / each, steps))
    };
    let (ms, cpu, steps) = rounds(1).await?;
    println!(
        "first look at {MILLION} kept jobs: {steps} blocks, {ms:.0} ms, {cpu:.0} ms of server CPU"
    );
    let (ms, cpu, steps) = rounds(500).await?;
    println!("a round with nothing to do: {steps} blocks, {ms:.2} ms, {cpu:.2} ms of server CPU");
    drop(connection);
    cluster.drop(db).await
}

/// What a vacuum costs for each dead row when it comes after so many in a hundred.
async fn vacuums(cluster: &Cluster) -> Result<()> {
    for percent in [2, 5, 10, 20] {
        let db = cluster.database().await?;
        old(&db, 3 * MILLION).await?;
        db.settle().await?;
        let dead = 3 * MILLION * percent / 100;
        let last = 4096 + dead;
        db.execute(&format!(
            "delete from lavoro.outcome where job_id < {last}; delete from lavoro.job where id < {last}"
        ))
        .await?;
        let mut connection = db.connect().await?;
        let (start, cpu) = (Instant::now(), cluster.cpu());
        sqlx::raw_sql("vacuum lavoro.job, lavoro.outcome").execute(&mut connection).await?;
        println!(
            "vacuum of {} jobs with {percent} % dead: {:.1} s, {:.2} us of server CPU per dead job",
            3 * MILLION,
            start.elapsed().as_secs_f64(),
            (cluster.cpu() - cpu) * 1e6 / dead as f64
        );
        drop(connection);
        cluster.drop(db).await?;
    }
    Ok(())
}

/// How long the statements of pruning took, from the server's log.
fn durations(cluster: &Cluster, what: &str) -> Result<()> {
    let mut took = cluster.durations("-- Deletes up to $4 jobs")?;
    took.sort_by(f64::total_cmp);
    if let (Some(most), middle) = (took.last(), took.len() / 2) {
        println!(
            "{} prune statements ({what}): median {:.1} ms, longest {most:.0} ms",
            took.len(),
            took[middle]
        );
    }
    Ok(())
}
