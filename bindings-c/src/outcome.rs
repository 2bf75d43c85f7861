//! What becomes of an attempt.

use crate::guard::guard;
use crate::job::{job_of, lavoro_job};
use crate::options::span;
use crate::status::lavoro_status;
use crate::text::{optional_json, optional_text};
use lavoro_bindings as shared;
use lavoro_core::Outcome;
use std::ffi::c_char;

/// The job is done. `result`: JSON text that is kept, or NULL and 0; one that cannot be stored is
/// replaced by a note.
///
/// As for each outcome: the first one counts. Of a job from lavoro_worker_next this returns when
/// the outcome is committed; in a callback it is sent and recorded soon after. The job is still
/// to be freed.
/// Errors: LAVORO_STALE_LEASE: another attempt runs the job, nothing was recorded;
/// LAVORO_INVALID_STATE: an outcome was reported already.
/// Thread-safety: any thread. Blocks until the commit, but not in a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_complete(
    job: *const lavoro_job,
    result: *const c_char,
    result_length: usize,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let result = unsafe { optional_json("result", result, result_length) }?;
        let outcome = result.map_or_else(Outcome::complete, Outcome::complete_with_json);
        job_of(job)?.finish(outcome)
    })
}

/// The attempt failed: try again after `delay_ms` milliseconds, or after the job's backoff if that
/// is negative. The last attempt's failure discards the job. `error` says what went wrong; NULL
/// for nothing. Else as lavoro_job_complete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_retry(
    job: *const lavoro_job,
    error: *const c_char,
    delay_ms: i64,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let error = unsafe { optional_text("error", error) }?.unwrap_or_default();
        job_of(job)?.finish(match crate::block::limit(delay_ms) {
            Some(delay) => Outcome::retry_in(delay, error),
            None => Outcome::retry(error),
        })
    })
}

/// The job cannot succeed: discard it without trying again. Else as lavoro_job_retry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_fail(
    job: *const lavoro_job,
    error: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let error = unsafe { optional_text("error", error) }?.unwrap_or_default();
        job_of(job)?.finish(Outcome::fail(error))
    })
}

/// Not now: again after `delay_ms` milliseconds (not negative). The attempt is not counted. Else
/// as lavoro_job_complete.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_snooze(job: *const lavoro_job, delay_ms: i64) -> lavoro_status {
    guard(|| job_of(job)?.finish(Outcome::snooze(span("delay_ms", delay_ms)?)))
}

/// The job is no longer wanted. `reason` may be NULL. Else as lavoro_job_complete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_cancel(
    job: *const lavoro_job,
    reason: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let reason = unsafe { optional_text("reason", reason) }?;
        job_of(job)?.finish(match reason {
            Some(reason) => Outcome::cancel(reason),
            None => Outcome::Cancel { reason: None },
        })
    })
}

/// Hands the job back at once. The attempt is not counted. Else as lavoro_job_complete.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_release(job: *const lavoro_job) -> lavoro_status {
    guard(|| job_of(job)?.finish(Outcome::Release))
}

/// Any outcome as JSON, as all languages have it: `{"outcome": "retry", "error": "…",
/// "delay_ms": 500}`. Else as lavoro_job_complete.
///
/// Errors: LAVORO_INVALID_OPTION too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_finish(
    job: *const lavoro_job,
    outcome: *const c_char,
    outcome_length: usize,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let outcome = unsafe { crate::text::bytes("outcome", outcome, outcome_length) }?;
        job_of(job)?.finish(shared::outcome(outcome)?)
    })
}
