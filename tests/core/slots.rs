//! When the slots of a schedule are.

use chrono::{
    DateTime, Datelike as _, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Timelike as _,
    Utc,
};
use chrono_tz::Tz;
use lavoro_core::{ErrorKind, INTERVALS, NewJob, Schedule};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn schedule() -> Schedule {
    Schedule::new("s", NewJob::new("t", ()))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn preview(schedule: &Schedule, after: &str, limit: usize) -> Vec<String> {
    let slots = schedule.preview(at(after), limit).unwrap();
    slots.iter().map(|slot| slot.format("%Y-%m-%dT%H:%MZ").to_string()).collect()
}

/// As in `tests/tools/slots.py`.
const EXPRESSIONS: [&str; 6] =
    ["30 2 * * *", "0 0 * * *", "15 */2 * * *", "*/30 * * * *", "*/30 0-6 * * *", "45 * * * *"];

fn offset(zone: Tz, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

/// When the clocks of a zone are set, from 2000 to 2037.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let step = TimeDelta::hours(12);
    let (mut at, end) = (at("2000-01-01T00:00:00Z"), at("2038-01-01T00:00:00Z"));
    let mut found = Vec::new();
    while at < end {
        let (mut low, mut high) = (at, at + step);
        if offset(zone, low) != offset(zone, high) {
            while high - low > TimeDelta::seconds(1) {
                let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
                if offset(zone, middle) == offset(zone, at) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            found.push(high);
        }
        at += step;
    }
    found
}

fn digest(zone: &str) -> (usize, u64) {
    let window = TimeDelta::hours(26);
    let changes = changes(zone.parse().unwrap());
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for change in &changes {
        for cron in EXPRESSIONS {
            let end = *change + window + TimeDelta::seconds(1);
            let schedule = schedule().cron(cron).time_zone(zone).end(end);
            for slot in schedule.preview(*change - window, usize::MAX).unwrap() {
                digest = (digest ^ slot.timestamp().cast_unsigned()).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    (changes.len(), digest)
}

#[test]
fn around_every_change_of_clocks_slots_are_as_another_program_reckons() {
    let expected: Vec<Vec<&str>> =
        include_str!("slots.txt").lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(expected.len(), chrono_tz::TZ_VARIANTS.len(), "a line for each zone");
    let mut wrong = Vec::new();
    let mut changes = 0;
    for line in expected {
        let (count, found) = digest(line[0]);
        changes += count;
        if (count.to_string(), format!("{found:016x}")) != (line[1].to_owned(), line[2].to_owned())
        {
            wrong.push(line[0]);
        }
    }
    assert!(wrong.is_empty(), "{} zones differ: {wrong:?}", wrong.len());
    assert!(changes > 15_000, "{changes} changes of clocks were looked at");
}

#[test]
fn a_fixed_time_counts_once_when_clocks_are_set() {
    for (zone, cron, after, expected) in [
        // 02:30 does not exist: the first instant after the gap.
        (
            "Europe/Rome",
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00Z", "2026-03-30T00:30Z"],
        ),
        // 02:30 comes twice: the first time.
        (
            "Europe/Rome",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
        ),
        // Two times in one gap are one slot.
        (
            "Europe/Rome",
            "15,45 2 * * *",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00Z", "2026-03-30T00:15Z"],
        ),
        // A whole day was left out.
        (
            "Pacific/Apia",
            "0 9 * * *",
            "2011-12-29T20:00:00Z",
            ["2011-12-30T10:00Z", "2011-12-30T19:00Z"],
        ),
        // Half an hour, at midnight of another zone's kind.
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00:00Z",
            ["2026-10-03T15:30Z", "2026-10-04T15:15Z"],
        ),
        // Midnight itself does not exist.
        (
            "America/Havana",
            "0 0 * * *",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T05:00Z", "2026-03-09T04:00Z"],
        ),
    ] {
        let slots = preview(&schedule().cron(cron).time_zone(zone), after, 2);
        assert_eq!(slots, expected, "{cron} in {zone}");
    }
}

#[test]
fn what_is_no_fixed_time_goes_on_in_real_time() {
    let half_hours = schedule().cron("*/30 * * * *").time_zone("Europe/Rome");
    for day in ["2026-03-29", "2026-10-25"] {
        let slots = half_hours.preview(at(&format!("{day}T00:00:00Z")), 10).unwrap();
        assert!(
            slots.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(30)),
            "{slots:?}"
        );
    }
    // In the middle of the hour that comes twice.
    assert_eq!(
        preview(&half_hours, "2026-10-25T00:45:00Z", 2),
        ["2026-10-25T01:00Z", "2026-10-25T01:30Z"]
    );
}

#[test]
fn the_extensions_are_understood() {
    let after = "2026-01-01T00:00:00Z";
    for (cron, expected) in [
        ("0 9 L * *", "2026-01-31T09:00Z"),
        ("0 9 LW * *", "2026-01-30T09:00Z"),
        ("0 9 15W 2 *", "2026-02-16T09:00Z"),
        ("0 9 * * 1#2", "2026-01-12T09:00Z"),
        ("0 9 * * MON#2", "2026-01-12T09:00Z"),
        ("0 9 * * 5L", "2026-01-30T09:00Z"),
        ("0 9 * * FRIL", "2026-01-30T09:00Z"),
        ("0 9 * feb-mar mon", "2026-02-02T09:00Z"),
        ("0 9 * * 7", "2026-01-04T09:00Z"),
        ("@daily", "2026-01-02T00:00Z"),
        ("@Midnight", "2026-01-02T00:00Z"),
        ("@yearly", "2027-01-01T00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00Z"),
        ("0 30 4 1,15 * *", "2026-01-01T04:30Z"),
    ] {
        assert_eq!(preview(&schedule().cron(cron), after, 1), [expected], "{cron}");
    }
    let seconds = schedule().cron("*/20 * * * * *").preview(at(after), 3).unwrap();
    assert_eq!(seconds[2] - at(after), TimeDelta::seconds(60));
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    for (cron, reason) in [
        ("0 0 30 2 *", "never comes true: no month 2 has a day 30"),
        ("0 0 31 4,6,9,11 *", "never comes true"),
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("60 * * * *", "is not understood"),
        ("* 24 * * *", "is not understood"),
        ("* * 0 * *", "is not understood"),
        ("* * * 13 *", "is not understood"),
        ("* * * * 8", "is not understood"),
        ("MON * * * *", "MON in field"),
        ("* * * * MONDAY", "MONDAY in field"),
        ("@reboot", "it takes @yearly"),
        ("*/0 * * * *", "is not understood"),
        ("ß * * * *", "is not understood"),
    ] {
        let error = schedule().cron(cron).preview(at("2026-01-01T00:00:00Z"), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSchedule, "{cron}");
        assert!(error.message().contains(reason), "{cron}: {error}");
    }
}

#[test]
fn all_intervals_of_the_ancestor_are_known() {
    let units = [("second", 1), ("minute", 60), ("hour", 3600)];
    let numbers =
        "one two three four five six seven eight nine ten eleven twelve".split(' ').zip(1..);
    let numbers: Vec<_> =
        numbers.chain([("fifteen", 15), ("twenty", 20), ("thirty", 30)]).collect();
    assert_eq!(INTERVALS.len(), 41);
    assert_eq!(INTERVALS.iter().collect::<BTreeSet<_>>().len(), 41);
    for interval in INTERVALS {
        let slots = schedule().every(*interval).preview(at("2026-07-01T00:00:00Z"), 4).unwrap();
        let words: Vec<&str> = interval.split(' ').collect();
        let unit =
            units.iter().find(|(unit, _)| words.last().unwrap().trim_end_matches('s') == *unit);
        let Some((_, unit)) = unit else { continue };
        let number = numbers.iter().find(|(name, _)| *name == words[0]).map_or(1, |(_, n)| *n);
        let span = number * unit;
        // Evenly spaced, also over midnight, and anchored at the epoch.
        for pair in slots.windows(2) {
            assert_eq!((pair[1] - pair[0]).num_seconds(), span, "{interval}");
        }
        assert!(slots.iter().all(|slot| slot.timestamp() % span == 0), "{interval}");
    }
    let after = "2026-07-01T00:00:00Z"; // a Wednesday
    for (schedule, expected) in [
        (schedule().every("day"), "2026-07-02T00:00Z"),
        (schedule().every("week"), "2026-07-05T00:00Z"),
        (schedule().every("week").on("monday").at("09:30"), "2026-07-06T09:30Z"),
        (schedule().every("Monday").at("09:30"), "2026-07-06T09:30Z"),
        (schedule().every("month"), "2026-08-01T00:00Z"),
        (schedule().every("month").on("monday"), "2026-07-06T00:00Z"),
        (schedule().every("month").day_of_month(15).hour(8).minute(5), "2026-07-15T08:05Z"),
        (schedule().every("last day of month").at("23:55"), "2026-07-31T23:55Z"),
        (schedule().at("09:30"), "2026-07-01T09:30Z"),
        (schedule().at("09:30").time_zone("Europe/Rome"), "2026-07-01T07:30Z"),
        (schedule().every("hour").minute(15), "2026-07-01T00:15Z"),
        (schedule().every("5 minutes"), "2026-07-01T00:05Z"),
        (schedule().every("90m"), "2026-07-01T01:30Z"),
        (
            schedule()
                .every_span(std::time::Duration::from_secs(90))
                .start(at("2026-07-01T00:03:00Z")),
            "2026-07-01T00:03Z",
        ),
    ] {
        assert_eq!(preview(&schedule, after, 1), [expected], "{schedule:?}");
    }
    let ended = schedule().every("hour").end(at("2026-07-01T02:00:00Z"));
    assert_eq!(preview(&ended, after, 9), ["2026-07-01T01:00Z"], "the end is no slot");
}

#[test]
fn words_that_say_nothing_are_refused() {
    for schedule in [
        schedule(),
        schedule().every("day").cron("* * * * *"),
        schedule().every("fortnight"),
        schedule().every("0 minutes"),
        schedule().every("1000000000d"),
        schedule().every_span(std::time::Duration::from_millis(999)),
        schedule().every("five minutes").at("09:30"),
        schedule().every("five minutes").minute(3),
        schedule().every("hour").hour(3),
        schedule().every("day").on("monday"),
        schedule().every("week").on("someday"),
        schedule().every("week").day_of_month(3),
        schedule().every("month").on("monday").day_of_month(3),
        schedule().every("month").day_of_month(32),
        schedule().at("99:99"),
        schedule().at("9:3"),
        schedule().at("+9:30"),
        schedule().at("09:30").minute(3),
        schedule().every("day").hour(24),
        schedule().every("hour").time_zone("Rome"),
    ] {
        let error = schedule.preview(at("2026-01-01T00:00:00Z"), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSchedule, "{schedule:?}");
    }
}

/// A field of an expression, and the numbers that it stands for.
fn field(low: u32, high: u32) -> impl Strategy<Value = (String, BTreeSet<u32>)> {
    prop_oneof![
        Just(("*".to_owned(), (low..=high).collect())),
        (1..=high).prop_map(move |step| (
            format!("*/{step}"),
            (low..=high).filter(|n| (n - low).is_multiple_of(step)).collect()
        )),
        prop::collection::btree_set(low..=high, 1..4).prop_map(|set| {
            let text: Vec<String> = set.iter().map(ToString::to_string).collect();
            (text.join(","), set)
        }),
        (low..=high, low..=high).prop_map(|(a, b)| (
            format!("{}-{}", a.min(b), a.max(b)),
            (a.min(b)..=a.max(b)).collect()
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Against looking at every minute of ten days.
    #[test]
    fn slots_are_the_minutes_that_match(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        weekday in field(0, 6), start in 946_684_800_i64..2_145_916_800
    ) {
        let text = [&minute.0, &hour.0, &day.0, &month.0, &weekday.0].map(String::as_str).join(" ");
        let schedule = schedule().cron(&text);
        let start = DateTime::from_timestamp(start, 0).unwrap();
        let end = start + TimeDelta::days(10);
        let slots = match schedule.preview(start, 15_000) {
            Ok(slots) => slots,
            Err(error) => {
                prop_assert!(error.message().contains("never comes true"), "{text}: {error}");
                Vec::new()
            }
        };
        let found: Vec<_> = slots.into_iter().take_while(|slot| *slot <= end).collect();
        let matches = |local: NaiveDateTime| {
            let by_day = day.1.contains(&local.day());
            let by_weekday = weekday.1.contains(&local.weekday().num_days_from_sunday());
            // If both are given either will do.
            let days = match (day.0 == "*", weekday.0 == "*") {
                (true, _) => by_weekday,
                (_, true) => by_day,
                _ => by_day || by_weekday,
            };
            minute.1.contains(&local.minute()) && hour.1.contains(&local.hour())
                && month.1.contains(&local.month()) && days
        };
        let first = start + TimeDelta::seconds(60 - start.timestamp().rem_euclid(60));
        let minutes = std::iter::successors(Some(first), |at| Some(*at + TimeDelta::minutes(1)));
        let expected: Vec<_> =
            minutes.take_while(|at| *at <= end).filter(|at| matches(at.naive_utc())).collect();
        prop_assert_eq!(found, expected, "{}", text);
    }

    /// Whatever is passed is answered, in order, or refused.
    #[test]
    fn no_text_makes_it_fail(
        text in "[0-9*/,LW#? a-zA-Z@-]{0,20}|([0-9*/,LW#?-]{1,6} ){4,6}[0-9A-Z*#]{1,4}|\\PC{0,30}",
        zone in 0..chrono_tz::TZ_VARIANTS.len(), start in 0_i64..4_000_000_000
    ) {
        let start = DateTime::from_timestamp(start, 0).unwrap();
        let zone = chrono_tz::TZ_VARIANTS[zone].name();
        for schedule in [schedule().cron(&text).time_zone(zone), schedule().every(&text)] {
            match schedule.preview(start, 20) {
                Ok(slots) => {
                    prop_assert!(slots.iter().all(|slot| *slot > start));
                    prop_assert!(slots.windows(2).all(|pair| pair[0] < pair[1]));
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidSchedule),
            }
        }
    }
}
