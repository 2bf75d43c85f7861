//! The native half of the Python package `lavoro`.
//!
//! It is a thin seam: Python asks, Rust answers. No thread of Rust's ever calls into Python or
//! takes its lock, so that nothing here can deadlock with an application, and an interpreter may
//! end at any time. Everything that waits is an [`Operation`](operation::Operation), which Python
//! either waits for or has put into the [`Mailbox`](mailbox::Mailbox) of an event loop.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "signatures are those that Python calls"
)]

mod answer;
mod client;
mod drainer;
mod errors;
mod fork;
mod job;
mod lock;
mod mailbox;
mod operation;
mod runtime;
mod worker;

use pyo3::prelude::*;

/// What `lavoro` is made of; not for applications.
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("ERROR_CODES", errors::codes())?;
    module.add("METHODS", client::methods())?;
    module.add_class::<client::Client>()?;
    module.add_class::<drainer::Drainer>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<lock::Lock>()?;
    module.add_class::<mailbox::Mailbox>()?;
    module.add_class::<operation::Operation>()?;
    module.add_class::<worker::Events>()?;
    module.add_class::<worker::Worker>()?;
    module.add_function(wrap_pyfunction!(client::connect, module)?)?;
    module.add_function(wrap_pyfunction!(client::migrate, module)?)?;
    module.add_function(wrap_pyfunction!(client::job_json, module)?)
}
