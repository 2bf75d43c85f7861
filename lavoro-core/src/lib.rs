//! Lavoro's engine.
pub mod error;
pub mod embedded;
pub use error::{Error, ErrorKind, Result};
