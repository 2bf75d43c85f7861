//! Whether a worker that is to drain its queues has done so.

use super::WorkerArgs;
use crate::exit::Result;
use lavoro_core::{JobFilter, JobState, Lavoro};
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
    for (queue, _) in args.served() {
        for exec in &args.execs {
            for state in [JobState::Available, JobState::Running] {
                let filter = JobFilter {
                    state: Some(state),
                    task: Some(exec.task.clone()),
                    queue: Some(queue.clone()),
                    limit: 1,
                    ..JobFilter::default()
                };
                if exists(lavoro, filter).await? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Whether there is such a job.
async fn exists(lavoro: &Lavoro, mut filter: JobFilter) -> Result<bool> {
    loop {
        let page = lavoro.jobs(filter.clone()).await?;
        if !page.jobs.is_empty() {
            return Ok(true);
        }
        if page.next.is_none() {
            return Ok(false);
        }
        filter.before = page.next;
    }
}
