//! The client: open, close, enqueue, and everything else by name.

use crate::block::block_on;
use crate::guard::{guard, refuse_in_callback};
use crate::handle::Handles;
use crate::options::{
    connect_options, lavoro_client_options, lavoro_job_options, lavoro_new_job, new_job, sized,
};
use crate::status::{Refusal, Result, lavoro_status};
use crate::text::{Out, bytes, hand_out, optional_text, payload as payload_of, text};
use lavoro_bindings as shared;
use lavoro_core::{Lavoro, NewJob};
use serde_json::json;
use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::Arc;

/// A connection to one database and schema. Opaque; never dereference it.
#[derive(Debug)]
pub struct lavoro_client(());

static CLIENTS: Handles<Lavoro> = Handles::new("client", 1);

/// The client that a handle leads to.
pub(crate) fn client_of(client: *const lavoro_client) -> Result<Arc<Lavoro>> {
    CLIENTS.get(client)
}

/// Connects.
///
/// `url`: `postgres://…`, `embedded:` (a private server with its data in `.lavoro/`), `memory:`
/// (a throw-away server), or NULL: LAVORO_DATABASE_URL, DATABASE_URL, else `embedded:`.
/// `options`: NULL for the defaults.
///
/// Ownership: the caller closes `*client` with lavoro_client_close.
/// Errors: LAVORO_INVALID_URL, LAVORO_INVALID_OPTION, LAVORO_CONNECTION_FAILED,
/// LAVORO_AUTHENTICATION_FAILED, LAVORO_DATABASE_MISSING, LAVORO_SCHEMA_MISSING, _OUTDATED, _NEWER,
/// LAVORO_READ_ONLY, LAVORO_UNSUPPORTED_SERVER, LAVORO_POSTGRES_NOT_FOUND,
/// LAVORO_EMBEDDED_FAILED, LAVORO_EMBEDDED_IN_PRODUCTION; `*client` is NULL then.
/// Thread-safety: any thread. Blocks until connected; starts two threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_open(
    url: *const c_char,
    options: *const lavoro_client_options,
    client: *mut *mut lavoro_client,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut client, options) = unsafe {
            (
                Out::new("client", client, null_mut())?,
                connect_options(optional_text("url", url)?, options)?,
            )
        };
        let lavoro = block_on(Lavoro::connect_with(options))?;
        client.set(CLIENTS.add(Arc::new(lavoro)));
        Ok(())
    })
}

/// Closes a client and frees it, after what is being enqueued has been committed. Stop its
/// workers first. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it was closed already; LAVORO_INVALID_STATE in a callback.
/// Thread-safety: any thread; calls that run on the client then fail with LAVORO_CLOSED. Blocks.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_client_close(client: *mut lavoro_client) -> lavoro_status {
    guard(|| {
        if client.is_null() {
            return Ok(());
        }
        refuse_in_callback("lavoro_client_close")?;
        block_on(CLIENTS.take(client)?.close());
        Ok(())
    })
}

/// The URL under which other programs reach this database: for `memory:` and `embedded:` that of
/// the server. It may hold a password.
///
/// Ownership: the caller frees `*url` with lavoro_string_free.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_url(
    client: *const lavoro_client,
    url: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut url = unsafe { Out::new("url", url, null_mut()) }?;
        url.set(hand_out(CLIENTS.get(client)?.url()));
        Ok(())
    })
}

/// Enqueues a job. When this returns LAVORO_OK, it is committed and safe. Calls of several
/// threads at the same time share one commit.
///
/// `payload`: JSON text in UTF-8 of `payload_length` bytes, or LAVORO_NUL_TERMINATED; NULL and 0
/// for `null`. `options`: NULL for the defaults. `id` and `created` may be NULL; `*created` is
/// false if another job holds the unique key, which `*id` is then.
///
/// Ownership: nothing is kept of what is passed.
/// Errors: LAVORO_INVALID_TASK, _QUEUE, _PAYLOAD, _TIME, _OPTION, _UNIQUE_KEY,
/// LAVORO_PAYLOAD_TOO_LARGE, _TOO_DEEP, LAVORO_NUMBER_OUT_OF_RANGE, LAVORO_UNIQUE_PENDING,
/// LAVORO_CLOSED, or what is wrong with the database. While it cannot be reached, it is tried
/// again for enqueue_timeout_ms.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_enqueue(
    client: *const lavoro_client,
    task: *const c_char,
    payload: *const c_char,
    payload_length: usize,
    options: *const lavoro_job_options,
    id: *mut i64,
    created: *mut bool,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut id, mut created, job) = unsafe {
            let payload = payload_of(payload, payload_length)?;
            (
                Out::optional(id),
                Out::optional(created),
                new_job(text("task", task)?, payload, options)?,
            )
        };
        id.set(0);
        created.set(false);
        let job = block_on(CLIENTS.get(client)?.enqueue(job))?;
        id.set(job.id());
        created.set(job.is_new());
        Ok(())
    })
}

