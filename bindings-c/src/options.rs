//! Options: structures that say their own size, so that fields can be added to their ends.
//!
//! Each has a field `json` for what has no field here, with the names that all languages share
//! (docs/c.md); a field that is set goes before the same key there.

use crate::status::{Refusal, Result};
use crate::text::optional_text;
use lavoro_bindings as shared;
use lavoro_core::{ConnectOptions, NewJob, WorkerOptions};
use serde_json::{Map, Value};
use std::ffi::c_char;
use std::mem::offset_of;
use std::time::Duration;

/// The default, whatever it is.
pub const LAVORO_DEFAULT: u32 = 0;
/// No.
pub const LAVORO_NO: u32 = 1;
/// Yes.
pub const LAVORO_YES: u32 = 2;

/// How to connect. Begin with LAVORO_CLIENT_OPTIONS_INIT. NULL and 0 stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lavoro_client_options {
    /// sizeof(lavoro_client_options).
    pub size: usize,
    /// The schema. Default: `lavoro`.
    pub schema: *const c_char,
    /// More options as a JSON object: `{"statement_timeout_ms": 5000}`.
    pub json: *const c_char,
    /// Connections at most. Default: 4.
    pub pool_size: u32,
    /// Whether to create or upgrade the schema. Default: only in an embedded database.
    pub migrate: u32,
    /// Whether a pooler in transaction mode stands before the server. Default: no.
    pub transaction_pooler: u32,
    /// Whether this client takes its turn at maintenance, as workers do. Default: no.
    pub maintenance: u32,
}

/// How to enqueue a job. Begin with LAVORO_JOB_OPTIONS_INIT. NULL and 0 stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lavoro_job_options {
    /// sizeof(lavoro_job_options).
    pub size: usize,
    /// The queue, 1 to 255 bytes. Default: `default`.
    pub queue: *const c_char,
    /// While a job with this key waits or runs, no second one is made.
    pub unique_key: *const c_char,
    /// More options as a JSON object: `{"tags": ["a"], "run_at": "2031-05-01T12:00:00Z"}`.
    pub json: *const c_char,
    /// Milliseconds until the job may run.
    pub delay_ms: i64,
    /// Milliseconds that one attempt may take.
    pub timeout_ms: i64,
    /// Higher runs first.
    pub priority: i32,
    /// Attempts in all. Default: 20.
    pub max_attempts: u32,
}

/// A job to enqueue among others. Begin with LAVORO_NEW_JOB_INIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lavoro_new_job {
    /// sizeof(lavoro_new_job); the same for each of an array.
    pub size: usize,
    /// The task, 1 to 255 bytes.
    pub task: *const c_char,
    /// The payload as JSON text in UTF-8; NULL: `null`.
    pub payload: *const c_char,
    /// Its length in bytes, or LAVORO_NUL_TERMINATED.
    pub payload_length: usize,
    /// NULL: the defaults.
    pub options: *const lavoro_job_options,
}

/// How a worker works. Begin with LAVORO_WORKER_OPTIONS_INIT. NULL and 0 stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lavoro_worker_options {
    /// sizeof(lavoro_worker_options).
    pub size: usize,
    /// What the worker is called in listings. Default: `host:pid`.
    pub name: *const c_char,
    /// The queue that it serves. Default: `default`. Several: `{"queues": {"a": 4}}` in json.
    pub queue: *const c_char,
    /// More options as a JSON object: `{"tasks": ["mail"], "grace_ms": 5000}`.
    pub json: *const c_char,
    /// Jobs at once. Default: 10.
    pub concurrency: u32,
}

/// How to take a lock. Begin with LAVORO_LOCK_OPTIONS_INIT. NULL and 0 stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lavoro_lock_options {
    /// sizeof(lavoro_lock_options).
    pub size: usize,
    /// What the holder is called in listings. Default: `host:pid`.
    pub owner: *const c_char,
    /// Milliseconds that the lock lives if its holder cannot extend it. Default: 15000.
    pub lifetime_ms: i64,
    /// Milliseconds to wait for it; negative: none. Default: 30000.
    pub wait_ms: i64,
}

/// A structure that says its size in its first field, and of which all bytes zero is a value.
///
/// # Safety
/// `#[repr(C)]`, begins with the size as `usize`, and any bytes that C wrote are a value of it.
pub(crate) unsafe trait Sized_: Copy {
    const NAME: &'static str;
    /// The size in the first release: no program has a smaller one.
    const FIRST: usize;
}

macro_rules! sized {
    ($($name:ident, $last:ident: $type:ty;)*) => {$(
        // SAFETY: repr(C), begins with its size, else pointers and integers only.
        unsafe impl Sized_ for $name {
            const NAME: &'static str = stringify!($name);
            const FIRST: usize = (offset_of!(Self, $last) + size_of::<$type>())
                .next_multiple_of(align_of::<Self>());
        }
    )*};
}

// Each with its last field in the first release: those that are added later do not go in here.
sized! {
    lavoro_client_options, maintenance: u32;
    lavoro_job_options, max_attempts: u32;
    lavoro_new_job, options: *const lavoro_job_options;
    lavoro_worker_options, concurrency: u32;
    lavoro_lock_options, wait_ms: i64;
}

/// More than any structure of ours will ever have.
const LARGEST: usize = 4096;

