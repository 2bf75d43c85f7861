//! Measures the storage of Lavoro with its real statements on a private PostgreSQL, fsync on.
//! Every run fails unless each job was claimed exactly once.
//!
//! `cargo run --release -p lavoro-benches [-- NAME …]`: contention, shallow, life, pinned,
//! floor, depth, strangers, tasks, bulk, commit, split, retention, admin, locks, due, idle; without
//! a name, all of them.
//!
//! `retention` passes `JOBS` jobs through (`RATE` a second, `KEPT` of them kept at a time).
//!
//! `CLAIM_SQL` and `FINISH_SQL` name files with other statements: `split` then measures both in
//! alternation. `JOBS`: jobs per run of `life`, `split`, `floor` and `admin`; `MANY`: jobs
//! that `admin` changes; `ROUNDS`: repetitions; `DEEP`:
//! the depth that `depth` ends with; `KEEP`: for how many claims a claimer keeps its slack.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the numbers of a bench are small and positive"
)]

mod admin;
mod bulk;
mod client;
mod cluster;
mod contention;
mod depth;
mod drain;
mod life;
mod locks;
mod partitions;
mod retention;
mod schedules;

use tokio::signal::unix::{SignalKind, signal};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ALL: &[&str] = &[
    "life",
    "split",
    "contention",
    "shallow",
    "pinned",
    "floor",
    "strangers",
    "tasks",
    "commit",
    "bulk",
    "depth",
    "retention",
    "admin",
    "locks",
    "due",
    "idle",
];

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ALL.iter().map(ToString::to_string).collect();
    }
    let cluster = cluster::Cluster::start()?;
    let mut terminate = signal(SignalKind::terminate())?;
    // However it ends, the cluster is stopped and its directory removed.
    tokio::select! {
        result = run(&cluster, &names) => result,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

async fn run(cluster: &cluster::Cluster, names: &[String]) -> Result<()> {
    for name in names {
        println!("\n{name}");
        match name.as_str() {
            "contention" => contention::table(cluster).await?,
            "shallow" => contention::shallow(cluster).await?,
            "life" => life::whole(cluster).await?,
            "split" => life::split(cluster).await?,
            "pinned" => life::pinned(cluster).await?,
            "floor" => life::floor(cluster).await?,
            "commit" => contention::commit(cluster).await?,
            "depth" => depth::waiting(cluster).await?,
            "strangers" => depth::strangers(cluster).await?,
            "tasks" => depth::tasks(cluster).await?,
            "retention" => retention::all(cluster).await?,
            "admin" => admin::operate(cluster).await?,
            "locks" => locks::hand_over(cluster).await?,
            "due" => schedules::due(cluster).await?,
            "idle" => schedules::idle(cluster).await?,
            "bulk" => bulk::compare(cluster).await?,
            _ => return Err(format!("there is no bench {name}: {}", ALL.join(", ")).into()),
        }
    }
    Ok(())
}

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
