"""The application: one database, and the tasks whose jobs go there."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Optional, TypeVar, overload

from . import _native
from ._options import JobOptions, as_json, job_options
from ._spans import Span, milliseconds
from ._waiting import ask
from .errors import ClosedError, DuplicateHandlerError, InvalidOptionError
from .handle import JobHandle
from .task import Task, payload_json
from .telemetry import traced

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec, Unpack

    from ._admin import Jobs, Locks, Queues, Retention, Schedules
    from .job import Job
    from .lock import LockMaker
    from .schedule import ScheduleOptions
    from .worker import Middleware, Worker, WorkerOptions

    P = ParamSpec("P")

__all__ = ["Lavoro"]

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_apps: weakref.WeakSet[Lavoro] = weakref.WeakSet()


class Lavoro:
    """One database and schema, and the tasks of an application. Usable from any thread and any
    event loop. Connects when it is first used.

    After a fork the child opens connections of its own when it first uses this; what the parent
    has under way (workers, locks, calls) stays the parent's.

    Args:
        url: ``postgres://…``, ``embedded:`` (a private server with its data in ``.lavoro/``) or
            ``memory:`` (a throw-away server). Default: the first of ``LAVORO_DATABASE_URL``,
            ``DATABASE_URL`` and ``embedded:`` with a warning.
        schema: The schema of Lavoro's tables. Default: ``LAVORO_SCHEMA``, else ``lavoro``.
        pool_size: How many connections it may open, 1 to 100. Default: 4.
        transaction_pooler: Whether PgBouncer in transaction mode lies between.
        maintenance: Whether this client promotes and rescues jobs as a worker does.
        migrate: Whether to create or upgrade the schema on connecting. Default: only on
            ``embedded:`` and ``memory:``.
        warn_unhandled: Whether to warn of jobs that no worker handles. Default: True.
        enqueue_timeout: How long an enqueue is tried again while the database does not answer.
            Default: 30 s.
        statement_timeout: How long to wait for one statement. Default: 30 s.
        timing: Spans by name: ``heartbeat``, ``lease``, ``scan``, ``poll``, ``prune``, ``tally``.
        lifespan: An async context manager function, given the app, that is entered around each
            worker: for what its handlers share.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        schema: Optional[str] = None,
        pool_size: Optional[int] = None,
        transaction_pooler: Optional[bool] = None,
        maintenance: Optional[bool] = None,
        migrate: Optional[bool] = None,
        warn_unhandled: Optional[bool] = None,
        enqueue_timeout: Optional[Span] = None,
        statement_timeout: Optional[Span] = None,
        timing: Optional[Mapping[str, Span]] = None,
        lifespan: Optional[Callable[[Lavoro], Any]] = None,
    ) -> None:
        options: dict[str, object] = {
            "url": url,
            "schema": schema,
            "pool_size": pool_size,
            "transaction_pooler": transaction_pooler,
            "maintenance": maintenance,
            "migrate": migrate,
            "warn_unhandled": warn_unhandled,
            "timing": None if timing is None else shown_timing(timing),
        }
        spans = {"enqueue_timeout": enqueue_timeout, "statement_timeout": statement_timeout}
        for key, span in spans.items():
            if span is not None:
                options[f"{key}_ms"] = milliseconds(key, span)
        self._options = options
        self._tasks: dict[str, Task[..., Any]] = {}
        self._declared: dict[str, dict[str, object]] = {}
        self._middleware: list[Middleware] = []
        self._lifespan = lifespan
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._native: Optional[_native.Client] = None
        self._closed = False
        _apps.add(self)

    def __repr__(self) -> str:
        # Without the URL, which may hold a password.
        return f"<lavoro.Lavoro with {len(self._tasks)} tasks>"

    # Connecting.

    def connect_sync(self) -> _native.Client:
        """Connects, if it has not: to fail early rather than at the first use.

        Raises:
            LavoroError: ConnectionFailedError, SchemaMissingError and others: what is wrong with
                the URL or the database.
        """
        client = self._native
        if client is not None and self._process == os.getpid():
            return client
        with self._lock:
            if self._closed:
                raise ClosedError("the application has been closed")
            if self._native is None or self._process != os.getpid():
                self._process = os.getpid()
                client = _native.connect(as_json(self._options)).wait()
                # A server of our own is joined by forked processes, not started again.
                self._options["url"] = client.url
                self._native = client
            return self._native

    async def connect(self) -> _native.Client:
        """As connect_sync()."""
        client = self._native
        if client is not None and self._process == os.getpid():
            return client
        return await asyncio.get_running_loop().run_in_executor(None, self.connect_sync)

    @property
    def url(self) -> str:
        """The URL that other programs reach the database under. It may hold a password. Connects
        if need be."""
        return self.connect_sync().url

    @property
    def schema(self) -> str:
        """The schema. Connects if need be."""
        return self.connect_sync().schema

    def close_sync(self) -> None:
        """Closes all connections, after what is being enqueued has been committed; a server that
        was started for this application is stopped. Calls after that raise ClosedError."""
        with self._lock:
            client, self._native, self._closed = self._native, None, True
        if client is not None and self._process == os.getpid():
            client.close().wait()

    async def close(self) -> None:
        """As close_sync()."""
        await asyncio.get_running_loop().run_in_executor(None, self.close_sync)

    def __enter__(self) -> Lavoro:
        self.connect_sync()
        return self

    def __exit__(self, *_: object) -> None:
        self.close_sync()

    async def __aenter__(self) -> Lavoro:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _after_fork(self) -> None:
        # Whoever held the lock is not here.
        self._lock = threading.Lock()

    # Tasks.

    @overload
    def task(self, function: Callable[Concatenate[Job, P], Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[Job, P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        *,
        name: Optional[str] = None,
        concurrency: Optional[int] = None,
        process: bool = False,
        batch: Optional[int] = None,
        **options: Unpack[JobOptions],
    ) -> _Decorator: ...
    def task(  # type: ignore[misc]  # mypy does not match the options with **given
        self, function: Optional[Callable[..., Any]] = None, /, **given: Any
    ) -> Any:
        """Makes a function the handler of a task.

        An ``async def`` runs on the event loop of the worker; a ``def`` in a thread, with a copy
        of the context; with ``process=True`` in a process of its own kind, which is killed when
        its attempt is over.

        Args:
            name: The task's name. Default: the function's.
            concurrency: How many of its jobs may run at once in one worker. Jobs beyond that
                wait in the worker, and take up slots of their queue.
            process: Run it in another process, for work that keeps a CPU busy, or must be
                killed on timeout. The function must be found by its module and name.
            batch: Give the function a list of up to so many jobs in one call; it returns a
                list of as many results, or None for all done.
            **options: What holds for its jobs unless enqueue says otherwise; see JobOptions.

        Raises:
            DuplicateHandlerError: The application has a task of this name.
            InvalidOptionError: An option that does not exist, or does not fit.
        """
        if function is not None:
            return self._add_task(function, **given)
        return lambda function: self._add_task(function, **given)

    def _add_task(
        self,
        function: Callable[..., Any],
        *,
        name: Optional[str] = None,
        concurrency: Optional[int] = None,
        process: bool = False,
        batch: Optional[int] = None,
        **options: Any,
    ) -> Task[..., Any]:
        name = name or function.__name__
        if name in self._tasks:
            raise DuplicateHandlerError(f"task {name!r} has two handlers in this application")
        for key, number in (("concurrency", concurrency), ("batch", batch)):
            if number is not None and not 1 <= number <= 10_000:
                raise InvalidOptionError(f"{key} of task {name!r} is {number}: it takes 1 to 10000")
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004
        )
        if process and (is_async or batch is not None):
            raise InvalidOptionError(f"task {name!r}: a process runs a def, one job at a time")
        runs = "process" if process else "async" if is_async else "thread"
        task: Task[..., Any] = Task(self, function, name, runs, options, concurrency, batch)
        self._tasks[name] = task
        return task

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The tasks by name."""
        return dict(self._tasks)

    def middleware(self, function: F) -> F:
        """Puts code around every handler but those of batches: ``async def m(job, call_next)``
        awaits ``call_next()`` for the handler's result, and returns the result. Any number; the
        first registered is the outermost. It runs on the event loop, whatever the handler."""
        self._middleware.append(function)
        return function

    # Enqueueing.

    async def enqueue(
        self, task: str, payload: Any = None, *, connection: Any = None, **options: Unpack[JobOptions]
    ) -> JobHandle[Any]:
        """Enqueues a job by its task's name: for handlers in another language.

        Args:
            task: The task's name.
            payload: Anything that can be written as JSON.
            connection: Enqueue on this connection or session, in its transaction.
            **options: See JobOptions.

        Raises:
            LavoroError: InvalidPayloadError and others: what is wrong with the job; or with
                the database.
        """
        text, shown = payload_json(task, payload), as_json(job_options(options))
        if connection is not None:
            from ._transactions import enqueue_named_in

            return await enqueue_named_in(self, task, connection, text, shown)
        return JobHandle(self, *await self._enqueue(task, text, shown))

    def enqueue_sync(
        self, task: str, payload: Any = None, *, connection: Any = None, **options: Unpack[JobOptions]
    ) -> JobHandle[Any]:
        """As enqueue()."""
        text, shown = payload_json(task, payload), as_json(job_options(options))
        if connection is not None:
            from ._transactions import enqueue_named_in_sync

            return enqueue_named_in_sync(self, task, connection, text, shown)
        return JobHandle(self, *self._enqueue_sync(task, text, shown))

    async def enqueue_many(self, jobs: Iterable[Mapping[str, Any]]) -> list[JobHandle[Any]]:
        """Enqueues many jobs: dicts of ``task``, ``payload`` and options of JobOptions. Those
        without unique keys are committed together or not at all."""
        text = many_json(jobs)
        return [JobHandle(self, *each) for each in await self._enqueue_many(text)]

    def enqueue_many_sync(self, jobs: Iterable[Mapping[str, Any]]) -> list[JobHandle[Any]]:
        """As enqueue_many()."""
        return [JobHandle(self, *each) for each in self._enqueue_many_sync(many_json(jobs))]

    def job(self, id: int) -> JobHandle[Any]:
        """A handle on a job by its number, without asking the database."""
        return JobHandle(self, int(id))

    async def _enqueue(self, task: str, payload: bytes, options: bytes) -> tuple[int, bool]:
        client = self._native
        if client is None or self._process != os.getpid():
            client = await self.connect()
        enqueued: tuple[int, bool] = await ask(client.enqueue(task, payload, traced(options)))
        return enqueued

    def _enqueue_sync(self, task: str, payload: bytes, options: bytes) -> tuple[int, bool]:
        enqueued: tuple[int, bool] = (
            self.connect_sync().enqueue(task, payload, traced(options)).wait()
        )
        return enqueued

    async def _enqueue_many(self, jobs: bytes) -> list[tuple[int, bool]]:
        return list(await ask((await self.connect()).enqueue_many(jobs)))

    def _enqueue_many_sync(self, jobs: bytes) -> list[tuple[int, bool]]:
        return list(self.connect_sync().enqueue_many(jobs).wait())

    # Everything else, by name.

    async def _call(self, method: str, arguments: Mapping[str, object]) -> Any:
        client = await self.connect()
        return json.loads(await ask(client.call(method, json.dumps(arguments).encode())))

    def _call_sync(self, method: str, arguments: Mapping[str, object]) -> Any:
        client = self.connect_sync()
        return json.loads(client.call(method, json.dumps(arguments).encode()).wait())

    @property
    def jobs(self) -> Jobs:
        """Jobs by filter: list, count, cancel, retry, delete, edit."""
        from ._admin import Jobs

        return Jobs(self)

    @property
    def queues(self) -> Queues:
        """Queues: list, pause, resume, rename, clear."""
        from ._admin import Queues

        return Queues(self)

    @property
    def schedules(self) -> Schedules:
        """Stored schedules: list, show, pause, resume, run, remove."""
        from ._admin import Schedules

        return Schedules(self)

    @property
    def locks(self) -> Locks:
        """The locks that are held: list, force_release."""
        from ._admin import Locks

        return Locks(self)

    @property
    def retention(self) -> Retention:
        """How long ended jobs are kept."""
        from ._admin import Retention

        return Retention(self)

    async def workers(self, *, all: bool = False) -> list[dict[str, Any]]:
        """The workers that live; with ``all`` also those that ended not long ago."""
        return list(await self._call("workers.list", {"all": all}))

    def workers_sync(self, *, all: bool = False) -> list[dict[str, Any]]:
        """As workers()."""
        return list(self._call_sync("workers.list", {"all": all}))

    async def unhandled(self) -> list[dict[str, Any]]:
        """Waiting jobs that no live worker handles, by queue and task."""
        return list(await self._call("unhandled", {}))

    def unhandled_sync(self) -> list[dict[str, Any]]:
        """As unhandled()."""
        return list(self._call_sync("unhandled", {}))

    async def statistics(self, window: Span = 600) -> list[dict[str, Any]]:
        """Figures by queue of the last ``window``."""
        return list(await self._call("statistics", _window(window)))

    def statistics_sync(self, window: Span = 600) -> list[dict[str, Any]]:
        """As statistics()."""
        return list(self._call_sync("statistics", _window(window)))

    async def metrics(self, window: Span = 600) -> str:
        """The figures as OpenMetrics text."""
        return str((await self._call("metrics", _window(window)))["text"])

    def metrics_sync(self, window: Span = 600) -> str:
        """As metrics()."""
        return str(self._call_sync("metrics", _window(window))["text"])

    async def diagnose(self) -> list[dict[str, Any]]:
        """What is wrong with the database or its setting: ``check``, ``status``, ``message``."""
        return list(await self._call("diagnose", {}))

    def diagnose_sync(self) -> list[dict[str, Any]]:
        """As diagnose()."""
        return list(self._call_sync("diagnose", {}))

    async def migrate(self) -> list[int]:
        """Creates or upgrades the schema. Answers the versions that were applied."""
        return _applied(await ask(_native.migrate(as_json(self._options))))

    def migrate_sync(self) -> list[int]:
        """As migrate()."""
        return _applied(_native.migrate(as_json(self._options)).wait())

    # Schedules and locks.

    def schedule(self, **options: Unpack[ScheduleOptions]) -> Callable[[F], F]:
        """Runs a task by a schedule: above ``@app.task``, which makes the function a task.

        ::

            @app.schedule(cron="0 7 * * 1-5", tz="Europe/Rome")
            @app.task
            async def report() -> None: ...

        The schedule is stored when a worker starts, and outlives it. See ScheduleOptions.

        Raises:
            InvalidScheduleError, InvalidOptionError: It cannot be understood.
        """
        from .schedule import shown_schedule

        def declare(function: F) -> F:
            task = function if isinstance(function, Task) else self.task(function)
            shown = shown_schedule(task, options)
            name = str(shown["name"])
            if name in self._declared:
                raise InvalidOptionError(f"schedule {name!r} is declared twice")
            self._declared[name] = shown
            return task  # type: ignore[return-value]

        return declare

    def every(self, every: Span, /, **options: Unpack[ScheduleOptions]) -> Callable[[F], F]:
        """As schedule(), at an interval: ``@app.every("five minutes")``, ``"day"``, a timedelta."""
        options["every"] = every
        return self.schedule(**options)

    def lock(
        self,
        name: str,
        *,
        lifetime: Optional[Span] = None,
        wait: Optional[Span] = None,
        owner: Optional[str] = None,
    ) -> LockMaker:
        """A lock by its name, for ``with`` and ``async with``. Nothing is taken yet.

        Args:
            name: 1 to 255 bytes.
            lifetime: How long it lives when its holder cannot extend it. Default: 15 s.
            wait: How long to wait for it; 0 tries once. Default: 30 s.
            owner: What the holder is called in listings. Default: host:pid.
        """
        from .lock import LockMaker

        return LockMaker(self, name, lifetime, wait, owner)

    # Workers.

    def worker(self, **options: Unpack[WorkerOptions]) -> Worker:
        """A worker for the tasks of this application: ``async with app.worker(): …``. See
        WorkerOptions."""
        from .worker import Worker

        return Worker(self, **options)

    def run_worker(
        self, *, shutdown_timeout: Span = 30, **options: Unpack[WorkerOptions]
    ) -> int:
        """Runs a worker until SIGINT or SIGTERM: it claims no more then, and waits for running
        handlers at most as long as ``shutdown_timeout``. A second signal does not wait.

        Returns:
            0 if all handlers had returned in time, else 1; 3 if the worker was stuck: all its
            slots were held by handlers that did not return.
        """
        from .run import run_worker

        return run_worker(self, shutdown_timeout, options)


class _Decorator:
    """What ``app.task(…)`` answers: a type for checkers."""

    @overload
    def __call__(self, function: Callable[Concatenate[Job, P], Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Job, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, function: Any, /) -> Any:
        raise NotImplementedError


def shown_timing(timing: Mapping[str, Span]) -> dict[str, int]:
    """Spans of the clockwork as the native half reads them."""
    return {f"{key}_ms": milliseconds(f"timing.{key}", span) for key, span in timing.items()}


def many_json(jobs: Iterable[Mapping[str, Any]]) -> bytes:
    """Jobs by name as the native half reads them."""
    parts = []
    for place, job in enumerate(jobs):
        options = {key: value for key, value in job.items() if key not in ("task", "payload")}
        task = job.get("task")
        if not isinstance(task, (str, Task)):
            raise InvalidOptionError(f"job {place}: it names no task")
        name = task if isinstance(task, str) else task.name
        head = as_json({"task": name, **job_options(options)})
        parts.append(head[:-1] + b', "payload": ' + payload_json(name, job.get("payload")) + b"}")
    return b"[" + b",".join(parts) + b"]"


def _window(window: Span) -> dict[str, object]:
    return {"window_ms": milliseconds("window", window)}


def _applied(answer: Any) -> list[int]:
    return [int(version) for version in json.loads(answer)["applied"]]


@atexit.register
def _close_all() -> None:
    for app in list(_apps):
        if app._native is not None and app._process == os.getpid():
            app.close_sync()


def _forked() -> None:
    for app in list(_apps):
        app._after_fork()


os.register_at_fork(after_in_child=_forked)
