//! What went wrong, and the exit code that says so.

use lavoro_core::{Error, ErrorKind};

/// The codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  any other error; or `lavoro doctor` has found a problem
  2  usage: an argument or option is wrong
  3  there is no such job or schedule
  4  the database cannot be reached or used, or its user was refused
  5  Lavoro's schema is missing, outdated or too new: run `lavoro migrate`
  6  something took longer than its limit; the same call may succeed later
  7  the job is in no state for this, or did not complete; there is such a schedule already";

const OTHER: u8 = 1;
/// The code of a wrong command line.
pub(crate) const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const DATABASE: u8 = 4;
const SCHEMA: u8 = 5;
const TIMEOUT: u8 = 6;
const STATE: u8 = 7;

/// The exit code of each kind of error. A new kind fails this build rather than a user's script.
pub(crate) const fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidTask
        | ErrorKind::InvalidQueue
        | ErrorKind::InvalidPayload
        | ErrorKind::PayloadTooLarge
        | ErrorKind::PayloadTooDeep
        | ErrorKind::NumberOutOfRange
        | ErrorKind::InvalidTime
        | ErrorKind::InvalidOption
        | ErrorKind::InvalidUrl
        | ErrorKind::InvalidUniqueKey
        | ErrorKind::InvalidSchedule
        | ErrorKind::DuplicateHandler
        | ErrorKind::EmbeddedInProduction => USAGE,
        ErrorKind::JobNotFound | ErrorKind::ScheduleNotFound => NOT_FOUND,
        ErrorKind::ConnectionFailed
        | ErrorKind::AuthenticationFailed
        | ErrorKind::DatabaseMissing
        | ErrorKind::ReadOnly
        | ErrorKind::PermissionDenied
        | ErrorKind::UnsupportedServer
        | ErrorKind::PostgresNotFound
        | ErrorKind::EmbeddedFailed => DATABASE,
        ErrorKind::SchemaMissing | ErrorKind::SchemaOutdated | ErrorKind::SchemaNewer => SCHEMA,
        ErrorKind::Timeout | ErrorKind::UniquePending => TIMEOUT,
        ErrorKind::InvalidState
        | ErrorKind::StaleLease
        | ErrorKind::LockLost
        | ErrorKind::ScheduleExists => STATE,
        ErrorKind::Closed | ErrorKind::Database | ErrorKind::Internal => OTHER,
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    exit: u8,
}

/// The result of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Something that the command line asked for does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: "usage", message: message.into(), exit: USAGE }
    }

    /// A file, pipe or thread of this program's own failed.
    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self { code: "io", message: format!("{what}: {error}"), exit: OTHER }
    }

    /// A job that was waited for ended otherwise than completed.
    pub(crate) fn unfinished(message: impl Into<String>) -> Self {
        Self {
            code: ErrorKind::InvalidState.code(),
            message: message.into(),
            exit: code(ErrorKind::InvalidState),
        }
    }

    /// Every slot of a worker holds a command that does not end.
    pub(crate) fn stuck() -> Self {
        let message = "every slot holds a command that does not end though its attempt is over: \
                       start this worker again";
        Self { code: "worker_stuck", message: message.to_owned(), exit: OTHER }
    }

    /// A command that ran in our name ended so, which it tells itself.
    pub(crate) fn command(code: i32) -> Self {
        let exit = u8::try_from(code).ok().filter(|exit| *exit != 0).unwrap_or(OTHER);
        Self { code: "", message: String::new(), exit }
    }

    /// A problem was found, which the output tells already.
    pub(crate) fn found() -> Self {
        Self { code: "", message: String::new(), exit: OTHER }
    }

    /// No worker is alive where one was asked for.
    pub(crate) fn no_worker(message: impl Into<String>) -> Self {
        Self { code: "no_worker", message: message.into(), exit: OTHER }
    }

    /// The reader of our output has gone away: nobody is left to complain to.
    pub(crate) fn unheard() -> Self {
        Self { code: "", message: String::new(), exit: OTHER }
    }

    /// Whether there is anything to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.code.is_empty()
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: error.code(), message: error.message().to_owned(), exit: code(error.kind()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        for kind in ErrorKind::ALL {
            assert!(HELP.contains(&format!("\n  {}  ", code(*kind))), "{kind}");
        }
    }
}
