//! The rescuer (`maintenance/watch.rs` and `maintenance/rescue.rs`), and the passing of time.

use crate::server::put_back;
use crate::state::{By, Outcome, Rescue, Row, State, Status, Token, Watched};
use crate::{Flaw, LEASE, Protocol};

/// A heartbeat's worth of time.
pub(crate) fn tick(state: &mut State) {
    for row in &mut state.rows {
        row.age = LEASE.min(row.age + 1);
        if !state.down && !row.beaten {
            row.missed = LEASE.min(row.missed + 1);
        }
        row.beaten = false;
    }
    for watched in state.rescuer.watch.iter_mut().flatten() {
        watched.since = LEASE.min(watched.since + 1);
    }
    state.rescuer.looked = 2.min(state.rescuer.looked + 1);
}

/// Who is frozen or dead has no contact until its next heartbeat. Without clocks, it has also been
/// silent for long.
pub(crate) fn silence(protocol: &Protocol, state: &mut State, worker: usize) {
    let row = &mut state.rows[state.workers[worker].row];
    row.missed = LEASE;
    if !protocol.clocks {
        row.age = LEASE;
    }
}

/// Whether a heartbeat would change anything.
pub(crate) fn wants_beat(row: &Row) -> bool {
    !row.beaten || row.ended || row.missed > 0
}

/// `worker_beat.sql`; `worker_start.sql` if the worker was ended.
pub(crate) fn beat(state: &mut State, worker: usize) {
    let row = state.workers[worker].row;
    if state.rows[row].ended {
        state.workers[worker].row = state.rows.len();
        state.rows.push(Row { worker, age: 0, ended: false, missed: 0, beaten: true });
        state.rescuer.watch.push(None);
        return;
    }
    let r = &mut state.rows[row];
    (r.age, r.missed, r.beaten) = (0, 0, true);
    if let Some(watched) = &mut state.rescuer.watch[row] {
        watched.stands = false;
    }
    match &mut state.rescuer.phase {
        Rescue::Judged { row: judged, stands } | Rescue::Done { row: judged, stands }
            if *judged == row =>
        {
            *stands = false;
        }
        _ => {}
    }
}

/// Whether the rescuer's transaction holds the worker's row.
pub(crate) fn holds_row(state: &State, row: usize) -> bool {
    matches!(&state.rescuer.phase,
             Rescue::Locked { row: held, .. } | Rescue::Held { row: held, .. } if *held == row)
}

/// Takes a scan's answer in, as `Watch::lost` does. Answers who is lost.
pub(crate) fn look(protocol: &Protocol, state: &mut State) -> Vec<usize> {
    if state.rescuer.looked >= 2 && !protocol.has(Flaw::OneClock) {
        state.rescuer.watch.fill(None);
    }
    state.rescuer.looked = 0;
    let mut lost = Vec::new();
    for (number, row) in state.rows.iter().enumerate() {
        let holds = state.leases.iter().any(|lease| lease.row == number);
        if row.ended && !holds {
            state.rescuer.watch[number] = None;
            continue;
        }
        let first = if protocol.has(Flaw::SilentStart) { row.age } else { 0 };
        let since = match state.rescuer.watch[number] {
            Some(Watched { since, stands: true }) => since,
            Some(_) => 0,
            None => first,
        };
        state.rescuer.watch[number] = Some(Watched { since, stands: true });
        if !protocol.clocks {
            if holds && (row.ended || row.missed >= LEASE) {
                lost.push(number);
            }
            continue;
        }
        let silent = row.ended || row.age >= LEASE;
        if silent && (since >= LEASE || protocol.has(Flaw::OneClock)) {
            lost.push(number);
        }
    }
    lost
}

/// `lost_leases.sql`
pub(crate) fn lock(protocol: &Protocol, state: &mut State) {
    let Rescue::Judged { row, stands } = state.rescuer.phase else { return };
    let r = &state.rows[row];
    let dead = r.ended || (stands && r.age >= LEASE) || protocol.has(Flaw::NoSecondLook);
    let of_row = state.leases.iter().filter(|lease| lease.row == row);
    let leases: Vec<Token> = of_row.map(|lease| lease.token).collect();
    state.rescuer.phase = if dead && !leases.is_empty() {
        Rescue::Locked { row, leases }
    } else {
        Rescue::Done { row, stands }
    };
}

/// Whether `hold.sql` need not wait.
pub(crate) fn can_hold(protocol: &Protocol, state: &State) -> bool {
    let Rescue::Locked { leases, .. } = &state.rescuer.phase else { return false };
    let mut listed = state.leases.iter().filter(|lease| leases.contains(&lease.token));
    !protocol.has(Flaw::WaitForLocked)
        || !listed.any(|lease| lease.jobs.iter().any(|job| state.user_holds_job(*job)))
}

/// `hold.sql`
pub(crate) fn hold(state: &mut State) {
    let Rescue::Locked { row, leases } = state.rescuer.phase.clone() else { return };
    let mut jobs = Vec::new();
    for lease in state.leases.iter().filter(|lease| leases.contains(&lease.token)) {
        let free = lease.jobs.iter().filter(|job| !state.user_holds_job(**job));
        jobs.extend(free.map(|job| (*job, lease.token)));
    }
    state.rescuer.phase = Rescue::Held { row, leases, jobs };
}

/// `finish.sql` for what is discarded, `give_back.sql` for the rest, `lease_drop.sql`, commit.
pub(crate) fn commit(protocol: &Protocol, state: &mut State) {
    let Rescue::Held { row, leases, jobs } = state.rescuer.phase.clone() else { return };
    for (job, token) in jobs {
        if !state.lists(token, job) || state.has_ended(job) {
            continue;
        }
        let Row { worker, ended, missed, .. } = state.rows[row];
        let lives = state.workers[worker].status == Status::Runs;
        state.seen.living_rescued |= lives && !ended && missed + 1 < LEASE;
        if state.jobs[job].suspect {
            // It ran as the only suspect, and has no attempts left.
            state.jobs[job].outcomes.push(Outcome { token: Some(token), by: By::Rescue });
        } else {
            put_back(state, job, token);
            state.jobs[job].suspect = true;
        }
    }
    for token in leases {
        state.drop_lease(token);
    }
    // The engine ends the row later, in worker_lost.sql alone: a defect that this model found.
    state.rows[row].ended |= !protocol.has(Flaw::EndsLater);
    state.rescuer.phase = Rescue::Done { row, stands: true };
}

/// `worker_lost.sql`
pub(crate) fn end(state: &mut State) {
    let Rescue::Done { row, stands } = state.rescuer.phase else { return };
    state.rescuer.phase = Rescue::Idle;
    let holds = state.leases.iter().any(|lease| lease.row == row);
    if stands && !holds {
        state.rows[row].ended = true;
    }
}

/// Its transaction is rolled back, and what it has seen counts no more.
pub(crate) fn restart(state: &mut State) {
    state.rescuer.phase = Rescue::Idle;
    state.rescuer.watch.fill(None);
    state.rescuer.looked = 0;
}

/// The database goes: transactions are rolled back, and all who wait hear an error.
pub(crate) fn outage(state: &mut State) {
    state.left.outages -= 1;
    state.down = true;
    state.open.clear();
    // A scan that fails forgets what was seen; one that hangs is known by how long it took.
    state.rescuer.phase = Rescue::Idle;
    for n in 0..state.sent.len() {
        if state.sent[n].asked {
            crate::client::lose(state, n);
        }
    }
}
