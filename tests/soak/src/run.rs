//! One run from its start to its report.

use crate::cluster::Cluster;
use crate::fault::Class;
use crate::fleet::{Fleet, Role};
use crate::ledger::Ledger;
use crate::log::{Log, now};
use crate::nemesis::Nemesis;
use crate::options::Options;
use crate::probe::Probe;
use crate::report::Report;
use crate::{Result, check, dump};
use lavoro_core::{ConnectOptions, Lavoro};
use sqlx::Row as _;
use sqlx::postgres::PgPool;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Runs a soak and checks it. Ends its processes and its server whatever happens; the ledgers
/// stay if something was found, or if they are to be kept.
///
/// # Errors
/// If the soak itself fails: the server does not start, the disk is not there, …
pub async fn run(options: &Options) -> Result<Report> {
    std::fs::create_dir_all(&options.dir)?;
    if std::fs::read_dir(&options.dir)?.next().is_some() {
        return Err(format!("{} is not empty", options.dir.display()).into());
    }
    let mut facts = std::fs::File::create(options.dir.join("run"))?;
    writeln!(facts, "seed {}", options.seed)?;
    writeln!(facts, "lease {}", options.lease.as_micros())?;
    let cluster = Cluster::start(options)?;
    let ran = soak(options, &cluster, &mut facts).await;
    cluster.keep_log(&options.dir);
    if let Err(error) = &ran {
        eprintln!("the server said at last:\n{}", cluster.last_words());
        return Err(format!("{error} (ledgers in {})", options.dir.display()).into());
    }
    drop(cluster);
    let report = check_dir(&options.dir)?;
    if report.is_clean() && !options.keep {
        std::fs::remove_dir_all(&options.dir)?;
    }
    Ok(report)
}

/// Checks the ledgers in a directory.
///
/// # Errors
/// If they cannot be read or understood.
pub fn check_dir(dir: &Path) -> Result<Report> {
    Ok(check(&Ledger::read(dir)?))
}

async fn soak(options: &Options, cluster: &Cluster, facts: &mut std::fs::File) -> Result<()> {
    cluster.prepare().await?;
    let log = Arc::new(Log::open(&options.dir, "nemesis")?);
    let fleet = Fleet::start(options, &cluster.url(), Arc::clone(&log)).await?;
    tokio::spawn(Arc::clone(&fleet).watch());
    let pool = cluster.pool()?;
    let probe = Probe::start(cluster.pool()?, Arc::clone(&log), options.lease, None);
    let connect = ConnectOptions { warn_unhandled: false, ..ConnectOptions::url(cluster.url()) };
    let mut nemesis = Nemesis {
        options,
        cluster,
        fleet: &fleet,
        log: &log,
        pool: pool.clone(),
        lavoro: Lavoro::connect_with(connect).await?,
        clock: 0,
    };
    let began = Instant::now();
    nemesis.run().await?;
    writeln!(facts, "nemesis {:.0} s", began.elapsed().as_secs_f64())?;
    if options.faults.iter().any(|(class, _)| *class == Class::ClockJump) {
        cluster.set_clock(3600)?;
    }
    while acknowledged(&options.dir)? < options.jobs
        && began.elapsed() < options.limit * 3 / 2
        && !options.is_enough()
    {
        sleep(Duration::from_millis(500)).await;
    }
    let mut hung = fleet.stop(Role::Producer, Duration::from_secs(40)).await;
    let stuck = calm(&pool, options.lease).await?;
    writeln!(facts, "stuck {stuck}")?;
    hung += fleet.stop(Role::Worker, Duration::from_mins(1)).await;
    writeln!(facts, "hung {hung}")?;
    writeln!(facts, "fsync {}", options.fsync)?;
    if let Some(disk) = &cluster.disk {
        writeln!(facts, "disk {}", disk.what)?;
    }
    fleet.end();
    drop(probe);
    dump::dump(&pool, &options.dir).await?;
    log.line(format_args!("note over at {}", now()));
    Ok(())
}

/// How many answers producers have written down.
fn acknowledged(dir: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("producer-") {
            let text = std::fs::read_to_string(entry.path())?;
            count += text.lines().filter(|line| line.starts_with("ack ")).count() as u64;
        }
    }
    Ok(count)
}

/// Waits until every job has ended, or nothing has moved for three leases (and as long as the
/// longest handler). Answers how many have not ended.
async fn calm(pool: &PgPool, lease: Duration) -> Result<i64> {
    let sql = "select (select coalesce(sum(cardinality(jobs)), 0) from lavoro.ready)
                    + (select coalesce(sum(cardinality(jobs)), 0) from lavoro.scheduled)
                    + (select count(*) from lavoro.lease l, unnest(l.jobs) as u
                       where not exists (select from lavoro.outcome o where o.job_id = u)),
                      (select count(*) from lavoro.error)";
    let mut moved = Instant::now();
    let mut before = (-1, -1);
    while moved.elapsed() < lease * 3 + lease.mul_f64(1.5) {
        let row = sqlx::query(sql).fetch_one(pool).await?;
        let here = (row.get::<i64, _>(0), row.get::<i64, _>(1));
        if here.0 == 0 {
            return Ok(0);
        }
        if here != before {
            (before, moved) = (here, Instant::now());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(before.0)
}
