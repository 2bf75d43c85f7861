//! The program of the soak: `run`, `check`, and the roles that `run` starts.

use clap::{Parser, Subcommand};
use lavoro_soak::{Class, Options, Result, check_dir, produce, run, work};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Lavoro under faults, with an account of every job.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run producers, workers, a server and a nemesis, then check.
    Run(Run),
    /// Check the ledgers in a directory; exits with 1 if something is wrong.
    Check {
        /// The directory of a run.
        dir: PathBuf,
        /// Answer JSON.
        #[arg(long)]
        json: bool,
    },
    /// A worker (started by `run`).
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        url: String,
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        lease: u64,
    },
    /// A producer (started by `run`).
    #[command(hide = true)]
    Producer {
        #[arg(long)]
        url: String,
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        pace: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// What all decisions follow from. Default: by chance.
    #[arg(long)]
    seed: Option<u64>,
    /// How many jobs are acknowledged at least.
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
    /// How often each class of faults strikes.
    #[arg(long, default_value_t = 100)]
    faults: u32,
    /// The classes, by commas. Default: all that this machine can do.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<Class>,
    /// After how many minutes the nemesis stops although faults are left.
    #[arg(long, default_value_t = 600)]
    minutes: u64,
    /// Jobs in a second. Default: spread over the faults.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// The length of a lease in milliseconds.
    #[arg(long, default_value_t = 2000)]
    lease: u64,
    /// Do not wait for the disk.
    #[arg(long)]
    no_fsync: bool,
    /// Where the ledgers go. Default: `target/soak/SEED`.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the ledgers even if nothing is wrong.
    #[arg(long)]
    keep: bool,
    /// Answer JSON.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // What the roles warn of is kept with the ledgers; the nemesis knows what it does.
    let level = match args.command {
        Command::Run(_) | Command::Check { .. } => LevelFilter::OFF,
        Command::Worker { .. } | Command::Producer { .. } => LevelFilter::WARN,
    };
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
    let done = match args.command {
        Command::Run(args) => start(args).await,
        Command::Check { dir, json } => check_dir(&dir).and_then(|report| tell(&report, json)),
        Command::Worker { url, dir, lease } => {
            work(&url, &dir, Duration::from_millis(lease)).await.map(|()| true)
        }
        Command::Producer { url, dir, seed, pace } => {
            produce(&url, &dir, seed, pace).await.map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lavoro-soak: {error}");
            ExitCode::from(2)
        }
    }
}

async fn start(args: Run) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| rand::random::<u64>() >> 16);
    let dir = args.dir.unwrap_or_else(|| PathBuf::from(format!("target/soak/{seed}")));
    println!("seed {seed}, ledgers in {}", dir.display());
    let classes = if args.classes.is_empty() { Class::possible() } else { args.classes };
    let options = Options {
        jobs: args.jobs,
        faults: classes.into_iter().map(|class| (class, args.faults)).collect(),
        limit: Duration::from_mins(args.minutes),
        rate: args.rate,
        lease: Duration::from_millis(args.lease),
        fsync: !args.no_fsync,
        keep: args.keep,
        ..Options::short(std::env::current_exe()?, std::path::absolute(dir)?, seed)
    };
    let enough = std::sync::Arc::clone(&options.enough);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("interrupted: no more faults and jobs, but the account is made");
            enough.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let report = run(&options).await?;
    tell(&report, args.json)
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a chain of results")]
fn tell(report: &lavoro_soak::Report, json: bool) -> Result<bool> {
    if json {
        println!("{}", serde_json::to_string_pretty(report).unwrap_or_default());
    } else {
        print!("{report}");
    }
    Ok(report.is_clean())
}
