//! `lavoro why`.

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::{Output, printable};
use clap::Args;
use lavoro_core::{JobId, Reason, Why};
use std::fmt::Write as _;

/// Says what keeps a job from running: the first thing that would have to go.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro why 4711
  lavoro why 4711 --json | jq -r .reason")]
pub(crate) struct WhyArgs {
    /// The job's number
    id: JobId,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &WhyArgs, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| {
        let why = lavoro.job(args.id).why().await?;
        output.print(&why, || describe(&why))
    })
    .await
}

fn describe(why: &Why) -> String {
    let mut text = format!("Job {} is {}. {}\n", why.id, why.state, printable(&why.message));
    if let Reason::Busy { workers, .. } = &why.reason {
        for worker in workers {
            let oldest = worker
                .oldest_running_ms
                .map(|ms| format!(", the oldest for {} s", ms / 1000))
                .unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  worker {} {}: {} of {} slots{oldest}",
                worker.id,
                printable(&worker.name),
                worker.running,
                worker.slots
            );
        }
    }
    text
}
