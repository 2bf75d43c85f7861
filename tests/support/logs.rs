//! What the core logs, for tests that wait for a line of it.

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing_subscriber::filter::LevelFilter;

static LINES: Mutex<String> = Mutex::new(String::new());

/// Collects what is logged.
#[derive(Debug)]
struct Collector;

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The warnings that were logged in this process since the first call and contain `text`.
///
/// # Panics
/// If someone else collects what this process logs.
#[must_use]
pub fn warnings(text: &str) -> Vec<String> {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(LevelFilter::WARN)
            .with_writer(|| Collector)
            .init();
    });
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}
