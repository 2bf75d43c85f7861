"""Codecs of what has no parts: each a pair of functions, ``dump(value, depth)`` and ``load(json)``."""

from __future__ import annotations

import base64
import binascii
import pathlib
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Optional
from uuid import UUID

from ._values import ValueDoesNotFit, a, coded, exact, finite, integer, seconds, text

NOT_NONE = "is not None"

_CLOCK = re.compile(r"(.*\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z|z|[+-]\d\d:?\d\d(?::\d\d)?)?")


def shown(value: Any) -> str:
    """A value in an error: what it is, and the value itself only if it is a word or a number."""
    if value is None:
        return "null"
    if isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 40):
        return repr(value)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return a(type(value))


def _refuse(value: Any, what: str) -> ValueDoesNotFit:
    return ValueDoesNotFit(f"is {a(type(value))}: it takes {what}")


def dump_none(value: Any, depth: int) -> None:
    if value is not None:
        raise ValueDoesNotFit(NOT_NONE)


def load_none(plain: Any) -> None:
    if plain is not None:
        raise ValueDoesNotFit(NOT_NONE)


def dump_str(value: Any, depth: int) -> str:
    if not isinstance(value, str):
        raise _refuse(value, "a str")
    return text(value if type(value) is str else str.__str__(value))


def load_str(plain: Any) -> str:
    if type(plain) is not str:
        raise ValueDoesNotFit(f"is {shown(plain)}: it takes a string")
    return plain


def dump_bool(value: Any, depth: int) -> bool:
    if value is not True and value is not False:
        raise _refuse(value, "a bool")
    return value


def load_bool(plain: Any) -> bool:
    if plain is not True and plain is not False:
        raise ValueDoesNotFit(f"is {shown(plain)}: it takes true or false")
    return plain


def dump_int(value: Any, depth: int) -> int:
    if type(value) is not int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(value, "an int")
        value = int(value)
    return integer(value)


def load_int(plain: Any) -> int:
    if type(plain) is int:
        return plain
    if type(plain) is float and plain.is_integer():
        return int(plain)
    raise ValueDoesNotFit(f"is {shown(plain)}: it takes an integer")


def load_int_only(plain: Any) -> int:
    if type(plain) is int:
        return plain
    raise ValueDoesNotFit(f"is {shown(plain)}: it takes an integer")


