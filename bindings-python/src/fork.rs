//! What must not be touched in a process that was forked from the one that made it.

use crate::errors::raise;
use lavoro_core::{Error, ErrorKind};
use pyo3::PyResult;
use std::mem::ManuallyDrop;

/// Something with threads behind it, which a fork does not copy. In a forked process it is
/// neither used nor dropped: both would wait for threads that are not there.
#[derive(Debug)]
pub(crate) struct OfProcess<T> {
    process: u32,
    inner: ManuallyDrop<T>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { process: std::process::id(), inner: ManuallyDrop::new(inner) }
    }

    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// The thing wherever this is, to look at what lies in memory.
    pub(crate) fn anywhere(&self) -> &T {
        &self.inner
    }

    /// The thing, if this is the process that made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        if self.is_here() {
            return Ok(&self.inner);
        }
        let message = format!(
            "this was opened in process {}, and process {} is its fork: open it again here",
            self.process,
            std::process::id()
        );
        Err(raise(&Error::new(ErrorKind::Closed, message)))
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: it is dropped once, here, and not used afterwards.
            #[allow(unsafe_code, reason = "the only way to drop it by hand")]
            unsafe {
                ManuallyDrop::drop(&mut self.inner);
            }
        }
    }
}
