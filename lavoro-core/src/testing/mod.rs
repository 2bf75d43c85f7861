//! For the tests of applications: run jobs in the test itself, and see what was enqueued.
//!
//! Everything runs on the real engine and a real database, `memory:` for instance, so that what
//! passes here behaves alike in production. Give each test a database or a schema of its own, or
//! let tests that share one wait for each other.
//!
//! - [`drain`] runs every job that may run, until none is left.
//! - [`inline`] enqueues one job and runs it at once.
//! - [`assert_enqueued`] and [`refute_enqueued`] look at what waits.
//! - [`Drainer`] is the engine of the first two: what the kits of other languages stand on.
//!
//! ```
//! use lavoro_core::{Error, Job, Lavoro, NewJob, Worker, testing};
//! use serde_json::json;
//!
//! # fn main() -> lavoro_core::Result<()> {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let lavoro = Lavoro::connect("memory:").await?;
//! let worker = Worker::builder(&lavoro).handler("welcome", |job: Job| async move {
//!     let name: String = job.payload()?;
//!     Ok::<_, Error>(format!("Welcome, {name}!"))
//! });
//!
//! lavoro.enqueue(NewJob::new("welcome", "Ada")).await?;
//! testing::assert_enqueued(&lavoro, &testing::enqueued("welcome").payload(json!("Ada"))).await;
//!
//! let drained = testing::drain(worker).run().await?;
//! assert_eq!((drained.completed, drained.discarded), (1, 0));
//! testing::refute_enqueued(&lavoro, &testing::enqueued("welcome")).await;
//! # Ok(())
//! # })
//! # }
//! ```

mod drain;
mod drainer;
mod enqueued;
mod inline;

pub use drain::{Drain, drain};
pub use drainer::{Drained, Drainer, Failed};
pub use enqueued::{Expected, assert_enqueued, enqueued, refute_enqueued};
pub use inline::inline;
