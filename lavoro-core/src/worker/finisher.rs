//! Recording outcomes, in batches, for as long as it takes.
//!
//! The first outcome goes at once; what arrives while it is being committed goes together. An
//! outcome is never given up: it is sent again until it is recorded or known to be refused.

use super::board::Board;
use super::events::Events;
use super::health::Observer;
use super::notebook::Notebook;
use crate::error::{ErrorKind, Result};
use crate::job::{JobId, Ticket};
use crate::limits::DELAY;
use crate::outcome::{Outcome, Verdict};
use crate::sabotage::{self, Mutant};
use crate::service::Patience;
use crate::store::{Ending, Final, Return, Store};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many outcomes one statement carries at most.
const BATCH: usize = 1000;
/// How long outcomes that a user's open transaction holds up wait before they are sent again.
const HELD_UP: Duration = Duration::from_millis(200);
/// How long a lease without running jobs may keep its row when nothing else is to be sent.
const TIDY: Duration = Duration::from_secs(1);

/// An outcome, and whoever waits for its verdict.
pub(super) type Report = (Ticket, Outcome, Option<oneshot::Sender<Verdict>>);

/// Takes outcomes and records them.
#[derive(Debug)]
pub(super) struct Finisher {
    reports: mpsc::UnboundedSender<Report>,
    task: JoinHandle<()>,
}

impl Finisher {
    pub(super) fn start(
        runtime: &Handle,
        store: &Arc<Store>,
        observer: &Observer,
        notebook: &Arc<Notebook>,
    ) -> Self {
        let (store, board) = (Arc::clone(store), Arc::clone(&observer.board));
        let (events, notebook) = (Arc::clone(&observer.events), Arc::clone(notebook));
        let (reports, waiting) = mpsc::unbounded_channel();
        let task = runtime.spawn(Recorder { store, board, notebook, events, waiting }.run());
        Self { reports, task }
    }

    /// Where outcomes are sent. Their number is bounded by the worker's slots.
    pub(super) fn sender(&self) -> mpsc::UnboundedSender<Report> {
        self.reports.clone()
    }

    /// Waits until all that was sent is recorded. Every other sender must be gone.
    pub(super) async fn close(self, patience: Duration) {
        drop(self.reports);
        let mut task = self.task;
        if timeout(patience, &mut task).await.is_err() {
            // The leases stand in the database, so that other workers will rescue the jobs.
            tracing::error!("outcomes could not be recorded before the worker's end");
            task.abort();
        }
    }
}

struct Recorder {
    store: Arc<Store>,
    board: Arc<Board>,
    notebook: Arc<Notebook>,
    events: Arc<Events>,
    waiting: mpsc::UnboundedReceiver<Report>,
}

impl Recorder {
    async fn run(mut self) {
        let mut reports = Vec::new();
        let mut held_up = Vec::new();
        loop {
            let idle = if held_up.is_empty() { TIDY } else { HELD_UP };
            let more = timeout(idle, self.waiting.recv_many(&mut reports, BATCH)).await;
            fix_delays(&mut reports);
            if more == Ok(0) {
                if held_up.is_empty() {
                    return;
                }
                tokio::time::sleep(HELD_UP).await;
            }
            if more.is_err() || more == Ok(0) {
                self.take_free(&mut held_up, &mut reports).await;
            }
            if !reports.is_empty() || self.board.has_settled() {
                held_up.extend(self.record(std::mem::take(&mut reports)).await);
            }
        }
    }

    /// Moves outcomes that nobody holds up any more.
    async fn take_free(&self, held_up: &mut Vec<Report>, reports: &mut Vec<Report>) {
        let jobs: Vec<JobId> = held_up.iter().map(|(ticket, _, _)| ticket.id).collect();
        if jobs.is_empty() {
            return;
        }
        if let Ok(free) = self.store.unlocked(jobs).await {
            let (free, held) = held_up.drain(..).partition(|(t, _, _)| free.contains(&t.id));
            reports.extend::<Vec<Report>>(free);
            *held_up = held;
        }
    }

