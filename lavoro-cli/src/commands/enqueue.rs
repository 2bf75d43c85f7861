//! `lavoro enqueue`.

use super::with_lavoro;
use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::{Output, printable};
use crate::parse;
use chrono::{DateTime, Utc};
use clap::Args;
use lavoro_core::{DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, JobHandle, JobState, NewJob};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// How much is read from stdin: more than any payload may have.
const STDIN_BYTES: u64 = 16 << 20;
/// What `--wait` without a number means.
const FOREVER: &str = "315360000";

/// Enqueues a job and prints its id. It is committed by then.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro enqueue send_email '{\"to\": \"ada@example.org\"}' --queue mail
  lavoro enqueue report --delay 2h --max-attempts 3
  lavoro enqueue report --at 2030-01-31T09:00:00+01:00 --unique-key january
  lavoro enqueue greeting --expires-in 1h --on-discarded apologise
  lavoro enqueue resize '{\"file\": \"a.png\"}' --wait=60      also prints the result
  generate | lavoro enqueue import -                        the payload from stdin")]
pub(crate) struct EnqueueArgs {
    /// The kind of work: what a worker has a handler for
    task: String,
    /// The payload as JSON; - reads it from stdin
    #[arg(value_name = "JSON", default_value = "{}", allow_negative_numbers = true)]
    payload: String,
    /// The queue
    #[arg(long, default_value = DEFAULT_QUEUE)]
    queue: String,
    /// Run no sooner than this: 30s, 5m, 2h, 1d, or seconds
    #[arg(long, value_parser = parse::millis, allow_hyphen_values = true)]
    delay: Option<i64>,
    /// Run no sooner than this instant, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::instant, conflicts_with = "delay")]
    at: Option<DateTime<Utc>>,
    /// Larger runs first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// How often to try before the job is discarded
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ATTEMPTS)]
    max_attempts: u32,
    /// Enqueue only if no unfinished job of this queue and task has this key
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// How long one attempt may take: 30s, 5m, … [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    timeout: Option<Duration>,
    /// Cancel the job if no attempt has begun this long from now: 30s, 5m, 2h, 1d, or seconds
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    expires_in: Option<Duration>,
    /// Cancel the job if no attempt has begun at this instant, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::instant, conflicts_with = "expires_in")]
    expires_at: Option<DateTime<Utc>>,
    /// The task of a job that is enqueued if this one is discarded
    #[arg(long, value_name = "TASK")]
    on_discarded: Option<String>,
    /// A label to find the job by; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Wait until the job has ended, at most this long, and print its result
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = parse::duration,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOREVER
    )]
    wait: Option<Duration>,
}

impl EnqueueArgs {
    fn job(self) -> Result<NewJob> {
        let payload = match self.payload.as_str() {
            "-" => stdin()?,
            payload => payload.as_bytes().to_owned(),
        };
        let mut job = NewJob::from_json(self.task, payload)
            .queue(self.queue)
            .priority(self.priority)
            .max_attempts(self.max_attempts)
            .tags(self.tags);
        if let Some(delay) = self.delay {
            job = job.delay_ms(delay);
        }
        if let Some(at) = self.at {
            job = job.run_at(at);
        }
        if let Some(timeout) = self.timeout {
            job = job.timeout(timeout);
        }
        if let Some(lifetime) = self.expires_in {
            job = job.expires_in(lifetime);
        }
        if let Some(at) = self.expires_at {
            job = job.expires_at(at);
        }
        if let Some(task) = self.on_discarded {
            job = job.on_discarded(task);
        }
        if let Some(key) = self.unique_key {
            job = job.unique_key(key);
        }
        Ok(job)
    }
}

fn stdin() -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    std::io::stdin()
        .take(STDIN_BYTES)
        .read_to_end(&mut payload)
        .map_err(|error| Failure::io("cannot read the payload from stdin", &error))?;
    Ok(payload)
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: EnqueueArgs, output: Output) -> Result<()> {
    let wait = args.wait;
    let (queue, task) = (args.queue.clone(), args.task.clone());
    let job = args.job()?;
    with_lavoro(globals, async |lavoro| {
        let job = lavoro.enqueue(job).await?;
        let id = job.id().to_string();
        // The job is committed: that nobody can say who handles it is no failure.
        let handled = lavoro.is_handled(&queue, &task).await.ok();
        let answer = json!({"id": id, "created": job.is_new(), "handled": handled});
        output.print(&answer, || id.clone())?;
        if handled == Some(false) {
            warn_unhandled(&queue, &task);
        }
        match wait {
            Some(timeout) => print_result(&job, timeout, output).await,
            None => Ok(()),
        }
    })
    .await
}

/// Nobody will run the job as things stand: it waits until someone does.
fn warn_unhandled(queue: &str, task: &str) {
    let (queue, task) = (printable(queue), printable(task));
    let text = format!("no live worker handles task {task} in queue {queue}: the job waits");
    // The job is enqueued whether or not anybody reads this.
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

/// Waits for a job and prints its result; one that did not complete is a failure.
async fn print_result(job: &JobHandle, timeout: Duration, output: Output) -> Result<()> {
    let ended = job.result(timeout).await?;
    let id = job.id();
    if ended.state != JobState::Completed {
        let reason = ended.error.map(|error| format!(": {error}")).unwrap_or_default();
        return Err(Failure::unfinished(format!("job {id} is {}{reason}", ended.state)));
    }
    let result: Value = ended.value()?;
    let answer = json!({"id": id.to_string(), "state": ended.state, "result": result});
    output.print(&answer, || ended.json.unwrap_or_default())
}
