//! `lavoro queues stats`.

use crate::exit::Result;
use crate::output::{Output, Table};
use crate::parse;
use clap::Args;
use lavoro_core::{Figures, Lavoro, QueueStatistics};
use std::time::Duration;

const HELP: &str = "\
A line of each queue, and one of each of its tasks. DONE/S, RETRY/S and FAIL/S: jobs completed,
attempts retried and jobs discarded per second. WAIT: how long jobs were due before their first
attempt; RUN: how long attempts ran. `!` marks tasks with waiting jobs that no live worker handles.
Workers record what they do every 10 seconds.

Examples:
  lavoro queues stats
  lavoro queues stats mail --window 1h --json";

/// Shows what queues hold and what workers did.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct StatsArgs {
    /// Only this queue
    queue: Option<String>,
    /// How far rates and times look back, from 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse::duration)]
    window: Duration,
}

/// Runs the command.
pub(super) async fn run(lavoro: &Lavoro, args: StatsArgs, output: Output) -> Result<()> {
    let mut queues = lavoro.statistics(args.window).await?;
    if let Some(queue) = &args.queue {
        queues.retain(|of| of.queue == *queue);
    }
    output.print(&queues, || table(&queues))
}

fn table(queues: &[QueueStatistics]) -> String {
    let mut table = Table::new(&[
        "QUEUE / TASK",
        ">AVAILABLE",
        ">SCHEDULED",
        ">RETRYING",
        ">RUNNING",
        ">OLDEST",
        ">DONE/S",
        ">RETRY/S",
        ">FAIL/S",
        ">WAIT P50",
        ">P95",
        ">P99",
        ">RUN P50",
        ">P95",
        ">P99",
    ]);
    for queue in queues {
        let paused = if queue.paused_at.is_some() { " (paused)" } else { "" };
        row(&mut table, format!("{}{paused}", queue.queue), &queue.figures);
        for task in &queue.tasks {
            let mark = if task.unhandled { " !" } else { "" };
            row(&mut table, format!("  {}{mark}", task.task), &task.figures);
        }
    }
    table.render()
}

fn row(table: &mut Table, name: String, figures: &Figures) {
    let rate = |rate: f64| format!("{rate:.2}");
    let mut cells = vec![
        name,
        figures.available.to_string(),
        figures.scheduled.to_string(),
        figures.retrying.to_string(),
        figures.running.to_string(),
        time(figures.oldest_wait),
        rate(figures.completed_per_second),
        rate(figures.retried_per_second),
        rate(figures.discarded_per_second),
    ];
    for quantiles in [figures.wait, figures.run] {
        cells.push(time(quantiles.map(|q| q.p50)));
        cells.push(time(quantiles.map(|q| q.p95)));
        cells.push(time(quantiles.map(|q| q.p99)));
    }
    table.row(&cells);
}

/// A time span for people, in three digits or so.
fn time(time: Option<Duration>) -> String {
    let Some(seconds) = time.map(|time| time.as_secs_f64()) else { return "-".to_owned() };
    if seconds < 1.0 {
        format!("{:.1}ms", seconds * 1e3)
    } else if seconds < 120.0 {
        format!("{seconds:.1}s")
    } else if seconds < 7200.0 {
        format!("{:.1}m", seconds / 60.0)
    } else {
        format!("{:.1}h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        let of = |ms| time(Some(Duration::from_millis(ms)));
        assert_eq!([of(0), of(12), of(1500)], ["0.0ms", "12.0ms", "1.5s"]);
        assert_eq!([of(180_000), of(36_000_000)], ["3.0m", "10.0h"]);
        assert_eq!(time(None), "-");
    }
}
