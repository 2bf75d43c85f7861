//! The whole life of jobs, and its parts.

use crate::client::{CLAIM, FINISH, Statements};
use crate::cluster::{Cluster, Database};
use crate::drain::{Drain, Figures, drain, enqueue, fill, finish, median, spread};
use crate::{Result, setting};
use sqlx::Executor as _;

const DEAD: &str = "select sum(n_dead_tup)::bigint from pg_stat_user_tables";
/// Rows that died, vacuumed since or not.
const DIED: &str = "select sum(n_tup_del + n_tup_upd)::bigint from pg_stat_user_tables";

/// Enqueue, claim, finish by 2 clients; packs of 64 and of 1.
pub(crate) async fn whole(cluster: &Cluster) -> Result<()> {
    let sql = Statements::default();
    let jobs = setting("JOBS", 200_000);
    println!(
        "batch  pack  enqueue/s  work/s  whole/s  CPU us: enqueue  work  WAL B: enqueue  work  whole  rows died per 200k"
    );
    for _ in 0..setting("ROUNDS", 3).min(3) {
        for batch in [200, 500] {
            for pack in [64, 1] {
                let db = cluster.database().await?;
                db.execute("checkpoint").await?;
                let died = db.number(DIED).await?;
                let new = enqueue(cluster, &db, 2, jobs, batch, pack).await?;
                let work = drain(cluster, &db, &Drain::new(&sql, 2, batch as i64, true)).await?;
                // Statistics reach the collector with a delay.
                tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
                let died = (db.number(DIED).await? - died) as f64 * 200_000.0 / jobs as f64;
                println!(
                    "{batch:5}  {pack:4}  {:9.0}  {:6.0}  {:7.0}  {:15.1}  {:4.1}  {:14.0}  {:4.0}  {:5.0}  {died:18.0}",
                    new.rate(),
                    work.rate(),
                    new.jobs / (new.seconds + work.seconds),
                    new.cpu_us(),
                    work.cpu_us(),
                    new.wal_bytes(),
                    work.wal_bytes(),
                    new.wal_bytes() + work.wal_bytes(),
                );
                cluster.drop(db).await?;
            }
        }
    }
    Ok(())
}

/// Claims alone, then finishes alone; with the statements of `CLAIM_SQL` and `FINISH_SQL` beside.
pub(crate) async fn split(cluster: &Cluster) -> Result<()> {
    let text = |name: &str, own: &str| -> Result<(String, bool)> {
        match std::env::var_os(name) {
            Some(path) => Ok((std::fs::read_to_string(path)?, true)),
            None => Ok((own.to_owned(), false)),
        }
    };
    let (claim, finish_sql) = (text("CLAIM_SQL", CLAIM)?, text("FINISH_SQL", FINISH)?);
    let mut variants = vec![("ours", Statements::default())];
    if claim.1 || finish_sql.1 {
        variants.push(("other", Statements { claim: claim.0.into(), finish: finish_sql.0.into() }));
    }
    let jobs = setting("JOBS", 200_000);
    println!(
        "statements  batch  CPU us: claim  finish  sum   WAL B: claim  finish   jobs/s: claim  finish"
    );
    for batch in [10, 50, 200, 500] {
        let mut all = vec![Vec::new(); variants.len()];
        for _ in 0..setting("ROUNDS", 5) {
            for ((_, sql), all) in variants.iter().zip(&mut all) {
                all.push(parts(cluster, sql, jobs.min(4_000 * batch as usize), batch).await?);
            }
        }
        for ((name, _), all) in variants.iter().zip(all) {
            let of =
                |pick: fn(&(Figures, Figures)) -> f64| all.iter().map(pick).collect::<Vec<_>>();
            let (claim, finish) = (of(|f| f.0.cpu_us()), of(|f| f.1.cpu_us()));
            println!(
                "{name:10}  {batch:5}  {:13.1}  {:6.1}  {:4.1}  {:12.0}  {:6.0}  {:14.0}  {:6.0}   spread {:.0} % {:.0} %",
                median(claim.clone()),
                median(finish.clone()),
                median(claim.clone()) + median(finish.clone()),
                median(of(|f| f.0.wal_bytes())),
                median(of(|f| f.1.wal_bytes())),
                median(of(|f| f.0.rate())),
                median(of(|f| f.1.rate())),
                spread(&claim),
                spread(&finish),
            );
        }
    }
    Ok(())
}

