//! What is wrong with a database, judged from facts. Pure: the facts come from `store`.

mod durability;
mod facts;
mod line;
mod schedules;
mod schema;
mod server;
mod vacuum;
mod work;

pub(crate) use facts::{
    Ages, Collation, Facts, Holder, Idle, Leftovers, Line, Look, Objects, ScheduleFacts, Server,
    Settings, Standbys, TableFacts, Unserved, WorkerFacts,
};

use serde::Serialize;
use std::fmt::Write as _;

/// What became of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingStatus {
    /// As it should be.
    Ok,
    /// It works, but not as well or as safely as it should; or it could not be looked at.
    Warning,
    /// Jobs are lost, late or at risk, or will be.
    Problem,
}

impl FindingStatus {
    /// The stable name: `ok`, `warning` or `problem`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl std::fmt::Display for FindingStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the doctor found in one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stable name of the check: `fsync`, `snapshots`, …
    pub check: &'static str,
    /// How bad it is.
    pub status: FindingStatus,
    /// What was found, in words.
    pub found: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it. None if it is ok.
    pub remedy: Option<String>,
}

/// A check: its name, and why it is made.
struct Check {
    name: &'static str,
    why: &'static str,
}

impl Check {
    fn ok(&self, found: impl Into<String>) -> Finding {
        self.finding(FindingStatus::Ok, found.into(), None)
    }

    fn warning(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(FindingStatus::Warning, found.into(), Some(remedy.into()))
    }

    fn problem(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(FindingStatus::Problem, found.into(), Some(remedy.into()))
    }

    /// A finding whose status was weighed elsewhere; the remedy is left out if it is ok.
    fn weighed(&self, status: FindingStatus, found: String, remedy: &str) -> Finding {
        let remedy = (status != FindingStatus::Ok).then(|| remedy.to_owned());
        self.finding(status, found, remedy)
    }

    /// The facts could not be had. Not knowing is no proof of harm.
    fn unseen(&self, said: &str) -> Finding {
        self.warning(
            format!("could not look: {said}"),
            "grant this role what it lacks (membership in pg_monitor, and the rights in docs/sql.md), \
             or run the doctor as a role that has it",
        )
    }

    fn finding(&self, status: FindingStatus, found: String, remedy: Option<String>) -> Finding {
        Finding { check: self.name, status, found, why: self.why, remedy }
    }
}

/// Judges all facts, in an order that puts causes before their effects.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = server::judge(facts);
    findings.extend(durability::judge(facts));
    findings.extend(line::judge(facts));
    findings.extend(vacuum::judge(facts));
    findings.extend(schema::judge(facts));
    if facts.has_schema() {
        findings.extend(work::judge(facts));
        findings.extend(schedules::judge(facts));
    }
    findings
}

/// A time span for people.
fn span(seconds: i64) -> String {
    match seconds {
        i64::MIN..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number of bytes for people.
fn size(bytes: i64) -> String {
    match bytes {
        i64::MIN..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} kB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MB", bytes >> 20),
        _ => format!("{} GB", bytes >> 30),
    }
}

/// The first few of many, and how many more there are.
fn some<T>(all: &[T], say: impl Fn(&T) -> String) -> String {
    const FEW: usize = 5;
    let mut text = all.iter().take(FEW).map(say).collect::<Vec<_>>().join("; ");
    if all.len() > FEW {
        // Writing to a String cannot fail.
        let _ = write!(text, "; and {} more", all.len() - FEW);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finding of a check.
    pub(super) fn of(facts: &Facts, check: &str) -> Finding {
        let found: Vec<_> = judge(facts).into_iter().filter(|f| f.check == check).collect();
        assert_eq!(found.len(), 1, "findings of {check}: {found:?}");
        found.into_iter().next().unwrap()
    }

    /// The status of a check after something has been changed in healthy facts.
    pub(super) fn status(check: &str, change: impl FnOnce(&mut Facts)) -> &'static str {
        let mut facts = Facts::healthy();
        change(&mut facts);
        of(&facts, check).status.as_str()
    }

    #[test]
    fn a_healthy_database_has_nothing_but_ok() {
        let findings = judge(&Facts::healthy());
        let bad: Vec<_> = findings.iter().filter(|f| f.status != FindingStatus::Ok).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        assert!(findings.len() > 20, "{}", findings.len());
        assert!(findings.iter().all(|f| f.remedy.is_none() && !f.why.is_empty()));
    }

    #[test]
    fn what_could_not_be_seen_is_a_warning_of_its_check() {
        let mut facts = Facts::healthy();
        facts.blind("permission denied");
        let findings = judge(&facts);
        assert!(findings.iter().all(|f| f.status != FindingStatus::Problem), "{findings:#?}");
        let unseen = findings.iter().filter(|f| f.found.contains("could not look")).count();
        assert!(unseen > 15, "{unseen}");
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(
            (span(5), span(300), span(90_000)),
            ("5 s".into(), "5 min".into(), "25 h".into())
        );
        assert_eq!((size(500), size(20 << 20)), ("500 B".to_owned(), "20 MB".to_owned()));
        assert_eq!(some(&[1, 2, 3, 4, 5, 6, 7], i32::to_string), "1; 2; 3; 4; 5; and 2 more");
    }
}
