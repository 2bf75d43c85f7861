//! Kinds of jobs, which are also their tasks, and how each may end.

use std::fmt;
use std::str::FromStr;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Completes at once.
    Quick,
    /// Runs longer than a lease.
    Slow,
    /// Fails twice, then completes.
    Failing,
    /// Fails until it is discarded, and leaves a follow-up.
    Doomed,
    /// Snoozes before it completes.
    Snoozing,
    /// Inserts into `effect` and completes in the same transaction, sometimes late.
    Transactional,
    /// Kills its process.
    Poison,
    /// What bulk changes cancel, retry, edit and delete.
    Storm,
    /// The follow-up of a doomed job. Nobody enqueues it.
    Follow,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Quick,
        Self::Slow,
        Self::Failing,
        Self::Doomed,
        Self::Snoozing,
        Self::Transactional,
        Self::Poison,
        Self::Storm,
        Self::Follow,
    ];

    /// Its name, which is its task's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::Doomed => "doomed",
            Self::Snoozing => "snoozing",
            Self::Transactional => "transactional",
            Self::Poison => "poison",
            Self::Storm => "storm",
            Self::Follow => "follow",
        }
    }

    /// The states in which such a job may be when all is over. `gone`: deleted.
    #[must_use]
    pub const fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Doomed | Self::Poison => &["discarded"],
            Self::Storm => &["completed", "cancelled", "gone"],
            _ => &["completed"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| format!("{name:?} is no kind of job"))
    }
}
