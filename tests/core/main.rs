//! The guarantees of the core, one file each, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test ends by panicking, and tells its story in one piece"
)]

mod cancel;
mod consumers;
mod enqueue;
mod errors;
mod faults;
mod life;
mod limits;
mod lost_contact;
mod maintenance;
mod migrations;
mod order;
mod queue_races;
mod queues;
mod sql_interface;
mod statements;
mod transactions;
mod unique;
mod why;
mod worker;
mod workers;
