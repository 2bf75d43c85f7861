//! A steady flow: jobs enqueued at a fixed rate, each by a call of its own, while a worker runs.

use super::place::Place;
use super::progress::Progress;
use super::report::Latency;
use crate::exit::{Failure, Result};
use lavoro_core::{Job, Lavoro, NewJob, Outcome, Worker};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

const TASK: &str = "flow";
/// How many jobs the worker runs at once.
const CONCURRENCY: u32 = 100;
/// How long to wait for the last jobs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Flow {
    per_second: u32,
    seconds: u32,
    /// From the moment when the job was to be enqueued until its handler runs.
    pub(super) latency: Latency,
    /// Of this process, which enqueues and works, and of the server, while it lasted.
    pub(super) client_cpu_s: Option<f64>,
    pub(super) server_cpu_s: Option<f64>,
}

impl Flow {
    /// How long it lasted.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds.into()
    }
}

/// Enqueues `rate` jobs per second for so many seconds.
pub(super) async fn measure(
    lavoro: &Lavoro,
    place: &Place,
    (rate, seconds): (u32, u32),
    progress: &Progress,
) -> Result<Flow> {
    let jobs = rate * seconds;
    progress.begin("enqueueing at a steady rate", jobs);
    let queue = format!("flow_{rate}");
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let handler = move |job: Job| {
        if let Ok(number) = job.payload::<usize>() {
            let _ = begun.send((number, Instant::now()));
        }
        std::future::ready(Outcome::complete())
    };
    let worker =
        Worker::builder(lavoro).queue(&queue, CONCURRENCY).handler(TASK, handler).start().await?;
    let (client, server) = (Place::client_cpu(), place.server_cpu());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut wanted = Vec::new();
    for number in 0..jobs {
        wanted.push(ticks.tick().await.into_std());
        let job = NewJob::new(TASK, json!(number)).queue(&queue);
        let lavoro = lavoro.clone();
        tokio::spawn(async move { lavoro.enqueue(job).await.map(drop) });
        progress.step();
    }
    let mut times = Vec::new();
    let all = async {
        while times.len() < wanted.len() {
            let Some((number, at)) = beginnings.recv().await else { break };
            times.extend(wanted.get(number).map(|wanted| at.saturating_duration_since(*wanted)));
        }
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    let used = |after: Option<Duration>, before: Option<Duration>| {
        after.zip(before).map(|(after, before)| after.saturating_sub(before).as_secs_f64())
    };
    let client_cpu_s = used(Place::client_cpu(), client);
    let server_cpu_s = used(place.server_cpu(), server);
    worker.stop(PATIENCE).await;
    ended.map_err(|late| Failure::io("jobs of the steady flow did not run", &late.into()))?;
    Ok(Flow { per_second: rate, seconds, latency: Latency::of(times), client_cpu_s, server_cpu_s })
}
