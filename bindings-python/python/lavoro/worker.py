"""Workers: they pull jobs from the engine, and have them run."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

from . import _native
from ._attempt import Attempt, Handler, given_up
from ._options import as_json, shown_backoff
from ._spans import Span, milliseconds
from ._threads import Threads
from ._waiting import ask, post_of
from .errors import InvalidStateError
from .job import Job

if TYPE_CHECKING:
    from .app import Lavoro
    from .task import Task

__all__ = ["Middleware", "Worker", "WorkerOptions"]

Middleware = Callable[[Job, Callable[[], Awaitable[Any]]], Awaitable[Any]]

logger = logging.getLogger("lavoro.worker")

# How many jobs are taken over at once.
_BATCH = 100
# How often running handlers are looked at, whether they should stop. Seconds.
_SWEEP = 0.05


class WorkerOptions(TypedDict, total=False):
    """How a worker works. Spans are seconds, timedeltas or words.

    Keys:
        queues: The queues it serves: how many of the jobs of each may run here at once, or
            ``{"concurrency", "weight"}``. A name that ends in ``*`` stands for all queues that
            begin alike. Default: ``{"default": 10}``.
        concurrency: How many jobs may run here at once over all queues.
        tasks: The tasks it takes, by name. Default: all of the application.
        name: Its name in listings. Default: host:pid.
        grace: How long handlers may go on after the limit of a stop. Default: none.
        continue_on_lost_contact: The tasks whose handlers run on when contact is lost.
        maintenance: Whether it promotes, rescues and prunes. Default: True.
        listen: Where to answer ``/health`` and ``/metrics``: ``127.0.0.1:9100``.
        stuck_after: When a handler that does not return counts as stuck. Default: 60 s.
        timing: Spans of the clockwork by name; see Lavoro.
        processes: How many processes run handlers of ``process=True``. Default: one per CPU.
        jobs_per_process: After how many jobs a process is replaced. Default: 1000.
    """

    queues: Mapping[str, Union[int, Mapping[str, int]]]
    concurrency: int
    tasks: Sequence[str]
    name: str
    grace: Span
    continue_on_lost_contact: Sequence[str]
    maintenance: bool
    listen: str
    stuck_after: Span
    timing: Mapping[str, Span]
    processes: int
    jobs_per_process: int


class Worker:
    """Runs the jobs of an application's tasks. Made by ``app.worker()``; started by
    ``async with``, or start() and stop(), on the event loop that its async handlers run on."""

    def __init__(self, app: Lavoro, **options: Any) -> None:
        self.app = app
        self._processes = options.pop("processes", None)
        self._jobs_per_process = options.pop("jobs_per_process", 1000)
        names = options.get("tasks")
        known = app._tasks
        self._tasks: dict[str, Task[..., Any]] = (
            dict(known) if names is None else {name: known[name] for name in names if name in known}
        )
        if names is not None and len(self._tasks) != len(set(names)):
            missing = sorted(set(names) - set(known))
            raise InvalidStateError(f"there are no tasks {', '.join(missing)} in the application")
        self._options = options
        self._native: Optional[_native.Worker] = None
        self._running: dict[_native.Job, asyncio.Task[None]] = {}
        self._outcomes: list[tuple[_native.Job, Optional[Union[str, bytes]]]] = []
        self._sweeper: Optional[asyncio.TimerHandle] = None
        self._stack: Optional[AsyncExitStack] = None
        self._stopping: Optional[asyncio.Task[bool]] = None

    def __repr__(self) -> str:
        return f"<lavoro.Worker {self.id if self._native else 'not started'}>"

    # Life.

    async def start(self) -> None:
        """Enters the application's lifespan, stores its schedules, and begins to claim jobs.

        Raises:
            InvalidStateError: It has been started before.
            LavoroError: InvalidOptionError and others: what is wrong with the options, or with
                the database.
        """
        if self._native is not None or self._stack is not None:
            raise InvalidStateError("the worker has been started before")
        self._stack = AsyncExitStack()
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            self._stack = None
            raise

    async def _open(self) -> None:
        assert self._stack is not None
        self._loop = asyncio.get_running_loop()
        self._post = post_of(self._loop)
        client = await self.app.connect()
        if self.app._lifespan is not None:
            await self._stack.enter_async_context(self.app._lifespan(self.app))
        self._context = contextvars.copy_context()
        for schedule in self.app._declared.values():
            await self.app._call("schedules.declare", schedule)
        self._handlers = {name: Handler(task) for name, task in self._tasks.items()}
        self._waiting: dict[str, deque[_native.Job]] = {}
        self._busy: dict[str, int] = {}
        self._threads = Threads()
        self._stack.callback(self._threads.close)
        self._children = None
        if any(task.runs == "process" for task in self._tasks.values()):
            from ._processes import Processes

            self._children = Processes(self._processes, self._jobs_per_process)
            self._stack.callback(self._children.close)
        self._ended = self._loop.create_future()
        self._native = await ask(client.start_worker(self._shown()))
        self._pull()

    def _shown(self) -> bytes:
        options = dict(self._options)
        backoff = {
            name: task._defaults["backoff"]
            for name, task in self._tasks.items()
            if "backoff" in task._defaults
        }
        shown: dict[str, object] = {"language": "python", "backoff": backoff or None}
        for key in ("grace", "stuck_after"):
            span = options.pop(key, None)
            if span is not None:
                shown[f"{key}_ms"] = milliseconds(key, span)
        timing = options.pop("timing", None)
        if timing is not None:
            from .app import shown_timing

            shown["timing"] = shown_timing(timing)
        shown.update(options)
        shown["tasks"] = list(self._tasks)
        return as_json(shown)

    async def stop(self, timeout: Span = 30) -> bool:
        """Stops: claims no more, and waits for running handlers at most as long as ``timeout``.
        Those that still run are told to stop then, and their jobs are handed back, uncounted.

        Returns:
            Whether all handlers had returned in time.
        """
        if self._native is None:
            return True
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop(milliseconds("timeout", timeout)))
        return await asyncio.shield(self._stopping)

    async def _stop(self, timeout_ms: int) -> bool:
        assert self._native is not None and self._stack is not None
        self._flush()
        drained = bool(await ask(self._native.stop(timeout_ms)))
        left = list(self._running.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._stack.aclose()
        if not self._ended.done():
            self._ended.set_result(None)
        return drained

    def _cancel_all(self) -> None:
        """Cancels the async handlers now, without waiting for the limit of the stop."""
        for task in self._running.values():
            task.cancel()

    async def __aenter__(self) -> Worker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # What others see.

    @property
    def id(self) -> int:
        """The worker's number in the database."""
        return self._started().id

    @property
    def address(self) -> Optional[str]:
        """Where it answers HTTP requests, if it was asked to."""
        return self._started().address

    def health(self) -> dict[str, Any]:
        """``healthy``, ``since_contact_ms``, ``running``, ``waiting``, ``slots``, ``stopping``,
        ``stuck``."""
        return dict(json.loads(self._started().health()))

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens to the worker's jobs from now on: dicts with ``event`` (``started``,
        ``progressed``, ``completed``, ``failed``, ``retried``, ``snoozed``, ``released``,
        ``discarded``, ``cancelled``, ``queue_empty``), ``queue``, ``job`` and details. Whoever
        falls behind by more than 1024 misses the oldest."""
        stream = self._started().events()
        while True:
            text = await ask(stream.next())
            if text is None:
                return
            yield json.loads(text)

    async def stuck(self) -> None:
        """Waits until every slot is held by a handler that does not return: the program should
        end then, to be started again."""
        await ask(self._started().stuck())

    def _started(self) -> _native.Worker:
        if self._native is None:
            raise InvalidStateError("the worker has not been started")
        return self._native

    # Pulling.

    def _pull(self) -> None:
        assert self._native is not None
        self._post.send(self._native.next_jobs(_BATCH), self._came)

    def _came(self, jobs: list[_native.Job], error: Optional[BaseException]) -> None:
        if error is not None:
            logger.error("the worker cannot take jobs any more: %s", error)
            return
        if not jobs:
            return  # it stops
        self._pull()
        batches: dict[str, list[_native.Job]] = {}
        for job in jobs:
            name = job.task
            handler = self._handlers[name]
            if handler.max_batch is not None:
                batches.setdefault(name, []).append(job)
            elif handler.concurrency is None:
                self._begin(handler, [job])
            else:
                self._queue(handler, job)
        for name, batch in batches.items():
            handler = self._handlers[name]
            size = handler.max_batch or 1
            for start in range(0, len(batch), size):
                self._begin(handler, batch[start : start + size])

    def _queue(self, handler: Handler, job: _native.Job) -> None:
        name = handler.task.name
        if self._busy.get(name, 0) < (handler.concurrency or 1):
            self._busy[name] = self._busy.get(name, 0) + 1
            self._begin(handler, [job])
        else:
            self._waiting.setdefault(name, deque()).append(job)

    def _next_of(self, handler: Handler) -> None:
        """A job of a task with a limit has ended: another may run."""
        waiting = self._waiting.get(handler.task.name)
        while waiting:
            job = waiting.popleft()
            reason = job.stop_reason
            if reason is None:
                self._begin(handler, [job])
                return
            self._said([(job, given_up(reason))])
        self._busy[handler.task.name] -= 1

    def _begin(self, handler: Handler, jobs: list[_native.Job]) -> None:
        attempt = Attempt(self, handler, jobs)
        if handler.direct:
            # Nothing of it needs the event loop.
            self._threads.run(attempt.run_in_thread)
            return
        # Each runs in a copy of the context that the worker was started in.
        task = self._context.run(self._loop.create_task, attempt.run())
        for job in jobs:
            self._running[job] = task
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def _sweep(self) -> None:
        """Cancels the handlers that should stop."""
        self._sweeper = None
        asked: dict[asyncio.Task[None], bool] = {}
        for job, task in self._running.items():
            asked[task] = asked.get(task, True) and job.stop_reason is not None
        for task, should_stop in asked.items():
            if should_stop:
                task.cancel()
        if self._running:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    # Outcomes.

    def _over(
        self,
        handler: Handler,
        outcomes: list[tuple[_native.Job, Optional[Union[str, bytes]]]],
    ) -> None:
        """An attempt on the event loop is over."""
        for job, _ in outcomes:
            self._running.pop(job, None)
        self._said(outcomes)
        if handler.concurrency is not None:
            self._next_of(handler)

    def _said(self, outcomes: list[tuple[_native.Job, Optional[Union[str, bytes]]]]) -> None:
        if not self._outcomes:
            # With what else ends in this round of the loop.
            self._loop.call_soon(self._flush)
        self._outcomes.extend(outcomes)

    def _flush(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        if outcomes and self._native is not None:
            self._native.finish(outcomes)
