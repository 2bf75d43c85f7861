//! The figures of a run.

use super::View;
use crate::fault::Class;
use crate::report::Report;
use std::collections::BTreeMap;

pub(super) fn report(view: &View<'_>) -> Report {
    let ledger = view.ledger;
    let mut jobs: BTreeMap<String, u64> = BTreeMap::new();
    for row in ledger.jobs.values() {
        *jobs.entry(format!("{}/{}", row.kind, row.state)).or_default() += 1;
    }
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for fault in &ledger.faults {
        *faults.entry(fault.class.to_string()).or_default() += 1;
    }
    faults.insert("poison".to_owned(), ledger.poisoned.len() as u64);
    let exist = ledger.maybe.iter().filter(|mark| view.marks.contains_key(mark.as_str())).count();
    let seconds = ledger.span.1.saturating_sub(ledger.span.0) as f64 / 1e6;
    let ended = ledger.jobs.values().filter(|row| row.state != "open").count();
    let (median, slowest, recovery_last) = recovery(view);
    Report {
        seed: ledger.facts.get("seed").cloned().unwrap_or_default(),
        acknowledged: ledger.acks.iter().filter(|ack| ack.new).count() as u64,
        maybe: (ledger.maybe.len() as u64, exist as u64),
        jobs,
        faults,
        executions: ledger.starts.len() as u64,
        refused: ledger.ends.values().filter(|end| !end.accepted).count() as u64,
        seconds,
        throughput: if seconds > 0.0 { ended as f64 / seconds } else { 0.0 },
        recovery: (median, slowest),
        recovery_last,
        excusing: excusing(view),
        facts: ledger.facts.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        ..Report::default()
    }
}

/// From each kill to the next start of each job that it cut off, in seconds: of the first job
/// median and slowest, of the last job slowest.
fn recovery(view: &View<'_>) -> (f64, f64, f64) {
    let kills = view.ledger.faults.iter().filter(|fault| fault.class == Class::KillWorker);
    let killed: BTreeMap<u32, u64> =
        kills.flat_map(|fault| fault.victims.iter().map(|pid| (*pid, fault.from))).collect();
    let mut firsts: BTreeMap<u32, f64> = BTreeMap::new();
    let mut last = 0.0_f64;
    for pair in view.runs.values().flat_map(|runs| runs.windows(2)) {
        let cut_off = !view.ledger.ends.contains_key(&(pair[0].id, pair[0].token));
        if let Some(kill) = killed.get(&pair[0].pid).filter(|_| cut_off) {
            let took = pair[1].at.saturating_sub(*kill) as f64 / 1e6;
            let first = firsts.entry(pair[0].pid).or_insert(took);
            *first = first.min(took);
            last = last.max(took);
        }
    }
    let mut firsts: Vec<f64> = firsts.into_values().collect();
    firsts.sort_by(f64::total_cmp);
    let slowest = firsts.last().copied().unwrap_or(0.0);
    (firsts.get(firsts.len() / 2).copied().unwrap_or(0.0), slowest, last)
}

/// The share of the run that faults without victims excuse.
fn excusing(view: &View<'_>) -> f64 {
    let mut spans: Vec<(u64, u64)> = view
        .excuses
        .iter()
        .filter(|fault| fault.victims.is_empty())
        .map(|fault| (fault.from, fault.to + view.lease))
        .collect();
    spans.sort_unstable();
    let (mut sum, mut until) = (0, 0);
    for (from, to) in spans {
        sum += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    let (first, last) = view.ledger.span;
    sum as f64 / (last.saturating_sub(first)).max(1) as f64
}
