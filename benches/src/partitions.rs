//! The same rows in tables that are partitioned by id, against those that are not: what
//! partitions save when jobs are pruned, and cost before.

use crate::cluster::{Cluster, Database};
use crate::drain::median;
use crate::{Result, setting};
use sqlx::{AssertSqlSafe, Executor as _};
use std::fmt::Write as _;
use std::time::Instant;

/// Ids of one partition.
const PART: i64 = 1 << 18;
const PARTS: i64 = 16;
/// Ids of one statement, as of a worker's.
const BATCH: i64 = 200;
const BATCHES: i64 = 2_000;

const INSERT: &str = "prepare t (bigint, bigint) as
    insert into lavoro.job (id, priority, max_attempts, queue, task, payload)
    select i, 0, 20, 'default', 'task0', jsonb_build_object('id', i) from generate_series($1, $2) i";
const CLAIM: &str = "prepare t (bigint, bigint) as
    select j.id, j.max_attempts, j.priority, j.timeout_ms, j.created_at, j.task, j.tags, j.payload::text
    from generate_series($1, $2) i
    cross join lateral (
        select id, max_attempts, priority, timeout_ms, created_at, task, tags, payload
        from lavoro.job where id = i limit 1
    ) j";
const FINISH: &str = "prepare t (bigint, bigint) as
    insert into lavoro.outcome (job_id, worker_id, started_at, finished_at, attempt, state)
    select i, 1, now(), clock_timestamp(), 1, 1 from generate_series($1, $2) i
    where (select true from lavoro.outcome o where o.job_id = i limit 1) is null";
/// What prune.sql does, without what hangs on jobs.
const DELETE: &str = "prepare t (bigint, bigint) as
    with free as materialized (
        select o.at, j.id
        from (select ctid as at, job_id from lavoro.outcome
              where job_id between $1 and $2 order by job_id limit 4096) o
        cross join lateral (select id from lavoro.job j where j.id = o.job_id for update skip locked) j
    ), gone as (
        delete from lavoro.outcome where ctid = any (array(select at from free)) returning job_id
    )
    delete from lavoro.job where id = any (array(select job_id from gone))";

/// Insert, claim, finish and prune, plain and partitioned in alternation.
pub(crate) async fn compare(cluster: &Cluster) -> Result<()> {
    println!("server CPU us per job, {BATCH} a statement; {PARTS} partitions of {PART} ids");
    println!("tables       insert  claim join  finish  prune  prune jobs/s");
    let mut all = [const { Vec::new() }; 2];
    for _ in 0..setting("ROUNDS", 3) {
        for (partitioned, all) in [false, true].into_iter().zip(&mut all) {
            let db = cluster.database().await?;
            if partitioned {
                db.execute(&partitions()).await?;
            }
            all.push(one(cluster, &db, partitioned).await?);
            cluster.drop(db).await?;
        }
    }
    for (name, all) in ["plain", "partitioned"].into_iter().zip(all) {
        let column = |n: usize| median(all.iter().map(|row| row[n]).collect());
        println!(
            "{name:11}  {:6.2}  {:10.2}  {:6.2}  {:5.2}  {:12.0}",
            column(0),
            column(1),
            column(2),
            column(3),
            column(4)
        );
    }
    Ok(())
}

async fn one(cluster: &Cluster, db: &Database, partitioned: bool) -> Result<[f64; 5]> {
    let insert = run(cluster, db, INSERT, BATCH, 0).await?;
    db.execute("analyze").await?;
    let claim = run(cluster, db, CLAIM, BATCH, 0).await?;
    let finish = run(cluster, db, FINISH, BATCH, 0).await?;
    let jobs = BATCH * BATCHES;
    let (cpu, start) = (cluster.cpu(), Instant::now());
    let mut connection = db.connect().await?;
    if partitioned {
        for part in 0..jobs / PART {
            for table in ["job", "outcome"] {
                let sql = format!(
                    "alter table lavoro.{table} detach partition lavoro.{table}_{part};
                     drop table lavoro.{table}_{part}"
                );
                connection.execute(AssertSqlSafe(sql)).await?;
            }
        }
        let dropped = (jobs / PART * PART) as f64;
        let seconds = start.elapsed().as_secs_f64();
        let prune = (cluster.cpu() - cpu) * 1e6 / dropped;
        return Ok([insert, claim, finish, prune, dropped / seconds]);
    }
    connection.execute(DELETE).await?;
    for first in (0..jobs).step_by(4096) {
        let sql = format!("execute t({first}, {})", (first + 4095).min(jobs - 1));
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    connection.execute("vacuum lavoro.job, lavoro.outcome").await?;
    let seconds = start.elapsed().as_secs_f64();
    let prune = (cluster.cpu() - cpu) * 1e6 / jobs as f64;
    if db.number("select count(*) from lavoro.job").await? != 0 {
        return Err("some were not deleted".into());
    }
    Ok([insert, claim, finish, prune, jobs as f64 / seconds])
}

/// Runs a statement over all ids. Answers the CPU per job.
async fn run(cluster: &Cluster, db: &Database, sql: &str, batch: i64, from: i64) -> Result<f64> {
    let mut connection = db.connect().await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    let cpu = cluster.cpu();
    for n in 0..BATCHES {
        let first = from + n * batch;
        let sql = format!("execute t({first}, {})", first + batch - 1);
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    let cpu = cluster.cpu() - cpu;
    drop(connection);
    Ok(cpu * 1e6 / (batch * BATCHES) as f64)
}

/// Replaces job and outcome by partitioned tables of the same columns and indexes.
fn partitions() -> String {
    let mut sql = "drop view lavoro.jobs;
        alter table lavoro.job rename to plain_job;
        alter table lavoro.outcome rename to plain_outcome;
        create table lavoro.job (like lavoro.plain_job including defaults, primary key (id))
            partition by range (id);
        create table lavoro.outcome (like lavoro.plain_outcome including defaults, primary key (job_id))
            partition by range (job_id);
        create index on lavoro.outcome (state, job_id) where state <> 1;"
        .to_owned();
    for part in 0..PARTS {
        for table in ["job", "outcome"] {
            let _ = write!(
                sql,
                "create table lavoro.{table}_{part} partition of lavoro.{table}
                 for values from ({}) to ({});",
                part * PART,
                (part + 1) * PART
            );
        }
    }
    sql
}
