//! Values of options that need more than a number or a name.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// A time span in milliseconds: `250ms`, `30s`, `5m`, `2h`, `1d`, or seconds. May be negative:
/// what that means is for the core to say.
pub(crate) fn millis(text: &str) -> Result<i64, String> {
    let complaint =
        || "expected a number with ms, s, m, h or d, as in 30s, 5m, 2h or 1d".to_owned();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: i64 = number.parse().map_err(|_| complaint())?;
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(complaint()),
    };
    number.checked_mul(factor).ok_or_else(|| "this is too long".to_owned())
}

/// A time span that is not negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let millis = u64::try_from(millis(text)?).map_err(|_| "this is negative".to_owned())?;
    Ok(Duration::from_millis(millis))
}

/// An instant in RFC 3339: `2030-01-31T09:00:00+01:00`.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.to_utc())
        .map_err(|error| format!("{error}; expected RFC 3339, as in 2030-01-31T09:00:00Z"))
}

/// An instant in RFC 3339, or how long ago it was: `2h`, by this machine's clock.
pub(crate) fn ago(text: &str) -> Result<DateTime<Utc>, String> {
    let Ok(span) = duration(text) else {
        return instant(text).map_err(|error| format!("{error}, or a time span, as in 2h"));
    };
    let span = chrono::TimeDelta::from_std(span).map_err(|_| "this is too long".to_owned())?;
    Utc::now().checked_sub_signed(span).ok_or_else(|| "this is too long".to_owned())
}

/// A task and the command that runs it: `TASK=COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) task: String,
    pub(crate) command: String,
}

/// Reads `TASK=COMMAND`.
pub(crate) fn exec(text: &str) -> Result<Exec, String> {
    match text.split_once('=') {
        Some((task, command)) if !task.is_empty() && !command.trim().is_empty() => {
            Ok(Exec { task: task.to_owned(), command: command.to_owned() })
        }
        _ => Err("expected TASK=COMMAND, as in greet='jq .name'".to_owned()),
    }
}

/// A queue, how many of its jobs may run at once, and its weight: `QUEUE`, `QUEUE=N` or
/// `QUEUE=N:WEIGHT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) queue: String,
    pub(crate) concurrency: Option<u32>,
    pub(crate) weight: u32,
}

/// Reads `QUEUE`, `QUEUE=N` or `QUEUE=N:WEIGHT`.
pub(crate) fn served(text: &str) -> Result<Served, String> {
    // A queue's name may hold a "=", a number may not.
    let Some((queue, numbers)) = text.rsplit_once('=') else {
        return Ok(Served { queue: text.to_owned(), concurrency: None, weight: 1 });
    };
    let number = |text: &str| {
        text.parse().map_err(|_| {
            format!("{text:?} is no number; expected QUEUE=N or QUEUE=N:WEIGHT, as in mail=10:3")
        })
    };
    let (concurrency, weight) = numbers.split_once(':').unwrap_or((numbers, "1"));
    Ok(Served {
        queue: queue.to_owned(),
        concurrency: Some(number(concurrency)?),
        weight: number(weight)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, expected) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("7", 7_000),
            ("0", 0),
            ("-5s", -5_000),
            ("-1", -1_000),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "5x", "5 m", "1.5h", "5mm", "m5", "é", "9223372036854775807d"] {
            assert!(millis(text).is_err(), "{text}");
        }
        assert!(duration("-1s").is_err());
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
    }

    #[test]
    fn instants_need_a_zone() {
        let noon = instant("2030-01-31T12:00:00Z").unwrap();
        assert_eq!(instant("2030-01-31T13:00:00+01:00"), Ok(noon));
        for text in ["2030-01-31T12:00:00", "tomorrow", ""] {
            assert!(instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_may_be_a_span_before_now() {
        assert_eq!(ago("2030-01-31T12:00:00Z"), instant("2030-01-31T12:00:00Z"));
        // Now is asked for twice.
        let two_hours = Utc::now() - ago("2h").unwrap();
        assert!((7199..7260).contains(&two_hours.num_seconds()), "{two_hours}");
        for text in ["", "yesterday", "-2h", "9223372036854775807ms"] {
            assert!(ago(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_command_may_hold_equals_signs() {
        let parsed = exec("resize=convert -size=4 x").unwrap();
        assert_eq!((&*parsed.task, &*parsed.command), ("resize", "convert -size=4 x"));
        for text in ["", "resize", "=cat", "resize=", "resize= "] {
            assert!(exec(text).is_err(), "{text}");
        }
    }

    #[test]
    fn queues_may_have_a_number() {
        assert_eq!(served("mail=3").unwrap().concurrency, Some(3));
        assert_eq!(served("mail").unwrap().concurrency, None);
        assert_eq!(served("mail-*=3:5").unwrap().weight, 5);
        assert_eq!(served("a=b=3").unwrap().queue, "a=b");
        for text in ["mail=", "mail=x", "mail=-1", "mail=3:", "mail=:3", "mail=3:x"] {
            assert!(served(text).is_err(), "{text}");
        }
    }
}
