//! What a worker's process does and knows.

use crate::state::{
    Attempt, By, Claim, Lease, Open, Phase, Sent, State, Statement, Status, Token, Worker,
};
use crate::{Flaw, Protocol};

impl Worker {
    /// Begins attempts.
    pub(crate) fn take(&mut self, jobs: &[usize], token: Token) {
        let attempt =
            |job: &usize| Attempt { job: *job, token, returns: false, phase: Phase::Runs };
        self.attempts.extend(jobs.iter().map(attempt));
    }
}

/// Sends `claim.sql` under a fresh token.
pub(crate) fn claim(state: &mut State, worker: usize) {
    state.left.claims -= 1;
    let token = state.left.claims;
    let what = Statement::Claim { row: state.workers[worker].row, token };
    state.workers[worker].claim = Claim::Waits(token);
    state.sent.push(Sent { what, asked: true });
}

/// The answer to statement `n` is lost.
pub(crate) fn lose(state: &mut State, n: usize) {
    state.sent[n].asked = false;
    match state.sent[n].what {
        Statement::Claim { row, token } => {
            state.workers[state.rows[row].worker].claim = Claim::Doubts(token);
        }
        Statement::Finish { job, token, .. } | Statement::GiveBack { job, token } => {
            let attempts = state.workers.iter_mut().flat_map(|worker| &mut worker.attempts);
            for attempt in attempts.filter(|a| (a.job, a.token) == (job, token)) {
                attempt.phase = Phase::Again;
            }
        }
    }
}

/// `claim_void.sql`
pub(crate) fn void(protocol: &Protocol, state: &mut State, worker: usize) {
    let Claim::Doubts(token) = state.workers[worker].claim else { return };
    state.workers[worker].claim = Claim::Voided(token);
    if !protocol.has(Flaw::NoVoid) && !state.leases.iter().any(|lease| lease.token == token) {
        let row = state.workers[worker].row;
        state.leases.push(Lease { token, row, jobs: vec![] });
    }
}

/// `claimed.sql`
pub(crate) fn claimed(state: &mut State, worker: usize) {
    let Claim::Voided(token) = state.workers[worker].claim else { return };
    let jobs = state.lease(token).map(|lease| lease.jobs.clone()).unwrap_or_default();
    state.workers[worker].claim = Claim::None;
    state.workers[worker].take(&jobs, token);
}

/// Sends an attempt's outcome.
pub(crate) fn send(state: &mut State, worker: usize, attempt: usize) {
    let attempt = &mut state.workers[worker].attempts[attempt];
    attempt.phase = Phase::Waits;
    let (job, token) = (attempt.job, attempt.token);
    let what = if attempt.returns {
        Statement::GiveBack { job, token }
    } else {
        Statement::Finish { job, token, saw: None }
    };
    state.sent.push(Sent { what, asked: true });
}

/// `standing.sql` and `recorded.sql`: what became of an outcome that was not accepted.
pub(crate) fn look_up(protocol: &Protocol, state: &mut State, worker: usize, n: usize) {
    let attempt = state.workers[worker].attempts[n];
    if attempt.returns {
        if state.lists(attempt.token, attempt.job) && !state.has_ended(attempt.job) {
            state.workers[worker].attempts[n].phase = Phase::Again;
        } else {
            state.workers[worker].attempts.remove(n);
        }
        return;
    }
    let by_start = protocol.has(Flaw::RecordedByStart);
    let accepted = state.jobs[attempt.job].outcomes.iter().any(|outcome| {
        outcome.token == Some(attempt.token) && (by_start || outcome.by != By::Rescue)
    });
    verdict(state, worker, n, accepted);
}

/// The worker hears what became of an attempt's end.
pub(crate) fn verdict(state: &mut State, worker: usize, n: usize, accepted: bool) {
    let attempt = state.workers[worker].attempts.remove(n);
    let stands = state.jobs[attempt.job].outcomes.iter().any(|outcome| {
        outcome.token == Some(attempt.token) && matches!(outcome.by, By::Report | By::Transaction)
    });
    state.seen.false_verdict |= accepted != stands;
}

/// A handler begins `lavoro.complete` in a transaction of its own.
pub(crate) fn open(protocol: &Protocol, state: &mut State, worker: usize, n: usize) {
    state.left.transactions -= 1;
    let Attempt { job, token, .. } = state.workers[worker].attempts[n];
    let job_first = !protocol.has(Flaw::LeaseOnly) && !protocol.has(Flaw::LeaseFirst);
    state.open.push(Open { worker, job, token, locked: job_first, inserted: false });
}

/// Whether a handler may begin `lavoro.complete` now.
pub(crate) fn can_open(protocol: &Protocol, state: &State, worker: usize, n: usize) -> bool {
    let Attempt { job, token, phase, .. } = state.workers[worker].attempts[n];
    let free = if protocol.has(Flaw::LeaseOnly) {
        true
    } else if protocol.has(Flaw::LeaseFirst) {
        state.lists(token, job)
    } else {
        !state.user_holds_job(job) && !state.rescuer_holds_job(job)
    };
    free && matches!(phase, Phase::Runs | Phase::Waits)
        && state.workers[worker].status == Status::Runs
        && !state.open.iter().any(|open| open.worker == worker)
}
