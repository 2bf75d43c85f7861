//! `lavoro jobs show`.

use crate::exit::{Failure, Result};
use crate::output::{Output, printable};
use chrono::{DateTime, SecondsFormat, Utc};
use lavoro_core::{JobError, JobId, JobInfo, Lavoro, Progress};
use std::fmt::Write as _;

/// Shows a job.
pub(super) async fn run(lavoro: &Lavoro, id: JobId, output: Output) -> Result<()> {
    let job = lavoro.job(id).info().await.map_err(Failure::from)?;
    output.print(&job, || describe(&job))
}

/// A time for people.
pub(in crate::commands) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
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
    optional("time limit", job.timeout_ms.map(span));
    optional("expires", job.expires_at.map(|at| time(Some(at))));
    optional("follow-up", job.on_discarded.as_ref().map(|task| format!("{task}, if discarded")));
    optional("unique key", job.unique_key.clone());
    optional("tags", (!job.tags.is_empty()).then(|| job.tags.join(", ")));
    optional("progress", job.progress.as_ref().map(progress));
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

/// Milliseconds in the largest unit that leaves a whole number: `1500ms`, `30s`, `2h`.
fn span(ms: u32) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let whole = units.into_iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(name, unit)| format!("{}{name}", ms / unit))
}

fn progress(progress: &Progress) -> String {
    let mut parts = Vec::new();
    parts.extend(progress.percent.map(|percent| format!("{percent} %")));
    parts.extend(progress.message.clone());
    parts.extend(progress.data.as_ref().map(ToString::to_string));
    parts.push(format!("at {}", time(Some(progress.updated_at))));
    parts.join(", ")
}

fn describe_error(error: &JobError) -> String {
    let not_counted = if error.counted { "" } else { ", not counted" };
    let when = time(Some(error.failed_at));
    let message = error.message.trim_end().replace('\n', "\n    ");
    format!("attempt {}, {}{not_counted}, {when}\n    {message}", error.attempt, error.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_as_they_are_written() {
        let shown = [1, 1500, 30_000, 90_000, 7_200_000, 172_800_000].map(span);
        assert_eq!(shown, ["1ms", "1500ms", "30s", "90s", "2h", "2d"]);
    }
}
