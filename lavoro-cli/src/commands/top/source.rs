//! Where the figures come from.

use chrono::{DateTime, Utc};
use lavoro_core::{JobFilter, JobState, Lavoro, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// How many failures are shown.
const FAILURES: u32 = 10;

/// One look at the database.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    /// When, by this machine's clock.
    pub(super) at: DateTime<Utc>,
    pub(super) schema: String,
    /// Jobs per second that left the queues on balance. None at the first look.
    pub(super) throughput: Option<f64>,
    pub(super) queues: Vec<Queue>,
    /// The newest discarded jobs.
    pub(super) failures: Vec<Failed>,
}

/// A queue as it is now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) available: i64,
    pub(super) scheduled: i64,
    pub(super) retrying: i64,
    pub(super) running: i64,
    /// For how many seconds its oldest available job has been there.
    pub(super) oldest_seconds: Option<i64>,
    /// By how many jobs per second it grows (or, below zero, shrinks). None at the first look.
    pub(super) change_per_second: Option<f64>,
    pub(super) paused: bool,
}

/// A job that was discarded.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    /// A decimal string, since JavaScript reads large numbers wrong.
    pub(super) id: String,
    pub(super) queue: String,
    pub(super) task: String,
    pub(super) finished_at: Option<DateTime<Utc>>,
    /// The first line of its last error.
    pub(super) error: String,
}

/// Asks the database, and compares with what it said before. To take the figures from elsewhere,
/// change this type alone.
#[derive(Debug)]
pub(super) struct Source {
    lavoro: Lavoro,
    before: Option<(Instant, BTreeMap<String, i64>)>,
}

impl Source {
    /// A source that has not been asked yet.
    pub(super) fn new(lavoro: Lavoro) -> Self {
        Self { lavoro, before: None }
    }

    /// The client behind it.
    pub(super) fn lavoro(&self) -> &Lavoro {
        &self.lavoro
    }

    /// Looks.
    pub(super) async fn sample(&mut self) -> Result<Sample> {
        let failed =
            JobFilter { state: Some(JobState::Discarded), limit: FAILURES, ..JobFilter::default() };
        let infos = self.lavoro.queues().await?;
        let failures = self.lavoro.list_jobs(failed).await?;
        let (now, at) = (Instant::now(), Utc::now());
        let depths: BTreeMap<String, i64> = infos
            .iter()
            .map(|q| (q.name.clone(), q.available + q.scheduled + q.retrying + q.running))
            .collect();
        let before = self.before.replace((now, depths.clone()));
        let rate = |name: &str| {
            let (then, before) = before.as_ref()?;
            let change = depths.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
            per_second(change, then, now)
        };
        let throughput = before.as_ref().and_then(|(then, before)| {
            let left = before.values().sum::<i64>() - depths.values().sum::<i64>();
            per_second(left.max(0), then, now)
        });
        let queues = infos.into_iter().map(|queue| Queue {
            change_per_second: rate(&queue.name),
            oldest_seconds: queue.oldest.map(|oldest| (at - oldest).num_seconds().max(0)),
            name: queue.name,
            available: queue.available,
            scheduled: queue.scheduled,
            retrying: queue.retrying,
            running: queue.running,
            paused: queue.paused_at.is_some(),
        });
        let failures = failures.into_iter().map(|job| Failed {
            id: job.id.to_string(),
            queue: job.queue,
            task: job.task,
            finished_at: job.finished_at,
            error: job
                .errors
                .last()
                .and_then(|error| error.message.lines().next())
                .unwrap_or_default()
                .to_owned(),
        });
        Ok(Sample {
            at,
            schema: self.lavoro.schema().to_owned(),
            throughput,
            queues: queues.collect(),
            failures: failures.collect(),
        })
    }
}

fn per_second(change: i64, then: &Instant, now: Instant) -> Option<f64> {
    let seconds = (now - *then).as_secs_f64();
    (seconds > 0.0).then(|| (change as f64 / seconds * 10.0).round() / 10.0)
}
