//! The local clock that leases are watched with.

use std::time::Duration;

/// Time since the machine started, including time it was suspended: a worker on a machine that
/// slept must notice that its lease is over. It never jumps.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or_else(|_| fallback(), Duration::from)
}

/// Time since this process first asked, as the system's monotonic clock counts it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> Duration {
    fallback()
}

fn fallback() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