/// Reads a structure. `None` if there is none.
///
/// # Safety
/// `pointer` is NULL or leads to as many bytes as the structure says, or to one `usize` that
/// cannot be a size.
pub(crate) unsafe fn sized<T: Sized_>(pointer: *const T) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller promises that a size is there.
    let size = unsafe { pointer.cast::<usize>().read_unaligned() };
    let ours = std::mem::size_of::<T>();
    if !(T::FIRST..=LARGEST).contains(&size) {
        let name = T::NAME;
        return Err(Refusal::argument(format!(
            "the size of {name} is {size}, not {ours}: begin with its initialiser"
        )));
    }
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the caller promises `size` bytes, `value` has `ours`, and they are apart.
    let value = unsafe {
        std::ptr::copy_nonoverlapping(
            pointer.cast::<u8>(),
            value.as_mut_ptr().cast::<u8>(),
            size.min(ours),
        );
        // Any bytes are a value, as `Sized_` promises.
        value.assume_init()
    };
    for at in ours..size {
        // SAFETY: within the `size` bytes that the caller promises.
        if unsafe { pointer.cast::<u8>().add(at).read() } != 0 {
            let name = T::NAME;
            return Err(Refusal::argument(format!(
                "{name} has fields that this library is too old to know"
            )));
        }
    }
    Ok(Some(value))
}

fn map(json: Option<&str>) -> Result<Map<String, Value>> {
    match json {
        None | Some("") => Ok(Map::new()),
        Some(json) => serde_json::from_str(json)
            .map_err(|_| Refusal::argument("json is not a JSON object".to_owned())),
    }
}

fn choice(name: &str, value: u32) -> Result<Option<bool>> {
    match value {
        LAVORO_DEFAULT => Ok(None),
        LAVORO_NO => Ok(Some(false)),
        LAVORO_YES => Ok(Some(true)),
        _ => Err(Refusal::argument(format!(
            "{name} is {value}: it takes LAVORO_DEFAULT, LAVORO_NO or LAVORO_YES"
        ))),
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

/// Zero is the default.
fn given<T: PartialEq + Default>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// # Safety
/// As of the header: `pointer` as of [`sized`], and texts that end in NUL.
pub(crate) unsafe fn connect_options(
    url: Option<&str>,
    pointer: *const lavoro_client_options,
) -> Result<ConnectOptions> {
    // SAFETY: what the caller promises.
    let Some(options) = (unsafe { sized(pointer) })? else {
        return Ok(ConnectOptions { url: url.map(str::to_owned), ..ConnectOptions::default() });
    };
    // SAFETY: what the caller promises of the texts in it.
    let (json, schema) =
        unsafe { (optional_text("json", options.json)?, optional_text("schema", options.schema)?) };
    let mut keys = map(json)?;
    put(&mut keys, "url", url);
    put(&mut keys, "schema", schema);
    put(&mut keys, "pool_size", given(options.pool_size));
    put(&mut keys, "migrate", choice("migrate", options.migrate)?);
    put(&mut keys, "transaction_pooler", choice("transaction_pooler", options.transaction_pooler)?);
    put(&mut keys, "maintenance", choice("maintenance", options.maintenance)?);
    Ok(shared::connect_options(Value::Object(keys).to_string().as_bytes())?)
}

/// # Safety
/// As of the header: `pointer` as of [`sized`], and texts that end in NUL.
pub(crate) unsafe fn worker_options(
    pointer: *const lavoro_worker_options,
) -> Result<WorkerOptions> {
    let mut keys = Map::new();
    // SAFETY: what the caller promises.
    if let Some(options) = unsafe { sized(pointer) }? {
        // SAFETY: what the caller promises of the texts in it.
        let (json, name, queue) = unsafe {
            (
                optional_text("json", options.json)?,
                optional_text("name", options.name)?,
                optional_text("queue", options.queue)?,
            )
        };
        keys = map(json)?;
        put(&mut keys, "name", name);
        if queue.is_some() || !keys.contains_key("queues") {
            let slots = given(options.concurrency).unwrap_or(10);
            let mut queues = Map::new();
            queues.insert(queue.unwrap_or("default").to_owned(), slots.into());
            keys.insert("queues".to_owned(), Value::Object(queues));
        } else {
            put(&mut keys, "concurrency", given(options.concurrency));
        }
    }
    keys.entry("language").or_insert_with(|| "c".into());
    Ok(shared::worker_options(Value::Object(keys).to_string().as_bytes())?)
}

/// # Safety
/// As of the header: `options` as of [`sized`], and texts that end in NUL.
pub(crate) unsafe fn new_job(
    task: &str,
    payload: &[u8],
    options: *const lavoro_job_options,
) -> Result<NewJob> {
    // SAFETY: what the caller promises.
    let Some(options) = (unsafe { sized(options) })? else {
        return Ok(NewJob::from_json(task, payload));
    };
    // SAFETY: what the caller promises of the texts in it.
    let (json, queue, key) = unsafe {
        (
            optional_text("json", options.json)?,
            optional_text("queue", options.queue)?,
            optional_text("unique_key", options.unique_key)?,
        )
    };
    let mut job = shared::new_job(task, payload, json.unwrap_or_default().as_bytes())?;
    if let Some(queue) = queue {
        job = job.queue(queue);
    }
    if let Some(key) = key {
        job = job.unique_key(key);
    }
    if let Some(delay) = given(options.delay_ms) {
        job = job.delay_ms(delay);
    }
    if let Some(timeout) = given(options.timeout_ms) {
        job = job.timeout(span("timeout_ms", timeout)?);
    }
    if let Some(priority) = given(options.priority) {
        job = job.priority(priority);
    }
    if let Some(attempts) = given(options.max_attempts) {
        job = job.max_attempts(attempts);
    }
    Ok(job)
}

/// Milliseconds that are not negative.
pub(crate) fn span(name: &str, millis: i64) -> Result<Duration> {
    u64::try_from(millis)
        .map(Duration::from_millis)
        .map_err(|_| Refusal::argument(format!("{name} is {millis}: it is not negative")))
}
