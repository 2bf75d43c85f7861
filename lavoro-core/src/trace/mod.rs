//! The trace that a job was enqueued in: W3C trace context in the job's metadata, under the keys
//! `traceparent` and `tracestate`, so that every language can carry a trace on.

#[cfg(feature = "opentelemetry")]
mod otel;

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::limits::METADATA_BYTES;
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::Span;

/// How many entries a `tracestate` may have.
const ENTRIES: usize = 32;
/// How long the key or the value of one may be.
const ENTRY_BYTES: usize = 256;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct TraceContext {
    pub(crate) traceparent: String,
    #[serde(default)]
    pub(crate) tracestate: Option<String>,
}

impl TraceContext {
    /// Holds both against the form that W3C gives them.
    pub(crate) fn new(traceparent: &str, tracestate: Option<&str>) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::InvalidOption, what.to_owned()));
        if !is_traceparent(traceparent) {
            return wrong(
                "traceparent is not understood: it takes the form of W3C, \
                 00-<32 hexadecimal digits>-<16>-<2>, in lower case and not all zero",
            );
        }
        let tracestate = tracestate.map(str::trim).filter(|state| !state.is_empty());
        if tracestate.is_some_and(|state| !is_tracestate(state)) {
            return wrong(
                "tracestate is not understood: it takes the form of W3C, up to 32 entries \
                 key=value between commas, keys and values of up to 256 characters",
            );
        }
        let (traceparent, tracestate) = (traceparent.to_owned(), tracestate.map(str::to_owned));
        Ok(Self { traceparent, tracestate })
    }

    /// The context that metadata carries, if it is a valid one.
    pub(crate) fn of(metadata: &str) -> Option<Self> {
        let carried: Self = serde_json::from_str(metadata).ok()?;
        Self::new(&carried.traceparent, carried.tracestate.as_deref())
            .or_else(|_| Self::new(&carried.traceparent, None)) // a bad state spoils only itself
            .ok()
    }

    /// Puts the context beside the other keys of the metadata, which has been checked to be an
    /// object.
    fn join(self, metadata: Option<&Json>) -> Result<Json> {
        let mut reader = serde_json::Deserializer::from_str(metadata.map_or("{}", Json::as_str));
        reader.disable_recursion_limit(); // its depth has been checked
        let mut object = Map::<String, Value>::deserialize(&mut reader).map_err(|error| {
            Error::new(ErrorKind::InvalidOption, "metadata is no JSON object").with_source(error)
        })?;
        object.remove("tracestate");
        object.insert("traceparent".to_owned(), self.traceparent.into());
        object.extend(self.tracestate.map(|state| ("tracestate".to_owned(), state.into())));
        Json::serialize("metadata", &object, METADATA_BYTES)
    }
}

/// The metadata with the context the job names, else with that of the current span, unless the
/// application has put one there itself. A span's context that does not fit beside the rest is
/// left out: a trace is not worth a job.
pub(crate) fn carry(
    named: Option<Result<TraceContext>>,
    metadata: Option<Json>,
) -> Result<Option<Json>> {
    if let Some(named) = named {
        return named?.join(metadata.as_ref()).map(Some);
    }
    let has_own =
        || metadata.as_ref().is_some_and(|json| json.as_str().contains("\"traceparent\""));
    match current().filter(|_| !has_own()) {
        Some(context) => Ok(context.join(metadata.as_ref()).ok().or(metadata)),
        None => Ok(metadata),
    }
}

#[cfg(feature = "opentelemetry")]
fn current() -> Option<TraceContext> {
    otel::current()
}

#[cfg(not(feature = "opentelemetry"))]
fn current() -> Option<TraceContext> {
    None
}

/// Makes a handler's span a child of the span that its job was enqueued in.
#[cfg_attr(not(feature = "opentelemetry"), expect(unused_variables, reason = "tells nobody"))]
pub(crate) fn adopt(span: &Span, metadata: Option<&str>) {
    #[cfg(feature = "opentelemetry")]
    if let Some(context) = metadata.filter(|_| !span.is_disabled()).and_then(TraceContext::of) {
        otel::adopt(span, &context);
    }
}

