//! `lavoro jobs cancel`, `retry`, `delete` and `edit`: by number, or all that match.

use super::filter::FilterArgs;
use crate::exit::{Failure, Result};
use crate::output::Output;
use crate::parse;
use chrono::{DateTime, Utc};
use clap::Args;
use lavoro_core::{BulkOutcome, JobEdit, JobFilter, JobId, JobState, Lavoro};
use serde_json::{Value, json};

/// Which jobs, and whether to go ahead.
#[derive(Debug, Args)]
struct Selection {
    /// The jobs' numbers; or say with the options below which jobs
    #[arg(value_name = "ID")]
    ids: Vec<JobId>,
    #[command(flatten)]
    which: FilterArgs,
    /// Go ahead with all jobs that match; without it they are only counted
    #[arg(long, conflicts_with = "dry_run", help_heading = "Which jobs")]
    yes: bool,
    /// Only count the jobs that match
    #[arg(long, help_heading = "Which jobs")]
    dry_run: bool,
}

/// `lavoro jobs cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs cancel 4711 4712
  lavoro jobs cancel --queue mail --since 2h            counts them and does nothing
  lavoro jobs cancel --queue mail --since 2h --yes")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    jobs: Selection,
}

/// `lavoro jobs retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs retry 4711
  lavoro jobs retry --state discarded --error 'connection refused' --dry-run
  lavoro jobs retry --state discarded --error 'connection refused' --yes

All that match can only be retried with a --state.")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    jobs: Selection,
}

/// `lavoro jobs delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs delete 4711
  lavoro jobs delete --state cancelled --until 7d --yes")]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    jobs: Selection,
}

/// `lavoro jobs edit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro jobs edit 4711 --payload '{\"to\": \"ada@example.org\"}'
  lavoro jobs edit 4711 --priority 10 --delay 0
  lavoro jobs edit --task report --state available --to-queue slow --yes")]
pub(crate) struct EditArgs {
    #[command(flatten)]
    jobs: Selection,
    /// The new payload, as JSON
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    payload: Option<String>,
    /// The new priority: larger runs first
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Run no sooner than this instant, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::instant, conflicts_with = "delay")]
    at: Option<DateTime<Utc>>,
    /// Run no sooner than this from now: 30s, 5m, 2h, 1d, or seconds; 0 means at once
    #[arg(long, value_parser = parse::millis, allow_hyphen_values = true)]
    delay: Option<i64>,
    /// Move to this queue
    #[arg(long, value_name = "QUEUE")]
    to_queue: Option<String>,
}

impl EditArgs {
    /// The edit. Made anew for each job.
    fn edit(&self) -> JobEdit {
        let mut edit = JobEdit::new();
        if let Some(payload) = &self.payload {
            edit = edit.payload_json(payload);
        }
        if let Some(priority) = self.priority {
            edit = edit.priority(priority);
        }
        if let Some(at) = self.at {
            edit = edit.run_at(at);
        }
        if let Some(delay) = self.delay {
            edit = edit.delay_ms(delay);
        }
        if let Some(queue) = &self.to_queue {
            edit = edit.queue(queue);
        }
        edit
    }
}

/// Cancels jobs.
pub(super) async fn cancel(lavoro: &Lavoro, args: CancelArgs, output: Output) -> Result<()> {
    let one = async |id| {
        let state = lavoro.job(id).cancel().await?;
        let said = match state {
            JobState::Cancelled => format!("Job {id} is cancelled."),
            JobState::Running => format!("Job {id} runs, and has been told to stop."),
            other => format!("Job {id} had ended before: it is {other}."),
        };
        Ok((json!({"id": id.to_string(), "state": state}), said))
    };
    let all = async |filter| lavoro.cancel_jobs(filter).await;
    let word = Words { done: "cancelled", states: &JobState::CANCELLABLE };
    change(lavoro, args.jobs, word, one, all, output).await
}

/// Retries jobs.
pub(super) async fn retry(lavoro: &Lavoro, args: RetryArgs, output: Output) -> Result<()> {
    let one = async |id| {
        lavoro.job(id).retry().await?;
        Ok((json!({"id": id.to_string(), "retried": true}), format!("Job {id} is available.")))
    };
    if args.jobs.ids.is_empty() && !args.jobs.which.is_empty() && !args.jobs.which.has_state() {
        return Err(Failure::usage(
            "say with --state which jobs to retry, as in --state discarded",
        ));
    }
    let all = async |filter| lavoro.retry_jobs(filter).await;
    let word = Words { done: "retried", states: &JobState::RETRYABLE };
    change(lavoro, args.jobs, word, one, all, output).await
}

