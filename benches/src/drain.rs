//! Filling a queue, and emptying it while measuring.

use crate::Result;
use crate::client::{Batch, Client, Producer, Statements};
use crate::cluster::{Cluster, Database};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Barrier;

/// Writes `count` jobs in packs straight into the tables, spread over `tasks` tasks pack by pack.
pub(crate) async fn fill(
    db: &Database,
    queue: &str,
    count: i64,
    pack: i64,
    tasks: i64,
) -> Result<()> {
    let first = 1024 * (db.number("select max(id) from lavoro.job").await? / 1024 + 1);
    let last = first + count - 1;
    db.execute(&format!(
        "insert into lavoro.job (id, priority, max_attempts, queue, task, payload)
         select i, 0, 20, '{queue}', 'task' || i / {pack} % {tasks}, jsonb_build_object('id', i)
         from generate_series({first}, {last}) i;
         insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
         select g * {pack}, 0, 14 * {pack}, 0, false, '{queue}', 'task' || g % {tasks},
                array(select generate_series(g * {pack}, least(g * {pack} + {pack} - 1, {last})))
         from generate_series({first} / {pack}, {last} / {pack}) g;
         select setval('lavoro.job_id_seq', {last} + 1)"
    ))
    .await
}

pub(crate) fn tasks(count: i64) -> Vec<String> {
    (0..count).map(|n| format!("task{n}")).collect()
}

/// How a queue is emptied.
pub(crate) struct Drain<'a> {
    pub(crate) sql: &'a Statements,
    pub(crate) clients: usize,
    pub(crate) slots: i64,
    pub(crate) tasks: Vec<String>,
    /// Whether what was claimed is finished at once.
    pub(crate) finish: bool,
    /// How many jobs are taken at most by each client.
    pub(crate) limit: usize,
    /// Whether the sessions have been used before.
    pub(crate) warm: bool,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(sql: &'a Statements, clients: usize, slots: i64, finish: bool) -> Self {
        Self { sql, clients, slots, tasks: tasks(1), finish, limit: usize::MAX, warm: true }
    }
}

/// What was measured.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub(crate) jobs: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) wal: f64,
    pub(crate) claims: u64,
    pub(crate) empty: u64,
    pub(crate) batches: Vec<Batch>,
}

impl Figures {
    pub(crate) fn rate(&self) -> f64 {
        self.jobs / self.seconds
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.jobs
    }

    pub(crate) fn wal_bytes(&self) -> f64 {
        self.wal / self.jobs
    }

    pub(crate) fn empty_share(&self) -> f64 {
        100.0 * self.empty as f64 / self.claims as f64
    }
}

impl Clone for Batch {
    fn clone(&self) -> Self {
        Self { token: self.token, ids: self.ids.clone() }
    }
}

/// Empties a queue. Fails unless every id came exactly once.
pub(crate) async fn drain(cluster: &Cluster, db: &Database, how: &Drain<'_>) -> Result<Figures> {
    let before = db
        .number("select sum(cardinality(jobs)) from lavoro.ready where queue = 'default'")
        .await?;
    let barrier = Arc::new(Barrier::new(how.clients + 1));
    let mut clients = Vec::new();
    for _ in 0..how.clients {
        let mut client = Client::connect(db, how.sql, &how.tasks).await?;
        if how.warm {
            client.warm().await?;
        }
        clients.push(tokio::spawn(work(
            client,
            Arc::clone(&barrier),
            how.slots,
            how.finish,
            how.limit,
        )));
    }
    let (wal, cpu) = (db.wal().await?, cluster.cpu());
    barrier.wait().await;
    let start = Instant::now();
    let mut figures = Figures::default();
    let mut open = Vec::new(); // a session that ends while its CPU is read would be missed
    for answer in try_join_all(clients).await? {
        let (client, batches) = answer?;
        figures.claims += client.claims;
        figures.empty += client.empty;
        figures.batches.extend(batches);
        open.push(client);
    }
    figures.seconds = start.elapsed().as_secs_f64();
    figures.cpu = cluster.cpu() - cpu;
    drop(open);
    figures.wal = (db.wal().await? - wal) as f64;
    let mut ids: Vec<i64> = figures.batches.iter().flat_map(|b| b.ids.iter().copied()).collect();
    let total = ids.len();
    figures.jobs = total as f64;
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < total {
        return Err("a job was claimed twice".into());
    }
    let after = db
        .number("select sum(cardinality(jobs)) from lavoro.ready where queue = 'default'")
        .await?;
    if after + ids.len() as i64 != before || (how.limit == usize::MAX && after != 0) {
        return Err(format!("{before} jobs, {} claimed, {after} left", ids.len()).into());
    }
    Ok(figures)
}