def dump_float(value: Any, depth: int) -> float:
    if type(value) is float:
        return finite(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return integer(value) if isinstance(value, int) else finite(float(value))
    raise _refuse(value, "a float")


def load_float(plain: Any) -> float:
    if type(plain) is float or type(plain) is int:
        return float(plain)
    raise ValueDoesNotFit(f"is {shown(plain)}: it takes a number")


def load_float_only(plain: Any) -> float:
    if type(plain) is float:
        return plain
    raise ValueDoesNotFit(f"is {shown(plain)}: it takes a number")


def dump_int_key(key: Any, depth: int) -> str:
    return str(dump_int(key, depth))


def load_int_key(name: str) -> int:
    if re.fullmatch(r"-?\d{1,16}", name, re.ASCII):
        return int(name)
    raise ValueDoesNotFit("is no key of integers")


def clock(written: str) -> str:
    """ISO 8601 as datetime.fromisoformat() of Python 3.9 takes it."""
    match = _CLOCK.fullmatch(written)
    if match is None:
        raise ValueError(written)
    whole, fraction, zone = match.groups()
    if fraction:
        whole += f":00.{fraction:0<6.6}" if whole.count(":") == 1 else f".{fraction:0<6.6}"
    if zone in ("Z", "z"):
        zone = "+00:00"
    elif zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    return whole + (zone or "")


def _dump_datetime(value: Any, depth: int) -> str:
    if not isinstance(value, datetime):
        raise _refuse(value, "a datetime")
    return value.isoformat()


def _dump_date(value: Any, depth: int) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refuse(value, "a date")
    return value.isoformat()


def _dump_time(value: Any, depth: int) -> str:
    if not isinstance(value, time):
        raise _refuse(value, "a time")
    return value.isoformat()


def _dump_timedelta(value: Any, depth: int) -> float:
    if not isinstance(value, timedelta):
        raise _refuse(value, "a timedelta")
    return seconds(value)


def _load_timedelta(plain: Any) -> timedelta:
    if type(plain) not in (int, float):
        raise ValueDoesNotFit(f"is {shown(plain)}: it takes a number of seconds")
    try:
        return timedelta(seconds=plain)
    except OverflowError:
        raise ValueDoesNotFit(f"is {plain} seconds, too long for a timedelta") from None


def _dump_uuid(value: Any, depth: int) -> str:
    if not isinstance(value, UUID):
        raise _refuse(value, "a UUID")
    return str(value)


def _dump_decimal(value: Any, depth: int) -> str:
    if not isinstance(value, Decimal):
        raise _refuse(value, "a Decimal")
    return exact(value)


def _load_decimal(plain: Any) -> Decimal:
    if type(plain) in (str, int, float):
        try:
            value = Decimal(str(plain))
        except InvalidOperation:
            pass
        else:
            if value.is_finite():
                return value
    raise ValueDoesNotFit(f"is {shown(plain)}: it takes a decimal number, as a string")


def _dump_bytes(value: Any, depth: int) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise _refuse(value, "bytes")
    return coded(value)


def _load_bytes(plain: Any) -> bytes:
    try:
        return base64.b64decode(load_str(plain), validate=True)
    except (binascii.Error, ValueError):
        raise ValueDoesNotFit("is no base64") from None


def _path(kind: Callable[[str], Any]) -> tuple[Any, Any]:
    def dump(value: Any, depth: int) -> str:
        if not isinstance(value, pathlib.PurePath):
            raise _refuse(value, "a Path")
        return text(str(value))

    return dump, lambda plain: kind(load_str(plain))


def _reader(read: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    def load(plain: Any) -> Any:
        if type(plain) is str:
            try:
                return read(plain)
            except ValueError:
                pass
        raise ValueDoesNotFit(f"is {shown(plain)}: it takes {what}")

    return load


LEAVES: dict[type, tuple[Any, Any]] = {
    str: (dump_str, load_str),
    bool: (dump_bool, load_bool),
    int: (dump_int, load_int),
    float: (dump_float, load_float),
    datetime: (_dump_datetime, _reader(lambda t: datetime.fromisoformat(clock(t)), "a date with a time, ISO 8601")),
    date: (_dump_date, _reader(date.fromisoformat, "a date, ISO 8601")),
    time: (_dump_time, _reader(lambda t: time.fromisoformat(clock(t)), "a time, ISO 8601")),
    timedelta: (_dump_timedelta, _load_timedelta),
    UUID: (_dump_uuid, _reader(UUID, "a UUID")),
    Decimal: (_dump_decimal, _load_decimal),
    bytes: (_dump_bytes, _load_bytes),
    bytearray: (_dump_bytes, lambda plain: bytearray(_load_bytes(plain))),
    memoryview: (_dump_bytes, lambda plain: memoryview(_load_bytes(plain))),
    pathlib.Path: _path(pathlib.Path),
    pathlib.PurePath: _path(pathlib.PurePath),
    pathlib.PurePosixPath: _path(pathlib.PurePosixPath),
    pathlib.PureWindowsPath: _path(pathlib.PureWindowsPath),
}


def of_subclass(kind: type) -> Optional[tuple[Any, Any]]:
    """The codec of a class of the application that is a str, an int or a float."""
    for base in (str, int, float):
        if issubclass(kind, base):
            dump, load = LEAVES[base]

            def dump_it(value: Any, depth: int) -> Any:
                if not isinstance(value, kind):
                    raise _refuse(value, a(kind))
                return dump(value, depth)

            def load_it(plain: Any) -> Any:
                value = load(plain)
                try:
                    return kind(value)
                except (TypeError, ValueError) as error:
                    raise ValueDoesNotFit(f"does not fit {kind.__name__}: {error}") from None

            return dump_it, load_it
    return _path(kind) if issubclass(kind, pathlib.PurePath) else None
