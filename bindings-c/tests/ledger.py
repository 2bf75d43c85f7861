"""C workers under kill -9, SIGSTOP, abort() and SIGSEGV in a callback: an account of every job.
Lost: 0. A job that kills its worker is discarded after its attempts; the others complete."""

import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../examples/c"))
from lavoro_ctypes import Client

PROGRAM, JOBS, WORKERS, DEADLINE = sys.argv[1], 600, 3, 150


def job(what, **options):
    return {"task": "ledger", "payload": what, "backoff": {"kind": "fixed", "base_ms": 0}, **options}


def counts(client):
    states = ("available", "scheduled", "retrying", "running", "completed", "cancelled", "discarded")
    return {s: client.call("jobs.count", filter={"state": s, "task": "ledger"}) for s in states}


def main():
    import json

    random.seed(int(os.environ.get("LAVORO_SEED", "1")))
    client = Client("memory:")
    env = {**os.environ, "LAVORO_DATABASE_URL": client.url()}

    def hire():
        return subprocess.Popen([PROGRAM], env=env, stderr=subprocess.DEVNULL)

    poison = [job("abort", max_attempts=2), job("segv", max_attempts=2)]
    jobs = [job("work") for _ in range(JOBS)]
    jobs[JOBS // 3 : JOBS // 3] = poison
    ids = client.enqueue_json(json.dumps(jobs).encode())
    assert len(set(ids)) == JOBS + 2
    fleet, killed, stopped, died = [hire() for _ in range(WORKERS)], 0, 0, 0
    until = time.monotonic() + DEADLINE
    while True:
        now = counts(client)
        if now["completed"] + now["discarded"] + now["cancelled"] == JOBS + 2:
            break
        if time.monotonic() > until:
            raise SystemExit(f"not done: {now}")
        for place, worker in enumerate(fleet):
            if worker.poll() is not None:
                died += 1
                fleet[place] = hire()
        victim = random.choice(fleet)
        if killed < 5 and random.random() < 0.5:
            victim.kill()
            victim.wait()
            killed += 1
        elif stopped < 2:
            victim.send_signal(signal.SIGSTOP)
            time.sleep(1.5)  # longer than a lease
            victim.send_signal(signal.SIGCONT)
            stopped += 1
        time.sleep(0.2)
    for worker in fleet:
        worker.kill()
        worker.wait()
    # One state after the other was counted: a job that ended meanwhile may have been counted twice.
    now = counts(client)
    lost = JOBS + 2 - sum(now.values())
    bad = client.call("jobs.list", filter={"state": "discarded", "limit": 100})
    attempts = [one["attempt"] for one in bad]
    client.close()
    print(f"{JOBS} jobs and 2 poison; {killed} kills, {stopped} freezes, {died} ends seen; {now}; "
          f"lost {lost}; attempts of the discarded {attempts}")
    assert lost == 0 and now["completed"] == JOBS and now["discarded"] == 2, now
    assert attempts == [2, 2], attempts


main()
