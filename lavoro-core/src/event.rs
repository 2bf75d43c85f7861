//! What happens to the jobs of a worker, as it tells those who listen.

use crate::job::{JobId, Ticket};
use crate::outcome::Failure;
use std::sync::Arc;
use std::time::Duration;

/// The attempt that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventJob {
    /// The job's number.
    pub id: JobId,
    /// The task.
    pub task: Arc<str>,
    /// The queue.
    pub queue: Arc<str>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// How many attempts the job has in all.
    pub max_attempts: u32,
    /// How long the job was due before it was claimed, by the server's clock. Only of first
    /// attempts. A first attempt that was not counted (a snooze, a release) is followed by
    /// another one.
    pub waited: Option<Duration>,
    /// From the hand-out to the report of its outcome, by the local clock. `None` before that,
    /// and if it was never handed out.
    pub ran: Option<Duration>,
}

/// Something that happened in a worker. What is told of an outcome is committed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A job was handed out.
    Started {
        /// The attempt.
        job: EventJob,
    },
    /// A handler said how far it has come.
    Progressed {
        /// The attempt.
        job: EventJob,
        /// From 0 to 100.
        percent: Option<f32>,
        /// For people.
        message: Option<Arc<str>>,
    },
    /// A job completed.
    Completed {
        /// The attempt.
        job: EventJob,
    },
    /// An attempt failed. `Retried` or `Discarded` follows at once.
    Failed {
        /// The attempt.
        job: EventJob,
        /// What went wrong.
        failure: Arc<Failure>,
    },
    /// A job waits for its next attempt.
    Retried {
        /// The attempt that failed.
        job: EventJob,
        /// How long it waits.
        delay: Duration,
    },
    /// A job was put off by its handler; the attempt is not counted.
    Snoozed {
        /// The attempt.
        job: EventJob,
        /// For how long.
        delay: Duration,
    },
    /// A job was handed back; the attempt is not counted.
    Released {
        /// The attempt.
        job: EventJob,
    },
    /// A job failed for good, or the last time.
    Discarded {
        /// The attempt.
        job: EventJob,
        /// What went wrong.
        failure: Arc<Failure>,
    },
    /// A job was cancelled.
    Cancelled {
        /// The attempt.
        job: EventJob,
        /// Why, if anybody said so.
        reason: Option<Arc<Failure>>,
    },
    /// Nothing is left in a queue that this worker may claim: told once, until it has claimed
    /// from the queue again. Others may still run its jobs.
    QueueEmpty {
        /// The queue.
        queue: Arc<str>,
    },
}

impl Event {
    /// The event's name: `started`, `progressed`, `completed`, `failed`, `retried`, `snoozed`,
    /// `released`, `discarded`, `cancelled` or `queue_empty`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Progressed { .. } => "progressed",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Retried { .. } => "retried",
            Self::Snoozed { .. } => "snoozed",
            Self::Released { .. } => "released",
            Self::Discarded { .. } => "discarded",
            Self::Cancelled { .. } => "cancelled",
            Self::QueueEmpty { .. } => "queue_empty",
        }
    }

    /// The attempt that it is about; none for `queue_empty`.
    #[must_use]
    pub const fn job(&self) -> Option<&EventJob> {
        match self {
            Self::Started { job }
            | Self::Progressed { job, .. }
            | Self::Completed { job }
            | Self::Failed { job, .. }
            | Self::Retried { job, .. }
            | Self::Snoozed { job, .. }
            | Self::Released { job }
            | Self::Discarded { job, .. }
            | Self::Cancelled { job, .. } => Some(job),
            Self::QueueEmpty { .. } => None,
        }
    }

    /// The queue that it is about.
    #[must_use]
    pub fn queue(&self) -> &str {
        match self {
            Self::QueueEmpty { queue } => queue,
            other => other.job().map_or("", |job| &job.queue),
        }
    }
}

impl EventJob {
    pub(crate) fn of(ticket: &Ticket) -> Self {
        Self {
            id: ticket.id,
            task: Arc::clone(&ticket.task),
            queue: Arc::clone(&ticket.queue),
            attempt: ticket.attempt,
            max_attempts: ticket.max_attempts,
            waited: ticket.times.waited,
            ran: ticket.times.ran,
        }
    }
}
