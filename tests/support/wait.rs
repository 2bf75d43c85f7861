//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long a condition may take before a test gives up: long, since machines are shared.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// [`PATIENCE`], unless `LAVORO_TEST_PATIENCE` says how many seconds: a test that is to go red need
/// not take its time.
#[must_use]
pub fn patience() -> Duration {
    let given = std::env::var("LAVORO_TEST_PATIENCE").ok();
    given.and_then(|seconds| seconds.parse().ok()).map_or(PATIENCE, Duration::from_secs)
}

/// Waits until `condition` answers something.
///
/// # Panics
/// If that takes too long.
pub async fn wait_for<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
