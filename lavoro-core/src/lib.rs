//! The engine of Lavoro: a job queue on PostgreSQL for applications in several languages.
//!
//! [`Lavoro`] enqueues jobs and looks after them; [`Worker`] runs them with Rust handlers;
//! [`PullWorker`] is the seam on which the other languages' workers are built.
//!
//! ```no_run
//! use lavoro_core::{Job, Lavoro, NewJob, Worker};
//! use std::time::Duration;
//!
//! # async fn example() -> lavoro_core::Result<()> {
//! let lavoro = Lavoro::connect("embedded:").await?;
//! let worker = Worker::builder(&lavoro)
//!     .queue("default", 10)
//!     .handler("greet", |job: Job| async move {
//!         let name: String = job.payload()?;
//!         Ok::<_, lavoro_core::Error>(format!("Hello, {name}!"))
//!     })
//!     .start()
//!     .await?;
//!
//! let job = lavoro.enqueue(NewJob::new("greet", "Ada")).await?;
//! let greeting: String = job.result(Duration::from_secs(10)).await?.value()?;
//! assert_eq!(greeting, "Hello, Ada!");
//!
//! worker.stop(Duration::from_secs(30)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Modules depend on each other in one direction: `error fleet job json limits new_job
//! options outcome retry signal why` (no database) ← `store` (the only code that speaks SQL) ← `client maintenance
//! worker` ← this list. A test holds them to it.

mod client;
mod clock;
pub mod embedded;
mod error;
mod fleet;
mod job;
mod json;
pub mod limits;
mod maintenance;
mod new_job;
mod options;
mod outcome;
mod retry;
mod runtime;
mod service;
mod signal;
mod store;
mod why;
mod worker;

pub use client::{JobHandle, JobResult, KeptJob, Lavoro, Migrations, QueueClear, QueueRename};
pub use error::{Error, ErrorKind, Result};
pub use fleet::{WorkerInfo, WorkerQueue, WorkerState};
pub use job::{
    DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Job, JobError, JobId, JobInfo, JobState, Progress,
};
pub use json::Json;
pub use new_job::NewJob;
pub use options::{ConnectOptions, OnLostContact, Timing, WorkerOptions};
pub use outcome::{Failure, FailureKind, Outcome, Verdict};
pub use retry::{Backoff, BackoffKind};
pub use signal::StopReason;
pub use store::{JobFilter, QueueInfo, Unhandled};
pub use why::{BusyWorker, Reason, Why};
pub use worker::{Finish, IntoOutcome, PullWorker, Worker, WorkerBuilder};
