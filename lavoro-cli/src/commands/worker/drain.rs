//! Whether a worker that is to drain its queues has done so.

use super::WorkerArgs;
use crate::exit::Result;
use lavoro_core::{JobFilter, JobState, Lavoro};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often to look.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until no job of the worker's tasks is available or running in its queues; without
/// `--drain`, for ever. Jobs that wait for their time, or after a failure, are left.
pub(super) async fn drained(lavoro: &Lavoro, args: &WorkerArgs) -> Result<()> {
    if !args.drain {
        return std::future::pending().await;
    }
    // Twice in a row: a job may pass from one state to the other between two questions.
    let mut empty = 0;
    while empty < 2 {
        empty = if has_work(lavoro, args).await? { 0 } else { empty + 1 };
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn has_work(lavoro: &Lavoro, args: &WorkerArgs) -> Result<bool> {
    for queue in queues(lavoro, args).await? {
        for exec in &args.execs {
            for state in [JobState::Available, JobState::Running] {
                let filter = JobFilter {
                    state: Some(state),
                    task: Some(exec.task.clone()),
                    queue: Some(queue.clone()),
                    limit: 1,
                    ..JobFilter::default()
                };
                if !lavoro.list_jobs(filter).await?.is_empty() {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// The queues that are served, those that wildcards stand for included.
async fn queues(lavoro: &Lavoro, args: &WorkerArgs) -> Result<BTreeSet<String>> {
    let served = args.served();
    let (wildcards, mut queues): (BTreeSet<String>, BTreeSet<String>) =
        served.into_iter().map(|(queue, ..)| queue).partition(|queue| queue.ends_with('*'));
    if !wildcards.is_empty() {
        let known = lavoro.queues().await?.into_iter().map(|queue| queue.name);
        let stands_for = |wildcard: &String, queue: &str| {
            wildcard.strip_suffix('*').is_some_and(|prefix| queue.starts_with(prefix))
        };
        queues.extend(known.filter(|queue| wildcards.iter().any(|w| stands_for(w, queue))));
    }
    Ok(queues)
}
