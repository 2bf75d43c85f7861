//! The fleet, figures, locks, retention and the database itself.

use crate::connect::connect_options;
use crate::parse::{Millis, answer, parse};
use lavoro_core::{Lavoro, Migrations, Result, Retention};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The time that figures are about unless it is said.
const WINDOW: Duration = Duration::from_mins(10);

/// Creates or upgrades the schema of the database that the options of
/// [`connect_options`](crate::connect_options) name. Answers `{"applied": [versions]}`.
///
/// # Errors
/// As [`Migrations::open`] and [`Migrations::apply`].
pub async fn migrate(options: &[u8]) -> Result<String> {
    let migrations = Migrations::open(connect_options(options)?).await?;
    answer(&json!({"applied": migrations.apply().await?}))
}

pub(super) async fn locks(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.locks().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

pub(super) async fn force_release(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let lock: Named = parse(arguments)?;
    answer(&json!({"owner": lavoro.force_release(lock.name).await?}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workers {
    all: Option<bool>,
}

pub(super) async fn workers(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Workers { all } = parse(arguments)?;
    answer(&if all == Some(true) { lavoro.all_workers().await? } else { lavoro.workers().await? })
}

pub(super) async fn unhandled(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.unhandled().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    window_ms: Option<Millis>,
}

fn window(arguments: &[u8]) -> Result<Duration> {
    Ok(parse::<Window>(arguments)?.window_ms.map_or(WINDOW, Into::into))
}

pub(super) async fn statistics(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.statistics(window(arguments)?).await?)
}

pub(super) async fn metrics(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&json!({"text": lavoro.metrics(window(arguments)?).await?}))
}

pub(super) async fn retention(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.retention().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    task: Option<String>,
    completed_ms: Option<Millis>,
    cancelled_ms: Option<Millis>,
    discarded_ms: Option<Millis>,
}

pub(super) async fn set_retention(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let rule: Rule = parse(arguments)?;
    let retention = Retention {
        task: rule.task,
        completed: rule.completed_ms.map(Into::into),
        cancelled: rule.cancelled_ms.map(Into::into),
        discarded: rule.discarded_ms.map(Into::into),
    };
    answer(&lavoro.set_retention(retention).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    task: Option<String>,
}

pub(super) async fn remove_retention(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Task { task } = parse(arguments)?;
    answer(&json!({"removed": lavoro.remove_retention(task.as_deref()).await?}))
}

pub(super) async fn diagnose(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.diagnose().await?)
}
