//! `lavoro queues`.

use super::with_lavoro;
use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::{Output, Table};
use clap::{Args, Subcommand};
use lavoro_core::{Lavoro, QueueInfo, QueueRename, Unhandled};
use serde::Serialize;
use serde_json::json;

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueuesCommand {
    /// Show every queue, how many jobs it holds, and which tasks no live worker handles
    List,
    /// Show what queues hold and what workers did, by task
    Stats(super::queue_stats::StatsArgs),
    /// Let no worker claim from a queue; what runs, runs on
    Pause {
        /// The queue
        queue: String,
    },
    /// Let workers claim from a queue again
    Resume {
        /// The queue
        queue: String,
    },
    /// Give a queue another name: its jobs, keys and settings move, ended jobs keep the old name
    #[command(after_help = "\
Change producers and workers first: what is enqueued under the old name afterwards stays there.
A queue that has the new name already takes the jobs in.

Examples:
  lavoro queues rename mail post")]
    Rename {
        /// The queue
        from: String,
        /// Its new name
        to: String,
    },
    /// Delete all jobs that wait in a queue; what runs, runs on
    Clear(ClearArgs),
}

/// What to clear.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro queues clear mail --dry-run     how many jobs would be deleted
  lavoro queues clear mail --yes         delete them")]
pub(crate) struct ClearArgs {
    /// The queue
    queue: String,
    /// Delete: without this the jobs are only counted, with exit code 2
    #[arg(long)]
    yes: bool,
    /// Only count the jobs
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// A queue with the tasks that wait in it and that no live worker handles.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    queue: QueueInfo,
    unhandled: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: QueuesCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        QueuesCommand::List => {
            let queues = listed(lavoro.queues().await?, &lavoro.unhandled().await?);
            output.print(&queues, || table(&queues))
        }
        QueuesCommand::Stats(args) => super::queue_stats::run(lavoro, args, output).await,
        QueuesCommand::Pause { queue } => {
            lavoro.pause_queue(&queue).await?;
            output.print(&json!({"queue": queue, "paused": true}), || format!("Paused {queue}."))
        }
        QueuesCommand::Resume { queue } => {
            lavoro.resume_queue(&queue).await?;
            output.print(&json!({"queue": queue, "paused": false}), || format!("Resumed {queue}."))
        }
        QueuesCommand::Rename { from, to } => rename(lavoro, from, to, output).await,
        QueuesCommand::Clear(args) => clear(lavoro, args, output).await,
    })
    .await
}

async fn rename(lavoro: &Lavoro, from: String, to: String, output: Output) -> Result<()> {
    let renamed = lavoro.rename_queue(from, to).await?;
    output.print(&renamed, || describe(&renamed))?;
    let stayed = renamed.kept.len() as u64 + renamed.left;
    if stayed == 0 {
        return Ok(());
    }
    Err(Failure::unfinished(format!(
        "{stayed} jobs are still in {}: rename again when nothing is in their way",
        renamed.from
    )))
}

fn describe(renamed: &QueueRename) -> String {
    let QueueRename { from, to, waiting, running, .. } = renamed;
    let mut lines =
        vec![format!("Renamed {from} to {to}: {waiting} waiting and {running} running jobs.")];
    lines.extend(renamed.kept.iter().map(|kept| {
        let holder = kept
            .holder
            .map_or_else(|| "a job that is not committed yet".to_owned(), |id| format!("job {id}"));
        format!("Job {} stays: {holder} holds its unique key.", kept.id)
    }));
    if renamed.left > 0 {
        lines.push(format!("{} jobs stay: someone held them all the time.", renamed.left));
    }
    lines.join("\n")
}

async fn clear(lavoro: &Lavoro, args: ClearArgs, output: Output) -> Result<()> {
    let queue = args.queue;
    if args.yes {
        let cleared = lavoro.clear_queue(&queue).await?;
        output.print(&cleared, || format!("Deleted {} jobs of {queue}.", cleared.deleted))?;
        return match cleared.left {
            0 => Ok(()),
            left => Err(Failure::unfinished(format!(
                "{left} jobs are still in {queue}: someone held them all the time"
            ))),
        };
    }
    lavoro_core::limits::check_queue(&queue)?;
    let queues = lavoro.queues().await?;
    let waiting = queues.iter().find(|info| info.name == queue);
    let waiting = waiting.map_or(0, |info| info.available + info.scheduled + info.retrying);
    let preview = json!({"queue": queue, "deleted": 0, "waiting": waiting});
    output.print(&preview, || format!("{waiting} jobs of {queue} would be deleted."))?;
    if args.dry_run {
        return Ok(());
    }
    Err(Failure::usage("nothing was deleted: pass --yes to delete, or --dry-run to only count"))
}

fn listed(queues: Vec<QueueInfo>, unhandled: &[Unhandled]) -> Vec<Listed> {
    let of = |name: &str| {
        let lanes = unhandled.iter().filter(|lane| lane.queue == name);
        lanes.map(|lane| lane.task.clone()).collect()
    };
    queues.into_iter().map(|queue| Listed { unhandled: of(&queue.name), queue }).collect()
}

fn table(queues: &[Listed]) -> String {
    let headings = [
        "QUEUE",
        ">AVAILABLE",
        ">SCHEDULED",
        ">RETRYING",
        ">RUNNING",
        "OLDEST",
        "PAUSED",
        "NO WORKER FOR",
    ];
    let mut table = Table::new(&headings);
    for Listed { queue, unhandled } in queues {
        table.row(&[
            queue.name.clone(),
            queue.available.to_string(),
            queue.scheduled.to_string(),
            queue.retrying.to_string(),
            queue.running.to_string(),
            super::jobs::time(queue.oldest),
            super::jobs::time(queue.paused_at),
            if unhandled.is_empty() { "-".to_owned() } else { unhandled.join(", ") },
        ]);
    }
    table.render()
}
