//! Schedules.

use crate::parse::{Instant, answer, parse};
use crate::schedule::{ScheduleFields, schedule};
use lavoro_core::{Lavoro, Result};
use serde::Deserialize;
use serde_json::json;

/// How many instants or decisions are answered unless it is said.
const SOME: u32 = 10;

pub(super) async fn declare(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.declare(schedule(arguments)?).await?)
}

pub(super) async fn add(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.add_schedule(schedule(arguments)?).await?)
}

pub(super) async fn replace(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&json!({"created": lavoro.replace_schedule(schedule(arguments)?).await?}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview {
    schedule: ScheduleFields,
    after: Option<Instant>,
    count: Option<u32>,
}

pub(super) async fn preview(_: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Preview { schedule, after, count } = parse(arguments)?;
    let count = usize::try_from(count.unwrap_or(SOME)).unwrap_or(usize::MAX);
    let after = after.unwrap_or_else(chrono::Utc::now);
    answer(&schedule.into_schedule()?.preview(after, count)?)
}

pub(super) async fn list(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.schedules().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    name: String,
}

pub(super) async fn show(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.schedule(&one.name).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slots {
    name: String,
    limit: Option<u32>,
}

pub(super) async fn slots(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Slots { name, limit } = parse(arguments)?;
    answer(&lavoro.slots(&name, limit.unwrap_or(SOME)).await?)
}

pub(super) async fn pause(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.pause_schedule(&one.name).await?)
}

pub(super) async fn resume(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.resume_schedule(&one.name).await?)
}

pub(super) async fn run(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&json!({"id": lavoro.run_schedule(&one.name).await?.id().to_string()}))
}

pub(super) async fn remove(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&json!({"removed": lavoro.remove_schedule(&one.name).await?}))
}