/// Links a span of several jobs to the span that one of them was enqueued in.
#[cfg_attr(not(feature = "opentelemetry"), expect(unused_variables, reason = "tells nobody"))]
pub(crate) fn link(span: &Span, metadata: Option<&str>) {
    #[cfg(feature = "opentelemetry")]
    if let Some(context) = metadata.filter(|_| !span.is_disabled()).and_then(TraceContext::of) {
        otel::link(span, &context);
    }
}

fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|b| b != b'0');
    let mut parts = text.splitn(5, '-');
    let mut next = || parts.next().unwrap_or_default();
    let (version, trace, span, flags) = (next(), next(), next(), next());
    let more = parts.next();
    is_hex(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
        // Later versions may have more to say.
        && more.is_none_or(|more| version != "00" && more.len() <= ENTRY_BYTES && more.is_ascii())
}

fn is_tracestate(text: &str) -> bool {
    let entries = text.split(',').map(|entry| entry.trim_matches([' ', '\t']));
    let mut count = 0;
    entries.filter(|entry| !entry.is_empty()).all(|entry| {
        count += 1;
        let (key, value) = entry.split_once('=').unwrap_or_default();
        count <= ENTRIES && is_key(key) && is_value(value)
    })
}

fn is_key(key: &str) -> bool {
    let is_in = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let starts = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    starts && key.len() <= ENTRY_BYTES && key.bytes().all(is_in) && key.matches('@').count() <= 1
}

fn is_value(value: &str) -> bool {
    let is_in = |b: u8| matches!(b, 0x20..=0x7e) && b != b',' && b != b'=';
    !value.is_empty() && value.len() <= ENTRY_BYTES && value.bytes().all(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_form_of_w3c_is_held_to() {
        assert!(is_traceparent(PARENT));
        assert!(is_traceparent(&format!("{}-later", PARENT.replacen("00", "01", 1))));
        let zero = "0".repeat(32);
        for bad in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &format!("{PARENT}-later"),
            &format!("{PARENT}0"),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &zero),
            &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            &PARENT.replace('-', "_"),
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        let many = vec!["a=b"; 33].join(",");
        for (state, good) in [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
            ("tenant@system=1, ,b=x y", true),
            ("A=1", false),
            ("a", false),
            ("a=", false),
            ("a=1=2", false),
            ("a=ü", false),
            ("@a=1", false),
            (&many, false),
        ] {
            assert_eq!(is_tracestate(state), good, "{state}");
        }
    }

    #[test]
    fn the_context_goes_beside_other_metadata_and_replaces_an_older_one() {
        let metadata = |text: &str| Some(Json::parse("metadata", text.as_bytes(), 1000).unwrap());
        let named = || Some(TraceContext::new(PARENT, None));
        let joined = carry(named(), metadata(r#"{"a":1,"traceparent":"x","tracestate":"y=z"}"#));
        let joined: serde_json::Value =
            serde_json::from_str(joined.unwrap().unwrap().as_str()).unwrap();
        assert_eq!(joined, serde_json::json!({"a": 1, "traceparent": PARENT}));
        assert!(carry(named(), None).unwrap().is_some());
        assert!(carry(None, None).unwrap().is_none());
        let wrong = carry(Some(TraceContext::new("no", None)), None).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidOption);
    }

    #[test]
    fn what_is_no_context_is_none() {
        for metadata in ["{}", "1", r#"{"traceparent":1}"#, r#"{"traceparent":"x"}"#] {
            assert_eq!(TraceContext::of(metadata), None, "{metadata}");
        }
        let spoilt = format!(r#"{{"traceparent":"{PARENT}","tracestate":"=","a":[]}}"#);
        let context = TraceContext::of(&spoilt).unwrap();
        assert_eq!((context.traceparent.as_str(), context.tracestate), (PARENT, None));
    }
}
