//! How a program connects.

use crate::parse::{Millis, parse};
use lavoro_core::{ConnectOptions, Result, Timing};
use serde::Deserialize;
use std::time::Duration;

/// How to connect: `url`, `schema`, `pool_size`, `transaction_pooler`, `maintenance`, `migrate`,
/// `warn_unhandled`, `enqueue_timeout_ms`, `statement_timeout_ms`, `timing` (`heartbeat_ms`,
/// `lease_ms`, `scan_ms`, `poll_ms`, `prune_ms`, `tally_ms`). See [`ConnectOptions`] for each.
///
/// # Errors
/// `invalid_option`, naming the key. What is out of its limits is said on connecting.
pub fn connect_options(json: &[u8]) -> Result<ConnectOptions> {
    parse::<ConnectFields>(json).map(Into::into)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectFields {
    url: Option<String>,
    schema: Option<String>,
    pool_size: Option<u32>,
    transaction_pooler: Option<bool>,
    maintenance: Option<bool>,
    migrate: Option<bool>,
    warn_unhandled: Option<bool>,
    enqueue_timeout_ms: Option<Millis>,
    statement_timeout_ms: Option<Millis>,
    timing: Option<TimingFields>,
}

impl From<ConnectFields> for ConnectOptions {
    fn from(fields: ConnectFields) -> Self {
        let defaults = Self::default();
        Self {
            url: fields.url,
            schema: fields.schema,
            pool_size: fields.pool_size.unwrap_or(defaults.pool_size),
            transaction_pooler: fields.transaction_pooler.unwrap_or(defaults.transaction_pooler),
            maintenance: fields.maintenance.unwrap_or(defaults.maintenance),
            migrate: fields.migrate,
            warn_unhandled: fields.warn_unhandled.unwrap_or(defaults.warn_unhandled),
            enqueue_timeout: or(fields.enqueue_timeout_ms, defaults.enqueue_timeout),
            statement_timeout: or(fields.statement_timeout_ms, defaults.statement_timeout),
            timing: fields.timing.map_or(defaults.timing, Into::into),
        }
    }
}

/// The clockwork of leases and maintenance.
#[expect(clippy::struct_field_names, reason = "durations end in their unit")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimingFields {
    heartbeat_ms: Option<Millis>,
    lease_ms: Option<Millis>,
    scan_ms: Option<Millis>,
    poll_ms: Option<Millis>,
    prune_ms: Option<Millis>,
    tally_ms: Option<Millis>,
}

impl From<TimingFields> for Timing {
    fn from(fields: TimingFields) -> Self {
        let defaults = Self::default();
        Self {
            heartbeat: or(fields.heartbeat_ms, defaults.heartbeat),
            lease: or(fields.lease_ms, defaults.lease),
            scan: or(fields.scan_ms, defaults.scan),
            poll: or(fields.poll_ms, defaults.poll),
            prune: or(fields.prune_ms, defaults.prune),
            tally: or(fields.tally_ms, defaults.tally),
        }
    }
}

/// The duration that is given, or the default.
pub(crate) fn or(given: Option<Millis>, default: Duration) -> Duration {
    given.map_or(default, Into::into)
}
