//! Workers: claim, run, finish.
//!
//! [`PullWorker`] is the seam that every language uses: it hands out jobs and takes outcomes,
//! and never calls the application. [`Worker`] is the Rust application's side of it.

mod board;
mod cancel;
mod checkpoint;
mod deadline;
mod events;
mod fetch;
mod finisher;
mod handlers;
mod health;
mod heartbeat;
mod http;
mod notebook;
mod pull;
mod serving;
mod shares;
mod slots;
mod stuck;
mod suspect;
mod tally;
mod wake;

pub use events::EventStream;
pub(crate) use handlers::Handlers;
pub use handlers::{IntoOutcome, Next, Worker, WorkerBuilder};
pub use health::Health;
pub use pull::{Finish, PullWorker};