    /// Records outcomes until each is decided. Answers those that are held up by others.
    async fn record(&self, reports: Vec<Report>) -> Vec<Report> {
        let mut patience = Patience::default();
        let mut held_up = Vec::new();
        // What a handler said is there when its job has ended.
        self.notebook.settle(reports.iter().map(|(ticket, _, _)| ticket)).await;
        let mut parts = apart(reports);
        while let Some(mut part) = parts.pop() {
            let Err(error) = self.try_record(&mut part, &mut held_up).await else { continue };
            let pause = patience.next_after("recording outcomes", &error);
            let is_blocked = error.kind() == ErrorKind::Timeout;
            if (is_blocked || !error.is_transient()) && part.len() > 1 {
                // One of them waits for a lock, or is refused by the database: not the others.
                let rest = part.split_off(part.len() / 2);
                parts.push(rest);
                parts.push(part);
            } else if is_blocked {
                held_up.append(&mut part);
            } else if !sabotage::is(Mutant::DropOutcomeOnError) {
                tokio::time::sleep(pause).await;
                parts.push(part);
            }
        }
        held_up
    }

    /// Sends outcomes once. Those that are decided, or held up, are taken out of `reports`, even
    /// if an error follows.
    async fn try_record(&self, reports: &mut Vec<Report>, held_up: &mut Vec<Report>) -> Result<()> {
        self.give_back(reports, held_up).await?;
        let endings: Vec<Ending> = reports.iter().filter_map(|(t, o, _)| ending(t, o)).collect();
        let tickets = reports.iter().map(|(ticket, _, _)| ticket);
        let drop = self.board.ending_with(tickets.clone());
        if endings.is_empty() && drop.is_empty() {
            return Ok(());
        }
        let finished = self.store.finish(&endings, &drop).await?;
        self.board.settle(tickets);
        self.board.dropped(&finished.dropped);
        let accepted = finished.jobs.into_iter().collect();
        self.answer(std::mem::take(reports), accepted).await;
        Ok(())
    }

    /// Sends the outcomes that let a job wait again, and takes them out of `reports`.
    async fn give_back(&self, reports: &mut Vec<Report>, held_up: &mut Vec<Report>) -> Result<()> {
        let returns: Vec<Return> = reports.iter().filter_map(|(t, o, _)| give_back(t, o)).collect();
        if returns.is_empty() {
            return Ok(());
        }
        let accepted: HashSet<JobId> = self.store.give_back(&returns).await?.into_iter().collect();
        let (done, left): (Vec<Report>, Vec<Report>) =
            reports.drain(..).partition(|(ticket, _, _)| accepted.contains(&ticket.id));
        let (left, endings) = left.into_iter().partition(|(t, o, _)| give_back(t, o).is_some());
        *reports = endings;
        self.board.settle(done.iter().map(|(ticket, _, _)| ticket));
        self.answer(done, accepted).await;
        held_up.extend(self.still_standing(left).await);
        Ok(())
    }

    /// Of attempts that could not be given back: those that are still under their lease are
    /// held up by a user's transaction and are answered here; the others are stale.
    async fn still_standing(&self, left: Vec<Report>) -> Vec<Report> {
        if left.is_empty() {
            return left;
        }
        let tickets: Vec<Ticket> = left.iter().map(|(ticket, _, _)| ticket.clone()).collect();
        // Those that cannot be looked up now are looked at again like those that are held up.
        let Ok(standing) = self.store.standing(&tickets).await else { return left };
        let (held_up, stale): (Vec<Report>, Vec<Report>) =
            left.into_iter().partition(|(ticket, _, _)| standing.contains(&ticket.id));
        self.board.settle(stale.iter().map(|(ticket, _, _)| ticket));
        self.answer(stale, HashSet::new()).await;
        held_up
    }

