//! Telling a handler that it should stop.

use tokio::sync::watch;

/// Why a handler should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Someone cancelled the job. The attempt ends as `cancelled` unless it completes.
    Cancelled,
    /// The attempt took longer than its timeout. It has been recorded as failed.
    Timeout,
    /// The worker stops and its limit is reached. The job is handed back, not counted.
    Shutdown,
    /// The worker has lost contact with the database for nearly a lease, so that another may
    /// soon take the job. The job is handed back, not counted, if the lease still stands then.
    LostContact,
    /// The lease is gone: another worker runs the job. Nothing that this attempt reports is
    /// accepted.
    LostLease,
}

/// A flag that is raised at most once, with a reason.
#[derive(Clone, Debug)]
pub(crate) struct Signal(watch::Sender<Option<StopReason>>);

impl Default for Signal {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Signal {
    /// Raises the flag. The first reason stays, except that a lost lease replaces any.
    pub(crate) fn raise(&self, reason: StopReason) {
        self.0.send_if_modified(|current| {
            let news = current.is_none() || reason == StopReason::LostLease;
            if news {
                *current = Some(reason);
            }
            news
        });
    }

    /// The reason, if the flag is raised.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Waits until the flag is raised.
    pub(crate) async fn raised(&self) -> StopReason {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(reason) = *receiver.borrow_and_update() {
                return reason;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
