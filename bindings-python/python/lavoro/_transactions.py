"""Enqueueing and completing on the caller's own connection, in its transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._drivers import run, run_sync
from ._payload import to_json
from ._waiting import ask
from .errors import InvalidOptionError
from .handle import JobHandle

if TYPE_CHECKING:
    from .app import Lavoro
    from .job import Job
    from .task import Task


async def enqueue_in(
    task: Task[..., Any], connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """Enqueues a job of a task with the connection's driver."""
    client = await task.app.connect()
    call = await ask(client.call("enqueue_sql", _wanted(task.name, payload, options)))
    return task._handle(_enqueued(await run(connection, *_read(call))))


def enqueue_in_sync(
    task: Task[..., Any], connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """As enqueue_in()."""
    client = task.app.connect_sync()
    call = client.call("enqueue_sql", _wanted(task.name, payload, options)).wait()
    return task._handle(_enqueued(run_sync(connection, *_read(call))))


async def enqueue_named_in(
    app: Lavoro, task: str, connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """Enqueues a job by its task's name with the connection's driver."""
    client = await app.connect()
    call = await ask(client.call("enqueue_sql", _wanted(task, payload, options)))
    return JobHandle(app, *_enqueued(await run(connection, *_read(call))))


def enqueue_named_in_sync(
    app: Lavoro, task: str, connection: Any, payload: bytes, options: bytes
) -> JobHandle[Any]:
    """As enqueue_named_in()."""
    client = app.connect_sync()
    call = client.call("enqueue_sql", _wanted(task, payload, options)).wait()
    return JobHandle(app, *_enqueued(run_sync(connection, *_read(call))))


async def complete_in(job: Job, connection: Any, result: Any) -> None:
    """Completes a running job with the connection's driver."""
    client = await job.app.connect()
    await run(connection, *client.complete_sql(job._native, _result(result)))


def complete_in_sync(job: Job, connection: Any, result: Any) -> None:
    """As complete_in()."""
    client = job.app.connect_sync()
    run_sync(connection, *client.complete_sql(job._native, _result(result)))


def _wanted(task: str, payload: bytes, options: bytes) -> bytes:
    head = b'{"task":' + json.dumps(task).encode() + b',"payload":' + payload
    return head + (b',"options":' + options if options else b"") + b"}"


def _read(call: Any) -> tuple[str, list[Any]]:
    read = json.loads(call)
    return read["text"], read["parameters"]


def _enqueued(row: Any) -> tuple[int, bool]:
    if row is None:
        raise InvalidOptionError("the connection answered no row: does it belong to PostgreSQL?")
    return int(row[0]), bool(row[1])


def _result(result: Any) -> Any:
    # Unlike what a handler returns, this has not happened yet: it is refused, not noted.
    return None if result is None else to_json("result", result).decode()
