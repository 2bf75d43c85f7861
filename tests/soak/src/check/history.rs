//! Everything that is known of a job, for people.

use super::View;

/// A line per event, by time.
pub(super) fn of(view: &View<'_>, id: i64) -> Vec<String> {
    let ledger = view.ledger;
    let origin = ledger.span.0;
    let seconds = |at: u64| at.saturating_sub(origin) as f64 / 1e6;
    let mut lines = Vec::new();
    for ack in ledger.acks.iter().filter(|ack| ack.id == id) {
        lines.push((0, format!("acknowledged as {} (new: {})", ack.mark, ack.new)));
    }
    for run in view.runs.get(&id).into_iter().flatten() {
        let what = format!("attempt {} under {} in {}", run.attempt, run.token, run.pid);
        lines.push((run.at, format!("start of {what}")));
        if let Some(end) = ledger.ends.get(&(id, run.token)) {
            let verdict = if end.accepted { "accepted" } else { "refused" };
            lines.push((end.at, format!("end of {what}: {} {verdict}", end.said)));
        }
        if let Some(how) = ledger.commits.get(&(id, run.token)) {
            lines.push((run.at, format!("commit under {}: {how}", run.token)));
        }
        if let Some(death) = view.deaths.get(&run.pid) {
            lines.push((*death, format!("process {} died", run.pid)));
        }
    }
    let first = lines.iter().map(|(at, _)| *at).filter(|at| *at > 0).min().unwrap_or(0);
    let last = lines.iter().map(|(at, _)| *at).max().unwrap_or(0);
    for fault in &ledger.faults {
        if fault.from <= last + view.lease && fault.to + 2 * view.lease >= first {
            let until = seconds(fault.to);
            let what = format!("{} of {:?} until {until:.3}", fault.class, fault.victims);
            lines.push((fault.from, what));
        }
    }
    lines.sort();
    lines.dedup();
    let mut told: Vec<String> =
        lines.into_iter().map(|(at, what)| format!("{:9.3} {what}", seconds(at))).collect();
    if let Some(row) = ledger.jobs.get(&id) {
        told.push(format!("at last {} ({}), key {}", row.state, row.kind, row.key));
    }
    for token in ledger.effects.get(&id).into_iter().flatten() {
        told.push(format!("effect of {token}"));
    }
    told
}
