//! Workers: made, started, asked for jobs, stopped.

use crate::block::{block_for, block_on, limit};
use crate::client::{client_of, lavoro_client};
use crate::guard::{guard, is_in_callback, refuse_in_callback};
use crate::handle::Handles;
use crate::handlers::{Handler, lavoro_handler};
use crate::job::{hold, lavoro_job};
use crate::options::{lavoro_worker_options, worker_options};
use crate::ready::Bell;
use crate::status::{Refusal, Result, lavoro_status};
use crate::text::{Out, hand_out, text};
use lavoro_bindings as shared;
use lavoro_core::{EventStream, Lavoro, PullWorker, WorkerOptions};
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A worker: runs jobs by callbacks, or hands them out. Opaque; never dereference it.
#[derive(Debug)]
pub struct lavoro_worker(());

static WORKERS: Handles<Worker> = Handles::new("worker", 2);

/// What a worker handle leads to.
#[derive(Debug)]
pub(crate) struct Worker {
    lavoro: Arc<Lavoro>,
    inner: Mutex<Inner>,
    events: Mutex<Option<EventStream>>,
}

/// Callbacks by task.
type Handlers = HashMap<String, Handler>;

#[derive(Debug, Default)]
struct Inner {
    options: WorkerOptions,
    handlers: Handlers,
    /// Once it has started.
    pull: Option<Arc<PullWorker>>,
    bell: Option<Arc<Bell>>,
    threads: Vec<JoinHandle<()>>,
    /// It was stopped, and does not start again.
    over: bool,
}

impl Worker {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker that hands jobs out, started if it was not.
    fn pull(&self) -> Result<Arc<PullWorker>> {
        let mut inner = self.inner();
        if let Some(pull) = &inner.pull {
            return Ok(Arc::clone(pull));
        }
        if inner.over {
            return Err(Refusal::new(lavoro_status::LAVORO_CLOSED, "the worker was stopped"));
        }
        let mut options = inner.options.clone();
        if !inner.handlers.is_empty() {
            options.tasks = inner.handlers.keys().cloned().collect();
        }
        let pull = Arc::new(block_on(PullWorker::start(&self.lavoro, options))?);
        inner.pull = Some(Arc::clone(&pull));
        Ok(pull)
    }

    /// The worker with its handlers, for callbacks.
    fn staffed(&self) -> Result<(Arc<PullWorker>, Arc<Handlers>)> {
        let handlers = self.inner().handlers.clone();
        if handlers.is_empty() {
            let message = "the worker has no handlers: call lavoro_worker_handle first";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        Ok((self.pull()?, Arc::new(handlers)))
    }

    fn start(&self) -> Result<()> {
        let (pull, handlers) = self.staffed()?;
        let mut inner = self.inner();
        if !inner.threads.is_empty() {
            let message = "the worker was started already";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        for number in 0..pull.health().slots {
            let (pull, handlers) = (Arc::clone(&pull), Arc::clone(&handlers));
            let thread = std::thread::Builder::new()
                .name(format!("lavoro-job-{number}"))
                .spawn(move || crate::handlers::serve(&pull, &handlers))
                .map_err(|error| {
                    let message = format!("a thread cannot be started: {error}");
                    Refusal::new(lavoro_status::LAVORO_INTERNAL, message)
                })?;
            inner.threads.push(thread);
        }
        Ok(())
    }

    /// Stops, and waits for the threads if their callbacks have returned. Answers whether.
    fn stop(&self, timeout: Duration) -> bool {
        let pull = {
            let mut inner = self.inner();
            inner.over = true;
            inner.pull.clone()
        };
        let Some(pull) = pull else { return true };
        let drained = block_on(pull.stop(timeout));
        if drained {
            self.join();
        }
        drained
    }

    /// Waits for callbacks to return.
    fn join(&self) {
        let (threads, bell) = {
            let mut inner = self.inner();
            (std::mem::take(&mut inner.threads), inner.bell.clone())
        };
        if let Some(bell) = bell {
            bell.end();
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Makes a worker. Nothing happens yet: it starts with lavoro_worker_start, _run, _next or _fd.
///
/// `options`: NULL for the defaults. One that hands jobs out needs `{"tasks": […]}` in its json;
/// with handlers, the tasks are theirs.
///
/// Ownership: the caller frees `*worker` with lavoro_worker_free. The client may not be closed
/// before that. Errors: LAVORO_INVALID_OPTION, LAVORO_INVALID_ARGUMENT, LAVORO_INVALID_HANDLE.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_new(
    client: *const lavoro_client,
    options: *const lavoro_worker_options,
    worker: *mut *mut lavoro_worker,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut worker, options) =
            unsafe { (Out::new("worker", worker, null_mut())?, worker_options(options)?) };
        let inner = Inner { options, ..Inner::default() };
        worker.set(WORKERS.add(Arc::new(Worker {
            lavoro: client_of(client)?,
            inner: Mutex::new(inner),
            events: Mutex::new(None),
        })));
        Ok(())
    })
}

/// Has jobs of a task run by a callback. Call it before the worker starts.
///
/// The callback may run on several threads at once, and may call this library, but for what its
/// comment forbids. `user_data` is passed on and never looked at; it must stay valid until the
/// worker was freed.
///
/// Errors: LAVORO_INVALID_TASK, LAVORO_DUPLICATE_HANDLER; LAVORO_INVALID_STATE after the start.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_handle(
    worker: *const lavoro_worker,
    task: *const c_char,
    handler: lavoro_handler,
    user_data: *mut c_void,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let task = unsafe { text("task", task) }?;
        let Some(function) = handler else {
            return Err(Refusal::argument("handler is NULL"));
        };
        let worker = WORKERS.get(worker)?;
        let mut inner = worker.inner();
        if inner.pull.is_some() || inner.over {
            let message = "handlers are set before the worker starts";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        if inner.handlers.contains_key(task) {
            let message = format!("task {task:?} has a handler already");
            return Err(Refusal::new(lavoro_status::LAVORO_DUPLICATE_HANDLER, message));
        }
        inner.handlers.insert(task.to_owned(), Handler::new(function, user_data));
        Ok(())
    })
}

