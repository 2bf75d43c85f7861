//! `lavoro workers`.

use super::{with_lavoro, workers_check};
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::Output;
use clap::Subcommand;

/// What can be done with workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// Exit with 0 if a worker is alive, for supervisors
    Check(workers_check::CheckArgs),
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: WorkersCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        WorkersCommand::Check(args) => workers_check::run(lavoro, args, output).await,
    })
    .await
}
