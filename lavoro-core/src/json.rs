//! JSON that every language reads alike: checked, and written the way it will be sent.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{JSON_DEPTH, JSON_NUMBER, RESULT_BYTES};
use serde::Serialize;
use serde::de::Deserialize;
use serde_json::Value;

/// JSON text that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    text: Box<str>,
    size: usize,
}

impl Json {
    /// Checks JSON text of `field` against the limits.
    ///
    /// # Errors
    /// `invalid_payload`, `payload_too_large`, `payload_too_deep`, `number_out_of_range`.
    pub fn parse(field: &str, bytes: &[u8], max: usize) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| invalid(field, "is not valid UTF-8").with_source(error))?;
        // PostgreSQL's text of a value is at most a few times its JSON; what is far too large
        // is refused before it is parsed.
        if text.len() > max.saturating_mul(8) {
            return Err(too_large(field, text.len(), max));
        }
        scan(field, text)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.disable_recursion_limit(); // scan has just limited the depth
        let value = Value::deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value))
            .map_err(|error| invalid(field, "is not valid JSON").with_source(error))?;
        Self::from_value(field, &value, max)
    }

    /// Writes a value as JSON and checks it against the limits.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); a value that cannot be written as JSON is `invalid_payload`.
    pub fn serialize(field: &str, value: &impl Serialize, max: usize) -> Result<Self> {
        let text = serde_json::to_vec(value)
            .map_err(|error| invalid(field, "cannot be written as JSON").with_source(error))?;
        Self::parse(field, &text, max)
    }

    fn from_value(field: &str, value: &Value, max: usize) -> Result<Self> {
        let size = size_in_postgres(field, value)?;
        if size > max {
            return Err(too_large(field, size, max));
        }
        Ok(Self { text: value.to_string().into(), size })
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its size as PostgreSQL writes it: `octet_length(payload::text)`.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
}

/// Makes a handler's result fit to be stored: what cannot be kept is replaced by a note, since
/// refusing it would lose the outcome of a job that succeeded.
pub(crate) fn sanitise_result(text: &str) -> Json {
    if let Ok(json) = Json::parse("result", text.as_bytes(), RESULT_BYTES) {
        return json;
    }
    let scanned = scan_depth(text);
    let value = (scanned <= JSON_DEPTH && text.len() <= 2 * RESULT_BYTES)
        .then(|| serde_json::from_str::<Value>(text).ok())
        .flatten()
        .map(sanitise_value);
    let note = || {
        let note = format!("not stored: {} bytes, {scanned} levels", text.len());
        Value::from(serde_json::Map::from_iter([("lavoro_note".to_owned(), note.into())]))
    };
    value
        .and_then(|value| Json::from_value("result", &value, RESULT_BYTES).ok())
        .unwrap_or_else(|| Json { text: note().to_string().into(), size: 0 })
}

/// Makes any text fit for a text column of PostgreSQL: without NUL, and at most `max` bytes by
/// leaving out its middle.
pub(crate) fn sanitise_text(text: &str, max: usize) -> String {
    let clean = text.replace('\0', "\u{fffd}");
    if clean.len() <= max {
        return clean;
    }
    let half = (max - 32) / 2;
    let head = &clean[..clean.floor_char_boundary(half)];
    let tail = &clean[clean.ceil_char_boundary(clean.len() - half)..];
    format!("{head}\n[{} bytes left out]\n{tail}", clean.len() - head.len() - tail.len())
}

fn sanitise_value(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace('\0', "\u{fffd}").into(),
        Value::Array(items) => items.into_iter().map(sanitise_value).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key.replace('\0', "\u{fffd}"), sanitise_value(value)))
            .collect(),
        Value::Number(number) if number_size("", &number).is_err() => number.to_string().into(),
        other => other,
    }
}

/// Refuses what must not reach the parser (depth, which costs stack) or what the parser would
/// round away (a number too small for a double).
fn scan(field: &str, text: &str) -> Result<()> {
    if scan_depth(text) > JSON_DEPTH {
        return Err(Error::new(
            ErrorKind::PayloadTooDeep,
            format!("{field} is nested deeper than {JSON_DEPTH} levels"),
        ));
    }
    for literal in numbers(text) {
        let is_zero = !literal
            .split(['e', 'E'])
            .next()
            .unwrap_or("")
            .contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
        if literal
            .parse::<f64>()
            .is_ok_and(|value| value.is_infinite() || (value == 0.0 && !is_zero))
        {
            return Err(out_of_range(field, literal));
        }
    }
    Ok(())
}

fn scan_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in outside_strings(text).map(|(_, byte)| byte) {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The bytes of JSON text that lie outside string literals, with their places.
fn outside_strings(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut inside, mut escaped) = (false, false);
    text.bytes().enumerate().filter(move |&(_, byte)| {
        if inside {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = false,
                _ => {}
            }
            return false;
        }
        inside = byte == b'"';
        !inside
    })
}

/// The number literals with an exponent or more than 15 characters: shorter ones are in range.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let mut end = 0;
    outside_strings(text).filter_map(move |(at, byte)| {
        if at < end || !(byte == b'-' || byte.is_ascii_digit()) {
            return None;
        }
        let rest = &text[at..];
        let length = rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')))
            .unwrap_or(rest.len());
        end = at + length;
        let literal = &rest[..length];
        (length > 15 || literal.contains(['e', 'E'])).then_some(literal)
    })
}

