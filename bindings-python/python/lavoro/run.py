"""Running a worker as a program."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._spans import Span

if TYPE_CHECKING:
    from .app import Lavoro
    from .worker import Worker

# What run_worker answers.
DONE, UNFINISHED, STUCK = 0, 1, 3


def run_worker(app: Lavoro, shutdown_timeout: Span, options: Any) -> int:
    """See Lavoro.run_worker."""
    return asyncio.run(_serve(app.worker(**options), shutdown_timeout))


async def _serve(worker: Worker, shutdown_timeout: Span) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    at_once = asyncio.Event()

    def ask_to_stop() -> None:
        (at_once if asked.is_set() else asked).set()

    with _signals(loop, ask_to_stop):
        await worker.start()
        stuck = loop.create_task(worker.stuck())
        waiting = loop.create_task(asked.wait())
        await asyncio.wait({stuck, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if stuck.done():
            print("lavoro: every slot is held by a handler that does not return", file=sys.stderr)
            await worker.stop(0)
            return STUCK
        stuck.cancel()
        stopping = loop.create_task(worker.stop(shutdown_timeout))
        hurried = loop.create_task(at_once.wait())
        await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            worker._cancel_all()
        hurried.cancel()
        return DONE if await stopping else UNFINISHED


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, call: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    names = (signal.SIGINT, signal.SIGTERM)
    for name in names:
        loop.add_signal_handler(name, call)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)
