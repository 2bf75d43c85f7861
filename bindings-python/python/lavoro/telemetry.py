"""Jobs in logs, and in traces where an application uses opentelemetry."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .job import Job, _current

__all__ = ["JobLogFilter"]


class JobLogFilter(logging.Filter):
    """Adds to each record whose job's handler wrote it: ``job_id``, ``job_task``, ``job_attempt``;
    None outside of handlers. For a logging handler, so that its format may name them::

        handler.addFilter(lavoro.JobLogFilter())
        handler.setFormatter(logging.Formatter("%(job_task)s/%(job_id)s %(message)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps every record."""
        job = _current.get(None)
        record.job_id = None if job is None else job.id
        record.job_task = None if job is None else job.task
        record.job_attempt = None if job is None else job.attempt
        return True


def traced(options: bytes) -> bytes:
    """Options of a job with the trace that it is enqueued in, unless they name one."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or b'"traceparent"' in options:
        return options
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return options
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    added = f'"traceparent": "{parent}"}}'.encode()
    return options[:-1] + b", " + added if options else b"{" + added


def span_of(job: Job) -> AbstractContextManager[Any]:
    """A span around an attempt, a child of the one that the job was enqueued in."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return nullcontext()
    parent = _context_of(trace, job.traceparent)
    attributes = {
        "messaging.system": "lavoro",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "messaging.message.id": str(job.id),
        "lavoro.task": job.task,
        "lavoro.attempt": job.attempt,
    }
    tracer = trace.get_tracer("lavoro")
    kind = trace.SpanKind.CONSUMER
    span: AbstractContextManager[Any] = tracer.start_as_current_span(
        f"process {job.task}", context=parent, kind=kind, attributes=attributes
    )
    return span


def _context_of(trace: Any, parent: Any) -> Any:
    if parent is None:
        return None
    _, trace_id, span_id, flags = parent.split("-")
    context = trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16)),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context))
