"""Handles on jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

from ._spans import Span, milliseconds
from .errors import InvalidStateError

if TYPE_CHECKING:
    from .app import Lavoro

__all__ = ["JobFailedError", "JobHandle"]

R = TypeVar("R")


class JobFailedError(InvalidStateError):
    """A job has ended without a result: it was cancelled or discarded.

    Attributes:
        state: ``"cancelled"`` or ``"discarded"``.
        error: What its last failed attempt said, if it said anything.
    """

    code = "invalid_state"

    def __init__(self, message: str = "", state: str = "", error: Optional[str] = None) -> None:
        super().__init__(message)
        self.state = state
        self.error = error


class JobHandle(Generic[R]):
    """One job, to look at, wait for and change. Holds no copy of it; usable from any thread.

    Every method has a twin that ends in ``_sync`` for code without an event loop. They raise
    JobNotFoundError if there is no such job, and what is wrong with the database.

    Attributes:
        id: The job's number.
        is_new: Whether the enqueue made the job: False if another one held its unique key, which
            is then the one that this handle names.
    """

    __slots__ = ("_app", "_decode", "id", "is_new")

    def __init__(
        self, app: Lavoro, id: int, is_new: bool = False, decode: Optional[Any] = None
    ) -> None:
        self._app = app
        self._decode = decode
        self.id = id
        self.is_new = is_new

    def __repr__(self) -> str:
        return f"<lavoro.JobHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and (other.id, other._app) == (self.id, self._app)

    def __hash__(self) -> int:
        return hash(self.id)

    async def result(self, timeout: Span = 30) -> R:
        """Waits until the job has ended, and answers what its handler returned.

        Args:
            timeout: How long to wait: seconds, a timedelta or words.

        Raises:
            TimeoutError: It has not ended in time. It goes on.
            JobFailedError: It was cancelled or discarded.
        """
        return self._value(await self._app._call("job.result", self._wait(timeout)))

    def result_sync(self, timeout: Span = 30) -> R:
        """As result()."""
        return self._value(self._app._call_sync("job.result", self._wait(timeout)))

    def _wait(self, timeout: Span) -> dict[str, object]:
        return {"id": self.id, "timeout_ms": milliseconds("timeout", timeout)}

    def _value(self, answer: Any) -> R:
        state, error = answer["state"], answer["error"]
        if state != "completed":
            said = error or "no error was recorded"
            raise JobFailedError(f"job {self.id} has no result: it is {state} ({said})", state, error)
        value: R = answer["result"]
        return value if self._decode is None else self._decode(value)

    async def info(self) -> dict[str, Any]:
        """The job as it stands now, with the columns of the view ``lavoro.jobs``."""
        return _info(await self._app._call("job.info", {"id": self.id}))

    def info_sync(self) -> dict[str, Any]:
        """As info()."""
        return _info(self._app._call_sync("job.info", {"id": self.id}))

    async def state(self) -> str:
        """``scheduled``, ``available``, ``running``, ``retrying``, ``completed``, ``cancelled`` or
        ``discarded``."""
        return _state(await self._app._call("job.state", {"id": self.id}))

    def state_sync(self) -> str:
        """As state()."""
        return _state(self._app._call_sync("job.state", {"id": self.id}))

    async def cancel(self) -> str:
        """Cancels the job: at once if it waits; a running handler is told to stop.

        Returns:
            Its state then; ``running`` means that its handler has yet to stop.
        """
        return _state(await self._app._call("job.cancel", {"id": self.id}))

    def cancel_sync(self) -> str:
        """As cancel()."""
        return _state(self._app._call_sync("job.cancel", {"id": self.id}))

    async def retry(self) -> None:
        """Makes the job available now; one that has ended gets one more attempt.

        Raises:
            InvalidStateError: It runs.
        """
        await self._app._call("job.retry", {"id": self.id})

    def retry_sync(self) -> None:
        """As retry()."""
        self._app._call_sync("job.retry", {"id": self.id})

    async def delete(self) -> None:
        """Deletes the job and its history.

        Raises:
            InvalidStateError: It runs.
        """
        await self._app._call("job.delete", {"id": self.id})

    def delete_sync(self) -> None:
        """As delete()."""
        self._app._call_sync("job.delete", {"id": self.id})

    async def edit(self, **changes: Any) -> None:
        """Changes the job while it waits: ``payload``, ``queue``, ``priority``, ``delay``, ``run_at``.

        Raises:
            InvalidStateError: It runs or has ended.
        """
        await self._app._call("job.edit", {"id": self.id, "edit": edit_of(changes)})

    def edit_sync(self, **changes: Any) -> None:
        """As edit()."""
        self._app._call_sync("job.edit", {"id": self.id, "edit": edit_of(changes)})

    async def why(self) -> dict[str, Any]:
        """Why the job does not run: ``state``, ``reason``, ``message`` and details."""
        return dict(await self._app._call("job.why", {"id": self.id}))

    def why_sync(self) -> dict[str, Any]:
        """As why()."""
        return dict(self._app._call_sync("job.why", {"id": self.id}))

    async def logs(self, *, after: Optional[int] = None, limit: int = 100) -> list[dict[str, Any]]:
        """Lines of the job's log, oldest first: ``id``, ``logged_at``, ``attempt``, ``line``."""
        return list(await self._app._call("job.logs", self._page(after, limit)))

    def logs_sync(self, *, after: Optional[int] = None, limit: int = 100) -> list[dict[str, Any]]:
        """As logs()."""
        return list(self._app._call_sync("job.logs", self._page(after, limit)))

    def _page(self, after: Optional[int], limit: int) -> dict[str, object]:
        return {"id": self.id, "after": after, "limit": limit}


def _info(answer: Any) -> dict[str, Any]:
    info = dict(answer)
    info["id"] = int(info["id"])
    return info


def _state(answer: Any) -> str:
    return str(answer["state"])


def edit_of(changes: dict[str, Any]) -> dict[str, object]:
    """Changes to a waiting job as the native half reads them."""
    from ._options import job_options
    from ._payload import to_json

    shown = job_options({key: value for key, value in changes.items() if key != "payload"})
    if "payload" in changes:
        shown["payload"] = json.loads(to_json("payload", changes["payload"]))
    return shown
