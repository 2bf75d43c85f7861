"""Enqueueing and completing on the caller's own connection, in its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidOptionError
from .handle import JobHandle

if TYPE_CHECKING:
    from .app import Lavoro
    from .task import Task


async def enqueue_in(
    task: Task[..., Any], connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """Enqueues a job of a task with the connection's driver."""
    raise _unknown(connection)


def enqueue_in_sync(
    task: Task[..., Any], connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """As enqueue_in()."""
    raise _unknown(connection)


async def enqueue_named_in(
    app: Lavoro, task: str, connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """Enqueues a job by its task's name with the connection's driver."""
    raise _unknown(connection)


def enqueue_named_in_sync(
    app: Lavoro, task: str, connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """As enqueue_named_in()."""
    raise _unknown(connection)


def _unknown(connection: Any) -> InvalidOptionError:
    return InvalidOptionError(f"connection is a {type(connection).__name__}: it is not known")
