//! Trace contexts of spans, for applications that use `tracing-opentelemetry`.

use super::TraceContext;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// That of the current span, if there is one that is part of a trace.
pub(super) fn current() -> Option<TraceContext> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
    let traceparent = format!("00-{trace:032x}-{id:016x}-{flags:02x}");
    let state = span.trace_state().header();
    TraceContext::new(&traceparent, Some(&state)).ok()
}

/// Makes a span the child of a context.
pub(super) fn adopt(span: &Span, context: &TraceContext) {
    if let Some(parent) = remote(context) {
        // It fails where no layer for OpenTelemetry listens: nothing is lost then.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Links a span to a context.
pub(super) fn link(span: &Span, context: &TraceContext) {
    if let Some(context) = remote(context) {
        span.add_link(context);
    }
}

fn remote(context: &TraceContext) -> Option<SpanContext> {
    let mut parts = context.traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()? & 1);
    let state = context.tracestate.as_deref().and_then(|state| state.parse::<TraceState>().ok());
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
}
