"""Codecs of what has named fields: dataclasses, NamedTuples and TypedDicts."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Optional

from ._values import ValueDoesNotFit, a, deeper, field

if TYPE_CHECKING:
    from ._codecs import Codec, Codecs


def hints_of(kind: type, names: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a class, read.

    Raises:
        NoCodec: One cannot be read.
    """
    from ._codecs import NoCodec

    known = {**names, kind.__name__: kind}
    module = sys.modules.get(kind.__module__)
    known.update(getattr(module, "__dict__", {}))
    try:
        return typing.get_type_hints(kind, known, known, include_extras=True)
    except Exception as error:
        raise NoCodec(f"the annotations of {kind.__qualname__} cannot be read: {error}") from None


def is_typed_dict(kind: type) -> bool:
    """Whether this is a class made by TypedDict."""
    return issubclass(kind, dict) and hasattr(kind, "__total__")


class Record:
    """An object with fields of its own.

    Args:
        what: What the class is called.
        fields: Their codecs by name.
        required: Which ones must be there.
        make: The value of what was loaded.
    """

    def __init__(
        self, what: str, fields: dict[str, Codec], required: frozenset[str], make: Callable[..., Any]
    ) -> None:
        self._what = what
        self._fields = fields
        self._required = required
        self._make = make

    def dump(self, values: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """The JSON of the values by field."""
        deeper(depth)
        plain = {}
        for name, value in values.items():
            codec = self._fields.get(name)
            if codec is None:
                raise self._unknown(name)
            try:
                plain[name] = codec.dump(value, depth + 1)
            except ValueDoesNotFit as error:
                raise error.within(field(name)) from None
        self._check(plain)
        return plain

    def load(self, plain: Any) -> Any:
        """The value of an object."""
        from ._leaves import shown

        if not isinstance(plain, dict):
            raise ValueDoesNotFit(f"is {shown(plain)}: it takes an object")
        values = {}
        for name, each in plain.items():
            codec = self._fields.get(name)
            if codec is None:
                raise self._unknown(name)
            try:
                values[name] = codec.load(each)
            except ValueDoesNotFit as error:
                raise error.within(field(name)) from None
        self._check(values)
        try:
            return self._make(**values)
        except (TypeError, ValueError) as error:
            raise ValueDoesNotFit(f"does not fit {self._what}: {error}") from None

    def _check(self, values: dict[str, Any]) -> None:
        for name in self._required:
            if name not in values:
                raise ValueDoesNotFit("is missing", field(name))

    def _unknown(self, name: object) -> ValueDoesNotFit:
        return ValueDoesNotFit(f"is no field of {self._what}", field(name))


def _codec(dump: Callable[[Any, int], Any], load: Callable[[Any], Any]) -> Codec:
    from ._codecs import Codec

    return Codec(dump, load)


def dataclass_codec(codecs: Codecs, kind: type, args: tuple[Any, ...]) -> Codec:
    """An object of the fields that the constructor takes."""
    from ._codecs import NoCodec

    for name, each in kind.__dataclass_fields__.items():  # type: ignore[attr-defined]
        if "InitVar" in str(each.type):
            raise NoCodec(f"{kind.__qualname__} has the InitVar {name}, which it does not keep")
    hints = hints_of(kind, codecs.names)
    bound = dict(zip(getattr(kind, "__parameters__", ()), args))
    own = [each for each in dataclasses.fields(kind) if each.init]
    fields = {each.name: codecs.of(bound.get(hints[each.name], hints[each.name])) for each in own}
    missing = dataclasses.MISSING
    required = frozenset(
        each.name for each in own if each.default is missing and each.default_factory is missing
    )
    record = Record(kind.__name__, fields, required, kind)

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, kind):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes {a(kind)}")
        return record.dump({name: getattr(value, name) for name in fields}, depth)

    return _codec(dump, record.load)


def named_tuple_codec(codecs: Codecs, kind: Any) -> Codec:
    """An object of its fields."""
    hints = hints_of(kind, codecs.names)
    fields = {name: codecs.of(hints.get(name, Any)) for name in kind._fields}
    required = frozenset(kind._fields) - frozenset(kind._field_defaults)
    record = Record(kind.__name__, fields, required, kind)

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, kind):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes {a(kind)}")
        return record.dump(dict(zip(kind._fields, value)), depth)

    return _codec(dump, record.load)


def typed_dict_fields(codecs: Codecs, kind: Any) -> tuple[dict[str, Codec], frozenset[str]]:
    """The codecs of its keys, and which ones must be there."""
    hints = hints_of(kind, codecs.names)
    required = set(kind.__required_keys__)
    for name, hint in hints.items():
        marked = _mark(hint)
        if marked is not None:
            # Where annotations are strings, __required_keys__ does not know of the marks.
            (required.add if marked else required.discard)(name)
    return {name: codecs.of(hint) for name, hint in hints.items()}, frozenset(required)


def typed_dict_codec(codecs: Codecs, kind: Any) -> Codec:
    """An object of its keys."""
    fields, required = typed_dict_fields(codecs, kind)
    record = Record(kind.__name__, fields, required, dict)

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, dict):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes a dict, {kind.__name__}")
        return record.dump(value, depth)

    return _codec(dump, record.load)


def _mark(hint: Any) -> Optional[bool]:
    while hint is not None:
        origin = typing.get_origin(hint)
        name = getattr(origin, "__name__", None) or getattr(origin, "_name", None)
        if name in ("Required", "NotRequired"):
            return bool(name == "Required")
        if not hasattr(hint, "__metadata__") and name != "ReadOnly":
            return None
        hint = typing.get_args(hint)[0]
    return None
