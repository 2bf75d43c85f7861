//! The verdict: the first of many possible reasons.

use super::{BusyWorker, Reason, Why};
use crate::fleet::{WorkerInfo, WorkerState};
use crate::job::{JobId, JobInfo, JobState};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::time::Duration;

/// How many jobs of a queue a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) worker: i64,
    pub(crate) queue: String,
    pub(crate) running: u32,
}

/// All that a verdict needs, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// By the server's clock.
    pub(crate) now: DateTime<Utc>,
    pub(crate) job: JobInfo,
    pub(crate) paused_at: Option<DateTime<Utc>>,
    pub(crate) cancel_at: Option<DateTime<Utc>>,
    /// Another job that holds its unique key.
    pub(crate) key_holder: Option<JobId>,
    pub(crate) suspect: bool,
    /// When a job that waits for its time is due.
    pub(crate) due_at: Option<DateTime<Utc>>,
    /// How many jobs of its lane come before it, and whether all were counted.
    pub(crate) ahead: u64,
    pub(crate) ahead_at_least: bool,
    pub(crate) holder: Option<Holder>,
    /// The workers that have not ended.
    pub(crate) workers: Vec<WorkerInfo>,
    pub(crate) loads: Vec<Load>,
}

/// The worker that holds a job.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    /// `None`: it is not in the books any more.
    pub(crate) beat_at: Option<DateTime<Utc>>,
    pub(crate) lease: Duration,
    pub(crate) ended: bool,
}

impl Facts {
    /// The verdict.
    pub(crate) fn judge(&self) -> Why {
        let reason = match self.job.state {
            state if state.is_final() => self.ended(),
            JobState::Running => self.running(),
            _ => self.waiting(),
        };
        let message = self.message(&reason);
        Why { id: self.job.id, state: self.job.state, reason, message }
    }

    fn ended(&self) -> Reason {
        let finished_at = self.job.finished_at;
        if let (Some(holder), Some(key)) = (self.key_holder, &self.job.unique_key) {
            return Reason::UniqueKey { finished_at, unique_key: key.clone(), holder };
        }
        let last = self.job.errors.last();
        if self.job.state == JobState::Cancelled && last.is_some_and(|e| e.kind == "expired") {
            return Reason::Expired { expires_at: self.job.expires_at };
        }
        Reason::Ended { finished_at, error: self.last_error() }
    }

    fn running(&self) -> Reason {
        let (worker, started_at) = (self.job.worker.clone(), self.job.started_at);
        if let Some(lost) = self.lost_worker() {
            return lost;
        }
        match self.cancel_at {
            Some(requested_at) => Reason::CancelRequested { worker, started_at, requested_at },
            None => Reason::Running { worker, started_at },
        }
    }

    /// A worker whose heartbeat is overdue by far: half a lease is two heartbeats and more.
    fn lost_worker(&self) -> Option<Reason> {
        let holder = self.holder.as_ref()?;
        let silent = match holder.beat_at {
            Some(beat_at) => {
                let silence = (self.now - beat_at).to_std().unwrap_or_default();
                holder.ended || silence > holder.lease / 2
            }
            None => true,
        };
        let rescue_at = match holder.beat_at {
            Some(beat_at) if !holder.ended => beat_at + holder.lease,
            _ => self.now,
        };
        silent.then(|| Reason::LostWorker {
            worker: self.job.worker.clone(),
            beat_at: holder.beat_at,
            rescue_at,
            rescuers: self.live().count(),
        })
    }

