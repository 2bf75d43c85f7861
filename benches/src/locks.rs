//! How soon the first in line has a lock that is released.

use crate::Result;
use crate::cluster::Cluster;
use lavoro_core::{ConnectOptions, Lavoro};
use std::time::{Duration, Instant};

/// Milliseconds from the call of `release` to the return of `acquire`, between two clients.
pub(crate) async fn hand_over(cluster: &Cluster) -> Result<()> {
    let db = cluster.database().await?;
    let options = || ConnectOptions::url(db.url());
    let clients = [Lavoro::connect_with(options()).await?, Lavoro::connect_with(options()).await?];
    let mut lock = clients[0].lock("l").acquire().await?;
    let mut times = Vec::new();
    // Until both listen, the first few are polled for.
    let (unheard, rounds) = (20, crate::setting("ROUNDS", 500));
    for round in 1..=unheard + rounds {
        let next = clients[round % 2].clone();
        let next = tokio::spawn(async move {
            let taken = next.lock("l").wait(Duration::from_mins(1)).acquire().await;
            (Instant::now(), taken)
        });
        db.reach("select count(*) from lavoro.lock_waiter", 1, Duration::from_millis(1)).await?;
        let released = Instant::now();
        lock.release().await?;
        let (acquired, taken) = next.await?;
        lock = taken?;
        if round > unheard {
            times.push(acquired.saturating_duration_since(released).as_secs_f64() * 1e3);
        }
    }
    lock.release().await?;
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)];
    println!(
        "{rounds} hand-overs: median {:.1} ms, p99 {:.1} ms (bar 50 ms), longest {:.1} ms",
        at(500),
        at(990),
        at(1000)
    );
    for client in clients {
        client.close().await;
    }
    cluster.drop(db).await
}
