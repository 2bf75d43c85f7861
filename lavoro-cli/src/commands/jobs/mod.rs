//! `lavoro jobs`.

mod change;
mod filter;
mod list;
mod show;

pub(super) use show::time;

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::Output;
use change::{CancelArgs, DeleteArgs, EditArgs, RetryArgs};
use clap::Subcommand;
use lavoro_core::JobId;
use list::ListArgs;

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Show jobs, newest first
    List(ListArgs),
    /// Show all there is to know about a job, its payload included
    #[command(after_help = "\
Examples:
  lavoro jobs show 4711
  lavoro jobs show 4711 --json | jq .payload")]
    Show {
        /// The job's number
        id: JobId,
    },
    /// Show what a job's handlers have logged
    Logs(super::logs::LogsArgs),
    /// Make jobs available now: those that wait, or those that have ended
    Retry(RetryArgs),
    /// Cancel jobs; those that run are told to stop
    Cancel(CancelArgs),
    /// Delete jobs that do not run, with their history
    Delete(DeleteArgs),
    /// Change jobs that wait
    Edit(EditArgs),
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: JobsCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        JobsCommand::List(args) => list::run(lavoro, args, output).await,
        JobsCommand::Show { id } => show::run(lavoro, id, output).await,
        JobsCommand::Logs(args) => super::logs::run(lavoro, &args, output).await,
        JobsCommand::Retry(args) => change::retry(lavoro, args, output).await,
        JobsCommand::Cancel(args) => change::cancel(lavoro, args, output).await,
        JobsCommand::Delete(args) => change::delete(lavoro, args, output).await,
        JobsCommand::Edit(args) => change::edit(lavoro, args, output).await,
    })
    .await
}
