//! Workers: claim, run, finish.
//!
//! [`PullWorker`] is the seam that every language uses: it hands out jobs and takes outcomes,
//! and never calls the application. [`Worker`] is the Rust application's side of it.

mod board;
mod cancel;
mod checkpoint;
mod deadline;
mod fetch;
mod finisher;
mod handlers;
mod heartbeat;
mod notebook;
mod pull;
mod serving;
mod shares;
mod slots;
mod stuck;
mod wake;

pub use handlers::{IntoOutcome, Worker, WorkerBuilder};
pub use pull::{Finish, PullWorker};
