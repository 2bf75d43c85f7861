//! The one way in and out of the library.

use crate::status::{Refusal, Result, lavoro_status, remember};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// The process that used the library first; 0: none has.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// Runs what an export does: catches panics, refuses a forked child, keeps the error's message.
pub(crate) fn guard(work: impl FnOnce() -> Result<()>) -> lavoro_status {
    answer(work).map_or_else(|refusal| remember(&refusal), |()| lavoro_status::LAVORO_OK)
}

/// As [`guard`], for exports that answer a value, and another if they fail.
pub(crate) fn guard_or<T>(otherwise: T, work: impl FnOnce() -> Result<T>) -> T {
    answer(work).unwrap_or_else(|refusal| {
        remember(&refusal);
        otherwise
    })
}

fn answer<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    check_process()?;
    // Nothing that a panic leaves half done is seen: handles lead to what the core keeps sound.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let message = format!("a defect in Lavoro: {message}");
        Err(Refusal::new(lavoro_status::LAVORO_INTERNAL, message))
    })
}

/// A child has none of the library's threads, and maybe a lock that nobody will ever unlock:
/// so this comes first, and takes no lock.
fn check_process() -> Result<()> {
    let here = std::process::id();
    match PROCESS.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Err(there) if there != here => Err(Refusal::new(
            lavoro_status::LAVORO_FORKED,
            format!(
                "process {here} was forked from process {there}, which had used Lavoro: \
                 fork before the first call, or exec"
            ),
        )),
        _ => Ok(()),
    }
}

/// Marks the thread as being in a callback as long as `work` runs.
pub(crate) fn in_callback<T>(work: impl FnOnce() -> T) -> T {
    CALLBACKS.set(CALLBACKS.get() + 1);
    let answer = work();
    CALLBACKS.set(CALLBACKS.get() - 1);
    answer
}

/// Whether the thread is in a callback.
pub(crate) fn is_in_callback() -> bool {
    CALLBACKS.get() > 0
}

/// Refuses what would wait for the callback that it is called from.
pub(crate) fn refuse_in_callback(function: &str) -> Result<()> {
    if is_in_callback() {
        let message = format!("{function} waits for callbacks: it cannot be called from one");
        return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
    }
    Ok(())
}
