//! A job that runs here: what it is, and what its handler says while it works.

use crate::block::{begin, block_on};
use crate::client::client_of;
use crate::guard::{guard, guard_or, is_in_callback};
use crate::handle::Handles;
use crate::status::{Refusal, Result, lavoro_status};
use crate::text::{Out, c_string, hand_out, optional_json, optional_text, text};
use lavoro_bindings as shared;
use lavoro_core::{Finish, Job, Outcome, PullWorker, StopReason, Verdict};
use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A job that runs in this process. Opaque; never dereference it.
#[derive(Debug)]
pub struct lavoro_job(());

/// Why a handler should stop.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lavoro_stop_reason {
    /// It should not.
    LAVORO_STOP_NONE = 0,
    /// Someone cancelled the job.
    LAVORO_STOP_CANCELLED = 1,
    /// The attempt took longer than its timeout, and has been recorded as failed.
    LAVORO_STOP_TIMEOUT = 2,
    /// The worker stops and its limit is reached: the job is handed back, not counted.
    LAVORO_STOP_SHUTDOWN = 3,
    /// The database has not been reached for so long that another may soon take the job.
    LAVORO_STOP_LOST_CONTACT = 4,
    /// Another worker runs the job: nothing that this attempt reports is accepted.
    LAVORO_STOP_LOST_LEASE = 5,
}

/// A job in hand.
#[derive(Debug)]
pub(crate) struct Held {
    job: Job,
    worker: Arc<PullWorker>,
    /// Of a callback: the library frees the handle.
    lent: bool,
    /// An outcome was reported.
    over: AtomicBool,
    task: OnceLock<CString>,
    queue: OnceLock<CString>,
    payload: OnceLock<CString>,
}

static JOBS: Handles<Held> = Handles::new("job", 3);

/// A handle on a job that was handed out.
pub(crate) fn hold(job: Job, worker: Arc<PullWorker>, lent: bool) -> *mut lavoro_job {
    JOBS.add(Arc::new(Held {
        job,
        worker,
        lent,
        over: AtomicBool::new(false),
        task: OnceLock::new(),
        queue: OnceLock::new(),
        payload: OnceLock::new(),
    }))
}

/// The job that a handle leads to.
pub(crate) fn job_of(job: *const lavoro_job) -> Result<Arc<Held>> {
    JOBS.get(job)
}

/// Frees the handle. Answers the job, if it was known.
pub(crate) fn let_go(job: *const lavoro_job) -> Result<Arc<Held>> {
    JOBS.take(job)
}

impl Held {
    /// Whether an outcome was reported.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Reports an outcome: the first one counts. Waits for the commit, but not in a callback,
    /// which would hold up its thread.
    pub(crate) fn finish(&self, outcome: Outcome) -> Result<()> {
        if is_in_callback() {
            return self.begin(outcome);
        }
        let report = self.report(outcome)?;
        match block_on(report).first() {
            Some(Verdict::Accepted) => Ok(()),
            _ => Err(Refusal::new(
                lavoro_status::LAVORO_STALE_LEASE,
                format!("this attempt of job {} is over: nothing was recorded", self.job.id()),
            )),
        }
    }

    /// Reports an outcome and does not wait.
    pub(crate) fn begin(&self, outcome: Outcome) -> Result<()> {
        begin(self.report(outcome)?);
        Ok(())
    }

    fn report(&self, outcome: Outcome) -> Result<impl Future<Output = Vec<Verdict>>> {
        if self.over.swap(true, Ordering::AcqRel) {
            let message = format!("the outcome of job {} was reported already", self.job.id());
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        let finish = Finish { job: self.job.id(), token: self.job.token(), outcome };
        Ok(self.worker.finish(vec![finish]))
    }
}

/// The job's number: the key that makes effects outside of the database idempotent. 0 if the
/// handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_id(job: *const lavoro_job) -> i64 {
    guard_or(0, || Ok(JOBS.get(job)?.job.id()))
}

/// Which attempt this is, from 1. 0 if the handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_attempt(job: *const lavoro_job) -> u32 {
    guard_or(0, || Ok(JOBS.get(job)?.job.attempt()))
}

/// How many attempts the job has in all. 0 if the handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_max_attempts(job: *const lavoro_job) -> u32 {
    guard_or(0, || Ok(JOBS.get(job)?.job.max_attempts()))
}

/// The task. NULL if the handle is invalid.
///
/// Ownership: the job's; valid until it is freed, or its callback has returned.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_task(job: *const lavoro_job) -> *const c_char {
    guard_or(null(), || {
        let held = JOBS.get(job)?;
        Ok(held.task.get_or_init(|| c_string(held.job.task())).as_ptr())
    })
}

/// The queue. NULL if the handle is invalid.
///
/// Ownership: the job's; valid until it is freed, or its callback has returned.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_queue(job: *const lavoro_job) -> *const c_char {
    guard_or(null(), || {
        let held = JOBS.get(job)?;
        Ok(held.queue.get_or_init(|| c_string(held.job.queue())).as_ptr())
    })
}

