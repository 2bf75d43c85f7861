//! `lavoro metrics`.

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::Output;
use crate::parse;
use clap::Args;
use serde_json::json;
use std::time::Duration;

const HELP: &str = "\
OpenMetrics text, as for the textfile collector of Prometheus's node exporter. Workers answer for
themselves with `lavoro worker --listen`.

Examples:
  lavoro metrics
  lavoro metrics --window 1m >/var/lib/node_exporter/lavoro.prom";

/// Prints figures of all queues and workers.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct MetricsArgs {
    /// How far rates and quantiles look back, from 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse::duration)]
    window: Duration,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &MetricsArgs, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| {
        let text = lavoro.metrics(args.window).await?;
        output.print(&json!({"text": text}), || text.clone())
    })
    .await
}
