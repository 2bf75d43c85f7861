//! What producers were promised: nothing lost, nothing doubled, nothing that nobody asked for.

use super::View;
use crate::kind::Kind;
use crate::ledger::Row;
use crate::report::Violation;
use std::collections::{HashMap, HashSet};

pub(super) fn check(view: &View<'_>, found: &mut Vec<Violation>) {
    lost(view, found);
    unexpected(view, found);
    keys(view, found);
    follow_ups(view, found);
    effects(view, found);
    processes(view, found);
    for line in &view.ledger.unsound {
        found.push(View::general("unsound", format!("the tables contradict themselves: {line}")));
    }
}

/// Every acknowledged job has ended, as its kind allows.
fn lost(view: &View<'_>, found: &mut Vec<Violation>) {
    let mut told = HashSet::new();
    for ack in &view.ledger.acks {
        let Some(kind) = view.ledger.tries.get(&ack.mark) else {
            found.push(View::general("ledger", format!("{} was never tried", ack.mark)));
            continue;
        };
        let row = view.ledger.jobs.get(&ack.id);
        let state = row.map_or("gone", |row| &row.state);
        // A job under a key may be another producer's, but keyed jobs are all of one kind.
        if kind.ends().contains(&state) || !told.insert(ack.id) {
            continue;
        }
        let rule = if state == "open" { "stuck" } else { "lost" };
        found.push(view.about(rule, ack.id, format!("({kind}) was acknowledged and is {state}")));
    }
    // Those that nobody was told of must not hang about either.
    for (id, row) in &view.ledger.jobs {
        if !row.kind.ends().contains(&row.state.as_str()) && !told.contains(id) {
            found.push(view.about("stuck", *id, format!("({}) is {}", row.kind, row.state)));
        }
    }
}

/// Every job comes from a mark that was tried; no mark became two jobs; what was rolled back or
/// answered with another's number is not there.
fn unexpected(view: &View<'_>, found: &mut Vec<Violation>) {
    for (id, row) in view.ledger.jobs.iter().filter(|(_, row)| row.kind != Kind::Follow) {
        match view.ledger.tries.get(&row.mark) {
            Some(kind) if *kind == row.kind => {}
            _ => found.push(view.about("unexpected", *id, "was never asked for")),
        }
    }
    for (mark, ids) in view.marks.iter().filter(|(_, ids)| ids.len() > 1) {
        found.push(view.about("doubled", ids[0], format!("of {mark} exists again: {ids:?}")));
    }
    for mark in &view.ledger.undone {
        if let Some(ids) = view.marks.get(mark.as_str()) {
            found.push(view.about("unexpected", ids[0], "was rolled back"));
        }
    }
    for ack in &view.ledger.acks {
        let Some(ids) = view.marks.get(ack.mark.as_str()) else {
            continue; // gone, or another's: see `lost` and `keys`
        };
        if !ack.new || !ids.contains(&ack.id) {
            let what = format!("exists though {} was answered with {}", ack.mark, ack.id);
            found.push(view.about("unexpected", ids[0], what));
        }
    }
}

/// Under a key there is one job at a time, and who was refused was told its number.
fn keys(view: &View<'_>, found: &mut Vec<Violation>) {
    for ack in view.ledger.acks.iter().filter(|ack| !ack.new) {
        let holder = view.ledger.jobs.get(&ack.id);
        if holder.is_none_or(|row| row.key == "-") {
            found.push(view.about("key", ack.id, format!("holds no key, {} says", ack.mark)));
        }
    }
    // The server's clock orders them only if nobody set it.
    if view.ledger.faults.iter().any(|fault| fault.class == crate::Class::ClockJump) {
        return;
    }
    let mut holders: HashMap<&str, Vec<(i64, &Row)>> = HashMap::new();
    for (id, row) in view.ledger.jobs.iter().filter(|(_, row)| row.key != "-") {
        holders.entry(&row.key).or_default().push((*id, row));
    }
    for (key, mut rows) in holders {
        rows.sort_by_key(|(_, row)| row.created);
        for pair in rows.windows(2) {
            let ((first, before), (second, after)) = (pair[0], pair[1]);
            if before.finished.is_none_or(|finished| finished > after.created) {
                let what = format!("began before {first} had ended, both under {key}");
                found.push(view.about("key", second, what));
            }
        }
    }
}

/// Every discarded job that asked for a follow-up has one, and no other has.
fn follow_ups(view: &View<'_>, found: &mut Vec<Violation>) {
    for (id, row) in &view.ledger.jobs {
        let count = view.ledger.follows.get(id).map_or(0, Vec::len);
        let due = usize::from(row.kind == Kind::Doomed && row.state == "discarded");
        if count != due {
            found.push(view.about("follow-up", *id, format!("has {count} follow-ups, not {due}")));
        }
    }
}

/// A transactional job that completed left one effect, any other none; what its handler was told
/// of the commit is what happened.
fn effects(view: &View<'_>, found: &mut Vec<Violation>) {
    for (id, row) in &view.ledger.jobs {
        let effects = view.ledger.effects.get(id).map_or(&[][..], Vec::as_slice);
        let due = usize::from(row.kind == Kind::Transactional && row.state == "completed");
        if effects.len() != due {
            let what = format!("is {} and left {} effects", row.state, effects.len());
            found.push(view.about("effects", *id, what));
        }
    }
    for id in view.ledger.effects.keys().filter(|id| !view.ledger.jobs.contains_key(id)) {
        found.push(view.about("effects", *id, "left an effect and does not exist"));
    }
    for ((id, token), how) in &view.ledger.commits {
        let there = view.ledger.effects.get(id).is_some_and(|tokens| tokens.contains(token));
        if (how == "ok" && !there) || (how == "refused" && there) {
            found.push(view.about("effects", *id, format!("was told {how}: not so")));
        }
    }
}

/// No process ends unless it was killed, or killed itself on purpose.
fn processes(view: &View<'_>, found: &mut Vec<Violation>) {
    let killed: HashSet<u32> = view
        .ledger
        .faults
        .iter()
        .filter(|fault| {
            matches!(fault.class, crate::Class::KillWorker | crate::Class::KillProducer)
        })
        .flat_map(|fault| fault.victims.iter().copied())
        .collect();
    for exit in &view.ledger.exits {
        let expected = match exit.signal {
            9 => killed.contains(&exit.pid),
            6 => view.poisoned.contains(&exit.pid),
            _ => false,
        };
        if !expected {
            let what = format!("{} {} ended with signal {}", exit.role, exit.pid, exit.signal);
            found.push(View::general("crash", what));
        }
    }
    if let Some(hung) = view.ledger.facts.get("hung").filter(|hung| *hung != "0") {
        found.push(View::general("hung", format!("{hung} processes did not stop when asked")));
    }
}
