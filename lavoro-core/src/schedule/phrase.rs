//! Intervals in words: `five minutes`, `monday`, `last day of month`; and how `at` and `on`
//! make them more exact.

use super::Every;
use crate::error::{Error, ErrorKind, Result};

/// What `every` may be given in words: the intervals of Lavoro for JavaScript.
pub const INTERVALS: &[&str] = &[
    "second",
    "two seconds",
    "three seconds",
    "four seconds",
    "five seconds",
    "ten seconds",
    "fifteen seconds",
    "twenty seconds",
    "thirty seconds",
    "minute",
    "two minutes",
    "three minutes",
    "four minutes",
    "five minutes",
    "ten minutes",
    "fifteen minutes",
    "twenty minutes",
    "thirty minutes",
    "hour",
    "two hours",
    "three hours",
    "four hours",
    "five hours",
    "six hours",
    "seven hours",
    "eight hours",
    "nine hours",
    "ten hours",
    "eleven hours",
    "twelve hours",
    "day",
    "week",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "month",
    "last day of month",
];

const NUMBERS: [(&str, i64); 15] = [
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
    ("sixty", 60),
];

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// An interval that has been understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phrase {
    /// So many milliseconds.
    Span(i64),
    /// Whole hours, in milliseconds.
    Hours(i64),
    Day,
    Week,
    Weekday(usize),
    Month,
    LastDay,
}

/// What repeats, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    Cron(String),
    Every { every: i64, offset: i64 },
}

/// Makes of the words what is stored.
pub(super) fn resolve(every: &Every) -> Result<Resolved> {
    let interval = every.interval.as_deref().unwrap_or("day");
    let phrase = read(interval)?;
    let refuse = |what: &str| {
        Err(Error::new(
            ErrorKind::InvalidSchedule,
            format!("{what} says nothing of every {interval:?}"),
        ))
    };
    let clock = clock(every)?;
    let weekday = every.on.as_deref().map(weekday).transpose()?;
    if weekday.is_some() && !matches!(phrase, Phrase::Week | Phrase::Month) {
        return refuse("on (it is for week and month)");
    }
    if every.day_of_month.is_some() && phrase != Phrase::Month {
        return refuse("day_of_month (it is for month)");
    }
    let timed = every.at.is_some() || every.hour.is_some();
    match phrase {
        Phrase::Span(_) | Phrase::Hours(_) if timed => {
            return refuse("a time of day (it is for days, weeks and months)");
        }
        Phrase::Span(_) if every.minute.is_some() => {
            return refuse("minute (it is for hours and longer)");
        }
        Phrase::Span(every) => return Ok(Resolved::Every { every, offset: 0 }),
        Phrase::Hours(hours) => {
            return Ok(Resolved::Every { every: hours, offset: i64::from(clock.1) * 60_000 });
        }
        _ => {}
    }
    let (hour, minute) = clock;
    let day = match (phrase, weekday, every.day_of_month) {
        (Phrase::Month, Some(_), Some(_)) => {
            return refuse("day_of_month together with on");
        }
        (Phrase::Week, day, _) => format!("* * {}", day.unwrap_or(0)),
        (Phrase::Weekday(day), ..) => format!("* * {day}"),
        (Phrase::Month, Some(day), _) => format!("* * {day}#1"),
        (Phrase::Month, None, day) => format!("{} * *", day.unwrap_or(1)),
        (Phrase::LastDay, ..) => "L * *".to_owned(),
        _ => "* * *".to_owned(),
    };
    Ok(Resolved::Cron(format!("{minute} {hour} {day}")))
}

/// The hour and minute of the day.
fn clock(every: &Every) -> Result<(u32, u32)> {
    let complain = |message: String| Err(Error::new(ErrorKind::InvalidSchedule, message));
    let Some(at) = &every.at else {
        let (hour, minute) = (every.hour.unwrap_or(0), every.minute.unwrap_or(0));
        if hour > 23 {
            return complain(format!("hour is {hour}: it takes 0 to 23"));
        } else if minute > 59 {
            return complain(format!("minute is {minute}: it takes 0 to 59"));
        }
        return Ok((hour, minute));
    };
    if every.hour.is_some() || every.minute.is_some() {
        return complain("at is given together with hour or minute: pass one of them".to_owned());
    }
    let read = |part: &str, limit| {
        let digits =
            !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|number| digits && *number < limit)
    };
    let parts = at.split_once(':').map(|(hour, minute)| (read(hour, 24), read(minute, 60), minute));
    match parts {
        Some((Some(hour), Some(minute), digits)) if digits.len() == 2 => Ok((hour, minute)),
        _ => complain(format!("at is {at:?}: it takes 00:00 to 23:59")),
    }
}

fn weekday(name: &str) -> Result<usize> {
    let known = WEEKDAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
    known.ok_or_else(|| {
        let message = format!("on is {name:?}: it takes a day of the week, sunday to saturday");
        Error::new(ErrorKind::InvalidSchedule, message)
    })
}

fn read(interval: &str) -> Result<Phrase> {
    let text = interval.trim().to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let phrase = match words.as_slice() {
        ["day"] => Some(Phrase::Day),
        ["week"] => Some(Phrase::Week),
        ["month"] => Some(Phrase::Month),
        ["last", "day", "of", "month"] => Some(Phrase::LastDay),
        [unit] if WEEKDAYS.contains(unit) => {
            WEEKDAYS.iter().position(|day| day == unit).map(Phrase::Weekday)
        }
        [unit] => unit_of(unit).map_or_else(|| short(unit), |ms| span(1, ms, unit)),
        [number, unit] => {
            let spelt = NUMBERS.iter().find(|(name, _)| name == number).map(|(_, n)| *n);
            let number = spelt.or_else(|| number.parse().ok().filter(|n| *n > 0));
            number.zip(unit_of(unit)).and_then(|(number, ms)| span(number, ms, unit))
        }
        _ => None,
    };
    let range = super::EVERY_MS;
    match phrase {
        Some(Phrase::Span(ms) | Phrase::Hours(ms)) if !range.contains(&ms) => {
            let message = format!("every is {interval:?}: it takes 1 second to 3650 days");
            Err(Error::new(ErrorKind::InvalidSchedule, message))
        }
        Some(phrase) => Ok(phrase),
        None => Err(Error::new(
            ErrorKind::InvalidSchedule,
            format!(
                "every is {interval:?}: it takes a span (90s, 15m, 6h, 2d, 5 minutes) or one of {}",
                INTERVALS.join(", ")
            ),
        )),
    }
}

/// A unit of words, in milliseconds.
fn unit_of(word: &str) -> Option<i64> {
    match word.strip_suffix('s').unwrap_or(word) {
        "second" => Some(1000),
        "minute" => Some(60_000),
        "hour" => Some(3_600_000),
        "day" => Some(86_400_000),
        _ => None,
    }
}

fn span(number: i64, ms: i64, unit: &str) -> Option<Phrase> {
    let whole = number.checked_mul(ms)?;
    Some(if unit.starts_with("hour") { Phrase::Hours(whole) } else { Phrase::Span(whole) })
}

/// `90s`, `15m`, `6h`, `2d`.
fn short(text: &str) -> Option<Phrase> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        _ => return None,
    };
    span(number.parse().ok()?, unit_of(unit)?, unit)
}
