//! What many schedules cost: those that are due in the same second, and those that are idle.

use crate::Result;
use crate::cluster::{Cluster, Database};
use lavoro_core::{ConnectOptions, Lavoro};
use std::time::Duration;

/// Makes schedules of a slot each day, the next one $NEXT from the beginning of this second.
const MANY: &str = "
    with made as (
        insert into lavoro.schedule (name, every_ms, offset_ms, queue, task, payload)
        select 's' || n, 86400000,
               (extract(epoch from date_trunc('second', now()) + interval '$NEXT') * 1000)::bigint % 86400000,
               'q', 't', '{}'
        from generate_series(1, $MANY) n
        returning id
    )
    insert into lavoro.schedule_state (schedule_id, decided, next_at)
    select id, now(), date_trunc('second', now()) + interval '$NEXT' from made";

async fn many(db: &Database, count: usize, next: &str) -> Result<()> {
    db.execute(&MANY.replace("$MANY", &count.to_string()).replace("$NEXT", next)).await?;
    db.execute("analyze").await
}

async fn firer(db: &Database) -> Result<Lavoro> {
    let options = ConnectOptions { maintenance: true, ..ConnectOptions::url(db.url()) };
    Ok(Lavoro::connect_with(options).await?)
}

/// Milliseconds from a slot until all of the schedules that have it are decided and enqueued.
pub(crate) async fn due(cluster: &Cluster) -> Result<()> {
    let count = crate::setting("SCHEDULES", 10_000);
    for firers in [1, 2] {
        let db = cluster.database().await?;
        many(&db, count, "8 seconds").await?;
        let mut clients = Vec::new();
        for _ in 0..firers {
            clients.push(firer(&db).await?);
        }
        let count = i64::try_from(count)?;
        db.reach("select count(*) from lavoro.job", count, Duration::from_millis(50)).await?;
        let took = "select (extract(epoch from max(decided_at) - min(slot)) * 1000)::bigint from lavoro.slot";
        let took = db.number(took).await?;
        println!(
            "{count} slots of one second, {firers} firer(s): all within {took} ms (bar 1000 ms)"
        );
        for client in clients {
            client.close().await;
        }
        cluster.drop(db).await?;
    }
    Ok(())
}

/// Milliseconds of the server's CPU per second with one firer, without and with idle schedules.
pub(crate) async fn idle(cluster: &Cluster) -> Result<()> {
    let (count, length) = (crate::setting("SCHEDULES", 10_000), Duration::from_secs(20));
    for schedules in [0, count] {
        let db = cluster.database().await?;
        many(&db, schedules, "20 hours").await?;
        let client = firer(&db).await?;
        // Past the first looks of everything that a client does.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = cluster.cpu();
        tokio::time::sleep(length).await;
        let spent = (cluster.cpu() - before) * 1e3 / length.as_secs_f64();
        println!("{schedules} idle schedules, 1 firer: {spent:.2} ms of CPU a second");
        client.close().await;
        cluster.drop(db).await?;
    }
    Ok(())
}
