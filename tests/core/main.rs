//! The guarantees of the core, one file each, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test ends by panicking, and tells its story in one piece"
)]

mod bulk;
mod cancel;
mod checkpoints;
mod consumers;
mod doctor;
mod edit;
mod enqueue;
mod errors;
mod events;
mod expiry;
mod faults;
mod firing;
mod follow_up;
mod handlers;
mod health;
mod jobs;
mod life;
mod limits;
mod lock_contest;
mod lock_faults;
mod lock_sql;
mod locks;
mod lost_contact;
mod lost_replies;
mod machine;
mod maintenance;
mod migrations;
mod note_faults;
mod notes;
mod order;
mod overlap;
mod pooler;
mod queue_races;
mod queues;
mod retention;
#[cfg(feature = "sabotage")]
mod sabotage;
mod scheduler_storm;
mod schedules;
mod sharing;
mod slots;
mod sql_calls;
mod sql_interface;
mod statements;
mod statistics;
mod stuck;
mod testing;
mod tracing;
mod transactions;
mod unique;
mod verdicts;
mod why;
mod worker;
mod workers;
