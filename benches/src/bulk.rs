//! 100,000 jobs in one transaction: UNNEST by batch size, and COPY.

use crate::Result;
use crate::client::Producer;
use crate::cluster::{Cluster, Database};
use crate::drain::median;
use sqlx::{Executor as _, Row as _};
use std::fmt::Write as _;
use std::time::Instant;

const JOBS: usize = 100_000;

pub(crate) async fn compare(cluster: &Cluster) -> Result<()> {
    let ways = [200, 500, 2000, 5000, 10_000, 0];
    let mut rates = vec![Vec::new(); ways.len()];
    let mut cpus = rates.clone();
    for _ in 0..5 {
        for (n, batch) in ways.iter().enumerate() {
            let db = cluster.database().await?;
            db.execute("checkpoint").await?;
            let mut producer = Producer::connect(&db).await?;
            let (cpu, start) = (cluster.cpu(), Instant::now());
            producer.connection().execute("begin").await?;
            if *batch == 0 {
                copy(&mut producer).await?;
            } else {
                for _ in 0..JOBS / batch {
                    producer.enqueue(*batch, 64, false).await?;
                }
            }
            producer.connection().execute("commit").await?;
            rates[n].push(JOBS as f64 / start.elapsed().as_secs_f64());
            cpus[n].push((cluster.cpu() - cpu) * 1e6 / JOBS as f64);
            verify(&db).await?;
            cluster.drop(db).await?;
        }
    }
    for ((batch, rates), cpus) in ways.iter().zip(rates).zip(cpus) {
        let way = if *batch == 0 { "COPY".to_owned() } else { format!("UNNEST of {batch}") };
        println!("{way:16} {:7.0} jobs/s, server CPU {:4.1} us/job", median(rates), median(cpus));
    }
    Ok(())
}

async fn copy(producer: &mut Producer) -> Result<()> {
    let connection = producer.connection();
    let rows = sqlx::query("select nextval('lavoro.job_id_seq') as id from generate_series(1, $1)")
        .bind(JOBS as i32)
        .fetch_all(&mut *connection)
        .await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect();
    let mut text = String::new();
    for (n, id) in ids.iter().enumerate() {
        writeln!(text, "{id}\t0\t20\tdefault\ttask0\t{{\"id\": {}}}", n % 500)?;
    }
    let copy = "copy lavoro.job (id, priority, max_attempts, queue, task, payload) from stdin";
    send(connection, copy, text).await?;
    let mut text = String::new();
    for jobs in ids.chunk_by(|a, b| a / 64 == b / 64) {
        let list = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        writeln!(text, "{}\t0\t640\t0\tf\tdefault\ttask0\t{{{list}}}", jobs[0])?;
    }
    let copy =
        "copy lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs) from stdin";
    send(connection, copy, text).await
}

async fn send(connection: &mut sqlx::PgConnection, copy: &str, text: String) -> Result<()> {
    let mut stream = connection.copy_in_raw(copy).await?;
    for part in text.as_bytes().chunks(1 << 20) {
        stream.send(part).await?;
    }
    stream.finish().await?;
    Ok(())
}

async fn verify(db: &Database) -> Result<()> {
    let waiting = "select count(distinct u) from lavoro.ready r cross join unnest(r.jobs) u join lavoro.job j on j.id = u";
    let waiting = db.number(waiting).await?;
    if waiting == JOBS as i64 { Ok(()) } else { Err(format!("{waiting} jobs wait").into()) }
}