/// Enqueues many jobs: all are checked before anything is sent, and those without unique keys
/// are committed together or not at all.
///
/// `jobs`: an array of `count` structures of equal size. `ids`: NULL, or room for `count`
/// numbers, in the same order.
///
/// Errors: as lavoro_client_enqueue; the message names the job's place.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_enqueue_many(
    client: *const lavoro_client,
    jobs: *const lavoro_new_job,
    count: usize,
    ids: *mut i64,
) -> lavoro_status {
    guard(|| {
        let lavoro = CLIENTS.get(client)?;
        // SAFETY: as of the header, `jobs` leads to `count` structures.
        let jobs = unsafe { read_jobs(jobs, count) }?;
        let handles = block_on(lavoro.enqueue_many(jobs))?;
        // SAFETY: as of the header, `ids` is NULL or has room for one number for each job.
        unsafe { write_ids(ids, handles.iter().map(lavoro_core::JobHandle::id)) };
        Ok(())
    })
}

/// Enqueues many jobs that are described as JSON: an array of objects with `task`, `payload` and
/// options by the names that all languages share.
///
/// `*ids`: a JSON array of the numbers as decimal strings; freed with lavoro_string_free. `ids`
/// may be NULL.
///
/// Errors: as lavoro_client_enqueue; the message names the job's place.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_enqueue_json(
    client: *const lavoro_client,
    jobs: *const c_char,
    jobs_length: usize,
    ids: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut ids, jobs) = unsafe { (Out::optional(ids), bytes("jobs", jobs, jobs_length)?) };
        ids.set(null_mut());
        let jobs = if jobs.is_empty() { b"[]" } else { jobs };
        let handles = block_on(CLIENTS.get(client)?.enqueue_many(shared::new_jobs(jobs)?))?;
        let numbers: Vec<_> = handles.iter().map(|job| job.id().to_string()).collect();
        ids.set_text(json!(numbers).to_string());
        Ok(())
    })
}

/// # Safety
/// `jobs` is NULL or leads to `count` structures of the size that the first one says.
unsafe fn read_jobs(jobs: *const lavoro_new_job, count: usize) -> Result<Vec<NewJob>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if jobs.is_null() {
        return Err(Refusal::argument("jobs is NULL"));
    }
    // SAFETY: not NULL, and there is a first one.
    let Some(first) = (unsafe { sized(jobs) })? else { return Ok(Vec::new()) };
    let mut read = Vec::new();
    for place in 0..count {
        // SAFETY: the caller promises `count` structures of this size, one behind the other.
        let job = unsafe { sized(jobs.byte_add(place * first.size)) }?;
        let Some(job) = job.filter(|job| job.size == first.size) else {
            return Err(Refusal::argument(format!("job {place} has another size than the first")));
        };
        let at = |refusal: Refusal| refusal.at(place);
        // SAFETY: as of the header, what is in it is NULL or valid.
        let job = unsafe {
            let payload = payload_of(job.payload, job.payload_length).map_err(at)?;
            new_job(text("task", job.task).map_err(at)?, payload, job.options).map_err(at)?
        };
        read.push(job);
    }
    Ok(read)
}

/// # Safety
/// `ids` is NULL or has room for all of the numbers.
unsafe fn write_ids(ids: *mut i64, numbers: impl Iterator<Item = i64>) {
    if ids.is_null() {
        return;
    }
    for (place, number) in numbers.enumerate() {
        // SAFETY: not NULL, and the caller promises the room.
        unsafe { ids.add(place).write(number) }
    }
}

/// Calls a method by its name, with its arguments as a JSON object: everything that a client can
/// do and that is not called often. docs/c.md lists the methods: `job.info`, `job.result`,
/// `job.cancel`, `jobs.list`, `queues.pause`, `schedules.declare`, `locks.list`, `statistics`, …
///
/// `arguments`: JSON in UTF-8 of `arguments_length` bytes, or LAVORO_NUL_TERMINATED; NULL and 0
/// for `{}`. `answer`: NULL, or where the answer goes as JSON text.
///
/// Ownership: the caller frees `*answer` with lavoro_string_free.
/// Errors: LAVORO_INVALID_OPTION if there is no such method or an argument does not fit; else as
/// of the method. Thread-safety: any thread. Blocks until it is answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_call(
    client: *const lavoro_client,
    method: *const c_char,
    arguments: *const c_char,
    arguments_length: usize,
    answer: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut answer, method, arguments) = unsafe {
            (
                Out::optional(answer),
                text("method", method)?,
                bytes("arguments", arguments, arguments_length)?,
            )
        };
        answer.set(null_mut());
        let text = block_on(shared::call(&*CLIENTS.get(client)?, method, arguments))?;
        answer.set_text(text);
        Ok(())
    })
}

