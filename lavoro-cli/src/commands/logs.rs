//! `lavoro jobs logs`.

use crate::exit::Result;
use crate::output::{Output, printable};
use chrono::SecondsFormat;
use clap::Args;
use lavoro_core::{JobHandle, JobId, Lavoro, LogFilter, LogLine};
use std::time::Duration;

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Which log to show, and for how long.
#[derive(Debug, Args)]
#[command(after_help = "\
With --json each line is a document of its own: {\"id\", \"logged_at\", \"attempt\", \"line\"}.

Examples:
  lavoro jobs logs 4711
  lavoro jobs logs 4711 --follow                        until the job has ended
  lavoro jobs logs 4711 --json | jq -r .line")]
pub(crate) struct LogsArgs {
    /// The job's number
    id: JobId,
    /// Go on until the job has ended
    #[arg(long, short)]
    follow: bool,
}

/// Runs the command.
pub(super) async fn run(lavoro: &Lavoro, args: &LogsArgs, output: Output) -> Result<()> {
    let job = lavoro.job(args.id);
    let mut after = None;
    loop {
        // In this order: what was said before the end is there when the job has ended.
        let is_over = job.info().await?.state.is_final();
        after = show(&job, after, output).await?;
        if is_over || !args.follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints all lines after this one. Answers the last.
async fn show(job: &JobHandle, mut after: Option<i64>, output: Output) -> Result<Option<i64>> {
    loop {
        let page = job.logs(LogFilter { after, ..LogFilter::default() }).await?;
        let Some(last) = page.last() else { return Ok(after) };
        after = Some(last.id);
        for line in &page {
            output.print(line, || describe(line))?;
        }
    }
}

fn describe(line: &LogLine) -> String {
    let time = line.logged_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    format!("{time} [{}] {}", line.attempt, printable(&line.line))
}
