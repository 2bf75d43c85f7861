//! Claiming jobs for free slots.
//!
//! A queue is hot while its claims come back full. A claim that comes back short asks (peek)
//! whether anything is left; if others were merely holding it at that moment, the next claim
//! looks past what they hold. Hot queues share the free slots (`shares`); cold ones are looked
//! at with every poll and when a hint names them. When all queues are cold the worker says so,
//! looks once more, and then waits for a hint or the next poll.

use super::board::Board;
use super::events::Events;
use super::finisher::Report;
use super::serving::Serving;
use super::shares::Shares;
use super::slots::claimant;
use super::suspect::SuspectPlace;
use super::wake::Hints;
use crate::error::Result;
use crate::options::Timing;
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::sabotage::{self, Mutant};
use crate::service::Patience;
use crate::store::{Claim, Claimed, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// About how many bytes of payload one claim takes.
const BYTES: i64 = 16 << 20;
/// How many jobs one claim takes at most.
const JOBS: usize = 1000;
/// How many packs that others hold a claim looks past.
const SLACK: u32 = 64;
/// How often in a row a claim that got nothing is tried again before the next poll.
const MISSES: u32 = 20;
/// After how long without an idle moment the worker stops asking for hints.
const BUSY: Duration = Duration::from_millis(500);

/// The loop that claims.
pub(super) struct Fetcher {
    pub(super) store: Arc<Store>,
    pub(super) board: Arc<Board>,
    pub(super) serving: Arc<Serving>,
    pub(super) hints: Arc<Hints>,
    pub(super) reports: mpsc::WeakUnboundedSender<Report>,
    pub(super) events: Arc<Events>,
    pub(super) worker: Arc<AtomicI64>,
    pub(super) tasks: Arc<[String]>,
    pub(super) timing: Timing,
    pub(super) stop: CancellationToken,
}

/// What is known of a queue.
#[derive(Debug, Clone, Copy)]
struct Heat {
    hot: bool,
    /// How often in a row others held what was there.
    misses: u32,
    /// How many jobs a pack held lately.
    pack: f64,
    /// Nothing has been claimed since the queue was told to be empty.
    told_empty: bool,
}

impl Default for Heat {
    fn default() -> Self {
        Self { hot: true, misses: 0, pack: 1.0, told_empty: false }
    }
}

/// What the loop remembers.
#[derive(Debug, Default)]
struct Memory {
    /// Of every queue that has a name in the options, and of others while they are hot.
    heat: BTreeMap<Arc<str>, Heat>,
    shares: Shares,
    /// The number under which the database says that this worker waits for hints.
    idle: Option<i64>,
    idle_at: Option<Instant>,
    poll_at: Option<Instant>,
}

impl Fetcher {
    /// Claims until it is told to stop. An answer that is under way then is still taken in.
    pub(super) async fn run(self) {
        let heat = |queue: &Arc<str>| (Arc::clone(queue), Heat::default());
        let heat = self.serving.named().map(heat).collect();
        let mut memory = Memory { heat, ..Memory::default() };
        let mut patience = Patience::default();
        while !self.stop.is_cancelled() {
            match self.step(&mut memory).await {
                Ok(()) => patience.reset(),
                Err(error) => {
                    let pause = patience.next_after("claiming", &error);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
            }
        }
    }

    async fn step(&self, memory: &mut Memory) -> Result<()> {
        let free = self.board.free();
        if free.total == 0 {
            return self.wait_for_slot(memory).await;
        }
        self.take_hints(memory);
        if memory.poll_at.is_none_or(|at| at <= Instant::now()) {
            self.look(memory).await?;
        }
        let hot = memory.heat.iter().filter(|(_, heat)| heat.hot);
        let claimants: Vec<_> =
            hot.filter_map(|(queue, _)| claimant(&self.serving, &free, queue)).collect();
        if claimants.is_empty() {
            return self.wait_for_work(memory).await;
        }
        for (queue, share) in memory.shares.allot(&claimants, free.total) {
            // Slots may have gone to another queue's jobs meanwhile.
            let Some(claimant) = claimant(&self.serving, &self.board.free(), &queue) else {
                continue;
            };
            if self.stop.is_cancelled() {
                break;
            }
            let mut heat = memory.heat.get(&queue).copied().unwrap_or_default();
            let slots = share.min(claimant.free).min(JOBS);
            let got = self.claim(&queue, slots, &mut heat).await?;
            memory.shares.took(&claimant, got);
            self.remember(memory, queue, heat);
        }
        Ok(())
    }

    /// Queues that only a wildcard stands for may be many, and are forgotten when they cool.
    fn remember(&self, memory: &mut Memory, queue: Arc<str>, heat: Heat) {
        if heat.hot || self.serving.is_named(&queue) {
            memory.heat.insert(queue, heat);
        } else {
            memory.heat.remove(&queue);
        }
    }

    /// Queues that were named become hot.
    fn take_hints(&self, memory: &mut Memory) -> bool {
        let named = self.hints.take();
        for queue in &named {
            memory.heat.entry(queue.as_str().into()).or_default().hot = true;
        }
        !named.is_empty()
    }

    /// Looks which of the cold queues have work.
    async fn look(&self, memory: &mut Memory) -> Result<()> {
        memory.poll_at = Some(Instant::now() + self.timing.poll);
        let mut queues: BTreeSet<Arc<str>> = self.serving.named().cloned().collect();
        let prefixes = self.serving.prefixes();
        if !prefixes.is_empty() {
            queues.extend(self.store.discover(prefixes).await?.into_iter().map(Arc::from));
        }
        let free = self.board.free();
        queues.retain(|queue| {
            let cold = memory.heat.get(queue).is_none_or(|heat| !heat.hot);
            cold && claimant(&self.serving, &free, queue).is_some()
        });
        if !queues.is_empty() {
            for queue in self.peek(queues.iter()).await? {
                memory.heat.entry(queue.into()).or_default().hot = true;
            }
        }
        Ok(())
    }

    /// Claims up to `slots` jobs of a queue. Answers how many it got.
    async fn claim(&self, queue: &Arc<str>, slots: usize, heat: &mut Heat) -> Result<usize> {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        let packs = (f64::from(slots) / heat.pack).ceil() as u32 + 1;
        let depth = packs.min(slots) + if heat.misses > 0 { SLACK } else { 0 };
        let suspect = self.board.reserve_suspect();
        let claim = Claim {
            worker: self.worker.load(Ordering::Acquire),
            token: Uuid::new_v4(),
            queue: Arc::clone(queue),
            slots,
            tasks: Arc::clone(&self.tasks),
            bytes: BYTES,
            suspect,
            depth,
        };
        let claimed = match self.store.claim(&claim).await {
            Err(error) if error.is_transient() && !sabotage::is(Mutant::ForgetRecover) => {
                Ok(self.recover(&claim).await)
            }
            answer => answer,
        };
        let is_suspect = |claimed: &Claimed| claimed.jobs.iter().any(|job| job.ticket.suspect);
        if suspect && !claimed.as_ref().is_ok_and(is_suspect) {
            self.board.return_suspect();
        }
        let claimed = claimed?;
        let (got, packs) = (claimed.jobs.len(), claimed.packs);
        self.take_in(claimed);
        if got > 0 {
            heat.told_empty = false;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let pack = got as f64 / f64::from(packs.max(1));
            heat.pack = if packs >= depth && got < slots as usize { 1.0 } else { pack.max(1.0) };
        }
        if got == slots as usize {
            heat.misses = 0;
            return Ok(got);
        }
        heat.hot = self.peek(std::iter::once(queue)).await?.contains(&**queue);
        if !heat.hot && !std::mem::replace(&mut heat.told_empty, true) {
            self.events.empty(queue);
        }
        heat.misses = if heat.hot && got == 0 { heat.misses + 1 } else { 0 };
        if heat.misses > MISSES {
            // Someone holds it for long: look again with the next poll.
            (heat.hot, heat.misses) = (false, 0);
        } else if heat.misses > 0 {
            // Those who hold it need a moment; the fleet must not come back as one.
            let moment = Duration::from_micros(rand::random_range(200..3000));
            tokio::time::sleep(moment * heat.misses.div_ceil(4)).await;
        }
        Ok(got)
    }

    /// Puts claimed jobs in stock, except those that had expired: these end.
    fn take_in(&self, claimed: Claimed) {
        let (expired, jobs): (Vec<_>, Vec<_>) =
            claimed.jobs.into_iter().partition(|job| job.expired);
        self.board.stock(jobs);
        self.board.hold(expired.iter().map(|job| &job.ticket));
        let Some(reports) = self.reports.upgrade() else { return };
        for job in expired {
            let reason = "no attempt had begun when the job expired";
            let reason = Some(Failure::new(FailureKind::Expired, reason));
            let _ = reports.send((job.ticket, Outcome::Cancel { reason }, None));
        }
    }

    /// A claim's reply was lost: finds out what it got, for as long as that takes, since nobody
    /// else would run those jobs while this worker lives.
    async fn recover(&self, claim: &Claim) -> Claimed {
        let mut patience = Patience::default();
        loop {
            match self.store.resolve(claim).await {
                Ok(claimed) => return claimed,
                Err(error) => {
                    let pause = patience.next_after("recovering a claim", &error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Which of the queues have work for us.
    async fn peek(&self, queues: impl Iterator<Item = &Arc<str>>) -> Result<BTreeSet<String>> {
        let queues = queues.map(ToString::to_string).collect();
        let suspect = SuspectPlace::is_free();
        Ok(self.store.peek(queues, &self.tasks, suspect).await?.into_iter().collect())
    }

    /// Every slot is taken.
    async fn wait_for_slot(&self, memory: &mut Memory) -> Result<()> {
        let since = memory.idle_at.get_or_insert_with(Instant::now);
        if let Some(worker) = memory.idle.filter(|_| since.elapsed() > BUSY) {
            self.store.set_idle(worker, false).await?;
            memory.idle = None;
        }
        tokio::select! {
            () = self.board.freed.notified() => {}
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }

    /// Nothing is to be had for the free slots.
    async fn wait_for_work(&self, memory: &mut Memory) -> Result<()> {
        memory.idle_at = Some(Instant::now());
        let worker = self.worker.load(Ordering::Acquire);
        if memory.idle != Some(worker) {
            self.store.set_idle(worker, true).await?;
            memory.idle = Some(worker);
            // What was enqueued before this could be seen came without a hint.
            return self.look(memory).await;
        }
        let poll_at = memory.poll_at.unwrap_or_else(Instant::now);
        tokio::select! {
            () = tokio::time::sleep_until(poll_at) => {}
            () = self.hints.heard.notified() => {}
            () = self.board.freed.notified() => return Ok(()),
            () = self.stop.cancelled() => return Ok(()),
        }
        // A hint names its queue; anything else is a reason to look.
        if self.take_hints(memory) { Ok(()) } else { self.look(memory).await }
    }
}
