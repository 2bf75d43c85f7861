"""What Python adds to a job: CPU time of the threads of Python's, with handlers that do nothing.

    python benches/overhead.py [JOBS]     # LAVORO_DATABASE_URL, or a server of its own

`seam` pulls batches of 100, reads each payload and reports the outcomes; `async` and `thread` are
whole workers. The engine's own threads are not counted, nor is PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import lavoro
from lavoro._attempt import Attempt

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
URL = os.environ.get("LAVORO_DATABASE_URL", "memory:")
app = lavoro.Lavoro(URL, warn_unhandled=False, migrate=True)
spent = 0.0  # by the threads of handlers
count = 0


@app.task
async def on_the_loop() -> None:
    """Does nothing."""
    global count
    count += 1


@app.task
def in_a_thread() -> None:
    """Does nothing."""
    global count
    count += 1


def measure(run: type[Attempt]) -> None:
    """Counts the time of handlers' threads too."""
    whole = run.run_in_thread

    def timed(self: Attempt) -> None:
        global spent
        begun = time.thread_time()
        whole(self)
        spent += time.thread_time() - begun

    run.run_in_thread = timed  # type: ignore[method-assign]


def fill(task: str) -> None:
    """Enqueues the jobs."""
    for _ in range(JOBS // 1000):
        app.enqueue_many_sync({"task": task, "payload": {}} for _ in range(1000))


def seam() -> None:
    """The native calls alone."""
    fill("on_the_loop")
    options = {"tasks": ["on_the_loop"], "queues": {"default": 1000}}
    worker = app.connect_sync().start_worker(json.dumps(options).encode()).wait()
    begun, wall, left = time.thread_time(), time.perf_counter(), JOBS
    while left:
        jobs = worker.next_jobs(100).wait()
        left -= len(jobs)
        worker.finish([(job, None) for job in jobs if json.loads(job.payload) == {}])
    report("seam", time.thread_time() - begun, time.perf_counter() - wall)
    worker.stop(10_000).wait()


async def whole(task: str) -> None:
    """A worker as applications have it."""
    global count, spent
    fill(task)
    count, spent = 0, 0.0
    begun, wall = time.thread_time(), time.perf_counter()
    async with app.worker(queues={"default": 1000}):
        while count < JOBS:
            await asyncio.sleep(0.01)
        report(task, time.thread_time() - begun + spent, time.perf_counter() - wall)


def report(what: str, cpu: float, wall: float) -> None:
    """Prints a line."""
    print(f"{what:12} {cpu / JOBS * 1e6:5.1f} us CPU per job, {JOBS / wall:6.0f} jobs/s", flush=True)


if __name__ == "__main__":
    app.connect_sync()
    seam()
    asyncio.run(whole("on_the_loop"))
    measure(Attempt)
    asyncio.run(whole("in_a_thread"))