/// How many bytes PostgreSQL's `jsonb` output of the value has: `{"k": 1, "l": [1, 2]}`.
fn size_in_postgres(field: &str, value: &Value) -> Result<usize> {
    Ok(match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_size(field, number)?,
        Value::String(text) => string_size(field, text)?,
        Value::Array(items) => {
            let inner: usize =
                items.iter().map(|item| size_in_postgres(field, item)).sum::<Result<_>>()?;
            2 + inner + 2 * items.len().saturating_sub(1)
        }
        Value::Object(fields) => {
            let inner: usize = fields
                .iter()
                .map(|(key, value)| {
                    Ok(string_size(field, key)? + 2 + size_in_postgres(field, value)?)
                })
                .sum::<Result<_>>()?;
            2 + inner + 2 * fields.len().saturating_sub(1)
        }
    })
}

fn number_size(field: &str, number: &serde_json::Number) -> Result<usize> {
    if let Some(whole) = number.as_i64() {
        if whole.unsigned_abs() > JSON_NUMBER {
            return Err(out_of_range(field, &number.to_string()));
        }
        return Ok(number.to_string().len());
    }
    match number.as_f64() {
        #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in a double")]
        Some(value) if number.is_f64() && value.abs() <= JSON_NUMBER as f64 => {
            // numeric has no negative zero, and keeps the digit behind the point.
            let value = if value == 0.0 { 0.0 } else { value };
            let plain = value.to_string();
            Ok(plain.len() + if plain.contains('.') { 0 } else { 2 })
        }
        _ => Err(out_of_range(field, &number.to_string())),
    }
}

fn string_size(field: &str, text: &str) -> Result<usize> {
    let mut size = 2;
    for byte in text.bytes() {
        size += match byte {
            0 => {
                return Err(invalid(field, "holds a NUL character, which PostgreSQL cannot store"));
            }
            8 | 9 | 10 | 12 | 13 | b'"' | b'\\' => 2,
            1..=31 => 6,
            _ => 1,
        };
    }
    Ok(size)
}

fn invalid(field: &str, complaint: &str) -> Error {
    Error::new(ErrorKind::InvalidPayload, format!("{field} {complaint}"))
}

fn too_large(field: &str, size: usize, max: usize) -> Error {
    Error::new(
        ErrorKind::PayloadTooLarge,
        format!(
            "{field} has {size} bytes: the limit is {max}. \
             Store large data elsewhere and enqueue a reference."
        ),
    )
}

fn out_of_range(field: &str, number: &str) -> Error {
    let shown: String = number.chars().take(40).collect();
    Error::new(
        ErrorKind::NumberOutOfRange,
        format!(
            "{field} holds the number {shown}, beyond ±{JSON_NUMBER} (2^53 - 1) or beyond a \
             double. Send it as a string."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> ErrorKind {
        Json::parse("payload", text.as_bytes(), 1000).unwrap_err().kind()
    }

    #[test]
    fn refuses_what_languages_read_differently() {
        assert_eq!(kind("9007199254740992"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind("-9007199254740992"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind("18446744073709551616"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind("[1e400]"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind("[1e-400]"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind("1e300"), ErrorKind::NumberOutOfRange);
        assert_eq!(kind(r#""\u0000""#), ErrorKind::InvalidPayload);
        assert_eq!(kind(r#""\ud800""#), ErrorKind::InvalidPayload);
        assert_eq!(kind("{} {}"), ErrorKind::InvalidPayload);
        assert_eq!(kind(""), ErrorKind::InvalidPayload);
    }

    #[test]
    fn accepts_what_lies_on_the_limit() {
        for text in ["9007199254740991", "-9007199254740991", "0e-400", "-0.0", "1e-7"] {
            assert!(Json::parse("payload", text.as_bytes(), 1000).is_ok(), "{text}");
        }
        let depth = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse("payload", depth(128).as_bytes(), 1000).is_ok());
        assert_eq!(kind(&depth(129)), ErrorKind::PayloadTooDeep);
        assert_eq!(kind(&"[".repeat(5000)), ErrorKind::PayloadTooDeep);
    }

    #[test]
    fn counts_bytes_as_postgres_writes_them() {
        let size = |text: &str| Json::parse("payload", text.as_bytes(), 1000).unwrap().size();
        assert_eq!(size(r#"{"k":1,"l":[1,2]}"#), r#"{"k": 1, "l": [1, 2]}"#.len());
        assert_eq!(size(r#""\n\u0001é""#), r#""\n\u0001é""#.len());
        assert_eq!(size("1e-7"), "0.0000001".len());
        assert_eq!(size("-0.0"), "0.0".len());
        assert_eq!(size(r#"{"a":1,"a":22}"#), r#"{"a": 22}"#.len());
    }

    #[test]
    fn a_result_is_mended_and_never_refused() {
        assert_eq!(sanitise_result(r#"{"a":"x\u0000y"}"#).as_str(), "{\"a\":\"x\u{fffd}y\"}");
        assert_eq!(sanitise_result("[9007199254740993]").as_str(), r#"["9007199254740993"]"#);
        assert!(sanitise_result("nonsense").as_str().contains("lavoro_note"));
        assert!(sanitise_result(&"[".repeat(100_000)).as_str().contains("100000 levels"));
    }

    #[test]
    fn a_long_error_keeps_its_two_ends() {
        let text = format!("first{}last", "é".repeat(40_000));
        let short = sanitise_text(&text, 1000);
        assert!(short.len() <= 1000 && short.starts_with("first") && short.ends_with("last"));
        assert_eq!(sanitise_text("a\0b", 1000), "a\u{fffd}b");
    }
}
