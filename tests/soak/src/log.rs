//! Writing a ledger: one line per event, one write per line.

use crate::Result;
use nix::time::{ClockId, clock_gettime};
use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Microseconds since the machine started: comparable across its processes, never set back.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_nsec()) / 1000
    });
    u64::try_from(time).unwrap_or(0)
}

/// A file that lines are appended to.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(dir: &Path, name: &str) -> Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(dir.join(name))?))
    }

    /// Appends one line. A process that cannot keep its account must not go on.
    pub(crate) fn line(&self, line: Arguments<'_>) {
        let text = format!("{line}\n");
        if (&self.0).write_all(text.as_bytes()).is_err() {
            std::process::exit(4);
        }
    }
}
