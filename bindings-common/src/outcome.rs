//! What a handler says of its job.

use crate::parse::{Millis, parse};
use lavoro_core::{Failure, FailureKind, Outcome, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a handler says of its job: `{"outcome": "complete", "result"}`, `{"outcome": "retry",
/// "error", "delay_ms", "kind"}`, `{"outcome": "snooze", "delay_ms"}`, `{"outcome": "cancel",
/// "reason"}`, `{"outcome": "fail", "error", "kind"}` or `{"outcome": "release"}`. `kind` is
/// `failed` (the default), `panicked` or `timeout`. A result that cannot be stored is replaced by
/// a note; errors are cut.
///
/// # Errors
/// `invalid_option`, naming the key.
pub fn outcome(json: &[u8]) -> Result<Outcome> {
    parse::<OutcomeFields>(json).map(Into::into)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeFields {
    outcome: Name,
    result: Option<Box<RawValue>>,
    error: Option<String>,
    reason: Option<String>,
    delay_ms: Option<Millis>,
    #[serde(default)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Complete,
    Retry,
    Snooze,
    Cancel,
    Fail,
    Release,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Failed,
    Panicked,
    Timeout,
}

impl From<Kind> for FailureKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::Failed,
            Kind::Panicked => Self::Panicked,
            Kind::Timeout => Self::Timeout,
        }
    }
}

impl From<OutcomeFields> for Outcome {
    fn from(fields: OutcomeFields) -> Self {
        let failure = Failure::new(fields.kind.into(), fields.error.unwrap_or_default());
        let delay = fields.delay_ms.map(Into::into);
        match fields.outcome {
            Name::Complete => match fields.result {
                Some(result) => Self::complete_with_json(result.get()),
                None => Self::complete(),
            },
            Name::Retry => Self::Retry { failure, delay },
            Name::Snooze => Self::snooze(delay.unwrap_or_default()),
            Name::Cancel => match fields.reason {
                Some(reason) => Self::cancel(reason),
                None => Self::Cancel { reason: None },
            },
            Name::Fail => Self::Fail { failure },
            Name::Release => Self::Release,
        }
    }
}
