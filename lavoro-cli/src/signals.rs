//! SIGINT and SIGTERM.

use crate::exit::{Failure, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this program to end. From its making on, they no longer kill.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub(crate) fn new() -> Result<Self> {
        let take =
            |kind| signal(kind).map_err(|error| Failure::io("cannot handle signals", &error));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one and answers the exit code that a shell knows it by.
    pub(crate) async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        128 + kind.as_raw_value()
    }
}
