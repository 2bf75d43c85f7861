//! Statuses, and the error that a thread met last.

use lavoro_core::{Error, ErrorKind};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

/// What a call came to. The numbers never change; later versions add some, so treat one that you
/// do not know as a failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lavoro_status {
    /// It is done.
    LAVORO_OK = 0,
    /// A task name is empty, too long or holds control characters.
    LAVORO_INVALID_TASK = 1,
    /// A queue name is empty, too long or holds control characters.
    LAVORO_INVALID_QUEUE = 2,
    /// A payload is not valid JSON, holds a NUL character, or is not valid UTF-8.
    LAVORO_INVALID_PAYLOAD = 3,
    /// A payload is larger than the limit.
    LAVORO_PAYLOAD_TOO_LARGE = 4,
    /// A payload is nested deeper than the limit.
    LAVORO_PAYLOAD_TOO_DEEP = 5,
    /// A number in a payload cannot be represented alike in every language.
    LAVORO_NUMBER_OUT_OF_RANGE = 6,
    /// A delay is negative or too long, or an instant lies outside the supported years.
    LAVORO_INVALID_TIME = 7,
    /// An option is unknown or out of its range.
    LAVORO_INVALID_OPTION = 8,
    /// A database URL cannot be understood.
    LAVORO_INVALID_URL = 9,
    /// A unique key is empty, too long or holds control characters.
    LAVORO_INVALID_UNIQUE_KEY = 10,
    /// Another transaction holds the same unique key and has not ended yet.
    LAVORO_UNIQUE_PENDING = 11,
    /// No job has this number.
    LAVORO_JOB_NOT_FOUND = 12,
    /// The job, worker or thread is not in a state that allows this.
    LAVORO_INVALID_STATE = 13,
    /// Another attempt runs the job, or has ended it: the outcome was refused.
    LAVORO_STALE_LEASE = 14,
    /// Two handlers for one task.
    LAVORO_DUPLICATE_HANDLER = 15,
    /// The database cannot be reached.
    LAVORO_CONNECTION_FAILED = 16,
    /// The database refused the user or password.
    LAVORO_AUTHENTICATION_FAILED = 17,
    /// The named database does not exist.
    LAVORO_DATABASE_MISSING = 18,
    /// Lavoro's schema does not exist in this database.
    LAVORO_SCHEMA_MISSING = 19,
    /// Lavoro's schema is older than this library needs.
    LAVORO_SCHEMA_OUTDATED = 20,
    /// Lavoro's schema is newer than this library knows.
    LAVORO_SCHEMA_NEWER = 21,
    /// The server is read-only.
    LAVORO_READ_ONLY = 22,
    /// The database role lacks a privilege.
    LAVORO_PERMISSION_DENIED = 23,
    /// The server is not a supported version of PostgreSQL.
    LAVORO_UNSUPPORTED_SERVER = 24,
    /// Something took longer than its limit; from lavoro_worker_next: no job came in time.
    LAVORO_TIMEOUT = 25,
    /// The client or worker has been closed or stops.
    LAVORO_CLOSED = 26,
    /// No PostgreSQL binaries were found for an embedded server.
    LAVORO_POSTGRES_NOT_FOUND = 27,
    /// An embedded server could not be started.
    LAVORO_EMBEDDED_FAILED = 28,
    /// No database is named in production: an embedded one is not started there by itself.
    LAVORO_EMBEDDED_IN_PRODUCTION = 29,
    /// The database reported an error that has no status of its own.
    LAVORO_DATABASE = 30,
    /// A defect in Lavoro. Please report it.
    LAVORO_INTERNAL = 31,
    /// A lock is not held any more.
    LAVORO_LOCK_LOST = 32,
    /// A schedule cannot be understood, never comes true, or has an option out of its range.
    LAVORO_INVALID_SCHEDULE = 40,
    /// No schedule has this name.
    LAVORO_SCHEDULE_NOT_FOUND = 41,
    /// A schedule of this name exists already.
    LAVORO_SCHEDULE_EXISTS = 42,
    /// A pointer is NULL that may not be, a size is wrong, or a text is not valid UTF-8.
    LAVORO_INVALID_ARGUMENT = 100,
    /// A handle is NULL, was freed, or is of another kind.
    LAVORO_INVALID_HANDLE = 101,
    /// The process was forked after the library was used: only the parent may use it.
    LAVORO_FORKED = 102,
    /// The program was compiled against a header that does not fit this library.
    LAVORO_ABI_MISMATCH = 103,
}

use lavoro_status as S;

