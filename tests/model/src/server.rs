//! What the server does with the statements of workers and users.

use crate::state::{By, Claim, Lease, Open, Outcome, Phase, State, Statement, Token};
use crate::{Flaw, Protocol};

/// What a statement answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    /// An error: it is sent again.
    Again,
}

/// Whether statement `n` waits for a lock.
pub(crate) fn is_blocked(protocol: &Protocol, state: &State, n: usize) -> bool {
    match state.sent[n].what {
        Statement::Claim { .. } | Statement::Finish { saw: None, .. } => false,
        Statement::Finish { job, token, saw: Some(saw) } => {
            let inserts = !saw && (state.lists(token, job) || protocol.has(Flaw::NoFence));
            let pending = state.has_pending_outcome(job) && !protocol.has(Flaw::NoKey);
            state.rescuer_holds_lease(token) || (inserts && pending)
        }
        Statement::GiveBack { token, .. } => state.rescuer_holds_lease(token),
    }
}

/// Runs statement `n`, which waits for nothing.
pub(crate) fn run(protocol: &Protocol, state: &mut State, n: usize) {
    if let Statement::Finish { job, saw: saw @ None, .. } = &mut state.sent[n].what {
        *saw = Some(!state.jobs[*job].outcomes.is_empty());
        return;
    }
    let sent = state.sent.remove(n);
    match sent.what {
        Statement::Claim { row, token } => claim(state, row, token, sent.asked),
        Statement::Finish { job, token, saw } => {
            let answer = finish(protocol, state, job, token, saw == Some(true));
            if sent.asked {
                deliver(state, job, token, answer);
            }
        }
        Statement::GiveBack { job, token } => {
            let answer = give_back(state, job, token);
            if sent.asked {
                deliver(state, job, token, answer);
            }
        }
    }
}

/// Statement `n` fails; its sender hears of it.
pub(crate) fn fail(state: &mut State, n: usize) {
    let sent = state.sent.remove(n);
    match sent.what {
        Statement::Claim { .. } => {}
        Statement::Finish { job, token, .. } | Statement::GiveBack { job, token } => {
            if sent.asked {
                deliver(state, job, token, Answer::Again);
            }
        }
    }
}

/// `claim.sql`: packs are locked and deleted, and the lease inserted, in one statement.
fn claim(state: &mut State, row: usize, token: Token, asked: bool) {
    // The lease's primary key: a void row is in its place.
    let is_void = state.leases.iter().any(|lease| lease.token == token);
    let mut jobs = Vec::new();
    if !is_void {
        for (number, job) in state.jobs.iter_mut().enumerate().filter(|(_, job)| job.ready > 0) {
            job.ready -= 1;
            job.holder = Some(token);
            jobs.push(number);
        }
    }
    if !jobs.is_empty() {
        state.leases.push(Lease { token, row, jobs: jobs.clone() });
    }
    if asked {
        let worker = &mut state.workers[state.rows[row].worker];
        worker.claim = Claim::None;
        worker.take(&jobs, token);
    }
}

/// `finish.sql`: the lease is locked and read in its newest form, the outcome as the snapshot has it.
fn finish(protocol: &Protocol, state: &mut State, job: usize, token: Token, saw: bool) -> Answer {
    if saw || !(state.lists(token, job) || protocol.has(Flaw::NoFence)) {
        return Answer::Refused;
    }
    if state.has_ended(job) && !protocol.has(Flaw::NoKey) {
        return Answer::Again;
    }
    accept(state, job, token, By::Report);
    state.drop_lease(token);
    Answer::Accepted
}

/// Inserts an outcome.
pub(crate) fn accept(state: &mut State, job: usize, token: Token, by: By) {
    state.seen.stale_accepted |= state.jobs[job].holder != Some(token);
    state.jobs[job].outcomes.push(Outcome { token: Some(token), by });
}

