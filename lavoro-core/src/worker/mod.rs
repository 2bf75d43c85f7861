//! Workers: claim, run, finish.
//!
//! [`PullWorker`] is the seam that every language uses: it hands out jobs and takes outcomes,
//! and never calls the application. [`Worker`] is the Rust application's side of it.

mod board;
mod deadline;
mod fetch;
mod finisher;
mod handlers;
mod heartbeat;
mod pull;
mod wake;

pub(crate) use handlers::Handlers;
pub use handlers::{IntoOutcome, Next, Worker, WorkerBuilder};
pub use pull::{Finish, PullWorker};
