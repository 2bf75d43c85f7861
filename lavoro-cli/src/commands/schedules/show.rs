//! `lavoro schedules list` and `show`.

use crate::commands::jobs::time;
use crate::exit::Result;
use crate::output::{Output, Table, printable};
use clap::Args;
use lavoro_core::{Lavoro, ScheduleInfo, SlotInfo};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Which page.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro schedules list
  lavoro schedules list --limit 50 --after nightly      the page after the schedule nightly
  lavoro schedules list --json | jq '.[] | select(.undeclared)'")]
pub(crate) struct ListArgs {
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only schedules whose names come after this one: the last one of the page before
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
}

/// Which schedule, and how much of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro schedules show nightly-report
  lavoro schedules show nightly-report --slots 100 --json")]
pub(crate) struct ShowArgs {
    /// The schedule's name
    name: String,
    /// How many decisions to show, up to 1000
    #[arg(long, value_name = "N", default_value_t = 10)]
    slots: u32,
}

/// Shows a page of the schedules.
pub(super) async fn list(lavoro: &Lavoro, args: &ListArgs, output: Output) -> Result<()> {
    let schedules = lavoro.schedules_after(args.after.as_deref(), args.limit).await?;
    output.print(&schedules, || table(&schedules))
}

/// Shows one schedule.
pub(super) async fn show(lavoro: &Lavoro, args: &ShowArgs, output: Output) -> Result<()> {
    let schedule = lavoro.schedule(&args.name).await?;
    let slots = lavoro.slots(&args.name, args.slots).await?;
    output.print(&json!({"schedule": schedule, "slots": slots}), || text(&schedule, &slots))
}

/// Schedules as a table.
pub(super) fn table(schedules: &[ScheduleInfo]) -> String {
    let mut table = Table::new(&[
        "NAME",
        "TASK",
        "QUEUE",
        "WHEN",
        "STATE",
        "NEXT SLOTS",
        "LAST SLOT",
        "BECAME",
    ]);
    for schedule in schedules {
        let next: Vec<String> = schedule.next.iter().map(|slot| time(Some(*slot))).collect();
        table.row(&[
            schedule.name.clone(),
            schedule.task.clone(),
            schedule.queue.clone(),
            when(schedule),
            state(schedule).to_owned(),
            if next.is_empty() { "-".to_owned() } else { next.join(", ") },
            time(schedule.last_slot),
            became(schedule.last_decision.as_deref(), schedule.last_reason.as_deref()),
        ]);
    }
    table.render()
}

fn when(schedule: &ScheduleInfo) -> String {
    match (&schedule.cron, schedule.every_ms) {
        (Some(cron), _) => format!("{cron} {}", schedule.time_zone),
        (None, every) => format!("every {}", span(every.unwrap_or_default())),
    }
}

fn span(ms: u64) -> String {
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

fn state(schedule: &ScheduleInfo) -> &'static str {
    if schedule.problem.is_some() {
        "broken"
    } else if schedule.paused_at.is_some() {
        "paused"
    } else if schedule.held {
        "held"
    } else if schedule.undeclared {
        "undeclared"
    } else {
        "active"
    }
}

fn became(decision: Option<&str>, reason: Option<&str>) -> String {
    match (decision, reason) {
        (Some(decision), Some(reason)) => format!("{decision}: {reason}"),
        (decision, _) => decision.unwrap_or("-").to_owned(),
    }
}

fn text(schedule: &ScheduleInfo, slots: &[SlotInfo]) -> String {
    let mut text = String::new();
    if let Value::Object(fields) = json!(schedule) {
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{field}: {}", printable(&value));
        }
    }
    let mut table = Table::new(&["SLOT", "BECAME", "JOB", "UP TO", "DECIDED"]);
    for slot in slots {
        table.row(&[
            time(Some(slot.slot)),
            became(Some(&slot.decision), slot.reason.as_deref()),
            slot.job.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            time(slot.until),
            time(Some(slot.decided_at)),
        ]);
    }
    text.push('\n');
    text + &table.render()
}
