//! Reading JSON so that errors name the key.

use chrono::{DateTime, Utc};
use lavoro_core::{Backoff, BackoffKind, Error, ErrorKind, JobId, Result};
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Keys whose values are instants: what is wrong with one is an `invalid_time`.
const INSTANTS: [&str; 6] =
    ["run_at", "expires_at", "start", "end", "created_after", "created_before"];

/// Reads an object; empty text stands for one without keys.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let json = if json.is_empty() { b"{}" } else { json };
    serde_json::from_slice(json).map_err(|_| explain::<T>(json))
}

/// Reads it once more, for where the error is.
#[cold]
fn explain<T: DeserializeOwned>(json: &[u8]) -> Error {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return Error::new(ErrorKind::InvalidOption, "there is text after the options");
    };
    let path = error.path().to_string();
    let key = path.rsplit('.').next().unwrap_or_default();
    let kind =
        if INSTANTS.contains(&key) { ErrorKind::InvalidTime } else { ErrorKind::InvalidOption };
    let complaint = error.inner().to_string();
    // Where in the text it is says nothing to someone who never saw the text.
    let complaint = complaint.split(" at line ").next().unwrap_or_default();
    let message = match path.as_str() {
        "." => complaint.to_owned(),
        _ => format!("{path}: {complaint}"),
    };
    Error::new(kind, message)
}

/// Writes an answer.
pub(crate) fn answer(value: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "an answer cannot be written").with_source(error)
    })
}

/// Whole milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Millis(u64);

impl From<Millis> for Duration {
    fn from(Millis(millis): Millis) -> Self {
        Self::from_millis(millis)
    }
}

/// The number of a job: a decimal string, or a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) JobId);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(JobId),
            Text(String),
        }
        let complaint = "a job's number is a decimal string or an integer";
        match Form::deserialize(deserializer).map_err(|_| D::Error::custom(complaint))? {
            Form::Number(number) => Ok(Self(number)),
            Form::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom(complaint)),
        }
    }
}

/// An instant.
pub(crate) type Instant = DateTime<Utc>;

/// `{"kind": "exponential" | "linear" | "fixed", "base_ms", "max_ms", "jitter"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffFields {
    kind: Option<BackoffKind>,
    base_ms: Option<Millis>,
    max_ms: Option<Millis>,
    jitter: Option<f64>,
}

impl From<BackoffFields> for Backoff {
    /// What is left out is as in [`Backoff::default`]; a fixed one without `max_ms` stays at its base.
    fn from(fields: BackoffFields) -> Self {
        let kind = fields.kind.unwrap_or(BackoffKind::Exponential);
        let base = fields.base_ms.map_or(Duration::from_secs(2), Into::into);
        let longest =
            if kind == BackoffKind::Fixed { base } else { base.max(Duration::from_hours(1)) };
        let backoff = Self::new(kind, base, fields.max_ms.map_or(longest, Into::into));
        match fields.jitter {
            Some(share) => backoff.jitter(share),
            None => backoff,
        }
    }
}