async fn parts(
    cluster: &Cluster,
    sql: &Statements,
    jobs: usize,
    batch: i64,
) -> Result<(Figures, Figures)> {
    let db = cluster.database().await?;
    fill(&db, "default", jobs as i64, 64, 1).await?;
    db.settle().await?;
    let mut claimed = drain(cluster, &db, &Drain::new(sql, 2, batch, false)).await?;
    let batches = std::mem::take(&mut claimed.batches);
    let finished = finish(cluster, &db, sql, 2, batches).await?;
    cluster.drop(db).await?;
    Ok((claimed, finished))
}

/// The drain with and without an old snapshot.
pub(crate) async fn pinned(cluster: &Cluster) -> Result<()> {
    let sql = Statements::default();
    println!(
        "jobs     claims  pack  jobs/s without  with  ratio   CPU us without  with  dead rows left"
    );
    for (jobs, slots, pack) in
        [(1_000_000, 200, 64), (200_000, 200, 64), (200_000, 200, 1), (1_000_000, 10, 64)]
    {
        let mut figures = [Vec::new(), Vec::new()];
        let mut dead = 0;
        for _ in 0..(if slots == 10 { 1 } else { setting("ROUNDS", 3) }) {
            for (pin, figures) in [false, true].into_iter().zip(&mut figures) {
                let db = cluster.database().await?;
                let work = drain_pinned(cluster, &db, &sql, (jobs, slots, pack), pin).await?;
                figures.push((work.rate(), work.cpu_us()));
                tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
                dead = db.number(DEAD).await?;
                cluster.drop(db).await?;
            }
        }
        let [(free, free_cpu), (pinned, pinned_cpu)] = figures.map(|f| {
            let (rate, cpu): (Vec<f64>, Vec<f64>) = f.into_iter().unzip();
            (median(rate), median(cpu))
        });
        println!(
            "{jobs:7}  {slots:6}  {pack:4}  {free:14.0}  {pinned:4.0}  {:5.2}  {free_cpu:15.1}  {pinned_cpu:4.1}  {dead}",
            pinned / free
        );
    }
    Ok(())
}

/// As `pinned`, with claims that mostly start where the last one did: what a floor would gain.
pub(crate) async fn floor(cluster: &Cluster) -> Result<()> {
    let head = "r.suspect = false\n         order by";
    let claim = CLAIM.replace(head, &head.replace('\n', " and r.priority = 0 and r.id >= $9\n"));
    if claim == CLAIM {
        return Err("claim.sql has changed: find the new place for a floor".into());
    }
    let floored = Statements { claim: claim.into(), finish: FINISH.into() };
    let jobs = setting("JOBS", 1_000_000) as i64;
    println!("{jobs} jobs, claims of 200: jobs/s, CPU us");
    for pin in [false, true] {
        for (name, sql) in [("from the start", &Statements::default()), ("with a floor", &floored)]
        {
            let db = cluster.database().await?;
            let work = drain_pinned(cluster, &db, sql, (jobs, 200, 64), pin).await?;
            println!("pinned {pin:5}, {name:14}: {:6.0}  {:5.1}", work.rate(), work.cpu_us());
            cluster.drop(db).await?;
        }
    }
    Ok(())
}

async fn drain_pinned(
    cluster: &Cluster,
    db: &Database,
    sql: &Statements,
    (jobs, slots, pack): (i64, i64, i64),
    pin: bool,
) -> Result<Figures> {
    fill(db, "default", jobs, pack, 1).await?;
    db.settle().await?;
    let mut old = db.connect().await?;
    if pin {
        old.execute("begin isolation level repeatable read").await?;
        old.execute("select txid_current()").await?;
    }
    drain(cluster, db, &Drain::new(sql, 2, slots, true)).await
}
