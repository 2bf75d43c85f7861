//! Which workers are lost.
//!
//! A worker counts as lost when its heartbeat has stood still for a lease both by the server's
//! clock and by this process's own: neither a jump of the one nor a pause of the other takes a
//! worker for dead that lives. Whatever this process could not see (an outage, its own start or
//! pause) does not count as silence, so nobody is lost until one lease after it.

use crate::sabotage::{self, Mutant};
use crate::store::SilentWorker;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::time::Duration;

/// What was seen of workers' heartbeats, by the local clock.
#[derive(Debug)]
pub(super) struct Watch {
    scan: Duration,
    /// Each worker's last heartbeat, and since when it has been seen standing there.
    beats: HashMap<i64, (DateTime<Utc>, Duration)>,
    /// When the last scan was answered.
    looked: Duration,
}

impl Watch {
    /// Starts watching, with a look every `scan`.
    pub(super) fn new(scan: Duration, now: Duration) -> Self {
        Self { scan, beats: HashMap::new(), looked: now }
    }

    /// Takes a scan's answer in. Answers those who are lost by both clocks.
    pub(super) fn lost(&mut self, workers: Vec<SilentWorker>, now: Duration) -> Vec<SilentWorker> {
        // An answer that took long, or a pause of this process, hides heartbeats.
        let blind = now.saturating_sub(self.looked);
        self.looked = now;
        if workers.iter().any(|worker| blind > self.scan + worker.lease / 3) {
            self.forget();
        }
        let mut beats = HashMap::with_capacity(workers.len());
        let mut lost = Vec::new();
        for worker in workers {
            let since = match self.beats.get(&worker.id) {
                Some((beat, since)) if *beat == worker.beat_at => *since,
                _ => now,
            };
            beats.insert(worker.id, (worker.beat_at, since));
            let seen_silent = now.saturating_sub(since) >= worker.lease;
            if worker.silent && (seen_silent || sabotage::is(Mutant::OneClock)) {
                lost.push(worker);
            }
        }
        self.beats = beats;
        lost
    }

    /// Nothing that was seen counts any more.
    pub(super) fn forget(&mut self) {
        self.beats.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: u64 = 15;

    /// What a scan at each of these seconds answers for a worker whose last heartbeat was at
    /// `beat` by the server's clock, which calls it silent.
    fn scans(watch: &mut Watch, beat: i64, seconds: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let look = |second| {
            let worker = SilentWorker {
                id: 1,
                beat_at: DateTime::from_timestamp(beat, 0).unwrap(),
                lease: Duration::from_secs(LEASE),
                silent: true,
            };
            !watch.lost(vec![worker], Duration::from_secs(second)).is_empty()
        };
        seconds.into_iter().map(look).collect()
    }

    fn watch() -> Watch {
        Watch::new(Duration::from_secs(1), Duration::ZERO)
    }

    #[test]
    fn silence_counts_from_when_it_was_first_seen() {
        let answers = scans(&mut watch(), 100, 1..=20);
        assert_eq!(answers.iter().position(|lost| *lost), Some(15), "{answers:?}");
    }

    #[test]
    fn a_heartbeat_starts_the_count_anew_whatever_the_servers_clock_says() {
        let mut watch = watch();
        assert!(!scans(&mut watch, 100, 1..=15).contains(&true));
        assert!(!scans(&mut watch, 50, 16..=30).contains(&true), "the clock jumped back");
        assert_eq!(scans(&mut watch, 50, [31]), [true]);
    }

    #[test]
    fn what_could_not_be_seen_is_no_silence() {
        let mut watch = watch();
        assert!(!scans(&mut watch, 100, 1..=10).contains(&true));
        // The next answer comes two leases later: the database or this process hung.
        assert!(!scans(&mut watch, 100, 40..55).contains(&true));
        assert_eq!(scans(&mut watch, 100, [55]), [true]);
    }

    #[test]
    fn after_a_failed_scan_the_count_starts_anew() {
        let mut watch = watch();
        scans(&mut watch, 100, 1..=14);
        watch.forget();
        assert!(!scans(&mut watch, 100, 15..=29).contains(&true));
    }
}
