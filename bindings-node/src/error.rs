//! Errors on their way to JavaScript.

use lavoro_core::{Error, ErrorKind};

/// An error whose text has three parts, which the JavaScript side takes apart: the code, whether
/// the same call may succeed later (`1` or `0`), and the message; a line feed between them.
pub(crate) fn thrown(error: Error) -> napi::Error {
    let transient = u8::from(error.is_transient());
    napi::Error::from_reason(format!("{}\n{transient}\n{}", error.code(), error.message()))
}

/// The client, worker or lock has been closed.
pub(crate) fn closed(what: &str) -> napi::Error {
    thrown(Error::new(ErrorKind::Closed, format!("the {what} has been closed")))
}
