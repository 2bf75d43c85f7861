//! Which library this is.

use crate::guard::guard;
use crate::status::{Refusal, lavoro_status};
use std::ffi::c_char;

/// The version of the interface: raised when a program must be compiled again.
pub const LAVORO_ABI_VERSION: u32 = 1;

/// The library's version, for people: `0.1.0`.
///
/// Ownership: static. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the interface that this library has.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_abi_version() -> u32 {
    LAVORO_ABI_VERSION
}

/// Checks that the library fits the header: `lavoro_abi_check(LAVORO_ABI_VERSION)`.
///
/// Errors: LAVORO_ABI_MISMATCH. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_abi_check(version: u32) -> lavoro_status {
    guard(|| {
        if version == LAVORO_ABI_VERSION {
            return Ok(());
        }
        let message = format!(
            "the program was compiled for interface {version}, the library has \
             {LAVORO_ABI_VERSION}: compile it again"
        );
        Err(Refusal::new(lavoro_status::LAVORO_ABI_MISMATCH, message))
    })
}
