//! `lavoro retention`.

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::{Output, Table};
use crate::parse;
use clap::{Args, Subcommand};
use lavoro_core::Retention;
use serde_json::json;
use std::time::Duration;

/// What can be done with the rules of retention.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Show how long ended jobs are kept
    List,
    /// Set how long ended jobs are kept, of one task or of all without a rule of their own
    Set(SetArgs),
    /// Remove the rule of a task, or that of every task
    Unset(UnsetArgs),
}

/// A rule; what is left out stays as it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro retention set --completed 3d
  lavoro retention set --task report --completed 90d --discarded 365d
  lavoro retention set --task ping --completed 0        until the next round of pruning

The rules are stored in the database and hold for every worker, within a minute.")]
pub(crate) struct SetArgs {
    /// Only jobs of this task
    #[arg(long)]
    task: Option<String>,
    /// How long completed jobs are kept: 12h, 7d, at most 3650d [built in: 7d]
    #[arg(long, value_name = "SPAN", value_parser = parse::duration)]
    completed: Option<Duration>,
    /// How long cancelled jobs are kept [built in: 7d]
    #[arg(long, value_name = "SPAN", value_parser = parse::duration)]
    cancelled: Option<Duration>,
    /// How long discarded jobs are kept [built in: 30d]
    #[arg(long, value_name = "SPAN", value_parser = parse::duration)]
    discarded: Option<Duration>,
}

/// Which rule.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro retention unset --task report       back to the rule of every task
  lavoro retention unset                     back to what is built in")]
pub(crate) struct UnsetArgs {
    /// The task
    #[arg(long)]
    task: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(
    globals: &Globals,
    command: RetentionCommand,
    output: Output,
) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        RetentionCommand::List => {
            let rules = lavoro.retention().await?;
            output.print(&rules, || table(&rules))
        }
        RetentionCommand::Set(args) => {
            let SetArgs { task, completed, cancelled, discarded } = args;
            let rule = Retention { task: task.clone(), completed, cancelled, discarded };
            lavoro.set_retention(rule).await?;
            let mut rules = lavoro.retention().await?;
            rules.retain(|rule| rule.task == task);
            output.print(&rules.first(), || table(&rules))
        }
        RetentionCommand::Unset(UnsetArgs { task }) => {
            let removed = lavoro.remove_retention(task.as_deref()).await?;
            output.print(&json!({"task": task, "removed": removed}), || {
                let whose = task.as_deref().unwrap_or("every task");
                if removed {
                    format!("Removed the rule of {whose}.")
                } else {
                    format!("There was no rule of {whose}.")
                }
            })
        }
    })
    .await
}

fn table(rules: &[Retention]) -> String {
    let mut table = Table::new(&["TASK", ">COMPLETED", ">CANCELLED", ">DISCARDED"]);
    for rule in rules {
        table.row(&[
            rule.task.clone().unwrap_or_else(|| "(every task)".to_owned()),
            span(rule.completed),
            span(rule.cancelled),
            span(rule.discarded),
        ]);
    }
    table.render()
}

/// A time span as the options take it; nothing if the more general rule holds.
fn span(span: Option<Duration>) -> String {
    let Some(span) = span else { return "-".to_owned() };
    let ms = span.as_millis();
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms > 0 && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms").replacen("0ms", "0", usize::from(ms == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["7d", "36h", "90s", "5m", "1500ms", "10ms"] {
            assert_eq!(span(Some(parse::duration(text).unwrap())), text);
        }
        assert_eq!(span(Some(Duration::ZERO)), "0");
        assert_eq!(span(None), "-");
    }
}
