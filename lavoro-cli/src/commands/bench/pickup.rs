//! How soon an idle worker runs a job.

use super::progress::Progress;
use super::report::Latency;
use crate::exit::{Failure, Result};
use lavoro_core::{Job, Lavoro, NewJob, Outcome, Worker};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const QUEUE: &str = "pickup";
const TASK: &str = "pickup";
/// Between two jobs, so that each finds the worker idle.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait for one job.
const PATIENCE: Duration = Duration::from_secs(30);

/// Times until a handler runs.
#[derive(Debug)]
pub(super) struct Pickup {
    /// From the call of `enqueue`: with the commit.
    pub(super) from_call: Latency,
    /// From its answer: without it.
    pub(super) from_acknowledgement: Latency,
}

/// Enqueues jobs one at a time on a queue that is otherwise idle.
pub(super) async fn measure(lavoro: &Lavoro, jobs: u32, progress: &Progress) -> Result<Pickup> {
    progress.begin("waiting for single jobs", jobs);
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let handler = move |job: Job| {
        let _ = begun.send((job.id(), Instant::now()));
        std::future::ready(Outcome::complete())
    };
    let worker = Worker::builder(lavoro).queue(QUEUE, 10).handler(TASK, handler).start().await?;
    let mut times = (Vec::new(), Vec::new());
    let measured = async {
        for _ in 0..jobs {
            tokio::time::sleep(PAUSE).await;
            let called = Instant::now();
            let id = lavoro.enqueue(NewJob::new(TASK, ()).queue(QUEUE)).await?.id();
            let acknowledged = Instant::now();
            let begun = begin(&mut beginnings, id).await?;
            times.0.push(begun.saturating_duration_since(called));
            times.1.push(begun.saturating_duration_since(acknowledged));
            progress.step();
        }
        Ok(())
    };
    let measured = measured.await;
    worker.stop(PATIENCE).await;
    measured.map(|()| Pickup {
        from_call: Latency::of(times.0),
        from_acknowledgement: Latency::of(times.1),
    })
}

/// When this job began. One that was rescued may have begun before.
async fn begin(
    beginnings: &mut mpsc::UnboundedReceiver<(i64, Instant)>,
    id: i64,
) -> Result<Instant> {
    let wait = async {
        while let Some((job, at)) = beginnings.recv().await {
            if job == id {
                return Some(at);
            }
        }
        None
    };
    let begun = tokio::time::timeout(PATIENCE, wait).await.ok().flatten();
    begun.ok_or_else(|| {
        let error = std::io::Error::other("a job was not picked up within 30 seconds");
        Failure::io("pick-up", &error)
    })
}