type Worked = Result<(Client, Vec<Batch>)>;

async fn work(
    mut client: Client,
    barrier: Arc<Barrier>,
    slots: i64,
    finish: bool,
    limit: usize,
) -> Worked {
    let (mut batches, mut taken) = (Vec::new(), 0);
    barrier.wait().await;
    while taken < limit
        && let Some(batch) =
            client.claim(slots.min((limit - taken).try_into().unwrap_or(slots))).await?
    {
        if batch.ids.is_empty() {
            continue;
        }
        taken += batch.ids.len();
        if finish && client.finish(&batch).await? != batch.ids.len() {
            return Err("an outcome was refused".into());
        }
        batches.push(batch);
    }
    Ok((client, batches))
}

/// Finishes batches that were claimed before, by `clients` sessions.
pub(crate) async fn finish(
    cluster: &Cluster,
    db: &Database,
    sql: &Statements,
    clients: usize,
    batches: Vec<Batch>,
) -> Result<Figures> {
    let jobs: usize = batches.iter().map(|batch| batch.ids.len()).sum();
    let mut shares = vec![Vec::new(); clients];
    for (n, batch) in batches.into_iter().enumerate() {
        shares[n % clients].push(batch);
    }
    let mut sessions = Vec::new();
    for share in shares {
        let mut client = Client::connect(db, sql, &[]).await?;
        client.warm().await?;
        sessions.push((client, share));
    }
    let (wal, cpu, start) = (db.wal().await?, cluster.cpu(), Instant::now());
    let sessions = sessions.into_iter().map(|(mut client, share)| {
        tokio::spawn(async move {
            for batch in &share {
                client.finish(batch).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(client)
        })
    });
    // They stay open until the CPU has been read.
    let open = try_join_all(sessions).await?.into_iter().collect::<Result<Vec<_>>>()?;
    let figures = measured(cluster, db, jobs, wal, cpu, start).await;
    drop(open);
    figures
}

/// Enqueues `count` jobs by statements of `batch`, from `clients` sessions.
pub(crate) async fn enqueue(
    cluster: &Cluster,
    db: &Database,
    clients: usize,
    count: usize,
    batch: usize,
    pack: usize,
) -> Result<Figures> {
    let mut producers = Vec::new();
    for _ in 0..clients {
        producers.push(Producer::connect(db).await?);
    }
    let (wal, cpu, start) = (db.wal().await?, cluster.cpu(), Instant::now());
    let producers = producers.into_iter().map(|mut producer| {
        tokio::spawn(async move {
            for _ in 0..count / batch / clients {
                producer.enqueue(batch, pack, true).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(producer)
        })
    });
    // They stay open until the CPU has been read.
    let open = try_join_all(producers).await?.into_iter().collect::<Result<Vec<_>>>()?;
    let figures = measured(cluster, db, count, wal, cpu, start).await;
    drop(open);
    figures
}

async fn measured(
    cluster: &Cluster,
    db: &Database,
    jobs: usize,
    wal: i64,
    cpu: f64,
    start: Instant,
) -> Result<Figures> {
    Ok(Figures {
        jobs: jobs as f64,
        seconds: start.elapsed().as_secs_f64(),
        cpu: cluster.cpu() - cpu,
        wal: (db.wal().await? - wal) as f64,
        ..Figures::default()
    })
}

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most that the figures differ, as a share of their median.
pub(crate) fn spread(figures: &[f64]) -> f64 {
    let most = figures.iter().copied().fold(f64::MIN, f64::max);
    let least = figures.iter().copied().fold(f64::MAX, f64::min);
    100.0 * (most - least) / median(figures.to_vec())
}
