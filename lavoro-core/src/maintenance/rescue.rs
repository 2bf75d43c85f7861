//! Giving back the jobs of workers that were lost.
//!
//! A worker counts as lost when its heartbeat has stood still for a lease both by the server's
//! clock and by this process's own: neither a jump of the one nor a pause of the other takes a
//! worker for dead that lives. Whatever this process could not see (an outage, its own start)
//! does not count as silence, so nobody is rescued until one lease after it.

use crate::clock;
use crate::error::Result;
use crate::options::Timing;
use crate::outcome::{Failure, FailureKind};
use crate::service::Step;
use crate::store::{Ending, Final, Held, Return, SilentWorker, Store};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many leases one transaction takes apart.
const LEASES: usize = 100;

/// Watches heartbeats and takes the leases of the lost apart.
#[derive(Debug)]
pub(crate) struct Rescuer {
    store: Arc<Store>,
    scan: Duration,
    woken: Arc<Notify>,
    /// Each worker's last heartbeat, and since when it has been seen standing there.
    watched: HashMap<i64, (DateTime<Utc>, Duration)>,
    /// When the last scan was answered.
    looked: Duration,
}

impl Rescuer {
    pub(crate) fn new(store: Arc<Store>, timing: Timing, woken: Arc<Notify>) -> Self {
        Self { store, scan: timing.scan, woken, watched: HashMap::new(), looked: clock::now() }
    }

    /// The workers that are lost by both clocks.
    fn lost(&mut self, workers: Vec<SilentWorker>) -> Vec<SilentWorker> {
        let now = clock::now();
        // An answer that took long, or a pause of this very process, hides heartbeats like an
        // outage does.
        let blind = now.saturating_sub(self.looked);
        if workers.iter().any(|worker| blind > self.scan + worker.lease / 3) {
            self.watched.clear();
        }
        self.looked = now;
        let mut watched = HashMap::with_capacity(workers.len());
        let mut lost = Vec::new();
        for worker in workers {
            let since = match self.watched.get(&worker.id) {
                Some((beat, since)) if *beat == worker.beat_at => *since,
                _ => now,
            };
            watched.insert(worker.id, (worker.beat_at, since));
            if worker.silent && now.saturating_sub(since) >= worker.lease {
                lost.push(worker);
            }
        }
        self.watched = watched;
        lost
    }

    async fn rescue(&self, worker: &SilentWorker) -> Result<()> {
        loop {
            let rescued = self.store.rescue(worker, LEASES, judge).await?;
            let moved = rescued.returned + rescued.discarded;
            if moved > 0 {
                tracing::warn!(
                    worker = worker.id,
                    returned = rescued.returned,
                    discarded = rescued.discarded,
                    "rescued the jobs of a lost worker"
                );
                self.woken.notify_one();
                self.store.hint(rescued.queues).await?;
            }
            // Leases with jobs that a user's transaction is completing stay, and are looked at
            // again with the next scan.
            if moved == 0 || rescued.leases < LEASES {
                return self.store.end_silent(worker).await;
            }
        }
    }
}

impl Step for Rescuer {
    const NAME: &'static str = "rescuing";

    async fn run_once(&mut self) -> Result<Duration> {
        let workers = self.store.workers_to_watch().await?;
        for worker in self.lost(workers) {
            // One that cannot be rescued must not keep the others waiting.
            if let Err(error) = self.rescue(&worker).await {
                tracing::warn!(worker = worker.id, %error, "a rescue failed, and is tried again");
            }
        }
        Ok(self.scan)
    }

    fn failed(&mut self) {
        self.watched.clear();
    }
}

/// What becomes of a job whose worker was lost.
///
/// One that was merely leased beside others is not blamed: it returns as a suspect, and the
/// attempt is not counted. One that ran as a suspect was alone among its kind in that process,
/// so the loss counts as its failure.
fn judge(held: &Held) -> std::result::Result<Return, Ending> {
    let failure = |what: &str| Some(Failure::new(FailureKind::Lost, what));
    if !held.suspect {
        return Ok(Return {
            job: held.job,
            token: held.token,
            attempts: held.attempt - 1,
            suspect: true,
            delay: None,
            failure: failure("the worker was lost while it held this job among others"),
            counted: false,
        });
    }
    let failure = failure("the worker was lost while this job ran as its only suspect");
    if held.attempt >= held.max_attempts {
        return Err(Ending {
            job: held.job,
            token: held.token,
            place: None,
            keyed: held.keyed,
            state: Final::Discarded,
            result: None,
            failure,
        });
    }
    let backoff = held.backoff.unwrap_or_default();
    Ok(Return {
        job: held.job,
        token: held.token,
        attempts: held.attempt,
        suspect: true,
        delay: Some(backoff.delay(held.attempt, rand::random())),
        failure,
        counted: true,
    })
}
