"""Values that JSON does not know: how each becomes JSON, and what its annotation makes of that.

=================  ==========================================
``datetime``       RFC 3339; one without a time zone stays one
``date, time``     ISO 8601
``timedelta``      seconds, a number
``UUID, Path``     a string
``Decimal``        a string, exact
``bytes``          a string, base64
``Enum``           the JSON of its value
dataclass          an object of its fields
``TypedDict``      an object
pydantic model     what pydantic makes of it in its JSON mode
``set, tuple``     an array
=================  ==========================================
"""

from __future__ import annotations

import base64
import dataclasses
import enum
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Optional
from uuid import UUID

Convert = Callable[[Any], Any]


class ValueDoesNotFit(Exception):
    """A value is not what its annotation says."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def within(self, step: str) -> ValueDoesNotFit:
        """The same, seen from what the value lies in."""
        return ValueDoesNotFit(self.why, step + self.path)


def encoder(annotation: Any) -> Optional[Convert]:
    """What turns a value of this type into JSON; None: it is JSON already."""
    if annotation in (str, int, float, bool, type(None)):
        return None
    return to_plain


def decoder(annotation: Any) -> Optional[Convert]:
    """What turns JSON into a value of this type; None: it stays as it is."""
    return None


def to_plain(value: Any) -> Any:
    """The JSON of a value, by what it is."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if isinstance(value, dict):
        return {_key(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(each) for each in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal, PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_plain(getattr(value, field.name)) for field in fields}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, (str, int, float)):
        return value
    raise ValueDoesNotFit(f"is a {kind.__name__}, which has no form in JSON")


def _key(key: Any) -> str:
    plain = to_plain(key)
    if isinstance(plain, str):
        return plain
    raise ValueDoesNotFit(f"has the key {key!r}: JSON takes strings")
