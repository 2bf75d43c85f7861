"""Processes that run handlers of ``process=True``: started afresh, replaced after a number of
jobs, and killed when an attempt is over and its handler is not."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional

from . import outcomes
from .errors import InvalidOptionError
from .job import Job, JobCancelled

if TYPE_CHECKING:
    from .task import Task

# How often it is looked whether the handler should stop. Seconds.
_LOOK = 0.05


class ProcessFailed(Exception):
    """What a handler raised in its process, with the traceback it had there."""


class Processes:
    """A pool of processes. Usable from any thread; each call holds its thread until it ends."""

    def __init__(self, count: Optional[int], jobs_per_process: int) -> None:
        count = os.cpu_count() or 1 if count is None else count
        if count < 1 or jobs_per_process < 1:
            raise InvalidOptionError("processes and jobs_per_process take 1 and more")
        self._free = threading.Semaphore(count)
        self._jobs_per_process = jobs_per_process
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._closed = False

    def run(self, task: Task[..., Any], job: Job) -> Any:
        """Runs the handler in a process, and answers what it returned.

        Raises:
            JobCancelled: It was told to stop; its process has been killed.
            Outcome, ProcessFailed: What the handler raised; or its process has ended.
        """
        with self._free:
            job.check()
            child = self._take()
            kept = False
            try:
                answer = child.run(task, job)
                child.jobs += 1
                kept = child.jobs < self._jobs_per_process
            finally:
                if kept:
                    self._give_back(child)
                else:
                    child.kill()
        return _unpacked(answer)

    def _take(self) -> _Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.is_alive():
                    return child
                child.kill()
        return _Child()

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(child)
                return
        child.kill()

    def close(self) -> None:
        """Ends the processes that are idle, and those that are not when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()


class _Child:
    """One process, with a pipe to it and one from it: its standard streams stay free."""

    def __init__(self) -> None:
        to_child, self._requests = os.pipe()
        self._answers, from_child = os.pipe()
        self._unread = b""
        self.jobs = 0
        with _closing(to_child, from_child):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lavoro._child", str(to_child), str(from_child)],
                pass_fds=(to_child, from_child),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)},
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for end in (self._requests, self._answers):
            try:
                os.close(end)
            except OSError:
                pass
        self._requests = self._answers = -1

    def run(self, task: Task[..., Any], job: Job) -> Any:
        try:
            _write(self._requests, request(task, job))
        except BrokenPipeError:
            raise self._died() from None
        while True:
            message = self._read(job)
            if message is None:
                raise self._died()
            kind = message["kind"]
            if kind == "progress":
                job.progress(message["percent"], message["message"], message["data"])
            elif kind == "log":
                job.log(message["line"])
            elif kind == "save_checkpoint":
                job.save_checkpoint_sync(message["data"])
                _write(self._requests, {"kind": "saved"})
            elif kind == "checkpoint":
                _write(self._requests, {"kind": "checkpoint", "data": job.checkpoint_sync()})
            else:
                return message

    def _read(self, job: Job) -> Any:
        """The next message; None: the process has ended."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], _LOOK)
            if ready:
                more = os.read(self._answers, 65536)
                if not more:
                    return None
                self._unread += more
            else:
                job.check()
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def _died(self) -> ProcessFailed:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return ProcessFailed("the handler's process does not answer any more")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ProcessFailed(f"the handler's process has ended with {how}")


@contextmanager
def _closing(*ends: int) -> Iterator[None]:
    try:
        yield
    finally:
        for end in ends:
            os.close(end)


def _write(end: int, message: object) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(end, data) :]


def request(task: Task[..., Any], job: Job) -> dict[str, Any]:
    """What the process is told of a job."""
    function = task.function
    main = sys.modules.get("__main__")
    module = function.__module__
    path = getattr(main, "__file__", None) if module == "__main__" else None
    spec = getattr(main, "__spec__", None)
    if module == "__main__" and spec is not None:
        module, path = spec.name, None
    fields = ("id", "token", "task", "queue", "attempt", "max_attempts", "priority")
    shown = {field: getattr(job, field) for field in fields}
    native = job._native
    shown.update(
        suspect=job.suspect,
        tags=job.tags,
        payload=native.payload,
        metadata=native.metadata,
        timeout=native.timeout,
        created_at=native.created_at,
        claimed_at=native.claimed_at,
        slot=native.slot,
        traceparent=native.traceparent,
        tracestate=native.tracestate,
    )
    return {"module": module, "path": path, "task": task.name, "job": shown}


def _unpacked(answer: Any) -> Any:
    kind = answer["kind"]
    if kind == "done":
        return answer["result"]
    if kind == "outcome":
        raise _Said(answer["said"])
    if kind == "stopped":
        raise JobCancelled(answer["error"])
    raise ProcessFailed(answer["error"])


class _Said(outcomes.Outcome):
    """An outcome that was raised in the process."""

    def __init__(self, said: dict[str, object]) -> None:
        super().__init__(said)
        self._given = said

    def _said(self) -> dict[str, object]:
        return self._given
