"""Values and their JSON, by what the value is. What annotations make of it: ``_codecs``.

==================  ===========================================================================
``datetime``        a string, ISO 8601; the offset is kept, the name of the zone is not; one
                    without a time zone stays one
``date``, ``time``  a string, ISO 8601
``timedelta``       seconds, a number
``UUID``, ``Path``  a string
``Decimal``         a string, exact
``bytes``           a string, base64
``Enum``            the JSON of its value
dataclass           an object of its fields
``NamedTuple``      an object of its fields
``TypedDict``       an object
pydantic model      an object, as pydantic writes it in its JSON mode, by alias
``list``, ``tuple`` an array
``set``             an array, sorted where its items can be
``dict``            an object; keys are strings, unless the annotation says otherwise
==================  ===========================================================================

Refused everywhere: NaN and infinities, integers beyond ±(2**53 - 1), NUL, lone surrogates, more
than 128 levels, and what contains itself.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Optional
from uuid import UUID

# As in every language: lavoro-core/src/limits.rs.
MAX_DEPTH = 128
MAX_INTEGER = 2**53 - 1

_FRAGMENTS = 8


class ValueDoesNotFit(Exception):
    """A value has no JSON, or is not what its annotation says.

    Attributes:
        why: What is wrong, to follow the path: ``is a str: it takes an int``.
        path: Where, within what was given: ``.lines[2].price``.
        code: The code of the exception that tells the user.
    """

    def __init__(self, why: str, path: str = "", code: str = "invalid_payload") -> None:
        super().__init__(why)
        self.why = why
        self.path = path
        self.code = code

    def within(self, step: str) -> ValueDoesNotFit:
        """The same, seen from what the value lies in."""
        path = step + self.path
        if "…" in path or path.count(".") + path.count("[") > _FRAGMENTS:
            path = step + "…"
        return ValueDoesNotFit(self.why, path, self.code)


def a(kind: Any) -> str:
    """The name of a type, with its article."""
    name = getattr(kind, "__name__", str(kind))
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def index(place: object) -> str:
    """A step of a path into an array."""
    return f"[{place}]"


def field(name: object) -> str:
    """A step of a path into an object."""
    return f".{name}" if isinstance(name, str) and name.isidentifier() else f"[{name!r}]"


def to_plain(value: Any, depth: int = 0) -> Any:
    """The JSON of a value, by what it is.

    Raises:
        ValueDoesNotFit: It has none.
    """
    kind = type(value)
    if kind is str:
        return text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return integer(value)
    if kind is float:
        return finite(value)
    deeper(depth)
    if kind is dict:
        return _object(value, depth)
    if kind is list or kind is tuple:
        return _array(value, depth)
    return _other(value, depth)


def deeper(depth: int) -> None:
    """Refuses what lies beyond the deepest level."""
    if depth >= MAX_DEPTH:
        why = f"is nested deeper than {MAX_DEPTH} levels"
        raise ValueDoesNotFit(why, code="payload_too_deep")


def text(value: str) -> str:
    """A string that every database and language takes."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            why = f"has a lone surrogate at {error.start}: it takes valid Unicode"
            raise ValueDoesNotFit(why) from None
    if "\0" in value:
        raise ValueDoesNotFit(f"has a NUL character at {value.index(chr(0))}")
    return value


def integer(value: int) -> int:
    """An integer that every language reads alike."""
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    why = "is beyond ±(2**53 - 1): other languages would round it; give it as a string"
    raise ValueDoesNotFit(why, code="number_out_of_range")


def finite(value: float) -> float:
    """A number, not NaN and not infinite."""
    if value - value == 0:
        return value
    raise ValueDoesNotFit(f"is {value}, which JSON does not know", code="number_out_of_range")


def seconds(value: timedelta) -> float:
    """A span in seconds; whole ones as an integer."""
    whole, rest = divmod(value, timedelta(seconds=1))
    return integer(whole) if not rest else value.total_seconds()


def exact(value: Decimal) -> str:
    """A decimal number in full."""
    if not value.is_finite():
        raise ValueDoesNotFit(f"is {value}, which is no number", code="number_out_of_range")
    return str(value)


def coded(value: Any) -> str:
    """Bytes as base64."""
    return base64.b64encode(value).decode()


def is_named_tuple(kind: Any) -> bool:
    """Whether this is a class made by NamedTuple or namedtuple."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def of_pydantic(value: Any) -> Any:
    """The JSON of a pydantic model."""
    try:
        return value.model_dump(mode="json", by_alias=True)
    except Exception as error:
        raise ValueDoesNotFit(f"cannot be written by pydantic: {error}") from None


def _object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    plain = {}
    for key, each in value.items():
        if isinstance(key, enum.Enum):
            key = key.value
        if not isinstance(key, str):
            raise ValueDoesNotFit(f"has the key {key!r}: JSON takes strings")
        try:
            plain[text(key)] = to_plain(each, depth + 1)
        except ValueDoesNotFit as error:
            raise error.within(field(key)) from None
    return plain


def _array(value: Any, depth: int) -> list[Any]:
    place = 0
    plain = []
    try:
        for each in value:
            plain.append(to_plain(each, depth + 1))
            place += 1
    except ValueDoesNotFit as error:
        raise error.within(index(place)) from None
    return plain


def in_order(items: Any) -> list[Any]:
    """The items of a set, in the same order each time, if they have one."""
    try:
        return sorted(items)
    except TypeError:
        return list(items)


def _other(value: Any, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return to_plain(value.value, depth)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return seconds(value)
    if isinstance(value, (UUID, PurePath)):
        return text(str(value))
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return coded(value)
    if hasattr(type(value), "__pydantic_validator__"):
        return _of_model(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [each.name for each in dataclasses.fields(value)]
        return _object({name: getattr(value, name) for name in fields}, depth)
    if is_named_tuple(type(value)):
        return _object(dict(zip(value._fields, value)), depth)
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, (set, frozenset)):
        return _array(in_order(value), depth)
    if isinstance(value, (list, tuple, deque)):
        return _array(value, depth)
    if isinstance(value, str):
        return text(str.__str__(value))
    if isinstance(value, int):
        return integer(int(value))
    if isinstance(value, float):
        return finite(float(value))
    raise ValueDoesNotFit(f"is {a(type(value))}, which has no form in JSON")


def _of_model(value: Any, depth: int) -> Any:
    if hasattr(value, "model_dump"):
        return to_plain(of_pydantic(value), depth)
    fields = [each.name for each in dataclasses.fields(value)]
    return _object({name: getattr(value, name) for name in fields}, depth)


def circle(value: Any) -> Optional[str]:
    """The path at which a value contains itself, if it does."""
    trail: list[tuple[int, str, Iterator[tuple[str, Any]]]] = [(id(value), "", _parts(value))]
    held = {id(value)}
    done: set[int] = set()
    while trail:
        step = next(trail[-1][2], None)
        if step is None:
            over = trail.pop()[0]
            held.discard(over)
            done.add(over)
            continue
        name, part = step
        if id(part) in done or isinstance(part, (str, bytes, int, float, type(None))):
            continue
        if id(part) in held:
            path = "".join(each[1] for each in trail) + name
            return path if path.count(".") + path.count("[") <= _FRAGMENTS else path[:60] + "…"
        held.add(id(part))
        trail.append((id(part), name, _parts(part)))
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return iter([(field(key), each) for key, each in value.items()])
    if isinstance(value, (list, tuple, deque)):
        return iter([(index(place), each) for place, each in enumerate(value)])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value)]
        return iter([(field(name), getattr(value, name, None)) for name in names])
    return iter(())