    /// Tells those who wait. What was not accepted may have been recorded by an earlier try
    /// whose reply was lost.
    async fn answer(&self, reports: Vec<Report>, mut accepted: HashSet<JobId>) {
        let is_quiet =
            |outcome: &Outcome| matches!(outcome, Outcome::Snooze { .. } | Outcome::Release);
        let doubtful: Vec<(Ticket, bool)> = reports
            .iter()
            .filter(|(ticket, _, _)| !accepted.contains(&ticket.id))
            .map(|(ticket, outcome, _)| (ticket.clone(), is_quiet(outcome)))
            .collect();
        if !doubtful.is_empty() {
            accepted.extend(self.recorded(&doubtful).await);
        }
        for (ticket, outcome, reply) in reports {
            let verdict = if accepted.contains(&ticket.id) {
                self.events.ended(&ticket, outcome);
                Verdict::Accepted
            } else {
                tracing::warn!(
                    job = ticket.id,
                    attempt = ticket.attempt,
                    "an outcome came too late and was refused"
                );
                Verdict::Stale
            };
            if let Some(reply) = reply {
                let _ = reply.send(verdict);
            }
        }
    }

    async fn recorded(&self, doubtful: &[(Ticket, bool)]) -> Vec<JobId> {
        let mut patience = Patience::default();
        loop {
            match self.store.recorded(doubtful).await {
                Ok(recorded) => return recorded,
                Err(error) => {
                    let pause: Duration = patience.next_after("looking outcomes up", &error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Puts outcomes of the same job into different parts: what the database answers names jobs. An
/// attempt that lost its lease may wait here together with the one that followed it in this very
/// worker, and must not be told that it was accepted because that one was.
fn apart(reports: Vec<Report>) -> Vec<Vec<Report>> {
    let mut parts: Vec<(HashSet<JobId>, Vec<Report>)> = Vec::new();
    for report in reports {
        let job = report.0.id;
        let place = parts.iter().position(|(jobs, _)| !jobs.contains(&job));
        let place = place.unwrap_or_else(|| {
            parts.push(Default::default());
            parts.len() - 1
        });
        parts[place].0.insert(job);
        parts[place].1.push(report);
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Decides once how long each failed job waits: what is sent again, and told, says the same.
fn fix_delays(reports: &mut [Report]) {
    for (ticket, outcome, _) in reports {
        if let Outcome::Retry { delay: delay @ None, .. } = outcome {
            let backoff = ticket.backoff.or(ticket.task_backoff).unwrap_or_default();
            *delay = Some(backoff.delay(ticket.attempt, rand::random()));
        }
    }
}

/// The end of the job, if the outcome is one.
fn ending(ticket: &Ticket, outcome: &Outcome) -> Option<Ending> {
    let (state, result, failure) = match outcome {
        Outcome::Complete { result } => {
            (Final::Completed, result.as_ref().map(|json| json.as_str().to_owned()), None)
        }
        Outcome::Cancel { reason } => (Final::Cancelled, None, reason.clone()),
        Outcome::Fail { failure } => (Final::Discarded, None, Some(failure.clone())),
        Outcome::Retry { failure, .. } if ticket.attempt >= ticket.max_attempts => {
            (Final::Discarded, None, Some(failure.clone()))
        }
        Outcome::Retry { .. } | Outcome::Snooze { .. } | Outcome::Release => return None,
    };
    let (job, token, keyed, place) = (ticket.id, ticket.token, ticket.keyed, Some(ticket.place));
    Some(Ending { job, token, place, keyed, state, result, failure })
}

/// Where the job waits again, if the outcome is no end.
fn give_back(ticket: &Ticket, outcome: &Outcome) -> Option<Return> {
    let (counted, suspect, delay, failure) = match outcome {
        Outcome::Retry { failure, delay } if ticket.attempt < ticket.max_attempts => {
            (true, false, Some(delay.unwrap_or_default()), Some(failure.clone()))
        }
        Outcome::Snooze { delay } => (false, false, Some(*delay), None),
        // It may not have run at all, so it stays under the suspicion it was under.
        Outcome::Release => (false, ticket.suspect, None, None),
        _ => return None,
    };
    Some(Return {
        job: ticket.id,
        token: ticket.token,
        attempts: ticket.attempt - u32::from(!counted),
        suspect,
        // What the database cannot count would be sent again for ever.
        delay: delay.map(|delay| delay.min(DELAY)),
        failure,
        counted,
    })
}
