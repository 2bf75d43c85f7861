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
//! [`testing`] runs jobs inside the tests of an application.
//!
//! # Tracing
//!
//! Around each attempt of a Rust handler there is a [`tracing`] span `lavoro.job` (target
//! `lavoro::job`) with the fields that OpenTelemetry's conventions for messaging name, and
//! `lavoro.task`, `lavoro.attempt`, `lavoro.worker`, `lavoro.outcome`; never what the job holds.
//! A trace goes on from producer to handler, whatever the languages of the two: see
//! [`NewJob::trace_context`]. With the feature `opentelemetry`, for applications that use
//! `tracing-opentelemetry`, this happens by itself: a job carries the context of the span it is
//! enqueued in, and its handler's span is a child of that.
//!
//! # Layers
//!
//! Modules depend on each other in one direction: `error fleet job job_edit json limits new_job
//! notes options outcome retention retry schedule signal trace why` (no database) ← `store` (the only code that speaks SQL) ← `lock` ← `client maintenance
//! worker` ← `testing` ← this list. A test holds them to it.

mod client;
mod clock;
mod doctor;
pub mod embedded;
mod error;
mod event;
mod fleet;
mod histogram;
mod job;
mod job_edit;
mod json;
pub mod limits;
mod lock;
mod maintenance;
mod metrics;
mod new_job;
mod notes;
mod options;
mod outcome;
mod retention;
mod retry;
mod runtime;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod schedule;
mod service;
mod signal;
mod statistics;
mod store;
pub mod testing;
mod trace;
mod why;
mod worker;

pub use client::{
    JobHandle, JobResult, KeptJob, Lavoro, Lock, LockOptions, Migrations, QueueClear, QueueRename,
    SqlCall,
};
pub use doctor::{Finding, FindingStatus};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventJob};
pub use fleet::{WorkerInfo, WorkerQueue, WorkerState};
pub use job::{
    DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Job, JobError, JobId, JobInfo, JobSlot, JobState, Progress,
};
pub use job_edit::JobEdit;
pub use json::Json;
pub use lock::LockLoss;
pub use new_job::NewJob;
pub use notes::{LogLine, ProgressUpdate};
pub use options::{ConnectOptions, OnLostContact, QueueOptions, Timing, WorkerOptions};
pub use outcome::{Failure, FailureKind, Outcome, Verdict};
pub use retention::Retention;
pub use retry::{Backoff, BackoffKind};
pub use schedule::{INTERVALS, Missed, OnLost, Overlap, Schedule, ScheduleInfo, SlotInfo};
pub use signal::StopReason;
pub use statistics::{Figures, Quantiles, QueueStatistics, TaskStatistics};
pub use store::{BulkOutcome, JobFilter, JobPage, LockInfo, LogFilter, QueueInfo, Unhandled};
pub use why::{BusyWorker, Reason, Why};
pub use worker::{
    EventStream, Finish, Health, IntoOutcome, Next, PullWorker, Worker, WorkerBuilder,
};
