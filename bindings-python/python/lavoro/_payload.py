"""From a handler's signature to a payload, and back. The rules of JSON: ``_values``."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from typing import Any, Optional

from ._codecs import ANYTHING, Codec, Codecs, NoCodec
from ._records import typed_dict_fields
from ._values import ValueDoesNotFit, circle, text, to_plain
from .errors import InvalidPayloadError, LavoroError, _of_code
from .job import Job

_Kind = inspect.Parameter
_EMPTY = inspect.Parameter.empty


class Signature:
    """What a handler takes: the shape of its payload, whose fields are the parameters' names.

    Parameters annotated ``lavoro.Job``, and one named ``job`` without an annotation, are given the
    job and are no fields. A parameter with a default may be left out, and its default is then
    that of the handler which runs the job.

    Raises:
        InvalidPayloadError: It takes ``*args``, or an annotation cannot be read or has no form
            in JSON; the message names the parameter.
    """

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self._what = f"payload of task {task!r}"
        self._task = task
        signature = check_declaration(task, function)
        names = _names_of(function)
        codecs = Codecs(names)
        self._function = function
        self.job_parameter: Optional[str] = None
        self._jobs: list[str] = []
        self._fields: dict[str, Codec] = {}
        self._required: list[str] = []
        self._positional: list[str] = []
        self._rest: Optional[str] = None
        self._rest_codec = ANYTHING
        kept = []
        for name, parameter in signature.parameters.items():
            hint = self._hint(name, parameter.annotation, names)
            if parameter.kind is _Kind.POSITIONAL_ONLY:
                self._positional.append(name)
            if _is_job(name, hint):
                self._jobs.append(name)
                continue
            kept.append(parameter)
            if parameter.kind is _Kind.VAR_KEYWORD:
                self._add_rest(name, hint, codecs)
                continue
            if parameter.default is _EMPTY:
                self._required.append(name)
            self._fields[name] = self._codec(name, hint, codecs)
        self.job_parameter = self._jobs[0] if self._jobs else None
        self._signature = signature.replace(parameters=kept)
        self._result = self._result_codec(signature.return_annotation, names, codecs)

    def _hint(self, name: str, annotation: Any, names: dict[str, Any]) -> Any:
        if annotation is _EMPTY:
            return _EMPTY
        try:
            return _read(annotation, names)
        except Exception as error:
            raise InvalidPayloadError(
                f"the annotation {annotation!r} of {name}, a parameter of task {self._task!r}, "
                f"cannot be read: {error}"
            ) from error

    def _codec(self, name: str, hint: Any, codecs: Codecs) -> Codec:
        try:
            return ANYTHING if hint is _EMPTY else codecs.of(hint)
        except NoCodec as error:
            raise InvalidPayloadError(
                f"task {self._task!r} cannot have its parameter {name} in a payload: {error}"
            ) from None

    def _add_rest(self, name: str, hint: Any, codecs: Codecs) -> None:
        origin = typing.get_origin(hint)
        if "Unpack" in (getattr(origin, "_name", None), getattr(origin, "__name__", None)):
            try:
                fields, required = typed_dict_fields(codecs, typing.get_args(hint)[0])
            except NoCodec as error:
                raise InvalidPayloadError(f"task {self._task!r}: {error}") from None
            self._fields.update(fields)
            self._required.extend(required)
            return
        self._rest = name
        self._rest_codec = self._codec(name, hint, codecs)

    def _result_codec(self, annotation: Any, names: dict[str, Any], codecs: Codecs) -> Codec:
        try:
            # What a handler returns is stored as well as can be, whatever its annotation is. One
            # of None may still complete its job with a result, in a transaction.
            hint = None if annotation is _EMPTY else _read(annotation, names)
            return ANYTHING if hint in (None, type(None)) else codecs.of(hint)
        except Exception:
            return ANYTHING

    # To JSON.

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The payload of a call, as JSON.

        Raises:
            InvalidPayloadError: The call does not fit the signature; the message names the field.
            NumberOutOfRangeError, PayloadTooDeepError: So does theirs.
        """
        if args:
            kwargs = self._bind(args, kwargs)
        self._check(kwargs)
        plain = {}
        name = ""
        try:
            for name, value in kwargs.items():
                codec = self._fields.get(name)
                if codec is not None:
                    plain[name] = codec.dump(value, 1)
                else:
                    plain[text(name)] = self._rest_codec.dump(value, 1)
        except ValueDoesNotFit as error:
            raise refusal(f"{self._what}: {name}", error, kwargs[name]) from None
        except RecursionError:
            raise _circular(f"{self._what}: {name}", kwargs[name]) from None
        return _written(plain).encode()

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidPayloadError(f"{self._what}: {error}") from None
        if self._rest is None:
            # What Unpack took apart is bound under the name of its parameter.
            known = {name: value for name, value in bound.items() if name not in kwargs}
            return {**{n: v for n, v in known.items() if n in self._fields}, **kwargs}
        rest = bound.pop(self._rest, {})
        for name in rest:
            if name in bound:
                raise InvalidPayloadError(f"{self._what}: {name} is given twice")
        return {**bound, **rest}

    def _check(self, given: dict[str, Any]) -> None:
        for name in self._required:
            if name not in given:
                raise InvalidPayloadError(f"{self._what}: {name} is missing")
        if self._rest is None:
            for name in given:
                if name not in self._fields:
                    raise InvalidPayloadError(
                        f"{self._what}: there is no field {name!r}; it has {self._listed()}"
                    )

    def _listed(self) -> str:
        return ", ".join(self._fields) or "none"

    # From JSON.

    def decode(self, payload: Any) -> dict[str, Any]:
        """The arguments for a payload, by name. Of a task with one field a payload that is no
        object stands for the field itself; null, for no fields.

        Raises:
            InvalidPayloadError: It does not fit the signature; the message names the field.
        """
        if not isinstance(payload, dict):
            if payload is None and not self._required:
                return {}
            if len(self._fields) != 1 or self._rest is not None:
                raise InvalidPayloadError(
                    f"{self._what} is not an object: it has the fields {self._listed()}"
                )
            payload = {next(iter(self._fields)): payload}
        self._check(payload)
        values = {}
        name = ""
        try:
            for name, plain in payload.items():
                codec = self._fields.get(name) or self._rest_codec
                values[name] = codec.load(plain)
        except ValueDoesNotFit as error:
            raise refusal(f"{self._what}: {name}", error) from None
        return values

    def call(self, values: dict[str, Any], job: Any) -> Any:
        """Calls the handler with what decode() answered, and with the job where it wants it."""
        for name in self._jobs:
            values[name] = job
        if not self._positional:
            return self._function(**values)
        args = []
        for name in self._positional:
            if name not in values:
                # A default: those after it have one too, and keep their places only without.
                break
            args.append(values.pop(name))
        left = [name for name in self._positional if name in values]
        for name in left:
            missing = self._positional[len(args)]
            raise InvalidPayloadError(f"{self._what}: {name} is there, and {missing} before it is not")
        return self._function(*args, **values)

    def encode_result(self, value: Any) -> Any:
        """The JSON of what the handler returned, as its annotation says.

        Raises:
            ValueDoesNotFit: It is something else: its own JSON has to do.
        """
        try:
            return self._result.dump(value, 0)
        except ValueDoesNotFit:
            raise
        except Exception as error:  # code of the application ran in there
            raise ValueDoesNotFit(f"cannot be written: {type(error).__name__}") from None

    def by_name(self, **values: Any) -> Any:
        """The handler, for one whose parameters are positional: called by their names."""
        return self.call(values, next((values[name] for name in self._jobs if name in values), None))

    def decode_result(self, plain: Any) -> Any:
        """What the handler returned, as its annotation says; None if nothing was stored.

        Raises:
            InvalidPayloadError: The stored result does not fit; the message holds its place.
        """
        if plain is None:
            return None
        try:
            return self._result.load(plain)
        except ValueDoesNotFit as error:
            note = plain.get("lavoro_note") if isinstance(plain, dict) else None
            if isinstance(note, str):
                raise InvalidPayloadError(f"result of task {self._task!r}: {note}") from None
            raise refusal(f"result of task {self._task!r}", error) from None


