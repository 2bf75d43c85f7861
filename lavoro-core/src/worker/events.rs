//! Telling those who listen, and the tally, what happens to jobs.
//!
//! Events go into a ring that holds the newest: whoever reads too slowly misses the oldest and
//! is told how many. Nothing is built while nobody listens.

use super::tally::Tally;
use crate::event::{Event, EventJob};
use crate::job::{Job, ProgressListener, Ticket};
use crate::outcome::{Failure, Outcome};
use crate::store::Store;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// How many events are kept for those who are slow. Only messages of failures are large: 16 KiB
/// each at most, so 16 MiB if everything fails with the longest.
const RING: usize = 1024;
/// How long a stopping worker tries to write its last counts.
const LAST_COUNTS: Duration = Duration::from_secs(2);

/// Where events come from.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) tally: Tally,
    listeners: Arc<AtomicUsize>,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
enum Ring {
    /// Nobody has listened yet.
    Unused,
    Open(broadcast::Sender<Event>),
    /// The worker has ended.
    Closed,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { tally: Tally::new(), listeners: Arc::default(), ring: Mutex::new(Ring::Unused) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens, from now on.
    pub(super) fn listen(&self) -> EventStream {
        let mut ring = self.ring();
        if matches!(*ring, Ring::Unused) {
            *ring = Ring::Open(broadcast::Sender::new(RING));
        }
        let receiver = match &*ring {
            Ring::Open(sender) => sender.subscribe(),
            Ring::Unused | Ring::Closed => broadcast::Sender::new(1).subscribe(),
        };
        self.listeners.fetch_add(1, Ordering::Relaxed);
        EventStream { receiver, missed: 0, listeners: Arc::clone(&self.listeners) }
    }

    /// The worker has ended: no more events will come, and the last counts are written.
    pub(super) async fn close(&self, store: &Store, worker: i64) {
        self.silence();
        let _ = tokio::time::timeout(LAST_COUNTS, self.tally.flush(store, worker)).await;
    }

    /// No more events will come.
    pub(super) fn silence(&self) {
        *self.ring() = Ring::Closed;
    }

    fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, events: impl IntoIterator<Item = Event>) {
        if let Ring::Open(sender) = &*self.ring() {
            for event in events {
                // An error means that nobody listens any more.
                let _ = sender.send(event);
            }
        }
    }

    /// Jobs were handed out.
    pub(super) fn started(self: &Arc<Self>, jobs: &mut [Job]) {
        for job in &mut *jobs {
            job.listener = Some(Arc::clone(self) as Arc<dyn ProgressListener>);
        }
        for ticket in jobs.iter().map(|job| &job.ticket) {
            // A suspect has been leased before, which says nothing about waiting.
            if let Some(waited) = ticket.times.waited.filter(|_| !ticket.suspect) {
                self.tally.waited(&ticket.queue, &ticket.task, waited);
            }
        }
        if self.is_heard() {
            self.tell(jobs.iter().map(|job| Event::Started { job: EventJob::of(&job.ticket) }));
        }
    }

    /// An outcome was committed.
    pub(super) fn ended(&self, ticket: &Ticket, outcome: Outcome) {
        let is_last = ticket.attempt >= ticket.max_attempts;
        let ran = ticket.times.ran;
        self.tally.ended(&ticket.queue, &ticket.task, is_last, &outcome, ran);
        if !self.is_heard() {
            return;
        }
        let job = EventJob::of(ticket);
        let failed = |job: &EventJob, failure: &Arc<Failure>| Event::Failed {
            job: job.clone(),
            failure: Arc::clone(failure),
        };
        match outcome {
            Outcome::Complete { .. } => self.tell([Event::Completed { job }]),
            Outcome::Retry { failure, delay } if !is_last => {
                let delay = delay.unwrap_or_default();
                self.tell([failed(&job, &Arc::new(failure)), Event::Retried { job, delay }]);
            }
            Outcome::Retry { failure, .. } | Outcome::Fail { failure } => {
                let failure = Arc::new(failure);
                self.tell([failed(&job, &failure), Event::Discarded { job, failure }]);
            }
            Outcome::Snooze { delay } => self.tell([Event::Snoozed { job, delay }]),
            Outcome::Cancel { reason } => {
                self.tell([Event::Cancelled { job, reason: reason.map(Arc::new) }]);
            }
            Outcome::Release => self.tell([Event::Released { job }]),
        }
    }

    /// Nothing is left in a queue that the worker may claim.
    pub(super) fn empty(&self, queue: &Arc<str>) {
        if self.is_heard() {
            self.tell([Event::QueueEmpty { queue: Arc::clone(queue) }]);
        }
    }
}

impl ProgressListener for Events {
    fn progressed(&self, ticket: &Ticket, percent: Option<f32>, message: Option<&str>) {
        if self.is_heard() {
            let (job, message) = (EventJob::of(ticket), message.map(Arc::from));
            self.tell([Event::Progressed { job, percent, message }]);
        }
    }
}

/// What happens in a worker, from the moment of listening on. Any number may listen. Whoever
/// falls behind by more than 1024 events misses the oldest of them, and slows nobody down.
#[derive(Debug)]
pub struct EventStream {
    receiver: broadcast::Receiver<Event>,
    missed: u64,
    listeners: Arc<AtomicUsize>,
}

impl EventStream {
    /// Waits for the next event. `None`: the worker has ended. Usable from any async executor;
    /// dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were missed so far because they were not read in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}
