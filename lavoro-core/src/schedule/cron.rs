//! Cron expressions.
//!
//! The crate croner reads them and walks the calendar, always in UTC; what happens when clocks are
//! set is decided here. Times of day that are named one by one are fixed: one that a clock
//! skips counts at the first instant after the gap, one that it shows twice counts the first
//! time. Everything else counts in real time: whenever the clock shows it.

use super::zone::{Instants, Zone};
use crate::error::{Error, ErrorKind, Result};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use croner::parser::{CronParser, Seconds, Year};

/// The longest expression, in bytes.
pub(super) const BYTES: usize = 255;

/// Which letters each of the six fields may hold besides names.
const LETTERS: [&str; 6] = ["", "", "", "LW", "", "L"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// An expression that has been understood, and comes true some day.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    pattern: croner::Cron,
    /// It counts whenever a clock shows it, also for the second time.
    real_time: bool,
}

impl Cron {
    /// Reads an expression: five fields, or six beginning with seconds, or `@daily` and its kin.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let complain = |what: String| {
            let message = format!("cron expression {text:?} {what}");
            Error::new(ErrorKind::InvalidSchedule, message)
        };
        if text.len() > BYTES {
            let message = format!("cron has {} bytes: the limit is {BYTES}", text.len());
            return Err(Error::new(ErrorKind::InvalidSchedule, message));
        }
        let fields = fields(text).map_err(complain)?;
        let parser =
            CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
        let pattern = parser
            .parse(&fields.join(" "))
            .map_err(|error| complain(format!("is not understood: {error}")))?;
        let every_hour = (0..24).all(|hour| pattern.pattern.hour_match(hour).unwrap_or(false));
        let spread = fields[..2].iter().any(|field| field.contains(['*', '/', '-', '?']));
        let cron = Self { pattern, real_time: every_hour || spread };
        if cron.next_local(NaiveDateTime::default()).is_none() {
            return Err(complain(format!(
                "never comes true: no month {} has a day {} that is a day of the week {}",
                fields[4], fields[3], fields[5]
            )));
        }
        Ok(cron)
    }

    /// The first instant after `after` at which a clock in this zone makes it true.
    pub(super) fn next_after(&self, zone: Zone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.real_time { self.next_real(zone, after) } else { self.next_fixed(zone, after) }
    }

    fn next_fixed(&self, zone: Zone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = zone.local(after);
        loop {
            local = self.next_local(local)?;
            let (Instants::One(at) | Instants::Two(at, _) | Instants::Gap(at)) =
                zone.instants(local)?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn next_real(&self, zone: Zone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = zone.local(after);
        let next = loop {
            local = self.next_local(local)?;
            match zone.instants(local)? {
                Instants::Two(first, second) => match (first > after, second > after) {
                    (true, _) => break first,
                    (_, true) => break second,
                    _ => {}
                },
                Instants::One(at) if at > after => break at,
                Instants::One(_) => {}
                Instants::Gap(end) => local = zone.local(end) - TimeDelta::seconds(1),
            }
        };
        // A clock that is set back before then shows again what it has shown before `after`.
        let Some(turn) = zone.set_back(after, next) else { return Some(next) };
        let mut local = zone.local(turn) - TimeDelta::seconds(1);
        loop {
            local = self.next_local(local)?;
            match zone.instants(local)? {
                Instants::Two(_, at) if at > after => return Some(at.min(next)),
                Instants::Two(..) => {}
                _ => return Some(next),
            }
        }
    }

    /// The first time after `after` that makes it true, on a clock that is never set.
    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = self.pattern.find_next_occurrence(&after.and_utc(), false).ok()?;
        Some(next.naive_utc())
    }
}

/// The six fields, in capitals and without nicknames.
fn fields(text: &str) -> std::result::Result<Vec<String>, String> {
    let text = match text.trim().to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        nickname if nickname.starts_with('@') => {
            return Err("is not understood: it takes @yearly, @annually, @monthly, @weekly, \
                        @daily, @midnight or @hourly"
                .to_owned());
        }
        _ => text,
    };
    let mut fields: Vec<String> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
    if fields.len() == 5 {
        fields.insert(0, "0".to_owned());
    }
    if fields.len() != 6 {
        return Err(format!(
            "has {} fields: it takes 5 (minute hour day month weekday), or 6 with seconds first",
            fields.len()
        ));
    }
    for (place, field) in fields.iter().enumerate() {
        check_letters(field, place)?;
    }
    Ok(fields)
}

/// The reader takes names anywhere and replaces parts of words: hold the fields to what they say.
fn check_letters(field: &str, place: usize) -> std::result::Result<(), String> {
    let names: &[&str] = match place {
        4 => &MONTHS,
        5 => &DAYS,
        _ => &[],
    };
    for word in field.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let letters = word.chars().all(|c| LETTERS[place].contains(c));
        let named = names.iter().any(|name| {
            word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == LETTERS[place])
        });
        if !letters && !named {
            return Err(format!("is not understood: {word} in field {field:?}"));
        }
    }
    Ok(())
}
