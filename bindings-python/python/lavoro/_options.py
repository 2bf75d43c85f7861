"""Options, from what Python writes to what the native half reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

from ._spans import Span, instant, milliseconds
from .errors import InvalidOptionError

if TYPE_CHECKING:
    from .task import Task

__all__ = ["Backoff", "JobOptions"]


@dataclass(frozen=True)
class Backoff:
    """How long a failed job waits before its next attempt.

    Attributes:
        kind: ``"exponential"`` (doubles), ``"linear"`` or ``"fixed"``.
        base: The first wait: seconds, a timedelta or words. Default: 2 s.
        max: The longest wait. Default: 1 h.
        jitter: The share of a wait that is left to chance, 0 to 1. Default: the engine's.
    """

    kind: str = "exponential"
    base: Span = 2
    max: Optional[Span] = None
    jitter: Optional[float] = None

    def _shown(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "kind": self.kind,
            "base_ms": milliseconds("backoff.base", self.base),
        }
        if self.max is not None:
            shown["max_ms"] = milliseconds("backoff.max", self.max)
        if self.jitter is not None:
            shown["jitter"] = self.jitter
        return shown


class JobOptions(TypedDict, total=False):
    """How a job runs. Spans are seconds, timedeltas or words ("5 minutes").

    Keys:
        queue: Its queue. Default: ``default``.
        priority: Larger first. Default: 0.
        delay: How long from now it may run. Not beside ``run_at``.
        run_at: When it may run: a datetime with a time zone.
        expires_in, expires_at: When it is no longer worth starting.
        on_discarded: The task that is enqueued when it is discarded.
        max_attempts: How many attempts it has. Default: 20.
        timeout: How long an attempt may take. Default: as long as it likes.
        backoff: How long it waits after a failure; a span is a fixed wait.
        unique_key: While a job with this key waits or runs, no second one is made.
        tags: Labels to find it by.
        metadata: A JSON object that travels with it.
        traceparent, tracestate: The trace that it belongs to (W3C).
    """

    queue: str
    priority: int
    delay: Span
    run_at: Union[datetime, str]
    expires_in: Span
    expires_at: Union[datetime, str]
    on_discarded: Union[str, Task[..., Any]]
    max_attempts: int
    timeout: Span
    backoff: Union[Backoff, Span]
    unique_key: str
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    traceparent: str
    tracestate: str


_SPANS = {"delay": "delay_ms", "expires_in": "expires_in_ms", "timeout": "timeout_ms"}
_INSTANTS = ("run_at", "expires_at")


def shown_backoff(backoff: Union[Backoff, Span]) -> dict[str, object]:
    """A backoff as the native half reads it."""
    if isinstance(backoff, Backoff):
        return backoff._shown()
    return {"kind": "fixed", "base_ms": milliseconds("backoff", backoff)}


def job_options(given: Mapping[str, Any]) -> dict[str, object]:
    """The options of a job as the native half reads them. What is None counts as left out.

    Raises:
        InvalidOptionError: An option that does not exist, or a value that does not fit.
    """
    shown: dict[str, object] = {}
    for key, value in given.items():
        if value is None:
            continue
        if key in _SPANS:
            shown[_SPANS[key]] = milliseconds(key, value)
        elif key in _INSTANTS:
            shown[key] = instant(key, value)
        elif key == "backoff":
            shown[key] = shown_backoff(value)
        elif key == "on_discarded":
            shown[key] = value if isinstance(value, str) else value.name
        elif key == "tags":
            if isinstance(value, str):
                raise InvalidOptionError("tags is a str: it takes a list of them")
            shown[key] = list(value)
        elif key in JobOptions.__annotations__:
            shown[key] = value
        else:
            raise InvalidOptionError(f"there is no option {key!r} of a job")
    return shown


def as_json(shown: object) -> bytes:
    """Options as bytes of JSON; no bytes for no options."""
    if not shown:
        return b""
    try:
        return json.dumps(shown, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"an option cannot be written as JSON: {error}") from None
