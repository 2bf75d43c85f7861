"""For the tests of applications: run jobs in the test itself, and see what was enqueued.

Everything runs on the real engine and a real database: what passes here behaves alike in
production. Nothing runs in the background, and nothing waits for a clock. With pytest the plugin
that comes with the package does the rest; see the fixture ``lavoro_kit``.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from . import _native
from ._attempt import Attempt, Handler, Said
from ._options import as_json
from ._payload import to_json
from ._processes import Processes
from ._spans import Span, instant, milliseconds
from ._threads import Threads
from ._waiting import ask
from .handle import JobFailedError

if TYPE_CHECKING:
    from .app import Lavoro
    from .task import Task

__all__ = ["Drained", "Failed", "Kit", "redirected"]

T = TypeVar("T")

_WAITING = ("scheduled", "available", "retrying")
_LOOKED_AT = 10_000
_LISTED = 20
_GLANCE = 0.05


@dataclass(frozen=True)
class Failed:
    """An attempt that failed.

    Attributes:
        job: The job's number.
        task: Its task.
        attempt: Which attempt it was, from 1.
        message: What the handler raised, with its traceback.
    """

    job: int
    task: str
    attempt: int
    message: str


@dataclass(frozen=True)
class Drained:
    """What became of the jobs that a drain ran.

    Attributes:
        attempts: How many attempts ran.
        completed, cancelled, discarded: How many of the jobs have ended so.
        waiting: How many wait for a later time, after a failure or a snooze.
        failures: The attempts that failed, in their order.
    """

    attempts: int
    completed: int
    cancelled: int
    discarded: int
    waiting: int
    failures: list[Failed]


class Kit:
    """Runs the jobs of an application, and looks at them. Methods that run or look have a twin
    that ends in ``_sync``, for tests without an event loop.

    Args:
        app: The application. Its database should be the test's alone: a drain runs every job
            that it finds.
    """

    def __init__(self, app: Lavoro) -> None:
        self.app = app
        self._at: Optional[datetime] = None

    # Time.

    @property
    def now(self) -> datetime:
        """What time it is for drains: the real one, unless it was frozen."""
        return datetime.now(timezone.utc) if self._at is None else self._at

    def freeze(self, at: datetime) -> None:
        """Makes it another time, which stands still: drains run what is due by then, also jobs
        that wait after a failure or a snooze. Times that the database writes down, such as that of
        the next retry, still count from the real time.

        Args:
            at: A datetime with a time zone.
        """
        self._at = datetime.fromisoformat(instant("at", at))

    def travel(self, span: Span) -> None:
        """Goes on in time, and freezes it there: ``kit.travel("1 day")``."""
        self._at = self.now + timedelta(milliseconds=milliseconds("span", span))

    # Running.

    async def drain(self, *, limit: Optional[int] = None) -> Drained:
        """Runs every job that may run, of all queues but paused ones, one after another, until
        none is left: also those that handlers enqueue meanwhile. That a handler fails is no
        error: see ``failures``.

        Args:
            limit: Ends with an error after so many attempts. Default: 10 000.

        Raises:
            InvalidStateError: A job has no handler, or the limit is reached.
        """
        drainer = await self._drainer()
        if limit is not None:
            await ask(drainer.limit(limit))
        async with _Bench(self.app) as bench:
            try:
                while True:
                    job = await ask(drainer.next())
                    if job is None:
                        break
                    await ask(drainer.finish(job, await bench.run(job)))
            finally:
                drained = _drained(await ask(drainer.end()))
        return drained

    def drain_sync(self, *, limit: Optional[int] = None) -> Drained:
        """As drain()."""
        return _in_a_loop(lambda: self.drain(limit=limit))

    async def run(self, job: int) -> None:
        """Runs this very job, one attempt, whatever else waits and whatever its delay.

        Args:
            job: Its number.

        Raises:
            JobFailedError: The attempt failed; the message holds the traceback.
            InvalidStateError: The job does not wait, or has no handler.
        """
        drainer = await self._drainer()
        async with _Bench(self.app) as bench:
            try:
                taken = await ask(drainer.take(job))
                await ask(drainer.finish(taken, await bench.run(taken)))
            finally:
                drained = _drained(await ask(drainer.end()))
        for failed in drained.failures:
            state = "retrying" if drained.waiting else "discarded"
            raise JobFailedError(f"job {job} failed: {failed.message}", state, failed.message)

    def run_sync(self, job: int) -> None:
        """As run()."""
        _in_a_loop(lambda: self.run(job))

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Within this, a job runs before its enqueue returns, in one attempt. The enqueue raises
        JobFailedError if that fails. Jobs with a delay run too; bulk enqueues and those on a
        connection of the caller's are left for drain()."""
        app = self.app
        enqueue, enqueue_sync = app._enqueue, app._enqueue_sync

        async def run(task: str, payload: bytes, options: bytes) -> tuple[int, bool]:
            enqueued = await enqueue(task, payload, options)
            if enqueued[1]:
                await self.run(enqueued[0])
            return enqueued

        def run_sync(task: str, payload: bytes, options: bytes) -> tuple[int, bool]:
            enqueued = enqueue_sync(task, payload, options)
            if enqueued[1]:
                self.run_sync(enqueued[0])
            return enqueued

        app._enqueue, app._enqueue_sync = run, run_sync  # type: ignore[method-assign]
        try:
            yield
        finally:
            del app._enqueue, app._enqueue_sync

    async def _drainer(self) -> _native.Drainer:
        client = await self.app.connect()
        tasks = {name: task._defaults.get("backoff") for name, task in self.app.tasks.items()}
        backoff = {name: each for name, each in tasks.items() if each is not None}
        options = {"language": "python", "tasks": list(tasks), "backoff": backoff or None}
        drainer = client.drainer(as_json(options))
        if self._at is not None:
            await ask(drainer.at(self._at.isoformat()))
        return drainer

    # Looking.

    async def enqueued(
        self, task: Union[str, Task[..., Any], None] = None, **like: Any
    ) -> list[dict[str, Any]]:
        """The jobs that wait, newest first: ``id``, ``task``, ``payload``, ``queue`` and what else
        a job has. For the arguments see assert_enqueued()."""
        return _matching(await self.app.jobs.list(**_filter(task, like)), like)

    def enqueued_sync(
        self, task: Union[str, Task[..., Any], None] = None, **like: Any
    ) -> list[dict[str, Any]]:
        """As enqueued()."""
        return _matching(self.app.jobs.list_sync(**_filter(task, like)), like)

    async def assert_enqueued(
        self, task: Union[str, Task[..., Any]], *, count: Optional[int] = None, **like: Any
    ) -> list[dict[str, Any]]:
        """Fails the test unless such jobs wait; answers them, newest first. The failure lists
        what is enqueued instead.

        Args:
            task: The task or its name.
            count: Exactly so many. Default: at least one.
            **like: ``payload``, which the job's must contain as PostgreSQL's ``@>`` has it (an
                object has these keys with values that contain these; an array, these items);
                ``queue``; ``unique_key``; ``state``, which may also be one of those that have ended.

        Raises:
            AssertionError: There are none, or not as many.
        """
        found = await self.enqueued(task, **like)
        if not (bool(found) if count is None else len(found) == count):
            raise AssertionError(_message(task, count, like, found, await self.enqueued()))
        return found

    def assert_enqueued_sync(
        self, task: Union[str, Task[..., Any]], *, count: Optional[int] = None, **like: Any
    ) -> list[dict[str, Any]]:
        """As assert_enqueued()."""
        found = self.enqueued_sync(task, **like)
        if not (bool(found) if count is None else len(found) == count):
            raise AssertionError(_message(task, count, like, found, self.enqueued_sync()))
        return found

    async def refute_enqueued(self, task: Union[str, Task[..., Any]], **like: Any) -> None:
        """Fails the test if such a job waits."""
        await self.assert_enqueued(task, count=0, **like)

    def refute_enqueued_sync(self, task: Union[str, Task[..., Any]], **like: Any) -> None:
        """As refute_enqueued()."""
        self.assert_enqueued_sync(task, count=0, **like)


