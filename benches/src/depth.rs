//! What else waits must not matter.

use crate::client::Statements;
use crate::cluster::{Cluster, Database};
use crate::drain::{Drain, drain, fill, median, spread, tasks as names};
use crate::{Result, setting};

/// Jobs that are claimed per sample.
const SAMPLE: i64 = 5_000;

/// Claims at 10k, 1M and 10M waiting jobs, in alternation.
pub(crate) async fn waiting(cluster: &Cluster) -> Result<()> {
    let depths = [10_000, 1_000_000, setting("DEEP", 10_000_000) as i64];
    let mut databases = Vec::new();
    for depth in depths {
        databases.push(filled(cluster, depth).await?);
    }
    for slots in [10, 50, 200] {
        let rates = alternate(cluster, &databases, slots).await?;
        let base = median(rates[0].clone());
        for (depth, rates) in depths.iter().zip(&rates) {
            println!(
                "claims of {slots:3}, {depth:8} waiting: {:6.0} jobs/s, {:.2} x that of 10k (spread {:.0} %)",
                median(rates.clone()),
                median(rates.clone()) / base,
                spread(rates)
            );
        }
    }
    for db in databases {
        cluster.drop(db).await?;
    }
    Ok(())
}

/// Claims beside 1M jobs each of a task nobody here handles, of a paused queue, and due next year.
pub(crate) async fn strangers(cluster: &Cluster) -> Result<()> {
    let alone = filled(cluster, 100_000).await?;
    let crowd = cluster.database().await?;
    fill(&crowd, "paused", 1_000_000, 64, 1).await?;
    fill(&crowd, "default", 1_000_000, 64, 1).await?;
    crowd
        .execute(
            "insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
             select id, now() + interval '1 year', priority, bytes, 0, false, queue, task, jobs
             from lavoro.ready where queue = 'default';
             update lavoro.ready set task = 'other' where queue = 'default';
             insert into lavoro.queue values ('paused', now())",
        )
        .await?;
    fill(&crowd, "default", 100_000, 64, 1).await?;
    crowd.settle().await?;
    let rates = alternate(cluster, &[alone.clone(), crowd.clone()], 50).await?;
    println!(
        "claims of 50: {:.0} jobs/s alone, {:.0} beside them, ratio {:.2} (spread {:.0} %)",
        median(rates[0].clone()),
        median(rates[1].clone()),
        median(rates[1].clone()) / median(rates[0].clone()),
        spread(&rates[0])
    );
    cluster.drop(alone).await?;
    cluster.drop(crowd).await
}

async fn filled(cluster: &Cluster, depth: i64) -> Result<Database> {
    let db = cluster.database().await?;
    fill(&db, "default", depth, 64, 1).await?;
    db.settle().await?;
    Ok(db)
}

async fn alternate(cluster: &Cluster, databases: &[Database], slots: i64) -> Result<Vec<Vec<f64>>> {
    let sql = Statements::default();
    let mut rates = vec![Vec::new(); databases.len()];
    for _ in 0..setting("ROUNDS", 9) {
        for (db, rates) in databases.iter().zip(&mut rates) {
            let how = Drain { limit: SAMPLE as usize, ..Drain::new(&sql, 1, slots, false) };
            rates.push(drain(cluster, db, &how).await?.rate());
            fill(db, "default", SAMPLE, 64, 1).await?;
        }
    }
    Ok(rates)
}

/// Workers that handle several tasks.
pub(crate) async fn tasks(cluster: &Cluster) -> Result<()> {
    println!("claims  tasks handled  tasks waiting   jobs/s  CPU us (claim + finish)");
    let sql = Statements::default();
    for (slots, count) in [(10, 30_000), (200, 100_000)] {
        for (handled, waiting) in [(1, 1), (10, 10), (50, 50), (50, 1)] {
            let mut figures = Vec::new();
            for _ in 0..3 {
                let db = cluster.database().await?;
                fill(&db, "default", count, 64, waiting).await?;
                db.settle().await?;
                let how = Drain { tasks: names(handled), ..Drain::new(&sql, 2, slots, true) };
                let work = drain(cluster, &db, &how).await?;
                figures.push((work.rate(), work.cpu_us()));
                cluster.drop(db).await?;
            }
            let (rates, cpu) = figures.into_iter().unzip();
            println!(
                "{slots:6}  {handled:13}  {waiting:13}  {:7.0}  {:6.1}",
                median(rates),
                median(cpu)
            );
        }
    }
    Ok(())
}
