"""What a handler raises to say what becomes of its job."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional, Union

from ._spans import milliseconds

__all__ = ["Cancel", "Fail", "Outcome", "Retry", "Snooze"]

Span = Union[float, timedelta, str]


class Outcome(Exception):
    """What the exceptions for handlers have in common. Not for raising itself."""

    def _said(self) -> dict[str, object]:
        raise NotImplementedError


class Retry(Outcome):
    """The attempt failed: try again. The last attempt's failure discards the job.

    Args:
        error: What went wrong, for people; at most 16 KiB are kept.
        delay: When to try again, in seconds, as a timedelta or in words
            (``"5 minutes"``). Default: the task's backoff.
    """

    def __init__(self, error: object = "", *, delay: Optional[Span] = None) -> None:
        super().__init__(error)
        self.error = str(error)
        self.delay = delay

    def _said(self) -> dict[str, object]:
        error = self.error or (repr(self.__cause__) if self.__cause__ else "asked to retry")
        said: dict[str, object] = {"outcome": "retry", "error": error}
        if self.delay is not None:
            said["delay_ms"] = milliseconds("delay", self.delay)
        return said


class Snooze(Outcome):
    """Not now: again after a delay. The attempt is not counted.

    Args:
        delay: How long, in seconds, as a timedelta or in words.
    """

    def __init__(self, delay: Span) -> None:
        super().__init__(delay)
        self.delay = delay

    def _said(self) -> dict[str, object]:
        return {"outcome": "snooze", "delay_ms": milliseconds("delay", self.delay)}


class Cancel(Outcome):
    """The job is no longer wanted.

    Args:
        reason: Why, for people.
    """

    def __init__(self, reason: object = "") -> None:
        super().__init__(reason)
        self.reason = str(reason)

    def _said(self) -> dict[str, object]:
        return {"outcome": "cancel", "reason": self.reason} if self.reason else {"outcome": "cancel"}


class Fail(Outcome):
    """The job cannot succeed: discard it without trying again.

    Args:
        error: What went wrong, for people; at most 16 KiB are kept.
    """

    def __init__(self, error: object = "") -> None:
        super().__init__(error)
        self.error = str(error)

    def _said(self) -> dict[str, object]:
        error = self.error or (repr(self.__cause__) if self.__cause__ else "failed for good")
        return {"outcome": "fail", "error": error}
