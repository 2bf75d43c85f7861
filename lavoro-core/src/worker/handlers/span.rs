//! The span of an attempt.

use crate::job::Job;
use crate::outcome::Outcome;
use crate::trace;
use tracing::Span;
use tracing::field::Empty;

/// The span around a handler and its middleware, named and filled as OpenTelemetry's
/// conventions for messaging say. Never a payload, a result or an error's text.
pub(super) fn of_job(job: &Job, worker: i64) -> Span {
    let span = tracing::info_span!(
        target: "lavoro::job",
        "lavoro.job",
        otel.name = format_args!("process {}", job.task()),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "lavoro",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = job.queue(),
        messaging.message.id = job.id(),
        lavoro.task = job.task(),
        lavoro.attempt = job.attempt(),
        lavoro.worker = worker,
        lavoro.outcome = Empty,
        error.type = Empty,
    );
    trace::adopt(&span, job.metadata_json());
    span
}

/// The span around a batch handler, linked to those that its jobs were enqueued in.
pub(super) fn of_batch(jobs: &[Job], worker: i64) -> Span {
    let (task, queue) = jobs.first().map_or(("", ""), |job| (job.task(), job.queue()));
    let span = tracing::info_span!(
        target: "lavoro::job",
        "lavoro.batch",
        otel.name = format_args!("process {task}"),
        otel.kind = "consumer",
        messaging.system = "lavoro",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.batch.message_count = jobs.len(),
        lavoro.task = task,
        lavoro.worker = worker,
    );
    for job in jobs {
        trace::link(&span, job.metadata_json());
    }
    span
}

/// Notes how an attempt ended.
pub(super) fn end(span: &Span, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    let (name, failure) = match outcome {
        Outcome::Complete { .. } => ("completed", None),
        Outcome::Retry { failure, .. } => ("retry", Some(failure)),
        Outcome::Snooze { .. } => ("snoozed", None),
        Outcome::Cancel { .. } => ("cancelled", None),
        Outcome::Fail { failure } => ("failed", Some(failure)),
        Outcome::Release => ("released", None),
    };
    span.record("lavoro.outcome", name);
    if let Some(failure) = failure {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", failure.kind().as_str());
    }
}