/// Every status with its name.
const NAMES: &[(S, &CStr)] = &[
    (S::LAVORO_OK, c"ok"),
    (S::LAVORO_INVALID_TASK, c"invalid_task"),
    (S::LAVORO_INVALID_QUEUE, c"invalid_queue"),
    (S::LAVORO_INVALID_PAYLOAD, c"invalid_payload"),
    (S::LAVORO_PAYLOAD_TOO_LARGE, c"payload_too_large"),
    (S::LAVORO_PAYLOAD_TOO_DEEP, c"payload_too_deep"),
    (S::LAVORO_NUMBER_OUT_OF_RANGE, c"number_out_of_range"),
    (S::LAVORO_INVALID_TIME, c"invalid_time"),
    (S::LAVORO_INVALID_OPTION, c"invalid_option"),
    (S::LAVORO_INVALID_URL, c"invalid_url"),
    (S::LAVORO_INVALID_UNIQUE_KEY, c"invalid_unique_key"),
    (S::LAVORO_UNIQUE_PENDING, c"unique_pending"),
    (S::LAVORO_JOB_NOT_FOUND, c"job_not_found"),
    (S::LAVORO_INVALID_STATE, c"invalid_state"),
    (S::LAVORO_STALE_LEASE, c"stale_lease"),
    (S::LAVORO_DUPLICATE_HANDLER, c"duplicate_handler"),
    (S::LAVORO_CONNECTION_FAILED, c"connection_failed"),
    (S::LAVORO_AUTHENTICATION_FAILED, c"authentication_failed"),
    (S::LAVORO_DATABASE_MISSING, c"database_missing"),
    (S::LAVORO_SCHEMA_MISSING, c"schema_missing"),
    (S::LAVORO_SCHEMA_OUTDATED, c"schema_outdated"),
    (S::LAVORO_SCHEMA_NEWER, c"schema_newer"),
    (S::LAVORO_READ_ONLY, c"read_only"),
    (S::LAVORO_PERMISSION_DENIED, c"permission_denied"),
    (S::LAVORO_UNSUPPORTED_SERVER, c"unsupported_server"),
    (S::LAVORO_TIMEOUT, c"timeout"),
    (S::LAVORO_CLOSED, c"closed"),
    (S::LAVORO_POSTGRES_NOT_FOUND, c"postgres_not_found"),
    (S::LAVORO_EMBEDDED_FAILED, c"embedded_failed"),
    (S::LAVORO_EMBEDDED_IN_PRODUCTION, c"embedded_in_production"),
    (S::LAVORO_DATABASE, c"database"),
    (S::LAVORO_INTERNAL, c"internal"),
    (S::LAVORO_LOCK_LOST, c"lock_lost"),
    (S::LAVORO_INVALID_SCHEDULE, c"invalid_schedule"),
    (S::LAVORO_SCHEDULE_NOT_FOUND, c"schedule_not_found"),
    (S::LAVORO_SCHEDULE_EXISTS, c"schedule_exists"),
    (S::LAVORO_INVALID_ARGUMENT, c"invalid_argument"),
    (S::LAVORO_INVALID_HANDLE, c"invalid_handle"),
    (S::LAVORO_FORKED, c"forked"),
    (S::LAVORO_ABI_MISMATCH, c"abi_mismatch"),
];

