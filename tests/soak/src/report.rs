//! What a run amounted to.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule: `lost`, `unjustified`, `effects`, …
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
    /// The job's history, a line per event; empty if it is not about one job.
    pub history: Vec<String>,
}

/// Figures and violations.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The seed of the run.
    pub seed: String,
    /// Jobs that producers were given numbers for.
    pub acknowledged: u64,
    /// Attempts whose fate the producer did not know, and how many of them became jobs.
    pub maybe: (u64, u64),
    /// Jobs by kind and last state.
    pub jobs: BTreeMap<String, u64>,
    /// Faults by class.
    pub faults: BTreeMap<String, u64>,
    /// Executions in all.
    pub executions: u64,
    /// Those that were not accepted, and are explained by a fault.
    pub excused: u64,
    /// Outcomes that were refused since their lease was over.
    pub refused: u64,
    /// Seconds from the first event to the last.
    pub seconds: f64,
    /// Ended jobs in a second.
    pub throughput: f64,
    /// Seconds from a kill to the next start of the first job that it cut off: median and
    /// slowest over all kills. The others follow one by one, as suspects.
    pub recovery: (f64, f64),
    /// Seconds from a kill to the next start of the last job that it cut off, slowest of all.
    pub recovery_last: f64,
    /// The share of the run in which a fault without a victim excused extra executions.
    pub excusing: f64,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Further facts of the run.
    pub facts: BTreeMap<String, String>,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Which rules were broken, each once.
    #[must_use]
    pub fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = self.violations.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

/// How many violations are told in full.
const TOLD: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(
            f,
            "{} jobs acknowledged, {} executions in {:.0} s ({:.0} jobs/s)",
            self.acknowledged, self.executions, self.seconds, self.throughput
        )?;
        writeln!(
            f,
            "unknown to their producer: {}, of which exist: {}",
            self.maybe.0, self.maybe.1
        )?;
        writeln!(
            f,
            "executions that a fault excuses: {}; outcomes refused: {}; time in which a \
             server-wide fault excuses: {:.0} %",
            self.excused,
            self.refused,
            self.excusing * 100.0
        )?;
        writeln!(
            f,
            "kill -9 to running again, first job: median {:.2} s, slowest {:.2} s; last job: \
             slowest {:.2} s",
            self.recovery.0, self.recovery.1, self.recovery_last
        )?;
        for (title, counts) in [("jobs", &self.jobs), ("faults", &self.faults)] {
            write!(f, "{title}:")?;
            for (name, count) in counts {
                write!(f, " {name} {count}")?;
            }
            writeln!(f)?;
        }
        for (name, fact) in &self.facts {
            writeln!(f, "{name}: {fact}")?;
        }
        if self.is_clean() {
            return writeln!(f, "violations: 0");
        }
        writeln!(f, "VIOLATIONS: {} ({})", self.violations.len(), self.rules().join(", "))?;
        for violation in self.violations.iter().take(TOLD) {
            writeln!(f, "- {}: {}", violation.rule, violation.what)?;
            for line in &violation.history {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
