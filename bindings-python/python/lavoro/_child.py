"""The program of a process that runs handlers of ``process=True``; see _processes."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
from types import SimpleNamespace
from typing import Any, Optional, cast

from ._attempt import Handler, arguments, describe, said_of
from .app import Lavoro
from .job import Job, JobCancelled, _current
from .outcomes import Outcome
from .task import Task



class _Pipes:
    """The way to the worker and back, one JSON line per message."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = os.fdopen(requests, "rb")
        self._answers = answers

    def read(self) -> Any:
        line = self._requests.readline()
        return json.loads(line) if line else None

    def write(self, **message: object) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self._answers, data) :]


class _ChildJob(Job):
    """A job whose engine is in another process."""

    __slots__ = ("_pipes",)

    def __init__(self, app: Lavoro, fields: Any, pipes: _Pipes) -> None:
        super().__init__(app, cast(Any, SimpleNamespace(**fields, stop_reason=None)))
        self._pipes = pipes

    def progress(
        self, percent: Optional[float] = None, message: Optional[str] = None, data: Any = None
    ) -> None:
        self._pipes.write(kind="progress", percent=percent, message=message, data=data)

    def log(self, line: str) -> None:
        self._pipes.write(kind="log", line=str(line))

    def save_checkpoint_sync(self, data: Any) -> None:
        self._pipes.write(kind="save_checkpoint", data=data)
        self._pipes.read()

    def checkpoint_sync(self) -> Any:
        self._pipes.write(kind="checkpoint")
        return self._pipes.read()["data"]


def _task(request: Any) -> Task[..., Any]:
    if request["path"] is not None:
        # A script: run under another name, so that it does not do again what it is there for.
        names = _scripts.get(request["path"])
        if names is None:
            names = _scripts[request["path"]] = runpy.run_path(
                request["path"], run_name="__lavoro_child__"
            )
        found = names.values()
    else:
        found = vars(importlib.import_module(request["module"])).values()
    for each in list(found):
        if isinstance(each, Task) and each.name == request["task"]:
            return each
        if isinstance(each, Lavoro) and request["task"] in each._tasks:
            return each._tasks[request["task"]]
    raise LookupError(f"task {request['task']!r} is not to be found in {request['module']}")


_scripts: dict[str, dict[str, Any]] = {}


def _answer(request: Any, pipes: _Pipes) -> dict[str, object]:
    try:
        task = _task(request)
        handler = Handler(task)
        job = _ChildJob(task.app, request["job"], pipes)
        _current.set(job)
        result = said_of(handler, handler.function(**arguments(handler, job)))
        assert not isinstance(result, bytes)
        return {"kind": "done", "result": None if result is None else json.loads(result)}
    except Outcome as outcome:
        return {"kind": "outcome", "said": outcome._said()}
    except JobCancelled as error:
        return {"kind": "stopped", "error": str(error)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the worker is told
        return {"kind": "failed", "error": describe(error)}


def main() -> int:
    """Answers requests until the worker ends."""
    # Ctrl-C goes to the whole group: the worker decides what becomes of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipes = _Pipes(int(sys.argv[1]), int(sys.argv[2]))
    while True:
        request = pipes.read()
        if request is None:
            return 0
        try:
            pipes.write(**_answer(request, pipes))
        except BrokenPipeError:
            return 0


if __name__ == "__main__":
    sys.exit(main())
