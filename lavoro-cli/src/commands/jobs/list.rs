//! `lavoro jobs list`.

use super::filter::FilterArgs;
use super::show::time;
use crate::exit::Result;
use crate::output::{Output, Table};
use clap::Args;
use lavoro_core::{JobId, JobInfo, Lavoro};

/// Which jobs to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs list --state discarded --task send_email
  lavoro jobs list --error timeout --since 2h
  lavoro jobs list --limit 100 --before 4711            the page after the job 4711")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    which: FilterArgs,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only jobs below this number: the last one of the page before
    #[arg(long, value_name = "ID")]
    before: Option<JobId>,
}

/// Runs the command.
pub(super) async fn run(lavoro: &Lavoro, args: ListArgs, output: Output) -> Result<()> {
    let mut filter = args.which.filter()?;
    filter.before = args.before;
    filter.limit = args.limit;
    let jobs = lavoro.list_jobs(filter).await?;
    output.print(&jobs, || table(&jobs))
}

fn table(jobs: &[JobInfo]) -> String {
    let headings = [">ID", "TASK", "QUEUE", "STATE", ">ATTEMPT", "RUN AT", "FINISHED", "ERROR"];
    let mut table = Table::new(&headings);
    for job in jobs {
        let error = job.errors.last().map_or("", |error| &error.message);
        table.row(&[
            job.id.to_string(),
            job.task.clone(),
            job.queue.clone(),
            job.state.to_string(),
            format!("{}/{}", job.attempt, job.max_attempts),
            time(Some(job.run_at)),
            time(job.finished_at),
            error.lines().next().unwrap_or("").chars().take(60).collect(),
        ]);
    }
    table.render()
}
