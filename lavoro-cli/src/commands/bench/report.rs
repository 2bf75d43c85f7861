//! What was measured.

use super::ceiling::Ceiling;
use super::flow::Flow;
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
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
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
    /// None: pgbench is missing, or the database is not our own.
    pub(super) bare_inserts: Option<Ceiling>,
    pub(super) steady_1000: Flow,
    pub(super) steady_200: Flow,
    /// The most memory of this process while jobs flowed, in MiB. It enqueues and works.
    pub(super) peak_mib: Option<f64>,
    /// While an old snapshot was open.
    pub(super) drain_pinned: Option<Rate>,
}

/// A figure that is judged.
struct Bar {
    name: &'static str,
    figure: Option<f64>,
    /// What it is to be at least, or at most.
    limit: f64,
    at_most: bool,
}

impl Report {
    /// What the figures are judged by. Those that are ratios to pgbench are of this same run.
    fn bars(&self) -> Vec<Bar> {
        let ratio = |rate: Rate, to: Option<f64>| to.map(|to| rate.per_second / to);
        let one = self.bare_inserts.map(|bare| bare.one);
        let sixteen = self.bare_inserts.map(|bare| bare.sixteen);
        let (steady, light) = (&self.steady_1000, &self.steady_200);
        let cpu =
            light.client_cpu_s.zip(light.server_cpu_s).map(|(client, server)| client + server);
        let drain = Some(self.drain.per_second);
        let pinned = self.drain_pinned.and_then(|pinned| ratio(pinned, drain));
        let least = |name, figure, limit| Bar { name, figure, limit, at_most: false };
        let most = |name, figure, limit| Bar { name, figure, limit, at_most: true };
        vec![
            least("one by one / a bare insert", ratio(self.enqueue_one_by_one, one), 0.8),
            least("64 tasks / bare inserts of 16", ratio(self.enqueue_64_concurrent, sixteen), 3.0),
            least("drain, old snapshot / without", pinned, 0.85),
            most("server CPU of a job, µs", self.server_cpu_us_per_job, 12.0),
            most("WAL of a job, B", Some(self.wal_bytes_per_job), 450.0),
            most("pick-up p50, ms", Some(self.pickup_from_call.p50_ms), 2.5),
            most("pick-up p99, ms", Some(self.pickup_from_call.p99_ms), 8.0),
            most("at 1000 jobs/s p50, ms", Some(steady.latency.p50_ms), 4.0),
            most("at 1000 jobs/s p99, ms", Some(steady.latency.p99_ms), 40.0),
            most("200 jobs/s for 20 s, CPU s", cpu.map(|cpu| cpu * 20.0 / light.seconds()), 5.0),
            most("memory of this process, MiB", self.peak_mib, 12.0),
        ]
    }

    fn judged(&self) -> String {
        let mut table = Table::new(&["BAR", ">FIGURE", ">BAR", "MET"]);
        for Bar { name, figure, limit, at_most } in self.bars() {
            let met = figure.map(|figure| if at_most { figure <= limit } else { figure >= limit });
            let met = met.map_or("n/a", |met| if met { "yes" } else { "no" });
            let figure = figure.map_or("n/a".to_owned(), |figure| format!("{figure:.2}"));
            let sign = if at_most { "≤" } else { "≥" };
            table.row(&[name, &figure, &format!("{sign} {limit}"), met]);
        }
        let bare = self.bare_inserts.map_or(
            "There was no pgbench, or no server of our own, to compare with.\n".to_owned(),
            |bare| {
                format!("pgbench: {:.0} bare inserts/s, from 16 {:.0}\n", bare.one, bare.sixteen)
            },
        );
        format!("{}{bare}", table.render())
    }

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
        let judged = self.judged();
        format!("{}\n{judged}\nMeasured on {}.{profile}{memory}\n", table.render(), self.place)
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
