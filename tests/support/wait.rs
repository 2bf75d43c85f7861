//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long a condition may take before a test gives up: long, since machines are shared.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `condition` answers something.
///
/// # Panics
/// If that takes longer than [`PATIENCE`].
pub async fn wait_for<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