/// Starts the worker on threads of the library's: one for each job that may run at once.
///
/// Errors: LAVORO_INVALID_STATE without handlers or if it was started; LAVORO_INVALID_OPTION,
/// LAVORO_CLOSED, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the worker is registered.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_worker_start(worker: *const lavoro_worker) -> lavoro_status {
    guard(|| WORKERS.get(worker)?.start())
}

/// Runs jobs one after another on the calling thread until the worker is stopped. Several threads
/// may do so at once.
///
/// Errors: as lavoro_worker_start; LAVORO_INVALID_STATE in a callback.
/// Thread-safety: any thread. Blocks until lavoro_worker_stop.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_worker_run(worker: *const lavoro_worker) -> lavoro_status {
    guard(|| {
        refuse_in_callback("lavoro_worker_run")?;
        let (pull, handlers) = WORKERS.get(worker)?.staffed()?;
        crate::handlers::serve(&pull, &handlers);
        Ok(())
    })
}

/// Waits for a job and hands it out. Its attempt is running from then on.
///
/// `timeout_ms`: how long to wait; 0: not at all; negative: for ever. Starts the worker if need
/// be.
///
/// Ownership: the caller reports an outcome and frees `*job` with lavoro_job_free.
/// Errors: LAVORO_TIMEOUT: none came, `*job` is NULL; LAVORO_CLOSED: the worker stops; else as
/// lavoro_worker_start. Thread-safety: any thread, several at once. Blocks up to the timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_next(
    worker: *const lavoro_worker,
    timeout_ms: i64,
    job: *mut *mut lavoro_job,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut out = unsafe { Out::new("job", job, null_mut()) }?;
        let worker = WORKERS.get(worker)?;
        let pull = worker.pull()?;
        let Some(jobs) = block_for(pull.next_jobs(1), limit(timeout_ms)) else {
            let bell = worker.inner().bell.clone();
            if let Some(bell) = bell {
                bell.reset();
            }
            return Err(Refusal::new(lavoro_status::LAVORO_TIMEOUT, "no job came in time"));
        };
        let Some(job) = jobs.into_iter().next() else {
            return Err(Refusal::new(lavoro_status::LAVORO_CLOSED, "the worker stops"));
        };
        out.set(hold(job, pull, false));
        Ok(())
    })
}

