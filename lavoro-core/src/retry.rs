//! When a failed attempt is tried again.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackoffKind {
    /// Doubles with each attempt.
    Exponential,
    /// Grows by `base` with each attempt.
    Linear,
    /// Stays at `base`.
    Fixed,
}

/// The delay before a failed job is tried again.
///
/// The default is exponential from 2 seconds to 1 hour, with jitter of 20 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    kind: BackoffKind,
    base_ms: u64,
    max_ms: u64,
    jitter: f64,
}

/// The longest delay a backoff may reach: 3650 days.
const LONGEST_MS: u64 = 315_360_000_000;

impl Default for Backoff {
    fn default() -> Self {
        Self { kind: BackoffKind::Exponential, base_ms: 2_000, max_ms: 3_600_000, jitter: 0.2 }
    }
}

impl Backoff {
    /// Grows as `kind` says, from `base` up to `max`; with jitter of 20 %, save a fixed one.
    #[must_use]
    pub fn new(kind: BackoffKind, base: Duration, max: Duration) -> Self {
        let jitter = if kind == BackoffKind::Fixed { 0.0 } else { Self::default().jitter };
        Self { kind, base_ms: millis(base), max_ms: millis(max), jitter }
    }

    /// Doubles from `base` up to `max`.
    #[must_use]
    pub fn exponential(base: Duration, max: Duration) -> Self {
        Self::new(BackoffKind::Exponential, base, max)
    }

    /// `base`, twice `base`, three times `base`, up to `max`.
    #[must_use]
    pub fn linear(base: Duration, max: Duration) -> Self {
        Self::new(BackoffKind::Linear, base, max)
    }

    /// Always `delay`, without jitter.
    #[must_use]
    pub fn fixed(delay: Duration) -> Self {
        Self::new(BackoffKind::Fixed, delay, delay)
    }

    /// Spreads each delay by up to this share of itself in both directions, from 0 to 1.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// The delay after the `attempt`th attempt has failed, from 1.
    ///
    /// `random` is a number from 0 to 1 that places the delay within its jitter; it is a
    /// parameter so that the result is a function of its arguments alone.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of ten years are exact in a double"
    )]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let steps = attempt.saturating_sub(1);
        let factor = match self.kind {
            BackoffKind::Exponential => 2_f64.powi(steps.min(62).cast_signed()),
            BackoffKind::Linear => f64::from(steps) + 1.0,
            BackoffKind::Fixed => 1.0,
        };
        let plain = (self.base_ms as f64 * factor).min(self.max_ms as f64);
        let spread = 1.0 + self.jitter * (2.0 * random - 1.0);
        Duration::from_secs_f64((plain * spread / 1000.0).clamp(0.0, LONGEST_MS as f64 / 1000.0))
    }

    /// Checks that the delays are in order and the jitter is a share.
    ///
    /// # Errors
    /// `invalid_option`
    pub fn check(&self) -> Result<()> {
        if self.base_ms <= self.max_ms
            && self.max_ms <= LONGEST_MS
            && (0.0..=1.0).contains(&self.jitter)
        {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidOption,
            format!(
                "backoff is not understood: it takes kind (exponential, linear or fixed), whole \
                 base_ms <= max_ms <= {LONGEST_MS}, and jitter from 0 to 1"
            ),
        ))
    }

    /// Reads a backoff from its JSON form, `{"kind", "base_ms", "max_ms", "jitter"}`.
    ///
    /// # Errors
    /// `invalid_option`
    pub fn from_json(text: &str) -> Result<Self> {
        let backoff: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::InvalidOption, format!("backoff is not understood: {error}"))
        })?;
        backoff.check().map(|()| backoff)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: Backoff, attempt: u32) -> f64 {
        backoff.delay(attempt, 0.5).as_secs_f64()
    }

    #[test]
    fn the_default_doubles_from_two_seconds_to_an_hour() {
        let backoff = Backoff::default();
        assert!((seconds(backoff, 1) - 2.0).abs() < 1e-9);
        assert!((seconds(backoff, 5) - 32.0).abs() < 1e-9);
        assert!((seconds(backoff, 12) - 3600.0).abs() < 1e-9);
        assert!((seconds(backoff, 1000) - 3600.0).abs() < 1e-9);
    }

    #[test]
    fn jitter_spreads_in_both_directions() {
        let backoff = Backoff::default();
        assert!((backoff.delay(1, 0.0).as_secs_f64() - 1.6).abs() < 1e-9);
        assert!((backoff.delay(1, 1.0).as_secs_f64() - 2.4).abs() < 1e-9);
    }

    #[test]
    fn linear_and_fixed_grow_as_they_say() {
        let second = Duration::from_secs(1);
        let linear = Backoff::linear(second, 3 * second);
        assert_eq!([1, 2, 3, 9].map(|n| linear.delay(n, 0.5).as_secs()), [1, 2, 3, 3]);
        assert_eq!([1, 9].map(|n| Backoff::fixed(second).delay(n, 0.1)), [second; 2]);
    }

    #[test]
    fn the_json_form_leads_back() {
        let json = serde_json::to_string(&Backoff::default()).unwrap();
        assert_eq!(json, r#"{"kind":"exponential","base_ms":2000,"max_ms":3600000,"jitter":0.2}"#);
        assert_eq!(Backoff::from_json(&json).unwrap(), Backoff::default());
        for bad in [r#"{"kind":"x"}"#, r#"{"kind":"fixed","base_ms":2,"max_ms":1,"jitter":0}"#, "1"]
        {
            assert_eq!(Backoff::from_json(bad).unwrap_err().kind(), ErrorKind::InvalidOption);
        }
    }
}
