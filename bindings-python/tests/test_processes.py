"""Handlers in processes: they are replaced, and killed when their attempt is over."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, run, until

import lavoro

MODULE = """
    import os, time, sys
    import lavoro

    app = lavoro.Lavoro(**{place!r})

    @app.task(process=True)
    def square(n: int) -> dict:
        return {{"n": n * n, "pid": os.getpid()}}

    @app.task(process=True, timeout=2, max_attempts=1)
    def hang(path: str) -> None:
        open(path, "w").write(str(os.getpid()))
        while True:
            pass

    @app.task(process=True, max_attempts=1)
    def end(how: str) -> None:
        if how == "_exit":
            os._exit(7)
        if how == "exit":
            sys.exit("not like this")
        if how == "fail":
            raise lavoro.Fail("for good")
        if how == "cancel":
            raise lavoro.Cancel("unwanted")
        raise ValueError("broken")

    @app.task(process=True)
    def talk() -> object:
        job = lavoro.current_job()
        job.progress(10, "begun", {{"a": 1}})
        job.log("a line")
        print("standard output is free", flush=True)
        job.save_checkpoint_sync([job.attempt])
        return job.checkpoint_sync()
"""


@pytest.fixture
def module(tmp_path: Path, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    name = f"tasks_{place['schema']}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE).format(place=place))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = __import__(name)
    yield found
    found.app.close_sync()


def test_a_process_is_used_again_and_replaced(module: Any) -> None:
    async def main() -> list[int]:
        async with module.app.worker(processes=1, jobs_per_process=2):
            answers = [await (await module.square.enqueue(n)).result(20) for n in range(4)]
        assert [answer["n"] for answer in answers] == [0, 1, 4, 9]
        return [answer["pid"] for answer in answers]

    first, second, third, fourth = run(main())
    assert (first, third) == (second, fourth)
    assert first != third
    assert os.getpid() not in (first, third)


def test_a_handler_is_killed_on_timeout(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "pid"

    async def main() -> None:
        async with module.app.worker(timing=QUICK, processes=1):
            # The start of a process counts as well: one that runs is used again.
            await (await module.square.enqueue(1)).result(30)
            job = await module.hang.enqueue(str(path))
            with pytest.raises(lavoro.JobFailedError):
                await job.result(20)
            assert (await job.info())["errors"][0]["kind"] == "timeout"
            await until(lambda: not Path(f"/proc/{path.read_text()}").exists())

    run(main())


@pytest.mark.parametrize(
    ("how", "state", "said"),
    [
        ("_exit", "discarded", "the handler's process has ended with exit code 7"),
        ("exit", "discarded", "SystemExit: not like this"),
        ("fail", "discarded", "for good"),
        ("cancel", "cancelled", "unwanted"),
        ("raise", "discarded", "ValueError: broken"),
    ],
)
def test_an_end_of_a_process_is_an_outcome(module: Any, how: str, state: str, said: str) -> None:
    async def main() -> None:
        async with module.app.worker(processes=1):
            with pytest.raises(lavoro.JobFailedError) as failed:
                await (await module.end.enqueue(how)).result(20)
            assert failed.value.state == state
            assert said in str(failed.value)
            assert (await (await module.square.enqueue(3)).result(20))["n"] == 9

    run(main())


def test_a_process_speaks_of_its_job(module: Any) -> None:
    async def main() -> None:
        async with module.app.worker(processes=1):
            job = await module.talk.enqueue()
            assert await job.result(20) == [1]
            lines = await until(job.logs)
            assert [line["line"] for line in lines] == ["a line"]

    run(main())


def test_handlers_of_a_script_run_in_processes(tmp_path: Path, place: dict[str, Any]) -> None:
    script = tmp_path / "script.py"
    body = textwrap.dedent(MODULE).format(place=place) + textwrap.dedent(
        """
        async def main():
            async with app.worker(processes=1):
                print((await (await square.enqueue(5)).result(20))["n"])

        if __name__ == "__main__":
            import asyncio
            asyncio.run(main())
        """
    )
    script.write_text(body)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "25\n", done.stderr
