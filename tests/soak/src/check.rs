//! The checker: joins what everyone wrote down, and says what must not be. A pure function.
//!
//! Whatever it cannot explain it counts as a violation.

mod executions;
mod figures;
mod history;
mod promises;

use crate::kind::Kind;
use crate::ledger::{Fault, Ledger, Start};
use crate::report::{Report, Violation};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Holds a ledger against every rule.
#[must_use]
pub fn check(ledger: &Ledger) -> Report {
    let view = View::new(ledger);
    let mut violations = Vec::new();
    promises::check(&view, &mut violations);
    let excused = executions::check(&view, &mut violations);
    let mut report = figures::report(&view);
    report.excused = excused;
    report.violations = violations;
    report
}

/// How many violations come with their job's history.
const HISTORIES: u32 = 100;

/// A ledger with what the rules look things up by.
struct View<'a> {
    ledger: &'a Ledger,
    /// The executions of each job, in the order of their starts.
    runs: HashMap<i64, Vec<&'a Start>>,
    /// Faults that may cost a lease.
    excuses: Vec<&'a Fault>,
    /// Marks that became jobs.
    marks: HashMap<&'a str, Vec<i64>>,
    /// When a process died.
    deaths: HashMap<u32, u64>,
    poisoned: HashSet<u32>,
    /// What was acknowledged, by number.
    told: HashMap<i64, Kind>,
    /// How many histories were written: thousands help nobody.
    histories: Cell<u32>,
    /// A lease, in microseconds.
    lease: u64,
}

impl<'a> View<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        let mut runs: HashMap<i64, Vec<&Start>> = HashMap::new();
        for start in &ledger.starts {
            runs.entry(start.id).or_default().push(start);
        }
        for run in runs.values_mut() {
            run.sort_by_key(|start| start.at);
        }
        let mut marks: HashMap<&str, Vec<i64>> = HashMap::new();
        for (id, row) in ledger.jobs.iter().filter(|(_, row)| row.mark != "-") {
            marks.entry(&row.mark).or_default().push(*id);
        }
        let took = |fault: &Fault| std::time::Duration::from_micros(fault.to - fault.from);
        let excuses = ledger
            .faults
            .iter()
            .filter(|fault| fault.class.excuses(took(fault), ledger.lease))
            .collect();
        Self {
            ledger,
            runs,
            excuses,
            marks,
            deaths: ledger.exits.iter().map(|exit| (exit.pid, exit.at)).collect(),
            told: ledger
                .acks
                .iter()
                .filter_map(|ack| Some((ack.id, *ledger.tries.get(&ack.mark)?)))
                .collect(),
            histories: Cell::new(0),
            poisoned: ledger.poisoned.iter().copied().collect(),
            lease: u64::try_from(ledger.lease.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// A violation about one job.
    fn about(&self, rule: &'static str, id: i64, what: impl Into<String>) -> Violation {
        self.histories.set(self.histories.get() + 1);
        let told = self.histories.get() <= HISTORIES;
        let history = if told { history::of(self, id) } else { Vec::new() };
        Violation { rule, what: format!("job {id} {}", what.into()), history }
    }

    /// A violation that is not about one job.
    fn general(rule: &'static str, what: impl Into<String>) -> Violation {
        Violation { rule, what: what.into(), history: Vec::new() }
    }
}
