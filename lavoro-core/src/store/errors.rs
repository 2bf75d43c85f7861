//! What PostgreSQL's and the driver's errors mean to a user of Lavoro.

use crate::error::{Error, ErrorKind};
use sqlx::postgres::PgDatabaseError;

/// Translates a driver's error. The message says what happened and what to do.
pub(crate) fn translate(error: sqlx::Error) -> Error {
    let (kind, message, transient) = match &error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => by_sqlstate(postgres),
            None => (ErrorKind::Database, database.message().to_owned(), false),
        },
        sqlx::Error::Io(io) => {
            (ErrorKind::ConnectionFailed, format!("the database cannot be reached: {io}"), true)
        }
        sqlx::Error::Tls(tls) => {
            (ErrorKind::ConnectionFailed, format!("TLS with the database failed: {tls}"), false)
        }
        sqlx::Error::Protocol(text) => {
            (ErrorKind::ConnectionFailed, format!("the connection broke: {text}"), true)
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::BeginFailed => (
            ErrorKind::ConnectionFailed,
            "no connection to the database could be had in time".to_owned(),
            true,
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Closed, "the client has been closed".to_owned(), false)
        }
        sqlx::Error::Configuration(reason) => (
            ErrorKind::InvalidUrl,
            format!("the database URL cannot be understood: {reason}"),
            false,
        ),
        other => {
            (ErrorKind::Internal, format!("unexpected answer of the database: {other}"), false)
        }
    };
    let mended = Error::new(kind, message).with_source(error);
    if transient { mended.transient() } else { mended }
}

fn by_sqlstate(error: &PgDatabaseError) -> (ErrorKind, String, bool) {
    let code = error.code();
    let said = error.message();
    if let Some(kind) = ErrorKind::from_sqlstate(code) {
        let hint = error.hint().map(|hint| format!(". {hint}")).unwrap_or_default();
        return (kind, format!("{said}{hint}"), false);
    }
    match code {
        "28P01" | "28000" => (
            ErrorKind::AuthenticationFailed,
            format!("the database refused the login: {said}"),
            false,
        ),
        "3D000" => {
            (ErrorKind::DatabaseMissing, format!("{said}: create it, or mend the URL"), false)
        }
        "42P01" | "3F000" | "42883" => (
            ErrorKind::SchemaMissing,
            format!("Lavoro's schema is missing or incomplete ({said}): run `lavoro migrate`"),
            false,
        ),
        "25006" => (ErrorKind::ReadOnly, format!("the server is read-only: {said}"), true),
        "42501" => {
            (ErrorKind::PermissionDenied, format!("the role lacks a privilege: {said}"), false)
        }
        "55P03" => (ErrorKind::Timeout, format!("waited too long for a lock: {said}"), true),
        "57014" => (ErrorKind::Timeout, format!("the statement took too long: {said}"), true),
        "40001" | "40P01" => (ErrorKind::Database, format!("to be tried again: {said}"), true),
        // Shutting down, starting up, out of connections, out of disk or memory: it may pass.
        _ if code.starts_with("57P")
            || (code.starts_with("08") && code != "08P01")
            || code == "53300" =>
        {
            (ErrorKind::ConnectionFailed, format!("the database is not available: {said}"), true)
        }
        _ if code.starts_with("53") || code.starts_with("58") => {
            (ErrorKind::Database, format!("the database cannot go on for now: {said}"), true)
        }
        _ => (ErrorKind::Database, format!("{said} (SQLSTATE {code})"), false),
    }
}
