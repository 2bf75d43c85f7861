//! `lavoro workers`.

use super::{with_lavoro, workers_check};
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::{Output, Table};
use clap::{Args, Subcommand};
use lavoro_core::{Lavoro, WorkerInfo};

/// What can be asked of workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// Show the workers that live or are silent, and what they hold
    List(ListArgs),
    /// Exit with 0 if a worker is alive, for supervisors
    Check(workers_check::CheckArgs),
}

/// Which workers to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro workers list                 who is there
  lavoro workers list --all --json    those that have ended too")]
pub(crate) struct ListArgs {
    /// Also those that have ended
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: WorkersCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        WorkersCommand::List(args) => list(lavoro, &args, output).await,
        WorkersCommand::Check(args) => workers_check::run(lavoro, args, output).await,
    })
    .await
}

async fn list(lavoro: &Lavoro, args: &ListArgs, output: Output) -> Result<()> {
    let workers = if args.all { lavoro.all_workers().await? } else { lavoro.workers().await? };
    output.print(&workers, || table(&workers))
}

fn table(workers: &[WorkerInfo]) -> String {
    let headings = [
        ">ID",
        "NAME",
        "STATE",
        "LANGUAGE",
        ">PID",
        ">RUNNING",
        ">SLOTS",
        "OLDEST",
        "LAST BEAT",
        "QUEUES",
        "TASKS",
    ];
    let mut table = Table::new(&headings);
    for worker in workers {
        let queues: Vec<String> =
            worker.queues.iter().map(|(name, how)| format!("{name}:{}", how.concurrency)).collect();
        table.row(&[
            worker.id.to_string(),
            worker.name.clone(),
            worker.state.to_string(),
            worker.language.clone(),
            worker.pid.to_string(),
            worker.running.to_string(),
            worker.slots.to_string(),
            worker.oldest_running_ms.map_or_else(|| "-".to_owned(), |ms| format!("{}s", ms / 1000)),
            super::jobs::time(Some(worker.beat_at)),
            queues.join(" "),
            worker.tasks.join(" "),
        ]);
    }
    table.render()
}
