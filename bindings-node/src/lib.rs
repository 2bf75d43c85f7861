//! The native part of Lavoro for Node.js: a thin seam over the engine.
//!
//! JavaScript asks and reports (`nextJobs`, `finish`); nothing here calls into JavaScript. What
//! is pending keeps the process alive: a worker that polls does, an idle client does not.
#![cfg_attr(test, allow(dead_code, reason = "napi's macros export nothing in tests"))]
#![allow(unsafe_code, reason = "napi's macros write the calls of Node-API")]
#![allow(
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "signatures of calls from JavaScript"
)]

mod client;
mod desk;
mod drainer;
mod error;
mod events;
mod lock;
mod worker;

use napi_derive::{module_init, napi};

/// Node-API's futures run on one thread: all real work has threads of Lavoro's own.
#[module_init]
fn init() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("lavoro-js")
        .enable_all()
        .build();
    // Without it napi starts a runtime of its own, with more threads.
    if let Ok(runtime) = runtime {
        napi::bindgen_prelude::create_custom_tokio_runtime(runtime);
    }
}

/// The version of Lavoro that this was built from.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The names of all methods of `Client.call`.
#[napi(catch_unwind)]
pub fn methods() -> Vec<&'static str> {
    lavoro_bindings::METHODS.iter().map(|method| method.name).collect()
}

/// The stable codes of all errors, by the SQLSTATE that Lavoro's SQL functions raise for them.
#[napi(catch_unwind)]
pub fn sqlstates() -> std::collections::HashMap<&'static str, &'static str> {
    lavoro_core::ErrorKind::ALL.iter().map(|kind| (kind.sqlstate(), kind.code())).collect()
}

/// Creates or upgrades the schema. Takes the options of `connect` as JSON, answers JSON.
#[napi(catch_unwind)]
pub async fn migrate(options: String) -> napi::Result<String> {
    lavoro_bindings::migrate(options.as_bytes()).await.map_err(error::thrown)
}
