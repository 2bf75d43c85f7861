//! `lavoro queues`.

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::{Output, Table};
use clap::Subcommand;
use lavoro_core::QueueInfo;
use serde_json::json;

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueuesCommand {
    /// Show every queue and how many jobs it holds
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
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: QueuesCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        QueuesCommand::List => {
            let queues = lavoro.queues().await?;
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
    })
    .await
}

fn table(queues: &[QueueInfo]) -> String {
    let headings =
        ["QUEUE", ">AVAILABLE", ">SCHEDULED", ">RETRYING", ">RUNNING", "OLDEST", "PAUSED"];
    let mut table = Table::new(&headings);
    for queue in queues {
        table.row(&[
            queue.name.clone(),
            queue.available.to_string(),
            queue.scheduled.to_string(),
            queue.retrying.to_string(),
            queue.running.to_string(),
            super::jobs::time(queue.oldest),
            super::jobs::time(queue.paused_at),
        ]);
    }
    table.render()
}
