"""From a handler's signature to a payload, and back."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from typing import Any, Optional

from ._values import ValueDoesNotFit, decoder, encoder
from .errors import InvalidPayloadError
from .job import Job

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EMPTY = inspect.Parameter.empty


class Signature:
    """What a handler takes: the shape of its payload."""

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self._task = task
        signature = inspect.signature(function)
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except Exception as error:
            raise InvalidPayloadError(
                f"the annotations of task {task!r} cannot be read: {error}"
            ) from error
        self.job_parameter: Optional[str] = None
        self._encoders: dict[str, Callable[[Any], Any]] = {}
        self._decoders: dict[str, Callable[[Any], Any]] = {}
        self._required: set[str] = set()
        self._rest: Optional[str] = None
        kept = []
        for name, parameter in signature.parameters.items():
            hint = hints.get(name, Any)
            if hint is Job and self.job_parameter is None:
                self.job_parameter = name
                continue
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._rest = name
            elif parameter.kind not in _KEYWORDS:
                raise InvalidPayloadError(
                    f"task {task!r} takes {parameter}: a payload has names, so that its "
                    f"parameters must have them too"
                )
            elif parameter.default is _EMPTY:
                self._required.add(name)
            encode, decode = encoder(hint), decoder(hint)
            if encode is not None:
                self._encoders[name] = encode
            if decode is not None:
                self._decoders[name] = decode
            kept.append(parameter)
        self._names = [parameter.name for parameter in kept if parameter.name != self._rest]
        self._known = frozenset(self._names)
        self._signature = signature.replace(parameters=kept)
        returned = hints.get("return", Any)
        self.encode_result = encoder(returned)
        self.decode_result = decoder(returned)

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The payload of a call.

        Raises:
            InvalidPayloadError: The call does not fit the signature; the message names the field.
        """
        if args:
            try:
                kwargs = self._bind(args, kwargs)
            except TypeError as error:
                raise InvalidPayloadError(f"payload of task {self._task!r}: {error}") from None
        self._check(kwargs)
        values = {}
        rest = self._encoders.get(self._rest or "")
        for name, value in kwargs.items():
            encode = self._encoders.get(name) if name in self._known else rest
            if encode is not None:
                try:
                    value = encode(value)
                except ValueDoesNotFit as error:
                    raise self._refusal(name, error) from None
            values[name] = value
        return to_json(f"payload of task {self._task!r}", values)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs).arguments
        if self._rest:
            bound.update(bound.pop(self._rest, {}))
        return dict(bound)

    def _check(self, kwargs: dict[str, Any]) -> None:
        for name in self._required:
            if name not in kwargs:
                raise InvalidPayloadError(f"payload of task {self._task!r}: {name} is missing")
        if self._rest is None and not self._known.issuperset(kwargs):
            name = next(name for name in kwargs if name not in self._known)
            raise InvalidPayloadError(
                f"payload of task {self._task!r}: there is no field {name!r}; it has "
                f"{', '.join(self._names) or 'none'}"
            )

    def decode(self, payload: Any) -> dict[str, Any]:
        """The keyword arguments for a payload.

        Raises:
            InvalidPayloadError: It does not fit the signature; the message names the field.
        """
        if not isinstance(payload, dict):
            if payload is None and not self._required:
                return {}
            if len(self._names) != 1 or self._rest:
                raise InvalidPayloadError(
                    f"payload of task {self._task!r} is not an object: it has the fields "
                    f"{', '.join(self._names) or 'none'}"
                )
            payload = {self._names[0]: payload}
        self._check(payload)
        rest = self._decoders.get(self._rest or "")
        if not self._decoders:
            return payload
        values = {}
        for name, value in payload.items():
            decode = self._decoders.get(name) if name in self._known else rest
            if decode is not None:
                try:
                    value = decode(value)
                except ValueDoesNotFit as error:
                    raise self._refusal(name, error) from None
            values[name] = value
        return values

    def _refusal(self, name: str, error: ValueDoesNotFit) -> InvalidPayloadError:
        return InvalidPayloadError(f"payload of task {self._task!r}: {name}{error.path} {error.why}")


def to_json(what: str, value: Any) -> bytes:
    """JSON of a value, by the rules for values without annotations.

    Raises:
        InvalidPayloadError: It cannot be written.
    """
    encode = encoder(Any)
    try:
        text = json.dumps(
            value, allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=encode
        )
        return text.encode()
    except ValueDoesNotFit as error:
        raise InvalidPayloadError(f"{what}: {error.path} {error.why}") from None
    except RecursionError:
        raise InvalidPayloadError(f"{what}: it is nested too deeply, or in itself") from None
    except (TypeError, ValueError) as error:
        raise InvalidPayloadError(f"{what} cannot be written as JSON: {error}") from None