def check_declaration(task: str, function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a handler.

    Raises:
        InvalidPayloadError: It takes ``*args``: a payload has names.
    """
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if parameter.kind is _Kind.VAR_POSITIONAL:
            raise InvalidPayloadError(
                f"task {task!r} takes *{name}: the fields of a payload have names; take a list"
            )
    return signature


def _is_job(name: str, hint: Any) -> bool:
    if hint is _EMPTY:
        return name == "job"
    if isinstance(hint, type):
        return issubclass(hint, Job)
    return Job in typing.get_args(hint) and set(typing.get_args(hint)) <= {Job, type(None)}


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What the annotations of a function may name: Job even where it is imported for type
    checkers only, what its module has, and what its body uses of the functions around it."""
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    if not inspect.isfunction(inner):
        inner = getattr(type(inner), "__call__", inner)
    import lavoro

    names: dict[str, Any] = {"lavoro": lavoro, "Job": Job, **vars(typing)}
    names.update(getattr(inner, "__globals__", {}))
    code, closure = getattr(inner, "__code__", None), getattr(inner, "__closure__", None) or ()
    for name, cell in zip(getattr(code, "co_freevars", ()), closure):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            pass  # not bound yet
    return names


def _read(annotation: Any, names: dict[str, Any]) -> Any:
    holder = type("Holder", (), {"__annotations__": {"value": annotation}})
    return typing.get_type_hints(holder, names, names, include_extras=True)["value"]


def refusal(what: str, error: ValueDoesNotFit, value: Any = None) -> LavoroError:
    """The exception for a value that does not fit."""
    if error.code == "payload_too_deep":
        path = circle(value)
        if path is not None:
            return InvalidPayloadError(f"{what}{path} contains itself")
    return _of_code(error.code, f"{what}{error.path} {error.why}")


def _circular(what: str, value: Any) -> LavoroError:
    path = circle(value)
    if path is not None:
        return InvalidPayloadError(f"{what}{path} contains itself")
    return _of_code("payload_too_deep", f"{what} is nested too deeply")


# Made once: json.dumps() makes one for each call.
_written = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def to_json(what: str, value: Any) -> bytes:
    """JSON of a value, by what it is.

    Raises:
        InvalidPayloadError: It cannot be written; the message names the place.
        NumberOutOfRangeError, PayloadTooDeepError: So does theirs.
    """
    try:
        return _written(to_plain(value)).encode()
    except ValueDoesNotFit as error:
        if isinstance(value, dict) and error.path.startswith("."):
            error.path = " " + error.path[1:]
        raise refusal(f"{what}:" if error.path.startswith(" ") else what, error, value) from None
    except RecursionError:
        raise _circular(what, value) from None


__all__ = ["Signature", "check_declaration", "refusal", "to_json"]
