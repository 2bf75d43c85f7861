//! Giving back the jobs of workers that were lost.
//!
//! Who counts as lost is said in `watch`.

use super::watch::Watch;
use crate::clock;
use crate::error::Result;
use crate::options::Timing;
use crate::outcome::{Failure, FailureKind};
use crate::sabotage::{self, Mutant};
use crate::service::Step;
use crate::store::{Ending, Final, Held, Return, SilentWorker, Store};
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
    watch: Watch,
}

impl Rescuer {
    pub(crate) fn new(store: Arc<Store>, timing: Timing, woken: Arc<Notify>) -> Self {
        Self { store, scan: timing.scan, woken, watch: Watch::new(timing.scan, clock::now()) }
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
        for worker in self.watch.lost(workers, clock::now()) {
            // One that cannot be rescued must not keep the others waiting.
            if let Err(error) = self.rescue(&worker).await {
                tracing::warn!(worker = worker.id, %error, "a rescue failed, and is tried again");
            }
        }
        Ok(self.scan)
    }

    fn failed(&mut self) {
        self.watch.forget();
    }
}

/// What becomes of a job whose worker was lost.
///
/// One that was merely leased beside others is not blamed: it returns as a suspect, and the
/// attempt is not counted. One that must not run again before a person has looked is discarded. One that ran as a suspect was alone among its kind in that process,
/// so the loss counts as its failure.
fn judge(held: &Held) -> std::result::Result<Return, Ending> {
    let failure = |what: &str| Some(Failure::new(FailureKind::Lost, what));
    let discard = |failure| Ending {
        job: held.job,
        token: held.token,
        place: None,
        keyed: held.keyed,
        state: Final::Discarded,
        result: None,
        failure,
    };
    if held.exclusive {
        return Err(discard(failure("the worker was lost, and its schedule holds such runs")));
    }
    if !held.suspect && !sabotage::is(Mutant::BlameNeighbours) {
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
    let counted = held.attempt - u32::from(sabotage::is(Mutant::NoAttemptCount));
    if counted >= held.max_attempts {
        return Err(discard(failure));
    }
    let backoff = held.backoff.unwrap_or_default();
    Ok(Return {
        job: held.job,
        token: held.token,
        attempts: counted,
        suspect: true,
        delay: Some(backoff.delay(held.attempt, rand::random())),
        failure,
        counted: true,
    })
}