/// Waits until a job has ended, at most `timeout_ms` milliseconds (not negative).
///
/// `*answer`: `{"state", "result", "error"}`; the caller frees it with lavoro_string_free.
/// Errors: LAVORO_TIMEOUT, LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
/// Thread-safety: any thread. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_job_result(
    client: *const lavoro_client,
    id: i64,
    timeout_ms: i64,
    answer: *mut *mut c_char,
) -> lavoro_status {
    let arguments = json!({"id": id, "timeout_ms": timeout_ms}).to_string();
    // SAFETY: `answer` is what the caller passed; the rest is ours.
    unsafe { call(client, c"job.result", &arguments, answer) }
}

/// The state that a job is in: `available`, `running`, `completed`, ….
///
/// `*state`: the caller frees it with lavoro_string_free.
/// Errors: LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
/// Thread-safety: any thread. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_job_state(
    client: *const lavoro_client,
    id: i64,
    state: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut state = unsafe { Out::new("state", state, null_mut()) }?;
        let info = block_on(CLIENTS.get(client)?.job(id).info())?;
        state.set(hand_out(info.state.as_str()));
        Ok(())
    })
}

/// Cancels a job: at once if it waits; a running handler is told to stop.
///
/// Errors: LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_client_job_cancel(client: *const lavoro_client, id: i64) -> lavoro_status {
    guard(|| Ok(block_on(CLIENTS.get(client)?.job(id).cancel()).map(|_| ())?))
}

/// Makes a job available now: one that waits for its time, or one that has ended.
///
/// Errors: LAVORO_JOB_NOT_FOUND; LAVORO_INVALID_STATE if it runs; what is wrong with the
/// database. Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_client_job_retry(client: *const lavoro_client, id: i64) -> lavoro_status {
    guard(|| Ok(block_on(CLIENTS.get(client)?.job(id).retry())?))
}

/// Pauses a queue: no worker claims from it. Jobs that run go on.
///
/// Errors: LAVORO_INVALID_QUEUE, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_queue_pause(
    client: *const lavoro_client,
    queue: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let queue = unsafe { text("queue", queue) }?;
        Ok(block_on(CLIENTS.get(client)?.pause_queue(queue))?)
    })
}

/// Resumes a queue that was paused.
///
/// Errors: LAVORO_INVALID_QUEUE, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_queue_resume(
    client: *const lavoro_client,
    queue: *const c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let queue = unsafe { text("queue", queue) }?;
        Ok(block_on(CLIENTS.get(client)?.resume_queue(queue))?)
    })
}

/// Declares a schedule: it is created, or changed to be so. At most one declaration per name and
/// process holds. `schedule` is JSON: `{"name": "report", "task": "report", "every": "hour"}`.
///
/// Errors: LAVORO_INVALID_SCHEDULE, LAVORO_INVALID_OPTION, or what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_schedule(
    client: *const lavoro_client,
    schedule: *const c_char,
    schedule_length: usize,
) -> lavoro_status {
    // SAFETY: what the caller passed, under the same contract.
    unsafe {
        lavoro_client_call(
            client,
            c"schedules.declare".as_ptr(),
            schedule,
            schedule_length,
            null_mut(),
        )
    }
}

/// Creates or upgrades the schema.
///
/// `url` and `options` as lavoro_client_open. `answer`: NULL, or where `{"applied": [versions]}`
/// goes; the caller frees it with lavoro_string_free.
/// Errors: as lavoro_client_open. Thread-safety: any thread. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_migrate(
    url: *const c_char,
    options: *const lavoro_client_options,
    answer: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut answer, options) = unsafe {
            (Out::optional(answer), connect_options(optional_text("url", url)?, options)?)
        };
        answer.set(null_mut());
        let applied =
            block_on(async { lavoro_core::Migrations::open(options).await?.apply().await })?;
        answer.set_text(json!({"applied": applied}).to_string());
        Ok(())
    })
}

/// # Safety
/// `answer` as of [`lavoro_client_call`].
unsafe fn call(
    client: *const lavoro_client,
    method: &std::ffi::CStr,
    arguments: &str,
    answer: *mut *mut c_char,
) -> lavoro_status {
    let (text, length) = (arguments.as_ptr().cast(), arguments.len());
    // SAFETY: ours, but for `answer`, of which the caller promises the same.
    unsafe { lavoro_client_call(client, method.as_ptr(), text, length, answer) }
}
