"""Codecs by annotation: a value of the type to JSON, and back.

The first codec of a union that takes a value has it, in the order in which they are written.
"""

from __future__ import annotations

import enum
import json
import sys
import typing
from collections import OrderedDict, abc, deque
from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

from . import _leaves as leaves
from ._records import dataclass_codec, is_typed_dict, named_tuple_codec, typed_dict_codec
from ._values import ValueDoesNotFit, a, deeper, field, in_order, index, of_pydantic, to_plain

try:
    from types import UnionType
except ImportError:  # before Python 3.10
    UnionType = None  # type: ignore[assignment,misc]

Dump = Callable[[Any, int], Any]
Load = Callable[[Any], Any]


class NoCodec(Exception):
    """An annotation that has no form in JSON."""


class Codec:
    """How values of a type become JSON and come back.

    Attributes:
        dump: The JSON of a value that lies at this depth.
        load: The value of a piece of JSON.
    """

    __slots__ = ("dump", "load")

    def __init__(self, dump: Dump, load: Load) -> None:
        self.dump = dump
        self.load = load


def _as_is(value: Any) -> Any:
    return value


ANYTHING = Codec(to_plain, _as_is)


class Codecs:
    """Makes codecs. One for each signature, since types may name themselves.

    Args:
        names: What annotations written as strings may name, beside what their module has.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self._made: dict[Any, Codec] = {}

    def of(self, hint: Any) -> Codec:
        """The codec of an annotation.

        Raises:
            NoCodec: It has no form in JSON.
        """
        hint = _bare(hint)
        if hint in (Any, object):
            return ANYTHING
        try:
            made = self._made.get(hint)
        except TypeError:  # a Literal of something that cannot be hashed
            raise NoCodec(f"{hint} has no form in JSON") from None
        if made is None:
            # There before it is complete: it may be needed for its own parts.
            made = self._made[hint] = Codec(_incomplete, _incomplete)
            real = self._make(hint)
            made.dump, made.load = real.dump, real.load
        return made

    def _make(self, hint: Any) -> Codec:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint is None or hint is type(None):
            return Codec(leaves.dump_none, leaves.load_none)
        if origin is Union or (UnionType is not None and origin is UnionType):
            return union([self.of(each) for each in args])
        if origin is typing.Literal or str(origin) == "typing_extensions.Literal":
            return literal(hint, args)
        if isinstance(hint, typing.TypeVar):
            return self.of(hint.__bound__ or (Union[hint.__constraints__] if hint.__constraints__ else Any))
        kind = origin or hint
        if not isinstance(kind, type):
            raise NoCodec(f"{hint} has no form in JSON")
        return self._of_class(kind, args, hint)

    def _of_class(self, kind: type, args: tuple[Any, ...], hint: Any) -> Codec:
        if kind in leaves.LEAVES:
            return Codec(*leaves.LEAVES[kind])
        if issubclass(kind, enum.Enum):
            return enum_codec(kind)
        if hasattr(kind, "__pydantic_validator__"):
            return pydantic_codec(kind if args == () else hint)
        if hasattr(kind, "__dataclass_fields__"):
            return dataclass_codec(self, kind, args)
        if is_typed_dict(kind):
            return typed_dict_codec(self, kind)
        if issubclass(kind, tuple):
            if hasattr(kind, "_fields"):
                return named_tuple_codec(self, kind)
            return self._tuple(args)
        if kind in _MAPPINGS:
            return self._mapping(_MAPPINGS[kind], args)
        if kind in _ARRAYS:
            taken, made = _ARRAYS[kind]
            return array(taken, made, self.of(args[0] if args else Any), a(hint if args else kind))
        leaf = leaves.of_subclass(kind)
        if leaf is not None:
            return Codec(*leaf)
        raise NoCodec(f"{kind.__module__}.{kind.__qualname__} has no form in JSON")

    def _tuple(self, args: tuple[Any, ...]) -> Codec:
        if not args or args[-1] is Ellipsis:
            item = self.of(args[0] if args else Any)
            return array((tuple, list), tuple, item, "a tuple")
        if args == ((),):
            args = ()
        return fixed([self.of(each) for each in args])

    def _mapping(self, made: Callable[[Any], Any], args: tuple[Any, ...]) -> Codec:
        key = _bare(args[0]) if args else str
        if key in (Any, str):
            key_codec = None
        elif key is int:
            key_codec = Codec(leaves.dump_int_key, leaves.load_int_key)
        else:
            key_codec = self.of(key)
        item = self.of(args[1] if len(args) > 1 else (int if args else Any))
        return mapping(made, key_codec, item)


# What is taken, and what is made of an array. A str is a sequence too, hence the lists.
_ARRAYS: dict[Any, tuple[tuple[type, ...], Callable[[Any], Any]]] = {
    list: ((list, tuple), list),
    deque: ((deque, list), deque),
    set: ((set, frozenset), set),
    frozenset: ((set, frozenset), frozenset),
    abc.Set: ((set, frozenset), set),
    abc.MutableSet: ((set, frozenset), set),
    abc.Sequence: ((list, tuple, deque), list),
    abc.MutableSequence: ((list, deque), list),
    abc.Collection: ((list, tuple, set, frozenset, deque), list),
    abc.Iterable: ((list, tuple, set, frozenset, deque), list),
}
_MAPPINGS: dict[Any, Callable[[Any], Any]] = {
    dict: _as_is,
    OrderedDict: OrderedDict,
    abc.Mapping: _as_is,
    abc.MutableMapping: _as_is,
}


def _incomplete(*_: Any) -> Any:
    raise NoCodec("a type is needed to make itself")


def _bare(hint: Any) -> Any:
    """An annotation without what does not change its JSON."""
    while True:
        origin = typing.get_origin(hint)
        name = getattr(origin, "__name__", None) or getattr(origin, "_name", None)
        if hasattr(hint, "__metadata__"):
            hint = hint.__origin__
        elif name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar"):
            hint = typing.get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        elif getattr(hint, "_name", None) == "LiteralString":
            return str
        else:
            return hint


def array(taken: tuple[type, ...], made: Callable[[Any], Any], item: Codec, what: str) -> Codec:
    """Items of one type."""

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, taken):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes {what}")
        deeper(depth)
        plain: list[Any] = []
        dump_item, depth = item.dump, depth + 1
        items: Any = in_order(value) if isinstance(value, (set, frozenset)) else value
        try:
            for each in items:
                plain.append(dump_item(each, depth))
        except ValueDoesNotFit as error:
            raise error.within(index(len(plain))) from None
        return plain

    def load(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise ValueDoesNotFit(f"is {leaves.shown(plain)}: it takes an array")
        values: list[Any] = []
        load_item = item.load
        try:
            for each in plain:
                values.append(load_item(each))
        except ValueDoesNotFit as error:
            raise error.within(index(len(values))) from None
        try:
            return values if made is list else made(values)
        except TypeError as error:
            raise ValueDoesNotFit(f"has items that no set takes: {error}") from None

    return Codec(dump, load)


def fixed(items: list[Codec]) -> Codec:
    """As many items as the tuple's annotation has."""
    count = len(items)

    def each_of(values: Any, convert: Callable[[Codec, Any], Any]) -> list[Any]:
        if len(values) != count:
            raise ValueDoesNotFit(f"has {len(values)} items: it takes {count}")
        made: list[Any] = []
        try:
            for codec, value in zip(items, values):
                made.append(convert(codec, value))
        except ValueDoesNotFit as error:
            raise error.within(index(len(made))) from None
        return made

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, tuple):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes a tuple")
        deeper(depth)
        return each_of(value, lambda codec, each: codec.dump(each, depth + 1))

    def load(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise ValueDoesNotFit(f"is {leaves.shown(plain)}: it takes an array")
        return tuple(each_of(plain, lambda codec, each: codec.load(each)))

    return Codec(dump, load)


def mapping(made: Callable[[Any], Any], key_codec: Optional[Codec], item: Codec) -> Codec:
    """Values of one type by keys whose JSON is a string."""

    def dump_key(key: Any) -> str:
        plain = leaves.dump_str(key, 0) if key_codec is None else key_codec.dump(key, 0)
        if not isinstance(plain, str):
            raise ValueDoesNotFit("is no string in JSON")
        return plain

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, Mapping):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes a dict")
        deeper(depth)
        plain: dict[str, Any] = {}
        for key, each in value.items():
            try:
                name = dump_key(key)
            except ValueDoesNotFit as error:
                raise ValueDoesNotFit(f"has the key {key!r}, which {error.why}") from None
            if name in plain:
                raise ValueDoesNotFit(f"has the key {name!r} twice, as JSON has it")
            try:
                plain[name] = item.dump(each, depth + 1)
            except ValueDoesNotFit as error:
                raise error.within(field(name)) from None
        return plain

    def load(plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise ValueDoesNotFit(f"is {leaves.shown(plain)}: it takes an object")
        values: dict[Any, Any] = {}
        for name, each in plain.items():
            try:
                values[name if key_codec is None else key_codec.load(name)] = item.load(each)
            except ValueDoesNotFit as error:
                raise error.within(field(name)) from None
        return made(values)

    return Codec(dump, load)


def union(members: list[Codec]) -> Codec:
    """The first that takes it."""
    # Where both are there, 1.5 is for float and 1 for int, whichever comes first.
    members = sorted(members, key=lambda each: each.dump is leaves.dump_float)
    has_int = any(each.dump is leaves.dump_int for each in members)
    members = [
        Codec(each.dump, leaves.load_float_only) if has_int and each.dump is leaves.dump_float else each
        for each in members
    ]
    members = [
        Codec(each.dump, leaves.load_int_only) if each.dump is leaves.dump_int else each
        for each in members
    ]

    def first(convert: Callable[[Codec], Any]) -> Any:
        whys = []
        for each in members:
            try:
                return convert(each)
            except ValueDoesNotFit as error:
                if error.code != "invalid_payload":
                    raise
                whys.append(error)
        whys = [error for error in whys if error.why != leaves.NOT_NONE] or whys
        if len(whys) == 1:
            raise whys[0]
        fit = "; ".join(f"{error.path[1:]} {error.why}".strip() for error in whys)
        raise ValueDoesNotFit(f"fits none of what it takes: {fit}")

    def dump(value: Any, depth: int) -> Any:
        return first(lambda each: each.dump(value, depth))

    def load(plain: Any) -> Any:
        return first(lambda each: each.load(plain))

    return Codec(dump, load)


def _key_of(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def literal(hint: Any, members: tuple[Any, ...]) -> Codec:
    """One of these values."""
    takes = ", ".join(repr(each) for each in members)
    known = {(type(each), each): to_plain(each) for each in members}
    back = {_key_of(plain): each for (_, each), plain in known.items()}

    def dump(value: Any, depth: int) -> Any:
        try:
            return known[type(value), value]
        except (KeyError, TypeError):
            raise ValueDoesNotFit(f"is {leaves.shown(value)}: it takes {takes}") from None

    def load(plain: Any) -> Any:
        try:
            return back[_key_of(plain)]
        except (KeyError, TypeError, ValueError):
            raise ValueDoesNotFit(f"is {leaves.shown(plain)}: it takes {takes}") from None

    return Codec(dump, load)


def enum_codec(kind: type[enum.Enum]) -> Codec:
    """A member by its value."""
    back = {_key_of(to_plain(each.value)): each for each in kind}

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, kind):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes {a(kind)}")
        return to_plain(value.value, depth)

    def load(plain: Any) -> Any:
        try:
            member = back.get(_key_of(plain))
            # Flags have more members than they list.
            return member if member is not None else kind(plain)
        except (TypeError, ValueError):
            pass
        raise ValueDoesNotFit(f"is {leaves.shown(plain)}, which is no value of {kind.__name__}")

    return Codec(dump, load)


def pydantic_codec(kind: Any) -> Codec:
    """What pydantic makes of it: a model, or a dataclass of pydantic's."""
    pydantic = sys.modules["pydantic"]
    adapter = pydantic.TypeAdapter(kind)
    checked = typing.get_origin(kind) or kind

    def dump(value: Any, depth: int) -> Any:
        if not isinstance(value, checked):
            raise ValueDoesNotFit(f"is {a(type(value))}: it takes {a(kind)}")
        if hasattr(value, "model_dump"):
            return to_plain(of_pydantic(value), depth)
        return to_plain(adapter.dump_python(value, mode="json", by_alias=True), depth)

    def load(plain: Any) -> Any:
        try:
            return adapter.validate_json(json.dumps(plain))
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            path = "".join(
                index(step) if isinstance(step, int) else field(step) for step in first["loc"]
            )
            raise ValueDoesNotFit(f"does not fit {kind.__name__}: {first['msg']}", path) from None

    return Codec(dump, load)

