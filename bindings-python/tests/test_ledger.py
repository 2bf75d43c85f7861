"""Worker processes are killed, stopped and told to end while they work: no job is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from conftest import QUICK

import lavoro

JOBS = int(os.environ.get("LAVORO_LEDGER_JOBS", "2000"))
WORKERS = 3

PROGRAM = """
    import asyncio, os, sys, time
    import lavoro

    app = lavoro.Lavoro(**{place!r}, warn_unhandled=False)
    ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(n):
        os.write(ledger, f"{{n}}\\n".encode())

    @app.task
    async def on_the_loop(n: int) -> int:
        await asyncio.sleep(0.002)
        write(n)
        return n

    @app.task
    def in_a_thread(n: int) -> int:
        time.sleep(0.002)
        write(n)
        return n

    sys.exit(app.run_worker(queues={{"default": 16}}, timing={timing!r}, shutdown_timeout=5))
"""


def test_no_job_is_lost(tmp_path: Path, place: dict[str, Any]) -> None:
    chance = random.Random(7)
    app = lavoro.Lavoro(**place, warn_unhandled=False)
    tasks = ("on_the_loop", "in_a_thread")
    jobs = app.enqueue_many_sync(
        {"task": tasks[n % 2], "payload": {"n": n}} for n in range(JOBS)
    )
    path, ledger = tmp_path / "worker.py", tmp_path / "ledger"
    path.write_text(textwrap.dedent(PROGRAM).format(place=place, timing=QUICK))

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(path), str(ledger)])

    workers = [start() for _ in range(WORKERS)]
    stopped: list[tuple[float, subprocess.Popen[bytes]]] = []
    faults = {"kill": 0, "stop": 0, "term": 0}
    deadline = time.monotonic() + 240
    try:
        while app.jobs.count_sync(state="completed") < JOBS:
            assert time.monotonic() < deadline, app.jobs.list_sync(limit=5)
            time.sleep(0.4)
            for until, worker in stopped[:]:
                if time.monotonic() > until:
                    worker.send_signal(signal.SIGCONT)
                    stopped.remove((until, worker))
            place_of = chance.randrange(WORKERS)
            worker = workers[place_of]
            if any(worker is each for _, each in stopped):
                continue
            fault = chance.choice(sorted(faults))
            faults[fault] += 1
            if fault == "stop":
                # Longer than a lease: its jobs are others' when it goes on.
                worker.send_signal(signal.SIGSTOP)
                stopped.append((time.monotonic() + 2.5, worker))
                continue
            worker.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
            worker.wait(30)
            workers[place_of] = start()
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in workers:
            worker.wait(30)

    written = ledger.read_text().split()
    done = {int(n) for n in written}
    assert done == set(range(JOBS)), "lost"
    for n, job in enumerate(jobs):
        info = job.info_sync()
        assert (info["state"], info["result"]) == ("completed", n)
    assert all(count for count in faults.values()), faults
    app.close_sync()
    twice = len(written) - len(done)
    print(f"{JOBS} jobs, faults {faults}: lost 0, ran twice {twice}")
