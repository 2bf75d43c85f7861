//! Many claimers at the head of one lane.

use crate::Result;
use crate::client::{CLAIM, FINISH, Statements};
use crate::cluster::{Cluster, Database};
use crate::drain::{Drain, drain, fill, median, spread};

/// How far from the order of ids jobs were claimed: the 99th percentile, in positions.
const DISORDER: &str = "
    with taken as (
        select u.job_id, row_number() over (order by l.claimed_at, u.place) as position
        from lavoro.lease l cross join unnest(l.jobs) with ordinality as u (job_id, place)
    )
    select percentile_disc(0.99) within group (order by abs(position - id_rank))::bigint
    from (select position, row_number() over (order by job_id) as id_rank from taken) t";

/// Pack sizes by sizes of claims by claimers; claims only, until the queue is empty.
pub(crate) async fn table(cluster: &Cluster) -> Result<()> {
    let sql = Statements::default();
    println!("claims  clients  pack     jobs/s  found nothing  p99 out of order");
    for (slots, count) in [(1, 4_000), (10, 30_000), (50, 100_000)] {
        for clients in [4, 16, 64] {
            for pack in [1, 16, 64] {
                let db = cluster.database().await?;
                fill(&db, "default", count, pack, 1).await?;
                db.settle().await?;
                let figures = drain(cluster, &db, &Drain::new(&sql, clients, slots, false)).await?;
                println!(
                    "{slots:6}  {clients:7}  {pack:4}  {:9.0}  {:12.1}%  {:16}",
                    figures.rate(),
                    figures.empty_share(),
                    db.number(DISORDER).await?
                );
                cluster.drop(db).await?;
            }
        }
    }
    Ok(())
}

/// 64 workers with one slot each, and 64 jobs in all: how long until the last is claimed.
pub(crate) async fn shallow(cluster: &Cluster) -> Result<()> {
    let sql = Statements::default();
    let db = cluster.database().await?;
    let kinds = [(64, true), (1, true), (64, false), (1, false)];
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..15 {
        for ((pack, warm), times) in kinds.into_iter().zip(&mut times) {
            fill(&db, "default", 64, pack, 1).await?;
            let how = Drain { limit: 1, warm, ..Drain::new(&sql, 64, 1, false) };
            let figures = drain(cluster, &db, &how).await?;
            if figures.jobs < 64.0 {
                return Err("some workers found nothing".into());
            }
            times.push((figures.seconds * 1e3, figures.claims as f64));
        }
    }
    for ((pack, warm), times) in kinds.into_iter().zip(times) {
        let (times, claims): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
        let worst = times.iter().copied().fold(0.0, f64::max);
        println!(
            "packs of {pack:2}, {} sessions: median {:3.0} ms, worst of 15 {worst:3.0} ms, {:.0} claims",
            if warm { "used " } else { "fresh" },
            median(times),
            median(claims)
        );
    }
    cluster.drop(db).await
}

/// What it would gain if the commit of a claim did not wait for the disk.
pub(crate) async fn commit(cluster: &Cluster) -> Result<()> {
    let late = CLAIM.replace(
        "having count(*) > 0",
        "having count(*) > 0 and set_config('synchronous_commit', 'off', true) is not null",
    );
    assert_ne!(late, CLAIM);
    let variants =
        [Statements::default(), Statements { claim: late.into(), finish: FINISH.into() }];
    println!(
        "claims  clients  jobs/s, claim waits for the disk  does not  ratio  (claim + finish)"
    );
    for (slots, clients, count) in
        [(1, 1, 1_500), (1, 16, 6_000), (10, 4, 20_000), (200, 2, 100_000)]
    {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            for (sql, rates) in variants.iter().zip(&mut rates) {
                let db = filled(cluster, count).await?;
                rates.push(
                    drain(cluster, &db, &Drain::new(sql, clients, slots, true)).await?.rate(),
                );
                cluster.drop(db).await?;
            }
        }
        let noise = spread(&rates[0]);
        let [waits, does_not] = rates.map(median);
        println!(
            "{slots:6}  {clients:7}  {waits:32.0}  {does_not:8.0}  {:5.2}  spread {noise:.0} %",
            does_not / waits
        );
    }
    Ok(())
}

async fn filled(cluster: &Cluster, count: i64) -> Result<Database> {
    let db = cluster.database().await?;
    fill(&db, "default", count, 64, 1).await?;
    db.settle().await?;
    Ok(db)
}
