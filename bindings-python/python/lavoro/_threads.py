"""The threads that run handlers of ``def``."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Optional

logger = logging.getLogger("lavoro.worker")

Work = Callable[[], None]


class Threads:
    """As many threads as there is work at once. They are no daemons: a program that ends waits
    for the handlers that run, as with concurrent.futures."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Optional[Work]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0
        _all.add(self)

    def run(self, work: Work) -> None:
        """Runs this in a thread. It must not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                self._count += 1
                name = f"lavoro-handler-{self._count}"
                threading.Thread(target=_serve, args=(self._work, self._rest), name=name).start()
        self._work.put(work)

    def _rest(self) -> None:
        with self._lock:
            self._idle += 1

    def close(self) -> None:
        """Ends the threads when they are done. Does not wait."""
        with self._lock:
            count, self._count = self._count, 0
        for _ in range(count):
            self._work.put(None)


def _serve(queue: SimpleQueue[Optional[Work]], rest: Callable[[], None]) -> None:
    while True:
        work = queue.get()
        if work is None:
            return
        try:
            work()
        except BaseException:  # noqa: BLE001 - a defect must not take the thread along
            logger.exception("a defect in Lavoro: a handler's thread failed")
        del work
        rest()


_all: weakref.WeakSet[Threads] = weakref.WeakSet()


def _exit() -> None:
    for threads in list(_all):
        threads.close()


# Before the interpreter waits for its threads, which atexit comes after.
threading._register_atexit(_exit)  # type: ignore[attr-defined]
