//! A soak: producers, workers and PostgreSQL under seeded faults, and an account of every job.
//!
//! [`run`] starts everything as child processes, strikes, waits for calm, and lets the checker
//! join what each process wrote down. See `docs/reliability.md`.

pub mod check;
mod cluster;
mod disk;
mod dump;
mod fault;
mod fleet;
mod kind;
pub mod ledger;
mod log;
mod nemesis;
mod options;
mod probe;
mod producer;
mod report;
mod run;
mod worker;

pub use check::check;
pub use fault::Class;
pub use kind::Kind;
pub use ledger::Ledger;
pub use options::Options;
pub use producer::produce;
pub use report::{Report, Violation};
pub use run::{check_dir, run};
pub use worker::work;

/// Whatever went wrong with the soak itself.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What a part of the soak answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
