//! `lavoro bench`.

mod ceiling;
mod flow;
mod measure;
mod pickup;
mod place;
mod progress;
mod report;

use crate::exit::Result;
use crate::globals::Globals;
use crate::output::Output;
use clap::Args;
use lavoro_core::Lavoro;
use place::Place;
use progress::Progress;
use report::{Rate, Report};
use std::path::PathBuf;

/// Measures enqueueing, draining and pick-up on this machine.
///
/// Without --database-url it starts a PostgreSQL of its own on a disk, with fsync on, and throws
/// its data away at the end. With --database-url it works in the schema `lavoro_bench` of that
/// database: what is in there is removed before and after, and there is no comparison with bare
/// inserts (by pgbench) and none with an old snapshot.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro bench
  lavoro bench --jobs 10000 --json
  lavoro bench --database-url postgres://localhost/scratch")]
pub(crate) struct BenchArgs {
    /// How many jobs are enqueued in bulk and drained; the other measures scale with it
    #[arg(long, value_name = "N", default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    jobs: u32,
    /// The directory for the data of the private PostgreSQL [default: the temporary directory]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// How often each thing is done.
#[derive(Clone, Copy, Debug)]
struct Scale {
    one_by_one: u32,
    concurrent: u32,
    bulk: u32,
    pickup: u32,
    /// For how many seconds jobs flow at a steady rate.
    flow: u32,
}

impl Scale {
    fn of(jobs: u32) -> Self {
        Self {
            one_by_one: (jobs / 50).max(10),
            concurrent: (jobs / 5).max(64),
            bulk: jobs,
            pickup: (jobs / 500).clamp(20, 1000),
            flow: (jobs / 5000).clamp(1, 20),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &BenchArgs, output: Output) -> Result<()> {
    let progress = Progress::new();
    progress.begin("preparing a database", 0);
    let place = Place::open(globals, args.dir.as_deref()).await?;
    let measured = measure(&place, Scale::of(args.jobs), &progress).await;
    progress.begin("cleaning up", 0);
    let cleaned = place.close().await;
    progress.end();
    let report = measured?;
    output.print(&report, || report.text())?;
    cleaned
}

async fn measure(place: &Place, scale: Scale, progress: &Progress) -> Result<Report> {
    let lavoro = place.connect().await?;
    let ceiling = ceiling::measure(place, progress).await;
    let steady = flow::measure(&lavoro, place, (1000, scale.flow.min(10)), progress).await?;
    let light = flow::measure(&lavoro, place, (200, scale.flow), progress).await?;
    // Before the bulk, which this process holds in memory as a whole.
    let peak_mib = Place::client_peak_mib();
    let one_by_one = measure::one_by_one(&lavoro, scale.one_by_one, progress).await?;
    let concurrent = measure::concurrent(&lavoro, scale.concurrent, progress).await?;
    let before = lavoro.wal_position().await?;
    let bulk = measure::bulk(&lavoro, scale.bulk, progress).await?;
    let cpu = || place.server_cpu();
    let drain = measure::drain(&lavoro, scale.bulk, &cpu, progress).await?;
    let wal = lavoro.wal_position().await? - before;
    let pickup = pickup::measure(&lavoro, scale.pickup, progress).await?;
    let pinned = pinned(place, &lavoro, scale, progress).await?;
    lavoro.close().await;
    Ok(Report {
        place: place.describe(),
        is_durable: place.is_durable(),
        enqueue_one_by_one: one_by_one,
        enqueue_64_concurrent: concurrent,
        enqueue_bulk: bulk,
        drain: drain.rate,
        server_cpu_us_per_job: drain.server_cpu_us,
        wal_bytes_per_job: wal as f64 / f64::from(scale.bulk),
        pickup_from_call: pickup.from_call,
        pickup_from_acknowledgement: pickup.from_acknowledgement,
        bare_inserts: ceiling,
        steady_1000: steady,
        steady_200: light,
        peak_mib,
        drain_pinned: pinned,
    })
}

/// As the drain, while an old snapshot keeps every dead row. None: no program to hold one.
async fn pinned(
    place: &Place,
    lavoro: &Lavoro,
    scale: Scale,
    progress: &Progress,
) -> Result<Option<Rate>> {
    let Some(mut pin) = ceiling::pin(place) else { return Ok(None) };
    measure::bulk(lavoro, scale.bulk, progress).await?;
    let cpu = || place.server_cpu();
    let drained = measure::drain(lavoro, scale.bulk, &cpu, progress).await?;
    let held = pin.try_wait().is_ok_and(|ended| ended.is_none());
    Ok(held.then_some(drained.rate))
}
