//! Statements for the caller's own transaction.

use crate::client::{client_of, lavoro_client};
use crate::guard::{guard, guard_or};
use crate::handle::Handles;
use crate::job::{complete_sql, lavoro_job};
use crate::options::{lavoro_job_options, new_job};
use crate::status::{Result, lavoro_status};
use crate::text::{Out, c_string, optional_json, payload as payload_of, text};
use lavoro_core::SqlCall;
use std::ffi::{CString, c_char, c_int};
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// A statement with its parameters, for libpq or any other driver. Opaque; never dereference it.
#[derive(Debug)]
pub struct lavoro_sql(());

struct Statement {
    text: CString,
    /// What `values` leads into.
    _kept: Vec<Option<CString>>,
    values: Vec<*const c_char>,
}

// SAFETY: the pointers lead into texts that the statement owns and nobody changes.
unsafe impl Send for Statement {}
// SAFETY: as above.
unsafe impl Sync for Statement {}

static STATEMENTS: Handles<Statement> = Handles::new("statement", 5);

fn hand_out(call: SqlCall) -> *mut lavoro_sql {
    let kept: Vec<_> = call.parameters.into_iter().map(|text| text.map(c_string)).collect();
    let values = kept.iter().map(|text| text.as_ref().map_or(null(), |text| text.as_ptr()));
    let values = values.collect();
    STATEMENTS.add(Arc::new(Statement { text: c_string(call.text), _kept: kept, values }))
}

/// The statement that enqueues a job in the caller's own transaction: send it with
/// PQexecParams(connection, lavoro_sql_text(sql), lavoro_sql_count(sql), NULL,
/// lavoro_sql_values(sql), NULL, NULL, 0). It answers one row: `id` and `created`. The job exists
/// if the transaction commits. Arguments as lavoro_client_enqueue.
///
/// Ownership: the caller frees `*sql` with lavoro_sql_free.
/// Errors: what is wrong with the job. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_enqueue_sql(
    client: *const lavoro_client,
    task: *const c_char,
    payload: *const c_char,
    payload_length: usize,
    options: *const lavoro_job_options,
    sql: *mut *mut lavoro_sql,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut sql, job) = unsafe {
            let payload = payload_of(payload, payload_length)?;
            (Out::new("sql", sql, null_mut())?, new_job(text("task", task)?, payload, options)?)
        };
        sql.set(hand_out(client_of(client)?.enqueue_sql(job)?));
        Ok(())
    })
}

/// The statement that completes a running job in the caller's own transaction; the database
/// raises SQLSTATE `LV014` if another attempt runs the job: roll back then. After the commit,
/// report lavoro_job_complete: it changes nothing more. `result` as lavoro_job_complete.
///
/// Ownership: the caller frees `*sql` with lavoro_sql_free.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_client_complete_sql(
    client: *const lavoro_client,
    job: *const lavoro_job,
    result: *const c_char,
    result_length: usize,
    sql: *mut *mut lavoro_sql,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut sql, result) = unsafe {
            (Out::new("sql", sql, null_mut())?, optional_json("result", result, result_length)?)
        };
        sql.set(hand_out(complete_sql(client, job, result)?));
        Ok(())
    })
}

/// The text of a statement, with placeholders `$1`, `$2`, …. NULL if the handle is invalid.
///
/// Ownership: the statement's, until it is freed. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_sql_text(sql: *const lavoro_sql) -> *const c_char {
    read(null(), sql, |statement| statement.text.as_ptr())
}

/// How many parameters a statement has. 0 if the handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_sql_count(sql: *const lavoro_sql) -> c_int {
    read(0, sql, |statement| c_int::try_from(statement.values.len()).unwrap_or(0))
}

/// The parameters of a statement in text format; NULL among them is SQL's null. NULL if the
/// handle is invalid.
///
/// Ownership: the statement's, until it is freed. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_sql_values(sql: *const lavoro_sql) -> *const *const c_char {
    read(null(), sql, |statement| statement.values.as_ptr())
}

fn read<T>(otherwise: T, sql: *const lavoro_sql, what: impl FnOnce(&Statement) -> T) -> T {
    guard_or(otherwise, || -> Result<T> { Ok(what(&*STATEMENTS.get(sql)?)) })
}

/// Frees a statement. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it was freed already.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_sql_free(sql: *mut lavoro_sql) -> lavoro_status {
    guard(|| if sql.is_null() { Ok(()) } else { STATEMENTS.take(sql).map(drop) })
}
