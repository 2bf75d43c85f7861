//! Watches whether the machine and the server stand still by themselves: a soak that shares its
//! machine must know that from its own faults.

use crate::log::{Log, now};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Logs pauses that are longer than a third of a lease.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
}

impl Probe {
    /// In a worker it speaks for that process alone, which a busy machine may keep waiting.
    pub(crate) fn start(pool: PgPool, log: Arc<Log>, lease: Duration, pid: Option<u32>) -> Self {
        let victim = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let whom = victim.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let long = u64::try_from(lease.as_micros() / 3).unwrap_or(u64::MAX);
        let (ended, here) = (Arc::clone(&stop), Arc::clone(&log));
        std::thread::spawn(move || {
            let mut before = now();
            while !ended.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
                let after = now();
                if after - before > long {
                    here.line(format_args!("fault stall {before} {after} {whom} process"));
                }
                before = after;
            }
        });
        let ended = Arc::clone(&stop);
        tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                let before = now();
                let commit = sqlx::query("insert into public.probe values (0)").execute(&pool);
                let answer = commit.await;
                let after = now();
                if answer.is_ok() && after - before > long {
                    log.line(format_args!("fault stall {before} {after} {victim} server"));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { stop }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
