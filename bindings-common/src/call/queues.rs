//! Queues.

use crate::parse::{answer, parse};
use lavoro_core::{Lavoro, Result};
use serde::Deserialize;

pub(super) async fn list(lavoro: &Lavoro, _: &[u8]) -> Result<String> {
    answer(&lavoro.queues().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    queue: String,
}

pub(super) async fn pause(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.pause_queue(one.queue).await?)
}

pub(super) async fn resume(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.resume_queue(one.queue).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    from: String,
    to: String,
}

pub(super) async fn rename(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Rename { from, to } = parse(arguments)?;
    answer(&lavoro.rename_queue(from, to).await?)
}

pub(super) async fn clear(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.clear_queue(one.queue).await?)
}
