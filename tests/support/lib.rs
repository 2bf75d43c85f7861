//! What the tests stand on: one private PostgreSQL for all of them, a database for each, and
//! waiting for conditions instead of sleeping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test ends by panicking"
)]

mod clocked;
mod contest;
mod database;
mod logs;
mod pooler;
mod process;
mod proxy;
mod sabotage;
mod sound;
mod wait;

pub use clocked::ClockedServer;
pub use contest::{Contenders, contend, contenders_pool};
pub use database::{Database, server_url};
pub use logs::warnings;
pub use pooler::PgBouncer;
pub use process::{Schedulers, Spec, WorkerProcess};
pub use proxy::{Proxy, Reply};
pub use sabotage::statement;
pub use sound::contradictions;
pub use wait::{PATIENCE, patience, wait_for};

use lavoro_core::{Timing, WorkerBuilder};
use std::time::Duration;

/// The clockwork of leases, ten times as fast as usual.
#[must_use]
pub fn quick() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(300),
        lease: Duration::from_millis(1500),
        scan: Duration::from_millis(100),
        poll: Duration::from_millis(50),
        prune: Duration::from_millis(200),
        tally: Duration::from_secs(1),
    }
}

/// A worker with the quick clockwork.
pub trait Quick {
    /// Ten times as fast as usual.
    #[must_use]
    fn quick(self) -> Self;
}

impl Quick for WorkerBuilder {
    fn quick(self) -> Self {
        self.timing(quick())
    }
}
