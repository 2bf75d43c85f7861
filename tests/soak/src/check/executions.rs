//! Executions: how often a job ran, and whether a fault explains each that was for nothing.

use super::View;
use crate::kind::Kind;
use crate::ledger::{Fault, Start};
use crate::report::Violation;

/// Checks every job's executions. Answers how many were for nothing and are excused.
pub(super) fn check(view: &View<'_>, found: &mut Vec<Violation>) -> u64 {
    let mut excused = 0;
    for (id, runs) in &view.runs {
        let known = view.ledger.jobs.get(id);
        // What a storm deletes or retries by hand may run as often as it likes, but not
        // two at a time under one lease, nor without an excuse.
        for (place, run) in runs.iter().enumerate() {
            if runs[..place].iter().any(|other| other.token == run.token) {
                found.push(view.about("twice", *id, format!("ran twice under {}", run.token)));
            }
            match fate(view, run) {
                Fate::Ended => last(view, runs, place, found),
                Fate::Returned => {}
                Fate::Nothing => {
                    if is_excused(view, run) {
                        excused += 1;
                    } else {
                        let what = format!("lost attempt {} for no reason", run.attempt);
                        found.push(view.about("unjustified", *id, what));
                    }
                }
            }
        }
        if known.is_none() && !was_storm(view, *id) {
            found.push(view.about("unexpected", *id, "ran and does not exist"));
        }
    }
    completed_without_running(view, found);
    excused
}

/// What became of an execution.
#[derive(PartialEq, Eq)]
enum Fate {
    /// It ended its job.
    Ended,
    /// Its job was to run again, and that was accepted.
    Returned,
    /// Its outcome was refused, or never known.
    Nothing,
}

fn fate(view: &View<'_>, run: &Start) -> Fate {
    let key = (run.id, run.token);
    if view.ledger.effects.get(&run.id).is_some_and(|tokens| tokens.contains(&run.token)) {
        return Fate::Ended;
    }
    match view.ledger.ends.get(&key) {
        Some(end) if end.accepted && end.said == "complete" => Fate::Ended,
        Some(end) if end.accepted => Fate::Returned,
        _ => Fate::Nothing,
    }
}

/// An execution that ended its job is its last, and its job says so.
fn last(view: &View<'_>, runs: &[&Start], place: usize, found: &mut Vec<Violation>) {
    let run = runs[place];
    let Some(row) = view.ledger.jobs.get(&run.id) else { return };
    if row.kind == Kind::Storm {
        return; // retried by hand
    }
    if let Some(later) = runs.get(place + 1) {
        let what = format!("was ended under {} and ran again under {}", run.token, later.token);
        found.push(view.about("after-end", run.id, what));
    }
    // Started before, still at work, and accepted although another had it: the same from the
    // other side.
    let stale = runs[..place].iter().any(|earlier| fate(view, earlier) == Fate::Ended);
    if stale {
        found.push(view.about("stale", run.id, "was ended by two executions"));
    }
    if row.state != "completed" {
        let what = format!("was ended by an execution and is {}", row.state);
        found.push(view.about("state", run.id, what));
    }
}

/// Whether a fault hit this very execution: its process died under it, or a fault that may cost
/// a lease lay over it, up to a lease afterwards.
fn is_excused(view: &View<'_>, run: &Start) -> bool {
    let end = view.ledger.ends.get(&(run.id, run.token));
    if end.is_none() {
        return view.deaths.get(&run.pid).is_some_and(|death| run.at <= *death);
    }
    let until = end.map_or(u64::MAX, |end| end.at);
    let hit = |fault: &Fault| {
        let ours = fault.victims.is_empty() || fault.victims.contains(&run.pid);
        ours && fault.from <= until && run.at <= fault.to + view.lease
    };
    view.excuses.iter().any(|fault| hit(fault)) || was_storm(view, run.id)
}

/// Storm jobs are cancelled while they run.
fn was_storm(view: &View<'_>, id: i64) -> bool {
    match view.ledger.jobs.get(&id) {
        Some(row) => row.kind == Kind::Storm,
        // Deleted: then what its producer was told says so, or nobody was told.
        None => view.told.get(&id).is_none_or(|kind| *kind == Kind::Storm),
    }
}

/// Nothing is completed that no handler ran to its end.
fn completed_without_running(view: &View<'_>, found: &mut Vec<Violation>) {
    for (id, _) in view.ledger.jobs.iter().filter(|(_, row)| row.state == "completed") {
        let runs = view.runs.get(id).map_or(&[][..], Vec::as_slice);
        let may_have_ended = |run: &&&Start| {
            // Known to have ended it, or died (or was cut off) before it was told.
            fate(view, run) != Fate::Returned
        };
        if !runs.iter().any(|run| may_have_ended(&run)) {
            found.push(view.about("never-run", *id, "is completed and never ran to its end"));
        }
    }
}
