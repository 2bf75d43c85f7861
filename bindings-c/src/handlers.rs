//! Jobs that callbacks run.

use crate::block::block_on;
use crate::guard::in_callback;
use crate::job::{hold, job_of, lavoro_job, let_go};
use lavoro_core::{Job, Outcome, PullWorker};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Runs a job. Report an outcome with lavoro_job_complete, _retry, _fail, _snooze, _cancel or
/// _release; without one, 0 completes the job, and any other number is a failure that is tried
/// again.
///
/// `job` is valid until the callback returns; the library frees it. It runs on a thread of the
/// library's, or on the one that is in lavoro_worker_run. It may call the library, but for
/// lavoro_worker_run, lavoro_worker_free and lavoro_client_close. It must return: neither longjmp
/// nor an exception may leave it, and it may not end its thread.
pub type lavoro_handler =
    Option<unsafe extern "C" fn(job: *mut lavoro_job, user_data: *mut c_void) -> c_int>;

type Function = unsafe extern "C" fn(job: *mut lavoro_job, user_data: *mut c_void) -> c_int;

/// A callback with what it is to be given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handler {
    function: Function,
    user_data: *mut c_void,
}

// SAFETY: nothing here follows `user_data`; the header says that callbacks run on any thread.
unsafe impl Send for Handler {}
// SAFETY: as above: it is only copied.
unsafe impl Sync for Handler {}

impl Handler {
    pub(crate) fn new(function: Function, user_data: *mut c_void) -> Self {
        Self { function, user_data }
    }
}

/// Runs jobs one after another on this thread until the worker stops.
pub(crate) fn serve(pull: &Arc<PullWorker>, handlers: &HashMap<String, Handler>) {
    loop {
        let jobs = block_on(pull.next_jobs(1));
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            run(job, pull, handlers);
        }
    }
}

fn run(job: Job, pull: &Arc<PullWorker>, handlers: &HashMap<String, Handler>) {
    let handler = handlers.get(job.task()).copied();
    let handle = hold(job, Arc::clone(pull), true);
    let Ok(held) = job_of(handle) else { return };
    let outcome = match handler {
        Some(Handler { function, user_data }) => {
            // SAFETY: whoever set the handler promised a function that may be called with its
            // `user_data` on any thread, and that returns.
            match in_callback(|| unsafe { function(handle, user_data) }) {
                0 => Outcome::complete(),
                number => Outcome::retry(format!("the handler returned {number}")),
            }
        }
        // Not claimed for: nobody else's fault.
        None => Outcome::Release,
    };
    let _ = let_go(handle);
    if !held.is_over() {
        let _ = held.begin(outcome);
    }
}