class _Bench:
    """What an attempt needs of a worker, without one."""

    _stopping = None

    def __init__(self, app: Lavoro) -> None:
        self.app = app
        self._outcomes: list[tuple[_native.Job, Said]] = []

    async def __aenter__(self) -> _Bench:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._threads = Threads()
        self._children = Processes(1, 1000)
        self._lifespan = None if self.app._lifespan is None else self.app._lifespan(self.app)
        if self._lifespan is not None:
            await self._lifespan.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        if self._lifespan is not None:
            await self._lifespan.__aexit__(*raised)
        self._children.close()
        self._threads.close()

    def _over(self, handler: Handler, outcomes: list[tuple[_native.Job, Said]]) -> None:
        self._outcomes = outcomes

    async def run(self, job: _native.Job) -> Said:
        """Runs the handler, and stops it where a worker would."""
        handler = Handler(self.app.tasks[job.task])
        attempt: Any = Attempt(self, handler, [job])  # type: ignore[arg-type]
        running = asyncio.ensure_future(attempt.run())
        try:
            while not (await asyncio.wait([running], timeout=_GLANCE))[0]:
                if job.stop_reason is not None:
                    running.cancel()
        except asyncio.CancelledError:
            running.cancel()
            raise
        return self._outcomes[0][1]


