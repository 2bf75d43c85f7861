//! The same figures as Prometheus reads them.

use super::{Figures, QueueStatistics, TaskStatistics, Totals};
use crate::fleet::{WorkerInfo, WorkerState};
use crate::metrics::{self, Family};

/// How many pairs of queue and task are told of.
const PAIRS: usize = 1000;

/// All of it as text.
pub(crate) fn text(
    queues: &[QueueStatistics],
    totals: &[Totals],
    workers: &[WorkerInfo],
) -> String {
    let mut families = Families::new();
    let pairs = queues.iter().flat_map(|queue| queue.tasks.iter().map(move |task| (queue, task)));
    for (queue, task) in pairs.take(PAIRS) {
        families.add(&queue.queue, task);
    }
    let mut paused = Family::new("lavoro_queue_paused", "Whether a queue is paused");
    for queue in queues.iter().take(PAIRS) {
        let is_paused = f64::from(u8::from(queue.paused_at.is_some()));
        paused.gauge(&[("queue", &queue.queue)], is_paused);
    }
    let mut attempts = Family::new("lavoro_attempts", "Attempts that ended, as workers recorded");
    for total in totals.iter().take(PAIRS) {
        for (outcome, count) in total.outcomes {
            let labels = [
                ("queue", total.queue.as_str()),
                ("task", total.task.as_str()),
                ("outcome", outcome),
            ];
            attempts.counter(&labels, count);
        }
    }
    let mut alive = Family::new("lavoro_workers", "Workers with a heartbeat within their lease");
    let living = workers.iter().filter(|worker| worker.state == WorkerState::Alive).count();
    alive.gauge(&[], living as f64);
    let Families { jobs, oldest, unhandled, rates, waits, runs } = families;
    metrics::text(vec![alive, jobs, oldest, unhandled, paused, attempts, rates, waits, runs])
}

struct Families {
    jobs: Family,
    oldest: Family,
    unhandled: Family,
    rates: Family,
    waits: Family,
    runs: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            jobs: Family::new("lavoro_jobs", "Jobs by queue, task and state"),
            oldest: Family::new(
                "lavoro_oldest_wait_seconds",
                "For how long the oldest available job has been due",
            ),
            unhandled: Family::new(
                "lavoro_unhandled_jobs",
                "Waiting jobs of tasks that no live worker handles in their queue",
            ),
            rates: Family::new("lavoro_attempts_per_second", "Attempts that ended in the window"),
            waits: Family::new("lavoro_wait_quantile_seconds", "Waiting, within the window"),
            runs: Family::new("lavoro_run_quantile_seconds", "Running, within the window"),
        }
    }

    fn add(&mut self, queue: &str, task: &TaskStatistics) {
        let figures = &task.figures;
        let pair = [("queue", queue), ("task", task.task.as_str())];
        for (state, count) in states(figures) {
            self.jobs.gauge(&[pair[0], pair[1], ("state", state)], count as f64);
        }
        self.oldest.gauge(&pair, figures.oldest_wait.unwrap_or_default().as_secs_f64());
        for (outcome, rate) in rates(figures) {
            self.rates.gauge(&[pair[0], pair[1], ("outcome", outcome)], rate);
        }
        for (family, quantiles) in [(&mut self.waits, figures.wait), (&mut self.runs, figures.run)]
        {
            let Some(quantiles) = quantiles else { continue };
            let values = [("0.5", quantiles.p50), ("0.95", quantiles.p95), ("0.99", quantiles.p99)];
            for (quantile, value) in values {
                family.gauge(&[pair[0], pair[1], ("quantile", quantile)], value.as_secs_f64());
            }
        }
        if task.unhandled {
            let waiting = figures.available + figures.scheduled + figures.retrying;
            self.unhandled.gauge(&pair, waiting as f64);
        }
    }
}

fn states(figures: &Figures) -> [(&'static str, i64); 4] {
    [
        ("available", figures.available),
        ("scheduled", figures.scheduled),
        ("retrying", figures.retrying),
        ("running", figures.running),
    ]
}

fn rates(figures: &Figures) -> [(&'static str, f64); 4] {
    [
        ("completed", figures.completed_per_second),
        ("retried", figures.retried_per_second),
        ("cancelled", figures.cancelled_per_second),
        ("discarded", figures.discarded_per_second),
    ]
}
