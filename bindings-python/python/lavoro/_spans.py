"""Spans of time and instants, as applications write them, for the native half."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, timezone
from typing import Union

from .errors import InvalidOptionError, InvalidTimeError

Span = Union[float, timedelta, str]

_UNITS = {
    "ms": 1,
    "millisecond": 1,
    "s": 1000,
    "sec": 1000,
    "second": 1000,
    "m": 60_000,
    "min": 60_000,
    "minute": 60_000,
    "h": 3_600_000,
    "hour": 3_600_000,
    "d": 86_400_000,
    "day": 86_400_000,
    "w": 604_800_000,
    "week": 604_800_000,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII)


def milliseconds(name: str, span: Span) -> int:
    """Whole milliseconds of a span: seconds as a number, a timedelta, or words.

    Words are numbers and units: ``"90 seconds"``, ``"5 minutes"``, ``"1h 30m"``; the units are
    ms, s, m, h, d and w, or their names.

    Raises:
        InvalidOptionError: It is none of these, or negative.
    """
    if isinstance(span, timedelta):
        # In integers: a float would round long spans.
        millis: float = span // timedelta(milliseconds=1)
    elif isinstance(span, str):
        millis = _words(name, span)
    elif isinstance(span, (int, float)) and not isinstance(span, bool):
        millis = span * 1000
    else:
        raise InvalidOptionError(
            f"{name} is a {type(span).__name__}: it takes seconds, a timedelta or words"
        )
    if not math.isfinite(millis) or millis < 0:
        raise InvalidOptionError(f"{name} is {span!r}: it takes a span that is not negative")
    return round(millis)


def _words(name: str, words: str) -> float:
    text = words.strip().lower().replace(",", " ").replace(" and ", " ")
    total, end = 0.0, 0
    for part in _PART.finditer(text):
        unit = part[2]
        size = _UNITS.get(unit) or _UNITS.get(unit.rstrip("s"))
        if text[end : part.start()].strip() or size is None:
            break
        total += float(part[1]) * size
        end = part.end()
    if not text or text[end:].strip() or end == 0:
        raise InvalidOptionError(f'{name} is {words!r}: it takes words like "5 minutes" or "1h 30m"')
    return total


def instant(name: str, value: Union[datetime, str]) -> str:
    """An instant as of RFC 3339.

    Raises:
        InvalidTimeError: A datetime without a time zone, which would mean another instant on
            another machine; or something else.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise InvalidTimeError(f"{name} is {value.isoformat()}: it takes a time zone")
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, str):
        return value
    kind = "date" if isinstance(value, date) else type(value).__name__
    raise InvalidTimeError(f"{name} is a {kind}: it takes a datetime with a time zone")


def parse_instant(text: str) -> datetime:
    """The datetime, in UTC, of an instant as of RFC 3339."""
    text = text[:-1] + "+00:00" if text.endswith("Z") else text
    match = re.fullmatch(r"(.*?)(\.\d+)?([+-]\d\d:\d\d)", text)
    if match is None:
        raise ValueError(f"{text!r} is no instant as of RFC 3339")
    fraction = ((match[2] or ".0")[1:] + "000000")[:6]
    return datetime.fromisoformat(f"{match[1]}.{fraction}{match[3]}").astimezone(timezone.utc)
