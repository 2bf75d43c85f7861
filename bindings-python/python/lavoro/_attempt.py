"""One attempt: a handler is called, and what it returns or raises becomes an outcome."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _native
from ._payload import to_json
from ._values import ValueDoesNotFit
from .errors import InvalidPayloadError
from .job import Job, JobCancelled, _current
from .outcomes import Outcome
from .telemetry import span_of

if TYPE_CHECKING:
    from .task import Task
    from .worker import Worker

logger = logging.getLogger("lavoro.worker")

# None: done. A str: done, with this JSON. Bytes: the JSON of another outcome.
Said = Optional[Union[str, bytes]]

# More of a traceback is not kept anyway.
_ERROR_CHARACTERS = 16_000


class Handler:
    """A task, as a worker runs it."""

    def __init__(self, task: Task[..., Any]) -> None:
        self.task = task
        self.function = task.function
        self.max_batch = task.max_batch
        self.concurrency = task.concurrency
        self.middleware = () if task.max_batch is not None else tuple(task.app._middleware)
        # It needs nothing of the event loop: the thread says itself how it ended.
        self.direct = (
            task.runs == "thread" and not self.middleware and task.concurrency is None
        )
        if task.max_batch is None:
            self.signature = task._signature
            if self.signature._positional:
                self.function = self.signature.by_name


class Attempt:
    """One attempt of a job, or of a batch of them."""

    __slots__ = ("_handler", "_jobs", "_worker")

    def __init__(self, worker: Worker, handler: Handler, jobs: list[_native.Job]) -> None:
        self._worker = worker
        self._handler = handler
        self._jobs = jobs

    async def run(self) -> None:
        """On the event loop. Never raises, whatever the handler does."""
        handler, jobs = self._handler, self._jobs
        try:
            if handler.max_batch is not None:
                outcomes = await self._run_batch()
            else:
                job = Job(self._worker.app, jobs[0])
                _current.set(job)
                with span_of(job):
                    result = await self._chain(job)
                outcomes = [(jobs[0], said_of(handler, result))]
        except BaseException as error:  # noqa: BLE001 - see said_by
            outcomes = [(each, said_by(error, each)) for each in jobs]
        self._worker._over(handler, outcomes)

    def _chain(self, job: Job) -> Awaitable[Any]:
        handler = self._handler
        if not handler.middleware:
            return self._call(job)

        def step(place: int) -> Callable[[], Awaitable[Any]]:
            async def call_next() -> Any:
                if place == len(handler.middleware):
                    return await self._call(job)
                return await handler.middleware[place](job, step(place + 1))

            return call_next

        return step(0)()

    async def _call(self, job: Job) -> Any:
        handler = self._handler
        runs = handler.task.runs
        if runs == "async":
            return await handler.function(**arguments(handler, job))
        if runs == "thread":
            return await self._in_thread(lambda: handler.function(**arguments(handler, job)))
        children = self._worker._children
        assert children is not None
        return await self._in_thread(lambda: children.run(handler.task, job))

    async def _run_batch(self) -> list[tuple[_native.Job, Said]]:
        handler, natives = self._handler, self._jobs
        jobs = [Job(self._worker.app, native) for native in natives]
        if handler.task.runs == "async":
            results = await handler.function(jobs)
        else:
            results = await self._in_thread(lambda: handler.function(jobs))
        return batch_outcomes(natives, results)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        """Runs this in a thread, and does not leave it behind: a thread cannot be ended, so that
        its slot stays taken until it returns."""
        loop = self._worker._loop
        # It holds errors as results: nobody may be left to look at it.
        future: asyncio.Future[tuple[Any, Optional[BaseException]]] = loop.create_future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                ended: tuple[Any, Optional[BaseException]] = context.run(work), None
            except BaseException as error:  # noqa: BLE001 - it is raised in the loop
                ended = None, error
            try:
                loop.call_soon_threadsafe(future.set_result, ended)
            except RuntimeError:
                pass  # the loop has ended, and the job with it

        self._worker._threads.run(run)
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError:
                if self._worker._stopping is not None and not future.done():
                    raise
        answer, error = future.result()
        if error is not None:
            raise error
        return answer

    def run_in_thread(self) -> None:
        """In a thread, without the event loop. Never raises."""
        self._worker._context.copy().run(self._run_in_thread)

    def _run_in_thread(self) -> None:
        handler, natives = self._handler, self._jobs
        native = self._worker._native
        assert native is not None
        outcomes: list[tuple[_native.Job, Said]]
        try:
            if handler.max_batch is not None:
                outcomes = self._batch_in_thread()
            else:
                job = Job(self._worker.app, natives[0])
                _current.set(job)
                with span_of(job):
                    result = handler.function(**arguments(handler, job))
                outcomes = [(natives[0], said_of(handler, result))]
        except BaseException as error:  # noqa: BLE001 - see said_by
            outcomes = [(each, said_by(error, each)) for each in natives]
        native.finish(outcomes)

    def _batch_in_thread(self) -> list[tuple[_native.Job, Said]]:
        handler, natives = self._handler, self._jobs
        results = handler.function([Job(self._worker.app, each) for each in natives])
        return batch_outcomes(natives, results)


def batch_outcomes(natives: list[_native.Job], results: Any) -> list[tuple[_native.Job, Said]]:
    """The outcomes of a batch by what its handler returned."""
    if results is None:
        return [(native, None) for native in natives]
    results = list(results)
    if len(results) != len(natives):
        raise RuntimeError(
            f"the batch handler returned {len(results)} results for {len(natives)} jobs: "
            f"none counts"
        )
    outcomes: list[tuple[_native.Job, Said]] = []
    for native, result in zip(natives, results):
        failed = isinstance(result, BaseException)
        outcomes.append((native, said_by(result, native) if failed else result_json(result)))
    return outcomes


def arguments(handler: Handler, job: Job) -> dict[str, Any]:
    """What the handler is called with."""
    signature = handler.signature
    values = signature.decode(job.payload)
    if signature.job_parameter is not None:
        values = {**values, signature.job_parameter: job}
    return values


def said_of(handler: Handler, result: Any) -> Said:
    """The outcome of a handler that returned."""
    if result is None:
        return None
    encode = handler.signature.encode_result
    if encode is not None:
        try:
            result = encode(result)
        except BaseException as error:  # noqa: BLE001 - code of the application runs in there
            return _note(error)
    return result_json(result)


def result_json(result: Any) -> Said:
    """A result as JSON, or a note of why it is none: the work is done, whatever it returned."""
    if result is None:
        return None
    try:
        return to_json("result", result).decode()
    except BaseException as error:  # noqa: BLE001 - code of the application runs in there
        return _note(error)


def _note(error: BaseException) -> str:
    """What is kept in place of a result that is no JSON."""
    if isinstance(error, ValueDoesNotFit):
        why = f"the result{error.path} {error.why}"
    elif isinstance(error, (InvalidPayloadError, UnicodeEncodeError)):
        why = str(error)
    else:
        why = type(error).__name__
    return json.dumps({"lavoro_note": f"not stored: {why}"})


def given_up(reason: str) -> bytes:
    """The outcome of an attempt that was told to stop."""
    return b'{"outcome":"cancel"}' if reason == "cancelled" else b'{"outcome":"release"}'


def said_by(error: BaseException, job: _native.Job) -> bytes:
    """The outcome of a handler that raised."""
    if isinstance(error, Outcome):
        try:
            return json.dumps(error._said()).encode()
        except BaseException as wrong:  # noqa: BLE001 - a delay that is none
            error = wrong
    reason = job.stop_reason
    if reason is not None and isinstance(error, (asyncio.CancelledError, JobCancelled)):
        return given_up(reason)
    kind = "failed" if isinstance(error, (Exception, asyncio.CancelledError)) else "panicked"
    said = {"outcome": "retry", "error": describe(error), "kind": kind}
    return json.dumps(said).encode()


def describe(error: BaseException) -> str:
    """The traceback of an error, from the handler on; never raises."""
    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(
            ("lavoro._attempt", "lavoro._processes")
        ):
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:  # noqa: BLE001 - its own __str__ may do anything
        text = type(error).__name__
    if len(text) > _ERROR_CHARACTERS:
        half = _ERROR_CHARACTERS // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return text.rstrip().encode("utf-8", "backslashreplace").decode()
