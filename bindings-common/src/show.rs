//! What workers hand out, as JSON.

use crate::parse::{Instant, answer};
use lavoro_core::{Event, EventJob, Failure, Job, JobSlot, Result};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    token: String,
    task: &'a str,
    queue: &'a str,
    attempt: u32,
    max_attempts: u32,
    priority: i32,
    suspect: bool,
    created_at: Instant,
    claimed_at: Instant,
    timeout_ms: Option<u64>,
    tags: &'a [String],
    payload: Option<Box<RawValue>>,
    metadata: Option<Box<RawValue>>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    slot: Option<JobSlot>,
}

/// A job as its handler sees it: `id`, `token`, `task`, `queue`, `attempt`, `max_attempts`,
/// `priority`, `suspect`, `created_at`, `claimed_at`, `timeout_ms`, `tags`, `payload`, `metadata`,
/// `traceparent`, `tracestate`, `slot` (`{"name", "slot"}`).
///
/// # Errors
/// `internal`, which is a defect.
pub fn job_json(job: &Job) -> Result<String> {
    let raw = |text: &str| -> Option<Box<RawValue>> { serde_json::from_str(text).ok() };
    answer(&Shown {
        id: job.id().to_string(),
        token: job.token().to_string(),
        task: job.task(),
        queue: job.queue(),
        attempt: job.attempt(),
        max_attempts: job.max_attempts(),
        priority: job.priority(),
        suspect: job.is_suspect(),
        created_at: job.created_at(),
        claimed_at: job.claimed_at(),
        timeout_ms: job.timeout().map(millis),
        tags: job.tags(),
        payload: raw(job.payload_json()),
        metadata: job.metadata_json().and_then(raw),
        traceparent: job.traceparent(),
        tracestate: job.tracestate(),
        slot: job.slot(),
    })
}

/// An event: `event` (its name), `queue`, and as far as it has them `job` (`id`, `task`, `queue`,
/// `attempt`, `max_attempts`, `waited_ms`, `ran_ms`), `percent`, `message`, `delay_ms`, `failure`
/// (`kind`, `message`; for `cancelled` it is the reason).
///
/// # Errors
/// `internal`, which is a defect.
pub fn event_json(event: &Event) -> Result<String> {
    let mut shown = json!({
        "event": event.name(),
        "queue": event.queue(),
        "job": event.job().map(event_job),
    });
    match event {
        Event::Progressed { percent, message, .. } => {
            shown["percent"] = json!(percent);
            shown["message"] = json!(message.as_deref());
        }
        Event::Failed { failure, .. } | Event::Discarded { failure, .. } => {
            shown["failure"] = show_failure(failure);
        }
        Event::Retried { delay, .. } | Event::Snoozed { delay, .. } => {
            shown["delay_ms"] = json!(millis(*delay));
        }
        Event::Cancelled { reason, .. } => {
            shown["failure"] = reason.as_deref().map_or(Value::Null, show_failure);
        }
        _ => {}
    }
    answer(&shown)
}

fn event_job(job: &EventJob) -> Value {
    json!({
        "id": job.id.to_string(),
        "task": &*job.task,
        "queue": &*job.queue,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "waited_ms": job.waited.map(millis),
        "ran_ms": job.ran.map(millis),
    })
}

fn show_failure(failure: &Failure) -> Value {
    json!({"kind": failure.kind().as_str(), "message": failure.message()})
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
