//! When each action can happen, and what it does.

use crate::state::{Budget, Claim, Phase, Rescue, State, Status};
use crate::{Action, LEASE, Protocol, client, rescue, server};

/// Collects what can happen now.
pub(crate) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    if is_over(state) {
        return;
    }
    time(protocol, state, actions);
    for worker in 0..state.workers.len() {
        process(protocol, state, worker, actions);
    }
    if state.down {
        return;
    }
    statements(protocol, state, actions);
    rescuer(protocol, state, actions);
    for job in 0..state.jobs.len() {
        let free = server::is_free(state, job);
        if state.left.retries > 0 && state.has_ended(job) && free {
            actions.push(Action::Retry(job));
        }
        if state.left.cancels > 0 && state.jobs[job].ready > 0 {
            actions.push(Action::Cancel(job));
        }
    }
}

/// Whether nothing of interest can happen any more.
fn is_over(state: &State) -> bool {
    let idle = |worker: &crate::state::Worker| worker.attempts.is_empty();
    let Budget { claims, retries, cancels, .. } = state.left;
    let over = |job| state.has_ended(job) || (state.jobs[job].ready > 0 && claims + cancels == 0);
    (0..state.jobs.len()).all(over)
        && retries == 0
        && state.sent.is_empty()
        && state.open.is_empty()
        && state.workers.iter().all(idle)
}

fn time(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let shown = |worker: &crate::state::Worker| {
        worker.status != Status::Runs || state.rows[worker.row].beaten
    };
    if protocol.clocks && (state.down || state.workers.iter().all(shown)) {
        actions.push(Action::Tick);
    }
    if state.down {
        actions.push(Action::Up);
    } else if state.left.outages > 0 {
        actions.push(Action::Down);
    }
    if state.left.jumps > 0 {
        actions.push(Action::Jump);
    }
}

fn process(protocol: &Protocol, state: &State, n: usize, actions: &mut Vec<Action>) {
    let worker = &state.workers[n];
    match worker.status {
        Status::Dead => return,
        Status::Frozen => {
            actions.push(Action::Thaw(n));
            return;
        }
        Status::Runs => {}
    }
    if state.left.freezes > 0 {
        actions.push(Action::Freeze(n));
    }
    if state.left.crashes > 0 {
        actions.push(Action::Crash(n));
    }
    if state.down {
        return;
    }
    if !rescue::holds_row(state, worker.row) && rescue::wants_beat(&state.rows[worker.row]) {
        actions.push(Action::Beat(n));
    }
    match worker.claim {
        Claim::None if state.left.claims > 0 && state.jobs.iter().any(|job| job.ready > 0) => {
            actions.push(Action::Claim(n));
        }
        Claim::Doubts(_) => actions.push(Action::Void(n)),
        Claim::Voided(_) => actions.push(Action::Claimed(n)),
        Claim::None | Claim::Waits(_) => {}
    }
    for (a, attempt) in worker.attempts.iter().enumerate() {
        match attempt.phase {
            Phase::Runs => {
                actions.push(Action::Report(n, a));
                if state.left.returns > 0 {
                    actions.push(Action::Return(n, a));
                }
            }
            Phase::Again => actions.push(Action::Resend(n, a)),
            Phase::Doubts => actions.push(Action::Recorded(n, a)),
            Phase::Waits => {}
        }
        if state.left.transactions > 0 && client::can_open(protocol, state, n, a) {
            actions.push(Action::Open(n, a));
        }
    }
}

fn statements(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    for (n, sent) in state.sent.iter().enumerate() {
        if server::is_blocked(protocol, state, n) {
            actions.push(Action::Timeout(n));
        } else {
            actions.push(Action::Run(n));
        }
        if !sent.asked {
            actions.push(Action::Vanish(n));
        } else if state.left.lost > 0 {
            actions.push(Action::Lose(n));
        }
    }
    for (n, open) in state.open.iter().enumerate() {
        if open.inserted {
            actions.push(Action::Commit(n));
        } else if server::can_complete(protocol, state, n) {
            actions.push(Action::Complete(n));
        }
        actions.push(Action::Rollback(n));
    }
    for (n, lease) in state.leases.iter().enumerate() {
        let ended = lease.jobs.iter().all(|job| state.has_ended(*job));
        let held = state.open.iter().any(|open| open.token == lease.token && open.inserted);
        let mut attempts = state.workers.iter().flat_map(|worker| &worker.attempts);
        let used = attempts.any(|attempt| attempt.token == lease.token);
        if ended
            && !held
            && !used
            && !lease.jobs.is_empty()
            && !state.rescuer_holds_lease(lease.token)
        {
            actions.push(Action::Drop(n));
        }
    }
}

