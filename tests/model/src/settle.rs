//! What becomes of a state if nothing goes wrong any more.

use crate::state::{Claim, Phase, Rescue, State, Status};
use crate::{Action, LEASE, Protocol, actions, rescue, server};

/// After how many ticks everything must have settled: two rescues, one after the other.
const TICKS: u8 = 6 * LEASE;

/// The jobs that are neither ended nor waiting after a run without further trouble. Dead and
/// frozen workers stay so; users' transactions stay open, or are rolled back if `decide`.
pub(crate) fn stuck(protocol: &Protocol, state: &State, decide: bool) -> Vec<usize> {
    let mut state = state.clone();
    state.down = false;
    if decide {
        state.open.clear();
    }
    let settled = |state: &State, job: usize| state.has_ended(job) || state.jobs[job].ready > 0;
    let (mut ticks, steps) = (0, if protocol.clocks { 300 } else { 60 });
    for step in 0.. {
        let jobs = 0..state.jobs.len();
        let left: Vec<usize> = jobs.filter(|job| !settled(&state, *job)).collect();
        if left.is_empty() || ticks > TICKS || step > steps {
            return left;
        }
        let action = next(protocol, &state);
        ticks += u8::from(action == Action::Tick);
        actions::apply(protocol, &mut state, action);
        state.tidy();
    }
    vec![]
}

/// The next step of a fair run.
fn next(protocol: &Protocol, state: &State) -> Action {
    if let Some(n) = (0..state.sent.len()).find(|n| !server::is_blocked(protocol, state, *n)) {
        return Action::Run(n);
    }
    match &state.rescuer.phase {
        Rescue::Judged { .. } => return Action::Lock,
        Rescue::Locked { .. } if rescue::can_hold(protocol, state) => return Action::Hold,
        Rescue::Held { .. } => return Action::Rescue,
        Rescue::Done { .. } => return Action::End,
        Rescue::Locked { .. } | Rescue::Idle => {}
    }
    for (n, worker) in state.workers.iter().enumerate() {
        if worker.status != Status::Runs {
            continue;
        }
        match worker.claim {
            Claim::Doubts(_) => return Action::Void(n),
            Claim::Voided(_) => return Action::Claimed(n),
            Claim::None | Claim::Waits(_) => {}
        }
        for (a, attempt) in worker.attempts.iter().enumerate() {
            match attempt.phase {
                Phase::Runs => return Action::Report(n, a),
                // One that a transaction holds up is sent again when that has ended.
                Phase::Again if !state.has_pending_outcome(attempt.job) => {
                    return Action::Resend(n, a);
                }
                Phase::Doubts if !attempt.returns || !state.user_holds_job(attempt.job) => {
                    return Action::Recorded(n, a);
                }
                Phase::Again | Phase::Waits | Phase::Doubts => {}
            }
        }
    }
    for (n, worker) in state.workers.iter().enumerate() {
        let blocked = rescue::holds_row(state, worker.row);
        if worker.status == Status::Runs && rescue::wants_beat(&state.rows[worker.row]) && !blocked
        {
            return Action::Beat(n);
        }
    }
    if state.rescuer.phase == Rescue::Idle {
        let mut looked = state.clone();
        if let Some(row) = rescue::look(protocol, &mut looked).first() {
            return Action::Scan(Some(*row));
        }
        if looked.rescuer != state.rescuer {
            return Action::Scan(None);
        }
    }
    Action::Tick
}