def _in_a_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs this in an event loop of its own; in another thread where this one has one already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.extend((asyncio.run(work()), None))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            ended.extend((None, error))

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,))
    thread.start()
    thread.join()
    if ended[1] is not None:
        raise ended[1]
    answer: T = ended[0]
    return answer


def _drained(answer: Any) -> Drained:
    read = json.loads(answer)
    failures = [Failed(**{**each, "job": int(each["job"])}) for each in read.pop("failures")]
    return Drained(**read, failures=failures)


def _name(task: Union[str, Task[..., Any]]) -> str:
    return task if isinstance(task, str) else task.name


def _filter(task: Union[str, Task[..., Any], None], like: Mapping[str, Any]) -> dict[str, Any]:
    for key in like:
        if key not in ("payload", "queue", "state", "unique_key"):
            raise TypeError(f"jobs are not told by {key!r}: payload, queue, state, unique_key")
    name = None if task is None else _name(task)
    asked = {"task": name, "queue": like.get("queue"), "state": like.get("state")}
    return {**{key: each for key, each in asked.items() if each is not None}, "limit": _LOOKED_AT}


def _matching(jobs: list[dict[str, Any]], like: Mapping[str, Any]) -> list[dict[str, Any]]:
    if like.get("state") is None:
        jobs = [job for job in jobs if job["state"] in _WAITING]
    if like.get("unique_key") is not None:
        jobs = [job for job in jobs if job.get("unique_key") == like["unique_key"]]
    if "payload" in like:
        part = json.loads(to_json("payload", like["payload"]))
        jobs = [job for job in jobs if contains(job["payload"], part)]
    return jobs


def contains(whole: Any, part: Any) -> bool:
    """Whether a JSON value contains another, as PostgreSQL's ``@>`` has it."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and contains(whole[key], each) for key, each in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return all(any(contains(mine, each) for mine in whole) for each in part)
    if isinstance(whole, bool) or isinstance(part, bool):
        return whole is part
    return bool(whole == part)


def _message(
    task: Union[str, Task[..., Any]],
    count: Optional[int],
    like: Mapping[str, Any],
    found: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> str:
    wanted = "at least 1" if count is None else str(count)
    told = "".join(f", {key} {each!r}" for key, each in like.items())
    shown = others[:_LISTED]
    lines = [
        f"\n  {job['id']}: task {job['task']!r} in queue {job['queue']!r}, {job['state']}: "
        f"{json.dumps(job['payload'], ensure_ascii=False)[:200]}"
        for job in shown
    ]
    if len(others) > len(shown):
        lines.append(f"\n  and {len(others) - len(shown)} more")
    there = "; enqueued are:" + "".join(lines) if lines else "; nothing is enqueued"
    return f"expected {wanted} of task {_name(task)!r}{told}, found {len(found)}{there}"


@contextmanager
def redirected(app: Lavoro, url: str, schema: str) -> Iterator[Lavoro]:
    """Within this, the application uses another database and schema, which is made if need be.
    Not while a worker of it runs."""
    options, native, closed = dict(app._options), app._native, app._closed
    app._options.update(url=url, schema=schema, migrate=True)
    app._native, app._closed = None, False
    try:
        yield app
    finally:
        app.close_sync()
        app._options, app._native, app._closed = options, native, closed