fn rescuer(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    match &state.rescuer.phase {
        Rescue::Idle => {
            let lost = rescue::look(protocol, &mut state.clone());
            if lost.is_empty() {
                actions.push(Action::Scan(None));
            }
            actions.extend(lost.into_iter().map(|row| Action::Scan(Some(row))));
        }
        Rescue::Judged { .. } => actions.push(Action::Lock),
        Rescue::Locked { .. } if rescue::can_hold(protocol, state) => actions.push(Action::Hold),
        Rescue::Locked { .. } => {}
        Rescue::Held { .. } => actions.push(Action::Rescue),
        Rescue::Done { .. } => actions.push(Action::End),
    }
    if state.left.restarts > 0 {
        actions.push(Action::Restart);
    }
}

/// Does what an action does.
pub(crate) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    match action {
        Action::Claim(_)
        | Action::Report(..)
        | Action::Return(..)
        | Action::Resend(..)
        | Action::Recorded(..)
        | Action::Open(..)
        | Action::Void(_)
        | Action::Claimed(_) => apply_client(protocol, state, action),
        Action::Scan(_) | Action::Lock | Action::Hold | Action::Rescue | Action::End => {
            apply_rescue(protocol, state, action);
        }
        Action::Restart => {
            state.left.restarts -= 1;
            rescue::restart(state);
        }
        Action::Tick => rescue::tick(state),
        Action::Down => rescue::outage(state),
        Action::Up => state.down = false,
        Action::Jump => {
            state.left.jumps -= 1;
            state.rows.iter_mut().for_each(|row| row.age = LEASE);
        }
        Action::Beat(worker) => rescue::beat(state, worker),
        Action::Freeze(worker) => {
            state.left.freezes -= 1;
            state.workers[worker].status = Status::Frozen;
            rescue::silence(protocol, state, worker);
        }
        Action::Thaw(worker) => state.workers[worker].status = Status::Runs,
        Action::Crash(worker) => {
            state.left.crashes -= 1;
            state.workers[worker].status = Status::Dead;
            rescue::silence(protocol, state, worker);
            state
                .sent
                .iter_mut()
                .filter(|s| s.is_from(worker, &state.rows, &state.workers))
                .for_each(|sent| sent.asked = false);
        }
        Action::Run(n) => server::run(protocol, state, n),
        Action::Timeout(n) => server::fail(state, n),
        Action::Lose(n) => {
            state.left.lost -= 1;
            client::lose(state, n);
        }
        Action::Vanish(n) => {
            state.sent.remove(n);
        }
        Action::Drop(n) => state.drop_lease(state.leases[n].token),
        Action::Complete(n) => server::complete(protocol, state, n),
        Action::Commit(n) => server::commit(state, n),
        Action::Rollback(n) => {
            state.open.remove(n);
        }
        Action::Retry(job) => server::retry(protocol, state, job),
        Action::Cancel(job) => server::cancel(state, job),
    }
}

fn apply_client(protocol: &Protocol, state: &mut State, action: Action) {
    match action {
        Action::Claim(worker) => client::claim(state, worker),
        Action::Void(worker) => client::void(protocol, state, worker),
        Action::Claimed(worker) => client::claimed(state, worker),
        Action::Return(worker, n) => {
            state.left.returns -= 1;
            state.workers[worker].attempts[n].returns = true;
            client::send(state, worker, n);
        }
        Action::Report(worker, n) | Action::Resend(worker, n) => client::send(state, worker, n),
        Action::Recorded(worker, n) => client::look_up(protocol, state, worker, n),
        Action::Open(worker, n) => client::open(protocol, state, worker, n),
        _ => {}
    }
}

fn apply_rescue(protocol: &Protocol, state: &mut State, action: Action) {
    match action {
        Action::Scan(judged) => {
            rescue::look(protocol, state);
            if let Some(row) = judged {
                state.rescuer.phase = Rescue::Judged { row, stands: true };
            }
        }
        Action::Lock => rescue::lock(protocol, state),
        Action::Hold => rescue::hold(state),
        Action::Rescue => rescue::commit(protocol, state),
        Action::End => rescue::end(state),
        _ => {}
    }
}
