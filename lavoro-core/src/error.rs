//! The one error type of Lavoro, with codes that stay the same in every language.

use std::borrow::Cow;
use std::fmt;

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Declares [`ErrorKind`] so that kind, stable code and SQLSTATE cannot drift apart.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal $sqlstate:literal,)*) => {
        /// What went wrong, as a stable code.
        ///
        /// Deliberately exhaustive: a binding matches every kind, so that a new one fails its
        /// build instead of a user's program.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable code: `err.code` in JavaScript, `.code` in Python, a status in C.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The SQLSTATE that Lavoro's SQL functions raise for this kind, in class `LV`.
            #[must_use]
            pub const fn sqlstate(self) -> &'static str {
                match self { $(Self::$kind => $sqlstate,)* }
            }
        }
    };
}

error_kinds! {
    /// A task name is empty, too long or holds control characters.
    InvalidTask = "invalid_task" "LV001",
    /// A queue name is empty, too long or holds control characters.
    InvalidQueue = "invalid_queue" "LV002",
    /// A payload is not valid JSON, holds a NUL character, or is not valid UTF-8.
    InvalidPayload = "invalid_payload" "LV003",
    /// A payload is larger than the limit.
    PayloadTooLarge = "payload_too_large" "LV004",
    /// A payload is nested deeper than the limit.
    PayloadTooDeep = "payload_too_deep" "LV005",
    /// A number in a payload cannot be represented alike in every language.
    NumberOutOfRange = "number_out_of_range" "LV006",
    /// A delay is negative or too long, or `run_at` lies outside the supported years.
    InvalidTime = "invalid_time" "LV007",
    /// An option of a job, client or worker is out of its range.
    InvalidOption = "invalid_option" "LV008",
    /// A database URL cannot be understood.
    InvalidUrl = "invalid_url" "LV009",
    /// A unique key is empty, too long or holds control characters.
    InvalidUniqueKey = "invalid_unique_key" "LV010",
    /// Another transaction holds the same unique key and has not ended yet.
    UniquePending = "unique_pending" "LV011",
    /// No job has this id.
    JobNotFound = "job_not_found" "LV012",
    /// The job is not in a state that allows this.
    InvalidState = "invalid_state" "LV013",
    /// The lease is no longer the job's current one: the outcome was refused.
    StaleLease = "stale_lease" "LV014",
    /// One process registered two handlers for one task.
    DuplicateHandler = "duplicate_handler" "LV015",
    /// The database cannot be reached.
    ConnectionFailed = "connection_failed" "LV016",
    /// The database refused the user or password.
    AuthenticationFailed = "authentication_failed" "LV017",
    /// The named database does not exist.
    DatabaseMissing = "database_missing" "LV018",
    /// Lavoro's schema does not exist in this database.
    SchemaMissing = "schema_missing" "LV019",
    /// Lavoro's schema is older than this program needs.
    SchemaOutdated = "schema_outdated" "LV020",
    /// Lavoro's schema is newer than this program knows.
    SchemaNewer = "schema_newer" "LV021",
    /// The server is read-only (a standby, or set so).
    ReadOnly = "read_only" "LV022",
    /// The database role lacks a privilege.
    PermissionDenied = "permission_denied" "LV023",
    /// The server is not a supported version of PostgreSQL.
    UnsupportedServer = "unsupported_server" "LV024",
    /// Something took longer than its limit.
    Timeout = "timeout" "LV025",
    /// The client or worker has been closed.
    Closed = "closed" "LV026",
    /// No PostgreSQL binaries were found for an embedded server.
    PostgresNotFound = "postgres_not_found" "LV027",
    /// An embedded server could not be started.
    EmbeddedFailed = "embedded_failed" "LV028",
    /// No database is named where `LAVORO_ENV` or `NODE_ENV` is `production`: an embedded one
    /// is not started there by itself.
    EmbeddedInProduction = "embedded_in_production" "LV029",
    /// The database reported an error that has no kind of its own.
    Database = "database" "LV030",
    /// A defect in Lavoro. Please report it.
    Internal = "internal" "LV031",
    /// A lock is not held any more: it has expired, or was released.
    LockLost = "lock_lost" "LV032",
    /// A schedule cannot be understood, never comes true, or has an option out of its range.
    InvalidSchedule = "invalid_schedule" "LV040",
    /// No schedule has this name.
    ScheduleNotFound = "schedule_not_found" "LV041",
    /// A schedule of this name exists already.
    ScheduleExists = "schedule_exists" "LV042",
}

impl ErrorKind {
    /// The kind whose SQL functions raise this SQLSTATE, if it is one of Lavoro's.
    #[must_use]
    pub fn from_sqlstate(sqlstate: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.sqlstate() == sqlstate)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Any failure of Lavoro: a stable kind, and a message that says what happened, which limit it
/// met and what to do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    transient: bool,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None, transient: false }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks the error as one that the same call may not meet again.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable code of [`kind`](Self::kind).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Whether the same call may succeed if it is made again: a lost connection, a deadlock, a
    /// server that is starting. Lavoro's own loops retry these by themselves.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transient
    }

    /// The message without the code.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_and_sqlstates_are_unique() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        let states: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.sqlstate()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert_eq!(states.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn sqlstates_lead_back_to_their_kind() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_sqlstate(kind.sqlstate()), Some(*kind));
        }
        assert_eq!(ErrorKind::from_sqlstate("23505"), None);
    }
}
