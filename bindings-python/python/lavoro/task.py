"""Tasks: handlers by name, and how to enqueue jobs for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

from ._options import as_json, job_options
from ._payload import Signature, check_declaration, to_json
from .handle import JobHandle

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Unpack

    from ._options import JobOptions
    from .app import Lavoro

    P = ParamSpec("P")
elif sys.version_info >= (3, 10):
    from typing import ParamSpec

    P = ParamSpec("P")
else:
    P = TypeVar("P")

__all__ = ["BoundTask", "Task"]

R = TypeVar("R")



class BoundTask(Generic[P, R]):
    """A task with options, ready to be enqueued. Made by Task.options()."""

    __slots__ = ("_connection", "_options", "_task")

    def __init__(self, task: Task[P, R], options: Mapping[str, Any], connection: Any) -> None:
        self._task = task
        self._options = as_json({**task._defaults, **job_options(options)})
        self._connection = connection

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueues a job. When this returns, it is committed; with ``connection``, it is if the
        caller's transaction commits.

        Raises:
            InvalidPayloadError: The arguments do not fit the handler's signature.
            LavoroError: What is wrong with the options or the database.
        """
        task = self._task
        payload = task._signature.encode(args, kwargs)
        if self._connection is not None:
            from ._transactions import enqueue_in

            return await enqueue_in(task, self._connection, payload, self._options)
        return task._handle(await task.app._enqueue(task.name, payload, self._options))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """As enqueue(), for code without an event loop."""
        task = self._task
        payload = task._signature.encode(args, kwargs)
        if self._connection is not None:
            from ._transactions import enqueue_in_sync

            return enqueue_in_sync(task, self._connection, payload, self._options)
        return task._handle(task.app._enqueue_sync(task.name, payload, self._options))


class Task(Generic[P, R]):
    """A named kind of work. Made by the decorator ``app.task``; calling it calls the function.

    Attributes:
        app: The application that it belongs to.
        name: Its name, unique in the application.
        function: The handler as it was written.
        runs: ``async`` (on the event loop), ``thread`` or ``process``.
        concurrency: How many of its jobs may run at once in one worker; None: as many as the
            queues let.
        max_batch: How many jobs one call takes; None: one, and not as a list.
    """

    def __init__(
        self,
        app: Lavoro,
        function: Callable[P, Any],
        name: str,
        runs: str,
        options: Mapping[str, Any],
        concurrency: Optional[int],
        max_batch: Optional[int],
    ) -> None:
        check_declaration(name, function)
        self.app = app
        self.function = function
        self.name = name
        self.runs = runs
        self.concurrency = concurrency
        self.max_batch = max_batch
        self._defaults = job_options(options)
        self._default_json = as_json(self._defaults)
        self._read: Optional[Signature] = None
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", name)
        self.__qualname__ = getattr(function, "__qualname__", name)
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __repr__(self) -> str:
        return f"<lavoro.Task {self.name!r}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Calls the function here and now, as if it were no task."""
        return self.function(*args, **kwargs)

    @property
    def _signature(self) -> Signature:
        # Read at first use: annotations may name what is defined further down.
        if self._read is None:
            self._read = Signature(self.name, self.function)
        return self._read

    def _handle(self, enqueued: tuple[int, bool]) -> JobHandle[R]:
        return JobHandle(self.app, enqueued[0], enqueued[1], self._signature.decode_result)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Enqueues a job. When this returns, it is committed and safe.

        Raises:
            InvalidPayloadError: The arguments do not fit the handler's signature; the message
                names the field.
            LavoroError: What is wrong with the database.
        """
        payload = self._signature.encode(args, kwargs)
        return self._handle(await self.app._enqueue(self.name, payload, self._default_json))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """As enqueue(), for code without an event loop."""
        payload = self._signature.encode(args, kwargs)
        return self._handle(self.app._enqueue_sync(self.name, payload, self._default_json))

    def options(self, *, connection: Any = None, **options: Unpack[JobOptions]) -> BoundTask[P, R]:
        """The task with options for the jobs to come, over those of the decorator.

        Args:
            connection: Enqueue on this connection or session, in its transaction.
            **options: See JobOptions.

        Raises:
            InvalidOptionError: An option that does not exist, or does not fit.
        """
        return BoundTask(self, options, connection)

    async def enqueue_many(
        self, payloads: Iterable[Mapping[str, Any]], **options: Unpack[JobOptions]
    ) -> list[JobHandle[R]]:
        """Enqueues a job for each payload, all of them or none (those with unique keys apart)."""
        jobs = self._many(payloads, options)
        return [self._handle(each) for each in await self.app._enqueue_many(jobs)]

    def enqueue_many_sync(
        self, payloads: Iterable[Mapping[str, Any]], **options: Unpack[JobOptions]
    ) -> list[JobHandle[R]]:
        """As enqueue_many()."""
        jobs = self._many(payloads, options)
        return [self._handle(each) for each in self.app._enqueue_many_sync(jobs)]

    def _many(self, payloads: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> bytes:
        head = as_json({"task": self.name, **self._defaults, **job_options(options)})[:-1]
        encode = self._signature.encode
        parts = [head + b', "payload": ' + encode((), dict(each)) + b"}" for each in payloads]
        return b"[" + b",".join(parts) + b"]"


def payload_json(task: str, payload: Any) -> bytes:
    """The payload of a task that has no handler here."""
    return to_json(f"payload of task {task!r}", payload)