/// A file descriptor for poll(2), select(2), epoll: readable while lavoro_worker_next may have a
/// job, or the worker has stopped. It is never to be read: call lavoro_worker_next(worker, 0,
/// &job), and again until it answers LAVORO_TIMEOUT. Starts the worker if need be.
///
/// Ownership: the worker's; valid until that is freed. Errors: as lavoro_worker_start.
/// Thread-safety: any thread. Blocks until the worker is registered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_fd(
    worker: *const lavoro_worker,
    fd: *mut c_int,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut out = unsafe { Out::new("fd", fd, -1) }?;
        let worker = WORKERS.get(worker)?;
        let pull = worker.pull()?;
        let mut inner = worker.inner();
        let bell = if let Some(bell) = &inner.bell {
            Arc::clone(bell)
        } else {
            let (bell, thread) = Bell::hang(pull)?;
            inner.threads.push(thread);
            Arc::clone(inner.bell.insert(bell))
        };
        out.set(bell.fd());
        Ok(())
    })
}

/// Stops: claims no more, waits for running jobs at most `timeout_ms` milliseconds (not
/// negative), tells the rest to stop and hands them back uncounted.
///
/// In a callback it returns at once, and the worker stops soon after.
/// Errors: LAVORO_TIMEOUT: some callbacks or jobs were still running; their jobs were handed
/// back. Thread-safety: any thread; later calls do nothing. Blocks; never longer than the
/// timeout, the grace, and about 20 seconds more if the database does not answer.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_worker_stop(
    worker: *const lavoro_worker,
    timeout_ms: i64,
) -> lavoro_status {
    guard(|| {
        let timeout = crate::options::span("timeout_ms", timeout_ms)?;
        let worker = WORKERS.get(worker)?;
        if is_in_callback() {
            std::thread::spawn(move || worker.stop(timeout));
            return Ok(());
        }
        if worker.stop(timeout) {
            return Ok(());
        }
        Err(Refusal::new(lavoro_status::LAVORO_TIMEOUT, "jobs were running when time was up"))
    })
}

/// Stops the worker at once if it was not stopped, waits for its callbacks to return, and frees
/// it. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it was freed already; LAVORO_INVALID_STATE in a callback.
/// Thread-safety: any thread. Blocks.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_worker_free(worker: *mut lavoro_worker) -> lavoro_status {
    guard(|| {
        if worker.is_null() {
            return Ok(());
        }
        refuse_in_callback("lavoro_worker_free")?;
        let worker = WORKERS.take(worker)?;
        worker.stop(Duration::ZERO);
        worker.join();
        Ok(())
    })
}

/// How the worker is, as a JSON object: `healthy`, `worker`, `since_contact_ms`, `running`,
/// `waiting`, `slots`, `stopping`, `stuck`.
///
/// Ownership: the caller frees `*json` with lavoro_string_free.
/// Errors: LAVORO_INVALID_STATE before the start. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_health(
    worker: *const lavoro_worker,
    json: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut out = unsafe { Out::new("json", json, null_mut()) }?;
        let pull = started(&*WORKERS.get(worker)?)?;
        let health = serde_json::to_string(&pull.health()).unwrap_or_default();
        out.set(hand_out(health));
        Ok(())
    })
}

/// Waits for the next event of the worker as a JSON object: `event` (`started`, `completed`,
/// `failed`, …), `queue`, `job`, …. What happened before the first call is not told; who falls
/// behind by more than 1024 misses the oldest.
///
/// `timeout_ms`: how long to wait; 0: not at all; negative: for ever.
/// Ownership: the caller frees `*json` with lavoro_string_free.
/// Errors: LAVORO_TIMEOUT: none came; LAVORO_CLOSED: the worker has ended; LAVORO_INVALID_STATE
/// before the start. Thread-safety: any thread; one at a time is served. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_worker_event(
    worker: *const lavoro_worker,
    timeout_ms: i64,
    json: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut out = unsafe { Out::new("json", json, null_mut()) }?;
        let worker = WORKERS.get(worker)?;
        let pull = started(&worker)?;
        let mut events = worker.events.lock().unwrap_or_else(PoisonError::into_inner);
        let events = events.get_or_insert_with(|| pull.events());
        match block_for(events.next(), limit(timeout_ms)) {
            Some(Some(event)) => out.set(hand_out(shared::event_json(&event)?)),
            Some(None) => {
                return Err(Refusal::new(lavoro_status::LAVORO_CLOSED, "the worker has ended"));
            }
            None => {
                return Err(Refusal::new(lavoro_status::LAVORO_TIMEOUT, "no event came in time"));
            }
        }
        Ok(())
    })
}

fn started(worker: &Worker) -> Result<Arc<PullWorker>> {
    worker.inner().pull.clone().ok_or_else(|| {
        Refusal::new(lavoro_status::LAVORO_INVALID_STATE, "the worker has not started")
    })
}
