//! Every limit of Lavoro in one table, and the checks that hold values against them.
//!
//! The SQL functions of the schema make the same checks (`migrations/sql/0002_checks.sql`), and
//! one corpus of hostile input with its expected verdicts holds both to the same answers.

use crate::error::{Error, ErrorKind, Result};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest name of a task, queue or tag, in bytes of UTF-8.
pub const NAME_BYTES: usize = 255;
/// The longest unique key, in bytes of UTF-8.
pub const UNIQUE_KEY_BYTES: usize = 512;
/// The largest payload, in bytes of `payload::text` as PostgreSQL writes it.
pub const PAYLOAD_BYTES: usize = 1 << 20;
/// The largest metadata, in bytes as for [`PAYLOAD_BYTES`].
pub const METADATA_BYTES: usize = 64 << 10;
/// The largest result that is stored, in bytes as for [`PAYLOAD_BYTES`]; a larger one is
/// replaced by a note, since refusing it would lose a job that succeeded.
pub const RESULT_BYTES: usize = 1 << 20;
/// The longest error message that is stored, in bytes; a longer one loses its middle.
pub const ERROR_BYTES: usize = 16 << 10;
/// The longest message of a job's progress, in bytes; a longer one loses its middle.
pub const PROGRESS_BYTES: usize = 16 << 10;
/// The largest data of a job's progress, in bytes as for [`PAYLOAD_BYTES`].
pub const PROGRESS_DATA_BYTES: usize = 64 << 10;
/// The largest checkpoint, in bytes as for [`PAYLOAD_BYTES`].
pub const CHECKPOINT_BYTES: usize = 1 << 20;
/// How many lines one attempt may write into its job's log; the others are left out.
pub const LOG_LINES: usize = 1000;
/// The longest line of a job's log, in bytes; a longer one loses its middle.
pub const LOG_LINE_BYTES: usize = 4 << 10;
/// How deep JSON may be nested.
pub const JSON_DEPTH: usize = 128;
/// The largest magnitude of a number in JSON: 2^53 − 1. Beyond it languages read different values.
pub const JSON_NUMBER: u64 = (1 << 53) - 1;
/// How many attempts a job may be given.
pub const MAX_ATTEMPTS: RangeInclusive<u32> = 1..=1000;
/// How many tags a job may have.
pub const TAGS: usize = 32;
/// How long one attempt may be allowed to take.
pub const TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(14 * 24);
/// How long a job may be delayed: 3650 days.
pub const DELAY: Duration = Duration::from_hours(3650 * 24);
/// How long ended jobs may be kept: 3650 days.
pub const RETENTION: Duration = DELAY;
/// The years that `run_at` may lie in.
pub const RUN_AT_YEARS: RangeInclusive<i32> = 1970..=9999;
/// How many jobs a page may hold.
pub const PAGE: RangeInclusive<u32> = 1..=10_000;
/// How many jobs of one queue a worker may run at once.
pub const CONCURRENCY: RangeInclusive<u32> = 1..=10_000;
/// The weight of a queue among those of a worker.
pub const WEIGHT: RangeInclusive<u32> = 1..=1000;
/// The window that statistics look back on: counts are kept for 24 hours.
pub const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
/// How long a lock lives without being extended.
pub const LOCK_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);
/// How long to wait for a lock.
pub const LOCK_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// How long after its slot the job of a schedule may be due by jitter.
pub const JITTER: Duration = Duration::from_hours(24);
/// How many missed slots of a schedule may be made up for at once.
pub const MISSED_JOBS: RangeInclusive<u32> = 1..=1000;
/// The longest schema name, in bytes: PostgreSQL's own limit for identifiers.
pub const SCHEMA_BYTES: usize = 63;

/// Checks a task's name.
pub fn check_task(name: &str) -> Result<()> {
    check_name(ErrorKind::InvalidTask, "task", name, NAME_BYTES)
}

/// Checks the task of a follow-up job.
pub fn check_follow_up(name: &str) -> Result<()> {
    check_name(ErrorKind::InvalidTask, "on_discarded", name, NAME_BYTES)
}

/// Checks a schedule's name.
pub fn check_schedule(name: &str) -> Result<()> {
    check_name(ErrorKind::InvalidSchedule, "schedule", name, NAME_BYTES)
}

/// Checks a queue's name.
pub fn check_queue(name: &str) -> Result<()> {
    check_name(ErrorKind::InvalidQueue, "queue", name, NAME_BYTES)
}

/// Checks a lock's name.
pub fn check_lock(name: &str) -> Result<()> {
    check_name(ErrorKind::InvalidOption, "lock", name, NAME_BYTES)
}

/// Checks what the holder of a lock calls itself.
pub fn check_owner(owner: &str) -> Result<()> {
    check_name(ErrorKind::InvalidOption, "owner", owner, NAME_BYTES)
}

/// Checks a unique key.
pub fn check_unique_key(key: &str) -> Result<()> {
    check_name(ErrorKind::InvalidUniqueKey, "unique_key", key, UNIQUE_KEY_BYTES)
}

/// Checks the tags of a job.
pub fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS {
        return Err(Error::new(
            ErrorKind::InvalidOption,
            format!("number of tags is {}: it takes 0 to {TAGS}", tags.len()),
        ));
    }
    tags.iter().try_for_each(|tag| check_tag(tag))
}

/// Checks a number against the range it may take, naming the field.
pub fn check_range<T: PartialOrd + std::fmt::Debug>(
    field: &str,
    value: &T,
    range: &RangeInclusive<T>,
) -> Result<()> {
    if range.contains(value) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidOption,
        format!("{field} is {value:?}: it takes {:?} to {:?}", range.start(), range.end()),
    ))
}

/// Checks a tag to look for.
pub fn check_tag(tag: &str) -> Result<()> {
    check_name(ErrorKind::InvalidOption, "tag", tag, NAME_BYTES)
}

/// Checks a text to look for in error messages.
pub fn check_error_text(text: &str) -> Result<()> {
    let complaint = if text.is_empty() || text.len() > ERROR_BYTES {
        format!("error_contains has {} bytes: it takes 1 to {ERROR_BYTES}", text.len())
    } else if text.contains('\0') {
        "error_contains holds a NUL character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidOption, complaint))
}

fn check_name(kind: ErrorKind, field: &str, value: &str, max: usize) -> Result<()> {
    let complaint = if value.is_empty() {
        format!("{field} is empty: it takes 1 to {max} bytes")
    } else if value.len() > max {
        format!("{field} has {} bytes: the limit is {max}", value.len())
    } else if value.chars().any(char::is_control) {
        format!("{field} holds a control character")
    } else {
        return Ok(());
    };
    Err(Error::new(kind, complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_1_to_255_bytes_without_control_characters() {
        assert!(check_task("a").is_ok());
        assert!(check_task(&"a".repeat(255)).is_ok());
        for bad in ["", &"a".repeat(256), "a\0", "a\n", "a\u{7f}", "a\u{85}"] {
            assert_eq!(check_task(bad).unwrap_err().kind(), ErrorKind::InvalidTask, "{bad:?}");
        }
    }

    #[test]
    fn a_limit_counts_bytes_and_not_characters() {
        let error = check_queue(&"é".repeat(128)).unwrap_err();
        assert_eq!(error.message(), "queue has 256 bytes: the limit is 255");
    }
}
