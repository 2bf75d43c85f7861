//! Jobs: one, and many by filter.

use crate::job::{EditFields, JobFields};
use crate::parse::{Instant, Millis, Number, answer, parse};
use lavoro_core::{JobFilter, JobState, Lavoro, LogFilter, NewJob, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;

/// How long `job.result` waits unless it is told: as long as a person would.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    id: Number,
}

pub(super) async fn info(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.job(one.id.0).info().await?)
}

pub(super) async fn state(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&json!({"state": lavoro.job(one.id.0).info().await?.state}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    id: Number,
    timeout_ms: Option<Millis>,
}

#[derive(Serialize)]
struct Shown {
    state: JobState,
    result: Option<Box<RawValue>>,
    error: Option<String>,
}

pub(super) async fn result(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let wait: Wait = parse(arguments)?;
    let timeout = wait.timeout_ms.map_or(PATIENCE, Into::into);
    let result = lavoro.job(wait.id.0).result(timeout).await?;
    let value = result.json.and_then(|text| RawValue::from_string(text).ok());
    answer(&Shown { state: result.state, result: value, error: result.error })
}

pub(super) async fn why(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.job(one.id.0).why().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    id: Number,
    after: Option<Number>,
    limit: Option<u32>,
}

pub(super) async fn logs(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let logs: Logs = parse(arguments)?;
    let after = logs.after.map(|line| line.0);
    let limit = logs.limit.unwrap_or(LogFilter::default().limit);
    answer(&lavoro.job(logs.id.0).logs(LogFilter { after, limit }).await?)
}

pub(super) async fn cancel(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&json!({"state": lavoro.job(one.id.0).cancel().await?}))
}

pub(super) async fn retry(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.job(one.id.0).retry().await?)
}

pub(super) async fn delete(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let one: One = parse(arguments)?;
    answer(&lavoro.job(one.id.0).delete().await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    id: Number,
    edit: EditFields,
}

pub(super) async fn edit(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Edit { id, edit } = parse(arguments)?;
    answer(&lavoro.job(id.0).edit(edit.into()).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    state: Option<JobState>,
    task: Option<String>,
    queue: Option<String>,
    tag: Option<String>,
    created_after: Option<Instant>,
    created_before: Option<Instant>,
    error_contains: Option<String>,
    before: Option<Number>,
    limit: Option<u32>,
}

impl From<Filter> for JobFilter {
    fn from(filter: Filter) -> Self {
        let limit = filter.limit.unwrap_or(Self::default().limit);
        Self {
            state: filter.state,
            task: filter.task,
            queue: filter.queue,
            tag: filter.tag,
            created_after: filter.created_after,
            created_before: filter.created_before,
            error_contains: filter.error_contains,
            before: filter.before.map(|job| job.0),
            limit,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    filter: Option<Filter>,
}

fn many(arguments: &[u8]) -> Result<JobFilter> {
    Ok(parse::<Many>(arguments)?.filter.unwrap_or_default().into())
}

pub(super) async fn page(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let page = lavoro.jobs(many(arguments)?).await?;
    answer(&json!({"jobs": page.jobs, "next": page.next.map(|job| job.to_string())}))
}

pub(super) async fn list(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.list_jobs(many(arguments)?).await?)
}

pub(super) async fn count(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.count_jobs(many(arguments)?).await?)
}

pub(super) async fn cancel_all(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.cancel_jobs(many(arguments)?).await?)
}

pub(super) async fn retry_all(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.retry_jobs(many(arguments)?).await?)
}

pub(super) async fn delete_all(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    answer(&lavoro.delete_jobs(many(arguments)?).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditMany {
    filter: Option<Filter>,
    edit: EditFields,
}

pub(super) async fn edit_all(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let EditMany { filter, edit } = parse(arguments)?;
    answer(&lavoro.edit_jobs(filter.unwrap_or_default().into(), edit.into()).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enqueue {
    task: String,
    payload: Option<Box<RawValue>>,
    options: Option<JobFields>,
}

pub(super) async fn enqueue_sql(lavoro: &Lavoro, arguments: &[u8]) -> Result<String> {
    let Enqueue { task, payload, options } = parse(arguments)?;
    let payload = payload.as_ref().map_or("null", |payload| payload.get());
    let job = options.unwrap_or_default().apply(NewJob::from_json(task, payload));
    let call = lavoro.enqueue_sql(job)?;
    answer(&json!({"text": call.text, "parameters": call.parameters}))
}
