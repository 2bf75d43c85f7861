//! Errors as Python raises them.

use lavoro_core::{Error, ErrorKind};
use pyo3::prelude::*;

/// Every stable code.
pub(crate) fn codes() -> Vec<&'static str> {
    ErrorKind::ALL.iter().map(|kind| kind.code()).collect()
}

/// The exception of this error, of the class that its code has in `lavoro.errors`.
pub(crate) fn raise(error: &Error) -> PyErr {
    Python::attach(|py| exception(py, error).unwrap_or_else(|wrong| wrong))
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let make = py.import("lavoro.errors")?.getattr("_of_code")?;
    let made = make.call1((error.code(), error.message(), error.is_transient()))?;
    Ok(PyErr::from_value(made))
}
