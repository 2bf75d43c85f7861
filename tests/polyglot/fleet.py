"""One database, a producer and a worker in every language: each enqueues for each, and what comes
back is what went in. `make polyglot` builds what this starts and names it in the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import lavoro
import psycopg

# What languages like to read differently: no key order, large integers, doubles, text.
PAYLOAD = {
    "z": 1,
    "a": [1.5, -0.25, 1.5e-7, None, True, []],
    "largest": 2**53 - 1,
    "text": "Grüße, \u2028 \U0001f980 \\ \" \x1f",
    "deep": {"": {"__proto__": [[[0]]]}},
}
TEXT = json.dumps(PAYLOAD)


def worker(app: lavoro.Lavoro) -> None:
    @app.task(name="echo_python")
    def echo(**payload: object) -> object:
        return payload

    app.run_worker()


def by_sql(url: str, tasks: list[str]) -> str:
    with psycopg.connect(url) as connection:
        ask = "select lavoro.enqueue(%s, %s::jsonb)"
        rows = [connection.execute(ask, (task, TEXT)).fetchone() for task in tasks]
        connection.commit()
    return "\n".join(str(row[0]) for row in rows if row)


def ids(program: list[str], tasks: list[str], env: dict[str, str]) -> list[int]:
    """What a producer enqueued: a number per task, each on a line."""
    command = [*program, "produce", *tasks]
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=60)
    return [int(line) for line in out.stdout.split()]


def judge(app: lavoro.Lavoro, produced: dict[str, list[int]], tasks: list[str]) -> int:
    """Prints a row per producer; answers how many jobs did not come back as they were."""
    wrong = 0
    print(f"{'':>8}", *(f"{task.removeprefix('echo_'):>8}" for task in tasks))
    for language, numbers in produced.items():
        assert len(numbers) == len(tasks), (language, numbers)
        cells = []
        for number, task in zip(numbers, tasks):
            job = app.job(number)
            result = job.result_sync("1 minute")
            info = job.info_sync()
            same = (result, info["payload"], info["task"]) == (PAYLOAD, PAYLOAD, task)
            wrong += not same
            cells.append("same" if same else "DIFFERS")
        print(f"{language:>8}", *(f"{cell:>8}" for cell in cells))
    return wrong


def main() -> int:
    app = lavoro.Lavoro(os.environ.get("LAVORO_DATABASE_URL", "memory:"))
    if sys.argv[1:] == ["worker"]:
        worker(app)
        return 0
    if sys.argv[1:2] == ["produce"]:
        for task in sys.argv[2:]:
            print(app.enqueue_sync(task, PAYLOAD).id)
        return 0
    app.connect_sync()
    env = {**os.environ, "LAVORO_DATABASE_URL": app.url, "PAYLOAD": TEXT}
    here = os.path.dirname(os.path.abspath(__file__))
    programs = {
        "python": [sys.executable, __file__],
        "node": ["node", os.path.join(here, "fleet.mjs")],
        "c": [os.environ["POLYGLOT_C"]],
        "cli": [os.path.join(here, "fleet.sh")],
    }
    workers = [subprocess.Popen([*program, "worker"], env=env) for program in programs.values()]
    try:
        tasks = [f"echo_{language}" for language in programs]
        produced = {name: ids(program, tasks, env) for name, program in programs.items()}
        produced["sql"] = [int(number) for number in by_sql(app.url, tasks).split()]
        wrong = judge(app, produced, tasks)
    finally:
        for process in workers:
            process.terminate()
        codes = [process.wait(30) for process in workers]
        app.close_sync()
    print(f"{len(produced)} kinds of producers, {len(workers)} of workers: {wrong} jobs differ")
    return int(wrong > 0 or any(codes))


if __name__ == "__main__":
    sys.exit(main())
