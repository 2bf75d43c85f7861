//! `lavoro jobs`.

use super::with_lavoro;
use crate::exit::Result;
use crate::globals::Globals;
use crate::output::{Output, Table, printable};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use lavoro_core::{JobError, JobFilter, JobId, JobInfo, JobState};
use serde_json::json;
use std::fmt::Write as _;

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Show jobs, newest first
    List(ListArgs),
    /// Show all there is to know about a job, its payload included
    Show {
        /// The job's number
        id: JobId,
    },
    /// Show what a job's handlers have logged
    Logs(super::logs::LogsArgs),
    /// Make a job available now: one that waits, or one that has ended
    Retry {
        /// The job's number
        id: JobId,
    },
    /// Cancel a job; one that runs is told to stop
    Cancel {
        /// The job's number
        id: JobId,
    },
}

/// Which jobs to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs list --state discarded --task send_email
  lavoro jobs list --limit 100 --before 4711            the page after the job 4711")]
pub(crate) struct ListArgs {
    /// Only jobs in this state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(
        JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Only jobs of this task
    #[arg(long)]
    task: Option<String>,
    /// Only jobs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only jobs below this number: the last one of the page before
    #[arg(long, value_name = "ID")]
    before: Option<JobId>,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: JobsCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        JobsCommand::List(args) => {
            let jobs = lavoro.jobs(args.filter()?).await?;
            output.print(&jobs, || table(&jobs))
        }
        JobsCommand::Show { id } => {
            let job = lavoro.job(id).info().await?;
            output.print(&job, || describe(&job))
        }
        JobsCommand::Logs(args) => super::logs::run(lavoro, &args, output).await,
        JobsCommand::Retry { id } => {
            lavoro.job(id).retry().await?;
            let answer = json!({"id": id.to_string(), "retried": true});
            output.print(&answer, || format!("Job {id} is available."))
        }
        JobsCommand::Cancel { id } => {
            let state = lavoro.job(id).cancel().await?;
            let answer = json!({"id": id.to_string(), "state": state});
            output.print(&answer, || match state {
                JobState::Cancelled => format!("Job {id} is cancelled."),
                JobState::Running => format!("Job {id} runs, and has been told to stop."),
                other => format!("Job {id} had ended before: it is {other}."),
            })
        }
    })
    .await
}

impl ListArgs {
    fn filter(self) -> Result<JobFilter> {
        Ok(JobFilter {
            before: self.before,
            state: self.state.map(|state| state.parse()).transpose()?,
            task: self.task,
            queue: self.queue,
            limit: self.limit,
        })
    }
}

/// A time for people.
pub(super) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
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

/// A job as lines of text.
fn describe(job: &JobInfo) -> String {
    let mut lines = vec![
        ("id", job.id.to_string()),
        ("task", job.task.clone()),
        ("queue", job.queue.clone()),
        ("state", job.state.to_string()),
        ("priority", job.priority.to_string()),
        ("attempt", format!("{} of {}", job.attempt, job.max_attempts)),
        ("created", time(Some(job.created_at))),
        ("run at", time(Some(job.run_at))),
        ("started", time(job.started_at)),
        ("finished", time(job.finished_at)),
    ];
    let mut optional = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    optional("worker", job.worker.clone());
    optional("unique key", job.unique_key.clone());
    optional("tags", (!job.tags.is_empty()).then(|| job.tags.join(", ")));
    optional("payload", Some(job.payload.to_string()));
    optional("metadata", job.metadata.as_ref().map(ToString::to_string));
    optional("result", job.result.as_ref().map(ToString::to_string));
    lines.extend(job.errors.iter().map(|error| ("error", describe_error(error))));
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<11} {}", format!("{name}:"), printable(&value));
    }
    text
}

fn describe_error(error: &JobError) -> String {
    let not_counted = if error.counted { "" } else { ", not counted" };
    let when = time(Some(error.failed_at));
    let message = error.message.trim_end().replace('\n', "\n    ");
    format!("attempt {}, {}{not_counted}, {when}\n    {message}", error.attempt, error.kind)
}
