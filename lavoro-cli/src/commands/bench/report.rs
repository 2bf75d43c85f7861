//! What was measured.

use crate::output::Table;
use serde::Serialize;
use std::time::Duration;

/// Something done many times.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Rate {
    jobs: u32,
    seconds: f64,
    per_second: f64,
}

impl Rate {
    /// So many jobs in so much time.
    pub(super) fn new(jobs: u32, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self { jobs, seconds, per_second: f64::from(jobs) / seconds }
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    jobs: usize,
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    /// The quantiles of these times.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let ms = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self { jobs: times.len(), p50_ms: ms(50), p99_ms: ms(99) }
    }
}

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) place: String,
    pub(super) is_durable: Option<bool>,
    pub(super) enqueue_one_by_one: Rate,
    pub(super) enqueue_64_concurrent: Rate,
    pub(super) enqueue_bulk: Rate,
    pub(super) drain: Rate,
    pub(super) server_cpu_us_per_job: Option<f64>,
    /// Enqueued in bulk, claimed and completed.
    pub(super) wal_bytes_per_job: f64,
    pub(super) pickup_from_call: Latency,
    pub(super) pickup_from_acknowledgement: Latency,
}

impl Report {
    /// The figures for people.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new(&["MEASURE", ">JOBS", ">FIGURE", "UNIT"]);
        for (name, rate) in [
            ("enqueue, one by one", self.enqueue_one_by_one),
            ("enqueue, 64 tasks at once", self.enqueue_64_concurrent),
            ("enqueue, in bulk", self.enqueue_bulk),
            ("drain, 1000 at once", self.drain),
        ] {
            let figure = format!("{:.0}", rate.per_second);
            table.row(&[name, &rate.jobs.to_string(), &figure, "jobs/s"]);
        }
        let per_job = |figure: Option<f64>| figure.map_or("n/a".to_owned(), |f| format!("{f:.1}"));
        for (name, figure, unit) in [
            ("server CPU, claim + complete", self.server_cpu_us_per_job, "µs/job"),
            ("WAL, whole life", Some(self.wal_bytes_per_job), "B/job"),
        ] {
            let jobs = self.drain.jobs.to_string();
            table.row(&[name, &jobs, &per_job(figure), unit]);
        }
        for (name, latency) in [
            ("pick-up, from the call", self.pickup_from_call),
            ("pick-up, from the answer", self.pickup_from_acknowledgement),
        ] {
            for (which, ms) in [("p50", latency.p50_ms), ("p99", latency.p99_ms)] {
                let name = format!("{name}, {which}");
                table.row(&[&name, &latency.jobs.to_string(), &format!("{ms:.2}"), "ms"]);
            }
        }
        let profile =
            if cfg!(debug_assertions) { "\nA debug build: figures are too low." } else { "" };
        let memory = match self.is_durable {
            Some(false) => "\nThe data lay in memory (tmpfs): commits were too cheap. See --dir.",
            _ => "",
        };
        format!("{}\nMeasured on {}.{profile}{memory}\n", table.render(), self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_millis).collect());
        assert!((latency.p50_ms - 100.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p99_ms - 198.0).abs() < 1e-9, "{latency:?}");
        assert_eq!(Latency::of(Vec::new()).jobs, 0);
    }
}
