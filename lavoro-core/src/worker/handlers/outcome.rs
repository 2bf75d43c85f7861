//! What handlers may return.

use crate::outcome::Outcome;
use serde::Serialize;
use std::fmt::Display;

/// What a handler may return:
///
/// | type | means |
/// |---|---|
/// | `()` | the job is done |
/// | [`Outcome`] | itself |
/// | `Result<T: Serialize, E>` | `Ok`: done, with a result; `Err`: failed, to be tried again |
/// | `Result<Outcome, E>` | `Ok`: the outcome; `Err`: failed, to be tried again |
/// | `Result<T, Outcome>` | `Ok`: as above; `Err`: the outcome |
///
/// `E` is any error that can be displayed. With `Outcome` as the error type, `?` makes any other
/// error a failure to be tried again, and early exits say what they mean:
///
/// ```
/// use lavoro_core::{Job, Outcome};
/// use std::time::Duration;
///
/// async fn send(job: Job) -> Result<String, Outcome> {
///     let to: String = job.payload()?;
///     if to.is_empty() {
///         return Err(Outcome::fail("nobody to send it to"));
///     }
///     if to.starts_with("later") {
///         return Err(Outcome::snooze(Duration::from_secs(60)));
///     }
///     Ok(format!("sent to {to}"))
/// }
/// ```
// The implementations do not overlap because `Outcome` is neither `Serialize` nor `Display` nor
// an `Error`, which this crate alone decides. It must stay so.
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::complete()
    }
}

impl<T: Serialize, E: Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        self.map_or_else(|error| Outcome::retry(error.to_string()), |value| done(&value))
    }
}

impl<E: Display> IntoOutcome for Result<Outcome, E> {
    fn into_outcome(self) -> Outcome {
        self.unwrap_or_else(|error| Outcome::retry(error.to_string()))
    }
}

impl<T: Serialize> IntoOutcome for Result<T, Outcome> {
    fn into_outcome(self) -> Outcome {
        self.map_or_else(|outcome| outcome, |value| done(&value))
    }
}

impl IntoOutcome for Result<Outcome, Outcome> {
    fn into_outcome(self) -> Outcome {
        self.unwrap_or_else(|outcome| outcome)
    }
}

/// Makes any error a failure to be tried again, so that `?` works in handlers whose error type
/// is [`Outcome`].
impl<E: std::error::Error> From<E> for Outcome {
    fn from(error: E) -> Self {
        Self::retry(error.to_string())
    }
}

fn done(value: &impl Serialize) -> Outcome {
    match serde_json::to_string(value) {
        Ok(json) if json == "null" => Outcome::complete(),
        Ok(json) => Outcome::complete_with_json(&json),
        Err(error) => Outcome::retry(format!("the result cannot be written as JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn values_and_outcomes_may_be_ok_and_errors_and_outcomes_may_be_err() {
        let snooze = || Outcome::snooze(std::time::Duration::from_secs(1));
        let error = || Error::new(ErrorKind::Internal, "no");
        let seven = Outcome::complete_with_json("7");
        assert_eq!(().into_outcome(), Outcome::complete());
        assert_eq!(Ok::<_, Error>(()).into_outcome(), Outcome::complete());
        assert_eq!(Ok::<_, Error>(7).into_outcome(), seven);
        assert_eq!(Err::<u8, _>(error()).into_outcome(), Outcome::retry("no"));
        assert_eq!(Ok::<_, Error>(snooze()).into_outcome(), snooze());
        assert_eq!(Err::<Outcome, _>("no").into_outcome(), Outcome::retry("no"));
        assert_eq!(Ok::<_, Outcome>(7).into_outcome(), seven);
        assert_eq!(Err::<u8, _>(snooze()).into_outcome(), snooze());
        assert_eq!(
            Err::<Outcome, _>(Outcome::fail("never")).into_outcome(),
            Outcome::fail("never")
        );
    }

    #[test]
    fn a_question_mark_makes_any_error_a_failure() {
        fn read(text: &str) -> Result<u8, Outcome> {
            Ok(text.parse::<u8>()?)
        }
        let Outcome::Retry { failure, delay: None } = read("x").into_outcome() else {
            panic!("an error is tried again")
        };
        assert_eq!(failure.message(), "invalid digit found in string");
    }
}
