//! `lavoro schedules`.

mod add;
mod show;

use super::with_lavoro;
use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::Output;
use clap::{Args, Subcommand};
use lavoro_core::{Error, ErrorKind};
use serde_json::json;

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// Make a schedule, or replace one
    Add(Box<add::AddArgs>),
    /// Show schedules by name, their next slots and what became of the latest
    List(show::ListArgs),
    /// Show all of a schedule and the latest decisions on its slots
    Show(show::ShowArgs),
    /// Pause a schedule: until it is resumed it has no slots
    Pause(NameArgs),
    /// Resume a schedule that is paused, or whose lost run is held
    Resume(NameArgs),
    /// Enqueue a schedule's job now, and print its id
    Run(NameArgs),
    /// Remove a schedule; its jobs stay
    Remove(NameArgs),
}

/// Which schedule.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro schedules pause nightly-report
  lavoro schedules run nightly-report --json")]
pub(crate) struct NameArgs {
    /// The schedule's name
    name: String,
}

/// Runs the command.
pub(crate) async fn run(
    globals: &Globals,
    command: SchedulesCommand,
    output: Output,
) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        SchedulesCommand::Add(args) => add::run(lavoro, *args, output).await,
        SchedulesCommand::List(args) => show::list(lavoro, &args, output).await,
        SchedulesCommand::Show(args) => show::show(lavoro, &args, output).await,
        SchedulesCommand::Pause(NameArgs { name }) => {
            lavoro.pause_schedule(&name).await?;
            output.print(&json!({"name": name, "paused": true}), || format!("Paused {name}."))
        }
        SchedulesCommand::Resume(NameArgs { name }) => {
            lavoro.resume_schedule(&name).await?;
            output.print(&json!({"name": name, "paused": false}), || format!("Resumed {name}."))
        }
        SchedulesCommand::Run(NameArgs { name }) => {
            let id = lavoro.run_schedule(&name).await?.id().to_string();
            output.print(&json!({"id": id}), || id.clone())
        }
        SchedulesCommand::Remove(NameArgs { name }) => {
            if !lavoro.remove_schedule(&name).await? {
                let message = format!("there is no schedule {name}");
                return Err(Failure::from(Error::new(ErrorKind::ScheduleNotFound, message)));
            }
            output.print(&json!({"name": name, "removed": true}), || format!("Removed {name}."))
        }
    })
    .await
}
