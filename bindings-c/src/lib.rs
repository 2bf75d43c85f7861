//! Lavoro for C: what `include/lavoro.h` declares. The contract of each function is there, which
//! is made from the comments here.
//!
//! Every export goes through [`guard`]: no panic leaves it, and after a fork it answers an error.
//! Handles are numbers that are never used twice, in the clothes of pointers: a stale one is
//! recognised, never followed.

#![allow(unsafe_code, reason = "a C ABI is made of raw pointers; each block has its reason")]
#![allow(non_camel_case_types, reason = "the names are those of C")]
#![allow(clippy::missing_safety_doc, reason = "the contract is the header's, for all functions")]
#![allow(clippy::doc_markdown, reason = "the comments are the header's, for C")]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles are 64 bits wide");

pub mod block;
pub mod client;
pub mod guard;
pub mod handle;
pub mod handlers;
pub mod job;
pub mod lock;
pub mod log;
pub mod options;
pub mod outcome;
pub mod ready;
pub mod sql;
pub mod status;
pub mod text;
pub mod version;
pub mod worker;