/// `hold.sql` and `give_back.sql` in one transaction, which holds all its locks to the end.
fn give_back(state: &mut State, job: usize, token: Token) -> Answer {
    if state.user_holds_job(job) || !state.lists(token, job) || state.has_ended(job) {
        return Answer::Refused;
    }
    put_back(state, job, token);
    state.jobs[job].suspect = false;
    state.drop_lease(token);
    Answer::Accepted
}

/// Moves a job from its lease to `ready`.
pub(crate) fn put_back(state: &mut State, job: usize, token: Token) {
    state.jobs[job].ready += 1;
    state.jobs[job].holder = None;
    if let Some(lease) = state.lease(token) {
        lease.jobs.retain(|listed| *listed != job);
    }
}

/// Tells the sender of an outcome.
fn deliver(state: &mut State, job: usize, token: Token, answer: Answer) {
    for worker in 0..state.workers.len() {
        let attempts = &state.workers[worker].attempts;
        let waits = |a: &crate::state::Attempt| (a.job, a.token) == (job, token);
        let Some(n) = attempts.iter().position(waits) else { continue };
        match answer {
            Answer::Accepted if attempts[n].returns => {
                state.workers[worker].attempts.remove(n);
            }
            Answer::Accepted => crate::client::verdict(state, worker, n, true),
            Answer::Refused => state.workers[worker].attempts[n].phase = Phase::Doubts,
            Answer::Again => state.workers[worker].attempts[n].phase = Phase::Again,
        }
    }
}

/// Whether `lavoro.complete` can take its next lock.
pub(crate) fn can_complete(protocol: &Protocol, state: &State, n: usize) -> bool {
    let open = &state.open[n];
    if open.inserted {
        return false;
    }
    let others = |o: &Open| o.job == open.job && (o.locked || o.inserted) && o != open;
    if protocol.has(Flaw::LeaseFirst) {
        return !state.rescuer_holds_job(open.job) && !state.open.iter().any(others);
    }
    !state.open.iter().any(|o| o.job == open.job && o.inserted)
}

/// The rest of `lavoro.complete` after its first lock.
pub(crate) fn complete(protocol: &Protocol, state: &mut State, n: usize) {
    let (job, token) = (state.open[n].job, state.open[n].token);
    // With the flaw, the lease was looked at before the job's row was locked.
    let held = protocol.has(Flaw::LeaseFirst) || state.lists(token, job);
    let unique = !state.has_ended(job) || protocol.has(Flaw::NoKey);
    if held && unique {
        state.open[n].inserted = true;
        state.open[n].locked = !protocol.has(Flaw::LeaseOnly);
    } else {
        state.open.remove(n); // LV014: the transaction is rolled back
    }
}

/// The user's transaction commits.
pub(crate) fn commit(state: &mut State, n: usize) {
    let open = state.open.remove(n);
    accept(state, open.job, open.token, By::Transaction);
    state.jobs[open.job].effects += 1;
}

/// Whether nobody else holds the job's row.
pub(crate) fn is_free(state: &State, job: usize) -> bool {
    let mut leases = state.leases.iter().filter(|lease| lease.jobs.contains(&job));
    !state.user_holds_job(job)
        && !state.rescuer_holds_job(job)
        && !leases.any(|lease| state.rescuer_holds_lease(lease.token))
}

/// `lavoro.retry` of a job that has ended.
pub(crate) fn retry(protocol: &Protocol, state: &mut State, job: usize) {
    state.left.retries -= 1;
    if !protocol.has(Flaw::RetryKeepsLease) {
        for lease in &mut state.leases {
            lease.jobs.retain(|listed| *listed != job);
        }
    }
    let job = &mut state.jobs[job];
    job.outcomes.clear();
    (job.ready, job.effects, job.holder, job.suspect) = (job.ready + 1, 0, None, false);
}

/// `lavoro.cancel` of a job that waits.
pub(crate) fn cancel(state: &mut State, job: usize) {
    state.left.cancels -= 1;
    state.jobs[job].ready -= 1;
    state.jobs[job].outcomes.push(Outcome { token: None, by: By::Cancel });
}