/// Deletes jobs.
pub(super) async fn delete(lavoro: &Lavoro, args: DeleteArgs, output: Output) -> Result<()> {
    let one = async |id| {
        lavoro.job(id).delete().await?;
        Ok((json!({"id": id.to_string(), "deleted": true}), format!("Job {id} is deleted.")))
    };
    let all = async |filter| lavoro.delete_jobs(filter).await;
    let word = Words { done: "deleted", states: &JobState::DELETABLE };
    change(lavoro, args.jobs, word, one, all, output).await
}

/// Edits jobs.
pub(super) async fn edit(lavoro: &Lavoro, args: EditArgs, output: Output) -> Result<()> {
    let edit = || args.edit();
    let one = async |id| {
        lavoro.job(id).edit(edit()).await?;
        Ok((json!({"id": id.to_string(), "edited": true}), format!("Job {id} is changed.")))
    };
    let all = async |filter| lavoro.edit_jobs(filter, edit()).await;
    let word = Words { done: "edited", states: &JobState::EDITABLE };
    let jobs =
        Selection { ids: args.jobs.ids.clone(), which: args.jobs.which.clone(), ..args.jobs };
    change(lavoro, jobs, word, one, all, output).await
}

/// What a change is called, and which jobs it can be made to.
#[derive(Clone, Copy)]
struct Words {
    done: &'static str,
    states: &'static [JobState],
}

async fn change(
    lavoro: &Lavoro,
    jobs: Selection,
    words: Words,
    one: impl AsyncFn(JobId) -> lavoro_core::Result<(Value, String)>,
    all: impl AsyncFn(JobFilter) -> lavoro_core::Result<BulkOutcome>,
    output: Output,
) -> Result<()> {
    match (jobs.ids.is_empty(), jobs.which.is_empty()) {
        (true, true) => Err(Failure::usage("say which jobs: their numbers, or --state, --task, …")),
        (false, false) => Err(Failure::usage("numbers and filters are both given: pass one kind")),
        (false, true) if jobs.dry_run => {
            Err(Failure::usage("--dry-run counts jobs that match a filter: pass no numbers"))
        }
        (false, true) => each(&jobs.ids, one, output).await,
        (true, false) => {
            let (yes, dry_run) = (jobs.yes, jobs.dry_run);
            let filter = jobs.which.filter()?;
            if !yes {
                return preview(lavoro, filter, words, dry_run, output).await;
            }
            let outcome = all(filter).await?;
            output.print(&outcome, || said(outcome, words))
        }
    }
}

/// Changes jobs one by one and prints an answer for each. The first failure ends it, and says
/// which job it was.
async fn each(
    ids: &[JobId],
    one: impl AsyncFn(JobId) -> lavoro_core::Result<(Value, String)>,
    output: Output,
) -> Result<()> {
    for id in ids {
        let (answer, said) = one(*id).await?;
        output.print(&answer, || said)?;
    }
    Ok(())
}

/// Counts the jobs that match; without `--dry-run` that is a failure, since nothing was done.
async fn preview(
    lavoro: &Lavoro,
    filter: JobFilter,
    words: Words,
    dry_run: bool,
    output: Output,
) -> Result<()> {
    let states = match filter.state {
        Some(state) if !words.states.contains(&state) => {
            let names: Vec<_> = words.states.iter().map(|state| state.as_str()).collect();
            return Err(Failure::usage(format!(
                "jobs that are {state} cannot be {}: --state takes {}",
                words.done,
                names.join(", ")
            )));
        }
        Some(state) => vec![state],
        None => words.states.to_vec(),
    };
    let mut matched = 0;
    for state in states {
        let filter = JobFilter { state: Some(state), ..filter.clone() };
        matched += lavoro.count_jobs(filter).await?;
    }
    let jobs = if matched == 1 { "job matches" } else { "jobs match" };
    output.print(&json!({"matched": matched, "changed": 0}), || format!("{matched} {jobs}."))?;
    if dry_run {
        return Ok(());
    }
    Err(Failure::usage(format!("nothing was {}: add --yes to go ahead", words.done)))
}

fn said(outcome: BulkOutcome, words: Words) -> String {
    let jobs = if outcome.changed == 1 { "job" } else { "jobs" };
    let skipped = match outcome.skipped {
        0 => String::new(),
        skipped => format!(" {skipped} skipped: they had gone on, or others hold them."),
    };
    format!("{} {jobs} {}.{skipped}", outcome.changed, words.done)
}
