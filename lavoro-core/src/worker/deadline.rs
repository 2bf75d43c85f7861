//! Ending attempts that take longer than they may.

use super::board::Board;
use super::finisher::Report;
use crate::error::Result;
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::service::Step;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Looks after the deadlines of running attempts.
#[derive(Debug)]
pub(super) struct Deadlines {
    pub(super) board: Arc<Board>,
    pub(super) reports: mpsc::WeakUnboundedSender<Report>,
}

impl Step for Deadlines {
    const NAME: &'static str = "looking after deadlines";

    async fn run_once(&mut self) -> Result<Duration> {
        let now = Instant::now();
        let (expired, next) = self.board.expire(now);
        if let Some(reports) = self.reports.upgrade() {
            for ticket in expired {
                let failure =
                    Failure::new(FailureKind::Timeout, "the attempt took longer than its timeout");
                let outcome = Outcome::Retry { failure, delay: None };
                let _ = reports.send((ticket, outcome, None));
            }
        }
        Ok(next.map_or(Duration::from_hours(1), |next| next.duration_since(now)))
    }
}
