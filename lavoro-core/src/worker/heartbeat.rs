//! Showing that the worker lives, from a thread and a connection of its own.
//!
//! Nothing that the application or the rest of Lavoro does can delay it. It also learns here
//! what the database thinks of the worker: whether it is registered, and which leases stand.

use super::board::Board;
use super::finisher::Report;
use super::health::Contact;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Timing;
use crate::outcome::Outcome;
use crate::sabotage::{self, Mutant};
use crate::service::Patience;
use crate::store::{Registration, Store};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Renews the worker's right to its leases.
#[derive(Debug)]
pub(super) struct Heartbeat {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub(super) struct Pulse {
    pub(super) store: Arc<Store>,
    pub(super) board: Arc<Board>,
    pub(super) registration: Registration,
    pub(super) worker: Arc<AtomicI64>,
    pub(super) timing: Timing,
    pub(super) reports: mpsc::WeakUnboundedSender<Report>,
    pub(super) contact: Arc<Contact>,
}

impl Heartbeat {
    pub(super) fn start(pulse: Pulse) -> Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("lavoro-heartbeat".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(pulse.run(stopped)),
                    Err(error) => tracing::error!(%error, "the heartbeat cannot start"),
                }
            })
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "threads cannot be started").with_source(error)
            })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread and waits for it.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Pulse {
    async fn run(self, stop: CancellationToken) {
        let store = self.store.apart();
        let mut patience = Patience::default();
        let mut contact = clock::now();
        let mut fenced = false;
        while !stop.is_cancelled() {
            let sent = clock::now();
            // An answer that comes later than this is worth nothing: try another connection.
            let patient = self.timing.heartbeat.max(Duration::from_millis(500));
            let beat = tokio::time::timeout(patient, self.beat(&store));
            let fence_at = contact + self.timing.fence();
            let pause = tokio::select! {
                () = stop.cancelled() => break,
                () = until(fence_at), if !fenced => {
                    fenced = true;
                    self.fence();
                    continue;
                }
                answer = beat => match answer {
                    Ok(Ok(())) => {
                        contact = sent;
                        self.contact.heard(sent);
                        fenced = false;
                        patience.reset();
                        self.timing.heartbeat.saturating_sub(clock::now().saturating_sub(sent))
                    }
                    Ok(Err(error)) => patience.next_after("the heartbeat", &error).min(self.timing.heartbeat),
                    Err(_) => Duration::ZERO,
                }
            };
            let fence_at = contact + self.timing.fence();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = until(fence_at), if !fenced => {
                    fenced = true;
                    self.fence();
                }
                () = stop.cancelled() => {}
            }
        }
        store.close().await;
    }

    async fn beat(&self, store: &Store) -> Result<()> {
        if sabotage::is(Mutant::HeartbeatStops) && !self.board.is_drained() {
            return Ok(());
        }
        let known = self.board.leases();
        let beat = store.beat(self.worker.load(Ordering::Acquire)).await?;
        let standing: HashSet<Uuid> = beat.tokens.into_iter().collect();
        let lost: HashSet<Uuid> = known.difference(&standing).copied().collect();
        if !lost.is_empty() {
            self.board.lose(&lost);
        }
        if !beat.alive {
            // Others took us for dead and have taken our leases apart, or will.
            let worker = store.start_worker(&self.registration).await?;
            tracing::warn!(worker, "this worker was taken for lost, and has registered again");
            self.worker.store(worker, Ordering::Release);
        }
        Ok(())
    }

    fn fence(&self) {
        if sabotage::is(Mutant::NoSelfFence) {
            return;
        }
        tracing::warn!("no contact with the database for nearly a lease: giving up running jobs");
        let back = self.board.fence();
        if let Some(reports) = self.reports.upgrade() {
            for ticket in back {
                let _ = reports.send((ticket, Outcome::Release, None));
            }
        }
    }
}

/// Waits until the local clock shows `at`. Looks again now and then, since that clock goes on
/// while the machine is suspended and timers do not.
async fn until(at: Duration) {
    loop {
        let left = at.saturating_sub(clock::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_millis(500))).await;
    }
}