/// The payload as JSON text, as the database keeps it; it holds no NUL. `length` may be NULL.
/// NULL if the handle is invalid.
///
/// Ownership: the job's; valid until it is freed, or its callback has returned.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_payload(
    job: *const lavoro_job,
    length: *mut usize,
) -> *const c_char {
    guard_or(null(), || {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut length = unsafe { Out::optional(length) };
        length.set(0);
        let held = JOBS.get(job)?;
        let payload = held.payload.get_or_init(|| c_string(held.job.payload_json()));
        length.set(payload.as_bytes().len());
        Ok(payload.as_ptr())
    })
}

/// Everything there is to know about the job, as a JSON object: `id`, `token`, `task`, `queue`,
/// `attempt`, `max_attempts`, `priority`, `suspect`, `created_at`, `claimed_at`, `timeout_ms`,
/// `tags`, `payload`, `metadata`, `traceparent`, `tracestate`, `slot`.
///
/// Ownership: the caller frees `*json` with lavoro_string_free.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_json(
    job: *const lavoro_job,
    json: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut json = unsafe { Out::new("json", json, null_mut()) }?;
        json.set(hand_out(shared::job_json(&JOBS.get(job)?.job)?));
        Ok(())
    })
}

/// Whether the handler should stop, and why: the cancellation flag. Ask it now and then in long
/// work. LAVORO_STOP_LOST_LEASE if the handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_stop_reason(job: *const lavoro_job) -> lavoro_stop_reason {
    guard_or(lavoro_stop_reason::LAVORO_STOP_LOST_LEASE, || {
        Ok(match JOBS.get(job)?.job.stop_reason() {
            None => lavoro_stop_reason::LAVORO_STOP_NONE,
            Some(StopReason::Cancelled) => lavoro_stop_reason::LAVORO_STOP_CANCELLED,
            Some(StopReason::Timeout) => lavoro_stop_reason::LAVORO_STOP_TIMEOUT,
            Some(StopReason::Shutdown) => lavoro_stop_reason::LAVORO_STOP_SHUTDOWN,
            Some(StopReason::LostContact) => lavoro_stop_reason::LAVORO_STOP_LOST_CONTACT,
            Some(StopReason::LostLease) => lavoro_stop_reason::LAVORO_STOP_LOST_LEASE,
        })
    })
}

/// Says how far the job has come: `percent` from 0 to 100, or negative for none; a message for
/// people, and data for programs as JSON text; both may be NULL. Only the last word counts.
///
/// Errors: LAVORO_INVALID_OPTION, LAVORO_INVALID_PAYLOAD, LAVORO_PAYLOAD_TOO_LARGE.
/// Thread-safety: any thread. Does not block: it is written within milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_progress(
    job: *const lavoro_job,
    percent: f32,
    message: *const c_char,
    data: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (message, data) =
            unsafe { (optional_text("message", message)?, optional_text("data", data)?) };
        let percent = (percent.is_nan() || percent >= 0.0).then_some(percent);
        Ok(JOBS.get(job)?.job.progress_json(percent, message, data)?)
    })
}

/// Adds to the job's log; each line of the text is one there. At most 1000 lines of 4 KiB.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_log(
    job: *const lavoro_job,
    line: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let line = unsafe { text("line", line) }?;
        JOBS.get(job)?.job.log(line);
        Ok(())
    })
}

/// Saves what the next attempt needs to go on from here, as JSON text of at most 1 MiB; it
/// replaces what was saved before. When this returns LAVORO_OK, it is committed.
///
/// Errors: LAVORO_STALE_LEASE: stop; LAVORO_INVALID_PAYLOAD, LAVORO_PAYLOAD_TOO_LARGE,
/// LAVORO_CLOSED, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_checkpoint_save(
    job: *const lavoro_job,
    json: *const c_char,
    json_length: usize,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let json = unsafe { optional_json("json", json, json_length) }?;
        Ok(block_on(JOBS.get(job)?.job.save_checkpoint_json(json.unwrap_or("null")))?)
    })
}

/// What was saved last for this job, by this attempt or one before it, as JSON text; `*json` is
/// NULL if nothing was.
///
/// Ownership: the caller frees `*json` with lavoro_string_free.
/// Errors: LAVORO_CLOSED, or what is wrong with the database.
/// Thread-safety: any thread. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_job_checkpoint_load(
    job: *const lavoro_job,
    json: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut json = unsafe { Out::new("json", json, null_mut()) }?;
        if let Some(saved) = block_on(JOBS.get(job)?.job.checkpoint_json())? {
            json.set(hand_out(saved));
        }
        Ok(())
    })
}

/// Frees a job that lavoro_worker_next handed out. If no outcome was reported, it is handed back
/// at once, and the attempt is not counted. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it was freed already; LAVORO_INVALID_STATE for the job of a
/// callback that is running, which the library frees.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_job_free(job: *mut lavoro_job) -> lavoro_status {
    guard(|| {
        if job.is_null() {
            return Ok(());
        }
        if JOBS.get(job)?.lent {
            let message = "the library frees the job of a callback when that returns";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        let held = JOBS.take(job)?;
        if !held.is_over() {
            held.begin(Outcome::Release)?;
        }
        Ok(())
    })
}

/// Statements for the caller's own transaction need a client only for its schema.
pub(crate) fn complete_sql(
    client: *const crate::client::lavoro_client,
    job: *const lavoro_job,
    result: Option<&str>,
) -> Result<lavoro_core::SqlCall> {
    Ok(client_of(client)?.complete_sql_json(&JOBS.get(job)?.job, result))
}
