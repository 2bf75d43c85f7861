//! The verdict in words.

use super::{Facts, Reason};
use chrono::{DateTime, SecondsFormat, Utc};
use std::time::Duration;

/// How long a due job may wait for its promotion before something is wrong.
const MOMENT: Duration = Duration::from_secs(5);

impl Facts {
    pub(super) fn message(&self, reason: &Reason) -> String {
        let job = &self.job;
        match reason {
            Reason::Ended { finished_at, error } => {
                let at = finished_at.map(|at| format!(" at {}", time(at))).unwrap_or_default();
                format!("It is {}{at}{}.", job.state, said(error.as_deref()))
            }
            Reason::UniqueKey { unique_key, holder, .. } => format!(
                "It is {}, and cannot be retried: job {holder} holds its unique key {unique_key:?}.",
                job.state
            ),
            Reason::Expired { expires_at } => {
                let at = expires_at.map(|at| format!(" at {}", time(at))).unwrap_or_default();
                let then = if job.state.is_final() { "it was" } else { "it is about to be" };
                format!("It expired{at} before an attempt had begun: {then} cancelled.")
            }
            Reason::Running { .. } => format!("{}.", self.runs()),
            Reason::CancelRequested { requested_at, .. } => format!(
                "{}. Its handler was told to stop at {} and has not returned yet.",
                self.runs(),
                time(*requested_at)
            ),
            Reason::LostWorker { .. }
            | Reason::Scheduled { .. }
            | Reason::Retrying { .. }
            | Reason::NotPromoted { .. } => self.message_of_time(reason),
            Reason::PausedQueue { queue, paused_at } => format!(
                "Its queue {queue:?} is paused since {}: lavoro queues resume lets it run.",
                time(*paused_at)
            ),
            _ => Self::message_of_fleet(reason),
        }
    }

    fn message_of_time(&self, reason: &Reason) -> String {
        match reason {
            Reason::LostWorker { worker, beat_at, rescue_at, rescuers } => {
                let heard = beat_at.map_or_else(
                    || "is not in the books any more".to_owned(),
                    |at| format!("was last heard of at {}", time(at)),
                );
                let rescue = match (*rescuers, *rescue_at > self.now) {
                    (0, _) => "no worker lives to take the job from it".to_owned(),
                    (_, true) => format!("others take the job from {}", time(*rescue_at)),
                    _ => "others are about to take the job".to_owned(),
                };
                let worker = worker.as_deref().unwrap_or("unknown");
                format!("Worker {worker:?} holds it and {heard}: {rescue}.")
            }
            Reason::Scheduled { run_at } => format!("Its time comes at {}.", time(*run_at)),
            Reason::Retrying { run_at, attempt, max_attempts, error } => format!(
                "It waits until {} after attempt {attempt} of {max_attempts}{}.",
                time(*run_at),
                said(error.as_deref())
            ),
            Reason::NotPromoted { run_at, promoters } => {
                let late = self.now > *run_at + MOMENT;
                let who = match (*promoters, late) {
                    (0, _) => "no worker lives to make it available",
                    (_, true) => {
                        "nobody makes it available: do all workers run without maintenance?"
                    }
                    _ => "it is about to become available",
                };
                format!("Its time came at {}: {who}.", time(*run_at))
            }
            _ => String::new(),
        }
    }

    fn message_of_fleet(reason: &Reason) -> String {
        match reason {
            Reason::NoWorker => "No worker lives.".to_owned(),
            Reason::NoWorkerForTask { task, tasks } => format!(
                "No live worker has a handler for its task {task:?}; there are handlers for {}.",
                list(tasks)
            ),
            Reason::NoWorkerForQueue { queue, queues } => format!(
                "No live worker with a handler for its task serves its queue {queue:?}; they serve {}.",
                list(queues)
            ),
            Reason::Busy { workers, oldest_running_ms } => {
                let (used, slots) = workers.iter().fold((0_u64, 0_u64), |(used, slots), worker| {
                    (used + u64::from(worker.running), slots + u64::from(worker.slots))
                });
                let oldest = oldest_running_ms
                    .map(|ms| format!("; the oldest job there runs for {} s", ms / 1000))
                    .unwrap_or_default();
                format!(
                    "All slots of the {} that could take it are taken ({used} of {slots}){oldest}.",
                    count(workers.len() as u64, "worker")
                )
            }
            Reason::Suspect { processes } => format!(
                "It was leased beside a crash and runs alone among such jobs: {} could take it, \
                 and each holds another one.",
                count(*processes as u64, "process")
            ),
            Reason::Behind { jobs, at_least } => format!(
                "Nothing but order: {}{} of its queue, task and priority or above {} first.",
                if *at_least { "at least " } else { "" },
                count(*jobs, "job"),
                if *jobs == 1 { "comes" } else { "come" }
            ),
            _ => "Nothing is in its way: it is about to be claimed.".to_owned(),
        }
    }

    fn runs(&self) -> String {
        let worker = self.job.worker.as_deref().unwrap_or("unknown");
        let since = self.job.started_at.map(|at| format!(" since {}", time(at)));
        let attempt = format!("attempt {} of {}", self.job.attempt, self.job.max_attempts);
        format!("It runs on worker {worker:?}{}, {attempt}", since.unwrap_or_default())
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The first line of the last error, shortened.
fn said(error: Option<&str>) -> String {
    let line = error.and_then(|error| error.lines().next()).unwrap_or_default();
    let short: String = line.chars().take(120).collect();
    if short.is_empty() { short } else { format!("; its last error: {short}") }
}

fn count(number: u64, noun: &str) -> String {
    let plural = if noun.ends_with('s') { "es" } else { "s" };
    format!("{number} {noun}{}", if number == 1 { "" } else { plural })
}

/// A few names of a list that may be long.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(5);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") + &rest }
}