    fn waiting(&self) -> Reason {
        let expired = self.job.expires_at.filter(|at| *at <= self.now && self.job.attempt == 0);
        if let Some(expires_at) = expired {
            return Reason::Expired { expires_at: Some(expires_at) };
        }
        if let Some(run_at) = self.due_at {
            return self.not_due(run_at);
        }
        if let Some(paused_at) = self.paused_at {
            return Reason::PausedQueue { queue: self.job.queue.clone(), paused_at };
        }
        let able = match self.able() {
            Ok(able) => able,
            Err(reason) => return reason,
        };
        let free: Vec<&WorkerInfo> =
            able.iter().copied().filter(|worker| !self.slots(worker).is_full()).collect();
        if free.is_empty() {
            return self.busy(&able);
        }
        if self.suspect {
            // A process runs one suspect at a time, whichever of its workers holds it.
            let process = |worker: &WorkerInfo| (worker.host.clone(), worker.pid);
            let taken: BTreeSet<_> =
                self.live().filter(|worker| worker.holds_suspect).map(process).collect();
            let processes: BTreeSet<_> = free.into_iter().map(process).collect();
            if processes.is_subset(&taken) {
                return Reason::Suspect { processes: processes.len() };
            }
        }
        if self.ahead > 0 {
            return Reason::Behind { jobs: self.ahead, at_least: self.ahead_at_least };
        }
        Reason::AboutToBeClaimed
    }

    fn not_due(&self, run_at: DateTime<Utc>) -> Reason {
        if run_at <= self.now {
            return Reason::NotPromoted { run_at, promoters: self.live().count() };
        }
        if self.job.state == JobState::Retrying {
            return Reason::Retrying {
                run_at,
                attempt: self.job.attempt,
                max_attempts: self.job.max_attempts,
                error: self.last_error(),
            };
        }
        Reason::Scheduled { run_at }
    }

    fn live(&self) -> impl Iterator<Item = &WorkerInfo> {
        self.workers.iter().filter(|worker| worker.state == WorkerState::Alive)
    }

    /// The live workers that could take the job, or why there is none.
    fn able(&self) -> Result<Vec<&WorkerInfo>, Reason> {
        let job = &self.job;
        if self.live().next().is_none() {
            return Err(Reason::NoWorker);
        }
        let handling: Vec<&WorkerInfo> = self.live().filter(|w| w.handles(&job.task)).collect();
        if handling.is_empty() {
            let tasks: BTreeSet<&String> = self.live().flat_map(|w| &w.tasks).collect();
            let tasks = tasks.into_iter().cloned().collect();
            return Err(Reason::NoWorkerForTask { task: job.task.clone(), tasks });
        }
        let able: Vec<&WorkerInfo> =
            handling.iter().copied().filter(|w| w.serves(&job.queue).is_some()).collect();
        if able.is_empty() {
            let queues: BTreeSet<&String> = handling.iter().flat_map(|w| w.queues.keys()).collect();
            let queues = queues.into_iter().cloned().collect();
            return Err(Reason::NoWorkerForQueue { queue: job.queue.clone(), queues });
        }
        Ok(able)
    }

    /// The slots of a worker that the job would take one of.
    fn slots(&self, worker: &WorkerInfo) -> Slots {
        let Some((pattern, how)) = worker.serves(&self.job.queue) else {
            return Slots { used: 0, limit: 0 };
        };
        let own = self.loads.iter().filter(|load| {
            let served = worker.serves(&load.queue).is_some_and(|(own, _)| own == pattern);
            load.worker == worker.id && served
        });
        let used = own.map(|load| load.running).sum();
        if worker.running >= worker.slots && worker.slots > 0 {
            return Slots { used: worker.running, limit: worker.slots };
        }
        Slots { used, limit: how.concurrency }
    }

    fn busy(&self, able: &[&WorkerInfo]) -> Reason {
        let workers = able.iter().map(|worker| {
            let slots = self.slots(worker);
            BusyWorker {
                id: worker.id,
                name: worker.name.clone(),
                running: slots.used,
                slots: slots.limit,
                oldest_running_ms: worker.oldest_running_ms,
            }
        });
        Reason::Busy {
            workers: workers.collect(),
            oldest_running_ms: able.iter().filter_map(|worker| worker.oldest_running_ms).max(),
        }
    }

    fn last_error(&self) -> Option<String> {
        self.job.errors.last().map(|error| error.message.clone())
    }
}

/// Slots of which a job would take one.
struct Slots {
    used: u32,
    limit: u32,
}

impl Slots {
    fn is_full(&self) -> bool {
        self.used >= self.limit
    }
}
