//! The one place for a suspect that a process has, whichever of its workers holds it: if the
//! process is lost, only that job can be to blame.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process holds a suspect.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A worker's hold on the place. Dropped, it gives it back: a worker that was not stopped must
/// not keep it for ever.
#[derive(Debug, Default)]
pub(super) struct SuspectPlace {
    ours: bool,
}

impl SuspectPlace {
    /// Whether anyone could take it now.
    pub(super) fn is_free() -> bool {
        !TAKEN.load(Ordering::Acquire)
    }

    /// Takes it, if it is free.
    pub(super) fn take(&mut self) -> bool {
        let taken = !TAKEN.swap(true, Ordering::AcqRel);
        self.ours |= taken;
        taken
    }

    /// Gives it back, if it is ours.
    pub(super) fn give_back(&mut self) {
        if std::mem::take(&mut self.ours) {
            TAKEN.store(false, Ordering::Release);
        }
    }
}

impl Drop for SuspectPlace {
    fn drop(&mut self) {
        self.give_back();
    }
}
