//! Whether a worker is well, and its figures.

use super::board::Board;
use super::events::Events;
use crate::clock;
use crate::metrics::{self, Family};
use crate::store::Store;
use serde::{Serialize, Serializer};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the worker had contact with the database within 4/5 of its lease (one without
    /// gives its jobs up), and is not stuck.
    pub healthy: bool,
    /// Its number in the database, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub worker: i64,
    /// The age of the last heartbeat that was answered; milliseconds in JSON.
    #[serde(rename = "since_contact_ms", serialize_with = "millis")]
    pub since_contact: Duration,
    /// Jobs that have been handed out and whose outcomes have not been reported.
    pub running: usize,
    /// Jobs that wait in the worker to be handed out.
    pub waiting: usize,
    /// How many jobs the worker may hold at once.
    pub slots: usize,
    /// Whether the worker stops, and claims no more.
    pub stopping: bool,
    /// Whether every slot holds a handler that does not return though its attempt is over: the
    /// program should be started again. See [`PullWorker::stuck`](crate::PullWorker::stuck).
    pub stuck: bool,
}

/// When the database was last heard.
#[derive(Debug)]
pub(super) struct Contact(AtomicU64);

impl Contact {
    /// Heard now.
    pub(super) fn new() -> Self {
        let contact = Self(AtomicU64::new(0));
        contact.heard(clock::now());
        contact
    }

    /// Heard at this time of the local clock.
    pub(super) fn heard(&self, at: Duration) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        clock::now().saturating_sub(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// What is looked at to tell how a worker is.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) board: Arc<Board>,
    pub(super) contact: Arc<Contact>,
    pub(super) events: Arc<Events>,
    pub(super) worker: Arc<AtomicI64>,
    /// Cancelled when the worker stops, and when it has.
    pub(super) stop: CancellationToken,
    pub(super) ended: CancellationToken,
    /// After how long without contact the worker gives its jobs up.
    pub(super) fence: Duration,
}

impl Observer {
    pub(super) fn new(board: &Arc<Board>, worker: &Arc<AtomicI64>, fence: Duration) -> Self {
        Self {
            board: Arc::clone(board),
            contact: Arc::new(Contact::new()),
            events: Arc::new(Events::new()),
            worker: Arc::clone(worker),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            fence,
        }
    }

    /// The worker has stopped: nothing more is told, and the last counts are written.
    pub(super) async fn end(&self, store: &Store) {
        self.ended.cancel();
        self.events.close(store, self.worker.load(Ordering::Acquire)).await;
    }

    /// How the worker is.
    pub(super) fn health(&self) -> Health {
        let since_contact = self.contact.age();
        let (running, waiting, slots) = self.board.load();
        let stuck = self.board.stuck.is_cancelled();
        Health {
            healthy: since_contact <= self.fence && !stuck,
            worker: self.worker.load(Ordering::Acquire),
            since_contact,
            running,
            waiting,
            slots,
            stopping: self.stop.is_cancelled(),
            stuck,
        }
    }

    /// The worker's figures as `OpenMetrics` text.
    pub(super) fn metrics(&self) -> String {
        let health = self.health();
        let gauge = |name, help, value| {
            let mut family = Family::new(name, help);
            family.gauge(&[], value);
            family
        };
        let mut attempts = Family::new("lavoro_worker_attempts", "Attempts that ended, by outcome");
        let mut waits =
            Family::new("lavoro_worker_wait_seconds", "From due to the first attempt's claim");
        let mut runs =
            Family::new("lavoro_worker_run_seconds", "From hand-out to report of an attempt");
        for ((queue, task), counts) in self.events.tally.all() {
            let pair = [("queue", &*queue), ("task", &*task)];
            let outcomes = [
                ("completed", counts.completed),
                ("retried", counts.retried),
                ("snoozed", counts.snoozed),
                ("released", counts.released),
                ("cancelled", counts.cancelled),
                ("discarded", counts.discarded),
            ];
            for (outcome, count) in outcomes {
                attempts.counter(&[pair[0], pair[1], ("outcome", outcome)], count);
            }
            waits.histogram(&pair, &counts.waited);
            runs.histogram(&pair, &counts.ran);
        }
        let is_healthy = f64::from(u8::from(health.healthy));
        metrics::text(vec![
            gauge("lavoro_worker_healthy", "Whether the worker has contact", is_healthy),
            gauge(
                "lavoro_worker_since_contact_seconds",
                "Age of the last answered heartbeat",
                health.since_contact.as_secs_f64(),
            ),
            gauge("lavoro_worker_running", "Jobs handed out", health.running as f64),
            gauge("lavoro_worker_waiting", "Jobs to be handed out", health.waiting as f64),
            gauge("lavoro_worker_slots", "Jobs it may hold at once", health.slots as f64),
            attempts,
            waits,
            runs,
        ])
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::cast_possible_truncation, reason = "an age in milliseconds")]
fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}