/// Without a wildcard: a kind that is added fails this build, not a program that uses it.
const fn of(kind: ErrorKind) -> lavoro_status {
    match kind {
        ErrorKind::InvalidTask => S::LAVORO_INVALID_TASK,
        ErrorKind::InvalidQueue => S::LAVORO_INVALID_QUEUE,
        ErrorKind::InvalidPayload => S::LAVORO_INVALID_PAYLOAD,
        ErrorKind::PayloadTooLarge => S::LAVORO_PAYLOAD_TOO_LARGE,
        ErrorKind::PayloadTooDeep => S::LAVORO_PAYLOAD_TOO_DEEP,
        ErrorKind::NumberOutOfRange => S::LAVORO_NUMBER_OUT_OF_RANGE,
        ErrorKind::InvalidTime => S::LAVORO_INVALID_TIME,
        ErrorKind::InvalidOption => S::LAVORO_INVALID_OPTION,
        ErrorKind::InvalidUrl => S::LAVORO_INVALID_URL,
        ErrorKind::InvalidUniqueKey => S::LAVORO_INVALID_UNIQUE_KEY,
        ErrorKind::UniquePending => S::LAVORO_UNIQUE_PENDING,
        ErrorKind::JobNotFound => S::LAVORO_JOB_NOT_FOUND,
        ErrorKind::InvalidState => S::LAVORO_INVALID_STATE,
        ErrorKind::StaleLease => S::LAVORO_STALE_LEASE,
        ErrorKind::DuplicateHandler => S::LAVORO_DUPLICATE_HANDLER,
        ErrorKind::ConnectionFailed => S::LAVORO_CONNECTION_FAILED,
        ErrorKind::AuthenticationFailed => S::LAVORO_AUTHENTICATION_FAILED,
        ErrorKind::DatabaseMissing => S::LAVORO_DATABASE_MISSING,
        ErrorKind::SchemaMissing => S::LAVORO_SCHEMA_MISSING,
        ErrorKind::SchemaOutdated => S::LAVORO_SCHEMA_OUTDATED,
        ErrorKind::SchemaNewer => S::LAVORO_SCHEMA_NEWER,
        ErrorKind::ReadOnly => S::LAVORO_READ_ONLY,
        ErrorKind::PermissionDenied => S::LAVORO_PERMISSION_DENIED,
        ErrorKind::UnsupportedServer => S::LAVORO_UNSUPPORTED_SERVER,
        ErrorKind::Timeout => S::LAVORO_TIMEOUT,
        ErrorKind::Closed => S::LAVORO_CLOSED,
        ErrorKind::PostgresNotFound => S::LAVORO_POSTGRES_NOT_FOUND,
        ErrorKind::EmbeddedFailed => S::LAVORO_EMBEDDED_FAILED,
        ErrorKind::EmbeddedInProduction => S::LAVORO_EMBEDDED_IN_PRODUCTION,
        ErrorKind::Database => S::LAVORO_DATABASE,
        ErrorKind::Internal => S::LAVORO_INTERNAL,
        ErrorKind::LockLost => S::LAVORO_LOCK_LOST,
        ErrorKind::InvalidSchedule => S::LAVORO_INVALID_SCHEDULE,
        ErrorKind::ScheduleNotFound => S::LAVORO_SCHEDULE_NOT_FOUND,
        ErrorKind::ScheduleExists => S::LAVORO_SCHEDULE_EXISTS,
    }
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: lavoro_status,
    message: String,
    transient: bool,
}

impl Refusal {
    pub(crate) fn new(status: lavoro_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), transient: false }
    }

    /// An argument that is not what the header asks for.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(S::LAVORO_INVALID_ARGUMENT, message)
    }

    /// Says which of many it is about.
    pub(crate) fn at(mut self, place: usize) -> Self {
        self.message = format!("job {place}: {}", self.message);
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let transient = error.is_transient();
        Self { status: of(error.kind()), message: error.message().to_owned(), transient }
    }
}

pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

thread_local! {
    static LAST: RefCell<(CString, bool)> = RefCell::new((CString::default(), false));
}

/// Keeps what went wrong for this thread to ask.
pub(crate) fn remember(refusal: &Refusal) -> lavoro_status {
    let message = refusal.message.replace('\0', "\u{fffd}");
    let message = CString::new(message).unwrap_or_default();
    // A thread that is ending has nobody left to ask.
    let _ = LAST.try_with(|last| *last.borrow_mut() = (message, refusal.transient));
    refusal.status
}

/// What the last failed call of this thread said: what happened, which limit it met, what to do.
/// Never NULL; empty if no call has failed. Payloads and passwords are not in it.
///
/// Ownership: the library's; valid until this thread's next failed call.
/// Thread-safety: any thread; each has its own. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_error_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().0.as_ptr()).unwrap_or(c"".as_ptr())
}

/// Whether the call of this thread that failed last may succeed if it is made again: a lost
/// connection, a deadlock, a server that is starting.
///
/// Thread-safety: any thread; each has its own. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_error_is_transient() -> bool {
    LAST.try_with(|last| last.borrow().1).unwrap_or(false)
}

/// The stable name of a status, the same in every language: `payload_too_large`. `unknown` for a
/// number that is none.
///
/// Ownership: static. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_status_name(status: i32) -> *const c_char {
    let found = NAMES.iter().find(|(known, _)| *known as i32 == status);
    found.map_or(c"unknown", |(_, name)| name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_kinds_code_and_number() {
        for kind in ErrorKind::ALL {
            let status = of(*kind);
            let (_, name) = NAMES.iter().find(|(known, _)| *known == status).unwrap();
            assert_eq!(name.to_str().unwrap(), kind.code());
            assert_eq!(format!("LV{:03}", status as i32), kind.sqlstate());
        }
    }
}
