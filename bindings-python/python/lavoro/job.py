"""The job that a handler runs."""

from __future__ import annotations

import json
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from . import _native
from ._spans import parse_instant
from ._waiting import ask
from .errors import InvalidStateError

if TYPE_CHECKING:
    from .app import Lavoro

__all__ = ["Job", "JobCancelled", "Slot", "current_job"]


class JobCancelled(BaseException):
    """The handler should stop; see Job.check(). Let it pass.

    Derived from BaseException, so that ``except Exception`` does not swallow it.
    """


class Slot(NamedTuple):
    """The schedule that a job comes from, and the instant that it stands for."""

    schedule: str
    instant: datetime


class Job:
    """A job that a worker holds. Usable from any thread.

    A handler is given it by a parameter annotated ``lavoro.Job``, or takes it from
    ``lavoro.current_job()``.
    """

    __slots__ = ("_app", "_native", "_payload")

    def __init__(self, app: Lavoro, native: _native.Job) -> None:
        self._app = app
        self._native = native
        self._payload: Any = _native

    def __repr__(self) -> str:
        return f"<lavoro.Job {self.id} {self.task!r} attempt {self.attempt}>"

    @property
    def id(self) -> int:
        """The job's number: the key that makes effects outside the database idempotent."""
        return self._native.id

    @property
    def token(self) -> str:
        """The token of the lease under which this attempt runs."""
        return self._native.token

    @property
    def app(self) -> Lavoro:
        """The application that the job came to."""
        return self._app

    @property
    def task(self) -> str:
        """The task's name."""
        return self._native.task

    @property
    def queue(self) -> str:
        """The queue."""
        return self._native.queue

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._native.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts the job has in all."""
        return self._native.max_attempts

    @property
    def priority(self) -> int:
        """The priority."""
        return self._native.priority

    @property
    def suspect(self) -> bool:
        """Whether the job was leased beside a crash, and runs alone among its kind here."""
        return self._native.suspect

    @property
    def payload(self) -> Any:
        """The payload as JSON has it."""
        if self._payload is _native:
            self._payload = json.loads(self._native.payload)
        return self._payload

    @property
    def tags(self) -> list[str]:
        """The labels."""
        return self._native.tags

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata; empty if there is none."""
        text = self._native.metadata
        return {} if text is None else dict(json.loads(text))

    @property
    def created_at(self) -> datetime:
        """When the job was enqueued, by the server's clock; UTC."""
        return parse_instant(self._native.created_at)

    @property
    def claimed_at(self) -> datetime:
        """When this attempt was claimed, by the server's clock; UTC."""
        return parse_instant(self._native.claimed_at)

    @property
    def timeout(self) -> Optional[float]:
        """How long this attempt may take, in seconds, if it is limited."""
        return self._native.timeout

    @property
    def slot(self) -> Optional[Slot]:
        """The schedule that the job was enqueued for, if it was."""
        slot = self._native.slot
        return None if slot is None else Slot(slot[0], parse_instant(slot[1]))

    @property
    def traceparent(self) -> Optional[str]:
        """The trace that the job was enqueued in (W3C)."""
        return self._native.traceparent

    @property
    def tracestate(self) -> Optional[str]:
        """What vendors add to the trace (W3C)."""
        return self._native.tracestate

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop, for whatever reason. An async handler is cancelled by
        itself; one in a thread looks at this now and then, or calls check()."""
        return self._native.stop_reason is not None

    @property
    def stop_reason(self) -> Optional[str]:
        """Why the handler should stop: ``cancelled``, ``timeout``, ``shutdown``, ``lost_contact``
        or ``lost_lease``. None: it should not."""
        return self._native.stop_reason

    def check(self) -> None:
        """Raises JobCancelled if the handler should stop."""
        reason = self._native.stop_reason
        if reason is not None:
            raise JobCancelled(reason)

    def progress(
        self, percent: Optional[float] = None, message: Optional[str] = None, data: Any = None
    ) -> None:
        """Says how far the job has come. Never waits; only the last word counts.

        Args:
            percent: From 0 to 100.
            message: For people, at most 16 KiB.
            data: For programs: anything that can be written as JSON.

        Raises:
            InvalidOptionError: The percentage is out of its range.
            InvalidPayloadError: The data cannot be written as JSON.
        """
        self._native.progress(percent, message, None if data is None else _text("data", data))

    async def complete(self, result: Any = None, *, connection: Any) -> None:
        """Completes the job in the caller's own transaction: its effects and the completion
        commit together or not at all. Return from the handler after the commit; what it returns
        then changes nothing. Keep the transaction short: until it ends, the job can be neither
        ended otherwise nor rescued.

        Args:
            result: What ``result()`` of the job's handle answers.
            connection: An asyncpg, psycopg or SQLAlchemy connection or session that is awaited.

        Raises:
            StaleLeaseError: This attempt is not the job's current one any more. Let it pass, so
                that the transaction rolls back. Above ``read committed`` the driver's failure to
                serialise may come in its place.
            InvalidPayloadError: The result cannot be written as JSON.
        """
        from ._transactions import complete_in

        await complete_in(self, connection, result)

    def complete_sync(self, result: Any = None, *, connection: Any) -> None:
        """As complete(), for psycopg, psycopg2, SQLAlchemy and Django."""
        from ._transactions import complete_in_sync

        complete_in_sync(self, connection, result)

    def log(self, line: str) -> None:
        """Adds a line to the job's log. Never waits. At most 1000 lines of 4 KiB per attempt."""
        self._native.log(line)

    async def save_checkpoint(self, data: Any) -> None:
        """Saves what the next attempt needs to go on from here; at most 1 MiB as JSON. When this
        returns, it is committed.

        Raises:
            StaleLeaseError: Another worker has the job: stop.
        """
        await ask(self._native.save_checkpoint(_text("checkpoint", data)))

    def save_checkpoint_sync(self, data: Any) -> None:
        """As save_checkpoint()."""
        self._native.save_checkpoint(_text("checkpoint", data)).wait()

    async def checkpoint(self) -> Any:
        """What was saved last, by this attempt or one before it; None: nothing."""
        return _value(await ask(self._native.checkpoint()))

    def checkpoint_sync(self) -> Any:
        """As checkpoint()."""
        return _value(self._native.checkpoint().wait())


def _text(what: str, data: Any) -> str:
    from ._payload import to_json

    return to_json(what, data).decode()


def _value(text: Optional[str]) -> Any:
    return None if text is None else json.loads(text)


_current: ContextVar[Job] = ContextVar("lavoro_job")


def current_job() -> Job:
    """The job whose handler is running here.

    Raises:
        InvalidStateError: None is.
    """
    job = _current.get(None)
    if job is None:
        raise InvalidStateError("no job is running here: current_job() is for handlers")
    return job
